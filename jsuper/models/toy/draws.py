"""The uniform draws of a step, with the active columns first if batches may be narrow.

The law of the data gives every column a level: the density below which it has no active feature. In
a narrow batch the columns with an active feature come first; those that are active at a lower
density come before the others, so that one order serves all settings of a seed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.models.toy.activations.registry import is_stochastic
from jsuper.models.toy.config import Setting, Static
from jsuper.training import keys

BLOCK = 32  # size of the triangular matrix for running counts


class Columns(NamedTuple):
    """The draws behind columns of a batch."""

    data: Any  # of features: those of `Inputs.draw`, (..., width)
    dropout: Array | None  # of hidden units, (n_hidden, width); None if no model has dropout
    gate: Array | None  # of random activations, (n_features, width); None without them
    hidden_gate: Array | None = None  # of a random hidden activation, (n_hidden, width)
    noise: Array | None = None  # of hidden units, (n_hidden, width)


class Draws(NamedTuple):
    """The draws of a step, shared by all settings of a seed."""

    whole: Columns
    narrow: Columns | None  # the first columns in order, for the widest narrow batch; or None
    level: Array | None  # of every column of `whole`, (batch,), comparable with `threshold`
    scale: Array | None  # densities that `level` refers to, (n_features,), or 1


class Source(NamedTuple):
    """What the draws of a seed's steps are made from."""

    key: Array
    dataset: Array | None  # draws of the dataset, (rows, dataset_size); None without one


def source_of(static: Static, key: Array) -> Source:
    """Return the source of a seed's draws; its dataset is made here, once for many steps."""
    if not static.dataset_size:
        return Source(key, None)
    return Source(key, static.inputs.dataset(key, static.n_features, static.dataset_size))


def data_of(static: Static, source: Source, step: Array) -> Any:
    """Return the draws behind the data of a step: those of `Inputs.draw`, (..., batch)."""
    key, dataset = source
    if dataset is None:
        return static.inputs.draw(key, step, static.n_features, static.batch_size)
    return dataset[:, chosen(key, step, dataset.shape[1], static.batch_size)]


def make_draws(
    static: Static, source: Source | Array, step: Array, settings: Setting | None = None
) -> Draws:
    """Return the draws of a seed at a step.

    Parameters
    ----------
    static
        Shapes and program.
    source
        The seed's source, or its key.
    step
        Number of the step, from 0.
    settings
        Those of all models that share the draws, with a leading axis, or that of a single one; None
        if no model needs a narrow batch. Their laws differ in density only.
    """
    source = source if isinstance(source, Source) else source_of(static, source)
    key, batch, data = source.key, static.batch_size, data_of(static, source, step)
    dropout = None
    if static.dropout:
        shape = (static.n_hidden, batch)
        dropout = keys.uniform(keys.stream(key, keys.DROPOUT, step), shape)
    gate = None
    if static.stochastic:
        gate = keys.uniform(keys.stream(key, keys.GATE, step), (static.n_features, batch))
    whole = Columns(data, dropout, gate, *_hidden_draws(static, key, step))
    if settings is None or not static.widths:
        return Draws(whole, None, None, None)
    first = settings
    if settings.learning_rate.ndim:
        first = jax.tree.map(lambda a: a[0], settings)
    scale = first.density if static.per_feature else jnp.float32(1)
    level = static.inputs.level(data, scale.astype(jnp.float32), first.law)
    found = thresholds(static, threshold(settings.density, scale, static.per_feature))
    columns = order(level, found, static.widths[-1])
    narrow = jax.tree.map(lambda a: a[..., columns], whole)
    return Draws(whole, narrow, level, scale)


def _hidden_draws(static: Static, key: Array, step: Array) -> tuple[Array | None, Array | None]:
    """Return the draws of a random hidden activation and of noise, (n_hidden, batch) or None."""
    shape = (static.n_hidden, static.batch_size)
    gate = noise = None
    if is_stochastic(static.net.hidden_activation):
        gate = keys.uniform(keys.stream(key, keys.HIDDEN_GATE, step), shape)
    if static.net.hidden_noise != "none":
        noise = keys.uniform(keys.stream(key, keys.HIDDEN_NOISE, step), shape)
    return gate, noise


def chosen(key: Array, step: Array, samples: int, batch: int) -> Array | slice:
    """Return the samples of a dataset that a step trains on: (batch,), or all.

    Every epoch has its own order, and consists of as many batches as fit; the rest is left out.
    """
    if batch == samples:
        return slice(None)
    per_epoch = samples // batch
    epoch, number = step // per_epoch, step % per_epoch
    permuted = jax.random.permutation(keys.stream(key, keys.ORDER, epoch), samples)
    return jax.lax.dynamic_slice_in_dim(permuted, number * batch, batch)


def threshold(density: Array, scale: Array, per_feature: bool) -> Array:
    """Return the number below which the level of an active column is, (...,).

    With a density for every feature, (..., n_features), it is above density / scale by more than
    the rounding of the division.
    """
    if not per_feature:
        return density.astype(jnp.float32)
    return (density[..., 0] / scale[0] * (1 + 1e-6)).astype(jnp.float32)


def thresholds(static: Static, found: Array) -> Array:
    """Return the different thresholds of a seed's models, ascending: (static.densities,)."""
    found = jnp.ravel(found)
    if found.size == 1:
        return found
    return jnp.unique(found, size=static.densities, fill_value=jnp.inf)


def order(level: Array, thresholds: Array, width: int) -> Array:
    """Return the first `width` columns, ordered by the lowest threshold that they are below.

    This is a counting sort: a column's place is the number of columns with lower thresholds, plus
    those with the same threshold to its left. Sorting the values takes XLA three times as long.

    Parameters
    ----------
    level
        Level of every column, (batch,).
    thresholds
        Ascending.
    width
        At most the batch size.

    Returns
    -------
    Array
        Indices into `level`, (width,), int32.
    """
    rank = jnp.sum(level >= thresholds[:, None], axis=0)
    at_level = rank == jnp.arange(thresholds.size + 1)[:, None]
    counts = running_count(at_level.ravel()).reshape(at_level.shape)
    place = jnp.sum(jnp.where(at_level, counts, 0), axis=0) - 1
    columns = jnp.arange(level.size, dtype=jnp.int32)
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
