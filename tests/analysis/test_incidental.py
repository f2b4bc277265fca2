"""Polysemantic units of models made by hand."""

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from jsuper.analysis import incidental
from jsuper.core.status import OK
from jsuper.plots.incidental import incidental as figure

N, SIZES, SEEDS = 4, (4, 8), 2
STARTS = {4: (0, 0, 1, 3), 8: (0, 1, 2, 3)}  # largest unit of every feature at the start
ENDS = {4: (0, 0, 1, 2), 8: (0, 1, 2, 2)}  # the unit that holds it after training
SIGNS = {4: (1, -1, 1, 1), 8: (1, 1, 1, 1)}


def made_up():
    """Every seed has the same weights; rows beyond a model's own are NaN."""
    shape = (len(SIZES), SEEDS, max(SIZES), N)
    W, start = np.full(shape, np.nan), np.full(shape, np.nan)
    for i, m in enumerate(SIZES):
        W[i, :, :m], start[i, :, :m] = 0, 0.1
        for feature in range(N):
            W[i, :, ENDS[m][feature], feature] = SIGNS[m][feature] * 0.99
            start[i, :, STARTS[m][feature], feature] = -0.5
    dims = ("n_hidden", "seed", "hidden", "feature")
    data = {
        "W": (dims, W),
        "W_snapshots": ((*dims[:2], "snapshot_step", *dims[2:]), start[:, :, None]),
        "status": (dims[:2], np.full(shape[:2], OK)),
    }
    return xr.Dataset(data, {"n_hidden": list(SIZES), "snapshot_step": [0]})


def test_units_that_hold_several_features_are_counted():
    W = np.array([[0.9, 1.1, 0.0], [0.0, 0.5, 1.3], [-1.0, 0.9, 0.81]])
    assert incidental.polysemantic(W).tolist() == [True, False, True]


def test_checked_numbers_of_weights_made_by_hand():
    four, eight, start, opposite, first = incidental.against_theory(made_up())
    assert four.found == pytest.approx(1 / (16 / 16)) and eight.found == pytest.approx(1 / 0.5)
    assert start.found == pytest.approx((1 * 4 + 0 * 8) / 2 / 6)  # of 6 pairs one, and none
    assert opposite.found == pytest.approx(1 / 2)  # one pair of each size
    assert first.found == pytest.approx((3 + 3) / 8)


def test_the_figure_has_counts_theory_and_shares():
    matplotlib.use("Agg")
    drawn = figure(made_up())
    assert isinstance(drawn, Figure)
    theory, *_, means = drawn.axes[0].lines
    assert theory.get_ydata() == pytest.approx([1, 0.5])
    assert means.get_ydata() == pytest.approx([1, 1])
    assert drawn.axes[1].lines[0].get_ydata()[0] == pytest.approx(3 / 4)


def test_a_sweep_without_its_start_is_refused():
    with pytest.raises(ValueError, match=r"train a sweep with snapshots=\[0\]"):
        incidental.against_theory(made_up().drop_vars(["W_snapshots", "snapshot_step"]))
