"""Five features in a plane, of which one has another density."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import jsuper
from jsuper.analysis import pentagon, theory
from jsuper.plots.pentagon import changed_density

RELATIVE = [0.2, 1.0, 0.4]
ANGLES = 2 * np.pi * np.arange(5) / 5
PENTAGON = 1.17 * np.stack([np.cos(ANGLES), np.sin(ANGLES)])
DIGONS = np.array([[0, 1, -1, 0, 0], [0, 0, 0, 1, -1]], float)


def swept(**fields):
    lists = {str(r): (1 - 0.05 * r, *[0.95] * 4) for r in RELATIVE}
    fields = {"n_features": 5, "n_hidden": 2, "importance_decay": 1.0} | fields
    sweep = jsuper.Sweep(activation="relu", feature_sparsity=lists, **fields)
    return {"sweep": json.dumps(sweep.to_dict())}


def made_up(**fields):
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
        swept(**fields),
    )


def test_dimensionalities_are_those_of_the_best_models_in_order_of_density():
    found = pentagon.best_models(made_up())
    assert found[pentagon.AXIS].values.tolist() == [0.2, 0.4, 1.0]
    expected = [[0, 0.5, 0.5, 0.5, 0.5], [0.4] * 5, [0.4] * 5]
    assert found.dimensionality.values == pytest.approx(np.array(expected))


def test_the_feature_vanishes_between_two_densities():
    (checked,) = pentagon.vanishing(made_up())
    assert (checked.low, checked.found, checked.high) == pytest.approx((0.2, 0.3, 0.4))
    assert checked.expected.startswith("theory: 0.269, where pentagon and digons have the same")
    ds = made_up()
    (never,) = pentagon.vanishing(ds.isel({pentagon.AXIS: [1, 2]}))
    assert np.isnan(never.found)


LISTED = {"importance": {"a": (1, 2, 1, 1, 1)}}  # importance_decay then is 1, without effect


@pytest.mark.parametrize("fields", [{"values": "signed"}, {"importance_decay": 0.9}, LISTED])
def test_theory_is_left_out_for_models_that_it_is_not_about(fields):
    (checked,) = pentagon.vanishing(made_up(**fields))
    assert checked.expected.startswith("published: about 1/2.5")


def monte_carlo(model, densities, samples=400_000):
    """The loss of a model, with its standard error."""
    rng = np.random.default_rng(0)
    x = np.where(rng.random((samples, 5)) < densities, rng.random((samples, 5)), 0)
    error = (x - np.maximum(x @ model.W.T @ model.W + model.b, 0)) ** 2
    return error.sum(1).mean(), error.sum(1).std() / samples**0.5


def test_the_pentagon_s_loss_is_that_of_samples_and_least_nearby():
    model = theory.pentagon_model(0.1, 0.5)
    loss, stderr = monte_carlo(model, np.array([0.05, *[0.1] * 4]))
    assert model.loss == pytest.approx(loss, abs=4 * stderr)
    assert stderr < 0.01 * loss
    norms = np.linalg.norm(model.W, axis=0)
    assert norms[1:] == pytest.approx(np.full(4, 1.1), abs=0.05)
    order = np.argsort(np.arctan2(*model.W))
    assert [*np.roll(order, -np.argmin(order))] in ([0, 1, 2, 3, 4], [0, 4, 3, 2, 1])


def test_digons_are_two_pairs_and_a_feature_that_is_left_out():
    pair = theory.pair_model(0.1, 1.0)
    W = np.zeros((2, 5))
    W[0, 1:3], W[1, 3:] = pair.W[0], pair.W[0]
    model = theory.PentagonModel(W, np.array([0.01, *pair.b, *pair.b]), 0.0)
    loss, stderr = monte_carlo(model, np.array([0.02, *[0.1] * 4]))
    assert theory.digons_loss(0.1, 0.2) == pytest.approx(loss, abs=4 * stderr)


def test_at_the_boundary_both_have_the_same_loss():
    r = theory.pentagon_boundary(0.05)
    assert r == pytest.approx(0.269, abs=0.002)
    both = theory.pentagon_model(0.05, r).loss, theory.digons_loss(0.05, r)
    assert both[0] == pytest.approx(both[1], rel=1e-3)
    assert theory.pentagon_model(0.05, 0.4).loss < theory.digons_loss(0.05, 0.4)
    with pytest.raises(ValueError, match=r"density=0.5: give one above 0 and up to 0\.2"):
        theory.pentagon_boundary(0.5)
    with pytest.raises(ValueError, match="density \\* relative_density"):
        theory.pentagon_model(0.5, 3.0)


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
