"""Measure the parts of a model-step of the default grid on one core.

Writes results/step_parts.json.

    taskset -c 0 python benchmarks/step_parts.py    # pinned to one core

The 189 models of a seed (27 activations x 7 sparsities, n 20, m 5, batch 1024) take some steps,
whole and by parts: the draws, the order of the columns, the gradient of a row of 27 models at each
width, and the optimizer. Each part is a separate loop, so the parts do not add up exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from helpers.timing import RESULTS, describe_machine, in_turns, seconds_of, write_json

from jsuper.core.grid import expand
from jsuper.engine import programs
from jsuper.models.toy.config import Setting, Static, arrange, make_setting, make_static
from jsuper.models.toy.draws import Draws, make_draws
from jsuper.models.toy.rows import row_gradient_at
from jsuper.models.toy.spec import Sweep
from jsuper.models.toy.train import apply_gradient, make_train
from jsuper.training.keys import seed_key


@dataclass(frozen=True)
class Options:
    """Time the parts of a step."""

    rounds: int = 9
    """rounds, whose median is reported"""
    steps: int = 100
    """steps of one call"""
    out: Path = RESULTS
    """folder of the results"""


def looped(step: Callable, carry: Any, steps: int) -> Callable[[], Any]:
    """Return a function that repeats carry = step(i, carry), compiled and warmed up."""
    return called(lambda c: jax.lax.fori_loop(0, steps, step, c), carry)


def called(function: Callable, carry: Any) -> Callable[[], Any]:
    """Return a function that calls function(carry), compiled and warmed up."""
    lowered = jax.jit(function).lower(carry)
    compiled = programs.compile_for(jax.devices()[0], lowered)

    def run() -> Any:
        return jax.block_until_ready(compiled(carry))

    run()
    return run


def parts(steps: int) -> tuple[dict[str, Callable[[], Any]], dict[str, int]]:
    """Return the parts of a step, and the number of models in each."""
    group = expand(Sweep(seeds=1))[0]
    static = make_static(group.static, [group.settings], "auto")
    places = arrange(static, group.settings)
    made = [make_setting(static, group.settings[max(i, ~i)]) for i in places if i is not None]
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
    """Return a number that depends on all draws."""
    return jnp.stack([jnp.sum(leaf) for leaf in jax.tree.leaves(draws)]).sum()


def optimizer(static: Static, settings: Setting) -> Callable:
    """Return the optimizer's step, with a gradient that costs nothing."""

    def step(i: jax.Array, state: Any) -> Any:
        grads = jax.tree.map(lambda a: 1e-3 * a, state.params)
        update = jax.vmap(lambda s, p, g: apply_gradient(static, s, p, g, i, jnp.bool_(True)))
        return update(state, settings, grads)

    return step


def row(static: Static, settings: Setting, width: int) -> Callable:
    """Return the gradient of a row, for the models of the lowest density."""
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

    def microseconds(name: str) -> float:
        return seconds_of(runs[name]) / options.steps / models[name] * 1e6

    rounds = in_turns({name: partial(microseconds, name) for name in runs}, options.rounds)
    medians = {name: median(values) for name, values in rounds.items()}
    for name, value in medians.items():
        print(f"{name:24s} {value:7.2f} us per model-step")
    report = {**describe_machine("cpu"), "us_per_model_step": medians, "rounds": rounds}
    write_json(options.out / "step_parts.json", report)


if __name__ == "__main__":
    main()
