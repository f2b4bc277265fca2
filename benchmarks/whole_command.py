"""Measure the default command, from its start to its page, and where the time goes.

Writes results/whole_command.json and prints the table.

    python benchmarks/whole_command.py             # about 8 minutes on two cores
    python benchmarks/whole_command.py --rounds 1 --steps 2000 --out whole.json
    python benchmarks/whole_command.py --platform gpu --seeds 100 --rounds 1 --no-best

Each round runs `jsuper sweep` with an empty cache of compiled programs, then with the cache that
this has filled. Before and after each, two seeds of the same grid are trained for the best speed.
The wall time of a command is divided by the time that its model-steps take at the mean of the two.

The parts follow each other; `cpu_s` is of all threads. A part's evaluation and compilation beside
training are in `beside_training`, in seconds summed over threads.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from helpers.options import read_options
from helpers.timing import RESULTS, ROOT, describe_machine, run_python, write_json

# Runs the command in its process and notes when its parts begin, by wrapping their functions.
COMMAND = """
import json, os, sys, time

def spent():
    return time.time(), sum(os.times()[:2])

marks = [("import", float(sys.argv[1]), 0.0)]
report, arguments = sys.argv[2], sys.argv[3:]

from jsuper.cli import main, summary, sweeping
from jsuper.engine.counters import Progress
marks.append(("start", *spent()))

def begins(module, name, part, then=None):
    function = getattr(module, name)
    def wrapped(*args, **kwargs):
        marks.append((part, *spent()))
        result = function(*args, **kwargs)
        if then:
            marks.append((then, *spent()))
        return result
    setattr(module, name, wrapped)

def first_step(self, *args, done=Progress.segment_done):
    if not counters:
        counters.append(self)
        marks.append(("training", *spent()))
    done(self, *args)

counters = []
Progress.segment_done = first_step
begins(sweeping, "_expected", "plan")
begins(sweeping, "_execute", "compilation", then="rest")
begins(summary, "show", "table and figure")
begins(sweeping, "write_report", "page", then="exit")
code = main.main(["sweep", *arguments])
marks.append(("end", *spent()))
beside = {k: getattr(counters[0], k) for k in ("compile_s", "evaluate_s", "train_s", "model_steps")}
json.dump({"marks": marks, "beside_training": beside}, open(report, "w"))
sys.exit(code)
"""
# Prints model-steps per second of two seeds, compiled before.
BEST = """
import json, sys, jsuper
seeds, steps = map(int, sys.argv[1:])
sweep = jsuper.Sweep(seeds=seeds, steps=steps, records=max(1, steps // 100))  # as by default
for _ in range(2):  # the first compiles
    ds = jsuper.run(sweep, progress=False)
    timing = json.loads(ds.attrs["timing"])
print(timing["model_steps"] / timing["trained_s"])
"""


@dataclass
class Options:
    """Options of this benchmark."""

    rounds: int = 3
    steps: int = 10_000
    """of each model; 10,000 is the default command"""
    seeds: int = 3
    """likewise 3"""
    platform: str = "cpu"
    best: bool = True
    """measure the best speed, which is that of two seeds on a CPU"""
    source: Path = ROOT
    """checkout whose jsuper is measured"""
    out: Path = RESULTS / "whole_command.json"


def run_command(options: Options, folder: Path, cache: Path) -> dict[str, Any]:
    """Run the command into a folder; return its seconds and those of its parts."""
    report = folder.with_suffix(".json")
    arguments = ["--out", folder, "--steps", options.steps, "--seeds", options.seeds]
    arguments += ["--platform", options.platform, "--yes"]
    paths = [str(options.source), *filter(None, [os.environ.get("PYTHONPATH")])]
    began, before = time.time(), children_cpu()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, (began, report, *arguments))],
        env=os.environ | {"JSUPER_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(paths)},
        cwd=options.source,
        capture_output=True,
        text=True,
    )
    seconds = time.time() - began
    if done.returncode:
        raise RuntimeError(f"the command failed:\n{done.stderr}")
    noted = json.loads(report.read_text())
    marks = noted["marks"]
    parts = {
        name: {"wall_s": then[1] - at, "cpu_s": then[2] - cpu}
        for (name, at, cpu), then in zip(marks, marks[1:], strict=False)
    }
    parts["exit"]["wall_s"] = began + seconds - marks[-2][1]
    parts["exit"]["cpu_s"] = children_cpu() - before - marks[-2][2]
    return {"seconds": seconds, "parts": parts, "beside_training": noted["beside_training"]}


def children_cpu() -> float:
    """Return the CPU seconds of the processes that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def round_of(options: Options) -> dict[str, Any]:
    """Return what one round measures."""
    with tempfile.TemporaryDirectory() as place:
        cache = Path(place) / "cache"
        best, commands = [], {}
        if options.best:
            best.append(best_speed(options, Path(place) / "best"))
        for name in ("cold", "warm"):
            command = commands[name] = run_command(options, Path(place) / name, cache)
            if options.best:
                best.append(best_speed(options, Path(place) / "best"))
                at_best = command["beside_training"]["model_steps"] / mean(best[-2:])
                command["times_training"] = command["seconds"] / at_best
    return commands | {"best_model_steps_per_s": best}


def best_speed(options: Options, cache: Path) -> float:
    """Return the model-steps per second of two seeds."""
    steps = max(options.steps // 5, 100)
    return float(run_python(BEST, 2, steps, cache=str(cache), source=options.source).output)


def print_table(rounds: list[dict[str, Any]]) -> None:
    """Print the median wall and CPU seconds of every part."""
    print(f"{'part':18}" + "".join(f"{c + ' wall':>12}{'CPU':>8}" for c in ("cold", "warm")))
    for part in rounds[0]["cold"]["parts"]:
        row = f"{part:18}"
        for command in ("cold", "warm"):
            for kind, width in (("wall_s", 12), ("cpu_s", 8)):
                values = [r[command]["parts"][part][kind] for r in rounds]
                row += f"{median(values):{width}.2f}"
        print(row)
    for command in ("cold", "warm"):
        print(f"{command}: {median(r[command]['seconds'] for r in rounds):.1f} s")
    best = [speed for r in rounds for speed in r["best_model_steps_per_s"]]
    if best:
        for command in ("cold", "warm"):
            times = median(r[command]["times_training"] for r in rounds)
            print(f"{command}: {times:.2f} times the training at the best speed")
        low, high = min(best), max(best)
        print(f"best speed: {median(best):,.0f} model-steps/s ({low:,.0f} to {high:,.0f})")


def main(options: Options) -> None:
    """Measure, print and write."""
    rounds = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        rounds.append(round_of(options))
    print_table(rounds)
    report = describe_machine(options.platform) | {"steps": options.steps, "seeds": options.seeds}
    report["rounds"] = rounds
    write_json(options.out, report)


if __name__ == "__main__":
    main(read_options(Options, description=__doc__))
