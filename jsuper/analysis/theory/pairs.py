"""The best models of two features in one hidden unit, and where they hold both features."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jax.core import Tracer

from jsuper.analysis.arrays import Array, in_range
from jsuper.analysis.theory.phases import Boundary

VANISHED = 0.05
"""Norm below which a column counts as vanished, unless another threshold is given."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(2)  # exact for the cubic pieces below
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
_STARTS = ((1.0, -0.9, 0.0, 0.0), (1.0, -0.3, 0.0, 0.1))  # w_1, w_2, b_1, b_2
_BISECTIONS = 15  # of [0, 1]: densities to 3e-5
_NEWTON_STEPS = 100
_LONGEST = 0.2  # step of a weight or bias, so that a descent stays in its valley
_LENGTHS = np.append(0.5 ** np.arange(12.0), 0)  # of a step; 0 stays where it is


class PairModel(NamedTuple):
    """W (1, 2), b (2,), and the expected loss, summed over the two features."""

    W: np.ndarray
    b: np.ndarray
    loss: float


def pair_model(density: float, relative_importance: float) -> PairModel:
    """Return the global minimum of the expected loss of two features in one hidden unit.

    x̂ = relu(Wᵀ W x + b). The loss is exact (`pair_loss`). It is minimized from two antipodal
    starts, and the least result is compared with the exact solution that drops the less important
    feature: w = 1 and b = 0 for the other one, and b = p/2 for itself.

    Parameters
    ----------
    density
        p of both features, in [0, 1].
    relative_importance
        r >= 0, importance of the second feature; the first has 1.

    Returns
    -------
    PairModel
        w_1 > 0 if r <= 1, else w_2 > 0.

    Raises
    ------
    ValueError
        A value is out of its range.
    """
    p = float(in_range("density", density, "[0, 1]"))
    r = float(in_range("relative_importance", relative_importance, "[0, inf)"))
    if r > 1:  # the same problem with the features exchanged
        swapped = pair_model(p, 1 / r)
        return PairModel(swapped.W[:, ::-1], swapped.b[::-1], r * swapped.loss)
    best, least = _minima(np.array([p]), np.array([r]))
    w, b = best[:2, 0], best[2:, 0]
    return PairModel(np.sign(w[0]) * w[None], b, float(least[0]))


def _minima(p: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (w_1, w_2, b_1, b_2) of the global minima, (4, problems), and their losses."""
    none = np.zeros_like(p)
    best, least = np.stack([none + 1, none, none, p / 2]), r * (p / 3 - p * p / 4)
    for start in _STARTS:
        found = _descended(np.tile(np.array(start)[:, None], p.size), p, r)
        loss, _ = pair_loss(found[:2], found[2:], p, r)
        lower = loss < least - 1e-12
        best, least = np.where(lower, found, best), np.where(lower, loss, least)
    return best, least


def _descended(at: np.ndarray, p: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Minimize many problems at once by Newton's method, and return their minima, (4, problems).

    Hessians are finite differences of the exact gradient, and negative eigenvalues are replaced by
    their magnitudes. Each step takes the best of several lengths, including 0, so that no loss
    rises. The iteration stops when no loss falls.
    """
    safe = np.maximum(p, 1e-9)  # losses over p, so that they do not vanish with it

    def loss(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        more = (None,) * (at.ndim - 2)
        value, slope = pair_loss(at[:2], at[2:], p[more], r[more])
        return value / safe, slope / safe

    for _ in range(_NEWTON_STEPS):
        slope = loss(at)[1]
        nudges = 1e-6 * np.stack([np.eye(4), -np.eye(4)])
        ends = loss(at[:, None, None] + nudges.transpose(2, 0, 1)[..., None])[1]
        hessian = (ends[:, 0] - ends[:, 1]).T / 2e-6  # (problems, 4, 4)
        curvature, axes = np.linalg.eigh((hessian + hessian.transpose(0, 2, 1)) / 2)
        along = np.einsum("npk,pn->nk", axes, slope) / np.maximum(np.abs(curvature), 1e-4)
        step = np.einsum("npk,nk->pn", axes, along)
        step *= np.minimum(1, _LONGEST / np.maximum(np.abs(step).max(axis=0), 1e-9))
        tried = at[:, None] - _LENGTHS[:, None] * step[:, None]  # (4, lengths, problems)
        values = loss(tried)[0]
        best = values.argmin(axis=0)
        at = np.take_along_axis(tried, best[None, None], axis=1)[:, 0]
        if (values[-1] - values.min(axis=0)).max() < 1e-15:
            break
    return at


def two_to_one_boundary(relative_importance: Array, *, threshold: float = VANISHED) -> Boundary:
    """Return the densities below which one hidden unit holds both of two features.

    It is the density at which the norm of a column falls below the threshold at the global minimum
    of the expected loss (`pair_model`). Up to a relative importance of about 0.5 the column
    vanishes with a jump, and the threshold does not matter. Nearer to 1 it vanishes continuously.

    Parameters
    ----------
    relative_importance
        r >= 0, importance of the last feature of the pair; the first has 1.
    threshold
        Norm below which a column counts as vanished, in (0, 1).

    Returns
    -------
    Boundary
        `over_drop_last` of the last column, and `over_drop_first` of the first one. A density of 1
        means that the column does not vanish at any density.

    Raises
    ------
    ValueError
        A value is negative, the threshold is out of range, or the values are traced by JAX.

    Notes
    -----
    The crossing of two fixed constructions, a lower bound, is `construction_boundary`.
    """
    if isinstance(relative_importance, Tracer):
        raise ValueError(
            "two_to_one_boundary minimizes outside of JAX and cannot be traced; call it before "
            "jax.jit or jax.vmap, or use construction_boundary"
        )
    r = np.asarray(in_range("relative_importance", relative_importance, "[0, inf)"), float)
    if not 0 < threshold < 1:
        raise ValueError(f"threshold={threshold!r}: give a norm above 0 and below 1, such as 0.05")
    inverse = 1 / np.where(r > 0, r, 1)
    both = np.concatenate([r.ravel(), np.where(r > 0, inverse, np.inf).ravel()])
    last, first = _vanishing(both, threshold).reshape(2, *r.shape)
    return Boundary(last, first)


def _vanishing(r: np.ndarray, threshold: float) -> np.ndarray:
    """Return the densities at which the second columns' norms fall below the threshold."""
    found = (r > 1).astype(float)  # the more important of the two always stays
    between = (r > 0) & (r <= 1)
    if not between.any():
        return found
    r = r[between]
    low, high = np.zeros_like(r), np.ones_like(r)
    for _ in range(_BISECTIONS):
        p = (low + high) / 2
        held = np.abs(_minima(p, r)[0][1]) > threshold
        low, high = np.where(held, p, low), np.where(held, high, p)
    found[between] = np.where(high == 1, 1, (low + high) / 2)
    return found


def pair_loss(
    W: np.ndarray, b: np.ndarray, density: Array, relative_importance: Array
) -> tuple[Any, np.ndarray]:
    """Return the expected loss of two features in one hidden unit, and its gradient.

    L = Σ_i I_i E (x_i - relu(w_i (w_1 x_1 + w_2 x_2) + b_i))², summed over the features, with
    importances 1 and r. It is exact: with none or one of the features active the integrals are
    those of `one_sparse_relu_loss`, and with both active the integral over x_i is a cubic in x_j
    between the points where the ReLU opens at x_i = 0 and at x_i = 1.

    Parameters
    ----------
    W, b
        Weights and output bias, (2, ...) each; further axes are models.
    density
        p of both features, a number or (...).
    relative_importance
        r, importance of the second feature, a number or (...).

    Returns
    -------
    tuple
        The loss, (...), and its gradient with respect to (w_1, w_2, b_1, b_2), (4, ...).
    """
    p = np.asarray(density)
    importance = np.stack(np.broadcast_arrays(1.0, relative_importance))
    a, c = W * W, np.stack([W[0] * W[1]] * 2)  # z_i = a_i x_i + c x_j + b_i
    own, own_a, own_b = _alone(a, b)
    other, other_c, other_b = _silent(c, b)
    both, both_a, both_c, both_b = _together(a, c, b)
    open_ = np.maximum(b, 0)
    q, one = (1 - p) ** 2, p * (1 - p)
    loss = q * open_**2 + one * (own + other) + p * p * both
    da = one * own_a + p * p * both_a
    dc = one * other_c + p * p * both_c
    db = 2 * q * open_ + one * (own_b + other_b) + p * p * both_b
    da, dc, db = importance * da, (importance * dc).sum(axis=0), importance * db
    return (importance * loss).sum(axis=0), np.concatenate([2 * W * da + dc * W[::-1], db])


def _alone(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return T = ∫ (x - relu(a x + b))² dx over [0, 1], and its derivatives by a and b.

    a >= 0, so the ReLU is open from lo to 1, where the error x - a x - b is linear from g0 to g1.
    """
    crosses = a > np.abs(b)
    lo = np.where(b > 0, 0, np.where(crosses, -b / np.where(crosses, a, 1), 1))
    g0, g1 = lo - np.maximum(b, 0), 1 - np.maximum(a + b, 0)
    length = 1 - lo
    loss = (lo**3 + length * (g0 * g0 + g0 * g1 + g1 * g1)) / 3
    da = -length * (lo * (g0 + g1) + length * (g0 + 2 * g1) / 3)
    return loss, da, -length * (g0 + g1)


def _silent(c: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return ∫ relu(c y + b)² dy over [0, 1], and its derivatives by c and b."""
    crosses = np.abs(c) > np.abs(b)
    crossing = np.where(crosses, -b / np.where(crosses, c, 1), 1)
    lo, hi = np.where(b > 0, 0, crossing), np.where(c + b > 0, 1, crossing)
    z0, z1 = np.maximum(b, 0), np.maximum(c + b, 0)
    length = hi - lo
    loss = length * (z0 * z0 + z0 * z1 + z1 * z1) / 3
    dc = length * (lo * (z0 + z1) + length * (z0 + 2 * z1) / 3)
    return loss, dc, length * (z0 + z1)


def _together(a: np.ndarray, c: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return ∫∫ (x - relu(a x + c y + b))² dx dy over [0, 1]², and derivatives by a, c and b."""
    safe = np.where(c == 0, 1, c)
    ends = np.sort([np.clip(np.where(c == 0, 0, -e / safe), 0, 1) for e in (b, a + b)], axis=0)
    knots = np.stack([np.zeros_like(c), *ends, np.ones_like(c)])  # (4, features, ...)
    length = np.diff(knots, axis=0)[:, None]  # (pieces, 1, features, ...)
    nodes, weights = (a.reshape(-1, *[1] * c.ndim) for a in (_NODES, _WEIGHTS))
    y = knots[:-1, None] + length * nodes  # (pieces, nodes, features, ...)
    weight = length * weights
    loss, da, db = _alone(a, c * y + b)
    parts = (loss, da, y * db, db)
    loss, da, dc, db = ((weight * part).sum(axis=(0, 1)) for part in parts)
    return loss, da, dc, db
