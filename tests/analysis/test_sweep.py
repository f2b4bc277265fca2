"""analyze and best: whole sweeps, of one shape or several, finished or not."""

import numpy as np
import pytest

import jsuper
from jsuper.analysis import evaluation, geometry, kurtosis, superposition
from jsuper.analysis.metrics import toy

SWEEP = jsuper.Sweep(
    activation=("relu", "identity"),
    sparsity=(0.0, 0.9),
    n_features=(6, 8),
    n_hidden=4,
    seeds=2,
    steps=60,
    batch_size=128,
    records=2,
)


@pytest.fixture(scope="module")
def ds():
    return jsuper.run(SWEEP, progress=False)


@pytest.fixture(scope="module")
def analyzed(ds):
    return jsuper.analyze(ds)


def test_every_measure_is_there_over_the_sweeps_dimensions(ds, analyzed):
    for name, (own, words) in toy.MEASURES.items():
        assert analyzed[name].dims == (*ds.status.dims, *own)
        assert analyzed[name].description == words
    assert analyzed.drop_vars([*toy.MEASURES, "figure"]).identical(ds)
    assert set(toy.HEADLINES) <= set(analyzed)


def test_each_model_has_what_the_functions_give_of_its_weights(ds, analyzed):
    at = {"activation": "relu", "sparsity": 0.9, "n_features": 6, "seed": 1}
    one = analyzed.sel(at)
    W, b = ds.W.sel(at).values[:, :6], ds.b.sel(at).values[:6]
    assert one.dimensionality[:6].values == pytest.approx(superposition.dimensionality(W), rel=1e-5)
    assert one.features_represented == superposition.features_represented(W)
    assert one.figures.values.tolist() == geometry.figures(W).tolist()
    assert one.neuron_kurtosis.values == pytest.approx(
        kurtosis.exact_neuron_kurtosis(W, 0.1), rel=1e-4
    )
    assert one.alignment_z == pytest.approx(
        kurtosis.against_rotations(kurtosis.alignment, W).z, abs=1e-3
    )
    found = evaluation.evaluate_sparse(W, b, "relu", 0.9, 0.7 ** np.arange(6))
    assert one.loss == pytest.approx(float(found.loss), rel=0.1)
    assert one.feature_error[:6].values == pytest.approx(found.errors, rel=0.2)


def test_outside_of_a_smaller_model_there_is_nothing(analyzed):
    outside = analyzed.sel(n_features=6).isel(feature=slice(6, None))
    assert np.isnan(outside.dimensionality).all() and (outside.component == -1).all()
    assert np.isfinite(analyzed.sel(n_features=8).dimensionality).all()


def test_a_selection_is_analysed_as_the_whole_is(ds, analyzed):
    part = jsuper.analyze(ds.sel(activation="identity", n_features=8))
    whole = analyzed.sel(activation="identity", n_features=8)
    for name in ("dimensionality", "basis_kurtosis_z", "gain"):
        np.testing.assert_allclose(part[name], whole[name], rtol=1e-4, atol=1e-4)


def test_a_model_that_is_not_ok_has_no_measures_and_spoils_no_other(ds, analyzed):
    broken = ds.copy(deep=True)
    at = {"activation": 0, "sparsity": 0, "n_features": 1, "seed": 0}
    broken.status[at] = 2
    broken.W[at] = np.nan
    found = jsuper.analyze(broken)
    for name in toy.HEADLINES[1:]:
        assert np.isnan(found[name][at])
        whole = analyzed[name].copy(deep=True)
        whole[at] = np.nan
        np.testing.assert_allclose(found[name], whole, rtol=1e-5, atol=1e-5)


def test_a_single_model_is_analysed_and_a_part_of_one_is_not(ds):
    whole = jsuper.analyze(ds)
    cell = {d: 0 for d in ds.status.dims}
    one = jsuper.analyze(ds.isel(cell))
    assert one.feature_norm.dims == ("feature",)
    for name in ("feature_norm", "mean_dimensionality", "basis_kurtosis"):
        np.testing.assert_array_equal(one[name], whole[name].isel(cell))
    for part in (ds.isel(hidden=slice(0, 2)), ds.isel(feature=0)):
        with pytest.raises(ValueError, match="analyse whole models"):
            jsuper.analyze(part)
    with pytest.raises(ValueError, match="not of integers"):
        jsuper.analyze(ds.assign(status=ds.status.astype(float)))
    with pytest.raises(ValueError, match="no variable activation"):
        jsuper.analyze(ds.isel(activation=0, drop=True))
    for other in ({}, "runs/mine"):
        with pytest.raises(TypeError, match="the Dataset of jsuper.run or jsuper.load"):
            jsuper.analyze(other)
    with pytest.raises(ValueError, match="no models"):
        jsuper.best(ds.isel(seed=[]))


@pytest.mark.slow
def test_three_hidden_units_have_no_z():
    sweep = jsuper.Sweep(activation="relu", sparsity=0.0, n_features=6, n_hidden=3, steps=2)
    found = jsuper.analyze(jsuper.run(sweep, progress=False))
    assert np.isnan(found.basis_kurtosis_z).all() and np.isfinite(found.basis_kurtosis).all()
    assert "no z for m <= 3" in found.basis_kurtosis_z.description


@pytest.mark.slow
def test_lists_per_feature_take_the_place_of_numbers():
    sweep = jsuper.Sweep(
        activation="relu",
        feature_sparsity=(0.0, 0.5, 0.9),
        importance=(1.0, 2.0, 0.5),
        n_features=3,
        n_hidden=2,
        steps=2,
    )
    ds = jsuper.run(sweep, progress=False)
    p = 1 - np.array([0.0, 0.5, 0.9])
    expected = kurtosis.exact_neuron_kurtosis(ds.W.values, p)
    np.testing.assert_allclose(jsuper.analyze(ds).neuron_kurtosis, expected, rtol=1e-4)


def test_a_dataset_from_elsewhere_is_refused(ds):
    with pytest.raises(ValueError, match="attrs"):
        jsuper.analyze(ds.drop_attrs())
    with pytest.raises(ValueError, match="no variable W"):
        jsuper.analyze(ds.drop_vars("W"))


def test_best_takes_the_seed_of_the_smallest_loss(ds):
    found = jsuper.best(ds)
    assert "seed" not in found.dims
    assert (found.loss == ds.loss.min("seed")).all()
    assert (ds.W.sel(seed=found.seed) == found.W).where(found.W.notnull(), True).all()


def test_best_passes_over_what_is_not_ok(ds):
    broken = ds.copy(deep=True)
    broken.status[0, 0] = 2
    broken.status[1, 1, :, 0] = 2
    found = jsuper.best(broken)
    assert np.isnan(found.loss[0, 0]).all() and (found.status[0, 0] == 2).all()
    assert (found.seed[1, 1] == 1).all()
    assert np.isfinite(found.loss[1]).all()


def test_best_refuses_what_is_not_one_number_per_model(ds):
    with pytest.raises(ValueError, match="by='W' is not a variable per model"):
        jsuper.best(ds, by="W")
    with pytest.raises(ValueError, match="no dimension seed"):
        jsuper.best(ds.isel(seed=0))
