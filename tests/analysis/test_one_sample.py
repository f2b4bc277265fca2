"""Tests of a mean against a margin: SciPy, closed forms, and simulated errors."""

import numpy as np
import pytest
from scipy import stats

from jsuper.analysis.statistics import one_sample
from jsuper.analysis.statistics.one_sample import interval, one_sided

X = np.random.default_rng(3).normal(0.4, 1.0, 12)


def test_a_mean_is_tested_by_t():
    t = stats.ttest_1samp(X, 0.1, alternative="greater")
    assert one_sided(X, 0.1, "mean", None) == pytest.approx((t.pvalue, 1 - t.pvalue))
    expected = tuple(stats.ttest_1samp(X, 0).confidence_interval())
    assert interval(X, "mean", None)[:2] == pytest.approx(expected)
    assert one_sided(-X, -0.1, "mean", None) == pytest.approx((1 - t.pvalue, t.pvalue))


def test_shares_are_binomial():
    values = np.array([1.0] * 9 + [0.0])
    assert one_sided(values, 0.5, "share", None)[0] == pytest.approx(11 / 1024)
    assert interval(values, "share", None)[0] == pytest.approx(stats.beta.ppf(0.025, 9, 2))
    assert interval(np.zeros(100), "share", None)[1] == pytest.approx(0.0362, abs=1e-4)


def test_equal_seeds_are_judged_by_what_other_seeds_could_be():
    # a share q of seeds with the value 5 brings the mean to 0.25 if q = 0.05
    none, bounds = np.zeros(20), (0.0, 5.0)
    assert one_sided(none, 0.25, "mean", bounds) == pytest.approx((1.0, 0.95**20))
    assert interval(none, "mean", bounds)[1] == pytest.approx(5 * (1 - 0.025 ** (1 / 20)))
    assert one_sided(none, 0.25, "mean", None) == (1.0, 1.0)
    assert np.isnan(interval(none, "mean", None)[0])
    assert one_sided(none, -1, "mean", bounds)[0] == 0.0  # out of reach
    assert one_sided(np.ones(20), 1.0, "mean", bounds) == (1.0, 1.0)


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_counts_whose_seeds_often_agree_do_not_decide_by_chance(seeds):
    rng, repeats = np.random.default_rng(seeds), 3000
    drawn = 5.0 * (rng.random((repeats, seeds)) < 0.05)
    found = np.array([one_sample.one_sided(x, 0.25, "mean", (0.0, 5.0)) for x in drawn])
    assert (found <= 0.025).mean(axis=0) == pytest.approx(0, abs=0.025 + 0.009)
