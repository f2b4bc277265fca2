"""Stack plots: segments, order and colours are those of the weights."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from jsuper.plots import stack_plot
from jsuper.plots.stacks import ALONE, NOWHERE, SHARED, feature_colors, neuron_order

W = np.array([[0.0, 1.0, 0.5], [2.0, 0.0, -0.1]])


@pytest.fixture(autouse=True)
def closed():
    mpl.use("Agg")
    yield
    plt.close("all")


def segments(ax):
    """Return (low, high) of every segment, (collections, neurons x features, 2)."""
    boxes = [[p.vertices[:4, 1] for p in c.get_paths()] for c in ax.collections]
    return np.array([[(b.min(), b.max()) for b in one] for one in boxes])


def test_a_bar_stacks_the_weights_of_a_neuron_with_negative_ones_below():
    ax = stack_plot(W)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "0"]  # by largest feature
    drawn = segments(ax)[0].reshape(2, 3, 2)
    assert drawn[0].tolist() == [[0, 2], [2, 2], [-0.1, 0]]
    assert drawn[1].tolist() == [[0, 0], [0, 1], [1, 1.5]]
    assert ax.get_title() == "1 of 2 neurons monosemantic"


def test_with_a_decoder_neurons_are_scaled_and_output_weights_drawn():
    ax = stack_plot(W, np.ones_like(W), outputs=True, color_by="feature", magnitudes=True)
    inputs, outputs = segments(ax)
    assert inputs.reshape(2, 3, 2)[0].tolist() == pytest.approx(
        np.array([[0, 1], [1, 1], [1, 1.05]])
    )
    assert outputs.reshape(2, 3, 2)[0].tolist() == [[0, 2], [2, 4], [4, 6]]
    assert {t.get_text() for t in ax.texts} == {"0", "1", "2"}


def test_colours_tell_features_of_polysemantic_neurons():
    carried = np.array([[1, 1, 0, 0], [0, 0, 1, 0]], bool)
    assert feature_colors(carried, "superposition") == [SHARED, SHARED, ALONE, NOWHERE]
    assert len(set(feature_colors(carried, "feature"))) == 4
    assert neuron_order(-W).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((W[None],), r"W has shape \(1, 2, 3\), and must be a finite matrix"),
        ((W * np.nan,), "finite matrix"),
        ((W, W.T), r"W_dec has shape \(3, 2\)"),
        ((W, None, "rank"), "color_by='rank' is not known"),
        ((W, None, "feature", True), "outputs=True draws the decoder"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    names = ("W", "W_dec", "color_by", "outputs")
    with pytest.raises(ValueError, match=message):
        stack_plot(**dict(zip(names, arguments, strict=False)))
