"""Rules: intervals with two ends, what is exact, words, and errors as they were simulated."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from jsuper.findings import Rule, above, below, between, exactly, rules, share

REPO = Path(__file__).parents[2]
X = np.random.default_rng(3).normal(0.4, 1.0, 12)


def test_an_interval_with_two_ends_needs_both():
    found = rules.test(X, between(-1, 1))
    sides = [
        stats.ttest_1samp(X, m, alternative=a).pvalue for m, a in ((-1, "greater"), (1, "less"))
    ]
    assert found.p_for == pytest.approx(max(sides))
    outside = [
        stats.ttest_1samp(X, m, alternative=a).pvalue for m, a in ((-1, "less"), (1, "greater"))
    ]
    assert found.p_against == pytest.approx(min(1, 2 * min(outside)))


def test_what_is_exact_needs_every_value():
    assert rules.test(np.array([1.0, 1.001]), exactly(1, 0.01))[3:5] == (0.0, 1.0)
    assert rules.test(np.array([1.0, 1.1]), exactly(1, 0.01))[3:5] == (1.0, 0.0)
    assert rules.test(np.array([]), exactly(1))[3:5] == (1.0, 1.0)


def test_too_few_seeds_say_nothing():
    assert rules.test(np.array([3.0]), above())[3:5] == (1.0, 1.0)
    assert rules.test(X[:9], above(kind="skewed"))[3:5] == (1.0, 1.0)


@pytest.mark.parametrize("low, high", [(1, 0), (-np.inf, np.inf), (np.nan, 1)])
def test_a_rule_without_meaning_is_refused(low, high):
    with pytest.raises(ValueError, match="is no rule"):
        Rule(low, high)


@pytest.mark.parametrize(
    "rule, text",
    [
        (above(0.5), "above 0.5"),
        (below(-2), "below -2"),
        (between(1, 2), "between 1 and 2"),
        (share(0.9), "above 90 % of seeds"),
        (exactly(3), "3"),
        (exactly(3, 1), "between 2 and 4"),
    ],
)
def test_rules_in_words(rule, text):
    assert rule.text == text


STORED = json.loads((REPO / "benchmarks/results/statistical_errors.json").read_text())["cases"]
CASES = {
    "mean of normal values": (Rule(low=0.0), lambda rng, shape: rng.normal(size=shape)),
    "skewed, exponential values": (
        Rule(low=1.0, kind="skewed"),
        lambda rng, shape: rng.exponential(size=shape),
    ),
    "share of 50 %": (share(0.5), lambda rng, shape: (rng.random(shape) < 0.5).astype(float)),
}


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 10, 20])
@pytest.mark.parametrize("case", CASES)
def test_errors_are_those_of_the_benchmark_and_near_the_nominal_ones(case, seeds):
    rule, draw = CASES[case]
    stored, repeats = STORED[case][str(seeds)], 600
    found = [
        rules.test(x, rule) for x in draw(np.random.default_rng(seeds + 100), (repeats, seeds))
    ]
    rates = {"larger": "p_for", "smaller": "p_against"}
    for name, attribute in rates.items():
        rate, known = np.mean([getattr(one, attribute) <= 0.025 for one in found]), stored[name]
        assert abs(rate - known) <= 4 * (0.03 / repeats) ** 0.5, name
        assert known <= 0.055, name
    assert stored["coverage"] is None or stored["coverage"] >= 0.92
