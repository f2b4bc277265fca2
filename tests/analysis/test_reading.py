import numpy as np
import pytest
import xarray as xr

from jsuper.analysis.reading import finished_values
from jsuper.core.status import FAILED, MISSING, NON_FINITE, OK


@pytest.fixture
def ds():
    status = [[OK, OK, MISSING], [NON_FINITE, FAILED, OK]]
    return xr.Dataset(
        {
            "status": (("sparsity", "seed"), np.array(status, np.int8)),
            "loss": (("sparsity", "seed"), np.array([[1, np.inf, 3], [4, 5, 6]], np.float32)),
            "norm": (("sparsity", "seed", "feature"), np.ones((2, 3, 4))),
            "count": (("sparsity",), [7, 8]),
        }
    )


def test_unfinished_models_and_infinite_values_become_nan(ds):
    values = finished_values(ds, "loss")
    assert values.dims == ("sparsity", "seed") and values.dtype == float
    np.testing.assert_array_equal(values, [[1, np.nan, np.nan], [np.nan, np.nan, 6]])


def test_dimensions_come_in_the_order_asked_for(ds):
    values = finished_values(ds, "norm", "feature", "seed")
    assert values.dims == ("feature", "seed", "sparsity")
    assert np.isnan(values.values).sum() == 4 * 3


def test_a_variable_is_repeated_along_the_dimensions_it_lacks(ds):
    values = finished_values(ds, "count", "seed", "sparsity")
    np.testing.assert_array_equal(values, [[7, np.nan], [7, np.nan], [np.nan, 8]])


def test_a_missing_variable_or_dimension_is_named(ds):
    with pytest.raises(ValueError, match="ds has no variable 'lost'; give the Dataset of jsuper"):
        finished_values(ds, "lost")
    with pytest.raises(ValueError, match="dimensions sparsity, seed, and not hidden"):
        finished_values(ds, "loss", "hidden")
