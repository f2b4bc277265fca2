"""Train presets as they are, and store their times and checked numbers.

Writes results/presets.json; presets that are not named keep what was measured before. The run
folders and figures are kept in `--runs`, and a run that was stopped goes on; its time is then that
of the last session alone, and marked so.

    python benchmarks/presets.py --names geometry scaling
    python benchmarks/presets.py                           # all presets of data laws, about an hour
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, write_json

import jsuper
from jsuper import presets
from jsuper.cli import results
from jsuper.core.family import sweep_from_dict

NAMES = ("pentagon", "correlated", "phase_2_1", "phase_3_2", "phase_activations")
NAMES += ("double_descent", "geometry", "scaling", "tms_5_2", "tms_5_2_id", "tms_40_10")
NAMES += ("tms_40_10_id", "resid_mlp_1", "resid_mlp_2", "development")
NAMES += ("privileged_basis", "abs_value", "abs_value_small")
NAMES += ("incidental", "adversarial", "norm_pull_scaling")


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
    resumed = folder.exists()
    start = time.perf_counter()
    ds = jsuper.run(sweep_from_dict(preset.sweep), folder)
    seconds = time.perf_counter() - start
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
    machine = describe_machine("cpu")
    machine |= {"models": int(ds["status"].size), "seconds": seconds, "resumed": resumed}
    return machine | {"checked": found}


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
