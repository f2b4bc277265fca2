"""Measures and figures of models that were trained on fixed datasets."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import jsuper
from jsuper.analysis import datasets
from jsuper.analysis.metrics import toy_fits
from jsuper.core.errors import SpecError
from jsuper.plots.datasets import double_descent

SWEEP = jsuper.Sweep(
    activation="relu",
    sparsity=0.9,
    n_features=30,
    n_hidden=2,
    importance_decay=1,
    dataset_size=(3, 5, 8, 20),
    full_batch=True,
    normalize=True,
    hidden_vectors=True,
    seeds=2,
    steps=1000,
    records=1,
    check_fit=False,
)


pytestmark = pytest.mark.slow  # 42 models are trained first


@pytest.fixture(scope="module")
def ds():
    return jsuper.run(SWEEP, progress=False)


def test_dimensionalities_are_those_of_their_formula(ds):
    model = ds.isel(seed=1, dataset_size=1).squeeze()
    found = {"example": datasets.example_dimensionality(model), "feature": None}
    found["feature"] = datasets.feature_dimensionality(model)
    for name, vectors in (("example", model.hidden_vectors), ("feature", model.W)):
        v = vectors.values.astype(float)[:, : 5 if name == "example" else None]
        unit = v / np.linalg.norm(v, axis=0)
        expected = (v**2).sum(axis=0) / ((unit.T @ v) ** 2).sum(axis=1)
        assert found[name].values[: expected.size] == pytest.approx(expected, rel=1e-5)
        assert np.isnan(found[name].values[expected.size :]).all()


def test_few_examples_are_memorized_as_a_polygon(ds):
    few = datasets.example_dimensionality(ds).sel(dataset_size=5).isel(example=slice(5))
    assert few.mean("example").values == pytest.approx(2 / 5, abs=0.02)
    assert few.min() > 0.2 and few.max() < 0.6
    assert (ds.train_loss.sel(dataset_size=3) < 0.01 * ds.loss.sel(dataset_size=3)).all()
    assert set(datasets.peak(ds).values) <= {3, 5, 8, 20}


def test_models_that_memorize_are_judged_by_their_dataset(ds):
    memorized = (ds.loss_over_constant > 1) & (ds.train_loss < 0.1 * ds.loss)
    assert memorized.any()
    worse = toy_fits.failed_fits(ds)[toy_fits.WORSE]
    assert not (worse & memorized).any()
    bad = ds.assign(train_loss=2 * ds.loss / ds.loss_over_constant)
    assert toy_fits.failed_fits(bad)[toy_fits.WORSE].all()
    fresh = ds.assign(train_loss=ds.train_loss * np.nan)  # of models without a dataset
    assert (toy_fits.failed_fits(fresh)[toy_fits.WORSE] == (ds.loss_over_constant > 1)).all()


def test_missing_models_are_nan(ds):
    part = ds.copy(deep=True)
    for name in ("W", "hidden_vectors", "train_loss", "loss_over_constant"):
        part[name][{"seed": 0}] = np.nan
    assert datasets.example_dimensionality(part).isel(seed=0).isnull().all()
    assert datasets.feature_dimensionality(part).isel(seed=0).isnull().all()
    plt.close(double_descent(part))


def test_the_figure_has_a_panel_of_features_and_of_examples_for_every_size(ds):
    figure = double_descent(ds)
    titles = [ax.get_title() or "-" for ax in figure.get_axes()]
    sizes = [title for title in titles if title[0].isdigit()]
    assert sizes == [f"{size} examples" for size in (3, 5, 8, 20)]
    examples = figure.get_axes()[5:9]
    assert [len(ax.lines[-1].get_xdata()) for ax in examples] == [3, 5, 8, 20]
    plt.close(figure)


def test_other_sweeps_are_refused(ds):
    with pytest.raises(SpecError, match="no hidden_vectors: train it with hidden_vectors=True"):
        datasets.example_dimensionality(ds.drop_vars("hidden_vectors"))
    two = ds.isel(sparsity=[0, 0])
    with pytest.raises(SpecError, match=r"has sparsity as a dimension.*ds.sel"):
        double_descent(two)
    with pytest.raises(SpecError, match="n_hidden 1, and double_descent.*needs 2; losses"):
        double_descent(ds.isel(hidden=[0]))
    with pytest.raises(SpecError, match="no dataset_size as a dimension"):
        datasets.peak(ds.isel(dataset_size=0))
