"""The figures of the paper, one call each."""

import matplotlib
import numpy as np
import pytest

import jsuper
from jsuper.plots import paper

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

SMALL = dict(n_features=4, n_hidden=2, batch_size=32, steps=6, records=6)


@pytest.fixture(scope="module")
def ds():
    sweep = jsuper.Sweep(
        activation=("relu", "tanh"), sparsity=(0.0, 0.9), seeds=3, snapshots="log(4)", **SMALL
    )
    return jsuper.run(sweep, progress=False)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def titles(figure):
    return [ax.get_title() for ax in figure.axes if ax.get_title()]


def test_a_grid_has_the_best_model_of_every_cell_and_aligned_rows(ds):
    figure = paper.superposition_grid(ds)
    assert figure.get_suptitle() == "best of 3 seeds" and titles(figure) == ["S = 0", "S = 0.9"]
    panels = figure.axes[:8]
    for matrix, bars in zip(panels[::2], panels[1::2], strict=True):
        assert matrix.get_ylim() == bars.get_ylim() == (3.5, -0.5)
        figure.canvas.draw()
        own, other = matrix.get_position(), bars.get_position()
        np.testing.assert_allclose((own.y0, own.y1), (other.y0, other.y1), atol=1e-9)
    best = jsuper.best(ds).sel(activation="relu", sparsity=0.9)
    W = best["W"].values
    drawn = panels[2].images[0].get_array()
    np.testing.assert_allclose(drawn[:, :4], W.T @ W, atol=1e-6)
    np.testing.assert_allclose(drawn[:, -1], best["b"], atol=1e-6)


def test_features_in_the_plane_share_their_limits_and_no_labels_overlap(ds):
    figure = paper.features_2d(ds)
    assert len({ax.get_xlim() for ax in figure.axes}) == 1
    figure.canvas.draw()
    for ax in figure.axes:
        boxes = [text.get_window_extent() for text in ax.texts]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_one_model_and_one_seed_are_named(ds):
    one = ds.isel(seed=[1])
    assert paper.superposition_grid(one).get_suptitle() == "seed 1"
    assert paper.superposition_grid(jsuper.best(ds)).get_suptitle() == "the seed of each cell"
    cell = ds.sel(activation=["relu"], sparsity=[0.9])
    assert paper.development(cell).get_suptitle() == "best of 3 seeds"
    assert paper.stack_plot(cell).axes[0].get_title() == "best of 3 seeds"
    assert len(paper.stack_plot(np.eye(3)).axes) == 1


def test_dimensionalities_have_their_arrangements(ds):
    figure = paper.dimensionality(ds)
    assert len(figure.axes[0].child_axes) == len(paper.POLYGONS)
    assert paper.dimensions_per_feature(ds).axes[0].get_ylabel()


@pytest.mark.slow
def test_phase_diagrams_and_bumps_are_figures():
    sweep = jsuper.Sweep(
        activation=("relu", "tanh"), importance_decay=(0.5, 1.0), sparsity=(0.5, 0.9), seeds=2,
        n_features=2, n_hidden=1, batch_size=32, steps=5, records=5,
    )  # fmt: skip
    found = jsuper.run(sweep, progress=False)
    assert len(paper.phase_diagram(found).axes) == 2
    (one, *_) = paper.phase_diagram(found.sel(activation=["relu"])).axes
    assert one.get_title().startswith("best of 2 seeds")
    sweep = jsuper.factorization.Sweep(size=8, rank=2, pairs=2, steps=20, seeds=2)
    curves = jsuper.analyze(jsuper.run(sweep, progress=False))
    assert "mean" in paper.bumps(curves).axes[0].get_legend().get_texts()[0].get_text()


def test_styles_are_respected(ds):
    with plt.rc_context({"font.size": 20, "axes.facecolor": "0.9"}):
        figure = paper.superposition_grid(ds)
        assert figure._suptitle.get_fontsize() == 20
        assert figure.axes[1].get_facecolor()[:3] == (0.9, 0.9, 0.9)


def test_what_cannot_be_drawn_is_said(ds):
    with pytest.raises(ValueError, match="further dimensions: activation"):
        paper.stack_plot(ds)
    with pytest.raises(ValueError, match="has n_hidden 1, and features_2d needs 2"):
        paper.features_2d(ds.isel(hidden=[0]))
    with pytest.raises(TypeError, match="ds"):
        paper.superposition_grid("runs/relu")
    with pytest.raises(ValueError, match="80 cells, and the figure has at most 60"):
        paper.superposition_grid(ds.isel(sparsity=[0, 1] * 20))
