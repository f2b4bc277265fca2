"""How long `jsuper findings` takes with new folders, as a whole and by sweep.

    python benchmarks/findings_time.py [--runs DIR] [--seeds 20] [--out DIR]

Runs the whole command; with folders that have all models already, only the second number is one of
the command, and the first is the sum of the sessions of the folders. Writes findings_time.json.
"""

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, seconds_of_sessions, write_json


@dataclasses.dataclass
class Options:
    """Time of the command `jsuper findings`."""

    runs: Path = Path("runs/findings_timed")
    """folder of the run folders"""
    seeds: int = 20
    """number of seeds"""
    out: Path = RESULTS
    """folder of findings_time.json"""


def command(options: Options) -> float:
    """Return the minutes that the command takes."""
    args = ["findings", "--runs", options.runs, "--seeds", options.seeds]
    begin = time.perf_counter()
    pages = options.runs / "pages"
    subprocess.run(
        [sys.executable, "-m", "jsuper", *map(str, args), "--out", str(pages)], check=True
    )
    return (time.perf_counter() - begin) / 60


def main() -> None:
    """Time the command with new folders, and again with all models there."""
    from jsuper.findings.sweeps import SWEEPS

    options = read_options(Options)
    is_new = not any((options.runs / name).exists() for name in SWEEPS)
    first = command(options)
    again = command(options) if is_new else first
    sweeps = {name: round(seconds_of_sessions(options.runs / name) / 60, 2) for name in SWEEPS}
    whole = first if is_new else sum(sweeps.values()) + again
    report = {"seeds": options.seeds, "minutes": round(whole, 1), "one_go": is_new}
    report |= {"minutes_with_all_models": round(again, 2), "training": sweeps}
    write_json(options.out / "findings_time.json", describe_machine("cpu") | report)


if __name__ == "__main__":
    main()
