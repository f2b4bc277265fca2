"""Kurtosis and alignment: whether the hidden units are a privileged basis, against exact nulls.

Raw kurtosis misleads in two ways in small models. Across m hidden units its null is not 3 but
3(m-1)/(m+1), and m <= 3 carries no information. Across samples it measures the sparsity of the
input: for independent x_i = Bernoulli(p) U(0,1) a unit h_j = Σ_i W_ji x_i has

    kurtosis_j = 3 + γ(p) IPR_j,    IPR_j = Σ_i W_ji⁴ / (Σ_i W_ji²)²,

so that only the inverse participation ratio IPR_j is about the basis. `against_rotations` compares
any of these with random rotations of the same model, which have the same loss.

W is (..., n_hidden, n_features) and h is (..., n_hidden, samples), NumPy or JAX, also under jit and
vmap. A model with a number that is not finite gives NaN, only for itself.

Reference: Elhage et al. (2023), "Privileged Bases in the Transformer Residual Stream",
<https://www.anthropic.com/research/privileged-bases-in-the-transformer-residual-stream>, whose
kurtosis is across the coordinates of one token's activations, averaged over tokens. The corrections
follow from the cumulants of independent variables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import flax.struct
import jax
import numpy as np
from jax.core import Tracer

from jsuper.analysis.arrays import (
    Array,
    floating,
    in_range,
    matmul,
    namespace,
    per_feature,
    scaled,
    weights,
    whole_number,
)
from jsuper.analysis.superposition import directions
from jsuper.core.expecting import described
from jsuper.training.jax_config import shielded

UNINFORMATIVE = 3  # hidden units or fewer
TOGETHER = 25  # rotations computed at once, in JAX
SMALLEST_GAMMA = 0.05  # below it sparsity's part is too near 0 to divide by
FLAT = 1e-10  # variance over mean square, below which the values count as all the same


@shielded()
def kurtosis(values: Array, axis: int = -1, *, fisher: bool = False) -> Array:
    """Return the kurtosis E(v - Ev)⁴ / (E(v - Ev)²)² along an axis: in [1, ∞).

    NaN if all values are the same, or if one is not finite.

    Parameters
    ----------
    values
        Numbers, of any shape.
    axis
        Axis of the mean E.
    fisher
        Whether to subtract 3, so that a Gaussian has 0 instead of 3 (Pearson).

    Raises
    ------
    ValueError
        There is no value along the axis.
    """
    values = floating(values)
    xp = namespace(values)
    if values.ndim == 0 or values.shape[axis] == 0:
        raise ValueError(f"values has shape {values.shape}: there is nothing along axis {axis}")
    values, _ = scaled(values, axis=axis)
    square = (values - values.mean(axis=axis, keepdims=True)) ** 2
    variance = square.mean(axis=axis)
    flat = variance <= FLAT * (values * values).mean(axis=axis)
    variance = xp.where(flat, values.dtype.type("nan"), variance)
    return (square * square).mean(axis=axis) / variance**2 - (3 if fisher else 0)


def gaussian_null(n_hidden: int, *, fisher: bool = False) -> float:
    """Return 3(m-1)/(m+1), the mean `basis_kurtosis` of m independent Gaussian coordinates.

    It is exact, and also the mean over random rotations of any h. NaN for m = 1.

    Parameters
    ----------
    n_hidden
        m, at least 1.
    fisher
        Whether to subtract 3.

    Raises
    ------
    ValueError
        n_hidden is below 1.
    """
    whole_number("n_hidden", n_hidden, 1)
    null = 3 * (n_hidden - 1) / (n_hidden + 1) if n_hidden > 1 else float("nan")
    return null - (3 if fisher else 0)


class BasisKurtosis(NamedTuple):
    """Mean kurtosis across hidden units, and the number of samples in the mean."""

    value: Array
    samples: Array


@shielded()
def basis_kurtosis(h: Array, *, fisher: bool = False) -> BasisKurtosis:
    """Return the kurtosis across the hidden units of a sample, averaged over samples: (...,).

    Samples whose units all have the same value have no kurtosis and are left out, above all those
    with h = 0. The range is 1 to m - 2 + 1/(m-1) (a single active unit). Compare it with
    `gaussian_null(n_hidden)`, not with 3. For m = 2 it is always 1.

    Parameters
    ----------
    h
        Hidden activations, (..., n_hidden, samples).
    fisher
        Whether to subtract 3.

    Returns
    -------
    BasisKurtosis
        `value` and `samples`, both (...,). `value` is NaN if no sample is left, or if any h is not
        finite.

    Raises
    ------
    ValueError
        h has fewer than two axes, or an empty one.
    """
    xp, h = _activations(h)
    each = kurtosis(h, axis=-2, fisher=fisher)
    counted = ~xp.isnan(each)
    samples = counted.sum(axis=-1)
    mean = xp.where(counted, each, 0).sum(axis=-1) / xp.maximum(samples, 1).astype(h.dtype)
    return BasisKurtosis(xp.where(samples == 0, h.dtype.type("nan"), mean), samples)


@shielded()
def neuron_kurtosis(h: Array, *, fisher: bool = False) -> Array:
    """Return the kurtosis of each hidden unit across samples: (..., n_hidden), in [1, ∞).

    It grows with the sparsity of the input, whatever W is: see `without_sparsity`. NaN for a
    constant unit.

    Parameters
    ----------
    h
        Hidden activations, (..., n_hidden, samples), including samples without an active feature.
    fisher
        Whether to subtract 3.

    Raises
    ------
    ValueError
        h has fewer than two axes, or an empty one.
    """
    return kurtosis(_activations(h)[1], axis=-1, fisher=fisher)


@shielded()
def exact_neuron_kurtosis(W: Array, density: Array, *, fisher: bool = False) -> Array:
    """Return `neuron_kurtosis` for infinitely many samples: (..., n_hidden).

    It is 3 + Σ_i W_ji⁴ κ_i / (Σ_i W_ji² σ_i²)². σ_i² = p_i/3 - p_i²/4 and κ_i = γ(p_i) σ_i⁴ are the
    second and fourth cumulants of x_i = Bernoulli(p_i) U(0,1), which add over independent features.
    NaN for a unit of zeros.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    density
        p, in (0, 1], a number or (..., n_features).
    fisher
        Whether to subtract 3.

    Raises
    ------
    ValueError
        A density is out of its range, or the shapes do not fit.
    """
    xp, W = weights(W)
    p = per_feature("density", density, W, "(0, 1]")[..., None, :]
    W, _ = scaled(W, axis=-1)
    variance = W * W * (p / 3 - p**2 / 4)
    total = variance.sum(axis=-1, keepdims=True)
    share = xp.where(total == 0, W.dtype.type("nan"), variance / xp.where(total == 0, 1, total))
    excess = (share * share * sparsity_kurtosis(p)).sum(axis=-1)
    return excess if fisher else excess + 3


@shielded()
def sparsity_kurtosis(density: Array) -> Array:
    """Return γ(p) = μ₄/σ⁴ - 3, the excess kurtosis of one feature Bernoulli(p) U(0,1).

    σ² = p/3 - p²/4 and μ₄ = p/5 - p²/2 + p³/2 - 3p⁴/16. It is -1.2 at p = 1, 0 at p = .413, and
    about 9/(5p) for small p.

    Parameters
    ----------
    density
        p, in (0, 1], of any shape.

    Raises
    ------
    ValueError
        A density is out of its range.
    """
    p = in_range("density", density, "(0, 1]")
    return (1 / 5 - p / 2 + p**2 / 2 - 3 * p**3 / 16) / (p * (1 / 3 - p / 4) ** 2) - 3


@shielded()
def without_sparsity(kurtosis: Array, density: Array) -> Array:
    """Return (kurtosis - 3) / γ(p), an estimate of a unit's `participation_ratio`.

    NaN if |γ(p)| < 0.05, which is for p within .006 of .413, where the kurtosis is 3 whatever W is.
    `participation_ratio` is exact at every p.

    Parameters
    ----------
    kurtosis
        Pearson's kurtosis, of `neuron_kurtosis`.
    density
        p of all features, in (0, 1], a number or of the shape of `kurtosis`.

    Raises
    ------
    ValueError
        A density is out of its range.
    """
    kurtosis = floating(kurtosis)
    xp, gamma = namespace(kurtosis), sparsity_kurtosis(density)
    undefined = abs(gamma) < SMALLEST_GAMMA
    ratio = (kurtosis - 3) / xp.where(undefined, 1, gamma).astype(kurtosis.dtype)
    return xp.where(undefined, kurtosis.dtype.type("nan"), ratio)


@shielded()
def participation_ratio(W: Array) -> Array:
    """Return IPR_j = Σ_i W_ji⁴ / (Σ_i W_ji²)² of unit j: (..., n_hidden), in [1/n_features, 1].

    It is 1 for a unit with a single feature and NaN for a unit of zeros.
    """
    xp, W = weights(W)
    square = scaled(W, axis=-1)[0] ** 2
    total = square.sum(axis=-1, keepdims=True)
    share = xp.where(total == 0, W.dtype.type("nan"), square / xp.where(total == 0, 1, total))
    return (share * share).sum(axis=-1)


@shielded()
def alignment(W: Array) -> Array:
    """Return A = mean_i max_j W_ji²/‖W_i‖², how close features are to hidden units: (...,).

    It is between 1/m and 1, where every feature has one unit. The mean is over non-zero columns,
    and NaN if there are none. Over random rotations A is .818 on average for m = 2, .555 for 5,
    .380 for 10, and .246 for 20.
    """
    xp, W = weights(W)
    share = (directions(W) ** 2).max(axis=-2)
    features = (share != 0).sum(axis=-1).astype(W.dtype)
    mean = share.sum(axis=-1) / xp.maximum(features, 1)
    return xp.where(features == 0, W.dtype.type("nan"), mean)


@flax.struct.dataclass
class AgainstRotations:
    """A statistic of a model, with its distribution over random rotations of that model."""

    value: Array
    mean: Array  # over the rotations
    std: Array  # over the rotations
    z: Array  # (value - mean) / std; NaN where it is not defined
    reason: str = flax.struct.field(pytree_node=False)  # why z is NaN throughout, or ""


@shielded()
def against_rotations(
    statistic: Callable[[Array], Array], W: Array, *, rotations: int = 100, seed: int = 0
) -> AgainstRotations:
    """Return a statistic of W with its distribution over QW, Q random orthogonal.

    z = (v - E v) / sd v. A rotation of the hidden space changes neither WᵀW nor the loss, so it is
    the null in which the hidden units are not a privileged basis. All models see the same Q.

    Parameters
    ----------
    statistic
        Function from W (..., n_hidden, n_features) to an array, one value per model, e.g.
        `alignment` or `lambda W: basis_kurtosis(W @ x).value`.
    W
        Weights, (..., n_hidden, n_features).
    rotations
        Number of rotations, at least 100.
    seed
        Seed of the rotations.

    Returns
    -------
    AgainstRotations
        `value`, `mean`, `std` and `z`. For n_hidden <= 3, z is NaN and `reason` states it: three
        coordinates or fewer carry no information on kurtosis. z is NaN too if no rotation changes
        the value.

    Raises
    ------
    TypeError
        `statistic` is not callable.
    ValueError
        `rotations` is below 100, or the statistic returns no array.
    """
    if not callable(statistic):
        raise TypeError(
            f"statistic is {described(statistic)}, not a function of W; for example "
            "against_rotations(alignment, W)"
        )
    if rotations < 100:
        raise ValueError(f"rotations={rotations} is not >= 100: too few for a z-score")
    xp, W = weights(W)
    Q = xp.asarray(random_rotations(W.shape[-2], rotations, seed), dtype=W.dtype)
    value = statistic(W)
    if not hasattr(value, "dtype"):
        raise ValueError(
            f"the statistic returned a {type(value).__name__}; it must return one array, e.g. "
            "lambda W: basis_kurtosis(W @ x).value"
        )
    if xp is np:
        values = np.stack([statistic(q @ W) for q in Q])
    else:
        together = TOGETHER if W.size else None  # lax.map cannot split arrays without an element
        values = jax.lax.map(lambda q: statistic(matmul(q, W)), Q, batch_size=together)
    mean, std = values.mean(axis=0), values.std(axis=0, ddof=1)
    few = W.shape[-2] <= UNINFORMATIVE
    undefined = (std <= 1e-6 * xp.abs(mean)) | few
    z = xp.where(undefined, value.dtype.type("nan"), (value - mean) / xp.where(undefined, 1, std))
    reason = ""
    if few:
        reason = f"n_hidden={W.shape[-2]} <= {UNINFORMATIVE} carries no information"
    elif not isinstance(undefined, Tracer) and undefined.size and undefined.all():
        reason = "rotations do not change the statistic"
    return AgainstRotations(value, mean, std, z, reason)


def random_rotations(n_hidden: int, count: int, seed: int = 0) -> np.ndarray:
    """Return orthogonal matrices drawn uniformly (Haar): (count, n_hidden, n_hidden), float64.

    They are the factors Q of QR decompositions of normal matrices, with signs chosen so that the
    diagonal of R is positive. `scipy.stats.ortho_group` draws the same matrices but is slow to
    import.

    Parameters
    ----------
    n_hidden, count
        Size and number of the matrices, at least 1.
    seed
        Seed of the draws.

    Raises
    ------
    ValueError
        A number is below 1.

    References
    ----------
    Mezzadri (2007), "How to generate random matrices from the classical compact groups",
    <https://www.ams.org/notices/200705/fea-mezzadri-web.pdf>.
    """
    whole_number("n_hidden", n_hidden, 1)
    whole_number("count", count, 1)
    if n_hidden == 1:
        return np.ones((count, 1, 1))
    normal = np.random.RandomState(seed).normal(size=(count, n_hidden, n_hidden))
    q, r = np.linalg.qr(normal)
    return q * np.sign(r.diagonal(axis1=-2, axis2=-1))[:, None]


def _activations(h: Array):
    """Return the array module and h; a model with a non-finite activation is NaN throughout."""
    h = floating(h)
    if h.ndim < 2 or 0 in h.shape[-2:]:
        raise ValueError(f"h has shape {h.shape}; it is (..., n_hidden, samples)")
    return weights(h)
