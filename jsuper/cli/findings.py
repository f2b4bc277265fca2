"""The command `findings`: train what the findings need, decide them, and write their pages."""

from __future__ import annotations

import dataclasses
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

import tyro

from jsuper.cli import process, several
from jsuper.cli.options import check_platform
from jsuper.cli.values import INT, no_default, read
from jsuper.core.checks import integer
from jsuper.core.errors import SpecError
from jsuper.core.json_data import JSONObject
from jsuper.core.reading import FINDINGS_JSON, parse_json, read_text
from jsuper.core.text import printable

DOCS = Path("docs") / "findings"


@dataclasses.dataclass(frozen=True)
class FindingsOptions:
    """Decide findings: train what is missing of their sweeps, judge them, and write their pages.

    Without names all findings are decided, and OUT/index.md, a page for each source and
    OUT/findings.json are written. With names the verdicts are printed and nothing is written;
    their p is then corrected over these alone.
    """

    names: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[NAME|SOURCE ...]")
    ] = ()
    """findings, or sources such as baron-2025; all by default"""
    seeds: Annotated[int, INT] = 20
    """number of seeds; small models of S-curves have five times as many"""
    runs: str = "runs/findings"
    """folder of the run folders, which are extended if they have fewer seeds"""
    out: Annotated[str | None, no_default("FOLDER")] = None
    """folder of the pages; docs/findings, or RUNS/pages where that has pages from more seeds"""
    platform: str = "auto"
    """auto, cpu, gpu or tpu"""


def findings(argv: list[str] | None = None) -> int:
    """`jsuper findings`, also `python scripts/findings.py`."""
    return process.reported(lambda: _findings(read(FindingsOptions, argv, "jsuper findings")))


def _findings(options: FindingsOptions) -> int:
    from jsuper.findings import catalog, sweeps

    integer(2, hint="a verdict needs a spread over seeds")("seeds", options.seeds)
    check_platform(options.platform)
    chosen = catalog.chosen(options.names)
    wanted = catalog.sweeps_of(chosen)
    runs = Path(options.runs)
    process.check_writable(runs)
    if options.names and options.out is not None:
        raise SpecError(f"--out {options.out}: pages are of all findings; leave out the names")
    out = None if options.names else _out(options)
    if out is not None:
        process.check_writable(out)
    code = _train(options, sweeps.needed(wanted), runs)
    if code not in (process.DONE, process.SOME_FAILED):
        return code

    def decide() -> None:
        process.start_analysis()
        print("measuring every model for the findings ...", file=sys.stderr, flush=True)
        data = sweeps.load(runs, wanted, options.seeds)
        print("judging the findings and their placebos ...", file=sys.stderr, flush=True)
        if out is None:
            show(catalog.decided(chosen, data))
            return
        from jsuper.findings import judge, page, results

        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
            placebos = other.submit(catalog.count_placebos, options.names, runs, options.seeds)
            found = [results.as_data(judged) for judged in judge(chosen, data)]
            page.draw(found, out)
            found = catalog.with_placebos(found, placebos.result())
        show(found)
        print(f"findings {printable(page.write(found, data, options.seeds, out))}")

    return code if process.concluded(decide) else process.STOPPED


def _train(options: FindingsOptions, names: tuple[str, ...], runs: Path) -> int:
    """Train or extend the sweeps that lack models, and return the exit code."""
    from jsuper.findings.sweeps import SWEEPS

    asked = {n: several.as_held(SWEEPS[n].sweep(options.seeds), runs / n) for n in names}
    minutes = {n: SWEEPS[n].minutes * options.seeds / 20 for n in names}
    return several.train(asked, minutes, runs, options.platform)


def _out(options: FindingsOptions) -> Path:
    """Where the pages go: none from more seeds is written over unless it is asked for."""
    if options.out is not None:
        return Path(options.out)
    try:
        held = parse_json(read_text(DOCS / "findings.json", FINDINGS_JSON))["seeds"]
        if held <= options.seeds:
            return DOCS
    except (OSError, ValueError, KeyError, TypeError):
        return DOCS
    out = Path(options.runs) / "pages"
    print(f"note     {DOCS} is from {held} seeds and stays; these pages go to {printable(out)}")
    return out


def show(found: list[JSONObject]) -> None:
    """Print the verdicts, a line each, and their counts."""
    from rich.console import Console
    from rich.table import Column, Table

    columns = Column("finding", no_wrap=True), Column("verdict", no_wrap=True), "why"
    rows = Table(*columns, box=None, pad_edge=False)
    for finding in found:
        rows.add_row(finding["name"], finding["verdict"] or "measured", finding["why"])
    Console(highlight=False, markup=False).print(rows)
    for verdict in dict.fromkeys(f["verdict"] for f in found):
        print(f"{sum(f['verdict'] == verdict for f in found):>4} {verdict or 'measured'}")


def claims(argv: list[str] | None = None) -> int:
    """`jsuper claims`: the older name."""
    print("note     jsuper claims is now jsuper findings", file=sys.stderr)
    return findings(argv)


STUDIES = {
    "dropout": ["pona-2023"],
    "gelu": ["gelu-correction", "gelu-tutorial"],
    "phases": ["elhage-2022"],
    "scurves": ["jermyn-2022"],
}
"""Name of an older study -> the sources that took its place."""


def study(argv: list[str] | None = None) -> int:
    """`jsuper study NAME`: the older name."""
    words = sys.argv[1:] if argv is None else argv
    named = [source for word in words for source in STUDIES.get(word, [word])]
    print(f"note     jsuper study is now jsuper findings {' '.join(named)}", file=sys.stderr)
    return findings(named)
