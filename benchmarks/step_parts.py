"""Measure the parts of a model-step of the default grid on one core.

Writes results/step_parts.json.

    taskset -c 0 python benchmarks/step_parts.py    # pinned to one core, about 6 minutes

The 189 models of a seed (27 activations x 7 sparsities, n 20, m 5, batch 1024) take some steps,
whole and by parts: the draws, the order of the columns, the gradient of a row of 27 models at each
width, and the optimizer. Each part is a separate loop, so the parts do not add up exactly.

A row is also timed with the identity in place of all activations: the rest is what the activations
take. Then follows the loss' derivative by z of each activation at each width, for a team of models.
Speeds are compared with a product of two square matrices of 1,024 on the same core, the limit.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, in_turns, seconds_of, write_json

from jsuper.core import grid
from jsuper.engine import programs
from jsuper.models.toy.config import (
    Setting,
    Static,
    arrange,
    make_setting,
    make_static,
)
from jsuper.models.toy.draws import Draws, make_draws
from jsuper.models.toy.recording import core_of
from jsuper.models.toy.rows import TEAM, row_gradient_at, slopes_of
from jsuper.models.toy.spec import Sweep
from jsuper.models.toy.train import apply_gradient, make_train
from jsuper.models.toy.widths import width_of
from jsuper.training.keys import seed_key


@dataclass(frozen=True)
class Options:
    """Time the parts of a step."""

    rounds: int = 9
    """rounds, whose median is reported"""
    steps: int = 50
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


def default_grid() -> tuple[Static, tuple[grid.Setting, ...]]:
    """Return the program of the default grid's models of one seed, and their settings."""
    group = grid.expand(Sweep(seeds=1))[0]
    return make_static(group.static, [group.settings], "auto"), group.settings


def parts(steps: int) -> tuple[dict[str, Callable[[], Any]], dict[str, int]]:
    """Return the parts of a step, and the number of models in each."""
    static, points = default_grid()
    places = arrange(static, points)
    made = [make_setting(static, points[max(i, ~i)]) for i in places if i is not None]
    settings = jax.tree.map(lambda *leaves: jnp.stack(leaves), *made)
    key, train = seed_key(0), make_train(static, sequential=True)
    state = jax.jit(jax.vmap(train.init, (0, None)))(settings, key)
    advance = jax.vmap(train.advance, (0, 0, None, None, None))
    found = {
        "all": called(lambda s: advance(s, settings, key, 0, steps), state),
        "draws": looped(lambda i, c: c + touch(make_draws(static, key, i)), jnp.float32(0), steps),
        "draws and order": looped(
            lambda i, c: c + touch(make_draws(static, key, i, settings)),
            jnp.float32(0),
            steps,
        ),
        "optimizer": looped(optimizer(static, settings), core_of(state), steps),
    }
    models = dict.fromkeys(found, len(places))
    count = len(static.slots)
    plain = dataclasses.replace(static, activations=("identity",), slots=(0,) * count)
    for width in widths_of(static):
        params = jax.tree.map(lambda a: a[:count], state.params)
        for name, program in (("gradient", static), ("gradient of the identity", plain)):
            name = f"{name}, {width} columns"
            found[name] = looped(row(program, settings, width), params, steps)
            models[name] = count
    return found, models


def widths_of(static: Static) -> tuple[int, ...]:
    """Return the widths of the program's batches."""
    return (*static.widths, static.batch_size)


def activations(steps: int) -> dict[str, Callable[[], Any]]:
    """Return the loss' derivative by z of a team of models with each activation, at each width."""
    static, _ = default_grid()
    n, found, rng = static.n_features, {}, np.random.default_rng(0)
    importance = jnp.ones((TEAM, n), jnp.float32)
    for width in widths_of(static):
        z = jnp.asarray(rng.normal(0, 0.6, (TEAM, n, width)), jnp.float32)
        x = jnp.asarray(rng.uniform(size=(n, width)), jnp.float32)
        for name in static.activations:
            one = dataclasses.replace(static, activations=(name,) * TEAM)
            slopes = slopes_of(one, tuple(range(TEAM)), static.batch_size - width + 1)

            def step(i: jax.Array, carry: Any, z: Any = z, x: Any = x, slopes: Any = slopes) -> Any:
                del i
                shift = 0.999 * carry[0]  # so that no step can be left out
                return shift, slopes(z + shift, x, importance, None)

            found[f"{name}, {width} columns"] = looped(step, (jnp.float32(1e-3), z), steps)
    return found


def square_product(steps: int, size: int = 1024) -> Callable[[], Any]:
    """Return products of two square matrices, which come close to the core's limit."""
    a = jnp.asarray(np.random.default_rng(0).normal(size=(size, size)), jnp.float32)
    return looped(lambda i, c: jnp.matmul(c, a, precision="highest") / size, a, steps)


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
    draws = make_draws(static, seed_key(0), jnp.int32(0), settings)
    sparsest = int(np.argmin(settings.density)) // count * count
    mine = jax.tree.map(lambda a: a[sparsest : sparsest + count], settings)
    gradient = row_gradient_at(static, width)

    def step(i: jax.Array, params: Any) -> Any:
        del i
        return jax.tree.map(lambda a, g: a - 1e-6 * g, params, gradient(params, mine, draws))

    return step


def gflops(static: Static, us: float, columns: float) -> float:
    """Return the speed of the products of a model-step, 10 n m operations a column."""
    return 10 * static.n_features * static.n_hidden * columns / us / 1e3


def report_shares(medians: dict[str, float], limit: float) -> dict[str, float]:
    """Return the speed of each width's products, and of the whole step, as shares of the limit."""
    static, points = default_grid()
    shares = {
        str(width): gflops(static, medians[f"gradient, {width} columns"], width) / limit
        for width in widths_of(static)
    }
    values = grid.expand(Sweep(seeds=1))[0].static
    mean = np.mean([width_of(values, point) for point in points])
    return shares | {"all": gflops(static, medians["all"], float(mean)) / limit}


def main() -> None:
    """Time, print and write."""
    options = read_options(Options)
    runs, models = parts(options.steps)
    derivatives = activations(options.steps)
    runs |= derivatives
    models |= dict.fromkeys(derivatives, TEAM)
    products = 3
    size, square = 1024, square_product(products)

    def microseconds(name: str) -> float:
        return seconds_of(runs[name]) / options.steps / models[name] * 1e6

    def limit_of_core() -> float:
        return 2 * size**3 * products / seconds_of(square) / 1e9

    turns: dict[str, Callable[[], float]] = {name: partial(microseconds, name) for name in runs}
    turns["limit"] = limit_of_core
    rounds = in_turns(turns, options.rounds)
    medians = {name: median(values) for name, values in rounds.items()}
    limit = medians.pop("limit")
    shares = report_shares(medians, limit)
    for name, value in medians.items():
        print(f"{name:40s} {value:7.2f} us per model-step")
    print(f"limit: {limit:.0f} GFLOP/s; " + ", ".join(f"{k} {v:.0%}" for k, v in shares.items()))
    report = describe_machine("cpu") | {
        "limit_gflop_per_s": limit,
        "share_of_limit": shares,
        "us_per_model_step": {k: v for k, v in medians.items() if k not in derivatives},
        "us_of_derivative": {k: medians[k] for k in derivatives},
        "rounds": rounds,
    }
    write_json(options.out / "step_parts.json", report)


if __name__ == "__main__":
    main()
