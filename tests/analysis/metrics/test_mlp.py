"""Which neurons serve which features: against models made by hand."""

import json

import numpy as np
import pytest
import xarray as xr

import jsuper
from jsuper.analysis.metrics import mlp
from jsuper.analysis.neurons import contributions, main_neuron, participation


def test_contributions_are_products_of_what_is_read_and_written():
    reads, writes = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    K = contributions(reads, writes)
    assert K[2, 1, 3] == reads[2, 1, 3] * writes[2, 1, 3] and K.shape == (3, 4, 5)


@pytest.mark.parametrize("axis", [-2, -1])
def test_participation_counts_equal_entries(axis):
    K = np.zeros((6, 6))
    K[:4, 0] = K[0, :4] = [2.0, -2.0, 2.0, 2.0]
    K[1, 5] = K[5, 1] = 1e-300
    found = participation(K, axis)
    assert found[0] == pytest.approx(4) and found[4] == 0
    assert found[5] == pytest.approx(1)
    uneven = np.array([3.0, 1.0])
    assert participation(uneven, -1) == pytest.approx(16 / 10)


def made_up():
    """Models of 4 features: a neuron for each; two neurons for half; one that diverged."""
    nan = np.nan
    eye = np.eye(4)
    shared = np.full((4, 4), nan)
    shared[:2] = [[1, 1, 0, 0], [1, 0, 0, 0]]
    models = np.stack([eye, shared, eye])
    dims = ("n_hidden", "sparsity", "seed")
    ds = xr.Dataset(coords={"n_hidden": [4], "sparsity": [0.9], "seed": [0, 1, 2]})
    ds["status"] = dims, np.array([[[1, 1, 2]]], np.int8)
    for name in ("reads", "writes"):
        ds[name] = (*dims, "neuron", "feature"), models[None, None]
    per_feature = {
        "feature_loss": [[0, 0, 0, 0], [0.1, 0.3, 1, 1], [nan] * 4],
        "naive_feature_loss": [[0, 0, 0, 0], [0, 0, 1, 1], [nan] * 4],
        "residual_loss": [[1, 1, 1, 1], [1, 1, 1, 1], [nan] * 4],
    }
    for name, values in per_feature.items():
        ds[name] = (*dims, "feature"), np.array(values, float)[None, None]
    ds.attrs["sweep"] = json.dumps({"model": "mlp"})
    return ds


def test_a_neuron_per_feature_is_measured_as_that():
    found = jsuper.analyze(made_up()).squeeze(["n_hidden", "sparsity"])
    own = found.isel(seed=0)
    assert own.neurons_per_feature.values.tolist() == [1, 1, 1, 1]
    assert own.features_per_neuron.values.tolist() == [1, 1, 1, 1]
    assert own.main_neuron.values.tolist() == [0, 1, 2, 3]
    assert float(own.features_computed) == 4 and float(own.share_better) == 0
    shared = found.isel(seed=1)
    assert shared.neurons_per_feature.values.tolist() == [2, 1, 0, 0]
    assert shared.features_per_neuron.values[:2].tolist() == [2, 1]
    assert np.isnan(shared.features_per_neuron.values[2:]).all()
    assert shared.main_neuron.values.tolist() == [0, 0, -1, -1]
    assert float(shared.features_computed) == 2
    assert float(shared.share_better) == 0.5  # below 0.5, the naive solution's mean
    assert float(shared.mean_features_per_neuron) == 1.5
    gone = found.isel(seed=2)
    assert np.isnan(gone.features_computed) and (gone.main_neuron == -1).all()
    assert np.isnan(gone.neurons_per_feature).all()


def test_all_measures_have_a_description_and_their_dimensions():
    found = jsuper.analyze(made_up())
    for name, (dims, text) in mlp.MEASURES.items():
        assert found[name].description == text
        assert set(found[name].dims) == {"n_hidden", "sparsity", "seed", *dims}
    assert main_neuron(np.zeros((2, 3))).tolist() == [-1, -1, -1]
