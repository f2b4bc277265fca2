"""Tables of a scrubbed sweep for the terminal: which hypothesis explains the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsuper.cli.summary import MOST_TABLES, print_tables, slices
from jsuper.core.protocols import Scrubbing
from jsuper.core.status import OK

if TYPE_CHECKING:
    import xarray
    from rich.table import Table


def show(ds: xarray.Dataset, family: Scrubbing, axes: tuple[str, ...]) -> None:
    """Print what every hypothesis recovers, and where which one is needed.

    Parameters
    ----------
    ds
        Of `jsuper.scrub_all`.
    family
        Its `scrubbing`.
    axes
        Rows and columns of the tables.
    """
    from rich.console import Console

    for name in family.TABLES:
        title = f"recovered by {name}"
        print_tables(ds.sel(hypothesis=name).rename(scrub_recovered=title), title, axes)
    console = Console(width=max(100, 16 + 14 * ds.sizes[axes[1]]), highlight=False)
    for title, part in list(slices(ds, axes))[:MOST_TABLES]:
        print(f"what explains the interference, and which share of it{'; ' * bool(title)}{title}")
        console.print(_table(family.explanation(part), *axes))
    found = family.explanation(ds)
    cells = found["word"].values.ravel().tolist()
    print()
    for word, meaning in family.MEANING.items():
        if word in cells:
            print(f"{cells.count(word):5d} of {len(cells)} cells  {word or '-':8s} {meaning}")
    median = ds["scrub_recovered"].where(ds["status"] == OK).median("seed")
    cluster = median.sel(hypothesis="cluster")
    for name in ("antipodal", "self"):
        count = int((median.sel(hypothesis=name) >= family.ENOUGH * cluster).sum())
        print(f"{count:5d} of {len(cells)} cells  {name} recovers 95 % of what cluster recovers")


def _table(found: xarray.Dataset, rows: str, columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(rows)
    for i, value in enumerate(found[columns].values):
        table.add_column(f"{columns} {value}" if i == 0 else str(value), justify="right")
    for name in found[rows].values:
        one = found.sel({rows: name}).transpose(columns)
        pairs = zip(one["word"].values, one["share"].values, strict=True)
        table.add_row(str(name), *(cell(str(word), share) for word, share in pairs))
    return table


def cell(word: str, share: float) -> str:
    """'pairs 0.99'; the word alone where there is nothing to share; '-' for none."""
    return f"{word} {share:.2f}" if share == share else word or "-"
