"""The phase diagram of two features: outcomes by hand, theory by minimization."""

import numpy as np
import pytest
import xarray as xr

from jsuper.analysis import phases, theory
from jsuper.plots.phases import phase_diagram

DENSITY, IMPORTANCE = np.array([0.1, 0.4, 0.9]), np.array([0.2, 0.5, 2.0])


def made_up(models):
    """Results with one seed that has the models and a worse one with zeros."""
    W = np.zeros((1, len(DENSITY), len(IMPORTANCE), 2, 1, 2), np.float32)
    W[0, :, :, 1, 0] = models
    dims = ("activation", "sparsity", "importance_decay", "seed")
    loss = np.broadcast_to([1.0, 0.5], W.shape[:4])
    return xr.Dataset(
        {
            "W": ((*dims, "hidden", "feature"), W),
            "loss": (dims, loss),
            "status": (dims, np.ones(W.shape[:4], np.int8)),
        },
        {"activation": ["relu"], "sparsity": 1 - DENSITY, "importance_decay": IMPORTANCE}
        | {"seed": [0, 1]},
    )


@pytest.mark.parametrize(
    ("W", "expected"),
    [
        ([[1.0, 0.1]], 0),
        ([[0.1, 1.0]], 1),
        ([[1.0, -0.9]], 2),
        ([[0.0, 0.0]], 0),
        ([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]], 1),
        ([[1.0, 0.0, 0.0], [0.0, 1.0, -1.0]], 2),
        ([[1.0, np.nan]], phases.NO_MODEL),
    ],
)
def test_the_outcome_of_the_last_feature(W, expected):
    assert phases.outcome(np.array(W)) == expected


def test_models_at_the_global_minimum_agree_with_theory():
    models = [[theory.pair_model(p, r).W[0] for r in IMPORTANCE] for p in DENSITY]
    ds = made_up(models)
    assert phases.phase_map(ds).values.tolist() == [[2, 2, 2], [0, 2, 2], [0, 0, 1]]
    (checked,) = phases.agreement(ds)
    assert checked.found == 1 and "9 cells" in checked.quantity
    models[0][0] = [1.0, 0.0]
    assert phases.agreement(made_up(models))[0].found == pytest.approx(8 / 9)
    ax = phase_diagram(ds)
    assert "100.0% of 9 cells" in ax.get_title()
    drawn = ax.collections[0].get_array().reshape(3, 3)  # importance x ascending density
    assert drawn.tolist() == [[2, 0, 0], [2, 2, 0], [2, 2, 1]]


def test_the_line_between_its_points_is_the_boundary():
    r, held = phases.boundary_line()
    between = np.array([0.3, 0.8, 0.97])
    exact = theory.two_to_one_boundary(between, threshold=phases.THRESHOLD).over_drop_last
    assert np.interp(np.log(between), np.log(r), held) == pytest.approx(exact, abs=3e-3)


def test_other_sweeps_are_refused():
    ds = made_up(np.zeros((3, 3, 2)))
    with pytest.raises(ValueError, match="needs n_features=2 and n_hidden=1"):
        phases.phase_map(ds.isel(feature=[0]))
    with pytest.raises(ValueError, match="several values of sparsity"):
        phases.phase_map(ds.isel(sparsity=0))
