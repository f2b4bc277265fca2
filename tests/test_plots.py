"""Figures: on the given Axes, without a trace elsewhere, honest about what they leave out."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from jsuper.plots import heatmap

ACTIVATIONS, SPARSITIES = ["relu", "gelu", "tanh"], [0.0, 0.9]


@pytest.fixture
def ds():
    """3 activations x 2 sparsities x 3 seeds, all well."""
    loss = np.arange(1.0, 19.0).reshape(3, 2, 3)
    dims = ("activation", "sparsity", "seed")
    coords = {"activation": ACTIVATIONS, "sparsity": SPARSITIES, "seed": [0, 1, 2]}
    status = np.ones((3, 2, 3), np.int8)
    return xr.Dataset({"loss": (dims, loss), "status": (dims, status)}, coords=coords)


@pytest.fixture(autouse=True)
def matplotlib_as_it_was():
    """No test sees figures or settings of another."""
    with mpl.rc_context():
        yield
    plt.close("all")


def numbers(ax):
    """The text of every cell, by (column, row)."""
    return {t.get_position(): t.get_text() for t in ax.texts}


def test_a_new_figure_shows_the_medians(ds):
    ax = heatmap(ds, "loss")
    assert isinstance(ax, mpl.axes.Axes)
    assert [t.get_text() for t in ax.get_yticklabels()] == ACTIVATIONS
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "0.9"]
    assert numbers(ax) == {
        (column, row): f"{2 + 3 * column + 6 * row}" for row in range(3) for column in range(2)
    }
    assert "all 18 models" in ax.get_title() and "3 seeds" in ax.get_title()
    assert ax.get_xlabel() == "sparsity"


def test_it_draws_on_the_given_axes(ds):
    _, (left, right) = plt.subplots(1, 2)
    assert heatmap(ds, "loss", ax=right) is right
    assert right.images and not left.images
    assert len(plt.get_fignums()) == 1


def test_it_leaves_the_settings_of_matplotlib_alone(ds):
    before, backend = dict(mpl.rcParams), mpl.get_backend()
    heatmap(ds, "loss")
    assert dict(mpl.rcParams) == before and mpl.get_backend() == backend


def test_the_title_says_how_many_models_are_left_out(ds):
    ds["status"][0, 0, 1:] = 2
    ds["status"][2, 1, 0] = 0
    ax = heatmap(ds, "loss")
    assert "3 of 18 models left out" in ax.get_title()
    assert numbers(ax)[0, 0] == "1"  # the median of what is left
    assert numbers(ax)[1, 2] == "18"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cell_without_any_model_is_empty(ds, value):
    ds["status"][1, 0] = 2
    ds["loss"][1, 0] = value
    ax = heatmap(ds, "loss")
    assert numbers(ax)[0, 1] == "-"
    assert "3 of 18 models left out" in ax.get_title()


def test_nothing_to_show_is_still_a_figure(ds):
    ds["status"][:] = 0
    ds["loss"][:] = np.nan
    ax = heatmap(ds, "loss")
    assert set(numbers(ax).values()) == {"-"}
    assert "18 of 18 models left out" in ax.get_title()
    ax.figure.canvas.draw()


def test_the_axes_can_be_turned(ds):
    ax = heatmap(ds, "loss", axes=("sparsity", "activation"))
    assert [t.get_text() for t in ax.get_xticklabels()] == ACTIVATIONS
    assert numbers(ax)[2, 1] == "17"
    assert ax.get_xlabel() == "activation"
