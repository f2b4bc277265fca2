"""Claims of source 002 on exponentials, shrinks and the rest: true, false, unclear as made."""

import made_up
import numpy as np
import pytest
import xarray as xr

from jsuper.claims import _002_others as claims
from jsuper.claims.judging import judge
from jsuper.claims.sweeps import DOSES
from jsuper.claims.values import dense, sparse
from jsuper.models.toy.activations.names import ACTIVATIONS

CLAIMS = {c.name: c for c in claims.CLAIMS}
TESTED = {name: c for name, c in CLAIMS.items() if not c.untestable}
X, CORR = "excess", "importance_rank_correlation"
EXPS, SWISHES = ("exp", "exp_linear"), ("silu", "hardswish")


def raised(variable, names, by, where=lambda s: s >= 0):
    return {"study": made_up.raised(made_up.study(), variable, names, by, where)}


def put(variable, names, value):
    return {"study": made_up.put(made_up.study(), variable, names, value)}


def like_relu(name, by):
    ds = made_up.study()
    value = ds[X].sel(activation="relu", drop=True) + by
    return {"study": made_up.put(ds, X, name, value)}


def scaled(names, by):
    ds = made_up.study()
    factor = made_up.put(ds, "W", names, by)["W"].where(ds["activation"].isin(names), 1)
    return {"study": ds.assign(W=ds["W"] * factor, feature_norm=ds["feature_norm"] * by)}


def softplus(number, correlation):
    norms = xr.DataArray((np.arange(made_up.FEATURES) < number).astype(float), dims="feature")
    ds = made_up.put(made_up.study(), "feature_norm", "softplus", norms)
    return {"study": made_up.raised(ds, CORR, "softplus", correlation)}


def touching(shrinks, relu):
    """As many features of norm 1, one more in some seeds; the others are 0."""
    ds = made_up.study()
    more = (ds["seed"] % 3 == 0).astype(int)
    place = xr.DataArray(np.arange(made_up.FEATURES), dims="feature")
    for names, number in ((claims.SHRINKS, shrinks), (["relu"], relu)):
        ds = made_up.put(ds, "feature_norm", names, (place < number + more).astype(float))
    return {"study": ds}


def silu(sparser, denser):
    ds = made_up.raised(made_up.study(), X, "silu", sparser, sparse)
    return {"study": made_up.raised(ds, X, "silu", denser, dense)}


MADE = {  # claim -> sweeps in which it is true, and false
    "exponentials-fail": [put("loss_over_constant", EXPS, value) for value in (100, 1)],
    "softplus-touches-all": [softplus(20, -0.3), softplus(18, 0.6)],
    "shrinks-many": [touching(12, 8), touching(8, 12)],
    "shrinks-small": [scaled(list(claims.SHRINKS), by) for by in (0.5, 1.5)],
    "relu6-as-relu": [like_relu("relu6", by) for by in (0, 0.7)],
    "relu-squared-as-relu": [like_relu("relu_squared", by) for by in (0, 3)],
    "silu-as-gelu": [silu(-3, 3), silu(3, -3)],
    "swishes-early": [raised(X, SWISHES, by, dense) for by in (0, -6)],
    "swishes-unimportant": [raised(CORR, SWISHES, by, dense) for by in (-1, 0.8)],
}


def unclear(true, false):
    """Every second seed from another one."""
    return {name: made_up.unclear(true[name], false[name]) for name in true}


def test_every_claim_has_sweeps_made_for_it():
    assert set(MADE) == set(TESTED)


@pytest.mark.parametrize("name", MADE)
def test_verdicts_are_those_of_the_construction(name):
    true, false = MADE[name]
    wanted = {"supported": true, "contradicted": false, "undecided": unclear(true, false)}
    for verdict, runs in wanted.items():
        (found,) = judge([CLAIMS[name]], runs)
        assert found.verdict == verdict, (verdict, found.why)
        assert found.why and all(np.isfinite(p.value) for p in found.parts)


@pytest.mark.parametrize("name", sorted(set(CLAIMS) - set(TESTED)))
def test_what_no_model_decides_says_why(name):
    (found,) = judge([CLAIMS[name]], {})
    assert found.verdict == "not testable" and found.why


def test_both_directions_of_silu_have_to_hold():
    (found,) = judge([CLAIMS["silu-as-gelu"]], silu(-3, -3))
    assert found.verdict == "contradicted" and "S = 0" in found.why


def test_touched_features_and_their_overlaps():
    ds = made_up.study(seeds=2, activations=("relu",))
    W = np.zeros((5, 20))
    W[0, :3] = 1, -0.5, 0.05  # the third is below the threshold
    W[1, 3] = 2
    ds["W"].loc[{"activation": "relu"}] = W
    ds["feature_norm"].loc[{"activation": "relu"}] = np.linalg.norm(W, axis=0)
    np.testing.assert_allclose(*claims.touched(ds, ["relu"], sparse), 3)
    np.testing.assert_allclose(*claims.overlap(ds, ["relu"], sparse), 0.5 / 3)


def test_one_feature_alone_has_no_overlap():
    ds = made_up.study(seeds=2, activations=("relu",))
    ds["W"].loc[{"seed": 0, "sparsity": 0.9}] = np.eye(5, 20) * np.array([1, 0, 0, 0, 0])[:, None]
    (found,) = claims.overlap(ds, ["relu"], sparse)
    assert np.isnan(found).tolist() == [True, False]


def test_the_other_protocol_decides_what_is_asked_of_it():
    activations = (*ACTIVATIONS, "identity", *DOSES)
    ds = made_up.study(activations=activations, sparsity=(0.0, 0.9, 0.99))
    asked = [c for c in claims.CLAIMS if c.protocol]
    assert all(c.sweeps == ("study",) for c in asked)
    for found in judge(asked, {"study": ds}):
        assert all(np.isfinite(p.value) and not p.left_out for p in found.parts), found.claim.name
