"""Statistics of a cell over its seeds."""

import numpy as np
import pytest
from scipy import stats

from jsuper.report.aggregates import aggregate


def test_values_of_a_cell_by_hand():
    values = np.array([[3.0, 1, 2, np.nan], [5, 5, 5, 5], [np.inf, np.nan, np.nan, 7]])
    found = aggregate(values)
    assert found["defined"].tolist() == [3, 4, 1]
    assert found["median"].tolist() == [2, 5, 7] and found["mean"].tolist() == [2, 5, 7]
    assert found["spread"][:2].tolist() == [1, 0] and np.isnan(found["spread"][2])
    half = stats.t.ppf(0.975, 2) / 3**0.5
    assert found["mean_low"][0] == pytest.approx(2 - half)
    assert found["mean_high"][0] == pytest.approx(2 + half)
    assert np.isnan(found["mean_low"][1:]).all()  # equal values and a single one have no interval


def test_quantiles_are_those_of_numpy():
    values = np.random.default_rng(2).normal(size=(50, 9))
    values[np.random.default_rng(3).random(values.shape) < 0.3] = np.nan
    found = aggregate(values)
    first, median, third = np.nanquantile(values, [0.25, 0.5, 0.75], axis=-1)
    np.testing.assert_allclose(found["median"], median)
    several = found["defined"] > 1
    np.testing.assert_allclose(found["spread"][several], (third - first)[several])


def test_a_cell_without_values_is_undefined():
    found = aggregate(np.full((2, 5), np.nan))
    assert found["defined"].tolist() == [0, 0]
    assert all(np.isnan(v).all() for k, v in found.items() if k != "defined")


@pytest.mark.parametrize(("count", "rank"), [(5, None), (6, 1), (9, 2), (20, 6), (100, 40)])
def test_intervals_of_medians_are_those_of_the_tables(count, rank):
    """Ranks of the 95 % interval, as in tables of the sign test."""
    values = np.random.default_rng(count).permutation(np.arange(1.0, count + 1))
    found = aggregate(np.append(values, np.nan)[None])
    ends = found["median_low"][0], found["median_high"][0]
    if rank is None:
        assert np.isnan(ends).all()
    else:
        assert ends == (rank, count + 1 - rank)


def test_intervals_hold_the_truth_in_at_least_95_percent():
    values = np.random.default_rng(0).exponential(size=(20_000, 10))
    found = aggregate(values)
    inside = (found["median_low"] <= np.log(2)) & (np.log(2) <= found["median_high"])
    assert 0.95 <= inside.mean() < 0.985
    normal = aggregate(np.random.default_rng(1).normal(size=(20_000, 4)))
    assert np.mean((normal["mean_low"] <= 0) & (normal["mean_high"] >= 0)) == pytest.approx(
        0.95, abs=0.006
    )
