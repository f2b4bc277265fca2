"""What units pass back under given pre-activations, and how normal those are.

Reference: Hendrycks and Gimpel (2016), "Gaussian Error Linear Units (GELUs)",
<https://arxiv.org/abs/1606.08415>, who gate by the normal distribution because pre-activations are
often roughly normal; `normality` measures how far that holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from jsuper.analysis.arrays import Array, floating, matmul, per_feature, weights
from jsuper.analysis.scalar import Activation, derivatives
from jsuper.training.jax_config import shielded


class Gate(NamedTuple):
    """What inactive units, z < 0, pass back: numbers, or arrays without the axes reduced.

    NaN where there are no values to average.
    """

    inactive: Array  # P(z < 0)
    gradient_share: Array  # E[(δf')²; z < 0] / E[(δf')²], of back-propagated squared gradient
    reversed: Array  # P(f' < 0 | z < 0)
    blocked: Array  # P(f' = 0 | z < 0)
    mean_slope: Array  # E[f' | z < 0]
    mean_magnitude: Array  # E[|f'| | z < 0]
    rms_slope: Array  # E[f'² | z < 0]^½


@shielded()
def gate_under(
    activation: Activation,
    z: Array,
    delta: Array | None = None,
    *,
    axis: int | tuple[int, ...] | None = None,
) -> Gate:
    """Return what inactive units pass back under given pre-activations.

    Parameters
    ----------
    activation
        As in `profile`.
    z
        Pre-activations, of any shape, not empty.
    delta
        Error at the outputs, which broadcasts to z; 1 by default. It affects `gradient_share` only.
    axis
        Axes to average over; all by default.

    Returns
    -------
    Gate
        Arrays of z's shape without the axes; NaN where a z or a delta is not finite.

    Raises
    ------
    ValueError
        z is empty, `delta` does not fit, or the activation is not elementwise.
    """
    z = np.asarray(floating(z), float)
    if z.size == 0:
        raise ValueError(f"z has shape {z.shape}: there is nothing to average over")
    delta = np.asarray(1.0 if delta is None else delta, float)
    try:
        error = np.broadcast_to(delta, z.shape)
    except ValueError:
        fix = f"it must broadcast to {z.shape}, the shape of z"
        raise ValueError(f"delta has shape {delta.shape}; {fix}") from None
    slope = derivatives(activation)(z, 1)
    fine = np.isfinite(z) & np.isfinite(error)
    return weighted_gate(z, slope, np.where(fine, 1.0, np.nan), error * error, axis)


@shielded()
def preactivations(W: Array, b: Array, x: Array, W_dec: Array | None = None) -> Array:
    """Return z = WᵀW x + b, of which a toy model's output is f(z): (..., n_features, samples).

    With W_dec, of an untied model, z = W_decᵀW x + b.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features), NumPy or JAX.
    b
        Output bias, (..., n_features).
    x
        Inputs, (n_features, samples), the same for all models.
    W_dec
        Decoder of untied models, shaped as W.

    Raises
    ------
    ValueError
        The shapes do not fit.
    """
    xp, W = weights(W)
    read = W if W_dec is None else xp.asarray(floating(W_dec), dtype=W.dtype)
    if read.shape != W.shape:
        raise ValueError(f"W_dec has shape {read.shape} but W {W.shape}; give the same shapes")
    b = per_feature("b", b, W)
    x = xp.asarray(floating(x), dtype=W.dtype)
    if x.ndim != 2 or x.shape[0] != W.shape[-1]:
        raise ValueError(
            f"x has shape {x.shape} but W has {W.shape[-1]} features; x is (n_features, samples)"
        )
    return matmul(xp.swapaxes(read, -1, -2), matmul(W, x)) + b[..., :, None]


class Normality(NamedTuple):
    """Distribution of a feature's pre-activations: each (..., n_features)."""

    mean: np.ndarray
    sd: np.ndarray
    skewness: np.ndarray  # 0 for a normal
    excess_kurtosis: np.ndarray  # 0 for a normal
    ks_distance: np.ndarray  # largest |empirical CDF - fitted normal's|, in [0, 1]


@shielded()
def normality(z: Array) -> Normality:
    """Return moments of every feature, and the Kolmogorov-Smirnov distance to the fitted normal.

    The distance is not a test: with enough samples every real difference is significant. As the
    moments are fitted, a normal sample of size n has a distance of about 0.6/√n.

    Parameters
    ----------
    z
        Pre-activations, (..., n_features, samples), of `preactivations`; at least two samples.

    Returns
    -------
    Normality
        Skewness, kurtosis and distance are NaN for a constant feature; all are NaN for a feature
        with a z that is not finite.

    Raises
    ------
    ValueError
        z has no axis of samples, or fewer than two.
    """
    z = np.asarray(floating(z), float)
    if z.ndim == 0 or z.shape[-1] < 2:
        raise ValueError(f"z has shape {z.shape}; give (..., n_features, samples), samples >= 2")
    z = np.where(np.isfinite(z).all(axis=-1, keepdims=True), z, np.nan)
    mean, sd = z.mean(axis=-1), z.std(axis=-1)
    flat = sd <= 1e-12 * np.abs(mean)
    scaled = (z - mean[..., None]) / np.where(flat, np.nan, sd)[..., None]
    cdf = ndtr(np.sort(scaled, axis=-1))
    rank = np.arange(z.shape[-1] + 1) / z.shape[-1]  # the empirical CDF, before and after a point
    distance = np.maximum(rank[1:] - cdf, cdf - rank[:-1]).max(axis=-1)
    third, fourth = (scaled**3).mean(axis=-1), (scaled**4).mean(axis=-1)
    return Normality(mean, sd, third, fourth - 3, distance)


@shielded()
def weighted_gate(
    z: np.ndarray,
    slope: np.ndarray,
    weight: np.ndarray,
    error: np.ndarray,
    axis: int | tuple[int, ...] | None,
) -> Gate:
    """Return the gate of z, given weights of the mean and squared errors at the outputs."""

    def total(values: np.ndarray) -> np.ndarray:
        return np.sum(weight * values, axis=axis)

    def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0)[()]

    off = z < 0
    gradient, count, square = error * slope**2, total(off), slope**2
    return Gate(
        inactive=share(count, total(np.ones_like(z))),
        gradient_share=share(total(off * gradient), total(gradient)),
        reversed=share(total(off & (slope < 0)), count),
        blocked=share(total(off & (slope == 0)), count),
        mean_slope=share(total(off * slope), count),
        mean_magnitude=share(total(off * np.abs(slope)), count),
        rms_slope=np.sqrt(share(total(off * square), count)),
    )
