"""The uniform draws of a step, and their columns put together where a batch may be narrow.

A column whose draws all lie above the density p has no active feature. In a narrow batch the
columns with an active feature come first; those that are active at a lower density come before the
others, so that one order serves all settings of a seed.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.models.toy.config import Static
from jsuper.models.toy.inputs.features import draw
from jsuper.training import keys

BLOCK = 32  # of a running count: products with a triangular matrix of this size


class Columns(NamedTuple):
    """Columns of a batch: the draws that make it."""

    u: Array  # features, (n_features, width)
    dropout: Array | None  # hidden units, (n_hidden, width); None where no model has dropout
    gate: Array | None  # of random activations, (n_features, width); None where there is none
    support: Array | None = None  # shared by the batch, (n_features, 1), which is then whole


class Draws(NamedTuple):
    """The draws of a step, shared by all settings of a seed."""

    whole: Columns
    narrow: Columns | None  # as many columns, in order, as the widest narrow batch; or None
    smallest: Array | None  # of every column of `whole`, (batch,), comparable with `threshold`


def make_draws(static: Static, key: Array, step: Array, density: Array | None = None) -> Draws:
    """Return the draws of a seed's key at a step.

    Parameters
    ----------
    static
        Shapes and program.
    key
        Of the seed.
    step
        From 0.
    density
        Of all models that share the draws, (models,) or (); (models, n_features) where it
        differs between features. None: nobody needs a narrow batch.
    """
    u = draw(keys.stream(key, keys.DATA, step), static.n_features, static.batch_size)
    dropout = None
    if static.dropout:
        drop_key = keys.stream(key, keys.DROPOUT, step)
        dropout = draw(drop_key, static.n_hidden, static.batch_size)
    gate = None
    if static.stochastic:
        gate_key = keys.stream(key, keys.GATE, step)
        gate = draw(gate_key, static.n_features, static.batch_size)
    support = None
    if static.shared_mask:
        support = draw(keys.stream(key, keys.SUPPORT, step), static.n_features, 1)
    whole = Columns(u, dropout, gate, support)
    if density is None or not static.widths:
        return Draws(whole, None, None)
    smallest = jnp.min(relative(static, u), axis=0)
    first = order(smallest, thresholds(static, density), static.widths[-1])
    narrow = jax.tree.map(lambda a: a[:, first], whole)
    return Draws(whole, narrow, smallest)


def relative(static: Static, u: Array) -> Array:
    """Draws on a scale where one threshold serves all features."""
    if static.feature_sparsity is None:
        return u
    density = 1 - np.array(static.feature_sparsity, np.float64)
    return u / density.astype(np.float32)[:, None]


def threshold(static: Static, density: Array) -> Array:
    """Return a column whose smallest draw is not below this has no active feature."""
    if static.feature_sparsity is None:
        return density.astype(jnp.float32)
    return jnp.float32(1 + 1e-6)  # above 1 by more than the rounding of `relative`


def thresholds(static: Static, density: Array) -> Array:
    """Those of a seed's models, each once, ascending: (static.densities,)."""
    own = jnp.ravel(threshold(static, density))
    if own.size == 1:
        return own
    return jnp.unique(own, size=static.densities, fill_value=jnp.inf)


def order(smallest: Array, thresholds: Array, width: int) -> Array:
    """Return the first `width` columns in the order of the first threshold that they are below.

    A counting sort: a column's place is the number of those with lower thresholds, and of its own
    kind to the left of it. XLA would need three times as long to sort the values.

    Parameters
    ----------
    smallest
        Of every column, (batch,).
    thresholds
        Ascending.
    width
        At most the batch.

    Returns
    -------
    Array
        Indices into `smallest`, (width,), int32.
    """
    level = jnp.sum(smallest >= thresholds[:, None], axis=0)
    own = level == jnp.arange(thresholds.size + 1)[:, None]
    counts = running_count(own.ravel()).reshape(own.shape)
    place = jnp.sum(jnp.where(own, counts, 0), axis=0) - 1
    columns = jnp.arange(smallest.size, dtype=jnp.int32)
    first = jnp.zeros(width, jnp.int32)
    return first.at[place].set(columns, mode="drop", unique_indices=True)


def running_count(flags: Array) -> Array:
    """How many of the flags are set up to and including each: `cumsum`, exact below 2**24 flags."""
    blocks = -(-flags.size // BLOCK)
    padded = jnp.pad(flags.astype(jnp.float32), (0, blocks * BLOCK - flags.size))
    up_to = np.triu(np.ones((BLOCK, BLOCK), np.float32))
    within = jnp.matmul(padded.reshape(blocks, BLOCK), up_to, precision="highest")
    before = jnp.cumsum(within[:, -1]) - within[:, -1]
    return (within + before[:, None]).ravel()[: flags.size].astype(jnp.int32)
