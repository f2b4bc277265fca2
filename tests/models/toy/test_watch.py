"""Feature 0's output unit: pushed below zero, and watched."""

import dataclasses

import numpy as np
import pytest

import jsuper
from jsuper.core.errors import SpecError

SWEEP = jsuper.Sweep(
    activation=("relu", "softplus"),
    sparsity=0.5,
    push=(0.0, 0.5, 50.0),
    watch=True,
    n_features=6,
    n_hidden=2,
    batch_size=64,
    steps=60,
    records=12,
    snapshots=(0, 5, 30),
    learning_rate=1e-2,
    weight_decay=0.0,
    seeds=2,
)


@pytest.fixture(scope="module")
def fresh():
    return jsuper.run(SWEEP, progress=False)


def test_a_bias_is_pushed_once_and_then_trains(fresh):
    first = fresh.unit_bias.isel(step=0)
    for push in (0.0, 0.5, 50.0):
        assert (first.sel(push=push) == -push).all()
    last = fresh.b.isel(feature=0)
    assert (last.sel(activation="relu", push=50.0) == -50).all()  # no gradient, no way back
    assert (last.sel(activation="softplus", push=0.5) != -0.5).all()
    assert (fresh.unit_gradient.sel(activation="relu", push=50.0) == 0).all()
    assert (fresh.unit_peak.sel(push=50.0) < 0).all()


def test_what_is_watched_is_that_of_the_batch_of_the_step(fresh):
    """Recomputed in float64 from the weights that a snapshot holds."""
    from jsuper.models.toy.config import make_static
    from jsuper.models.toy.draws import make_draws

    values = {"n_features": 6, "n_hidden": 2, "batch_size": 64, "feature_sparsity": None}
    static = make_static(
        values | {"unpaired": False}, [[{"activation": "relu", "sparsity": 0.5, "dropout": 0.0}]]
    )
    draws = make_draws(static, jsuper.seed_key(1), np.int32(5))
    u = np.asarray(draws.whole.data, np.float64)
    x = np.where(u < 0.5, u / 0.5, 0)
    cell = fresh.sel(activation="relu", sparsity=0.5, push=0.5, seed=1)
    W = cell.W_snapshots.sel(snapshot_step=5).values.astype(np.float64)
    at = cell.sel(step=5)
    b0 = float(at.unit_bias)
    z = W[:, 0] @ (W @ x) + b0
    assert float(at.unit_peak) == pytest.approx(z.max(), rel=1e-5)
    error = np.maximum(z, 0) - x[0]
    assert float(at.unit_error) == pytest.approx((error**2).mean(), rel=1e-5)
    gradient = (2 * error * (z > 0)).mean() / 6  # importance 1, mean over six features
    assert float(at.unit_gradient) == pytest.approx(gradient, rel=1e-4)


@pytest.mark.slow
def test_a_push_may_come_later():
    late = jsuper.run(dataclasses.replace(SWEEP, push_step=(0, 33)), progress=False)
    bias = late.unit_bias.sel(activation="relu", sparsity=0.5, push=50.0)
    assert (bias.sel(push_step=33, step=slice(None, 30)) > -1).all()
    after = bias.sel(push_step=33, step=slice(35, None))
    assert abs(after + 50).max() < 0.2  # Adam's moments of before still move it
    assert (bias.sel(push_step=0) == -50).all()
    whole = late.sel(push_step=33, push=0.0)  # left alone, it does not matter when
    assert (whole.W == late.sel(push_step=0, push=0.0).W).all()


@pytest.mark.slow
def test_pushing_some_leaves_the_others_alone(fresh):
    plain = jsuper.run(
        dataclasses.replace(SWEEP, push=0.0, watch=False, snapshots=()), progress=False
    )
    alone = fresh.sel(push=0.0)
    assert "unit_error" not in plain
    assert abs(plain.W - alone.W).max() <= 1e-5 * abs(plain.W).max()


def test_a_time_without_a_push_is_said():
    assert jsuper.Sweep(push_step=5).notes() == [
        "push_step is given but push is 0, so that it has no effect"
    ]
    assert jsuper.Sweep(push_step=5, push=1.0).notes() == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"push": -1.0}, "push=-1 is not a finite number >= 0|push=-1 is not >= 0"),
        ({"push": "far"}, "push='far' is not a number"),
        ({"push": 1.0, "push_step": 10_000}, "push_step=10000 is not below steps"),
        ({"watch": 1}, "watch=1 is not true or false"),
    ],
)
def test_bad_pushes_are_refused(fields, message):
    with pytest.raises(SpecError, match=message):
        jsuper.Sweep(**fields)
