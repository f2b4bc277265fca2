"""The study of dropout on made-up sweeps in which the effects are there, absent, or reversed."""

import inspect
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from jsuper.analysis import theory
from jsuper.studies import (
    _dropout_basis,
    _dropout_losses,
    _dropout_noise,
    _dropout_superposition,
    _paired,
    answer,
)
from jsuper.studies import dropout as study

SEEDS, RATES, SPARSITIES = 12, [0.0, 0.1, 0.3, 0.5], [0.0, 0.9]
PLANE = {
    "activation": ["relu"],
    "sparsity": SPARSITIES,
    "dropout": RATES,
    "importance_decay": [1.0, 0.9],
    "seed": list(range(SEEDS)),
}
BASIS = {
    "activation": ["relu", "identity"],
    "sparsity": [0.7, 0.97],
    "dropout": RATES,
    "optimizer": ["adamw", "sgd(2)"],
    "seed": list(range(SEEDS)),
}
# measure -> its sign where there is more superposition
SUPERPOSITION = {
    "features_represented": 1,
    "mean_dimensionality": -1,
    "mean_interference": 1,
    "mean_squared_overlap": 1,
    "dimensions_per_feature": -1,
}
KURTOSIS = ("basis_kurtosis", "mean_participation_ratio")
Z = ("basis_kurtosis_z", "participation_z", "alignment_z")
MEASURES = {m.name: m for m in _dropout_superposition.MEASURES}


def blank(axes, m, n):
    """A sweep in which dropout does nothing to any measure; random weights."""
    dims, shape = tuple(axes), tuple(len(v) for v in axes.values())
    rng = np.random.default_rng(0)
    ds = xr.Dataset(coords=axes | {"n_hidden": m, "n_features": n})
    if "importance_decay" not in axes:
        ds = ds.assign_coords(importance_decay=1.0)
    for name in (*SUPERPOSITION, *KURTOSIS, *Z):
        half = 0.01 * rng.normal(size=(*shape[:-1], SEEDS // 2))
        ds[name] = (dims, np.concatenate([half, -half], axis=-1))  # its mean over seeds is 0
    ds["basis_kurtosis_rotated"] = (dims, np.zeros(shape))
    ds["basis_kurtosis_null"] = (dims, np.full(shape, 3 * (m - 1) / (m + 1)))
    ds["neuron_kurtosis"] = ((*dims, "hidden"), rng.normal(size=(*shape, m)))
    ds["W"] = ((*dims, "hidden", "feature"), rng.normal(size=(*shape, m, n)))
    ds["feature_norm"] = ((*dims, "feature"), np.linalg.norm(ds.W.values, axis=-2))
    ds["b"] = ((*dims, "feature"), rng.normal(size=(*shape, n)))
    ds["loss"] = (dims, np.ones(shape))
    ds["loss_curve"] = ((*dims, "step"), np.ones((*shape, 30)))
    ds["status"] = (dims, np.ones(shape, np.int8))
    return ds


@pytest.fixture
def runs():
    return {"dropout": blank(PLANE, 4, 6), "dropout_basis": blank(BASIS, 5, 6)}


def bent(ds, names, slopes):
    """Measures with a slope along dropout on top."""
    return ds.assign({n: ds[n] + s * ds.dropout for n, s in zip(names, slopes, strict=True)})


def asked(runs, question, *more):
    """One answer of the study, which takes the sweeps that it names first."""
    plane, basis = study.datasets(runs)
    given = {"ds": plane, "plane": plane, "basis": basis}
    if question in (_dropout_basis.privileged, _dropout_basis.pull, _dropout_losses.linear):
        given["ds"] = basis
    names = [n for n in inspect.signature(question).parameters if n in given]
    return question(*(given[n] for n in names), *more)


@pytest.mark.slow
def test_answers_have_rows_seeds_and_adjusted_p(runs):
    answers = study.answers(runs)
    assert len({a.question for a in answers}) == len(answers) == 24
    for a in answers:
        assert a.question.endswith("?") and a.statistic and a.finding and a.rows
        assert "nan" not in a.finding
        p = [r.p for r in a.rows if np.isfinite(r.p)]
        assert all(0 < value <= 1 for value in p)
    json.dumps(answer.as_data(answers), allow_nan=False)


# ---- superposition ----


@pytest.mark.parametrize("effect", [-1, 0, 1])
@pytest.mark.parametrize("name", ["mean_dimensionality", "mean_interference"])
def test_slopes_say_what_dropout_does_to_superposition(runs, name, effect):
    runs["dropout"] = bent(runs["dropout"], [name], [2 * effect * SUPERPOSITION[name]])
    found = asked(runs, _dropout_superposition.reduction, MEASURES[name])
    assert found.question.startswith("Does dropout reduce superposition, by the mean ")
    down, up = (4 if effect == sign else 0 for sign in (-1, 1))
    assert f"goes down in {down} of 4 cases and up in {up}" in found.finding
    assert "All 192 models count." in found.finding
    for r in found.rows:
        assert r.value == pytest.approx(2 * effect * SUPERPOSITION[name], abs=0.05)
        assert r.low <= r.value <= r.high and r.seeds == SEEDS and r.null == 0


@pytest.mark.parametrize("effect", [-1, 0, 1])
def test_exception_is_found_where_it_is(runs, effect):
    ds = runs["dropout"]
    here = (ds.importance_decay == 0.9) & (ds.sparsity == 0.0)
    for name, more in SUPERPOSITION.items():
        ds[name] = ds[name] + more * xr.where(here, effect, -0.5) * (ds.dropout > 0)
    runs["dropout"] = ds.transpose(*PLANE, ...)
    found = asked(runs, _dropout_superposition.exception)
    verdict = {1: "raises", 0: "does not clearly change", -1: "lowers"}[effect]
    assert f"There dropout {verdict} superposition" in found.finding
    effects = {r.case: r.value for r in found.rows}
    name = "the mean interference of represented features"
    assert effects[f"{name}: effect"] == pytest.approx(effect, abs=0.02)
    assert effects[f"{name}: interaction"] == pytest.approx(effect + 0.5, abs=0.02)


def test_models_without_a_value_or_an_end_are_left_out_and_said(runs):
    ds = runs["dropout"]
    ds["status"][0, 0, 0, 0, 0] = 2
    ds["W"][0, 0, 0, 0, 0] = np.nan
    ds["mean_dimensionality"][0, 1, 3, 1, :-2] = np.nan
    ds["mean_dimensionality"][0, 1, 2, 1, :-1] = np.inf
    runs["dropout"] = ds
    found = asked(runs, _dropout_superposition.reduction, MEASURES["mean_dimensionality"])
    said = "Of 192 models 1 did not finish with finite weights and 21 have no such value"
    assert said in found.finding
    assert [r.seeds for r in found.rows] == [SEEDS, SEEDS, SEEDS, 2]
    assert asked(runs, _dropout_noise.chance).rows[0].seeds == SEEDS


# ---- kurtosis and the basis ----


@pytest.mark.parametrize("effect", [-1, 0, 1])
def test_trends_say_whether_kurtosis_rises(runs, effect):
    runs = {k: bent(ds, ["basis_kurtosis"], [effect]) for k, ds in runs.items()}
    found = asked(runs, _dropout_basis.trend, "basis_kurtosis")
    verdict = {
        -1: "falls in 8 of 8",
        0: "shows no clear difference in any of 8",
        1: "rises in 8 of 8",
    }
    assert found.finding.startswith(f"It {verdict[effect]} cases")
    assert all(r.value == pytest.approx(effect, abs=0.05) for r in found.rows)


def test_kurtosis_says_nothing_at_three_units_or_fewer(runs):
    found = asked(runs, _dropout_basis.room)
    assert found.finding.startswith("None at m = 2 and m = 3,")
    exact = {r.case: r.value - r.null for r in found.rows[:3]}
    assert list(exact.values()) == pytest.approx([0, 0, 1.25])


@pytest.mark.parametrize("name", Z)
def test_basis_is_found_for_relu_alone(runs, name):
    ds = runs["dropout_basis"]
    shift = xr.where((ds.activation == "relu") & (ds.dropout > 0), 5.0, 0.0)
    runs["dropout_basis"] = ds.assign({name: (ds[name] + shift).transpose(*BASIS)})
    found = asked(runs, _dropout_basis.privileged, name)
    assert found.finding.count("without dropout at the null") == 4
    assert found.finding.count("with it off the null in 0 of 6 cases") == 2
    listed = "z 5 at q 0.1, 5 at q 0.3, 5 at q 0.5"
    whole = f"in 6 of 6 cases (density 0.3, {listed}; density 0.03, {listed})"
    assert found.finding.count(whole) == 2
    assert [_paired.clear(r) for r in found.rows] == [0, *[1] * 6] * 2 + [0] * 14


def test_pull_is_that_of_the_optimizer(runs):
    ds = runs["dropout_basis"]
    slope = xr.where(ds.optimizer == "adamw", 2.0, 0.0)
    shifted = {name: (ds[name] + slope * ds.dropout).transpose(*BASIS) for name in Z}
    runs["dropout_basis"] = ds.assign(shifted)
    found = asked(runs, _dropout_basis.pull)
    assert "under adamw in 3 of 3 measures, alignment 2 (" in found.finding
    assert "sgd(2) in 0 of 3 measures" in found.finding


# ---- hits and losses ----


def test_chance_of_a_hit_counts_the_units_of_a_feature(runs):
    ds = runs["dropout"]
    ds["W"][:] = np.array([[1.0, 0, 0, 0, 1, 1], [0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1], [0] * 6])
    found = asked(runs, _dropout_noise.chance)
    assert found.finding.startswith("Nearest with n = k units") or "1/Σu⁴" in found.finding
    assert all(abs(r.value) < 0.02 for r in found.rows if "all m" not in r.case)
    assert all(r.value > 0.05 for r in found.rows if "all m" in r.case)


def test_spreading_is_a_slope_of_the_units(runs):
    ds = runs["dropout"]
    one, both = np.eye(4, 6), np.eye(4, 6) + np.eye(4, 6)[::-1]
    plain = (ds.dropout == 0).values[None, None, :, None, None, None, None]
    for W, sign in ((np.where(plain, both, one), -1), (np.where(plain, one, both), 1)):
        ds["W"][:] = W
        found = asked(runs, _dropout_noise.spread)
        assert [_paired.clear(r) for r in found.rows[:4]] == [sign] * 4


def test_linear_models_at_their_best_are_said_to_be(runs):
    ds = runs["dropout_basis"].transpose(
        "activation", "optimizer", "sparsity", "seed", "dropout", ...
    )
    rows = np.linalg.qr(np.c_[np.ones(6), np.random.default_rng(0).normal(size=(6, 5))])[0].T[1:]
    q, p = ds.dropout.values, (1 - ds.sparsity.values)[:, None, None]
    ds["W"][:] = (1 - q[:, None, None]) ** 0.5 * rows
    ds["b"][:] = p[..., None] / 2
    exact = theory.dropout_linear_loss(
        ds.W[1].values, ds.b[1].values, q + 0 * p[None], p[..., None]
    )
    ds["loss_curve"][1] = exact[..., None]
    runs["dropout_basis"] = ds
    found = asked(runs, _dropout_losses.linear)
    assert "within 1% for 2 of 2 optimizers" in found.finding
    assert all(r.value == pytest.approx(1) for r in found.rows)
    ds["b"][:] = 0
    assert "within 1% for 0 of 2 optimizers" in asked(runs, _dropout_losses.linear).finding


# ---- the rest ----


@pytest.mark.slow
def test_figures_are_drawn(runs):
    drawings = study.figures(runs)
    assert len({d.name for d in drawings}) == len(drawings) == 5
    for d in drawings:
        assert d.caption.endswith(".")
        d.figure.canvas.draw()
    plt.close("all")


def test_a_sweep_or_a_variable_that_is_missing_is_named(runs):
    with pytest.raises(ValueError, match="runs has no dropout_basis"):
        study.answers({"dropout": runs["dropout"]})
    with pytest.raises(ValueError, match="no variable 'feature_norm'"):
        study.answers(runs | {"dropout": runs["dropout"].drop_vars("feature_norm")})
    with pytest.raises(ValueError, match="and not importance_decay"):
        study.answers(runs | {"dropout": runs["dropout"].isel(importance_decay=0)})


def test_slopes_and_rank_correlations():
    x = np.array([0.0, 1.0, 2.0, 3.0])
    y = np.array([1 + 2 * x, -(x**3), [5, 5, 5, 5], [1, np.nan, 3, np.inf], [np.nan, 0, 1, 2]])
    np.testing.assert_allclose(_paired.slopes(y, x)[[0, 2, 3, 4]], [2, 0, np.nan, 1])
    assert _paired.slopes(y, x)[1] == pytest.approx(np.polyfit(x, y[1], 1)[0])
    np.testing.assert_allclose(_paired.rank_correlations(y, x), [1, -1, np.nan, np.nan, 1])
    for function in (_paired.slopes, _paired.rank_correlations):
        with pytest.raises(ValueError, match="at least 3 different ones"):
            function(y[:, :2], x[:2])


def test_rows_have_intervals_about_their_value():
    r = _paired.row("a", [1.0, 2.0, 3.0, np.nan], null=1.0)
    assert (r.value, r.seeds, r.null) == (pytest.approx(2), 3, 1.0) and r.low <= 2 <= r.high
    lost = _paired.row("b", [np.nan, 1.0])
    assert np.isnan(lost.value) and np.isnan(lost.p) and lost.seeds == 1
    several = _paired.adjusted([r, lost, r])
    assert several[0].p == pytest.approx(min(1, 2 * r.p)) and np.isnan(several[1].p)
