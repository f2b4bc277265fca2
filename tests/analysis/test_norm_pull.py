"""Exponents of the loss in weak and in strong superposition, on models made by hand."""

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from jsuper.analysis import norm_pull
from jsuper.core.status import OK
from jsuper.plots.norm_pull import loss_of_kinds

N, SIZES, POWERS, SEEDS = 40, (2, 4, 8), (0.5, 2.0), 2
SECOND_MOMENT = 4 / 3  # of a uniform value on [0, 2]


def made_up(ratio=1.1):
    """Weak models represent the m most frequent features; strong ones have the loss 3/m."""
    shape = (2, len(POWERS), len(SIZES), SEEDS)
    loss, W = np.empty(shape), np.full((*shape, max(SIZES), N), np.nan)
    for a, power in enumerate(POWERS):
        p = np.arange(1, N + 1.0) ** -power
        p /= p.sum()
        for i, m in enumerate(SIZES):
            loss[0, a, i] = ratio * SECOND_MOMENT * p[m:].sum() / N
            loss[1, a, i] = 3 / m
            W[0, a, i, :, :m] = np.eye(m, N)
            W[1, a, i, :, :m] = 1 / np.sqrt(m)
    dims = ("kind", "density_power", "n_hidden", "seed")
    data = {
        "loss": (dims, loss),
        "W": ((*dims, "hidden", "feature"), W),
        "status": (dims, np.full(shape, OK)),
    }
    coords = {
        "norm_pull": ("kind", [0.0, 1.0]),
        "density_power": list(POWERS),
        "n_hidden": list(SIZES),
        "sparsity": 1 - 1 / N,
        "values": "uniform(0, 2)",
    }
    return xr.Dataset(data, coords)


def test_checked_numbers_of_models_made_by_hand():
    found = norm_pull.exponents_of_kinds(made_up())
    weak, strong, (share, over_m, ratio) = found[:2], found[2:4], found[4:]
    for one, power in zip(weak, POWERS, strict=True):
        assert one.found == pytest.approx(norm_pull.weak_exponent(power, N, np.array(SIZES)))
    assert [one.found for one in strong] == pytest.approx([1, 1])
    assert [one.expected for one in strong] == ["published: near 1", "published: near 2"]
    assert share.found == 1 and over_m.found == 1 and ratio.found == pytest.approx(1.1)


def test_the_exponent_of_unseen_frequencies_tends_to_that_of_an_integral():
    sizes = np.array([100, 200, 400])
    found = norm_pull.weak_exponent(2.0, 10**6, sizes)
    assert found == pytest.approx(1, abs=0.01)  # Σ_{i > m} i^-2 ~ 1/m


def test_the_figure_has_losses_and_exponents_of_both_kinds():
    matplotlib.use("Agg")
    drawn = loss_of_kinds(made_up())
    assert isinstance(drawn, Figure)
    weak, strong, exponents = drawn.axes
    assert weak.lines[0].get_ydata() / weak.lines[3].get_ydata() == pytest.approx([1.1] * 3)
    assert strong.lines[0].get_ydata() == pytest.approx([3 / m for m in SIZES])
    points = [line for line in exponents.lines if line.get_marker() == "o"]
    assert points[1].get_ydata() == pytest.approx([1, 1])


def test_a_sweep_of_one_kind_is_refused():
    with pytest.raises(ValueError, match="train a sweep with norm_pull=0 and one above 0"):
        norm_pull.exponents_of_kinds(made_up().isel(kind=[0]))
