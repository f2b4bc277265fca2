"""The mean of a statistic over seeds: its interval, and tests of it against a margin.

`benchmarks/statistical_errors.py` simulates the coverage and the errors of every kind.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import scipy  # scipy.stats is slow to import, and here seldom needed
from scipy.special import stdtr, stdtrit

from jsuper.analysis.statistics.resampling import bootstrap_mean

Kind = Literal["mean", "skewed", "share", "exact"]
CONFIDENCE = 0.95
RESAMPLES = 9_999
MANY = 20  # seeds from which on the interval of a mean is BCa
ROUNDING = 1e-9  # of the largest value: seeds that agree to this have no spread
Bounds = tuple[float, float] | None


def interval(values: np.ndarray, kind: Kind, bounds: Bounds) -> tuple[float, float, float]:
    """Return the 95 % interval of the mean, and the standard deviation over seeds.

    Parameters
    ----------
    values
        One per seed, (seeds,).
    kind
        See `jsuper.findings.Rule`; not exact.
    bounds
        What a value cannot leave.
    """
    n, mean, spread = len(values), float(values.mean()), spread_of(values)
    if kind == "share":
        found = scipy.stats.binomtest(int(values.sum()), n).proportion_ci(CONFIDENCE, "exact")
        return float(found.low), float(found.high), spread
    if spread == 0:
        return *_equal_interval(mean, n, bounds), 0.0
    error = spread / n**0.5
    if kind == "skewed":
        tails = np.quantile(_studentised(values), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return mean - float(tails[1]) * error, mean - float(tails[0]) * error, spread
    if n >= MANY:
        return *bootstrap_mean(values, RESAMPLES, CONFIDENCE, 0), spread
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * error
    return mean - half, mean + half, spread


def one_sided(values: np.ndarray, margin: float, kind: Kind, bounds: Bounds) -> tuple[float, float]:
    """Return p of the mean being above the margin by chance, and p of its being below it."""
    n, mean, spread = len(values), float(values.mean()), spread_of(values)
    if kind == "share":
        yes = int(values.sum())
        sides = (scipy.stats.binomtest(yes, n, margin, side) for side in ("greater", "less"))
        p_above, p_below = (float(found.pvalue) for found in sides)
        return p_above, p_below
    if spread == 0:
        return _equal_p(mean, n, margin, bounds)
    t = (mean - margin) * n**0.5 / spread
    if kind == "skewed":
        drawn = _studentised(values)
        at_least, at_most = int((drawn >= t).sum()), int((drawn <= t).sum())
        return (1 + at_least) / (1 + len(drawn)), (1 + at_most) / (1 + len(drawn))
    return float(stdtr(n - 1, -t)), float(stdtr(n - 1, t))


def spread_of(values: np.ndarray) -> float:
    """Return the standard deviation over seeds, 0 where the values agree to rounding."""
    spread = float(values.std(ddof=1))
    return spread if spread > ROUNDING * float(np.abs(values).max()) else 0.0


def _studentised(values: np.ndarray) -> np.ndarray:
    """Return (mean* - mean) √n / s* of bootstrap samples, the same ones for every margin."""
    rng = np.random.default_rng(0)
    drawn = values[rng.integers(len(values), size=(RESAMPLES, len(values)))]
    distance = (drawn.mean(axis=1) - values.mean()) * len(values) ** 0.5
    spread = drawn.std(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(distance / spread, nan=0.0)


def _equal_p(value: float, n: int, margin: float, bounds: Bounds) -> tuple[float, float]:
    """Return both p where all seeds have one value.

    The true mean is at the margin if a share q of all seeds has the farthest value that is
    possible; n seeds then miss these with the chance (1 - q)^n.
    """
    if bounds is None or abs(value - margin) <= ROUNDING * max(abs(margin), 1):
        return 1.0, 1.0
    end = bounds[0] if value > margin else bounds[1]
    reaches = (end - margin) * (value - margin) < 0
    q = (value - margin) / (value - end) if reaches else 1.0
    chance = (1 - q) ** n
    return (chance, 1.0) if value > margin else (1.0, chance)


def _equal_interval(value: float, n: int, bounds: Bounds) -> tuple[float, float]:
    """Return the interval of the mean where all seeds have one value."""
    if bounds is None:
        return math.nan, math.nan
    q = 1 - ((1 - CONFIDENCE) / 2) ** (1 / n)
    return value - q * (value - bounds[0]), value + q * (bounds[1] - value)
