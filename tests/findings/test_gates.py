"""Findings on trained gates: made-up sweeps with an effect and its opposite, placebos, loops."""

import numpy as np
import pytest
import xarray as xr
from scipy import integrate, stats
from scipy.special import ndtr

from jsuper.findings import gates, judge
from jsuper.findings.placebo import MOST, supported_placebos

BY_NAME = {f.name: f for f in gates.FINDINGS}
SEEDS = 20
NO, YES, LIMITED, DEPENDS = "contradicted", "supported", "right within limits", "depends"


@pytest.fixture(autouse=True)
def fewer_samples(monkeypatch):
    monkeypatch.setattr(gates, "COLUMNS", 400)


def made(**coords):
    """Values near 1 over the coordinates."""
    shape = [len(v) for v in coords.values()]
    values = np.exp(0.01 * np.random.default_rng(0).normal(size=shape))
    return xr.DataArray(values, coords, list(coords))


def finished(model):
    return {"failed_fit": 0 * model, "status": xr.ones_like(model, np.int8)}


def revival(back):
    """Pushed units of which `back(activation, push, push_step)` come back after 300 steps."""
    names, pushes, times, steps = (
        ["relu", "gelu"],
        [0.0, 0.5, 1.0, 2.0],
        [0, 5000],
        range(0, 10**4, 100),
    )
    lead = dict(activation=names, sparsity=[0.9], optimizer=["adam", "sgd(1)"])
    error = made(**lead, push_step=times, push=pushes, seed=range(SEEDS), step=steps) / 100
    late = error["step"] >= error["push_step"]
    for name in names:
        for push in pushes[1:]:
            for at in times:
                until = at + 300 if back(name, push, at) else np.inf
                here = (error.activation == name) & (error.push == push) & (error.push_step == at)
                error = error.where(~(here & late & (error.step < until)), 1.0)
    failing = (error.seed == 0) & (error.activation == "relu") & (error.push == 1) & late
    error = error.where(~failing, 1.0)  # not all seeds are equal
    healthy = xr.where(error["push_step"] > 0, 1.05, 0.5)
    peak = xr.where(late, healthy - error["push"], healthy).broadcast_like(error)
    one = finished(error.isel(step=0, drop=True))
    return xr.Dataset({"unit_error": error, "unit_peak": peak} | one)


def stochastic(mask, mean=0.0):
    """Gates that change six represented features by `mask` or `mean`."""
    gate, ends = ["gelu", "silu"], list(gates.GRADIENTS.values())
    names = [*gate, "relu", *(n + end for n in gate for end in ends)]
    model = made(activation=names, sparsity=[0.9, 0.99], seed=range(SEEDS))
    is_mask, is_mean = (model.activation.isin([n + end for n in gate]) for end in ends)
    relu = model.activation == "relu"
    number = 6 + mask * is_mask + mean * is_mean + 6 * relu
    number = number + np.random.default_rng(1).integers(0, 2, model.shape) * xr.ones_like(model)
    norm = (number > xr.DataArray(np.arange(20), dims="feature")) * model
    W = xr.DataArray(np.eye(20), dims=("hidden", "feature")) * xr.ones_like(model)
    one = finished(model) | {"W": W, "b": 0 * norm - 0.3}
    one |= {"feature_norm": norm, "r_squared": norm}
    return xr.Dataset(one).assign_coords(n_hidden=5)


def dense(seeds=3, m=15, n=800):
    """Models of which each pre-activation sums many features."""
    names = ["gelu", "silu", "relu"]
    model = made(activation=names, sparsity=[0.9, 0.99], seed=range(seeds))
    W = np.random.default_rng(2).normal(size=(seeds, m, n))
    W = xr.DataArray(W, dims=("seed", "hidden", "feature")) * xr.ones_like(model)
    return xr.Dataset({"W": W, "b": 0 * W.isel(hidden=0)} | finished(model))


def near(name, push, at):
    return push < (2 if at else 1)  # as in trained models


NORMAL, SPARSE = dense(), stochastic(-2.0)
CASES = [  # finding, data, verdict; the first of each is supported if that can be
    ("gelu-nearly-clips", "stochastic", SPARSE, LIMITED),
    ("normal-preactivations", "stochastic", NORMAL, YES),
    ("normal-preactivations", "stochastic", SPARSE, NO),
    ("relu-never-recovers", "revival", revival(near), YES),
    ("relu-never-recovers", "revival", revival(lambda *_: True), DEPENDS),
    ("gelu-recovers", "revival", revival(near), LIMITED),
    ("trained-relu-comes-back", "revival", revival(near), YES),
    ("trained-relu-comes-back", "revival", revival(lambda name, *_: name == "gelu"), NO),
    ("random-gate-mask", "stochastic", SPARSE, YES),
    ("random-gate-mask", "stochastic", stochastic(2.0), NO),
    ("random-gate-mean", "stochastic", SPARSE, YES),
    ("random-gate-mean", "stochastic", stochastic(-2.0, 2.0), NO),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_verdicts_with_an_effect_and_without(case):
    name, sweep, ds, verdict = CASES[case]
    found = judge([BY_NAME[name]], {sweep: ds})[0]
    assert found.verdict == verdict and found.note, found.why


@pytest.mark.parametrize("name", BY_NAME)
def test_no_placebo_is_supported(name):
    ds = next(ds for n, _, ds, _ in CASES if n == name)
    assert supported_placebos(BY_NAME[name], {BY_NAME[name].sweeps[0]: ds}) <= MOST


def test_stuck_units_are_those_without_an_input_above_zero():
    ds = revival(lambda name, push, at: push == 1)
    found = gates.relu_recovers({"revival": ds}, "sgd(1)", 5000)["share that recover"]
    assert found.values.tolist() == [0] * SEEDS  # pushed by 1 the unit still has inputs above 0
    found = gates.relu_recovers({"revival": ds}, "sgd(1)", 0)["share that recover"]
    assert found.values.tolist() == [0, *[0.5] * (SEEDS - 1)]  # by 1 and 2, the former comes back
    found = gates.as_often({"revival": ds}, optimizer="adam", step=5000)["ReLU less GELU"]
    assert found.values == pytest.approx([-1 / 3, *[0] * (SEEDS - 1)])
    alone = gates.alone("gelu", -1.0, -0.5)["share that recover"]
    assert alone.tolist() == (np.linspace(-1, -0.5, 100) > -0.7518).tolist()


def test_distances_are_scipys():
    ds = dense(n=30)
    found = gates.distance({"stochastic": ds}, activation="silu", sparsity=0.9)
    x = np.random.default_rng(1).random((2, 30, 400))
    x, W = x[0] * (x[1] >= 0.9), ds["W"].sel(activation="silu", sparsity=0.9, seed=1).values
    each = [stats.kstest(z, "norm", (z.mean(), z.std())).statistic for z in W.T @ (W @ x)]
    assert found["distance to the normal"][1] == pytest.approx(np.mean(each))


def test_sizes_are_means_over_negative_inputs():
    found = gates.sizes({})
    pdf, points = stats.norm.pdf, [-0.7517915246935645]
    output = integrate.quad(lambda z: -2 * z * ndtr(z) * pdf(z), -12, 0)[0]
    slope = integrate.quad(lambda z: 2 * abs(ndtr(z) + z * pdf(z)) * pdf(z), -12, 0, points=points)
    assert [found["output"], found["slope"]] == pytest.approx([output, slope[0]])
    z = gates.preactivations({"stochastic": SPARSE}, "gelu", 0.9)[3].ravel()
    found = gates.sizes({"stochastic": SPARSE}, sparsity=0.9)["output"]
    assert found[3] == pytest.approx((-z * ndtr(z))[z < 0].mean())


def test_changes_are_those_of_loops():
    found = gates.changed({"stochastic": SPARSE}, gates.MASK, 0.99, "|W_i| > 1/2")
    ds = SPARSE.sel(sparsity=0.99, seed=4)
    of = {}
    for name in ("gelu", "silu", "gelu_stochastic", "silu_stochastic"):
        one = ds.sel(activation=name)
        of[name] = sum(v > 0.5 for v in one["feature_norm"].values.tolist())
    without = (of["gelu"] + of["silu"]) / 2
    change = (of["gelu_stochastic"] + of["silu_stochastic"]) / 2 - without
    (values,) = found.values()
    assert values[4] == pytest.approx(change)
