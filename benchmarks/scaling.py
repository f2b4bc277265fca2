"""Measure how time and memory grow with models, n, m, batch, steps and workers.

Writes results/scaling.json and docs/scaling.png.

    python benchmarks/scaling.py            # about ten minutes on two cores
    python benchmarks/scaling.py --quick    # few points of each panel

Every point is trained in a new process, which compiles first and is then timed.
"""

import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from helpers.options import read_options
from helpers.timing import (
    RESULTS,
    describe_machine,
    device_name,
    figure_path,
    run_python,
    write_json,
)
from matplotlib.ticker import LogLocator

from jsuper.core import files

RELU = {"activation": "relu", "seeds": 16, "steps": 200}
# panel -> (what varies, its values, the sweep at a value)
PANELS: dict[str, tuple[str, list[int], Any]] = {
    "models": (
        "models, 27 activations, 50 steps",
        [27, 189, 1_890, 18_900, 100_170],
        lambda v: {"steps": 50, "seeds": max(1, v // 189)} | ({"sparsity": 0.9} if v < 189 else {}),
    ),
    "features": (
        "n_features, m 5, 7 sparsities",
        [5, 10, 20, 50, 100, 200],
        lambda v: RELU | {"n_features": v},
    ),
    "hidden": (
        "n_hidden, n 20, 7 sparsities",
        [1, 2, 5, 10, 20],
        lambda v: RELU | {"n_hidden": v},
    ),
    "batch": (
        "batch size, n 20, m 5, 7 sparsities",
        [64, 256, 1024, 4096],
        lambda v: RELU | {"batch_size": v},
    ),
    "steps": (
        "steps, 27 activations x 7 sparsities",
        [100, 1_000, 10_000],
        lambda v: {"steps": v, "seeds": 2},
    ),
}
QUICK = {"models": 3, "features": 3, "hidden": 2, "batch": 2, "steps": 2}

# What a process runs: everything twice, the first time to compile.
PROGRAM = """
import json, sys
import jsuper
options = json.loads(sys.argv[1])
workers = options.pop("workers", None)
sweep = jsuper.Sweep(records=max(1, options["steps"] // 100), **options)
for _ in range(2):
    ds = jsuper.run(sweep, progress=False, platform="cpu", workers=workers)
    timing = json.loads(ds.attrs["timing"])
timing["result_bytes"] = ds.nbytes
print(json.dumps(timing))
"""

# Seconds to a command's first step.
START = """
import sys, tempfile, time
from pathlib import Path
began = float(sys.argv[1])
import jsuper
from jsuper.engine import counters, devices, programs, stopping
from jsuper.jobs import runner
from jsuper.jobs.job import prepare
programs.use_compilation_cache()
used = devices.make_plan("cpu")
folder = tempfile.TemporaryDirectory()
job = prepare(jsuper.Sweep(), Path(folder.name) / "run", used)
progress, stop = counters.Progress(), stopping.Stop()
def tick():
    if progress.model_steps and not stop.is_set():
        print(time.time() - began, flush=True)
        stop.set()
try:
    runner.execute(job, used, progress, stop, tick)
except runner.StoppedError:
    pass
"""


@dataclass(frozen=True)
class Options:
    """Measure how jsuper's time and memory grow."""

    quick: bool = False
    """few points of each panel"""
    out: Path = RESULTS
    """folder of the results"""


def measure_panels(quick: bool) -> dict[str, list[dict[str, Any]]]:
    """Return the timing of every point of every panel."""
    panels = {}
    for name, (title, values, sweep_at) in PANELS.items():
        panels[name] = []
        for value in values[: QUICK[name]] if quick else values:
            finished = run_python(PROGRAM, json.dumps(sweep_at(value)))
            timing = json.loads(finished.output) | {"peak_bytes": finished.peak_bytes or 0}
            panels[name].append({"value": value, **timing})
            speed = timing["model_steps"] / timing["wall_s"]
            print(
                f"{title}: {value:>7,}  {timing['wall_s']:7.2f} s, of which evaluation "
                f"{timing['evaluate_s'] / timing['workers']:.2f}; {speed:>9,.0f} model-steps/s; "
                f"peak {timing['peak_bytes'] / 2**20:,.0f} MiB",
                flush=True,
            )
    return panels


def measure_workers(quick: bool) -> dict[str, Any]:
    """Return the speed with one worker and with all, on the grid of 27 x 7, and the efficiency."""
    grid = {"steps": 200 if quick else 1000, "seeds": 4}
    speeds = {}
    for workers in (1, os.cpu_count() or 1):
        timing = json.loads(run_python(PROGRAM, json.dumps(grid | {"workers": workers})).output)
        speeds[workers] = timing["model_steps"] / timing["wall_s"]
    most = max(speeds)
    return {"model_steps_per_s": speeds, "efficiency": speeds[most] / speeds[1] / most}


def measure_start() -> dict[str, float]:
    """Return the seconds from start to first steps, with an empty and a filled cache."""
    with tempfile.TemporaryDirectory() as cache:
        names = ("empty cache", "second process")
        return {k: float(run_python(START, time.time(), cache=cache).output) for k in names}


def plot(panels: dict[str, list[dict[str, Any]]], title: str, path: Path) -> None:
    """Draw the seconds and the peak memory of every panel."""
    figure, axes = plt.subplots(1, len(panels), figsize=(16, 3.4), layout="constrained")
    for axis, (name, rows) in zip(axes, panels.items(), strict=True):
        values = [row["value"] for row in rows]
        (seconds,) = axis.loglog(values, [row["wall_s"] for row in rows], "o-", label="seconds")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("")
        axis.set_xlabel(PANELS[name][0])
        memory = axis.twinx()
        peak = [row["peak_bytes"] / 2**30 for row in rows]
        (bytes_,) = memory.plot(values, peak, "s--", color="0.6", label="peak memory, GiB")
        memory.set_ylim(0, 1.2 * max(2.0, *peak))
        if axis is axes[0]:
            axis.set_ylabel("seconds")
            axis.legend(handles=[seconds, bytes_], loc="upper left", frameon=False)
        if axis is axes[-1]:
            memory.set_ylabel("GiB")
    figure.suptitle(title)
    files.write_atomically(path, lambda f: figure.savefig(f, format="png", dpi=130))


def main() -> None:
    """Measure, print, write and draw."""
    options = read_options(Options)
    report = describe_machine("cpu")
    report["start_s"] = measure_start()
    print(
        "to the first steps: " + ", ".join(f"{k} {v:.1f} s" for k, v in report["start_s"].items())
    )
    report["workers"] = measure_workers(options.quick)
    print(f"workers: {report['workers']}")
    report["panels"] = measure_panels(options.quick)
    path = options.out / f"scaling{'-quick' * options.quick}.json"
    write_json(path, report)
    efficiency = f"two workers are {report['workers']['efficiency']:.0%} efficient"
    title = f"{device_name(report)}, float32; {efficiency}"
    plot(report["panels"], title, figure_path(path))
    print(path)


if __name__ == "__main__":
    main()
