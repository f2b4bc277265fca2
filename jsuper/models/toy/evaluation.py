"""The final loss of a model on a sample so large that its standard error is at most half a percent.

A few tiny models whose loss is almost zero stop after MAX_ROUNDS with a larger error; it is stored.

At high sparsity most columns of a batch are all zero. Columns with an active feature are sampled,
and the zero column is weighted exactly: L = (1 - P) L(0) + P E[L | some feature is active]. Where
an activation couples the samples of a batch, whole batches of the training size are drawn instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.models.toy import model
from jsuper.models.toy.activations.registry import resolve
from jsuper.models.toy.batching import anywhere
from jsuper.models.toy.config import Setting, Static, couples_batch
from jsuper.models.toy.inputs.features import draw, features, nonzero_draws, nonzero_features
from jsuper.models.toy.layout import COLUMNS
from jsuper.training import keys

MIN_ROUNDS, MAX_ROUNDS = 64, 2**15
COMPARED_ROUNDS = 16  # that measure the earlier loss; at most MIN_ROUNDS
RELATIVE_ERROR = 0.005


class Measured(NamedTuple):
    """The final loss of one model, and its relative fall since an earlier step."""

    loss: Array
    stderr: Array
    improvement: Array  # see `improvement`; NaN if no earlier loss is measured
    improvement_stderr: Array


def make_evaluate(static: Static, per_model: Callable) -> Callable[..., Measured]:
    """Return evaluate(params, earlier, setting, key, wanted) -> the final loss of one model.

    Rounds are independent samples; their mean is the loss and their spread its standard error. A
    model stops taking rounds when its own error is small enough, whatever its neighbours need.

    With `static.check_fit`, `earlier` are the weights at an earlier step. The loop first runs
    COMPARED_ROUNDS rounds with them, and then the same and further rounds with the final weights. A
    single loop compiles the round only once.
    """
    coupled = any(couples_batch(a, static.n_features) for a in static.activations)
    round_loss = per_model(make_round_loss(static))
    compared = COMPARED_ROUNDS * static.check_fit

    def evaluate(
        params: model.Params, earlier: Any, setting: Setting, key: Array, wanted: Array
    ) -> Measured:
        zero = jnp.zeros((), static.dtype)

        def unfinished(count: Array, mean: Array, squares: Array) -> Array:
            stderr = jnp.sqrt(squares / jnp.maximum(count * (count - 1), 1))
            enough = (count >= MIN_ROUNDS) & ~(stderr > RELATIVE_ERROR * jnp.abs(mean))
            return wanted & ~enough

        def condition(carry: tuple) -> Array:
            i, moments, _ = carry
            return (i < compared + MAX_ROUNDS) & anywhere(unfinished(*moments))

        def body(carry: tuple) -> tuple:
            i, (count, mean, squares), rounds = carry
            final = i >= compared
            number = jnp.where(final, i - compared, i)
            draws = evaluation_draws(key, number, static.n_features, static.batch_size * coupled)
            more = unfinished(count, mean, squares)
            weights = params
            if compared:
                weights = jax.tree.map(lambda a, b: jnp.where(final, a, b), params, earlier)
            loss = round_loss(weights, setting, draws, more)
            delta = loss - mean  # Welford's update: no difference of large sums
            new_mean = mean + delta / (count + 1)
            new = (count + 1, new_mean, squares + delta * (loss - new_mean))
            kept = jax.tree.map(
                lambda a, b: jnp.where(more & final, a, b), new, (count, mean, squares)
            )
            rounds = rounds.at[i].set(loss, mode="drop") if compared else rounds
            return i + 1, kept, rounds

        moments = (jnp.zeros((), jnp.int32), zero, zero)
        carry = (jnp.int32(0), moments, jnp.zeros(2 * compared, static.dtype))
        _, (count, mean, squares), rounds = jax.lax.while_loop(condition, body, carry)
        stderr = jnp.sqrt(squares / jnp.maximum(count * (count - 1), 1))
        if not compared:
            return Measured(mean, stderr, zero * jnp.nan, zero * jnp.nan)
        return Measured(mean, stderr, *improvement(rounds[:compared], rounds[compared:]))

    return evaluate


def improvement(before: Array, after: Array) -> tuple[Array, Array]:
    """Return the relative fall of the loss, 1 - L/L_earlier, and its standard error.

    Both were measured on the same rounds, so that most of the sampling error cancels. With L =
    mean(after), L_earlier = mean(before) and r = L / L_earlier, the standard error is that of
    mean(after - r before) over L_earlier (the delta method for a ratio).

    Parameters
    ----------
    before, after
        (rounds,) the losses of the earlier and of the final weights.
    """
    count = len(before)
    reference = jnp.mean(before)
    ratio = jnp.mean(after) / reference
    squares = jnp.sum((after - ratio * before) ** 2)
    return 1 - ratio, jnp.sqrt(squares / (count * (count - 1))) / reference


def evaluation_draws(key: Array, i: Array, n_features: int, batch_size: int) -> tuple[Any, Any]:
    """Return the draws of round i for non-zero columns, and for a whole batch (None if size 0)."""
    columns = nonzero_draws(keys.stream(key, keys.EVALUATION, i), n_features, COLUMNS)
    if not batch_size:
        return columns, None
    return columns, draw(keys.stream(key, keys.EVALUATION_BATCH, i), n_features, batch_size)


def make_round_loss(static: Static) -> Callable[..., Array]:
    """Return round_loss(params, setting, draws, wanted): one round's estimate of a model's loss."""
    round_errors = make_round_errors(static.activations, static.n_features, static.dtype)

    def measured(params: model.Params, setting: Setting, draws: tuple) -> Array:
        errors = round_errors(params, setting.activation, setting.density, draws)
        return jnp.mean(setting.importance * errors)

    def round_loss(params: model.Params, setting: Setting, draws: tuple, wanted: Array) -> Array:
        skipped = jnp.zeros((), static.dtype)
        return jax.lax.cond(wanted, lambda: measured(params, setting, draws), lambda: skipped)

    return round_loss


def make_round_errors(
    activations: tuple[str | Callable, ...], n_features: int, dtype: str
) -> Callable[..., Array]:
    """Return round_errors(params, activation, density, draws): E (x_i - x̂_i)² of every feature.

    `activation` is an index into `activations`, `draws` are those of `evaluation_draws`.
    """
    coupled = [couples_batch(a, n_features) for a in activations]
    branches = [resolve(a) for a in activations]

    def error(params: model.Params, activation: Array, x: Array) -> Array:
        x_hat = jax.lax.switch(activation, branches, model.preactivation(params, x))
        return jnp.mean((x_hat - x) ** 2, axis=1)

    def of_columns(params: model.Params, activation: Array, density: Array, draws: tuple) -> Array:
        x, chance = nonzero_features(draws[0], density, dtype)
        at_zero = error(params, activation, jnp.zeros_like(x[:, :1]))
        return (1 - chance) * at_zero + chance * error(params, activation, x)

    def of_batch(params: model.Params, activation: Array, density: Array, draws: tuple) -> Array:
        return error(params, activation, features(draws[1], density, dtype))

    def round_errors(
        params: model.Params, activation: Array, density: Array, draws: tuple
    ) -> Array:
        if all(coupled):
            return of_batch(params, activation, density, draws)
        if not any(coupled):
            return of_columns(params, activation, density, draws)
        whole = jnp.asarray(np.array(coupled))[activation]
        return jax.lax.cond(whole, of_batch, of_columns, params, activation, density, draws)

    return round_errors
