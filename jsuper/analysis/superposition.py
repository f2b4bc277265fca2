"""Superposition in a model's weights: pure functions of W.

Each function maps W of shape (..., n_hidden, n_features), NumPy or JAX with any leading axes, to an
array of the same kind and dtype (float32 for half precision), and works under `jax.jit` and
`jax.vmap`. Column W_i is the embedding of feature i, and Ŵ_i = W_i/‖W_i‖. A column shorter than
1e-12 of the longest counts as zero, and zero columns have 0 everywhere. A model with a non-finite
weight gives NaN, also where the result is a count, and only for itself. Fewer than two axes are a
ValueError.

Functions without a reference follow Elhage et al. (2022), "Toy Models of Superposition",
<https://transformer-circuits.pub/2022/toy_model/index.html>.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jsuper.analysis.arrays import Array, in_range, matmul, per_feature, scaled, weights
from jsuper.training.jax_config import shielded

ZERO = 1e-12  # of the longest column
REPRESENTED = 0.5


@shielded()
def feature_norms(W: Array) -> Array:
    """Return ‖W_i‖, the strength with which feature i is embedded: (..., n_features), >= 0."""
    xp, W = weights(W)
    W, largest = scaled(W, axis=-2)
    return xp.sqrt((W * W).sum(axis=-2)) * largest[..., 0, :]


@shielded()
def gram(W: Array, read: Array | None = None) -> Array:
    """Return WᵀW, the dot products of all features: (..., n_features, n_features).

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    read
        R, of the same shape, for RᵀW, e.g. R = W_dec of an untied model; W by default.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    xp, W = weights(W)
    return matmul(xp.swapaxes(_reading(xp, W, read), -1, -2), W)


@shielded()
def overlaps(W: Array) -> Array:
    """Return Ŵ_i·W_j, row i and column j: (..., n_features, n_features).

    The row of a zero column is 0.
    """
    xp, W = weights(W)
    return matmul(xp.swapaxes(directions(W), -1, -2), W)


@shielded()
def directions(W: Array) -> Array:
    """Return Ŵ_i, every column at length 1: (..., n_hidden, n_features).

    Zero columns stay 0.
    """
    xp, W = weights(W)
    norms = feature_norms(W)[..., None, :]
    zero = norms <= ZERO * norms.max(axis=-1, keepdims=True)
    return xp.where(zero, 0, W / xp.where(zero, 1, norms))


@shielded()
def interference(
    W: Array, *, part: str = "all", root: bool = False, density: Array | None = None
) -> Array:
    """Return Σ_{j≠i} (Ŵ_i·W_j)², how much the other features disturb feature i: (..., n_features).

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    part
        "all"; "positive" or "negative" keeps the overlaps of that sign, and the two add up to all.
    root
        Whether to take the square root, by which the paper's notebook colours its bars.
    density
        p_j = P(x_j != 0), in [0, 1], a number or (..., n_features). If given, (Ŵ_i·W_j)² is
        weighted by p_j.

    Raises
    ------
    ValueError
        `part` is another word, or the density does not fit.
    """
    xp, W = weights(W)
    if part not in ("all", "positive", "negative"):
        raise ValueError(f"part={part!r} is not one of all, positive, negative")
    W, largest = scaled(W, axis=(-2, -1))
    o = overlaps(W)
    if part != "all":
        o = xp.maximum(o, 0) if part == "positive" else xp.minimum(o, 0)
    weight = 1 - xp.eye(W.shape[-1], dtype=W.dtype)
    if density is not None:
        weight = weight * per_feature("density", density, W, "[0, 1]")[..., None, :]
    total = (o * o * weight).sum(axis=-1)
    largest = largest[..., 0]
    return xp.sqrt(total) * largest if root else total * largest * largest


@shielded()
def crosstalk(W: Array, read: Array | None = None) -> Array:
    """Return Σ_{i≠j} (R_i·W_j)² / Σ_i (R_i·W_i)²: (...,), in [0, ∞).

    It compares what features read of other features with what they read of themselves. R = W gives
    the interference of the model x̂ = act(WᵀW x + b), R = W_dec that of an untied model, and R = V
    that of the value of a gated decoder. NaN if no feature reads itself.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    read
        R, of the same shape; W by default.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    xp, W = weights(W)
    R = _reading(xp, W, read)
    (R, _), (W, _) = (scaled(a, axis=(-2, -1)) for a in (R, W))  # no square overflows
    products = matmul(xp.swapaxes(R, -1, -2), W) ** 2
    own = xp.trace(products, axis1=-2, axis2=-1)
    return (products.sum(axis=(-2, -1)) - own) / xp.where(own == 0, W.dtype.type("nan"), own)


def _reading(xp, W: Array, read: Array | None) -> Array:
    """Return R, or W if none is given; raise ValueError if the shapes differ."""
    R = W if read is None else xp.asarray(read, dtype=W.dtype)
    if R.shape != W.shape:
        raise ValueError(f"read has shape {R.shape} but W {W.shape}; give the same shapes")
    return R


@shielded()
def dimensionality(W: Array) -> Array:
    """Return D_i = ‖W_i‖² / Σ_j (Ŵ_i·W_j)², feature i's share of a dimension: (..., n), in [0, 1].

    It is 1 for a feature orthogonal to all others, 1/2 in an antipodal pair, and 0 for a zero
    column. It equals the capacity (W_i·W_i)² / Σ_j (W_i·W_j)², so that Σ_i D_i <= n_hidden.

    References
    ----------
    Scherlis et al. (2022), "Polysemanticity and Capacity in Neural Networks",
    <https://arxiv.org/abs/2210.01892>, equation 3, for the capacity.
    """
    xp, W = weights(W)
    W, _ = scaled(W, axis=(-2, -1))
    total = (overlaps(W) ** 2).sum(axis=-1)
    return xp.where(total == 0, 0, feature_norms(W) ** 2 / xp.where(total == 0, 1, total))


@shielded()
def features_represented(W: Array, threshold: float = REPRESENTED) -> Array:
    """Return the number of features with ‖W_i‖ > threshold: (...,), 0 to n_features.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    threshold
        Least length of a represented feature, >= 0.

    Raises
    ------
    ValueError
        The threshold is negative.

    References
    ----------
    Liu et al. (2025), "Superposition Yields Robust Neural Scaling",
    <https://arxiv.org/abs/2505.10465>, whose threshold is 1/2.
    """
    xp, W = weights(W)
    threshold = in_range("threshold", threshold, "[0, inf)")
    norms = feature_norms(W)
    count = (norms > threshold).sum(axis=-1).astype(W.dtype)
    return xp.where(xp.isnan(norms).any(axis=-1), W.dtype.type("nan"), count)


@shielded()
def excess(W: Array, threshold: float = REPRESENTED) -> Array:
    """Return the number of features represented beyond n_hidden: (...,).

    It is between -n_hidden and n_features - n_hidden. Above 0, features share dimensions.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    threshold
        Least length of a represented feature, >= 0.

    Raises
    ------
    ValueError
        The threshold is negative.
    """
    xp, W = weights(W)
    return features_represented(W, threshold) - W.shape[-2]


@shielded()
def dimensions_per_feature(W: Array) -> Array:
    """Return D* = n_hidden / ‖W‖_F²: (...,), in (0, ∞].

    ‖W‖_F² is about the number of features represented. D* is 1 if n_hidden features each have a
    dimension, 1/2 if all are antipodal pairs, and infinite if W = 0.
    """
    xp, W = weights(W)
    size = (W * W).sum(axis=(-2, -1))
    return xp.where(size == 0, float("inf"), W.shape[-2] / xp.where(size == 0, 1, size))


@shielded()
def neuron_monosemanticity(W: Array) -> Array:
    """Return max_i |W_ki| / Σ_i |W_ki| of hidden unit k: (..., n_hidden), in [0, 1].

    It is 1 for a unit with a single feature and 0 for a unit of zeros.

    References
    ----------
    Jermyn et al. (2022), "Engineering Monosemanticity in Toy Models",
    <https://arxiv.org/abs/2211.09169>, there of activations.
    """
    xp, W = weights(W)
    size = xp.abs(scaled(W, axis=-1)[0])
    total = size.sum(axis=-1)
    return xp.where(total == 0, 0, size.max(axis=-1) / xp.where(total == 0, 1, total))


@shielded()
def effective_rank(W: Array) -> Array:
    """Return exp(-Σ_k q_k log q_k), with q the singular values over their sum: (...,).

    It is between 1 and min(n_hidden, n_features), and 0 if W = 0.

    References
    ----------
    Roy and Vetterli (2007), "The effective rank".
    """
    xp, W = weights(W)
    bad = xp.isnan(W).any(axis=(-2, -1))
    values = xp.linalg.svd(xp.where(bad[..., None, None], 0, W), compute_uv=False)
    total = values.sum(axis=-1, keepdims=True)
    q = values / xp.where(total == 0, 1, total)
    entropy = -(q * xp.log(xp.where(q == 0, 1, q))).sum(axis=-1)
    rank = xp.where(total[..., 0] == 0, 0, xp.exp(entropy))
    return xp.where(bad, W.dtype.type("nan"), rank)


@shielded()
def importance_rank_correlation(W: Array, importance: Array) -> Array:
    """Return Spearman's correlation of ‖W_i‖ with the importance I_i: (...,), in [-1, 1].

    It is near 1 if the important features are embedded most strongly and negative if the order is
    reversed. NaN if all norms or all importances are equal. Unlike `statistics.spearman` it works
    under `jax.jit`.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    importance
        I_i, (..., n_features).

    Raises
    ------
    ValueError
        `importance` does not have n_features values.
    """
    xp, W = weights(W)
    importance = per_feature("importance", importance, W)
    if importance.shape[-1:] != W.shape[-1:]:
        raise ValueError(f"importance has shape {importance.shape}; give one value per feature")
    norms = feature_norms(W)
    a, b = _centred_ranks(xp, norms), _centred_ranks(xp, importance)
    spread = (a * a).sum(axis=-1) * (b * b).sum(axis=-1)
    undefined = ~(spread > 0)  # also where it is NaN
    rho = (a * b).sum(axis=-1) / xp.sqrt(xp.where(undefined, 1, spread))
    return xp.where(undefined, W.dtype.type("nan"), rho)


def _centred_ranks(xp, values: Array) -> Array:
    """Return ranks less their mean, ties averaged.

    They are half the number of smaller values less that of larger ones.
    """

    def compared(values: Array) -> Array:
        difference = values[..., :, None] - values[..., None, :]
        return (xp.sign(difference).sum(axis=-1) / 2).astype(values.dtype)

    if xp is not jnp:
        return compared(values)
    # Sorting stores the values. Without it, XLA may compute a value twice with different rounding,
    # and the value would not tie with itself.
    values = jnp.asarray(values)
    places = jnp.broadcast_to(jnp.arange(values.shape[-1]), values.shape)
    ordered, places = jax.lax.sort((values, places), num_keys=1)
    return jax.lax.sort((places, compared(ordered)), num_keys=1)[1]
