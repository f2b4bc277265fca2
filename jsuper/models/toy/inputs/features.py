"""Sparse features: each is 0 with probability S, else uniform on [0, 1].

One uniform draw u decides both: a feature of density p = 1 - S is active if u < p, and then has the
value u/p. This is the notebook's distribution with half as many draws, and it is nested: features
that are active at one sparsity are active at every lower one. Batches are (n_features, batch), with
the long axis last.
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
    """Return uniform draws on [0, 1), (n_features, batch), float32 for models of any dtype."""
    return uniform(key, (n_features, batch))


def features(
    u: Array, density: Array, dtype: DTypeLike = jnp.float32, support: Array | None = None
) -> Array:
    """Return x = u/p where u < p, else 0; u/p is computed as u times 1/p, and is at most 1.

    With draws s that all samples share, x = u where s < p, else 0.

    Parameters
    ----------
    u
        Uniform draws, (n_features, batch).
    density
        p = P(x_i != 0) in (0, 1], a scalar or (n_features,).
    support
        Shared uniform draws s, (n_features, 1); None if each sample has its own.

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
    """Return a batch of sparse features: 0 with probability S, else uniform on [0, 1].

    With uniform draws u and p = 1 - S, x = u/p where u < p, else 0. The same key gives nested
    batches: features that are active at one sparsity are active at every lower one.

    Parameters
    ----------
    key
        A random key, such as `jsuper.seed_key(7)`.
    sparsity
        Probability S that a feature is zero, in [0, 1 - 2^-23): a number, or one per feature,
        (n_features,).
    n_features
        Number of features, the rows of the batch.
    batch
        Number of samples, the columns of the batch.

    Returns
    -------
    Array
        The batch, (n_features, batch), float32, in [0, 1].

    Raises
    ------
    TypeError
        The key is not a random key, or the sparsity is not numeric.
    SpecError
        A number is out of range, or the sparsities are not one per feature.

    References
    ----------
    Elhage et al., "Toy Models of Superposition", 2022.

    Examples
    --------
    >>> import jsuper
    >>> jsuper.sample(jsuper.seed_key(7), sparsity=0.9, n_features=20, batch=5).shape
    (20, 5)
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
    """Return I_i = decay^i, i = 0 ... n_features - 1, in float64."""
    return np.float64(decay) ** np.arange(n_features)


def constant_loss(density: Array, importance: Array) -> Array:
    """Return the loss of the best constant b_i = p_i/2: mean_i I_i (p_i/3 - p_i²/4), last axis."""
    return (importance * (density / 3 - density**2 / 4)).mean(axis=-1)


def nonzero_draws(key: Array, n_features: int, columns: int) -> tuple[Array, Array, Array]:
    """Return draws for `nonzero_features`: (first active feature, its value, all others).

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
    """Return columns with at least one active feature, and the probability of such a column.

    The first active feature is i with probability p_i Π_{j<i} (1-p_j) / P(some feature is active);
    the features before it are 0, those after it are drawn as usual.

    Parameters
    ----------
    draws
        Draws of `nonzero_draws`.
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
