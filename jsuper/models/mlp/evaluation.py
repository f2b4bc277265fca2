"""The final loss of an MLP, of the naive solution and of the best constant, on the same samples.

As for toy models: columns with an active feature are sampled in rounds until the standard error of
the loss is at most half a percent, and the zero column is weighted exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsuper.models.mlp import model
from jsuper.models.mlp.config import Setting, Static
from jsuper.models.mlp.model import Fixed, Params
from jsuper.models.mlp.source import Source, on_draws
from jsuper.models.mlp.targets import PAIRS
from jsuper.models.toy.batching import anywhere
from jsuper.models.toy.evaluation import MIN_ROUNDS, RELATIVE_ERROR
from jsuper.models.toy.layout import COLUMNS
from jsuper.training import keys

MAX_ROUNDS = 2**11  # a model with almost no error stops here; its standard error is stored


class Measured(NamedTuple):
    """Means over samples; of every feature, but for the loss."""

    loss: Array
    error: Array  # (y_i - x_hat_i)²
    naive: Array  # the same of the naive solution
    residual: Array  # the same without hidden units
    mean: Array  # y_i
    square: Array  # y_i²


def linear_part(static: Static, setting: Setting, fixed: Fixed) -> Array | None:
    """Return the linear part of the error, (n_features, n_features), or None if it is 0."""
    return model.unlearned(
        fixed, static.n_features, static.residual, static.target_residual, setting.target_noise
    )


def error(static: Static, params: Params, setting: Setting, fixed: Fixed, x: Array) -> Array:
    """Return x_hat - y of samples x, (n_features, samples)."""
    f = model.function_of(static.target)
    found = model.written(params, fixed.E, static.layers, x) - f(x)
    R = linear_part(static, setting, fixed)
    return found if R is None else found + jnp.matmul(R, x, precision="highest")


def target_of(static: Static, setting: Setting, fixed: Fixed, x: Array) -> Array:
    """Return y = f(x) + x + target_noise M x, with or without x."""
    y = model.function_of(static.target)(x) + static.target_residual * x
    if fixed.M is None:
        return y
    return y + setting.target_noise * jnp.matmul(fixed.M, x, precision="highest")


def naive_features(static: Static, setting: Setting) -> Array:
    """Return which features the naive solution computes, (n_features,): one function per unit.

    They are those with the largest importance times density; among equals, the first ones.
    """
    n = static.n_features
    weight = setting.importance * jnp.broadcast_to(setting.density, (n,))
    size = 2 if static.target == PAIRS else 1
    order = jnp.argsort(-weight.reshape(-1, size).sum(axis=1), stable=True)
    place = jnp.zeros(n // size, jnp.int32).at[order].set(jnp.arange(n // size, dtype=jnp.int32))
    return jnp.repeat(place < static.n_hidden, size)


def make_measure(static: Static, sequential: bool) -> Callable[..., Measured]:
    """Return measure((params, setting, wanted), source, i) -> the means of round i."""

    def draw(key: Array, i: Array) -> Any:
        round_key = keys.stream(key, keys.EVALUATION, i)
        return static.inputs.nonzero_draws(round_key, static.n_features, COLUMNS)

    def of_columns(params: Params, setting: Setting, fixed: Fixed, x: Array) -> Measured:
        y = target_of(static, setting, fixed, x)
        errors = jnp.mean(error(static, params, setting, fixed, x) ** 2, axis=1)
        alone = -model.function_of(static.target)(x)  # the error but for its linear part
        R = linear_part(static, setting, fixed)
        kept = 0 if R is None else jnp.matmul(R, x, precision="highest")
        left = jnp.mean((alone + kept) ** 2, axis=1)
        exact = jnp.mean((0 * alone + kept) ** 2, axis=1)
        naive = jnp.where(naive_features(static, setting), exact, left)
        loss = jnp.mean(setting.importance * errors)
        return Measured(loss, errors, naive, left, y.mean(axis=1), (y * y).mean(axis=1))

    def of_round(models: tuple[Params, Setting, Array], source: Source, draws: Any) -> Measured:
        params, setting, wanted = models

        def measured() -> Measured:
            x, chance = static.inputs.nonzero(draws, setting.law)
            some = of_columns(params, setting, source.fixed, x)
            none = of_columns(params, setting, source.fixed, jnp.zeros_like(x[:, :1]))
            return jax.tree.map(lambda a, b: chance * a + (1 - chance) * b, some, none)

        shapes = jax.eval_shape(measured)
        return jax.lax.cond(
            wanted,
            measured,
            lambda: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes),
        )

    return on_draws(draw, of_round, sequential)


def make_evaluate(static: Static, sequential: bool) -> Callable[..., tuple[Measured, Array]]:
    """Return evaluate(params, setting, source, wanted) -> the means over rounds, and the error.

    The standard error is that of the loss. A model stops taking rounds when its own error is small
    enough; see `jsuper.models.toy.evaluation.make_evaluate`.
    """
    measure = make_measure(static, sequential)

    def evaluate(
        params: Params, setting: Setting, source: Source, wanted: Array
    ) -> tuple[Measured, Array]:
        def stderr_of(count: Array, squares: Array) -> Array:
            return jnp.sqrt(squares / jnp.maximum(count * (count - 1), 1))

        def unfinished(count: Array, mean: Measured, squares: Array) -> Array:
            uncertain = 1 + jax.lax.rsqrt(2.0 * jnp.maximum(count - 1, 1))
            at_most = stderr_of(count, squares) * uncertain
            enough = (count >= MIN_ROUNDS) & ~(at_most > RELATIVE_ERROR * jnp.abs(mean.loss))
            return wanted & ~enough

        def body(carry: tuple) -> tuple:
            i, (count, mean, squares) = carry
            more = unfinished(count, mean, squares)
            found = measure((params, setting, more), source, i)
            new_mean = jax.tree.map(lambda a, b: b + (a - b) / (count + 1), found, mean)
            delta = (found.loss - mean.loss) * (found.loss - new_mean.loss)
            new = (count + 1, new_mean, squares + delta)
            kept = jax.tree.map(lambda a, b: jnp.where(more, a, b), new, (count, mean, squares))
            return i + 1, kept

        def condition(carry: tuple) -> Array:
            i, moments = carry
            return (i < MAX_ROUNDS) & anywhere(unfinished(*moments))

        zero = jnp.zeros((), static.dtype)
        each = jnp.zeros(static.n_features, static.dtype)
        start = (jnp.int32(0), Measured(zero, each, each, each, each, each), zero)
        _, (count, mean, squares) = jax.lax.while_loop(condition, body, (jnp.int32(0), start))
        return mean, stderr_of(count, squares)

    return evaluate
