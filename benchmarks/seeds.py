"""Measure the training speed of the default grid for several numbers of seeds and workers.

Writes results/seeds.json and prints the table.

    python benchmarks/seeds.py                     # about 10 minutes on two cores
    python benchmarks/seeds.py --workers 2 --seeds 2 3

A speed is that of a whole run without its evaluation: workers that wait at the end, padding and
draws that fewer models share all count. Programs are compiled before. The numbers of seeds take
turns. For more workers than this machine has cores, the schedule is computed from the costs that
the plan expects, and its efficiency is the mean work of a worker divided by the most.
"""

import heapq
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import tyro
from helpers.timing import RESULTS, describe_machine, in_turns, write_json

import jsuper
from jsuper.core.grid import expand, n_models
from jsuper.engine.devices import chunks_of, cores, make_plan
from jsuper.engine.estimates import step_seconds


@dataclass
class Options:
    """Options of this benchmark."""

    seeds: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    workers: tuple[int, ...] = (1, 2)
    planned: tuple[int, ...] = (1, 2, 3, 4)
    """numbers of workers whose schedules are computed"""
    model_steps: int = 240_000
    """per round, about; a run with more seeds takes fewer steps"""
    rounds: int = 5
    out: Path = RESULTS / "seeds.json"


def model_steps_per_s(seeds: int, workers: int, model_steps: int) -> float:
    """Train the default grid and return its speed."""
    steps = max(model_steps // n_models(jsuper.Sweep(seeds=seeds)), 1)
    sweep = jsuper.Sweep(seeds=seeds, steps=steps, records=max(1, steps // 100))  # as by default
    ds = jsuper.run(sweep, progress=False, plan=make_plan("cpu", workers))
    timing = json.loads(ds.attrs["timing"])
    return timing["model_steps"] / timing["trained_s"]


def efficiency(seeds: int, workers: int) -> float:
    """Return the mean of the workers' expected work, divided by that of the busiest."""
    plan, sweep = make_plan("cpu", workers), jsuper.Sweep(seeds=seeds)
    busy = [0.0] * workers
    for chunk in chunks_of(plan, sweep, expand(sweep)):
        heapq.heapreplace(busy, busy[0] + step_seconds(plan, chunk))
    whole = chunks_of(make_plan("cpu", 1), sweep, expand(sweep))
    return sum(step_seconds(plan, c) for c in whole) / workers / max(busy)


def measured(options: Options) -> dict[str, Any]:
    """Return the speeds by round for every number of workers and seeds."""
    ways = {
        f"{workers} workers, {seeds} seeds": (workers, seeds)
        for workers in options.workers
        for seeds in options.seeds
    }
    for workers, seeds in ways.values():
        model_steps_per_s(seeds, workers, options.model_steps)  # compiles
    runs = {
        name: lambda w=workers, s=seeds: model_steps_per_s(s, w, options.model_steps)
        for name, (workers, seeds) in ways.items()
    }
    speeds = in_turns(runs, options.rounds)
    return {
        str(workers): {
            str(seeds): speeds[f"{workers} workers, {seeds} seeds"] for seeds in options.seeds
        }
        for workers in options.workers
    }


def main(options: Options) -> None:
    """Measure, print and write."""
    if max(options.workers) > cores():
        raise SystemExit(f"--workers: this machine has {cores()} cores")
    speeds = measured(options)
    planned = {str(w): {str(s): efficiency(s, w) for s in options.seeds} for w in options.planned}
    for workers, by_seeds in speeds.items():
        best = max(median(v) for v in by_seeds.values())
        for seeds, values in by_seeds.items():
            print(
                f"{workers} workers, {seeds} seeds: {median(values):9,.0f} model-steps/s, "
                f"{median(values) / best:.1%} of the best"
            )
    for workers, by_seeds in planned.items():
        shares = ", ".join(f"{s} seeds {share:.1%}" for s, share in by_seeds.items())
        print(f"{workers} workers, expected efficiency: {shares}")
    report = describe_machine("cpu") | {"model_steps": options.model_steps}
    report |= {"model_steps_per_s": speeds, "expected_efficiency": planned}
    write_json(options.out, report)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
