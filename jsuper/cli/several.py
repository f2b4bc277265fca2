"""Several sweeps, each trained in a folder of its name: for findings and the gallery."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from jsuper.cli import process, sweeping
from jsuper.cli.options import RunOptions
from jsuper.core.errors import RunError
from jsuper.core.sweep import BaseSweep
from jsuper.core.text import format_duration
from jsuper.jobs.job import existing_job
from jsuper.store.manifest import manifest_of


def train(
    asked: Mapping[str, BaseSweep], minutes: Mapping[str, float], runs: Path, platform: str
) -> int:
    """Train what RUNS/NAME lacks of each sweep, one after another, and return the exit code.

    Parameters
    ----------
    asked
        Name -> sweep, which has at least the seeds that its folder has, as from `as_held`.
    minutes
        Name -> expected time on two cores.
    runs
        Folder of the run folders.
    platform
        As the option of `jsuper sweep`.

    Returns
    -------
    int
        Not `DONE` or `SOME_FAILED` if training stopped; the sweeps behind it were not begun.
    """
    missing = [name for name in asked if not is_complete(asked[name], runs / name)]
    if missing:
        duration = format_duration(60 * sum(minutes[name] for name in missing))
        print(f"{len(missing)} of {len(asked)} sweeps to train, about {duration} on two cores")
    options, code = RunOptions(platform=platform, no_report=True, yes=True), process.DONE
    for i, name in enumerate(missing):
        print(f"sweep    {name} ({i + 1} of {len(missing)})", flush=True)
        found = sweeping.run_sweep(asked[name], options, runs / name)
        if found not in (process.DONE, process.SOME_FAILED):
            return found
        code = max(code, found)
    return code


def as_held(asked: BaseSweep, folder: Path) -> BaseSweep:
    """Return a sweep with as many seeds as are asked for, or as its folder has."""
    try:
        held = manifest_of(folder).sweep["seeds"]
    except (FileNotFoundError, RunError):  # nothing was written yet, or the sweep will say so
        held = 0
    return asked if asked.seed_count >= held else dataclasses.replace(asked, seeds=held)


def is_complete(asked: BaseSweep, folder: Path) -> bool:
    """Return whether a folder has all models of a sweep."""
    return folder.exists() and existing_job(asked, folder).is_complete
