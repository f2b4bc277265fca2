"""The uniform draws of a step, with the active columns first if batches may be narrow.

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

BLOCK = 32  # size of the triangular matrix for running counts


class Columns(NamedTuple):
    """The draws behind columns of a batch."""

    u: Array  # of features, (n_features, width)
    dropout: Array | None  # of hidden units, (n_hidden, width); None if no model has dropout
    gate: Array | None  # of random activations, (n_features, width); None without them
    support: Array | None = None  # shared by the batch, (n_features, 1), which is then whole


class Draws(NamedTuple):
    """The draws of a step, shared by all settings of a seed."""

    whole: Columns
    narrow: Columns | None  # the first columns in order, for the widest narrow batch; or None
    smallest: Array | None  # of every column of `whole`, (batch,), comparable with `threshold`


def make_draws(static: Static, key: Array, step: Array, density: Array | None = None) -> Draws:
    """Return the draws of a seed's key at a step.

    Parameters
    ----------
    static
        Shapes and program.
    key
        Key of the seed.
    step
        Number of the step, from 0.
    density
        Densities of all models that share the draws, (models,) or (); (models, n_features) if it
        differs between features; None if no model needs a narrow batch.
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
    """Return the draws on a scale on which all features have the same threshold."""
    if static.feature_sparsity is None:
        return u
    density = 1 - np.array(static.feature_sparsity, np.float64)
    return u / density.astype(np.float32)[:, None]


def threshold(static: Static, density: Array) -> Array:
    """Return the number below which the smallest draw of an active column is."""
    if static.feature_sparsity is None:
        return density.astype(jnp.float32)
    return jnp.float32(1 + 1e-6)  # above 1 by more than the rounding of `relative`


def thresholds(static: Static, density: Array) -> Array:
    """Return the different thresholds of a seed's models, ascending: (static.densities,)."""
    found = jnp.ravel(threshold(static, density))
    if found.size == 1:
        return found
    return jnp.unique(found, size=static.densities, fill_value=jnp.inf)


def order(smallest: Array, thresholds: Array, width: int) -> Array:
    """Return the first `width` columns, ordered by the lowest threshold that they are below.

    This is a counting sort: a column's place is the number of columns with lower thresholds, plus
    those with the same threshold to its left. Sorting the values takes XLA three times as long.

    Parameters
    ----------
    smallest
        Smallest draw of every column, (batch,).
    thresholds
        Ascending.
    width
        At most the batch size.

    Returns
    -------
    Array
        Indices into `smallest`, (width,), int32.
    """
    level = jnp.sum(smallest >= thresholds[:, None], axis=0)
    at_level = level == jnp.arange(thresholds.size + 1)[:, None]
    counts = running_count(at_level.ravel()).reshape(at_level.shape)
    place = jnp.sum(jnp.where(at_level, counts, 0), axis=0) - 1
    columns = jnp.arange(smallest.size, dtype=jnp.int32)
    first = jnp.zeros(width, jnp.int32)
    return first.at[place].set(columns, mode="drop", unique_indices=True)


def running_count(flags: Array) -> Array:
    """Return the cumulative sum of flags, exact below 2**24 flags."""
    blocks = -(-flags.size // BLOCK)
    padded = jnp.pad(flags.astype(jnp.float32), (0, blocks * BLOCK - flags.size))
    up_to = np.triu(np.ones((BLOCK, BLOCK), np.float32))
    within = jnp.matmul(padded.reshape(blocks, BLOCK), up_to, precision="highest")
    before = jnp.cumsum(within[:, -1]) - within[:, -1]
    return (within + before[:, None]).ravel()[: flags.size].astype(jnp.int32)
