"""Rules: intervals with two ends, what is exact, words, and errors as they were simulated."""

import importlib
import json
import sys
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
SKEWED = "mean of exponential values"  # why there is a kind "skewed"


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(REPO / "benchmarks"))
    try:
        return importlib.import_module("statistical_errors")
    finally:
        sys.path.remove(str(REPO / "benchmarks"))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 10, 20])
@pytest.mark.parametrize("case", STORED)
def test_errors_are_those_of_the_benchmark_and_near_the_nominal_ones(case, seeds, benchmark):
    stored, repeats = STORED[case][str(seeds)], 300
    found = benchmark.simulated(benchmark.CASES[case], seeds, repeats)
    for name in ("larger", "smaller"):
        assert abs(found[name] - stored[name]) <= 4 * (0.03 / repeats) ** 0.5, name
        assert stored[name] <= 0.055 or case == SKEWED, name
    assert stored["coverage"] is None or stored["coverage"] >= 0.92 or case == SKEWED
