"""The final loss of a model on a sample so large that its standard error is at most half a percent.

A few tiny models whose loss is all but zero end with a larger one, after MAX_ROUNDS; it is stored.

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

from jsuper import keys
from jsuper.batching import anywhere
from jsuper.toy import model
from jsuper.toy.activations import resolve
from jsuper.toy.features import draw, features, nonzero_draws, nonzero_features
from jsuper.toy.layout import COLUMNS
from jsuper.toy.static import Setting, Static, couples_batch

MIN_ROUNDS, MAX_ROUNDS = 64, 2**15
COMPARED_ROUNDS = 16  # on which an earlier loss is measured; at most MIN_ROUNDS
RELATIVE_ERROR = 0.005


class Measured(NamedTuple):
    """The final loss of one model."""

    loss: Array
    stderr: Array
    rounds: Array  # losses of the first COMPARED_ROUNDS; (0,) where nothing is compared


def make_evaluate(static: Static, per_model: Callable) -> Callable[..., Measured]:
    """Build evaluate(params, setting, key, wanted) -> the final loss of one model.

    Rounds are independent samples; their mean is the loss and their spread its standard error. A
    model stops taking rounds when its own error is small enough, whatever its neighbours need.
    """
    coupled = any(couples_batch(a, static.n_features) for a in static.activations)
    round_loss = per_model(make_round_loss(static))

    def evaluate(params: model.Params, setting: Setting, key: Array, wanted: Array) -> Measured:
        zero = jnp.zeros((), static.dtype)

        def unfinished(count: Array, mean: Array, squares: Array) -> Array:
            stderr = jnp.sqrt(squares / jnp.maximum(count * (count - 1), 1))
            enough = (count >= MIN_ROUNDS) & ~(stderr > RELATIVE_ERROR * jnp.abs(mean))
            return wanted & ~enough

        def condition(carry: tuple) -> Array:
            i, moments, _ = carry
            return (i < MAX_ROUNDS) & anywhere(unfinished(*moments))

        def body(carry: tuple) -> tuple:
            i, (count, mean, squares), rounds = carry
            draws = evaluation_draws(key, i, static.n_features, static.batch_size * coupled)
            more = unfinished(count, mean, squares)
            loss = round_loss(params, setting, draws, more)
            delta = loss - mean  # Welford's update: no difference of large sums
            new_mean = mean + delta / (count + 1)
            new = (count + 1, new_mean, squares + delta * (loss - new_mean))
            kept = jax.tree.map(lambda a, b: jnp.where(more, a, b), new, (count, mean, squares))
            rounds = rounds.at[i].set(loss, mode="drop") if static.check_fit else rounds
            return i + 1, kept, rounds

        moments = (jnp.zeros((), jnp.int32), zero, zero)
        rounds = jnp.zeros(COMPARED_ROUNDS * static.check_fit, static.dtype)
        carry = (jnp.int32(0), moments, rounds)
        _, (count, mean, squares), rounds = jax.lax.while_loop(condition, body, carry)
        stderr = jnp.sqrt(squares / jnp.maximum(count * (count - 1), 1))
        return Measured(mean, stderr, rounds)

    return evaluate


def make_improvement(static: Static, per_model: Callable) -> Callable[..., tuple[Array, Array]]:
    """Build improvement(earlier, rounds, setting, key, wanted) -> (1 - L/L_earlier, its error).

    `earlier` are the weights of the same model at an earlier step, `rounds` the losses of its final
    weights in the first rounds. The earlier loss is measured on the same rounds, so that most of
    the sampling error cancels. With L = mean(a), L_earlier = mean(b) and r = L / L_earlier, the
    standard error is that of mean(a - r b) over L_earlier (the delta method for a ratio).
    """
    coupled = any(couples_batch(a, static.n_features) for a in static.activations)
    round_loss = per_model(make_round_loss(static))

    def improvement(
        earlier: model.Params, rounds: Array, setting: Setting, key: Array, wanted: Array
    ) -> tuple[Array, Array]:
        def measured(i: Array) -> Array:
            draws = evaluation_draws(key, i, static.n_features, static.batch_size * coupled)
            return round_loss(earlier, setting, draws, wanted)

        before = jax.lax.map(measured, jnp.arange(COMPARED_ROUNDS, dtype=jnp.int32))
        reference = jnp.mean(before)
        ratio = jnp.mean(rounds) / reference
        squares = jnp.sum((rounds - ratio * before) ** 2)
        stderr = jnp.sqrt(squares / (COMPARED_ROUNDS * (COMPARED_ROUNDS - 1))) / reference
        return 1 - ratio, stderr

    return improvement


def evaluation_draws(key: Array, i: Array, n_features: int, batch_size: int) -> tuple[Any, Any]:
    """The draws of round i: for non-zero columns, and for a whole batch unless its size is 0."""
    columns = nonzero_draws(keys.stream(key, keys.EVALUATION, i), n_features, COLUMNS)
    if not batch_size:
        return columns, None
    return columns, draw(keys.stream(key, keys.EVALUATION_BATCH, i), n_features, batch_size)


def make_round_loss(static: Static) -> Callable[..., Array]:
    """Build round_loss(params, setting, draws, wanted): one round's estimate of a model's loss."""
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
    """Build round_errors(params, activation, density, draws): E (x_i - x̂_i)² of every feature.

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
