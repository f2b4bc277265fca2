"""Jumps of a curve during training: when, by how much, and whether a smooth curve explains them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

from jsuper.analysis.arrays import Array, floating, whole_number

DEGREE = 3  # of the local polynomial: the error of a smooth curve is even, and a step is odd
SIDE = 6  # values on each side of an increment
FEWEST = 3  # values on each side, near the ends
LEAST = 0.02  # of the curve's range: smaller jumps do not count
ROUNDING = 1e-7  # of the range: residuals are not taken to be smaller


class Jumps(NamedTuple):
    """Jumps of one curve in the order of time; every array is (jumps,)."""

    before: np.ndarray  # the last step before the jump
    after: np.ndarray  # the first step after it
    size: np.ndarray  # how much the curve rises there, beyond its smooth course
    p: np.ndarray  # p value against a smooth curve, times the number of increments; at most 1


def jumps(steps: Array, values: Array, *, alpha: float = 0.05, side: int = SIDE) -> Jumps:
    """Return the increments of a curve that a smooth curve does not explain.

    For the increment between the values k and k + 1, a cubic polynomial and a step

        v_j = a + b t_j + c t_j² + d t_j³ + J 1[j > k] + noise

    are fitted to the `side` values on each side; J is the size. The null hypothesis is a smooth
    curve, one that is cubic over 2 `side` values, with independent normal noise of equal variance:
    then J over its standard error has a t distribution, and its p value is multiplied by the number
    of increments (Bonferroni). The increment with the least p is a jump if this is at most `alpha`.
    It is removed from the curve, and the search goes on. So at most a share `alpha` of smooth
    curves has any jump. An exponential decay, or a sigmoid, counts as smooth if it takes about
    `side` values or more; what happens within one interval is a jump. Jumps below 2 % of the
    curve's range do not count, and noise below 1e-7 of the range is not believed.

    Parameters
    ----------
    steps
        Where the curve was measured, (count,), ascending; give their logarithm if they are
        logarithmically spaced.
    values
        The curve, (count,). Values that are not finite are left out.
    alpha
        Largest p value of a jump, in (0, 1).
    side
        Values on each side of an increment, at least 3; fewer near the ends, at least 3.

    Returns
    -------
    Jumps
        before, after, size and p; empty if there are none, or fewer than 8 values.

    Raises
    ------
    ValueError
        The shapes differ, the steps do not ascend, or an argument is out of range.

    References
    ----------
    Loader (1996), "Change point estimation using nonparametric regression", which fits polynomials
    on both sides of a point.
    """
    t, v = np.asarray(floating(steps), float), np.asarray(floating(values), float)
    whole_number("side", side, FEWEST)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha!r} is not in (0, 1)")
    if t.ndim != 1 or t.shape != v.shape:
        raise ValueError(f"steps has shape {t.shape} and values {v.shape}; both are (count,)")
    fine = np.isfinite(v)
    t, v = t[fine], v[fine]
    if not (np.diff(t) > 0).all():
        raise ValueError("steps do not ascend; sort them, and give each step once")
    reach = np.ptp(v) if v.size else 0.0
    found: dict[int, tuple[float, float]] = {}
    tests = v.size - 2 * FEWEST + 1
    while reach > 0 and len(found) < tests:
        size, p = _steps(t, v, side, ROUNDING * reach)
        p = np.minimum(p * tests, 1)
        p[(np.abs(size) < LEAST * reach) | np.isin(np.arange(p.size), list(found))] = 1
        k = int(p.argmin()) if p.size else -1
        if k < 0 or p[k] > alpha:
            break
        found[k] = size[k], p[k]
        v = v - size[k] * (np.arange(v.size) > k)
    order = sorted(found)
    sizes, p_values = (np.array([found[k][i] for k in order]) for i in (0, 1))
    at = np.array(order, int)
    return Jumps(t[at], t[at + 1], sizes, p_values)


def _steps(t: np.ndarray, v: np.ndarray, side: int, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the step and its p value at each increment, (count - 1,); NaN and 1 at the ends."""
    size, p = np.full(max(v.size - 1, 0), np.nan), np.ones(max(v.size - 1, 0))
    for k in range(FEWEST - 1, v.size - FEWEST):
        window = slice(max(k + 1 - side, 0), k + 1 + side)
        x = (t[window] - t[k]) / (t[window][-1] - t[window][0])
        design = np.column_stack([np.vander(x, DEGREE + 1), np.arange(v.size)[window] > k])
        freedom = len(x) - design.shape[1]
        if freedom < 1:
            continue
        inverse = np.linalg.pinv(design)
        fit = inverse @ v[window]
        residual = v[window] - design @ fit
        scale = max((residual @ residual / freedom) ** 0.5, floor)
        size[k] = fit[-1]
        p[k] = 2 * stdtr(freedom, -abs(fit[-1]) / (scale * np.linalg.norm(inverse[-1])))
    return size, p
