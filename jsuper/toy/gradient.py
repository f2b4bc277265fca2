"""Loss and gradient of one model on one batch; columns without an active feature cost nothing.

The columns of a batch are put in the order of their smallest draw, once per seed and step. For
every density the columns with an active feature are then a prefix. A narrow batch is that prefix
and one zero column, weighted by how many there are: the same loss, the same gradient, less work.
"""

from __future__ import annotations

import functools
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


def make_gradient(
    static: Static, per_model: Callable = lambda f: f
) -> Callable[[Params, Setting, Draws], Params]:
    """The gradient of `make_batch_loss`, on the narrowest batch that holds the active columns.

    Args:
        static: shapes and program.
        per_model: wraps the heavy part, e.g. `sequential_vmap`; the rest stays batched under vmap.
    """
    widths = (*static.widths, static.batch_size)
    at_width = [gradient_at(static, width) for width in widths]
    whole_only = np.array([couples_batch(a) for a in static.activations])
    heavy = per_model(lambda index, *args: jax.lax.switch(index, at_width, *args))

    def gradient(params: Params, setting: Setting, draws: Draws) -> Params:
        index = jnp.int32(len(static.widths))
        if draws.smallest is not None:
            narrow = narrowest(static, draws.smallest, setting.density)
            index = jnp.where(jnp.array(whole_only)[setting.activation], index, narrow)
        decoder = jnp.concatenate([params.W, params.b[None]]).T
        through_h, at_output = heavy(index, params.W, decoder, setting, draws)
        return Params(W=through_h + at_output[:-1], b=at_output[-1])

    return gradient


def narrowest(static: Static, smallest: Array, density: Array) -> Array:
    """Index into (*widths, batch_size) of the narrowest batch that holds all active columns."""
    active = smallest < threshold(static, density)
    last = jnp.max(jnp.where(active, jnp.arange(1, static.batch_size + 1), 0))
    # a narrow batch ends with a zero column, so it is wider than the last active one
    return jnp.sum(last >= np.array(static.widths), dtype=jnp.int32)


def gradient_at(static: Static, width: int) -> Callable[..., tuple[Array, Array]]:
    """The gradient from the first `width` columns, the last of which stands for all the rest.

    With h1 = [h; 1] the bias is one more weight, z = decoder h1 with decoder = [Wᵀ b], and takes no
    pass of its own. The switch over activations is around ∂L/∂z alone: the matrix products are
    compiled once, and no branch's residuals are kept.

    Returns:
        A function of (W, decoder, setting, draws) that returns the two parts of the gradient:
        (W ∂L/∂z) xᵀ, what goes through h, (n_hidden, n_features), and h1 (∂L/∂z)ᵀ, what W and b do
        at the output, (n_hidden + 1, n_features).
    """
    repeats = static.batch_size - width + 1
    branches = [jax.grad(error_of(a, repeats)) for a in static.activations]
    product = functools.partial(jnp.matmul, precision="highest")

    def gradient(W: Array, decoder: Array, setting: Setting, draws: Draws) -> tuple[Array, Array]:
        x, mask = batch_of(static, setting, draws, width)
        h = product(W, x)
        h = h if mask is None else h * mask
        h1 = jnp.pad(h, ((0, 1), (0, 0)), constant_values=1)
        z = product(decoder, h1)
        dz = jax.lax.switch(setting.activation, branches, z, x, setting.importance)
        dh = product(W, dz)
        dh = dh if mask is None else dh * mask
        return product(dh, x.T), product(h1, dz.T)

    return gradient
