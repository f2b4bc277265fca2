"""What dropout on the hidden units does to features: hits, noise, and the loss with dropout.

Inverted dropout at rate q multiplies each hidden unit by 0 with probability q, else by 1/(1-q). u =
W_i/‖W_i‖ is the direction of feature i, and u_j² its share on unit j. A feature on many units is
hit often, and disturbed little by a hit: a read-back has mean 1 and variance q/(1-q) Σ_j u_j⁴.

W is (..., n_hidden, n_features), NumPy or JAX. A model with a non-finite weight gives NaN, and so
does a column of zeros, which has no direction.

Functions without a reference follow from the moments of the mask, which has mean 1 and variance
q/(1-q) (Srivastava et al. 2014, "Dropout").
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jsuper.analysis.arrays import (
    Array,
    in_range,
    matmul,
    namespace,
    per_feature,
    weights,
    whole_number,
)
from jsuper.analysis.superposition import directions
from jsuper.models.toy.activations.registry import is_gated, resolve
from jsuper.models.toy.functions import traced
from jsuper.models.toy.inputs.law import DEFAULT, Numbers
from jsuper.models.toy.model import Params, check_decoder, dropout_mask, preactivation
from jsuper.models.toy.widths import couples_batch
from jsuper.training import keys
from jsuper.training.jax_config import shielded

USED = 0.1  # of a feature's length, above which a unit is one of its own
LOST = 0.01  # share of a feature's squared length that may be dropped: USED squared

# ---- how often a feature is hit ----


@shielded()
def units_used(W: Array, threshold: float = USED) -> Array:
    """Return k_i, the number of units with |u_j| > threshold: (..., n_features), 1 to n_hidden.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    threshold
        Share of a feature's length, in [0, 1).

    Raises
    ------
    ValueError
        The threshold is out of its range.
    """
    threshold = in_range("threshold", threshold, "[0, 1)")
    share = _shares(W)
    xp = namespace(share)
    count = (share > threshold**2).sum(axis=-2).astype(share.dtype)
    return xp.where(xp.isnan(share).any(axis=-2), float("nan"), count)


@shielded()
def effective_units(W: Array) -> Array:
    """Return 1 / Σ_j u_j⁴, the number of units a feature is spread over: (..., n_features)."""
    return 1 / (_shares(W) ** 2).sum(axis=-2)


@shielded()
def untouched_chance(W: Array, rate: Array, threshold: float = USED) -> Array:
    """Return (1-q)^k, the probability that none of a feature's `units_used` is dropped: (..., n).

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    rate
        q, the dropout rate, in [0, 1), a number or (...,).
    threshold
        Share of a feature's length, in [0, 1).

    Raises
    ------
    ValueError
        A value is out of its range.
    """
    k = units_used(W, threshold)
    return (1 - _model_rate(rate, k)) ** k


@shielded()
def untouched(
    W: Array, rate: Array, *, tolerance: float = LOST, samples: int = 4096, seed: int = 0
) -> Array:
    """Return the share of random masks that drop at most `tolerance` of ‖W_i‖²: (..., n), [0, 1].

    Many small shares that are dropped together count as well. The standard error is at most
    1/(2 √samples), 0.008 by default.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    rate
        q, the dropout rate, in [0, 1), a number or (...,).
    tolerance
        Share of the squared length, in [0, 1).
    samples
        Masks, the same for all models, at least 1.
    seed
        Seed of the masks, >= 0.

    Raises
    ------
    ValueError
        A value is out of its range.
    """
    tolerance = in_range("tolerance", tolerance, "[0, 1)")
    share = _shares(W)
    xp, q = namespace(share), _model_rate(rate, share)
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    u = xp.asarray(
        rng.random((whole_number("samples", samples, 1), share.shape[-2])), dtype=share.dtype
    )
    lost = matmul((u < q).astype(share.dtype), share)
    kept = (lost <= tolerance + 1e-6).astype(share.dtype).mean(axis=-2)  # 1e-6: float32's rounding
    return xp.where(xp.isnan(share).any(axis=-2), float("nan"), kept)


# ---- what a hit costs ----


@shielded()
def readback_variance(W: Array, rate: Array) -> Array:
    """Return q/(1-q) Σ_j u_j⁴, the variance of reading feature i along itself: (..., n_features).

    The read-back u·(mask · u) has mean 1. The variance is between q/((1-q) m), evenly spread, and
    q/(1-q), on one unit.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    rate
        q, the dropout rate, in [0, 1), a number or (...,).

    Raises
    ------
    ValueError
        The rate is out of its range.
    """
    return _mask_variance(rate, (_shares(W) ** 2).sum(axis=-2))


@shielded()
def leakage_variance(W: Array, rate: Array) -> Array:
    """Return q/(1-q) Σ_j u_ij² u_kj², the variance of reading feature k along i: (..., n, n).

    On the diagonal it is `readback_variance`. Orthogonal features leak into each other if a unit
    that they share is dropped.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    rate
        q, the dropout rate, in [0, 1), a number or (...,).

    Raises
    ------
    ValueError
        The rate is out of its range.
    """
    share = _shares(W)
    return _mask_variance(rate, matmul(namespace(share).swapaxes(share, -1, -2), share))


@shielded()
def rotated_leakage_variance(W: Array, rate: Array) -> Array:
    """Return q/(1-q) (1 + 2 cos²)/(m + 2), the mean `leakage_variance` over rotations: (..., n, n).

    The rotations of W are uniformly random, and the value follows from the fourth moments of a
    random direction. On the diagonal cos² = 1, hence 3/(m + 2).

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    rate
        q, the dropout rate, in [0, 1), a number or (...,).

    Raises
    ------
    ValueError
        The rate is out of its range.
    """
    u = directions(W)
    xp, share = namespace(u), _shares(W)
    cosine = matmul(xp.swapaxes(u, -1, -2), u) + 0 * share.sum(axis=-2)[..., None, :]
    return _mask_variance(rate, (1 + 2 * cosine**2) / (share.shape[-2] + 2))


@shielded()
def least_linear_loss(n_features: int, n_hidden: int, rate: Array, density: Array) -> Array:
    """Return (p/3 - p²/4) (n - m (1-q))/n, the least loss of a linear model under dropout.

    It is the least `theory.dropout_linear_loss` at one density and importance 1, for m < n, and is
    met if WWᵀ = (1-q) 1, the rows of W sum to 0 and b = p/2: with c = ‖W_j‖² of the rows, the loss
    over p/3 - p²/4 is (n - m + m ((1-c)² + c² q/(1-q))) / n, least at c = 1 - q. No other spectrum
    is better, since both terms are convex, nor any other basis, since Σ_j ‖row_j‖⁴ is least at
    equal rows.

    Parameters
    ----------
    n_features
        n, at least 2.
    n_hidden
        m, at least 1 and below n.
    rate
        q, the dropout rate, in [0, 1).
    density
        p of all features, in [0, 1]; broadcasts against the rate.

    Raises
    ------
    ValueError
        A value is out of its range.
    """
    n, m = whole_number("n_features", n_features, 2), whole_number("n_hidden", n_hidden, 1)
    if m >= n:
        raise ValueError(f"n_hidden={m} is not below n_features={n}; the bound is for m < n")
    q, p = in_range("rate", rate, "[0, 1)"), in_range("density", density, "[0, 1]")
    return (p / 3 - p * p / 4) * (n - m * (1 - q)) / n


# ---- the loss with dropout on ----


class DropoutLoss(NamedTuple):
    """Loss without and with dropout on the same samples, and the standard error of the latter."""

    clean: np.ndarray
    dropped: np.ndarray
    stderr: np.ndarray


@shielded()
def dropout_loss(
    W: Array,
    b: Array,
    activation: str | Callable[[jax.Array], jax.Array],
    rate: Array,
    density: Array,
    importance: Array | None = None,
    *,
    W_dec: Array | None = None,
    samples: int = 16384,
    seed: int = 0,
) -> DropoutLoss:
    """Return the expected loss of x̂ = act(Wᵀ(mask · W x) + b), by sampling: each (...,), >= 0.

    Samples with an active feature are drawn, stratified, and the zero sample is weighted exactly.

    Parameters
    ----------
    W, b
        Models, (..., n_hidden, n_features) and (..., n_features).
    activation
        A name, or a function of z (n_features, batch).
    rate
        q, the dropout rate, in [0, 1), a number or (...,).
    density
        p, in (0, 1], a number or (..., n_features).
    importance
        I, (..., n_features), >= 0; None is 1.
    W_dec
        Decoder of untied models, shaped as W.
    samples
        Samples, each with an independent mask, the same for all models; at least 2.
    seed
        Seed of the draws, >= 0.

    Returns
    -------
    DropoutLoss
        `clean`, `dropped`, and the standard error of `dropped`.

    Raises
    ------
    ValueError
        A value is out of its range, or the activation couples the samples of a batch, has a second
        matrix, or is unknown.
    """
    if couples_batch(activation, np.shape(W)[-1]) or is_gated(activation):
        raise ValueError(
            f"activation={activation!r} couples the samples of a batch or has a second matrix; "
            "give one that takes each number of z = Wᵀh + b, or each sample, by itself"
        )
    resolve(activation)
    check_decoder(W, W_dec)
    _, W = weights(np.asarray(W))
    read = None if W_dec is None else np.asarray(W_dec, W.dtype).reshape(-1, *W.shape[-2:])
    b = per_feature("b", np.asarray(b), W)
    p = per_feature("density", density, W, "(0, 1]")
    given = 1.0 if importance is None else importance
    per = per_feature("importance", given, W, "[0, inf)")
    lead, (m, n) = W.shape[:-2], W.shape[-2:]
    q = np.broadcast_to(in_range("rate", rate, "[0, 1)"), lead).reshape(-1).astype(W.dtype)
    b, p, per = (np.broadcast_to(a, (*lead, n)).reshape(-1, n) for a in (b, p, per))
    counts = (whole_number("samples", samples, 2), whole_number("seed", seed, 0))
    with jax.enable_x64(W.dtype == np.float64):
        models = Params(W.reshape(-1, m, n), b, W_dec=read)
        found = _sampled(models, q, p, per, traced(activation, n, W.dtype, [samples]), *counts)
    return DropoutLoss(*(np.asarray(a).reshape(lead) for a in found))


@functools.partial(jax.jit, static_argnames=("activation", "samples", "seed"))
def _sampled(
    models: Params,
    rate: jax.Array,
    density: jax.Array,
    importance: jax.Array,
    activation: str | Callable,
    samples: int,
    seed: int,
) -> tuple[jax.Array, ...]:
    """Return both losses and the standard error of models (M, ...), one after another."""
    act, key, (m, n) = resolve(activation), keys.seed_key(seed), models.W.shape[1:]
    dtype = models.W.dtype
    draws = DEFAULT.nonzero_draws(keys.stream(key, keys.EVALUATION), n, samples)
    u = keys.uniform(keys.stream(key, keys.DROPOUT), (m, samples))

    def one(model: tuple[Params, *tuple[jax.Array, ...]]) -> tuple[jax.Array, ...]:
        params, rate, density, importance = model
        x, chance = DEFAULT.nonzero(draws, Numbers(density.astype(dtype)))
        mask = dropout_mask(u, rate).astype(dtype)

        def columns(x: jax.Array, mask: jax.Array | None) -> jax.Array:
            x_hat = act(preactivation(params, x, mask))
            return (importance[:, None] * (x_hat - x) ** 2).mean(axis=0)

        at_zero = (1 - chance) * columns(jnp.zeros((n, 1), dtype), None)[0]
        dropped = columns(x, mask)
        stderr = chance * dropped.std(ddof=1) / samples**0.5
        means = (at_zero + chance * c.mean() for c in (columns(x, None), dropped))
        return (*means, stderr)

    return jax.lax.map(one, (models, rate, density, importance))


def _shares(W: Array) -> Array:
    """Return u_j², (..., n_hidden, n_features), sum 1 over units; NaN for a column of zeros."""
    share = directions(W) ** 2
    xp = namespace(share)
    return xp.where((share == 0).all(axis=-2, keepdims=True), float("nan"), share)


def _mask_variance(rate: Array, share: Array) -> Array:
    q = _model_rate(rate, share)
    return q / (1 - q) * share


def _model_rate(rate: Array, like: Array) -> Array:
    """Return q with axes of length 1 for the axes of `like` that are not those of models."""
    q = in_range("rate", rate, "[0, 1)")
    q = namespace(like).asarray(q, dtype=like.dtype)
    return q.reshape(*q.shape, *(1,) * (like.ndim - q.ndim)) if q.ndim else q
