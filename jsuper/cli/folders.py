"""The commands for whole run folders: list, compare and merge. They train nothing."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from jsuper.cli import process
from jsuper.cli.options import preset_of
from jsuper.cli.values import FLOAT, no_default, read
from jsuper.core.checks import real
from jsuper.core.errors import RunError, SpecError
from jsuper.core.family import family_of
from jsuper.core.text import counted, format_size, printable
from jsuper.store.manifest import NAME, manifest_of
from jsuper.store.shape import axes_of
from jsuper.store.status import problems, status_of, words
from jsuper.store.validate import number_of_seeds

if TYPE_CHECKING:
    from rich.table import Table

HIDDEN = "."  # folders with such a name are not searched


@dataclasses.dataclass(frozen=True)
class ListOptions:
    """List the run folders below a folder, finished or not.

    For each run: its preset or what it sweeps, the number of trained models, how many diverged or
    failed, the date of its latest chunk and its size.
    """

    folder: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FOLDER")] = "runs"
    """folder to search"""


def list_runs(argv: list[str]) -> int:
    """`jsuper list FOLDER`."""
    return process.reported(lambda: _list(Path(read(ListOptions, argv, "jsuper list").folder)))


def _list(folder: Path) -> int:
    from rich.table import Table

    if not folder.is_dir():
        raise SpecError(f"folder={str(folder)!r} is not a directory; give one with run folders")
    table = Table("run", "sweep", "models", "diverged", "failed", "last chunk", "size")
    table.box = None
    for run in run_folders(folder):
        table.add_row(printable(run.relative_to(folder)), *_cells(run))
    if table.row_count:
        _print(table)
    else:
        print(f"no run folders in {printable(folder)}")
    return process.DONE


def _print(table: Table) -> None:
    """Print a table, in a pipe without line breaks inside its cells."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False, markup=False).print(table)


def run_folders(folder: Path) -> Iterator[Path]:
    """Yield the run folders at and below a folder, in the order of their names; no links."""
    for place, names, files in os.walk(folder):
        if NAME in files or ("chunks" in names and any(Path(place, "chunks").glob("*.npz"))):
            names.clear()
            yield Path(place)
        names[:] = sorted(n for n in names if not n.startswith(HIDDEN))


def _cells(run: Path) -> list[str]:
    """Return the cells of a run; print why if it cannot be read."""
    try:
        found, sweep = status_of(run), manifest_of(run).sweep
    except (RunError, OSError) as error:
        print(f"warning: {printable(error)}", file=sys.stderr)
        return ["unreadable"]
    paths = list((run / "chunks").glob("*.npz"))
    last = max((p.stat().st_mtime for p in paths), default=None)
    return [
        preset_of(sweep) or swept(sweep),
        f"{found.models - found.missing:,}/{found.models:,}",
        f"{found.diverged:,}",
        f"{found.failed:,}",
        "-" if last is None else f"{datetime.fromtimestamp(last):%Y-%m-%d %H:%M}",
        format_size(sum(p.stat().st_size for p in paths)),
    ]


def swept(sweep: dict) -> str:
    """Return the axes of a stored sweep: 'toy: 27 activations x 7 sparsities x 3 seeds'."""
    values, _ = axes_of(family_of(sweep["model"]).spec.Sweep, sweep)
    axes = [counted(len(v), k.replace("_", " ")) for k, v in values.items() if len(v) > 1]
    axes.append(counted(number_of_seeds(sweep["seeds"]), "seed"))
    return f"{sweep['model']}: {' x '.join(axes)}"


@dataclasses.dataclass(frozen=True)
class CompareOptions:
    """Compare the models of two runs, for example one from a CPU and one from a GPU.

    Models are matched by their coordinates. Exit code 0: all models that both runs have are the
    same within the tolerance; 1: some differ; 2: the runs cannot be compared.
    """

    a: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="A")]
    """run folder"""
    b: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="B")]
    """run folder"""
    tolerance: Annotated[float, FLOAT] = 1e-5
    """largest relative difference of a variable: max |a - b| / max(|a|, |b|) over its elements"""


def compare(argv: list[str]) -> int:
    """`jsuper compare A B`."""
    return process.reported(lambda: _compare(read(CompareOptions, argv, "jsuper compare")))


def _compare(options: CompareOptions) -> int:
    from rich.table import Table

    from jsuper.store.comparing import compare

    tolerance = real(0, hint="try 1e-5")("tolerance", options.tolerance)
    try:
        found = compare(options.a, options.b, tolerance)
    except (RunError, OSError) as error:  # 1 says that models differ
        raise SpecError(str(error)) from error
    table = Table("variable", "largest difference", f"models above {tolerance:g}", "largest at")
    table.box = None
    for name, difference in found.variables.items():
        largest = f"{difference.largest:.2g}" if difference.largest else "0"
        where = difference.where if difference.largest else ""
        table.add_row(name, largest, f"{difference.beyond:,} of {found.shared:,}", where)
    _print(table)
    print(
        f"{found.shared:,} models in both, {found.only[0]:,} only in {printable(options.a)}, "
        f"{found.only[1]:,} only in {printable(options.b)}; {found.other_status:,} with another "
        "status"
    )
    return process.DONE if found.equal else process.ERROR


@dataclasses.dataclass(frozen=True)
class MergeOptions:
    """Combine run folders of one sweep into a new one: other seeds, settings, shares or machines.

    Of a model that several folders hold, the finite one is kept. The folders stay as they are.
    """

    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], no_default("RUN ...")]
    """run folders, at least two"""
    out: Annotated[str, tyro.conf.arg(metavar="FOLDER")]
    """the new run folder; it must not exist"""


def merge(argv: list[str]) -> int:
    """`jsuper merge A B ... --out C`."""
    return process.reported(lambda: _merge(read(MergeOptions, argv, "jsuper merge", ["out"])))


def _merge(options: MergeOptions) -> int:
    from jsuper.store.merging import merge

    if len(options.runs) < 2:
        raise SpecError(f"merge needs at least two run folders, not {len(options.runs)}")
    out = Path(options.out)
    process.check_writable(out)
    for run in options.runs:
        for problem in problems(run):
            print(f"warning: {printable(problem)}", file=sys.stderr)
    merge([Path(run) for run in options.runs], out)
    found = status_of(options.out)
    print(words(found))
    if found.missing:
        print(
            f"to train what is missing: jsuper sweep --config {options.out}/sweep.toml "
            f"--out {options.out}"
        )
    return process.DONE
