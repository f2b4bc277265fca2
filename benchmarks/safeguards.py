"""Measure the cost of the shield against `jax.config`, of cache checksums and of the fit check.

Writes results/safeguards.json: microseconds to enter the shield, milliseconds to read a cached
program with and without its checksum, and CPU seconds of final losses with and without the check.

    python benchmarks/safeguards.py
"""

import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import jax
import numpy as np
from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, in_turns, write_json

import jsuper
from jsuper.core.family import family_of
from jsuper.core.grid import expand
from jsuper.engine import programs
from jsuper.engine.checked_cache import CheckedCache
from jsuper.engine.devices import make_plan
from jsuper.training.jax_config import shielded

CALLS = 2000
ENTRY_BYTES = 70_000


@dataclass(frozen=True)
class Options:
    """Time the safeguards."""

    rounds: int = 7
    """rounds, whose median is reported"""
    out: Path = RESULTS
    """folder of the results"""


def entering() -> float:
    """Return the microseconds to enter and leave the shield."""
    began = time.perf_counter()
    for _ in range(CALLS):
        with shielded():
            pass
    return (time.perf_counter() - began) / CALLS * 1e6


def reading(folder: Path) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return functions that time reading a program with its checksum, and its bytes alone."""
    cache = CheckedCache(folder)
    cache.put("program", np.random.default_rng(0).bytes(ENTRY_BYTES))
    (path,) = [p for p in folder.iterdir() if p.is_file()]

    def timed(read: Callable[[], Any]) -> float:
        began = time.perf_counter()
        for _ in range(CALLS // 10):
            assert read() is not None
        return (time.perf_counter() - began) / (CALLS // 10) * 1e3

    return lambda: timed(lambda: cache.get("program")), lambda: timed(path.read_bytes)


def finishing(check_fit: bool) -> Callable[[], float]:
    """Return a function that times the final losses of one seed of the default preset."""
    sweep = jsuper.Sweep(seeds=1, check_fit=check_fit, steps=200)
    (group,) = expand(sweep)
    family = family_of(sweep.model).train
    plan = make_plan("cpu", 1)
    static = family.make_static(group.static, [group.settings], plan.batching)
    order = family_of(sweep.model).arrange(static, group.settings)
    points = [group.settings[max(i, ~i)] for i in order if i is not None]
    settings = jax.tree.map(
        lambda *leaves: np.stack(leaves), *[family.make_setting(static, p) for p in points]
    )
    keys = jax.vmap(jsuper.seed_key)(np.array([0], np.uint32))
    functions = programs.batched(family.make_train(static, True), paired=True)
    state = jax.jit(functions.init)(settings, keys)
    state = jax.jit(functions.advance)(state, settings, keys, np.int32(0), np.int32(2))
    finish = jax.jit(functions.finish).lower(state, settings, keys)
    program = programs.compile_for(plan.worker_devices[0], finish)

    def run() -> float:
        began = time.process_time()
        jax.block_until_ready(program(state, settings, keys))
        return time.process_time() - began

    run()
    return run


def main() -> None:
    """Measure, print and write."""
    options = read_options(Options)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        checked, plain = reading(folder)
        ways = {
            "enter the shield, us": entering,
            "read a cached program with its checksum, ms": checked,
            "read the bytes of its file, ms": plain,
            "final losses of 189 models, CPU s": finishing(False),
            "the same with the check for failed fits, CPU s": finishing(True),
        }
        rounds = in_turns(ways, options.rounds)
    medians = {name: median(values) for name, values in rounds.items()}
    for name, value in medians.items():
        print(f"{name:45s} {value:.4g}")
    write_json(
        options.out / "safeguards.json",
        {**describe_machine("cpu"), "medians": medians, "rounds": rounds},
    )


if __name__ == "__main__":
    main()
