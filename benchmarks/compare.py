"""Model-steps per second before and after a change, in one run.

    python benchmarks/compare.py rows --before HEAD~1

The commit before is checked out into a temporary folder. Both versions then take turns, each in a
process of its own, on the same grids; ratios are taken within a round, so that a machine that slows
down does so for both. Writes results/gain-<name>.json.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from timing import describe_machine, device_name, write_json

HERE = Path(__file__).parent
RESULTS = HERE / "results"
GRIDS: dict[str, dict[str, Any]] = {
    "27 activations x 7 sparsities, n 20, m 5": {"seeds": 4, "steps": 600},
    "27 activations at .999, n 20, m 5": {"seeds": 8, "steps": 2000, "sparsity": 0.999},
    "relu x 7 sparsities, n 20, m 5": {"seeds": 32, "steps": 1000, "activation": "relu"},
    "relu at .999, n 20, m 5": {
        "seeds": 32,
        "steps": 2000,
        "activation": "relu",
        "sparsity": 0.999,
    },
    "relu x 7 sparsities, n 5, m 2": {
        "seeds": 32,
        "steps": 2000,
        "activation": "relu",
        "n_features": 5,
        "n_hidden": 2,
    },
    "relu x 7 sparsities, n 100, m 20": {
        "seeds": 8,
        "steps": 100,
        "activation": "relu",
        "n_features": 100,
        "n_hidden": 20,
    },
}

# What each process runs: every grid once to compile, then once for the time.
PROGRAM = """
import json, sys
import jsuper
for grid in json.loads(sys.argv[1]):
    sweep = jsuper.Sweep(records=max(1, grid["steps"] // 100), **grid)
    for _ in range(2):
        ds = jsuper.run(sweep, progress=False, platform="cpu")
        timing = json.loads(ds.attrs["timing"])
    seconds = timing["train_s"] / timing["workers"]
    print(timing["model_steps"] / seconds, flush=True)
"""


@dataclass(frozen=True)
class Options:
    """Time two versions of jsuper in turn."""

    name: Annotated[str, tyro.conf.Positional]
    """of the change, for the file's name"""
    before: str = "HEAD~1"
    """the commit to compare with"""
    rounds: int = 3
    """turns of each version"""
    grids: tuple[str, ...] = tuple(GRIDS)
    """which of the grids to run"""


def speeds(source: Path, grids: tuple[str, ...]) -> list[float]:
    """Model-steps per second of the version in `source` on each grid."""
    environment = os.environ | {"PYTHONPATH": str(source)}
    command = [sys.executable, "-c", PROGRAM, json.dumps([GRIDS[name] for name in grids])]
    done = subprocess.run(
        command, env=environment, cwd=source, check=True, capture_output=True, text=True
    )
    return [float(line) for line in done.stdout.split()]


def compare(options: Options, before: Path) -> dict[str, Any]:
    """All rounds of both versions, their medians, and the ratios within rounds."""
    rounds: dict[str, list[list[float]]] = {"before": [], "after": []}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        rounds["before"].append(speeds(before, options.grids))
        rounds["after"].append(speeds(HERE.parent, options.grids))
    result = {}
    for index, grid in enumerate(options.grids):
        each = {k: [r[index] for r in values] for k, values in rounds.items()}
        ratios = [a / b for a, b in zip(each["after"], each["before"], strict=True)]
        medians = {k: statistics.median(v) for k, v in each.items()}
        result[grid] = {**medians, "ratio": statistics.median(ratios), "ratios": ratios}
    return result


def main() -> None:
    """Run, print and write."""
    options = tyro.cli(Options)
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", str(HERE.parent)]
        subprocess.run([*git, "worktree", "add", "-q", folder, options.before], check=True)
        try:
            result = compare(options, Path(folder))
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", folder], check=True)
    report = {**describe_machine("cpu"), "unit": "model-steps/s", "grids": result}
    for grid, row in result.items():
        line = f"{row['before']:>10,.0f} -> {row['after']:>10,.0f}, {row['ratio']:.2f} times"
        print(f"{grid:<42}{line}")
    path = RESULTS / f"gain-{options.name}.json"
    write_json(path, report)
    print(f"{device_name(report)}: {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
