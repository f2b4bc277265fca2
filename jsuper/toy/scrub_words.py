"""What causal scrubbing of a sweep says, in words: which hypothesis explains the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsuper.store import OK
from jsuper.summary import MOST_TABLES, print_tables, slices

if TYPE_CHECKING:
    import xarray
    from rich.table import Table

LEAST = 0.001  # share of the variance: where self leaves less there is no interference to explain
ENOUGH = 0.95  # of what the cluster explains: then it is not needed
MARGIN = 0.05  # by which the cluster must explain more than as many inputs at random
TABLES = ("self", "antipodal", "cluster", "random")
MEANING = {
    "self": "the own input leaves less than 0.1 %: no interference to explain",
    "pairs": "antipodal explains at least 95 % of the interference that cluster explains",
    "cluster": "cluster is needed, and as many inputs at random explain less",
    "number": "as many inputs at random explain as much as cluster",
    "neither": "cluster explains less than 5 % of the interference",
    "": "no model, or an activation that cannot be scrubbed",
}
"""Word of `explanation` -> what it says."""


def explanation(ds: xarray.Dataset) -> xarray.Dataset:
    """`word`, one of `MEANING`, for every cell, and `share`, what it explains of the interference.

    Both from medians over seeds, and over the sweep's other dimensions.

    Args:
        ds: of `jsuper.scrub_all`, or of `jsuper.load` after `jsuper scrub`.
    """
    import xarray as xr

    fine = ds["status"] == OK
    recovered, explained = (
        ds[k].where(fine).median("seed") for k in ("scrub_recovered", "scrub_interference")
    )
    left = 1 - recovered.sel(hypothesis="self", drop=True)
    pairs, cluster, random = (
        explained.sel(hypothesis=k, drop=True) for k in ("antipodal", "cluster", "random")
    )
    word = xr.full_like(left, "", dtype="U8")
    rules = {
        "number": cluster.notnull(),
        "cluster": cluster - random > MARGIN,
        "pairs": pairs >= ENOUGH * cluster,
        "neither": cluster < MARGIN,
        "self": left < LEAST,
    }
    for name, holds in rules.items():  # the last that holds
        word = xr.where(holds, name, word)
    share = xr.where(word == "pairs", pairs, cluster).where(word != "self")
    return xr.Dataset({"word": word, "share": share}).transpose(*left.dims)


def show(ds: xarray.Dataset, axes: tuple[str, str] = ("activation", "sparsity")) -> None:
    """Print what every hypothesis recovers, and where which one is needed."""
    from rich.console import Console

    for name in TABLES:
        title = f"recovered by {name}"
        print_tables(ds.sel(hypothesis=name).rename(scrub_recovered=title), title, axes)
    console = Console(width=max(100, 16 + 14 * ds.sizes[axes[1]]), highlight=False)
    for title, part in list(slices(ds, axes))[:MOST_TABLES]:
        print(f"what explains the interference, and which share of it{'; ' * bool(title)}{title}")
        console.print(_table(explanation(part), *axes))
    found = explanation(ds)
    cells = found["word"].values.ravel().tolist()
    print()
    for word, meaning in MEANING.items():
        if word in cells:
            print(f"{cells.count(word):5d} of {len(cells)} cells  {word or '-':8s} {meaning}")
    median = ds["scrub_recovered"].where(ds["status"] == OK).median("seed")
    cluster = median.sel(hypothesis="cluster")
    for name in ("antipodal", "self"):
        count = int((median.sel(hypothesis=name) >= ENOUGH * cluster).sum())
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
