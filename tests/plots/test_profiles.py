"""Figures of activations: what is drawn is what was computed, on the given figure or Axes."""

import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from jsuper.analysis.gating import profile
from jsuper.plots.profiles import REVERSED, SLOPE, VALUE, gating, profiles

NAMES = ["gelu", "hardshrink", "relu"]  # not in the table's order
ORDER = ["relu", "gelu", "hardshrink"]


@pytest.fixture(autouse=True)
def matplotlib_as_it_was():
    with mpl.rc_context():
        yield
    plt.close("all")


def line(ax, color):
    (found,) = [line for line in ax.lines if line.get_color() == color]
    return found.get_xdata(), found.get_ydata()


def test_a_panel_has_value_and_slope_with_gaps_at_jumps():
    figure = profiles(NAMES)
    panels = {ax.get_title(): ax for ax in figure.axes}
    assert list(panels) == ORDER
    z, value = line(panels["relu"], VALUE)
    assert np.isfinite(value).all() and (value == np.maximum(z, 0)).all()
    assert np.isnan(line(panels["relu"], SLOPE)[1]).sum() == 1
    assert np.isnan(line(panels["hardshrink"], VALUE)[1]).sum() == 2
    assert np.isfinite(line(panels["gelu"], SLOPE)[1]).all()
    figure.canvas.draw()


def test_what_is_shaded_is_where_the_slope_is_negative():
    panels = {ax.get_title(): ax for ax in profiles(NAMES).axes}
    (shade,) = panels["gelu"].collections
    reached = np.concatenate([path.vertices[:, 0] for path in shade.get_paths()])
    assert reached.min() == -4
    assert reached.max() == pytest.approx(-0.7518, abs=0.02)
    assert all(not c.get_paths() for c in panels["relu"].collections)


@pytest.mark.slow
def test_panels_that_are_left_over_are_off():
    figure = profiles(["relu"] + [f"elu(0.{i})" for i in range(1, 9)])
    shown = [ax for ax in figure.axes if ax.axison]
    assert len(shown) == 9 and len(figure.axes) == 14
    figure.canvas.draw()


def test_bars_are_the_shares_and_sorted():
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    plt.sca(left)
    assert gating(["relu", "gelu", "elu", "silu"], ax=right) is right
    assert not left.has_data() and plt.gca() is left
    names = [t.get_text() for t in right.get_yticklabels()]
    assert names == ["elu", "silu", "gelu", "relu"]
    share, back = right.containers
    gates = [profile(name).gate for name in names]
    assert [b.get_width() for b in share] == pytest.approx([100 * g.gradient_share for g in gates])
    assert [b.get_width() for b in back] == pytest.approx([100 * g.reversed for g in gates])
    assert back[0].get_facecolor() == mpl.colors.to_rgba(REVERSED)
    low, high = right.get_ylim()
    assert low > high  # the largest on top
    assert "45" in [t.get_text() for t in right.texts]
    figure.canvas.draw()


def test_equal_shares_stay_in_the_order_of_the_table():
    ax = gating(["identity", "tanh", "hardtanh", "softsign", "sigmoid"])
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == ["sigmoid", "tanh", "hardtanh", "softsign", "identity"]


def test_they_draw_on_the_given_figure_and_leave_no_trace():
    figure = plt.figure(layout="constrained")
    left, right = figure.subfigures(1, 2)
    before = dict(mpl.rcParams), plt.get_fignums()
    assert profiles(["relu"], figure=right) is right
    assert (dict(mpl.rcParams), plt.get_fignums()) == before
    assert len(right.axes) == 1 and not left.axes
    figure.canvas.draw()


@pytest.mark.parametrize("draw", [profiles, gating])
def test_bad_names_are_refused(draw):
    with pytest.raises(ValueError, match="give a list"):
        draw("relu")
    with pytest.raises(ValueError, match="activations is empty"):
        draw([])
    with pytest.raises(ValueError, match="not elementwise"):
        draw(["softmax"])


def test_importing_it_imports_neither_jax_nor_matplotlib():
    code = "import sys, jsuper.plots.profiles; print({'jax', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
