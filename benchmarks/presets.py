"""Train presets as they are, and store their times and checked numbers.

Writes results/presets.json; presets that are not named keep what was measured before. The run
folders and figures are kept in `--runs`, and a run that was stopped goes on; its time is then that
of the last session alone, and marked so. A run that was finished before, also one with more seeds,
is not trained again; its time is that of its session, on this machine. `load` is the number of
other programs that were running when the training began, null for such a run.

    python benchmarks/presets.py --names geometry scaling
    python benchmarks/presets.py                           # all presets of NAMES, about two hours
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, seconds_of_sessions, write_json

import jsuper
from jsuper import presets
from jsuper.cli import results, several
from jsuper.core.family import sweep_from_dict

NAMES = ("pentagon", "correlated", "phase_2_1", "phase_3_2", "phase_activations")
NAMES += ("double_descent", "geometry", "scaling", "tms_5_2", "tms_5_2_id", "tms_40_10")
NAMES += ("tms_40_10_id", "resid_mlp_1", "resid_mlp_2", "development")
NAMES += ("privileged_basis", "abs_value", "abs_value_small")
NAMES += ("incidental", "adversarial", "norm_pull_scaling", "features_2d", "superposition")
NAMES += ("activations", "dropout", "scurves", "scurves_decay", "scurves_adamw")
NAMES += ("scurves_softmax",)


@dataclass(frozen=True)
class Options:
    """Options of the benchmark."""

    names: tuple[str, ...] = NAMES
    """presets"""
    runs: Path = Path("runs/presets")
    """folder of the run folders, which have the figures"""
    out: Path = RESULTS
    """folder of the results"""


def measured(name: str, runs: Path) -> dict[str, Any]:
    """Train a preset, draw its figure, and return its time and what its check found."""
    preset = presets.load(name)
    folder = runs / name
    asked = several.as_held(sweep_from_dict(preset.sweep), folder)
    finished = several.is_complete(asked, folder)
    about = describe_machine("cpu")
    about |= {"load": os.getloadavg()[0], "resumed": folder.exists() and not finished}
    start = time.perf_counter()
    ds = jsuper.load(folder) if finished else jsuper.run(asked, folder)
    about |= {"models": int(ds["status"].size), "seconds": time.perf_counter() - start}
    if finished:
        about |= of_sessions(folder, json.loads(ds.attrs["sessions"]))
    results.show(folder, preset)
    found = [
        {
            "quantity": one.quantity,
            "found": one.found,
            "interval": None if one.low != one.low else [one.low, one.high],
            "expected": one.expected,
        }
        for one in preset.function(preset.check)(ds)
    ]
    return about | {"checked": found}


def of_sessions(folder: Path, sessions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return when a finished run was trained, and for how long."""
    first = sessions[0]
    commit = str(first["git"])
    return {
        "date": first["started"],
        "commit": commit[:7] + "+" * commit.endswith("+"),
        "versions": first["versions"],
        "load": None,
        "resumed": len(sessions) > 1,
        "seconds": seconds_of_sessions(folder),
    }


def main() -> None:
    """Train, print and write, after each preset."""
    options = read_options(Options)
    path = options.out / "presets.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in options.names:
        print(results.preset_text(presets.load(name)), flush=True)
        report[name] = measured(name, options.runs)
        print(f"{name}: {report[name]['seconds'] / 60:.1f} min", flush=True)
        write_json(path, dict(sorted(report.items())))


if __name__ == "__main__":
    main()
