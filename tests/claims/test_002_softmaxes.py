"""Claims of source 002 on softmax and its relatives: true, false and unclear by construction."""

import made_up
import numpy as np
import pytest
import xarray as xr

from jsuper.claims import _002_softmaxes as claims
from jsuper.claims.judging import judge
from jsuper.claims.sweeps import DOSES
from jsuper.claims.values import dense
from jsuper.core.status import FAILED, NON_FINITE
from jsuper.models.toy.activations.names import ACTIVATIONS

CLAIMS = {c.name: c for c in claims.CLAIMS}
X, CORR = "excess", "importance_rank_correlation"
LOGS = ("log_softmax", "log_sigmoid")


def raised(variable, names, by, where=lambda s: s >= 0):
    return {"study": made_up.raised(made_up.study(), variable, names, by, where)}


def put(variable, names, value):
    return {"study": made_up.put(made_up.study(), variable, names, value)}


def untied(order, losses):
    ds = made_up.study(seed=1, activations=("softmin", "relu"), sparsity=(0.7, 0.9, 0.97, 0.99))
    ds = made_up.raised(ds, CORR, "softmin", order)
    return {"study": made_up.study(), "untied": ds.assign(loss=ds["loss"] * losses)}


def like_softmax(by):
    ds = made_up.study()
    value = ds[X].sel(activation="softmax", drop=True) + by
    return {"study": made_up.put(ds, X, "solu", value)}


def groups():
    """20 features in 5 directions whose cosines are all .1: 150 of 190 pairs are faint."""
    directions = np.linalg.cholesky(0.9 * np.eye(5) + 0.1).T
    return xr.DataArray(np.repeat(directions, 4, axis=1), dims=("hidden", "feature"))


MADE = {  # claim -> sweeps in which it is true, and false
    "softmin-reverses": [raised(CORR, "softmin", by) for by in (-1, 0.3)],
    "softmin-untied": [untied(0.8, 0.5), untied(-0.6, 2)],
    "softmin-over-batch": [raised(CORR, "softmin_batch", by) for by in (-1, 0.6)],
    "log-softmax-fails": [put("loss_over_constant", "log_softmax", by) for by in (100, 1)],
    "log-outputs-unreachable": [put("loss_over_zero", LOGS, by) for by in (1, 0.9)],
    "log-softmax-over-batch-fails": [
        put("loss_over_constant", "log_softmax_batch", by) for by in (100, 1)
    ],
    "solu-more-when-dense": [raised(X, "solu", by, dense) for by in (3, -3)],
    "solu-as-softmax-when-dense": [like_softmax(by) for by in (0, 3)],
    "solu-less-when-sparse": [raised(X, "solu", by) for by in (-3, 3)],
    "solu-low-level": [put("W", name, groups()) for name in ("solu", "relu")],
}


def unclear(true, false):
    """Every second seed from another one."""
    return {name: made_up.unclear(true[name], false[name]) for name in true}


def test_every_claim_has_sweeps_made_for_it():
    assert set(MADE) == set(CLAIMS)


@pytest.mark.parametrize("name", MADE)
def test_verdicts_are_those_of_the_construction(name):
    true, false = MADE[name]
    wanted = {"supported": true, "contradicted": false, "undecided": unclear(true, false)}
    for verdict, runs in wanted.items():
        (found,) = judge([CLAIMS[name]], runs)
        assert found.verdict == verdict, (verdict, found.why)
        assert found.why and all(np.isfinite(p.value) for p in found.parts)


def test_the_order_alone_does_not_make_the_decoder_the_cause():
    (found,) = judge([CLAIMS["softmin-untied"]], untied(0.8, 2))
    assert found.verdict == "contradicted" and "loss" in found.why


def test_untied_is_compared_at_its_own_sparsities():
    runs = untied(0, 1)
    runs["study"] = made_up.raised(runs["study"], CORR, "softmin", 50, lambda s: s > 0.99)
    order, _ = CLAIMS["softmin-untied"].statistic(runs).values()
    assert np.abs(order).max() < 1


@pytest.mark.parametrize("kind", ["status", "loss", "curve", "none", "few"])
def test_what_did_not_converge(kind):
    ds = made_up.study()
    here = {"activation": "exp"}
    if kind == "status":
        ds["status"].loc[here] = NON_FINITE
    elif kind == "loss":
        ds["loss_over_constant"].loc[here] = 11
    elif kind == "curve":
        ds["loss_curve"].loc[here] = 0.5 ** np.arange(made_up.STEPS)
    elif kind == "few":
        ds["status"].loc[here | {"sparsity": [0.0, 0.7, 0.9]}] = NON_FINITE
    wanted = np.full(10, float(kind in ("status", "loss", "curve")))
    np.testing.assert_array_equal(claims.unconverged(ds, "exp"), wanted)
    np.testing.assert_array_equal(claims.unconverged(ds, "gelu"), np.zeros(10))


def test_a_level_curve_does_not_fall_however_noisy():
    rng = np.random.default_rng(0)
    level = np.exp(0.5 * rng.normal(size=(2000, 100)))
    assert claims.still_falls(level).mean() < 0.05  # 10 % alone: a third
    assert claims.still_falls(level * np.exp(-0.05 * np.arange(100))).mean() > 0.5
    assert not claims.still_falls(np.exp(-0.005 * np.arange(100.0)))  # 5 % in a tenth


def test_unreachable_outputs_are_judged_where_they_do_best():
    ds = made_up.put(made_up.study(), "loss_over_zero", LOGS, 1000)
    ds = made_up.put(ds, "loss_over_zero", ["log_sigmoid"], 0.5, dense)
    (found,) = judge([CLAIMS["log-outputs-unreachable"]], {"study": ds})
    assert found.verdict == "contradicted" and "log_sigmoid" in found.why


def test_missing_models_are_not_called_failures():
    ds = made_up.study()
    for seed, status in ((2, 0), (5, FAILED)):
        ds["status"].loc[{"activation": "exp", "sparsity": 0.9, "seed": seed}] = status
    found = claims.unconverged(ds, "exp")
    assert np.flatnonzero(np.isnan(found)).tolist() == [2, 5]


def test_faint_pairs_are_counted_by_cosine():
    ds = made_up.study(seeds=2, activations=("relu", "solu"))
    W = np.zeros((5, 20))
    W[0, :2], W[1, 1] = 3, 0.3  # of all others no pair has an angle
    W[1, 2] = 2
    ds["W"].loc[{"activation": "solu"}] = W  # cosines: 0.995, 0 and 0.0995
    np.testing.assert_allclose(claims.faint(ds, "solu", dense), 1 / 190)


def test_the_other_protocol_decides_what_is_asked_of_it():
    activations = (*ACTIVATIONS, "identity", *DOSES)
    ds = made_up.study(activations=activations, sparsity=(0.0, 0.9, 0.99))
    asked = [c for c in claims.CLAIMS if c.protocol]
    assert all(c.sweeps == ("study",) for c in asked)
    for found in judge(asked, {"study": ds}):
        assert all(np.isfinite(p.value) and not p.left_out for p in found.parts), found.claim.name
