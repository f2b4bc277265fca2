"""Rules: where the mean over seeds of a statistic has to lie, and how that is tested.

The kind of a test is chosen for a statistic in advance; `benchmarks/statistical_errors.py`
simulates the coverage of the intervals and the errors of the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from jsuper.analysis.statistics.resampling import bootstrap_mean

Kind = Literal["mean", "skewed", "share", "exact"]
CONFIDENCE = 0.95
RESAMPLES = 9_999
LEAST_SKEWED = 10  # seeds of a bootstrap-t; with 5 an exponential law errs in 8 instead of 2.5 %
MANY = 20  # seeds from which on the interval of a mean is BCa
ROUNDING = 1e-9  # of the largest value: seeds that agree to this have no spread


@dataclass(frozen=True)
class Rule:
    """The mean over seeds lies in an interval.

    Attributes
    ----------
    low, high
        The interval; infinite at an end that does not matter.
    kind
        How the mean is tested.

        - mean: t tests; the interval is t, and BCa from 20 seeds on.
        - skewed: bootstrap-t, for statistics whose values per seed are skewed; at least 10 seeds.
        - share: values are 0 or 1, binomial tests, interval of Clopper and Pearson.
        - exact: values have no sampling error, and every one has to lie in the interval.
    bounds
        What a value cannot leave. Without them nothing is said of a mean if all seeds are equal.
    """

    low: float = -math.inf
    high: float = math.inf
    kind: Kind = "mean"
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for an interval that holds nothing, or everything."""
        if not self.low <= self.high or (self.low, self.high) == (-math.inf, math.inf):
            raise ValueError(f"low={self.low}, high={self.high} is no rule; give low <= high")

    @property
    def text(self) -> str:
        """The rule in words."""
        if self.kind == "exact" and self.low == self.high:
            return f"{self.low:g}"
        if self.kind == "share":
            return _side(f"{100 * self.low:g}", f"{100 * self.high:g}", self, " % of seeds")
        return _side(f"{self.low:.3g}", f"{self.high:.3g}", self, "")

    @property
    def margins(self) -> tuple[float, ...]:
        """The ends of the interval that are finite."""
        return tuple(m for m in (self.low, self.high) if math.isfinite(m))


def _side(low: str, high: str, rule: Rule, unit: str) -> str:
    if rule.high == math.inf:
        return f"above {low}{unit}"
    if rule.low == -math.inf:
        return f"below {high}{unit}"
    return f"between {low} and {high}{unit}"


def above(margin: float = 0.0, kind: Kind = "mean", bounds: tuple | None = None) -> Rule:
    """Return the rule that the mean is above a margin."""
    return Rule(low=margin, kind=kind, bounds=bounds)


def below(margin: float = 0.0, kind: Kind = "mean", bounds: tuple | None = None) -> Rule:
    """Return the rule that the mean is below a margin."""
    return Rule(high=margin, kind=kind, bounds=bounds)


def between(low: float, high: float, kind: Kind = "mean", bounds: tuple | None = None) -> Rule:
    """Return the rule that the mean lies between two margins: equivalence."""
    return Rule(low, high, kind, bounds)


def share(margin: float = 0.5) -> Rule:
    """Return the rule that more than a share of seeds have the value 1, where others have 0."""
    return Rule(low=margin, kind="share", bounds=(0.0, 1.0))


def exactly(number: float = 0.0, tolerance: float = 0.0) -> Rule:
    """Return the rule that every value lies within a tolerance of a number."""
    return Rule(number - tolerance, number + tolerance, "exact")


class Tested(NamedTuple):
    """The mean of a part, its 95 % interval, and how likely the data are at the rule's margins."""

    value: float
    low: float
    high: float
    p_for: float  # largest chance of a mean as far inside if the true one is not inside
    p_against: float  # the same of a mean as far outside if the true one is inside
    spread: float  # standard deviation over seeds


UNKNOWN = Tested(math.nan, math.nan, math.nan, 1.0, 1.0, math.nan)


def test(values: np.ndarray, rule: Rule) -> Tested:
    """Return what values, one per seed, say of a rule; UNKNOWN if there are too few.

    Inside an interval with two ends, both have to be passed (Schuirmann's two one-sided tests).
    Outside, one end is enough, and its p is doubled.
    """
    if rule.kind == "exact":
        return _exact(values, rule)
    if len(values) < least_seeds(rule):
        return UNKNOWN
    low, high, spread = interval(values, rule)
    return Tested(float(values.mean()), low, high, *p_values(values, rule), spread)


def least_seeds(rule: Rule) -> int:
    """Return the number of values below which nothing is said."""
    return LEAST_SKEWED if rule.kind == "skewed" else 2


def p_values(values: np.ndarray, rule: Rule) -> tuple[float, float]:
    """Return p_for and p_against of `Tested`, without its interval."""
    if rule.kind == "exact":
        return _exact(values, rule)[3:5]
    if len(values) < least_seeds(rule):
        return 1.0, 1.0
    inside, outside = [], []
    if math.isfinite(rule.low):
        p_above, p_below = one_sided(values, rule.low, rule)
        inside, outside = [*inside, p_above], [*outside, p_below]
    if math.isfinite(rule.high):
        p_above, p_below = one_sided(values, rule.high, rule)
        inside, outside = [*inside, p_below], [*outside, p_above]
    return max(inside), min(1.0, len(outside) * min(outside))


def _exact(values: np.ndarray, rule: Rule) -> Tested:
    if not len(values):
        return UNKNOWN
    fine = bool(((values >= rule.low) & (values <= rule.high)).all())
    p_for, p_against = (0.0, 1.0) if fine else (1.0, 0.0)
    low, high = float(values.min()), float(values.max())
    return Tested(float(values.mean()), low, high, p_for, p_against, 0.0)


def interval(values: np.ndarray, rule: Rule) -> tuple[float, float, float]:
    """Return the 95 % interval of the mean, and the standard deviation over seeds."""
    n, mean, spread = len(values), float(values.mean()), spread_of(values)
    if rule.kind == "share":
        found = stats.binomtest(int(values.sum()), n).proportion_ci(CONFIDENCE, "exact")
        return float(found.low), float(found.high), spread
    if spread == 0:
        return *_equal_interval(mean, n, rule.bounds), 0.0
    error = spread / n**0.5
    if rule.kind == "skewed":
        tails = np.quantile(_studentised(values), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return mean - float(tails[1]) * error, mean - float(tails[0]) * error, spread
    if n >= MANY:
        return *bootstrap_mean(values, RESAMPLES, CONFIDENCE, 0), spread
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    return mean - half, mean + half, spread


def one_sided(values: np.ndarray, margin: float, rule: Rule) -> tuple[float, float]:
    """Return p of the mean being above the margin by chance, and p of its being below it."""
    n, mean, spread = len(values), float(values.mean()), spread_of(values)
    if rule.kind == "share":
        yes = int(values.sum())
        sides = (stats.binomtest(yes, n, margin, side) for side in ("greater", "less"))
        p_above, p_below = (float(found.pvalue) for found in sides)
        return p_above, p_below
    if spread == 0:
        return _equal_p(mean, n, margin, rule.bounds)
    t = (mean - margin) * n**0.5 / spread
    if rule.kind == "skewed":
        drawn = _studentised(values)
        at_least, at_most = int((drawn >= t).sum()), int((drawn <= t).sum())
        return (1 + at_least) / (1 + len(drawn)), (1 + at_most) / (1 + len(drawn))
    return float(stats.t.sf(t, n - 1)), float(stats.t.cdf(t, n - 1))


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


def _equal_p(value: float, n: int, margin: float, bounds: tuple | None) -> tuple[float, float]:
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


def _equal_interval(value: float, n: int, bounds: tuple | None) -> tuple[float, float]:
    """Return the interval of the mean where all seeds have one value."""
    if bounds is None:
        return math.nan, math.nan
    q = 1 - ((1 - CONFIDENCE) / 2) ** (1 / n)
    return value - q * (value - bounds[0]), value + q * (bounds[1] - value)
