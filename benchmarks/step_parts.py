"""Where a model-step of the default grid goes on one core: a profile by parts.

    taskset -c 0 python benchmarks/step_parts.py

A seed's 189 models (27 activations x 7 sparsities, n 20, m 5, batch 1024) take some steps, whole
and part by part: the draws, the order of the columns, the gradient of a row of 27 models at each
width, and the optimizer. Parts are loops of their own, so that they need not add up exactly. Writes
results/step_parts.json. Pin it to one core.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from timing import describe_machine, device_name, write_json

from jsuper.core.grid import expand
from jsuper.engine import programs
from jsuper.models.toy.config import Setting, Static, arrange, make_setting, make_static
from jsuper.models.toy.draws import Draws, make_draws
from jsuper.models.toy.rows import row_gradient_at
from jsuper.models.toy.spec import Sweep
from jsuper.models.toy.train import apply_gradient, make_train
from jsuper.training.keys import seed_key

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Options:
    """What to time."""

    rounds: int = 9
    """of which the median counts; the parts take turns in each"""
    steps: int = 100
    """of one call"""
    out: Path = RESULTS / "step_parts.json"
    """where the figures go"""


def looped(step: Callable, carry: Any, steps: int) -> Callable[[], Any]:
    """`steps` turns of carry = step(i, carry), compiled and warmed up."""
    return called(lambda c: jax.lax.fori_loop(0, steps, step, c), carry)


def called(function: Callable, carry: Any) -> Callable[[], Any]:
    """function(carry), compiled and warmed up."""
    lowered = jax.jit(function).lower(carry)
    compiled = programs.compile_for(jax.devices()[0], lowered)

    def run() -> Any:
        return jax.block_until_ready(compiled(carry))

    run()
    return run


def parts(steps: int) -> tuple[dict[str, Callable[[], Any]], dict[str, int]]:
    """Return the parts of a step, and how many model-steps a turn of each stands for."""
    group = expand(Sweep(seeds=1))[0]
    static = make_static(group.static, [group.settings], "auto")
    places = arrange(static, group.settings)
    made = [make_setting(static, group.settings[max(i, ~i)]) for i in places]
    settings = jax.tree.map(lambda *leaves: jnp.stack(leaves), *made)
    key, train = seed_key(0), make_train(static, sequential=True)
    state = jax.jit(jax.vmap(train.init, (0, None)))(settings, key)
    advance = jax.vmap(train.advance, (0, 0, None, None, None))
    found = {
        "all": called(lambda s: advance(s, settings, key, 0, steps), state),
        "draws": looped(lambda i, c: c + touch(make_draws(static, key, i)), jnp.float32(0), steps),
        "draws and order": looped(
            lambda i, c: c + touch(make_draws(static, key, i, settings.density)),
            jnp.float32(0),
            steps,
        ),
        "optimizer": looped(optimizer(static, settings), state, steps),
    }
    models = dict.fromkeys(found, len(places))
    for width in (*static.widths, static.batch_size):
        name = f"gradient, {width} columns"
        params = jax.tree.map(lambda a: a[: len(static.slots)], state.params)
        found[name] = looped(row(static, settings, width), params, steps)
        models[name] = len(static.slots)
    return found, models


def touch(draws: Draws) -> jax.Array:
    """Return a number for which all draws are needed."""
    return jnp.stack([jnp.sum(leaf) for leaf in jax.tree.leaves(draws)]).sum()


def optimizer(static: Static, settings: Setting) -> Callable:
    """Return the optimizer's turn, on a gradient that costs nothing."""

    def step(i: jax.Array, state: Any) -> Any:
        grads = jax.tree.map(lambda a: 1e-3 * a, state.params)
        update = jax.vmap(lambda s, p, g: apply_gradient(static, s, p, g, i, jnp.bool_(True)))
        return update(state, settings, grads)

    return step


def row(static: Static, settings: Setting, width: int) -> Callable:
    """Return a turn of the gradient of a row: the models of the sparsest density."""
    count = len(static.slots)
    draws = make_draws(static, seed_key(0), jnp.int32(0), settings.density)
    sparsest = int(np.argmin(settings.density)) // count * count
    mine = jax.tree.map(lambda a: a[sparsest : sparsest + count], settings)
    gradient = row_gradient_at(static, width)

    def step(i: jax.Array, params: Any) -> Any:
        del i
        return jax.tree.map(lambda a, g: a - 1e-6 * g, params, gradient(params, mine, draws))

    return step


def main() -> None:
    """Time, print and write."""
    options = tyro.cli(Options)
    runs, models = parts(options.steps)
    rounds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            seconds = time.perf_counter() - began
            rounds[name].append(seconds / options.steps / models[name] * 1e6)
    medians = {name: median(values) for name, values in rounds.items()}
    for name, value in medians.items():
        print(f"{name:24s} {value:7.2f} us a model-step")
    report = {**describe_machine("cpu"), "us_per_model_step": medians, "rounds": rounds}
    write_json(options.out, report)
    print(f"{device_name(report)}, one core: {options.out.name}")


if __name__ == "__main__":
    main()
