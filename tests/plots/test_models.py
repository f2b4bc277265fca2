"""Figures of one model's weights and of its features, and what the figures look like."""

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb

from jsuper.core.errors import SpecError
from jsuper.models.toy.activations.names import ACTIVATIONS, KNOWN
from jsuper.plots import (
    activation_style,
    arrows,
    correlated,
    dimensionality,
    features,
    style,
    weights,
)

W = np.array([[1.0, -1.0, 0.0, 0.6, 0.0], [0.0, 0.0, 1.5, 0.8, 0.0]])
B = np.array([0.0, -0.5, 0.25, 2.0, -3.0])
ONE = {"weights": weights, "features": features, "arrows": arrows}
one = pytest.mark.parametrize("draw", list(ONE.values()), ids=list(ONE))


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def gram(ax):
    return ax.images[0].get_array().filled(np.nan)


@one
def test_weights_of_another_shape_are_refused(draw):
    for shape in [(2,), (3, 2, 4), (2, 0)]:
        with pytest.raises(ValueError, match=r"not \(hidden, feature\); select one model"):
            draw(np.zeros(shape))


@one
def test_weights_that_are_not_finite_are_said_and_those_of_zero_drawn(draw):
    bad = W.copy()
    bad[0, 1] = np.nan
    ax = draw(bad)
    assert "W is not finite" in ax.get_title()
    ax.figure.canvas.draw()
    ax = draw(np.zeros((2, 3)))
    assert "not finite" not in ax.get_title()
    ax.figure.canvas.draw()


@one
@pytest.mark.parametrize("n", [1, 2, 100])
def test_any_number_of_features_can_be_drawn(draw, n):
    ax = draw(np.random.default_rng(0).normal(size=(2, n)))
    ax.figure.canvas.draw()
    assert len(ax.get_yticks()) <= 10


def test_the_image_is_the_gram_matrix_with_the_bias_beside_it():
    assert gram(weights(W)) == pytest.approx(W.T @ W)
    ax = weights(W, B)
    assert gram(ax)[:, :5] == pytest.approx(W.T @ W)
    assert np.isnan(gram(ax)[:, 5]).all()
    assert gram(ax)[:, 6].tolist() == B.tolist()
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1", "2", "3", "4", "b"]
    assert ax.images[0].get_clim() == (-1, 1)
    assert ax.images[0].colorbar.extend == "both"
    assert ax.get_title() == "WᵀW and b"


def test_the_bias_of_many_features_is_wide_enough_to_be_seen():
    many, b = np.full((5, 60), 0.1), np.linspace(-1, 1, 60)
    values = gram(weights(many, b))
    assert values.shape == (60, 66)
    assert np.isnan(values[:, 60:63]).all()
    assert (values[:, 63:] == b[:, None]).all()


def test_the_bias_fits_the_weights():
    for b in (B[:4], B[None], 0.5):
        with pytest.raises(ValueError, match="but W has 5 features; give shape"):
            weights(W, b)


def test_a_line_follows_the_last_feature_that_fits():
    assert [list(line.get_ydata()) for line in weights(W).lines] == [[1.5, 1.5], [-0.5, 4.5]]
    assert list(features(W).lines[0].get_ydata()) == [1.5, 1.5]
    assert not weights(np.eye(3)).lines and not features(np.eye(3)).lines


@pytest.mark.parametrize("draw", [weights, features])
def test_the_colour_bar_can_be_left_out(draw):
    assert len(draw(W).figure.axes) == 2
    assert len(draw(W, colorbar=False).figure.axes) == 1


def test_bars_are_the_norms_coloured_by_interference():
    ax = features(np.array([[1.0, -0.5, 0.0], [0.0, 0.0, 1.5]]))
    assert [p.get_width() for p in ax.patches] == [1, 0.5, 1.5]
    assert [p.get_y() + p.get_height() / 2 for p in ax.patches] == pytest.approx([0, 1, 2])
    viridis = mpl.colormaps["viridis"]
    for patch, disturbed in zip(ax.patches, [0.5, 1.0, 0.0], strict=True):
        assert patch.get_facecolor() == viridis(disturbed)
    assert ax.yaxis_inverted()
    assert ax.get_xlim()[1] > 1.5


def test_arrows_end_at_the_embeddings():
    ax = arrows(W)
    assert np.array([line.get_xdata() for line in ax.lines]).T.tolist() == [[0] * 5, W[0].tolist()]
    assert np.array([line.get_ydata() for line in ax.lines]).T.tolist() == [[0] * 5, W[1].tolist()]
    assert {t.get_text() for t in ax.texts} == {"0", "1", "2", "3"}  # feature 4 is at the origin
    assert ax.get_aspect() == 1 and ax.get_xlim() == ax.get_ylim()
    assert ax.get_xlim()[1] > 1.5


def test_names_of_arrows_do_not_lie_on_one_another():
    ax = arrows(np.random.default_rng(0).normal(size=(2, 80)))
    places = np.array([t.get_position() for t in ax.texts])
    assert min(np.hypot(*(a - b)) for a, b in itertools.combinations(places, 2)) > 0.1


@pytest.mark.parametrize("hidden", [1, 3])
def test_arrows_need_two_dimensions(hidden):
    with pytest.raises(ValueError, match=f"n_hidden={hidden}; arrows needs n_hidden=2"):
        arrows(np.ones((hidden, 4)))


def test_dimensionality_of_arrangements_that_are_known():
    angles = 2 * np.pi * np.arange(5) / 5
    pentagon = np.stack([np.cos(angles), np.sin(angles)])
    pairs = np.array([[1.0, -1, 0, 0, 0], [0, 0, 1, -1, 0]])
    ax = dimensionality(np.stack([pentagon, pairs]), [0.0, 0.9])
    x, y = np.array(ax.collections[0].get_offsets()).T
    assert y == pytest.approx([0.4] * 5 + [0.5] * 4 + [0])
    assert (np.abs(np.log10(x) - np.repeat([0, 1], 5)) < 0.15).all()
    assert len(set(x)) == 10
    assert ax.get_title() == "10 features; all 2 models"
    assert "2/5  pentagon" in [t.get_text() for t in ax.texts]


def test_neighbouring_sparsities_stay_apart():
    sparsity = np.array([0.9, 0.901, 0.5])
    ax = dimensionality(np.ones((3, 2, 50)), sparsity)
    x = ax.collections[0].get_offsets()[:, 0].reshape(3, 50)
    middle = np.log10(1 / (1 - sparsity))[:, None]
    assert (np.abs(np.log10(x) - middle) < (middle[1] - middle[0]) / 2).all()


def test_dimensionality_of_a_dataset_pools_its_models():
    values = np.stack([np.eye(2, 3), np.full((2, 3), np.nan), np.eye(2, 3)])
    values[2, :, 2] = np.nan  # a model of two features
    ds = xr.Dataset(
        {"W": (("seed", "hidden", "feature"), values), "status": ("seed", [1, 2, 1])},
        coords={"sparsity": 0.5},
    )
    ax = dimensionality(ds)
    x, y = ax.collections[0].get_offsets().T
    assert y.tolist() == [1, 1, 0, 1, 1]
    assert (np.abs(x - 2) < 1).all()
    assert ax.get_title() == "5 features; 1 of 3 models left out"
    with pytest.raises(ValueError, match="is a coordinate of the Dataset"):
        dimensionality(ds, 0.5)
    with pytest.raises(ValueError, match="no coordinate 'sparsity'; select with drop=False"):
        dimensionality(ds.drop_vars("sparsity"))


def test_dimensionality_of_weights_needs_their_sparsity():
    with pytest.raises(ValueError, match="sparsity is missing"):
        dimensionality(W)
    with pytest.raises(ValueError, match=r"sparsity has shape \(2,\), .* models of shape \(3,\)"):
        dimensionality(np.ones((3, 2, 4)), [0.1, 0.2])
    with pytest.raises(ValueError, match=r"sparsity=1.5 is not in \[0, 1\)"):
        dimensionality(W, 1.5)
    with pytest.raises(ValueError, match=r"W has shape \(4,\)"):
        dimensionality(np.ones(4), 0.5)


def test_every_activation_of_the_table_has_its_own_style():
    styles = [tuple(activation_style(a).values()) for a in KNOWN]
    assert len(set(styles)) == len(styles)
    lines = [s[:2] for s in styles[: len(ACTIVATIONS)]]  # where there are no markers
    assert len(set(lines)) == len(lines)


def test_other_names_have_a_style_that_is_not_of_the_table():
    table = [activation_style(a) for a in KNOWN]
    for name in ("elu(0.25)", "elu(0.5)", "my_function", "square"):
        assert activation_style(name) not in table
        assert activation_style(name) == activation_style(name)
    assert activation_style("elu(0.25)") == activation_style("elu(0.250)")
    assert activation_style("elu(0.25)")["color"] == activation_style("elu")["color"]
    with pytest.raises(ValueError, match="name=3 is not the name of an activation"):
        activation_style(3)


def test_activations_are_sorted_as_the_table_is():
    names = ["mine", "tanh", "elu(2)", "relu", "another", "elu(0.5)", "elu"]
    ordered = [names[i] for i in style.activation_order(names)]
    assert ordered == ["relu", "tanh", "elu", "elu(0.5)", "elu(2)", "mine", "another"]


# Viénot, Brettel and Mollon 1999: linear RGB as seen without red or green cones.
SIGHTS = {
    "all": np.eye(3),
    "no red": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "no green": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
}


def lab(color, sight):
    """CIELAB of a colour as seen."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    seen = np.clip(np.array(sight) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = to_xyz @ seen / [0.9505, 1, 1.089]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHTS.values(), ids=SIGHTS)
def test_the_colours_differ_also_without_red_or_green_cones(sight):
    seen = [lab(c, sight) for c in style.COLORS]
    apart = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(apart) > 17


def test_a_smaller_model_of_a_mixed_sweep_is_drawn_without_its_padding():
    small, b = np.array([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]), np.array([0.1, 0.2, 0.3])
    padded = np.full((5, 7), np.nan)
    padded[:2, :3] = small
    own = weights(small, b).images[0].get_array()
    shown = weights(padded, np.pad(b, (0, 4), constant_values=np.nan)).images[0].get_array()
    np.testing.assert_array_equal(shown.filled(9), own.filled(9))
    assert "not finite" not in features(padded).get_title()
    assert arrows(padded).get_title() == arrows(small).get_title()
    with pytest.raises(ValueError, match="b has shape"):
        weights(padded, np.zeros(7))


# ---- correlated features ----


def test_models_of_three_hidden_units_are_not_drawn_in_a_plane():
    ds = xr.Dataset({"W": (("hidden", "feature"), np.zeros((3, 4)))})
    with pytest.raises(SpecError, match="ds has n_hidden 3, and arrangements.*needs 2"):
        correlated.arrangements(ds)
