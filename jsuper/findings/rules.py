"""Rules: where the mean over seeds of a statistic has to lie, and how that is tested.

The kind of a test is chosen for a statistic in advance; `benchmarks/statistical_errors.py`
simulates the coverage of the intervals and the errors of the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jsuper.analysis.statistics.one_sample import Kind, interval, one_sided

LEAST_SKEWED = 10  # seeds of a bootstrap-t; with 5 an exponential law errs in 8 instead of 2.5 %


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
    low, high, spread = interval(values, rule.kind, rule.bounds)
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
    for margin, is_high in ((rule.low, False), (rule.high, True)):
        if math.isfinite(margin):
            p = one_sided(values, margin, rule.kind, rule.bounds)
            inside, outside = [*inside, p[is_high]], [*outside, p[not is_high]]
    return max(inside), min(1.0, len(outside) * min(outside))


def _exact(values: np.ndarray, rule: Rule) -> Tested:
    if not len(values):
        return UNKNOWN
    fine = bool(((values >= rule.low) & (values <= rule.high)).all())
    p_for, p_against = (0.0, 1.0) if fine else (1.0, 0.0)
    low, high = float(values.min()), float(values.max())
    return Tested(float(values.mean()), low, high, p_for, p_against, 0.0)
