"""Rules of a verdict: what the mean over seeds has to be, with margins fixed beforehand.

A rule tests values, one per seed, for the claim and against it. Means are compared by one-sided t
tests with their 95 % t interval. Where all seeds agree to rounding there is no spread to test by,
and p is 2^-seeds, the chance of as many equal signs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
ROUNDING = 1e-9  # of the largest value: seeds that agree to this have no spread


class Tested(NamedTuple):
    """Mean and 95 % interval over seeds, the p of the claim's opposite, and the claim's own p."""

    value: float
    low: float
    high: float
    p_for: float  # chance of data so favourable if the claim were just not true
    p_against: float  # chance of data so unfavourable if it were just true
    spread: float  # standard deviation over seeds


@dataclass(frozen=True)
class Above:
    """The mean is above a margin."""

    margin: float = 0.0

    @property
    def words(self) -> str:
        """The rule in words."""
        return f"above {self.margin:.3g}"

    @property
    def margins(self) -> tuple[float, float]:
        """Where the mean has to lie."""
        return (self.margin, math.inf)

    def test(self, values: np.ndarray) -> Tested:
        """Two one-sided t tests of the margin."""
        mean, low, high, spread = _summary(values)
        p_above, p_below = _one_sided(values, self.margin)
        return Tested(mean, low, high, p_above, p_below, spread)


@dataclass(frozen=True)
class Below:
    """The mean is below a margin."""

    margin: float = 0.0

    @property
    def words(self) -> str:
        """The rule in words."""
        return f"below {self.margin:.3g}"

    @property
    def margins(self) -> tuple[float, float]:
        """Where the mean has to lie."""
        return (-math.inf, self.margin)

    def test(self, values: np.ndarray) -> Tested:
        """Two one-sided t tests of the margin."""
        mean, low, high, spread = _summary(values)
        p_above, p_below = _one_sided(values, self.margin)
        return Tested(mean, low, high, p_below, p_above, spread)


@dataclass(frozen=True)
class Between:
    """The mean lies between two margins: equivalence."""

    low: float
    high: float

    @property
    def words(self) -> str:
        """The rule in words."""
        return f"between {self.low:.3g} and {self.high:.3g}"

    @property
    def margins(self) -> tuple[float, float]:
        """Where the mean has to lie."""
        return (self.low, self.high)

    def test(self, values: np.ndarray) -> Tested:
        """Schuirmann's two one-sided tests; against it, that of lying beyond the nearer margin."""
        mean, low, high, spread = _summary(values)
        above_low, below_low = _one_sided(values, self.low)
        above_high, below_high = _one_sided(values, self.high)
        against = min(1.0, 2 * min(below_low, above_high))
        return Tested(mean, low, high, max(above_low, below_high), against, spread)


@dataclass(frozen=True)
class Exactly:
    """Every seed's value lies within a tolerance of a number: what holds by definition."""

    number: float = 0.0
    tolerance: float = 0.0

    @property
    def words(self) -> str:
        """The rule in words."""
        return f"{self.number:g}" + (f" within {self.tolerance:g}" if self.tolerance else "")

    @property
    def margins(self) -> tuple[float, float]:
        """Where the mean has to lie."""
        return (self.number - self.tolerance, self.number + self.tolerance)

    def test(self, values: np.ndarray) -> Tested:
        """No statistics: one value outside of the tolerance contradicts."""
        fine = bool((np.abs(values - self.number) <= self.tolerance).all())
        low, high = float(values.min()), float(values.max())
        p_for, p_against = (0.0, 1.0) if fine else (1.0, 0.0)
        return Tested(float(values.mean()), low, high, p_for, p_against, 0.0)


@dataclass(frozen=True)
class Rate:
    """A share of seeds, of which each says yes (1) or no (0), is above a margin in (0, 1)."""

    margin: float = 0.5

    @property
    def words(self) -> str:
        """The rule in words."""
        return f"in more than {100 * self.margin:g} % of seeds"

    @property
    def margins(self) -> tuple[float, float]:
        """Where the mean has to lie."""
        return (self.margin, math.inf)

    def test(self, values: np.ndarray) -> Tested:
        """Binomial tests, with Wilson's interval."""
        yes, n = int(values.sum()), values.size
        interval = stats.binomtest(yes, n).proportion_ci(CONFIDENCE, "wilson")
        p_for = float(stats.binomtest(yes, n, self.margin, "greater").pvalue)
        p_against = float(stats.binomtest(yes, n, self.margin, "less").pvalue)
        low, high = float(interval.low), float(interval.high)
        return Tested(yes / n, low, high, p_for, p_against, float(values.std()))


Rule = Above | Below | Between | Exactly | Rate


def _summary(values: np.ndarray) -> tuple[float, float, float, float]:
    mean, spread = float(values.mean()), _spread(values)
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, values.size - 1))
    half = quantile * spread / values.size**0.5
    return mean, mean - half, mean + half, spread


def _spread(values: np.ndarray) -> float:
    """Return standard deviation, 0 where the values agree to rounding."""
    spread = float(values.std(ddof=1))
    return spread if spread > ROUNDING * float(np.abs(values).max()) else 0.0


def _one_sided(values: np.ndarray, margin: float) -> tuple[float, float]:
    """p of the mean being above the margin by chance, and of being below it."""
    distance, spread = float(values.mean()) - margin, _spread(values)
    if spread == 0:
        chance = 0.5**values.size
        if abs(distance) <= ROUNDING * max(abs(margin), 1):
            return 1.0, 1.0
        return (chance, 1.0) if distance > 0 else (1.0, chance)
    t = distance * values.size**0.5 / spread
    return float(stats.t.sf(t, values.size - 1)), float(stats.t.cdf(t, values.size - 1))
