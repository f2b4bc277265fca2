"""Measure what sorting a batch's columns costs and narrow batches save, and check the plan's rule.

Writes results/ordering.json, from which the constants of `jsuper.models.toy.config` come.

    taskset -c 0 python benchmarks/ordering.py    # pinned to one core

The ReLU models of one seed are trained with whole and narrow batches in turn, at several sizes,
numbers of models and sparsities. The faster way is compared with what `ordering_pays` predicts.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import jax
import numpy as np
from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, in_turns, seconds_of, write_json

from jsuper.core.grid import expand
from jsuper.engine import programs
from jsuper.models.toy.spec import Sweep
from jsuper.models.toy.train import make_setting, make_static, make_train
from jsuper.models.toy.widths import GATHERING_COST, ORDERING_COST, ordering_pays, width_of
from jsuper.training.keys import seed_key

SPARSITIES = (0.9, 0.97, 0.99, 0.999)
MODELS = (1, 2, 4)
BATCH = 1024


@dataclass(frozen=True)
class Options:
    """Time whole and narrow batches."""

    rounds: int = 7
    """rounds, whose median is reported"""
    steps: int = 200
    """steps of one call"""
    shapes: tuple[tuple[int, int], ...] = ((5, 2), (10, 5), (20, 5), (50, 10))
    """n_features and n_hidden of the models"""
    out: Path = RESULTS
    """folder of the results"""


def microseconds(
    values: dict[str, Any], settings: list[dict], batching: str, steps: int
) -> Callable[[], float]:
    """Return a function that times one step of all models of a seed, compiled and warmed up."""
    static = make_static(values, [settings], batching)
    functions = programs.batched(make_train(static, sequential=True), paired=True)
    made = [make_setting(static, s) for s in settings]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *made)
    keys = jax.vmap(seed_key)(np.zeros(1, np.uint32))
    state = jax.jit(functions.init)(stacked, keys)
    bounds = np.int32(0), np.int32(steps)
    lowered = jax.jit(functions.advance).lower(state, stacked, keys, *bounds)
    advance = programs.compile_for(jax.devices()[0], lowered)

    def run() -> float:
        trained = partial(advance, state, stacked, keys, *bounds)
        return seconds_of(lambda: jax.block_until_ready(trained())) / steps * 1e6

    run()
    return run


def case(shape: tuple[int, int], sparsity: float, models: int, options: Options) -> dict[str, Any]:
    """Time whole and narrow batches in turn."""
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
    ways = {"whole": "reference", "narrow": "sequential"}
    runs = {k: microseconds(values, settings, b, options.steps) for k, b in ways.items()}
    times = in_turns(runs, options.rounds)
    saved = [whole - narrow for whole, narrow in zip(*times.values(), strict=True)]
    return {
        "n_features": shape[0],
        "n_hidden": shape[1],
        "sparsity": sparsity,
        "models": models,
        "width": width_of(values, settings[0]),
        "rule": "narrow" if ordering_pays(values, settings) else "whole",
        "whole_us": median(times["whole"]),
        "narrow_us": median(times["narrow"]),
        "us_saved": median(saved),
    }


def main() -> None:
    """Time, print and write."""
    options = read_options(Options)
    rows = []
    for shape, models, sparsity in itertools.product(options.shapes, MODELS, SPARSITIES):
        row = case(shape, sparsity, models, options)
        if row["width"] < BATCH:
            rows.append(row)
            print(*(f"{k} {v if isinstance(v, str) else f'{v:.4g}'}" for k, v in row.items()))
    right = [(r["rule"] == "narrow") == (r["us_saved"] > 0) for r in rows]
    shares = [abs(r["us_saved"]) / min(r["whole_us"], r["narrow_us"]) for r in rows]
    lost = max(0 if ok else share for ok, share in zip(right, shares, strict=True))
    print(f"the rule is right in {sum(right)} of {len(right)} cases, and loses {lost:.0%} at most")
    report = {
        **describe_machine("cpu"),
        "ordering_cost": ORDERING_COST,
        "gathering_cost": GATHERING_COST,
        "cases": rows,
        "right": sum(right),
        "most_lost": lost,
    }
    write_json(options.out / "ordering.json", report)


if __name__ == "__main__":
    main()
