"""The command: train what the claims need, decide them, and write it down."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import jsuper
from jsuper.claims.sweeps import SWEEPS
from jsuper.cli import process, sweeping
from jsuper.cli.options import RunOptions, check_platform
from jsuper.cli.values import INT, no_default, read
from jsuper.core.checks import integer
from jsuper.core.json_data import JSONObject
from jsuper.core.reading import CLAIMS_JSON, parse_json, read_text
from jsuper.core.sources import citation


@dataclasses.dataclass(frozen=True)
class ClaimsOptions:
    """Decide the published claims.

    Train what is missing of the sweeps that they need. Write OUT/claims.json, DOCS/claims.md and a
    section in the report of every sweep.
    """

    seeds: Annotated[int, INT] = 10
    """number of seeds; claims on low-rank learning always have 100"""
    out: Annotated[str | None, no_default("FOLDER")] = None
    """folder of the run folders and of claims.json; runs/claims, or runs/claims-N-seeds"""
    docs: Annotated[str | None, no_default("FOLDER")] = None
    """folder of claims.md, its figures and its copy of claims.json; docs, or OUT where docs has a
    page from more seeds"""
    platform: str = "auto"
    """auto, cpu, gpu or tpu"""
    no_report: Annotated[bool, no_default()] = False
    """do not write the run folders' report.html"""


def claims(argv: list[str] | None = None) -> int:
    """`jsuper claims`, also `python scripts/claims.py`."""
    return process.reported(lambda: _claims(read(ClaimsOptions, argv, "jsuper claims")))


def _claims(options: ClaimsOptions) -> int:
    integer(2, hint="a verdict needs a spread over seeds")("seeds", options.seeds)
    check_platform(options.platform)
    ending = "" if options.seeds == 10 else f"-{options.seeds}-seeds"
    out = Path(options.out or f"runs/claims{ending}")
    process.check_writable(out)
    docs = _docs(options, out)
    process.check_writable(docs)
    run = RunOptions(platform=options.platform, no_report=True)
    for name, sweep in SWEEPS.items():
        print(f"sweep    {name}", flush=True)
        code = sweeping.run_sweep(sweep(options.seeds), run, out / name)
        if code not in (process.DONE, process.SOME_FAILED):
            return code
    done = process.concluded(lambda: _decide(options, out, docs))
    return process.DONE if done else process.STOPPED


def _docs(options: ClaimsOptions, out: Path) -> Path:
    """Where the page goes: no page from more seeds is written over unless it is asked for."""
    if options.docs is not None:
        return Path(options.docs)
    docs = Path("docs")
    try:
        held = parse_json(read_text(docs / "claims.json", CLAIMS_JSON))["sweeps"]
        seeds = min(sweep["seeds"] for sweep in held)
    except (OSError, ValueError, KeyError, TypeError):
        return docs
    if seeds <= options.seeds:
        return docs
    print(f"note     {docs}/claims.md is from {seeds} seeds and stays; this page goes to {out}")
    return out


def _decide(options: ClaimsOptions, out: Path, docs: Path) -> None:
    process.start_analysis()
    from jsuper.claims import page
    from jsuper.claims.sources import CLAIMS
    from jsuper.report import write

    print("measuring every model for the claims ...", file=sys.stderr, flush=True)
    runs = {name: jsuper.analyze(jsuper.load(out / name)) for name in SWEEPS}
    table = page.decided(CLAIMS, runs)
    show(table)
    page.write_json(out / "claims.json", table, runs)
    print(f"claims   {page.write(table, runs, docs)}")
    for name, ds in runs.items():
        mine = [c for c in table if name in c["sweeps"]]
        page.write_json(out / name / "claims.json", mine, {name: ds})
        if not options.no_report:
            print(f"report   {write(out / name)}")


def show(table: list[JSONObject]) -> None:
    """Print the verdicts, a line each, and their counts."""
    from rich.console import Console
    from rich.table import Table

    rows = Table("source", "claim", "verdict", "why", box=None, pad_edge=False)
    for claim in table:
        rows.add_row(citation(claim["source"]), claim["name"], claim["verdict"], claim["why"])
    Console(highlight=False, markup=False).print(rows)
    for verdict in dict.fromkeys(c["verdict"] for c in table):
        print(f"{sum(c['verdict'] == verdict for c in table):>4} {verdict}")
