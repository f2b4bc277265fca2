"""Claims of source 002 on hardness and floors: true, false and unclear by construction."""

import made_up
import numpy as np
import pytest

from jsuper.claims import _002_properties as claims
from jsuper.claims.judging import judge

CLAIMS = {c.name: c for c in claims.CLAIMS}
HARDER = ("hardsigmoid", "hardtanh", "hardswish", "relu", "hardshrink")
SOFTER = ("sigmoid", "tanh", "silu", "softplus", "gelu", "softshrink")


def raised(activations, by):
    return made_up.raised(made_up.study(), "excess", activations, by)


def later(names):
    """Nothing is superposed below sparsity .97, in some activations below .997."""
    ds = made_up.study()
    everything = ds["activation"].values
    ds = made_up.put(ds, "excess", everything, 0.0, lambda s: s < 0.97)
    return made_up.put(ds, "excess", names, 0.0, lambda s: s < 0.997)


def twins(one, other, by=0.0):
    """Two activations with the same small models, or weights that differ by something."""
    ds = made_up.study()
    ds = ds.assign(W=0.1 * ds["W"])
    same = ds["W"].sel(activation=one, drop=True) + by
    return made_up.put(ds, "W", other, same)


MADE = {  # claim -> sweeps in which it is true, and false
    "hardness-reduces": [raised(HARDER, -3), raised(HARDER, 3)],
    "hardness-delays": [later(HARDER), later(SOFTER)],
    "swish-hardswish-alike": [
        made_up.put(made_up.study(), "excess", ["silu", "hardswish"], 3.0),
        raised("hardswish", 3),
    ],
    "selu-least-of-its-group": [raised("selu", -3), raised("selu", 3)],
    "negative-outputs-less": [raised(["celu", "elu"], -3), raised(["celu", "elu"], 3)],
    "leaky-gelu-softplus-most": [raised(claims.MOST, 6), raised(claims.MOST, -6)],
    "celu-is-elu": [twins("elu", "celu"), twins("elu", "celu", 0.01)],
    "relu6-is-relu": [twins("relu", "relu6"), twins("relu", "relu6", 0.01)],
}
EXACT = ("celu-is-elu", "relu6-is-relu")  # there one seed is enough


def test_every_claim_has_sweeps_made_for_it():
    assert set(MADE) == set(CLAIMS)


@pytest.mark.parametrize("name", MADE)
def test_verdicts_are_those_of_the_construction(name):
    true, false = MADE[name]
    wanted = {"supported": true, "contradicted": false, "undecided": made_up.unclear(true, false)}
    if name in EXACT:
        wanted["undecided"] = made_up.put(true, "status", ["celu", "relu6"], 0)
    for verdict, ds in wanted.items():
        (found,) = judge([CLAIMS[name]], {"study": ds})
        assert found.verdict == verdict, found.why
        numbers = [p.value for p in found.parts]
        assert found.why and np.isfinite(numbers).all() != (
            name in EXACT and verdict == "undecided"
        )


@pytest.mark.parametrize("name", EXACT)
def test_one_seed_that_differs_contradicts_what_is_exact(name):
    true, false = MADE[name]
    ds = true.copy(deep=True)
    ds["W"][{"seed": 3}] = false["W"].isel(seed=3)
    (found,) = judge([CLAIMS[name]], {"study": ds})
    assert found.verdict == "contradicted"


def test_relu6_is_compared_only_where_outputs_stay_below_6():
    true, false = MADE["relu6-is-relu"]
    ds = true.copy(deep=True)
    ds["W"][{"sparsity": 2}] = 100 * false["W"].isel(sparsity=2)
    (found,) = judge([CLAIMS["relu6-is-relu"]], {"study": ds})
    assert found.verdict == "supported"
    ds["W"][:] = 100 * false["W"]
    (found,) = judge([CLAIMS["relu6-is-relu"]], {"study": ds})
    assert found.verdict == "undecided" and "no value" in found.why


def test_the_first_sparsity_is_one_beyond_the_last_where_nothing_is_superposed():
    ds = made_up.put(made_up.study(), "excess", made_up.study()["activation"].values, 1.0)
    ds = made_up.put(ds, "excess", "hardtanh", 0.0)
    (gap,) = CLAIMS["hardness-delays"].statistic({"study": ds}).values()
    np.testing.assert_allclose(gap, 7 / 6)
    ds = made_up.put(ds, "status", "hardtanh", 2, lambda s: s > 0.99)
    (gap,) = CLAIMS["hardness-delays"].statistic({"study": ds}).values()
    assert np.isnan(gap).all()


def test_equal_pairs_count_half():
    ds = made_up.put(made_up.study(), "excess", made_up.study()["activation"].values, 1.0)
    share, gap = CLAIMS["hardness-reduces"].statistic({"study": ds}).values()
    assert (share == 0.5).all() and (gap == 0).all()


def test_ranks_are_among_all_27_and_failed_models_are_last():
    ds = raised(["leaky_relu"], 50)
    ds = made_up.raised(ds, "excess", "gelu", 20)
    ds = made_up.raised(ds, "excess", "softplus", -50)
    ds = made_up.put(ds, "status", ["exp", "softmax"], 2)
    leaky, gelu, softplus = CLAIMS["leaky-gelu-softplus-most"].statistic({"study": ds}).values()
    assert (leaky == 1).all() and (gelu == 2).all() and (softplus == 25).all()
