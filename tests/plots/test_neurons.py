"""Figures of MLPs: what is drawn is the models'."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import jsuper
from jsuper.mlp import Sweep
from jsuper.plots import neurons
from jsuper.report.mlp_figures import figures


@pytest.fixture(scope="module")
def analyzed():
    mpl.use("Agg")
    sizes = {"n_features": 6, "d_embed": 0, "batch_size": 16, "steps": 10, "records": 5}
    sweep = Sweep(n_hidden=2, sparsity=(0.5, 0.8), seeds=2, **sizes)
    ds = jsuper.run(sweep, progress=False).pad(neuron=(0, 2))  # as beside models with 4 neurons
    return jsuper.analyze(ds)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_errors_are_those_of_the_features(analyzed):
    cell = analyzed.isel(n_hidden=0, sparsity=0)
    ax = neurons.feature_losses(cell)
    ratio = np.sort((cell.feature_loss / cell.residual_loss).values, axis=1)
    drawn = np.array([line.get_ydata() for line in ax.lines])
    assert drawn[:2] == pytest.approx(ratio)
    assert drawn[2].tolist() == [0, 0, 1, 1, 1, 1]  # two units and no interference
    assert ax.get_title() == "all 2 models"


def test_contributions_are_those_of_the_neurons(analyzed):
    one = analyzed.isel(n_hidden=0, sparsity=0, seed=0)
    ax = neurons.contributions(one, features=3)
    drawn = [np.asarray(points.get_offsets()) for points in ax.collections]
    assert len(drawn) == 3
    product = (one.reads * one.writes).values
    assert drawn[1][:2, 1] == pytest.approx(product[:2, 1])
    with pytest.raises(ValueError, match="ds has 2 models; select one"):
        neurons.contributions(analyzed.isel(n_hidden=0, sparsity=0))


def test_the_page_has_a_panel_for_every_cell(analyzed):
    found = figures(analyzed)
    assert [caption.split()[0] for caption, _ in found] == ["Error", "Contribution"]
    assert all(len(figure.axes) == 2 for _, figure in found)
    nothing = analyzed.assign(status=0 * analyzed.status)
    assert figures(nothing) == []
    assert len(neurons.computed(analyzed).axes) == 2
