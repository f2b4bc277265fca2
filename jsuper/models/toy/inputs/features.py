"""Sparse features: each is 0 with probability S, else uniform on [0, 1].

One uniform draw u decides both: a feature of density p = 1 - S is active where u < p, and then has
the value u/p. This is the notebook's law from half of its draws, and nested: the features active at
one sparsity are active at every lower one. Batches are (n_features, batch), the long axis last.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike, DTypeLike

from jsuper.core.checks import integer
from jsuper.core.errors import SpecError
from jsuper.core.expecting import expect, expect_array
from jsuper.models.toy.fields import check_sparsity
from jsuper.models.toy.limits import check_drawable
from jsuper.training.jax_config import shielded
from jsuper.training.keys import uniform

GOLDEN = (5**0.5 - 1) / 2


def draw(key: Array, n_features: int, batch: int) -> Array:
    """Uniform draws (n_features, batch) on [0, 1), float32 whatever the model's dtype."""
    return uniform(key, (n_features, batch))


def features(
    u: Array, density: Array, dtype: DTypeLike = jnp.float32, support: Array | None = None
) -> Array:
    """x = u/p where u < p, else 0; u/p as u times the rounded 1/p, which is still at most 1.

    With a support s that the batch shares, x = u where s < p, else 0.

    Parameters
    ----------
    u
        Uniform draws, (n_features, batch).
    density
        p = P(x_i != 0) in (0, 1], a scalar or (n_features,).
    support
        Uniform draws, (n_features, 1); None where each sample has its own.

    Returns
    -------
    Array
        The batch, (n_features, batch), in [0, 1].
    """
    p = _column(density)
    if support is not None:
        return jnp.where(support < p.astype(support.dtype), u.astype(dtype), 0)
    return jnp.where(u < p.astype(u.dtype), u.astype(dtype) * (1 / p.astype(dtype)), 0)


@shielded()
def sample(key: Array, sparsity: ArrayLike, n_features: int, batch: int) -> Array:
    """Return a batch of sparse features, (n_features, batch).

    Parameters
    ----------
    key
        Of `jsuper.seed_key`.
    sparsity
        Chance that a feature is zero, in [0, 1 - 2^-23), one or per feature.
    n_features
        Rows of the batch.
    batch
        Its columns, the samples.

    Raises
    ------
    TypeError
        The key or the sparsity is of another type.
    SpecError
        A number is out of range, or the sparsities are not one per feature.
    """
    example = "jsuper.sample(jsuper.seed_key(7), sparsity=0.9, n_features=20, batch=5)"
    expect("key", key, (jax.Array, np.ndarray), "a random key", example)
    expect_array("sparsity", sparsity, example)
    n_features, batch = integer(1)("n_features", n_features), integer(1)("batch", batch)
    if np.shape(sparsity) not in ((), (1,), (n_features,)):
        raise SpecError(
            f"sparsity has shape {np.shape(sparsity)} but n_features is {n_features}; give one "
            "number, or one per feature"
        )
    if not isinstance(sparsity, Tracer):
        for value in np.ravel(sparsity).tolist():
            check_drawable("sparsity", check_sparsity("sparsity", value))
    if isinstance(sparsity, (list, tuple)):
        sparsity = np.array(sparsity)
    return features(draw(key, n_features, batch), jnp.asarray(1 - sparsity))


def importance(decay: float, n_features: int) -> np.ndarray:
    """I_i = decay^i, i = 0 .. n_features - 1, float64."""
    return np.float64(decay) ** np.arange(n_features)


def constant_loss(density: Array, importance: Array) -> Array:
    """Loss of the best constant prediction b_i = p_i/2: mean_i I_i (p_i/3 - p_i²/4), last axis."""
    return (importance * (density / 3 - density**2 / 4)).mean(axis=-1)


def nonzero_draws(key: Array, n_features: int, columns: int) -> tuple[Array, Array, Array]:
    """The draws behind `nonzero_features`: (which feature is first, its value, all the others).

    The first two are stratified (an even comb and a golden-ratio sequence, each shifted at random),
    which makes the mean over the columns far more precise than independent draws would.
    """
    flat = uniform(key, (n_features * columns + 2,))
    first = (jnp.arange(columns, dtype=jnp.float32) + flat[-1]) / columns
    spread = jnp.asarray(np.arange(columns) * GOLDEN % 1, jnp.float32)
    value = (spread + flat[-2]) % 1
    return first, value, flat[:-2].reshape(n_features, columns)


def nonzero_features(
    draws: tuple[Array, Array, Array], density: Array, dtype: DTypeLike = jnp.float32
) -> tuple[Array, Array]:
    """Batch columns given that at least one feature is active, and the chance of that.

    The first active feature is i with probability p_i Π_{j<i} (1-p_j) / P(some feature is active);
    the features before it are 0, those after it are drawn as always.

    Parameters
    ----------
    draws
        Of `nonzero_draws`.
    density
        p, a scalar or (n_features,).

    Returns
    -------
    tuple[Array, Array]
        x of shape (n_features, columns), and P(some feature is active), a scalar.
    """
    first, value, u = draws
    n = u.shape[0]
    p = jnp.broadcast_to(density, (n,)).astype(jnp.float32)
    none_before = jnp.concatenate([jnp.ones(1, p.dtype), jnp.cumprod(1 - p)[:-1]])
    cumulative = jnp.cumsum(p * none_before)
    # the last feature with p > 0 catches draws that rounding leaves above the last threshold
    index = jnp.sum(first[None, :] * cumulative[-1] >= cumulative[:-1, None], axis=0)
    position = jnp.arange(n)[:, None]
    later = jnp.where(position > index, features(u, p, dtype), 0)
    x = jnp.where(position == index, value.astype(dtype), later)
    return x, cumulative[-1].astype(dtype)


def _column(density: Array) -> Array:
    """Return a scalar as it is, (n_features,) as a column."""
    density = jnp.asarray(density)
    return density[:, None] if density.ndim else density
