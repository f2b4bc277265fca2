"""Claims of source 002 on sigmoids and the bounded: true, false and unclear by construction."""

import made_up
import numpy as np
import pytest
import xarray as xr

from jsuper.claims import _002_sigmoids as claims
from jsuper.claims.judging import judge
from jsuper.claims.sweeps import DOSES
from jsuper.claims.values import sparse
from jsuper.models.toy.activations.names import ACTIVATIONS

CLAIMS = {c.name: c for c in claims.CLAIMS}
X, CORR, MONO = "excess", "importance_rank_correlation", "neuron_monosemanticity"
SIGMOIDS, SMOOTH = ("sigmoid", "hardsigmoid"), ("gelu", "silu")
BOUNDED = ("tanh", "hardtanh", "selu")


def raised(variable, names, by, where=lambda s: s >= 0):
    return {"study": made_up.raised(made_up.study(), variable, names, by, where)}


def like(variable, names, other, by=0.0):
    ds = made_up.study()
    same = ds[variable].sel(activation=other, drop=True) + by
    return {"study": made_up.put(ds, variable, names, same)}


def double(variable, by):
    ds = made_up.study()
    precise = made_up.raised(ds.sel(activation=list(SIGMOIDS)), variable, SIGMOIDS, by)
    return {"study": ds, "double": precise}


def first(sparsity):
    return sparsity == 0.7


MADE = {  # claim -> sweeps in which it is true, and false
    "sigmoids-quick": [raised(X, SIGMOIDS, by, first) for by in (6, -6)],
    "sigmoids-unimportant": [raised(CORR, SIGMOIDS, by) for by in (-1, 0.3)],
    "softsign-log-sigmoid-worse": [
        raised(CORR, ("softsign", "log_sigmoid"), by) for by in (-0.8, 0.6)
    ],
    "sigmoids-floating-point": [double(CORR, by) for by in (0.8, -0.4)],
    "sigmoids-same-in-double": [double(X, by) for by in (0, 2)],
    "bounded-little": [like(X, BOUNDED, "identity", by) for by in (0, 4)],
    "tanh-nearly-linear": [like("loss", "tanh", "identity", by) for by in (0, 4e-4)],
    "smooth-less-superposition": [raised(X, SMOOTH, by, sparse) for by in (-3, 3)],
    "smooth-less-interference": [
        raised("mean_interference", SMOOTH, by, sparse) for by in (-0.3, 0.2)
    ],
    "sigmoid-more-neurons": [raised(MONO, "sigmoid", by) for by in (-0.2, 0.2)],
    "tanh-eliminates": [raised(X, "tanh", by) for by in (-5, -2)],
    "solu-enforces-sparsity": [raised(MONO, "solu", by) for by in (0.2, -0.1)],
}


def unclear(true, false):
    """Every second seed from another: 'undecided' by definition of both."""
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


def test_one_part_that_fails_contradicts():
    ds = made_up.raised(made_up.study(), X, "sigmoid", 6, first)
    (found,) = judge([CLAIMS["sigmoids-quick"]], {"study": ds})
    assert found.verdict != "supported" and "hardsigmoid" in found.why


def test_losses_are_compared_at_every_sparsity_alike():
    ds = made_up.study()
    ratio = xr.where(ds["sparsity"] == 0, 4.0, 0.25)  # 5 of 7 factors of 4 are left
    same = ds["loss"].sel(activation="identity", drop=True)
    runs = {"study": made_up.put(ds, "loss", "tanh", same * ratio)}
    (values,) = CLAIMS["tanh-nearly-linear"].statistic(runs).values()
    np.testing.assert_allclose(values, -np.log10(4) * 5 / 7, rtol=1e-6)


def test_the_other_protocol_decides_what_is_asked_of_it():
    activations = (*ACTIVATIONS, "identity", *DOSES)
    ds = made_up.study(activations=activations, sparsity=(0.0, 0.9, 0.99))
    asked = [c for c in claims.CLAIMS if c.protocol]
    assert all(c.sweeps == ("study",) for c in asked)
    for found in judge(asked, {"study": ds}):
        assert all(np.isfinite(p.value) and not p.left_out for p in found.parts), found.claim.name


def test_a_seed_without_a_model_is_left_out():
    ds = made_up.study()
    ds["status"].loc[{"activation": "tanh", "sparsity": 0.99, "seed": 3}] = 0
    for name in ("bounded-little", "tanh-nearly-linear", "tanh-eliminates"):
        (found,) = judge([CLAIMS[name]], {"study": ds})
        assert found.parts[0].left_out == 1
