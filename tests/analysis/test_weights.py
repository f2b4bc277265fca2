"""`jsuper.analyze` of plain weights, without a sweep."""

import doctest
import warnings

import numpy as np
import pytest

import jsuper
from jsuper.analysis import superposition, sweep
from jsuper.analysis.metrics import toy

W = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
b = np.zeros(6, np.float32)


def test_weights_and_models_have_the_measures_of_w_alone():
    found = jsuper.analyze(W)
    assert found.dimensionality.dims == ("feature",) and found.participation_ratio.dims == (
        "hidden",
    )
    np.testing.assert_allclose(found.dimensionality, superposition.dimensionality(W))
    assert found.effective_rank == superposition.effective_rank(W)
    assert found.effective_rank.description == toy.MEASURES["effective_rank"][1]
    assert found.figure.values.tolist() == toy.COORDINATES["figure"]
    assert not {"loss_over_zero", "feature_error", "neuron_kurtosis"} & set(found)
    for same in (
        jsuper.analyze(W, b),
        jsuper.analyze(W.T, b),
        jsuper.analyze(W.T, features_last=False),
        jsuper.analyze(jsuper.model(W, b, activation="relu")),
    ):
        assert same.identical(found)
    W_dec = W[:, ::-1]
    untied = jsuper.analyze(jsuper.model(W, b, activation="relu", W_dec=W_dec))
    np.testing.assert_allclose(untied.own_weight, (W * W_dec).sum(axis=0), rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(bad):
    broken = W.copy()
    broken[1, 2] = bad
    with pytest.raises(ValueError, match="W is not finite"):
        jsuper.analyze(broken)


def test_some_metrics_by_name():
    found = jsuper.analyze(W, metrics=["excess", "feature_norm"])
    assert set(found.variables) == {"excess", "feature_norm"}
    assert set(jsuper.analyze(W, metrics="excess").data_vars) == {"excess"}
    with pytest.raises(ValueError, match="metrics='exces' is not known; did you mean 'excess'"):
        jsuper.analyze(W, metrics=("exces",))
    with pytest.raises(ValueError, match="metrics='gain' depends on the data and the loss"):
        jsuper.analyze(W, metrics=("gain",))
    with pytest.raises(TypeError, match="ds is 'runs/x', not the Dataset .* or an array W"):
        jsuper.analyze("runs/x")


def test_more_hidden_units_than_features_are_warned_of():
    with pytest.warns(UserWarning, match=r"n_hidden=6 > n_features=3.*features_last=False"):
        jsuper.analyze(W.T, features_last=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jsuper.analyze(np.eye(3), features_last=True)
    with pytest.raises(ValueError, match="not clear which axis"):
        jsuper.analyze(W.T)


def test_the_example_of_the_docstring_holds():
    assert doctest.testmod(sweep).failed == 0
