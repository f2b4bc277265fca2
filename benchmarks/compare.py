"""Compare the model-steps per second of this checkout with those of an earlier commit.

Writes results/compare.json.

    python benchmarks/compare.py --before HEAD~1

The earlier commit is checked out into a temporary folder. Both versions take turns on the same
grids, each time in a new process, and ratios are taken within a round.
"""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from helpers.options import read_options
from helpers.timing import (
    RESULTS,
    ROOT,
    describe_machine,
    device_name,
    in_turns,
    ratios,
    run_python,
    write_json,
)

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

    before: str = "HEAD~1"
    """the commit to compare with"""
    rounds: int = 3
    """turns of each version"""
    grids: tuple[str, ...] = tuple(GRIDS)
    """grids to train"""
    out: Path = RESULTS
    """folder of the results"""


def speeds(source: Path, grids: tuple[str, ...]) -> list[float]:
    """Return the model-steps per second of the version in `source` on each grid."""
    finished = run_python(PROGRAM, json.dumps([GRIDS[name] for name in grids]), source=source)
    return [float(line) for line in finished.output.split()]


def compare(options: Options, before: Path) -> dict[str, Any]:
    """Return, for each grid, the medians of both versions and the ratios within rounds."""
    sources = {"before": before, "after": ROOT}
    ways = {k: partial(speeds, source, options.grids) for k, source in sources.items()}
    rounds = in_turns(ways, options.rounds)
    result = {}
    for index, grid in enumerate(options.grids):
        rates = {k: [values[index] for values in found] for k, found in rounds.items()}
        medians = {k: median(values) for k, values in rates.items()}
        result[grid] = medians | {"ratio": ratios(rates["after"], rates["before"])}
    return result


def main() -> None:
    """Run, print and write."""
    options = read_options(Options)
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "-q", "--detach", folder, options.before], check=True)
        try:
            result = compare(options, Path(folder))
        finally:
            subprocess.run([*git, "remove", "--force", folder], check=True)
    report = {**describe_machine("cpu"), "before": options.before, "grids": result}
    for grid, row in result.items():
        change = f"{row['before']:>10,.0f} -> {row['after']:>10,.0f}"
        print(f"{grid:<42}{change}, {row['ratio']['median']:.2f} times")
    write_json(options.out / "compare.json", report)
    print(device_name(report))


if __name__ == "__main__":
    main()
