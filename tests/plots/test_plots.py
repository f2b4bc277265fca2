"""Figures of sweeps: on the given Axes, without a trace elsewhere, honest about what they lack."""

import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import LogNorm, Normalize, to_rgba

from jsuper import plots
from jsuper.plots import (
    activation_style,
    curve,
    dimensions_per_feature,
    heatmap,
    kurtosis_against_dropout,
    loss_against_superposition,
    loss_curves,
)

GIVEN, TABLE = ["tanh", "relu", "gelu"], ["relu", "gelu", "tanh"]
SPARSITIES, SEEDS, STEPS = [0.0, 0.9], [0, 1, 2], [0, 10, 20, 30]
MODELS = ("activation", "sparsity", "seed")


@pytest.fixture
def ds():
    """3 activations, not in the table's order, x 2 sparsities x 3 seeds, all well."""
    loss = np.arange(1.0, 19.0).reshape(3, 2, 3)
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {
            "loss": (MODELS, loss),
            "mean_interference": (MODELS, rng.permutation(loss.ravel()).reshape(loss.shape)),
            "loss_curve": ((*MODELS, "step"), loss[..., None] * [4.0, 3.0, 2.0, 1.0]),
            "W": ((*MODELS, "hidden", "feature"), rng.normal(size=(3, 2, 3, 2, 4))),
            "status": (MODELS, np.ones(loss.shape, np.int8)),
        },
        coords={"activation": GIVEN, "sparsity": SPARSITIES, "seed": SEEDS, "step": STEPS},
    )


@pytest.fixture(autouse=True)
def matplotlib_as_it_was():
    """No test sees figures or settings of another."""
    with mpl.rc_context():
        yield
    plt.close("all")


def with_dropout(ds):
    """The gelu models as those of three dropouts, and the loss as kurtosis."""
    renamed = ds.rename(activation="dropout", loss="basis_kurtosis")
    return renamed.assign_coords(dropout=[0.2, 0.0, 0.1], activation="gelu")


OF_SWEEPS = {
    "heatmap": lambda ds, ax=None: heatmap(ds, "loss", ax=ax),
    "spread": lambda ds, ax=None: heatmap(ds, "loss", spread=True, ax=ax),
    "curve": lambda ds, ax=None: curve(ds, "loss", ax=ax),
    "dimensions_per_feature": lambda ds, ax=None: dimensions_per_feature(ds, ax=ax),
    "kurtosis": lambda ds, ax=None: kurtosis_against_dropout(with_dropout(ds), null=2.0, ax=ax),
    "loss_curves": lambda ds, ax=None: loss_curves(ds.isel(sparsity=1), ax=ax),
    "points": lambda ds, ax=None: loss_against_superposition(ds, loss="loss", ax=ax),
    "dimensionality": lambda ds, ax=None: plots.dimensionality(ds, ax=ax),
}
OF_WEIGHTS = {
    "of W": lambda ds, ax=None: plots.dimensionality(ds.W.values, 0.9, ax=ax),
    "weights": lambda ds, ax=None: plots.weights(ds.W.values[0, 0, 0], np.ones(4), ax=ax),
    "features": lambda ds, ax=None: plots.features(ds.W.values[0, 0, 0], ax=ax),
    "arrows": lambda ds, ax=None: plots.arrows(ds.W.values[0, 0, 0], ax=ax),
}
OF_ACTIVATIONS = ("curve", "dimensions_per_feature", "loss_curves", "points")


def each(figures):
    return pytest.mark.parametrize("draw", list(figures.values()), ids=list(figures))


def numbers(ax):
    """The text of every cell, by (column, row)."""
    return {t.get_position(): t.get_text() for t in ax.texts}


def named(ax):
    """The lines of the legend, by name."""
    return {k: v for v, k in zip(*ax.get_legend_handles_labels(), strict=True)}


def faint(ax, color):
    """The y of the lines of single seeds in a color."""
    lines = [line for line in ax.lines if line.get_alpha() == 0.3 and line.get_color() == color]
    return np.array([line.get_ydata() for line in lines])


@each(OF_SWEEPS | OF_WEIGHTS)
def test_it_draws_on_the_given_axes_and_leaves_no_trace(ds, draw):
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    plt.sca(left)
    before = dict(mpl.rcParams), mpl.get_backend(), plt.get_fignums(), ds.copy(deep=True)
    assert draw(ds, right) is right
    assert (dict(mpl.rcParams), mpl.get_backend(), plt.get_fignums()) == before[:3]
    assert ds.identical(before[3])
    assert right.has_data() and not left.has_data()
    assert plt.gca() is left and right.figure is figure
    figure.canvas.draw()


@each(OF_SWEEPS | OF_WEIGHTS)
def test_without_axes_there_is_one_new_figure(ds, draw):
    before = dict(mpl.rcParams)
    ax = draw(ds)
    assert isinstance(ax, mpl.axes.Axes)
    assert plt.get_fignums() == [ax.figure.number]
    assert dict(mpl.rcParams) == before


@each(OF_SWEEPS | OF_WEIGHTS)
def test_all_models_that_are_there_are_said_to_be(ds, draw):
    assert "left out" not in draw(ds).get_title()


@each(OF_SWEEPS)
def test_the_title_says_how_many_models_are_left_out(ds, draw):
    whole = draw(ds).get_title()
    count = 9 if "all 9 models" in whole else 18
    assert f"all {count} models" in whole
    ds["status"][0, 1, 1] = 2  # diverged, with numbers
    ds["status"][2, 1, 0] = 0  # missing
    for name in ("loss", "mean_interference", "loss_curve", "W"):
        ds[name][2, 1, 0] = np.nan
        ds[name][1, 1, 2] = np.nan  # finished, but no number
    assert f"3 of {count} models left out" in draw(ds).get_title()


@each(OF_SWEEPS)
def test_nothing_left_is_still_a_figure(ds, draw):
    ds["status"][:] = 2
    ax = draw(ds)
    total = 9 if "9 of 9" in ax.get_title() else 18
    assert f"{total} of {total} models left out" in ax.get_title()
    ax.figure.canvas.draw()


@each(OF_SWEEPS)
def test_without_a_status_or_without_models_it_says_so(ds, draw):
    with pytest.raises(ValueError, match="ds has no variable 'status'"):
        draw(ds.drop_vars("status"))
    with pytest.raises(ValueError, match="ds has no models"):
        draw(ds.isel(seed=[]))


@each({k: OF_SWEEPS[k] for k in ("heatmap", "curve", "dimensions_per_feature", "points")})
def test_selections_of_one_value_can_be_drawn(ds, draw):
    for one in (ds.isel(activation=0), ds.isel(seed=0), ds.isel(sparsity=0, seed=[1])):
        assert draw(one).get_title().endswith(f"all {one.status.size} models")
    single = draw(ds.isel(activation=0, sparsity=1, seed=2))
    assert single.get_title().endswith("1 model")
    single.figure.canvas.draw()


def test_the_seed_may_differ_from_cell_to_cell(ds):
    chosen = ds.isel(seed=xr.DataArray([[0, 2], [1, 0], [2, 2]], dims=MODELS[:2]))
    ax = curve(chosen, "loss")
    assert named(ax)["relu"].get_ydata().tolist() == [8, 10]
    assert ax.get_title() == "1 seed; all 6 models"


@pytest.mark.parametrize("name", OF_ACTIVATIONS)
def test_activations_have_their_style_and_order_in_every_figure(ds, name):
    entries = named(OF_SWEEPS[name](ds))
    assert [k for k in entries if k in TABLE] == TABLE
    for activation in TABLE:
        drawn = entries[activation]
        color = drawn.get_color() if hasattr(drawn, "get_color") else drawn.get_facecolor()[0][:3]
        assert to_rgba(color) == to_rgba(activation_style(activation)["color"])


@pytest.mark.parametrize("name", OF_ACTIVATIONS)
def test_an_activation_of_which_nothing_is_left_stays_in_the_legend(ds, name):
    ds["status"].loc[{"activation": "relu"}] = 2
    assert "relu (all left out)" in named(OF_SWEEPS[name](ds))


def test_further_dimensions_are_named_with_a_way_to_select(ds):
    more = ds.expand_dims(dropout=[0.0, 0.5])
    with pytest.raises(ValueError, match=r"dropout \(0.0, 0.5\); .* ds.sel\(dropout=0.0\)"):
        curve(more, "loss")
    with pytest.raises(ValueError, match=r"\.isel\(hidden=0\)\.isel\(feature=0\)"):
        heatmap(ds, "W")
    with pytest.raises(ValueError, match="sparsity"):
        loss_curves(ds)
    with pytest.raises(ValueError, match="'loss_curve' has the dimension step"):
        loss_against_superposition(ds, loss="loss_curve")
    assert "all 18 models" in curve(more.isel(dropout=[1]), "loss").get_title()


def test_names_that_are_not_there_are_said(ds):
    with pytest.raises(
        ValueError, match="no variable 'los'; did you mean 'loss'. It has loss, .*analyze"
    ):
        heatmap(ds, "los")
    with pytest.raises(ValueError, match="no dimension 'rate', .* it has activation, sparsity"):
        heatmap(ds, "loss", dims=("activation", "rate"))
    with pytest.raises(TypeError, match="ds is an array, not the Dataset"):
        curve(ds.loss.values, "loss")
    with pytest.raises(ValueError, match="across='seed' cannot be the x axis"):
        curve(ds, "loss", across="seed")
    with pytest.raises(ValueError, match="no coordinate 'activation'"):
        loss_against_superposition(ds.isel(activation=0, drop=True), loss="loss")
    with pytest.raises(ValueError, match=r"sweep it, e.g. jsuper.Sweep\(dropout="):
        kurtosis_against_dropout(ds, "loss")


@pytest.mark.parametrize("sparsity", [1.0, -0.5, np.nan])
def test_a_sparsity_outside_of_its_range_has_no_place_on_the_axis(ds, sparsity):
    with pytest.raises(ValueError, match=rf"sparsity={sparsity:g} is not in \[0, 1\)"):
        curve(ds.assign_coords(sparsity=[0.0, sparsity]), "loss")


def test_a_heatmap_shows_the_medians(ds):
    ax = heatmap(ds, "loss")
    assert [t.get_text() for t in ax.get_yticklabels()] == TABLE
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "0.9"]
    assert ax.images[0].get_array().tolist() == [[8, 11], [14, 17], [2, 5]]
    assert numbers(ax)[1, 0] == "11" and numbers(ax)[0, 2] == "2"
    assert ax.get_title() == "loss: median over 3 seeds\nall 18 models"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("sparsity", "activation")


def test_the_axes_of_a_heatmap_can_be_turned(ds):
    ax = heatmap(ds, "loss", dims=("sparsity", "activation"))
    assert [t.get_text() for t in ax.get_xticklabels()] == TABLE
    assert numbers(ax)[1, 1] == "17"
    for axes in [("seed", "sparsity"), ("sparsity", "sparsity"), ("sparsity",)]:
        with pytest.raises(ValueError, match="two different dimensions other than seed"):
            heatmap(ds, "loss", dims=axes)


def test_a_heatmap_of_a_family_without_activations(ds):
    other = ds.rename(activation="rate", sparsity="scale").assign_coords(rate=[3.0, 1.0, 2.0])
    ax = heatmap(other, "loss", dims=("rate", "scale"))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["1", "2", "3"]
    assert ax.images[0].get_array().tolist() == [[8, 11], [14, 17], [2, 5]]


def test_cells_of_a_heatmap_that_lack_models_are_marked(ds):
    ds["status"].loc[{"activation": "relu", "sparsity": 0.0, "seed": [1, 2]}] = 2
    ds["loss"].loc[{"activation": "tanh", "sparsity": 0.9}] = np.inf
    ax = heatmap(ds, "loss")
    assert numbers(ax)[0, 0] == "7" and numbers(ax)[1, 2] == "-"
    assert ax.images[0].get_array().mask.tolist() == [[False] * 2, [False] * 2, [False, True]]
    corners = ax.collections[0].get_offsets().tolist()
    assert corners == [[0.5, -0.5], [1.5, 1.5]]
    assert "5 of 18 models left out (\N{BLACK UPPER RIGHT TRIANGLE})" in ax.get_title()


def test_the_spread_is_the_interquartile_range(ds):
    ds["loss"].loc[{"activation": "relu", "sparsity": 0.0}] = [1.0, 2.0, 7.0]
    ds["status"].loc[{"activation": "gelu", "sparsity": 0.0, "seed": 0}] = 2
    ds["status"].loc[{"activation": "gelu", "sparsity": 0.9, "seed": [0, 1]}] = 2
    ax = heatmap(ds, "loss", spread=True)
    shown = ax.images[0].get_array().filled(np.nan)
    assert shown == pytest.approx(np.array([[3, 1], [0.5, np.nan], [1, 1]]), nan_ok=True)
    assert "interquartile range over 3 seeds" in ax.get_title()
    with pytest.raises(ValueError, match="needs several seeds"):
        heatmap(ds.isel(seed=[0]), "loss", spread=True)


def test_the_scale_of_a_heatmap_follows_its_numbers(ds):
    def norm(values, **choice):
        ds["loss"][:] = np.reshape(values, (3, 2, 1))
        image = heatmap(ds, "loss", **choice).images[0]
        return type(image.norm), (image.norm.vmin, image.norm.vmax), image.colorbar.extend

    assert norm([1, 2, 3, 4, 5, 6]) == (Normalize, (1, 6), "neither")
    assert norm([1, 2, 3, 4, 5, 31]) == (LogNorm, (1, 31), "neither")
    assert norm([1, 2, 3, 4, 5, 31], log=False)[0] is Normalize
    assert norm([1, 2, 3, 4, 5, 6], log=True) == (LogNorm, (1, 6), "neither")
    assert norm([1e-9, 2, 2, 2, 2, 1e9]) == (LogNorm, (2 / 30, 60), "both")
    assert norm([0, 2, 2, 3, 3, 1e9]) == (Normalize, (0, 6), "max")
    assert norm([5] * 6)[0] is Normalize
    with pytest.raises(ValueError, match="'loss' has cells <= 0 .the smallest is -1"):
        norm([-1, 2, 3, 4, 5, 6], log=True)


def test_a_curve_has_the_median_clear_and_every_seed_faint(ds):
    ax = curve(ds.isel(sparsity=[1, 0]), "loss")
    for name, medians in [("relu", [8, 11]), ("gelu", [14, 17]), ("tanh", [2, 5])]:
        line = named(ax)[name]
        assert line.get_xdata() == pytest.approx([1, 10])
        assert line.get_ydata().tolist() == medians
        seeds = faint(ax, activation_style(name)["color"])
        assert sorted(map(tuple, seeds)) == sorted(map(tuple, ds.loss.sel(activation=name).T))
    assert ax.get_xscale() == "log" and ax.get_yscale() == "linear"
    assert ax.get_xlabel() == "1 / (1 - sparsity)"
    assert ax.get_title() == "median of 3 seeds, each seed faint; all 18 models"


def test_a_curve_leaves_out_what_did_not_finish(ds):
    ds["status"].loc[{"activation": "relu", "sparsity": 0.0, "seed": [1, 2]}] = 2
    ax = curve(ds, "loss")
    assert named(ax)["relu"].get_ydata().tolist() == [7, 11]
    assert np.isnan(faint(ax, activation_style("relu")["color"])).sum() == 2


def test_a_curve_along_another_axis(ds):
    other = ds.rename(sparsity="learning_rate").assign_coords(learning_rate=[0.1, 0.001])
    other["loss"][0, 0, 0] = 1000.0
    ax = curve(other, "loss", across="learning_rate")
    assert named(ax)["relu"].get_xdata().tolist() == [0.001, 0.1]
    assert named(ax)["relu"].get_ydata().tolist() == [11, 8]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    ax = curve(other.assign_coords(learning_rate=["a", "b"]), "loss", across="learning_rate")
    assert ax.get_xscale() == "linear"


def test_dimensions_per_feature_of_arrangements_that_are_known(ds):
    known = {"relu": [[1, 0, 0, 0], [0, 1, 0, 0]], "gelu": [[1, -1, 0, 0], [0, 0, 1, -1]]}
    for name, W in known.items():
        ds["W"].loc[{"activation": name}] = np.array(W, float)
    ds["W"].loc[{"activation": "tanh"}] = 0.0
    ax = dimensions_per_feature(ds)
    assert named(ax)["relu"].get_ydata() == pytest.approx([1, 1])
    assert named(ax)["gelu"].get_ydata() == pytest.approx([0.5, 0.5])
    assert "tanh (all left out)" in named(ax)
    assert "6 of 18 models left out" in ax.get_title()
    assert {"1: orthogonal features", "1/2: antipodal pairs"} <= set(named(ax))


def test_dimensions_per_feature_of_a_smaller_model(ds):
    ds["W"][..., 1, :] = np.nan  # one hidden unit and three features
    ds["W"][..., 3] = np.nan
    ds["W"][..., 0, :3] = 1.0
    line = named(dimensions_per_feature(ds))["relu"]
    assert line.get_ydata() == pytest.approx([1 / 3, 1 / 3])


def test_kurtosis_has_a_line_per_sparsity_and_one_for_the_null(ds):
    ax = kurtosis_against_dropout(with_dropout(ds), null=2.5)
    lines = named(ax)
    assert list(lines) == ["sparsity 0", "sparsity 0.9", "null 2.5"]
    assert lines["sparsity 0"].get_xdata().tolist() == [0, 0.1, 0.2]
    assert lines["sparsity 0"].get_ydata().tolist() == [8, 14, 2]
    assert lines["sparsity 0.9"].get_ydata().tolist() == [11, 17, 5]
    assert lines["null 2.5"].get_ydata() == [2.5, 2.5]
    assert lines["sparsity 0"].get_color() != lines["sparsity 0.9"].get_color()
    assert len(named(kurtosis_against_dropout(with_dropout(ds)))) == 2


def test_loss_curves_run_over_the_steps(ds):
    ds["loss_curve"].loc[{"activation": "relu", "step": 30}] = np.nan  # had fewer steps
    ax = loss_curves(ds.sel(sparsity=0.0))
    assert named(ax)["gelu"].get_xdata().tolist() == STEPS
    assert named(ax)["gelu"].get_ydata().tolist() == [56, 42, 28, 14]
    assert named(ax)["relu"].get_ydata()[:3].tolist() == [32, 24, 16]
    assert "all 9 models" in ax.get_title() and ax.get_yscale() == "log"
    ds["loss_curve"][0, 0, 0, 0] = -1.0
    assert loss_curves(ds.sel(sparsity=0.0)).get_yscale() == "linear"


def test_points_are_the_models(ds):
    ds["status"].loc[{"activation": "gelu", "seed": 0}] = 2
    ax = loss_against_superposition(ds, loss="loss")
    for name, dots in named(ax).items():
        mine = ds.sel(activation=name).where(ds.status.sel(activation=name) == 1)
        x, y = mine.mean_interference.values.ravel(), mine.loss.values.ravel()
        assert dots.get_offsets().tolist() == [[a, b] for a, b in zip(x, y, strict=True) if a == a]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("mean_interference", "loss")
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "linear")


def test_an_axis_with_outliers_is_logarithmic(ds):
    ds["loss"][0, 0, 0] = ds["mean_interference"][0, 0, 0] = 1e4
    ds["mean_interference"][0, 0, 1] = 0.0
    ax = loss_against_superposition(ds, loss="loss")
    assert (ax.get_xscale(), ax.get_yscale()) == ("symlog", "log")


def test_a_legend_names_what_is_drawn_twice_once(ds):
    ax = curve(ds, "loss")
    curve(ds, "mean_interference", ax=ax)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == TABLE


def test_importing_the_figures_imports_no_matplotlib():
    code = "import jsuper.plots, sys; sys.exit(any(m in sys.modules for m in ('matplotlib','jax')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_former_name_of_the_dimensions_works_with_a_warning(ds):
    with pytest.warns(DeprecationWarning, match="dims="):
        ax = heatmap(ds, "loss", axes=("sparsity", "activation"))
    assert ax.get_xlabel() == heatmap(ds, "loss", dims=("sparsity", "activation")).get_xlabel()
