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
from flax import struct
from jax import Array

from jsuper.models.toy import model
from jsuper.models.toy.architecture import IDENTITY, PLAIN, Architecture
from jsuper.models.toy.batching import anywhere, seed_by_seed
from jsuper.models.toy.config import Setting, Static
from jsuper.models.toy.inputs.interface import Law, Numbers
from jsuper.models.toy.layout import COLUMNS
from jsuper.models.toy.losses import loss_of, output_of
from jsuper.models.toy.network import output, target_of
from jsuper.models.toy.slots import switch
from jsuper.models.toy.widths import couples_batch
from jsuper.training import keys

MIN_ROUNDS, MAX_ROUNDS = 16, 2**15
COMPARED_ROUNDS = 16  # that measure the earlier loss; at most MIN_ROUNDS
RELATIVE_ERROR = 0.005


class Measured(NamedTuple):
    """The final loss of one model, and its relative fall since an earlier step."""

    loss: Array
    stderr: Array
    improvement: Array  # see `improvement`; NaN if no earlier loss is measured
    improvement_stderr: Array


@struct.dataclass
class Sampled:
    """A model, or models of a block with a leading axis, and whether a round is wanted."""

    params: model.Params
    setting: Setting
    wanted: Array


class Samples(NamedTuple):
    """Samples that models with one law of the data share."""

    x: Array  # non-zero columns, (n_features, COLUMNS)
    chance: Array  # P(a column is not zero)
    whole: Any  # a whole batch, (n_features, batch); None if no activation needs it


def make_evaluate(static: Static, sequential: bool) -> Callable[..., Measured]:
    """Return evaluate(params, earlier, setting, key, wanted) -> the final loss of one model.

    Rounds are independent samples; their mean is the loss and their spread its standard error. A
    model stops taking rounds when its own error is small enough, whatever its neighbours need. The
    spread of few rounds is itself uncertain: the error of k rounds counts as larger by the factor
    1 + 1/sqrt(2 (k - 1)), its own relative standard error.

    With `static.check_fit`, `earlier` are the weights at an earlier step. The loop first runs
    COMPARED_ROUNDS rounds with them, and then the same and further rounds with the final weights. A
    single loop compiles the round only once.
    """
    round_loss = make_round_loss(static, sequential)
    compared = COMPARED_ROUNDS * static.check_fit

    def evaluate(
        params: model.Params, earlier: Any, setting: Setting, key: Array, wanted: Array
    ) -> Measured:
        zero = jnp.zeros((), static.dtype)

        def unfinished(count: Array, mean: Array, squares: Array) -> Array:
            stderr = jnp.sqrt(squares / jnp.maximum(count * (count - 1), 1))
            at_most = stderr * (1 + jax.lax.rsqrt(2.0 * jnp.maximum(count - 1, 1)))
            enough = (count >= MIN_ROUNDS) & ~(at_most > RELATIVE_ERROR * jnp.abs(mean))
            return wanted & ~enough

        def condition(carry: tuple) -> Array:
            i, moments, _ = carry
            return (i < compared + MAX_ROUNDS) & anywhere(unfinished(*moments))

        def body(carry: tuple) -> tuple:
            i, (count, mean, squares), rounds = carry
            final = i >= compared
            number = jnp.where(final, i - compared, i)
            more = unfinished(count, mean, squares)
            weights = params
            if compared:
                weights = jax.tree.map(lambda a, b: jnp.where(final, a, b), params, earlier)
            loss = round_loss(Sampled(weights, setting, more), key, number)
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


def evaluation_draws(
    inputs: Law, key: Array, i: Array, n_features: int, batch_size: int
) -> tuple[Any, Any]:
    """Return the draws of round i for non-zero columns, and for a whole batch (None if size 0)."""
    key_of_round = keys.stream(key, keys.EVALUATION, i)
    columns = inputs.nonzero_draws(key_of_round, n_features, COLUMNS)
    if not batch_size:
        return columns, None
    key_of_batch = keys.stream(key, keys.EVALUATION_BATCH, i)
    return columns, inputs.independent_draws(key_of_batch, n_features, batch_size)


def make_round_loss(static: Static, sequential: bool) -> Callable[[Sampled, Array, Array], Array]:
    """Return round_loss(models, key, i): a model's loss on the samples of round i.

    It is 0 where no round is wanted. With `sequential`, models of a block go through it one after
    another, on samples that are made once for all models of a seed and density. Where all models
    run at once, an activation whose models want no further round takes no time.
    """
    n, inputs = static.n_features, static.inputs
    batch = static.batch_size * any(couplings(static.activations, n, static.net, static.n_hidden))
    errors = make_errors(static.activations, n, static.net)

    def loss(one: Sampled, samples: Samples) -> Array:
        setting = one.setting
        found = errors(one.params, setting.activation, samples)
        return jnp.mean(setting.importance * found)

    def if_wanted(found: Callable[[], Array], wanted: Array, shape: tuple = ()) -> Array:
        return jax.lax.cond(wanted, found, lambda: jnp.zeros(shape, static.dtype))

    def of_row(row: Sampled, draws: tuple) -> Array:
        def measured() -> Array:
            first = jax.tree.map(lambda a: a[0], row.setting)
            samples = samples_of(inputs, draws, first.law)
            return jax.lax.map(lambda one: if_wanted(lambda: loss(one, samples), one.wanted), row)

        return if_wanted(measured, jnp.any(row.wanted), row.wanted.shape)

    def of_block(models: Sampled, key: Array, i: Array) -> Array:
        draws = evaluation_draws(inputs, key, i, n, batch)
        count = len(models.wanted)
        fills = static.slots and count == static.rows * len(static.slots)
        size = len(static.slots) if fills else 1
        rows = jax.tree.map(lambda a: a.reshape(count // size, size, *a.shape[1:]), models)
        return jax.lax.map(lambda row: of_row(row, draws), rows).ravel()

    def of_one(one: Sampled, key: Array, i: Array) -> Array:
        draws = evaluation_draws(inputs, key, i, n, batch)
        samples = samples_of(inputs, draws, one.setting.law)
        return if_wanted(lambda: loss(one, samples), one.wanted)

    def loss_with(activation: str | Callable) -> Callable[[Sampled, tuple], Array]:
        own_errors = make_errors((activation,), n, static.net)

        def of_model(one: Sampled, draws: tuple) -> Array:
            def measured() -> Array:
                samples = samples_of(inputs, draws, one.setting.law)
                found = own_errors(one.params, jnp.int32(0), samples)
                return jnp.where(one.wanted, jnp.mean(one.setting.importance * found), 0)

            return if_wanted(measured, anywhere(one.wanted))

        return of_model

    if static.at_once and len(static.activations) > 1:
        own_loss = switch(static, [loss_with(a) for a in static.activations])

        def of_one_in_place(one: Sampled, key: Array, i: Array) -> Array:
            draws = evaluation_draws(inputs, key, i, n, batch)
            return own_loss(one.setting.activation, one, draws)

        return of_one_in_place
    return seed_by_seed(of_one, of_block, of_one) if sequential else of_one


def samples_of(inputs: Law, draws: tuple[Any, Any], numbers: Numbers) -> Samples:
    """Return the samples of a law from `evaluation_draws`."""
    columns, batch = draws
    whole = None if batch is None else inputs.sample(batch, numbers)
    return Samples(*inputs.nonzero(columns, numbers), whole)


def couplings(
    activations: tuple[str | Callable, ...], n_features: int, net: Architecture, n_hidden: int
) -> list[bool]:
    """Return whether models with each of the activations depend on a sample's batch."""
    inside = net.hidden_activation != IDENTITY and couples_batch(net.hidden_activation, n_hidden)
    return [inside or couples_batch(a, n_features) for a in activations]


def make_errors(
    activations: tuple[str | Callable, ...], n_features: int, net: Architecture = PLAIN
) -> Callable[..., Array]:
    """Return errors(params, activation, samples): E ℓ(x̂_i, y_i) of every feature.

    For the plain model this is E (x_i - x̂_i)². `activation` is an index into `activations`,
    `samples` are those of `samples_of`.
    """
    branches = [output_of(net, a) for a in activations]
    of, target = loss_of(net.loss_function).of, target_of(net.target)

    def error(params: model.Params, activation: Array, x: Array) -> Array:
        x_hat = jax.lax.switch(activation, branches, output(net, params, x))
        return jnp.mean(of(x_hat, target(x), x), axis=1)

    def of_columns(params: model.Params, activation: Array, s: Samples) -> Array:
        at_zero = error(params, activation, jnp.zeros_like(s.x[:, :1]))
        return (1 - s.chance) * at_zero + s.chance * error(params, activation, s.x)

    def of_batch(params: model.Params, activation: Array, s: Samples) -> Array:
        return error(params, activation, s.whole)

    def errors(params: model.Params, activation: Array, samples: Samples) -> Array:
        coupled = couplings(activations, n_features, net, params.W.shape[-2])
        if all(coupled):
            return of_batch(params, activation, samples)
        if not any(coupled):
            return of_columns(params, activation, samples)
        whole = jnp.asarray(np.array(coupled))[activation]
        return jax.lax.cond(whole, of_batch, of_columns, params, activation, samples)

    return errors
