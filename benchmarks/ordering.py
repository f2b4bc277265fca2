"""What it costs to put a batch's columns in order, and what narrow batches save: the plan's rule.

    taskset -c 0 python benchmarks/ordering.py

A seed's models with ReLU are trained with whole batches and with narrow ones, one after another, at
several sizes, numbers of models and sparsities, and `jsuper.models.toy.config.ordering_pays`, by
which the plan chooses, is compared with what was faster. Writes results/ordering.json. Pin it to
one core.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import jax
import numpy as np
import tyro
from timing import describe_machine, write_json

from jsuper.core.grid import expand
from jsuper.engine import programs
from jsuper.models.toy.config import GATHERING_COST, ORDERING_COST, ordering_pays, width_of
from jsuper.models.toy.spec import Sweep
from jsuper.models.toy.train import make_setting, make_static, make_train
from jsuper.training.keys import seed_key

RESULTS = Path(__file__).parent / "results"
SHAPES = ((5, 2), (10, 5), (20, 5), (50, 10))
SPARSITIES = (0.9, 0.97, 0.99, 0.999)
MODELS = (1, 2, 4)
BATCH = 1024


@dataclass(frozen=True)
class Options:
    """What to time."""

    rounds: int = 7
    """of which the median counts"""
    steps: int = 200
    """of one call"""
    out: Path = RESULTS / "ordering.json"
    """where the figures go"""


def program(values: dict[str, Any], settings: list[dict], batching: str, steps: int) -> Callable:
    """Return some steps of all models of one seed, compiled and warmed up."""
    static = make_static(values, [settings], batching)
    functions = programs.batched(make_train(static, sequential=True), paired=True)
    made = [make_setting(static, s) for s in settings]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *made)
    keys = jax.vmap(seed_key)(np.zeros(1, np.uint32))
    state = jax.jit(functions.init)(stacked, keys)
    bounds = np.int32(0), np.int32(steps)
    lowered = jax.jit(functions.advance).lower(state, stacked, keys, *bounds)
    advance = programs.compile_for(jax.devices()[0], lowered)
    return lambda: jax.block_until_ready(advance(state, stacked, keys, *bounds))


def microseconds(run: Callable, steps: int) -> float:
    """Of a step."""
    began = time.perf_counter()
    run()
    return (time.perf_counter() - began) / steps * 1e6


def case(shape: tuple[int, int], sparsity: float, models: int, options: Options) -> dict[str, Any]:
    """Whole and narrow batches in turn."""
    sweep = Sweep(
        n_features=shape[0],
        n_hidden=shape[1],
        activation="relu",
        sparsity=sparsity,
        batch_size=BATCH,
    )
    values = expand(sweep)[0].static
    rates = [1e-3 * (1 + i) for i in range(models)]
    shared = {"activation": "relu", "sparsity": sparsity, "dropout": 0.0, "importance_decay": 1.0}
    settings = [shared | {"learning_rate": r, "weight_decay": 0.01} for r in rates]
    runs = {b: program(values, settings, b, options.steps) for b in ("reference", "sequential")}
    for run in runs.values():
        run()
    rounds = [
        {b: microseconds(run, options.steps) for b, run in runs.items()}
        for _ in range(options.rounds)
    ]
    middle = {b: median(r[b] for r in rounds) for b in runs}
    return {
        "n_features": shape[0],
        "n_hidden": shape[1],
        "sparsity": sparsity,
        "models": models,
        "width": width_of(values, settings[0]),
        "rule": "narrow" if ordering_pays(values, settings) else "whole",
        "whole_us": middle["reference"],
        "narrow_us": middle["sequential"],
        "us_saved": median(r["reference"] - r["sequential"] for r in rounds),
    }


def main() -> None:
    """Time, print and write."""
    options = tyro.cli(Options)
    rows = []
    for shape, models, sparsity in itertools.product(SHAPES, MODELS, SPARSITIES):
        row = case(shape, sparsity, models, options)
        if row["width"] < BATCH:
            rows.append(row)
            print(*(f"{k} {v if isinstance(v, str) else f'{v:.4g}'}" for k, v in row.items()))
    right = [(r["rule"] == "narrow") == (r["us_saved"] > 0) for r in rows]
    shares = [abs(r["us_saved"]) / min(r["whole_us"], r["narrow_us"]) for r in rows]
    lost = max(0 if ok else share for ok, share in zip(right, shares, strict=True))
    print(f"the rule is right in {sum(right)} of {len(right)} cases, and loses {lost:.0%} at most")
    report = {
        "machine": describe_machine("cpu"),
        "ordering_cost": ORDERING_COST,
        "gathering_cost": GATHERING_COST,
        "cases": rows,
        "right": sum(right),
        "most_lost": lost,
    }
    write_json(options.out, report)


if __name__ == "__main__":
    main()
