"""Loss and gradient of one model on one batch; columns without an active feature cost nothing.

The columns of a batch are put in the order of their smallest draw, once per seed and step. For
every density the columns with an active feature are then a prefix. A narrow batch is that prefix
and one zero column, weighted by how many there are: the same loss, the same gradient, less work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper import keys
from jsuper.toy import model
from jsuper.toy.activations import resolve
from jsuper.toy.features import draw, features
from jsuper.toy.model import Params
from jsuper.toy.static import Setting, Static, couples_batch


class Draws(NamedTuple):
    """The uniform draws of a step, shared by all settings of a seed."""

    u: Array  # features, (n_features, batch)
    dropout: Array | None  # hidden units, (n_hidden, batch); None where no model has dropout
    smallest: Array | None  # of every column, ascending, (batch,); None where all batches are whole


def make_draws(static: Static, key: Array, step: Array) -> Draws:
    """The draws of a seed's key at a step; columns in order where the program has narrow widths."""
    u = draw(keys.stream(key, keys.DATA, step), static.n_features, static.batch_size)
    dropout = None
    if static.dropout:
        drop_key = keys.stream(key, keys.DROPOUT, step)
        dropout = draw(drop_key, static.n_hidden, static.batch_size)
    if not static.widths:
        return Draws(u, dropout, None)
    smallest = jnp.min(relative(static, u), axis=0)
    order = ascending(smallest)
    return Draws(u[:, order], None if dropout is None else dropout[:, order], smallest[order])


def relative(static: Static, u: Array) -> Array:
    """Draws on a scale where one threshold serves all features."""
    if static.feature_sparsity is None:
        return u
    density = 1 - np.array(static.feature_sparsity, np.float64)
    return u / density.astype(np.float32)[:, None]


def threshold(static: Static, density: Array) -> Array:
    """A column whose smallest draw is not below this has no active feature."""
    if static.feature_sparsity is None:
        return density.astype(jnp.float32)
    return jnp.float32(1 + 1e-6)  # above 1 by more than the rounding of `relative`


def ascending(values: Array) -> Array:
    """Indices that sort float32 values >= 0; those that agree to about 1e-4 in any order.

    Value and index share one integer, because XLA sorts a single array many times faster than a
    pair: the leading bits of a non-negative float sort as an integer does.
    """
    bits = int(values.size - 1).bit_length()
    key = jax.lax.bitcast_convert_type(values, jnp.uint32) >> bits << bits
    sorted_key = jnp.sort(key | jnp.arange(values.size, dtype=jnp.uint32))
    return (sorted_key & jnp.uint32(2**bits - 1)).astype(jnp.int32)


def error_of(activation: str | Callable, repeats: int = 1) -> Callable[..., Array]:
    """error(z, x, importance): the loss, given z; the last column counts `repeats` times."""
    function = resolve(activation)
    return lambda z, x, importance: model.weighted_error(function(z), x, importance, repeats)


def batch_of(
    static: Static, setting: Setting, draws: Draws, width: int
) -> tuple[Array, Array | None]:
    """The first columns of the batch and the dropout mask that draws mean for one setting."""
    x = features(draws.u[:, :width], setting.density, static.dtype)
    if draws.dropout is None:
        return x, None
    return x, model.dropout_mask(draws.dropout[:, :width], setting.dropout)


def make_batch_loss(static: Static) -> Callable[[Params, Setting, Draws], Array]:
    """loss(params, setting, draws) of one model on one whole batch: the plain definition."""
    branches = [error_of(a) for a in static.activations]

    def batch_loss(params: Params, setting: Setting, draws: Draws) -> Array:
        x, mask = batch_of(static, setting, draws, static.batch_size)
        z = model.preactivation(params, x, mask)
        return jax.lax.switch(setting.activation, branches, z, x, setting.importance)

    return batch_loss


def make_gradient(static: Static) -> Callable[[Params, Setting, Draws], Params]:
    """The gradient of `make_batch_loss`, on the narrowest batch that holds the active columns."""
    widths = (*static.widths, static.batch_size)
    at_width = [gradient_at(static, width) for width in widths]
    whole_only = np.array([couples_batch(a) for a in static.activations])

    def gradient(params: Params, setting: Setting, draws: Draws) -> Params:
        if draws.smallest is None:
            return at_width[-1](params, setting, draws)
        active = draws.smallest < threshold(static, setting.density)
        last = jnp.max(jnp.where(active, jnp.arange(1, static.batch_size + 1), 0))
        # a narrow batch ends with a zero column, so it is wider than the last active one
        narrowest = jnp.sum(last >= np.array(static.widths))
        index = jnp.where(jnp.array(whole_only)[setting.activation], len(widths) - 1, narrowest)
        return jax.lax.switch(index, at_width, params, setting, draws)

    return gradient


def gradient_at(static: Static, width: int) -> Callable[[Params, Setting, Draws], Params]:
    """The gradient from the first `width` columns, the last of which stands for all the rest.

    The switch over activations is around ∂L/∂z alone: differentiating through it would keep the
    residuals of every branch, and would compile the matrix products once per activation.
    """
    repeats = static.batch_size - width + 1
    branches = [jax.grad(error_of(a, repeats)) for a in static.activations]

    def gradient(params: Params, setting: Setting, draws: Draws) -> Params:
        x, mask = batch_of(static, setting, draws, width)
        z, pull_back = jax.vjp(lambda p: model.preactivation(p, x, mask), params)
        dz = jax.lax.switch(setting.activation, branches, z, x, setting.importance)
        return pull_back(dz)[0]

    return gradient
