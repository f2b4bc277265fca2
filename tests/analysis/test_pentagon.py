"""Five features in a plane, of which one has another density."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from jsuper.analysis import pentagon
from jsuper.plots.pentagon import changed_density

RELATIVE = [0.2, 1.0, 0.4]
ANGLES = 2 * np.pi * np.arange(5) / 5
PENTAGON = 1.17 * np.stack([np.cos(ANGLES), np.sin(ANGLES)])
DIGONS = np.array([[0, 1, -1, 0, 0], [0, 0, 0, 1, -1]], float)


def made_up():
    """Digons at the lowest density and pentagons above, each with a worse seed of zeros."""
    W = np.zeros((1, 1, 3, 2, 2, 5))
    W[0, 0, :, 1] = [DIGONS, PENTAGON, PENTAGON]
    dims = ("activation", "sparsity", pentagon.AXIS, "seed")
    loss = np.broadcast_to([1.0, 0.3], W.shape[:4])
    return xr.Dataset(
        {
            "W": ((*dims, "hidden", "feature"), W),
            "loss": (dims, loss),
            "loss_over_constant": (dims, loss),
            "status": (dims, np.ones(W.shape[:4], np.int8)),
        },
        {"activation": ["relu"], "sparsity": [0.0], pentagon.AXIS: RELATIVE, "seed": [0, 1]},
    )


def test_dimensionalities_are_those_of_the_best_models_in_order_of_density():
    found = pentagon.best_models(made_up())
    assert found[pentagon.AXIS].values.tolist() == [0.2, 0.4, 1.0]
    expected = [[0, 0.5, 0.5, 0.5, 0.5], [0.4] * 5, [0.4] * 5]
    assert found.dimensionality.values == pytest.approx(np.array(expected))


def test_the_feature_vanishes_between_two_densities():
    (checked,) = pentagon.vanishing(made_up())
    assert (checked.low, checked.found, checked.high) == pytest.approx((0.2, 0.3, 0.4))
    ds = made_up()
    (never,) = pentagon.vanishing(ds.isel({pentagon.AXIS: [1, 2]}))
    assert np.isnan(never.found)


def test_the_figure_draws_every_feature():
    figure = changed_density(made_up())
    lines = {line.get_label(): line for line in figure.get_axes()[-1].lines}
    assert lines["feature 0"].get_ydata() == pytest.approx([0, 0.4, 0.4])
    plt.close(figure)


def test_other_sweeps_are_refused():
    ds = made_up()
    with pytest.raises(ValueError, match="needs the single axis feature_sparsities"):
        pentagon.best_models(ds.assign_coords({pentagon.AXIS: ["a", "b", "c"]}))
    with pytest.raises(ValueError, match="needs the single axis feature_sparsities"):
        pentagon.best_models(ds.isel({pentagon.AXIS: 0}))
