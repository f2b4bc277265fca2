"""The commands that read finished runs: report, scrub, export."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

import jsuper
from jsuper.cli import process, sweeping
from jsuper.cli.options import RunOptions
from jsuper.cli.values import FLOAT, no_default, read, selected
from jsuper.core.checks import real
from jsuper.core.family import family_of
from jsuper.core.text import printable
from jsuper.store.manifest import manifest_of


@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """Write RUN/report.html: a whole sweep on one page, finished or not, for any browser."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """run folder"""


def report(argv: list[str] | None = None) -> int:
    """`jsuper report RUN`, also `python scripts/report.py RUN`."""

    def write() -> int:
        options = read(ReportOptions, argv, "jsuper report")
        manifest_of(options.run)
        done = process.concluded(lambda: sweeping.write_report(Path(options.run), RunOptions()))
        return process.DONE if done else process.STOPPED

    return process.reported(write)


@dataclasses.dataclass(frozen=True)
class ScrubOptions:
    """Run causal scrubbing on every model of a run.

    It measures how much of a model's output each hypothesis explains: all, self, antipodal,
    cluster, subspaces, random and none. It writes RUN/scrubbing.npz, prints tables and updates
    RUN/report.html.
    """

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """run folder"""
    overlap: Annotated[float, FLOAT] = 0.1
    """least |cosine| that joins two features in a cluster, in (0, 1]"""
    no_report: Annotated[bool, no_default()] = False
    """do not update the run folder's report.html"""


def scrub(argv: list[str] | None = None) -> int:
    """`jsuper scrub RUN`, also `python scripts/scrub.py RUN`."""

    def write() -> int:
        options = read(ScrubOptions, argv, "jsuper scrub")
        overlap = real(0, 1, closed="right", hint="try 0.1")("overlap", options.overlap)
        options = dataclasses.replace(options, overlap=overlap)
        _ = family_of(manifest_of(options.run).sweep["model"]).scrubbing  # or it is refused
        return process.DONE if process.concluded(lambda: _scrub(options)) else process.STOPPED

    return process.reported(write)


def _scrub(options: ScrubOptions) -> None:
    process.start_analysis()
    from jsuper.cli import scrub

    folder = Path(options.run)
    ds = scrub.kept_or_new(folder, options.overlap)
    scrub.show(ds)
    print(f"scrubbed {printable(folder / 'scrubbing.npz')}")
    if not options.no_report:
        sweeping.write_report(folder, RunOptions())


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Write a run's results for other programs.

    netcdf has all, csv and parquet a row per model, safetensors the weights for PyTorch code.
    """

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """run folder"""
    format: Annotated[str, tyro.conf.arg(metavar="{csv,netcdf,parquet,safetensors}")] = "csv"
    """all but csv need jsuper[io]"""
    force: Annotated[bool, no_default()] = False
    """replace the results if they exist"""
    names: Annotated[str | None, no_default("{torch,notebook,spd,jsuper}")] = None
    """names of the tensors in safetensors; torch by default, jsuper for families without it"""
    select: Annotated[tuple[str, ...], no_default("FIELD=VALUE ...")] = ()
    """models in safetensors: sparsity=0.9 seed=0 seed=1; all by default"""
    stacked: Annotated[bool, no_default()] = False
    """one file of safetensors for all models, instead of one each"""


def export(argv: list[str] | None = None) -> int:
    """`jsuper export RUN --format csv|netcdf|parquet|safetensors [--force]`."""

    def write() -> int:
        options = read(ExportOptions, argv, "jsuper export")
        select = selected(options.select)
        further = {"names": options.names, "select": select, "stacked": options.stacked}
        print(printable(jsuper.export(options.run, options.format, options.force, **further)))
        return process.DONE

    return process.reported(write)
