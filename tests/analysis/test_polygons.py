"""Training between k-gons: their names, losses, directions, jumps and coefficients."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from k_gons import k_gon, k_gons

import jsuper
from jsuper.analysis import polygons, theory
from jsuper.plots import polygons as drawn

STATES = ["4", "4+", "4++", "5", "5+", "6"]
STEPS = np.unique(np.geomspace(10, 1000, 20).round().astype(int))
JUMP = 10  # snapshot at which the first seed becomes a pentagon
LAW = {"support": "exactly(1)", "n_features": 6, "n_hidden": 2, "importance_decay": 1.0}
DIMS = ("activation", "sparsity", "start", "seed")


def model(state):
    return theory.kgon(int(state[0]), 6, state.count("+"))


def made_up(**fields):
    """Three seeds: "4++" that becomes "5+", "6", and one without any embedding."""
    W, b = np.zeros((1, 1, 1, 3, len(STEPS), 2, 6)), np.full((1, 1, 1, 3, len(STEPS), 6), -1.0)
    for seed, step, state in ((0, 0, "4++"), (0, JUMP, "5+"), (1, 0, "6")):
        W[0, 0, 0, seed, step:], b[0, 0, 0, seed, step:] = model(state).W, model(state).b
    sweep = jsuper.Sweep(activation="relu", **LAW | fields)
    inner = ("hidden", "feature")
    order = [*range(5, len(STEPS)), *range(5)]  # snapshots may be in any order
    ds = xr.Dataset(
        {
            "W": ((*DIMS, *inner), W[..., -1, :, :]),
            "b": ((*DIMS, "feature"), b[..., -1, :]),
            "W_snapshots": ((*DIMS, "snapshot_step", *inner), W),
            "b_snapshots": ((*DIMS, "snapshot_step", "feature"), b),
            "status": (DIMS, np.ones((1, 1, 1, 3), np.int8)),
        },
        {
            "activation": ["relu"],
            "sparsity": [5 / 6],
            "start": ["random"],
            "seed": range(3),
            "snapshot_step": STEPS,
        },
        {"sweep": json.dumps(sweep.to_dict())},
    )
    return ds.isel(snapshot_step=order)


def coefficients(ds, *, snapshots):
    """Coefficients as if they had been measured: 8 + seed/10, of the third NaN."""
    dims = (*DIMS, "snapshot_step") if snapshots else DIMS
    value = xr.DataArray([8.0, 8.1, np.nan], dims="seed", coords={"seed": range(3)})
    like = ds["W_snapshots" if snapshots else "W"].isel(hidden=0, feature=0)
    value = (value.sel(seed=ds.seed) + 0 * like).transpose(*dims)
    return xr.Dataset({"llc": value, "llc_low": value - 0.3, "llc_high": value + 0.3})


def test_names_of_k_gons_count_the_positive_biases_of_other_features():
    models = [model(s) for s in STATES]
    W, b = np.stack([m.W for m in models]), np.stack([m.b for m in models])
    assert polygons.states(W, b).tolist() == STATES
    assert polygons.states(np.zeros((2, 6)), np.ones(6)) == ""
    assert polygons.states(np.full((2, 6), np.nan), np.ones(6)) == ""


def test_losses_are_the_published_ones():
    found = [polygons.state_loss(s, 6) for s in STATES]
    published = [0.11111, 0.10417, 0.09722, 0.06874, 0.06180, 0.04819]
    assert found == pytest.approx(published, abs=6e-6)


@pytest.mark.parametrize("state", STATES)
def test_rising_directions_are_the_rank_of_the_slopes_differences(state):
    one, h = model(state), 1e-3
    at = np.concatenate([one.W.ravel(), one.b])

    def slope(w):
        dW, db = theory.one_sparse_relu_gradient(w[:12].reshape(2, 6), w[12:])
        return np.concatenate([dW.ravel(), db])

    rows = [(slope(at + h * e) - slope(at - h * e)) / (2 * h) for e in np.eye(18)]
    values = np.linalg.svd(np.array(rows), compute_uv=False)
    assert (values > 0.01 * values[0]).sum() == polygons.rising_directions(state, 6)


def test_the_course_of_training_and_its_jump():
    found = polygons.course(made_up())
    assert found.steps.tolist() == STEPS.tolist() and found.starts == ["random"]
    states = found.state[0]
    assert states[0].tolist() == ["4++"] * JUMP + ["5+"] * (len(STEPS) - JUMP)
    assert set(states[1]) == {"6"} and set(states[2]) == {""}
    assert found.loss[0, 0, [0, -1]] == pytest.approx([0.09722, 0.06180], abs=6e-6)
    assert found.loss[0, 2] == pytest.approx(1 / 3)
    first, *others = polygons.loss_jumps(found)[0]
    assert first.before == pytest.approx([STEPS[JUMP - 1]])
    assert first.after == pytest.approx([STEPS[JUMP]])
    assert first.size == pytest.approx([np.log(0.06180 / 0.09722)], rel=1e-3)
    assert not any(j.size.size for j in others)


def test_the_check_compares_with_theory_and_the_publication(monkeypatch):
    monkeypatch.setattr(polygons, "coefficients", coefficients)
    share, excess, jumping, five, six = polygons.phases(made_up())
    assert share.found == pytest.approx(2 / 3) and excess.found == pytest.approx(0, abs=1e-9)
    middle = (STEPS[JUMP - 1] * STEPS[JUMP]) ** 0.5
    assert jumping.found == pytest.approx(1 / 3) and f"at step {middle:,.0f} in" in jumping.quantity
    assert str(five).startswith("local learning coefficient of 5+, 1 of 1 models: 8;")
    assert five.expected.startswith("theory: 8.5,") and five.expected.endswith("published: 8.5")
    assert six.found == pytest.approx(8.1)


def test_a_run_that_has_no_k_gon_yet(monkeypatch):
    monkeypatch.setattr(polygons, "coefficients", coefficients)
    share, excess, jumping = polygons.phases(made_up().isel(seed=[2]))
    assert (share.found, jumping.found) == (0, 0) and np.isnan(excess.found)


@pytest.mark.parametrize(
    "fields",
    [{"support": "independent"}, {"importance_decay": 0.9}, {"values": "signed"}, {"tied": False}],
)
def test_other_models_are_refused(fields):
    with pytest.raises(ValueError, match=r"support='exactly\(1\)' and importance_decay=1"):
        polygons.course(made_up(**fields))


def test_the_figure_draws_every_seed_the_levels_and_the_jump(monkeypatch):
    monkeypatch.setattr(drawn, "coefficients", coefficients)
    figure = drawn.training(made_up())
    *pictures, losses, dimensions, values = figure.get_axes()
    titles = [ax.get_title() for ax in pictures]
    assert titles[1:] == [
        f"step {STEPS[JUMP - 1]}: 4++",
        f"step {STEPS[JUMP]}: 5+",
        "step 1,000: 5+",
    ]
    assert [t.get_text() for t in losses.texts] == ["5+: 33%", "6: 33%"]
    assert losses.lines[2].get_ydata() == pytest.approx(np.full(len(STEPS), 1 / 3))
    assert dimensions.lines[0].get_ydata()[-1] == pytest.approx(2 / 5)
    assert [t.get_text() for t in values.texts] == ["5+, 6: 8.5"]
    assert values.lines[-1].get_xdata()[0] == pytest.approx((STEPS[9] * STEPS[10]) ** 0.5)
    plt.close(figure)


@pytest.mark.slow
def test_chains_that_find_a_lower_loss_measure_nothing():
    ds = k_gons(6, 5, 5)
    ds.b[dict(seed=2, feature=5)] = 0.01  # not at rest: the best constant is 1/12
    found = polygons.coefficients(ds, snapshots=False).llc.squeeze().values
    assert found[:2] == pytest.approx([8.5, 7], abs=0.6) and np.isnan(found[2])
    assert k_gon(5)[1][5] == -1
