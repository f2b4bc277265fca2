"""Measure how fast the default grid trains for several numbers of seeds and workers.

Writes results/seeds.json and prints the table.

    python benchmarks/seeds.py                     # about 5 minutes on two cores
    python benchmarks/seeds.py --workers 2 --seeds 2 3

A run consists of chunks, which the workers train one after another: all settings of some seeds, or
a part of the settings where seeds do not divide evenly. The steps of all different blocks are timed
in turns on one core, so that a machine that slows down does not favour one of them. Within a round
they are divided by the round's mean, and the medians of the rounds give each chunk's time. A run
ends with its last worker. Its speed is the number of its model-steps by then, for each worker, and
is reported as a share of the speed with one worker. Padding, draws that fewer models share and
workers that wait count. A share may exceed 1, since a part of the settings has less data in cache.
"""

import heapq
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import jax
import numpy as np
from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, in_turns, write_json

import jsuper
from jsuper.core.grid import expand
from jsuper.engine import blocks, programs
from jsuper.engine.counters import Progress
from jsuper.engine.devices import chunks_of, make_plan

Block = blocks.Block
CPU = jax.devices("cpu")[0]


@dataclass
class Options:
    """Options of this benchmark."""

    seeds: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    """numbers of seeds"""
    workers: tuple[int, ...] = (1, 2, 3, 4)
    """may be more than this machine has cores; shares refer to the first number"""
    model_steps: int = 10_000
    """of each block in a round, about"""
    rounds: int = 40
    """of which the medians are taken"""
    out: Path = RESULTS / "seeds.json"


def blocks_of(seeds: int, workers: int) -> list[Block]:
    """Return the blocks of a run of the default grid, in the order in which workers take them."""
    plan, sweep = make_plan("cpu", workers), jsuper.Sweep(seeds=seeds)
    chunks = chunks_of(plan, sweep, expand(sweep))
    return blocks.split(plan, chunks, chunks)


def kind_of(block: Block) -> str:
    """Return what blocks that take the same time have in common."""
    sparsities = sorted({s["sparsity"] for s in block.settings})
    return f"{len(block.settings)} settings at {sparsities} x {len(block.seeds)} of {block.shape}"


def stepper(block: Block, model_steps: int) -> Iterator[float]:
    """Train a block, and yield the seconds per step of one call after another."""
    program = programs.compiled(programs.key_of(block, make_plan("cpu", 1), CPU), Progress())
    settings, keys = blocks.inputs(block)
    state, n = program.init(settings, keys), max(model_steps // block.n_models, 1)
    for start in itertools.cycle(range(1, program.steps - n, n)):
        began = time.perf_counter()
        state = program.advance(state, settings, keys, np.int32(start), np.int32(n))
        jax.block_until_ready(state)
        yield (time.perf_counter() - began) / n


def relative_costs(kinds: dict[str, Block], options: Options) -> dict[str, float]:
    """Return the time of a block's step by kind, over that of a model-step in the same round."""
    steppers = {kind: stepper(block, options.model_steps) for kind, block in kinds.items()}
    for number, (kind, warm_up) in enumerate(steppers.items()):
        print(f"compiling {number + 1} of {len(kinds)}: {kind}", flush=True)
        next(warm_up)
    found = in_turns({k: lambda s=s: next(s) for k, s in steppers.items()}, options.rounds)
    rounds = zip(*found.values(), strict=True)
    models = [block.n_models for block in kinds.values()]
    means = [mean(s / m for s, m in zip(r, models, strict=True)) for r in rounds]
    return {k: median(s / m for s, m in zip(v, means, strict=True)) for k, v in found.items()}


def busiest(run: list[Block], costs: dict[str, float], workers: int) -> float:
    """Return when the last worker ends, if each takes the next block as soon as it is free."""
    busy = [0.0] * workers
    for block in run:
        heapq.heapreplace(busy, busy[0] + costs[kind_of(block)])
    return max(busy)


def main(options: Options) -> None:
    """Measure, print and write."""
    runs = {(w, s): blocks_of(s, w) for w in options.workers for s in options.seeds}
    kinds = {kind_of(block): block for run in runs.values() for block in run}
    costs = relative_costs(kinds, options)
    speeds = {
        (workers, seeds): sum(b.n_models for b in run) / workers / busiest(run, costs, workers)
        for (workers, seeds), run in runs.items()
    }
    fastest = max(speed for (workers, _), speed in speeds.items() if workers == options.workers[0])
    shares = {str(w): {} for w in options.workers}
    for (workers, seeds), speed in speeds.items():
        share = shares[str(workers)][str(seeds)] = speed / fastest
        print(f"{workers} workers, {seeds} seeds: {share:.1%}")
    by_kind = {k: {"models": b.n_models, "relative_time": costs[k]} for k, b in kinds.items()}
    report = describe_machine("cpu") | {"rounds": options.rounds}
    write_json(options.out, report | {"blocks": by_kind, "share": shares})


if __name__ == "__main__":
    main(read_options(Options, description=__doc__))
