"""How long each launch of 20 steps takes on a GPU: the kernel that trains, and its draws.

    python benchmarks/kernel_profile.py                    # on a GPU, with Nsight Compute's ncu
    python benchmarks/kernel_profile.py --profile ncu.txt  # from what ncu printed before

Trains one activation at seven sparsities, whose models share the draws of a seed, and writes
kernel_profile.json. ncu times one launch after another, with nothing beside it.
"""

import datetime
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.options import read_options
from helpers.timing import RESULTS, ROOT, write_json

from jsuper.models.toy.kernels.source import WARPS

STEPS = 20  # of a launch
TRAINS = "train"  # the kernel's name
METRIC = "gpu__time_duration.sum"
# A launch: its name, and its time with a unit.
LAUNCH = re.compile(r"^  (\S.*?) \(\d+, \d+, \d+\)x\(.*$")
SECONDS = re.compile(rf"^\s+{re.escape(METRIC)}\s+(\w+)\s+([\d.,]+)")
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}

# Compiles and runs the steps once.
PROGRAM = """
import sys
import jax
import numpy as np
import jsuper
from jsuper.core.grid import expand
from jsuper.engine import programs
from jsuper.engine.blocks import part, split
from jsuper.engine.devices import chunks_of, make_plan
from jsuper.engine.trials import advance_of, functions_of, inputs

activation, seeds, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
plan = make_plan("gpu", batching="kernel")
sweep = jsuper.Sweep(activation=activation, seeds=seeds)
chunks = chunks_of(plan, sweep, expand(sweep))
(block,) = split(plan, chunks, chunks)
block = part("kernel", block, block.settings, block.seeds)
with programs.context(block.static, plan.worker_devices[0]):
    functions, (settings, keys) = functions_of(block), inputs(block)
    arguments = (jax.jit(functions.init)(settings, keys), settings, keys)
    jax.block_until_ready(advance_of(functions, arguments, steps)(*arguments))
print("device:", plan.worker_devices[0].device_kind)
print("jax:", jax.__version__)
"""


@dataclass
class Options:
    """The launches of 20 steps, timed on a GPU."""

    activation: str = "relu"
    seeds: int = 264
    """two blocks of threads for each multiprocessor of an H100"""
    profile: Path | None = None
    """what ncu printed, instead of a new run"""
    device: str = ""
    """the GPU's name, with --profile"""
    warps: int = WARPS
    """of a block, with --profile of an older kernel"""
    jax: str = ""
    """its version, with --profile"""
    out: Path = RESULTS / "kernel_profile.json"


def profiled(options: Options) -> str:
    """Run the steps under ncu; return what it prints."""
    command = ["ncu", "--clock-control", "none", "--metrics", METRIC, sys.executable, "-c", PROGRAM]
    arguments = [options.activation, str(options.seeds), str(STEPS)]
    env = os.environ | {"PYTHONPATH": str(ROOT), "JSUPER_CACHE": "off"}
    done = subprocess.run([*command, *arguments], env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"ncu failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def launches(text: str) -> list[tuple[str, float]]:
    """Return the name and the seconds of every launch, in order."""
    found, name = [], ""
    for line in text.splitlines():
        if head := LAUNCH.match(line):
            name = head[1]
        elif time := SECONDS.match(line):
            found.append((name, float(time[2].replace(",", "")) * UNITS[time[1]]))
    return found


def report_of(text: str, options: Options) -> dict[str, Any]:
    """Return the launches that belong to the steps, which end with the kernel, and their rates."""
    every = launches(text)
    last = max(i for i, (name, _) in enumerate(every) if name == TRAINS)
    # Before them the compiler tries out products, each beside a check of memory.
    first = 1 + max(i for i, (name, _) in enumerate(every[:last]) if "::" in name)
    steps = every[first : last + 1]
    model_steps = STEPS * 7 * options.seeds
    own = sum(seconds for name, seconds in steps if name == TRAINS)
    draws = sum(seconds for name, seconds in steps if name != TRAINS)
    device = options.device or re.findall(r"^device: (.*)$", text, re.MULTILINE)[0]
    version = options.jax or re.findall(r"^jax: (.*)$", text, re.MULTILINE)[0]
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": device,
        "jax": version,
        "warps": options.warps,
        "activation": options.activation,
        "seeds": options.seeds,
        "steps": STEPS,
        "launches": [{"name": n, "microseconds": round(1e6 * s, 2)} for n, s in steps],
        "kernel_model_steps_per_s": round(model_steps / own, -4),
        "model_steps_per_s": round(model_steps / (own + draws), -4),
        "draws_and_record_ns_per_seed_and_step": round(1e9 * draws / (STEPS * options.seeds), 1),
    }


def main() -> None:
    """Profile, or read a profile, and write the JSON."""
    options = read_options(Options)
    text = options.profile.read_text() if options.profile else profiled(options)
    report = report_of(text, options)
    for launch in report["launches"]:
        print(f"{launch['microseconds']:10.2f} us  {launch['name']}")
    for key in [k for k in report if "_per_" in k]:
        print(f"{key}: {report[key]:,}")
    write_json(options.out, report)


if __name__ == "__main__":
    main()
