"""The three counts of represented features, against NumPy and by hand."""

import made_up
import numpy as np
import pytest
import xarray as xr

from jsuper.analysis import counts


@pytest.fixture
def ds():
    ds = made_up.study(seeds=3, activations=["relu", "gelu"], sparsity=(0.5, 0.9))
    failed = np.zeros(ds["status"].shape)
    failed[0, 0, 0] = 1
    ds["failed_fit"] = (ds["status"].dims, failed)
    ds["status"][1, 1, 2] = 2
    return ds


def definition(ds, count):
    """Counts by loops over models and features."""
    W, r_squared = ds["W"].values, ds["r_squared"].values
    found = np.zeros(W.shape[:-2])
    for place in np.ndindex(found.shape):
        lengths = [float(np.sqrt((column**2).sum())) for column in W[place].T]
        if count == "|W_i| > 1/2":
            found[place] = sum(length > 0.5 for length in lengths)
        elif count == "R² > 1/2":
            found[place] = sum(r > 0.5 for r in r_squared[place])
        else:
            found[place] = sum(length > max(lengths) / 2 for length in lengths)
    return found


@pytest.mark.parametrize("count", counts.COUNTS)
def test_counts_are_those_of_loops_without_failed_fits(ds, count):
    expected = definition(ds, count)
    expected[1, 1, 2] = np.nan  # diverged
    every = counts.represented(ds, count, failed=True)
    np.testing.assert_array_equal(every, expected)
    expected[0, 0, 0] = np.nan
    np.testing.assert_array_equal(counts.represented(ds, count), expected)
    np.testing.assert_array_equal(counts.excess(ds, count), expected - made_up.UNITS)


def test_only_the_published_count_depends_on_the_scale(ds):
    scaled = ds.assign(feature_norm=3 * ds["feature_norm"])
    changed = [
        label
        for label in counts.COUNTS
        if not counts.represented(ds, label).equals(counts.represented(scaled, label))
    ]
    assert changed == ["|W_i| > 1/2"]


def test_a_model_without_weights_represents_nothing(ds):
    zero = ds.assign(feature_norm=xr.zeros_like(ds["feature_norm"]))
    assert (counts.represented(zero, "|W_i| > half of the longest").fillna(0) == 0).all()


def test_an_unknown_number_is_no_count(ds):
    unknown = ds.assign(r_squared=ds["r_squared"].where(ds["r_squared"].feature != 2))
    assert counts.represented(unknown, "R² > 1/2").isnull().all()
