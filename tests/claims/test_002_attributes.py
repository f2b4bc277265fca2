"""Claims of source 002 on functions and attributes: true, false and unclear by construction."""

import made_up
import numpy as np
import pytest
import xarray as xr
from scipy import integrate, stats

from jsuper.claims import _002_attributes as claims
from jsuper.claims.judging import judge
from jsuper.models.toy.activations.names import ACTIVATIONS

CLAIMS = {c.name: c for c in claims.CLAIMS}
SUPPORTED = "supported"


def in_group():
    """Names of the functions that are non-negative and asymmetric."""
    return [n for n, inside in zip(claims.NAMES, claims.group(), strict=True) if inside]


def by_attribute(factors, ds=None):
    """X raised by the attributes of an activation, in standard deviations."""
    ds = made_up.study() if ds is None else ds
    scaled = stats.zscore(claims.functions().attributes)
    given = xr.DataArray(scaled @ factors, {"activation": list(claims.NAMES)}, "activation")
    return ds.assign(excess=ds["excess"] + given.reindex_like(ds["activation"], fill_value=0))


def attribute(k):
    return [by_attribute(by * np.eye(3)[k]) for by in (1, -1)]


def best(x, log_loss):
    """The group's X raised and its losses multiplied."""
    ds = made_up.raised(made_up.study(), "excess", in_group(), x)
    chosen = ds["activation"].isin(in_group())
    loss = ds["loss_over_constant"] * xr.where(chosen, 10**log_loss, 1.0)
    return ds.assign(loss_over_constant=loss)


def pair(x, log_loss):
    """CELU and GELU with the same losses, times something, and X apart by something."""
    ds = made_up.put(made_up.study(), "excess", "celu", 0.0)
    ds = made_up.put(ds, "excess", "gelu", x)
    ds = made_up.put(ds, "loss_over_constant", "celu", 0.1)
    return made_up.put(ds, "loss_over_constant", "gelu", 0.1 * 10**log_loss)


def along(x, log_loss):
    """X and log losses move along a line through the space of functions."""
    ds = made_up.study()
    place = np.zeros(len(claims.NAMES))
    matrix = np.zeros((len(place),) * 2)
    matrix[claims.pairs()] = claims.functions().distances
    place = (matrix + matrix.T)[claims.NAMES.index("relu")]
    place = stats.rankdata(place) / len(place)
    given = xr.DataArray(place, {"activation": list(claims.NAMES)}, "activation")
    given = given.reindex_like(ds["activation"], fill_value=0)
    return ds.assign(
        excess=ds["excess"] + x * given,
        loss_over_constant=ds["loss_over_constant"] * 10 ** (log_loss * given),
    )


MADE = {  # claim -> how to make sweeps in which it is true, and false
    "distances-unrelated": lambda: (made_up.study(), along(20, 5)),
    "non-negative-asymmetric-best": lambda: (best(3, -0.3), best(3, 0.3)),
    "non-negative-asymmetric-smooth": lambda: (by_attribute([1, 1, 1]), by_attribute([1, -1, 1])),
    "non-negative-helps": lambda: attribute(0),
    "asymmetric-helps": lambda: attribute(1),
    "smooth-helps": lambda: attribute(2),
}


def test_every_claim_has_sweeps_made_for_it():
    assert {*MADE, "celu-gelu"} == set(CLAIMS)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n == "distances-unrelated" else n for n in MADE],
)
def test_verdicts_are_those_of_the_construction(name):
    true, false = MADE[name]()
    wanted = {SUPPORTED: true, "contradicted": false, "undecided": made_up.unclear(true, false)}
    for verdict, ds in wanted.items():
        (found,) = judge([CLAIMS[name]], {"study": ds})
        assert found.verdict == verdict, found.why
        assert found.why and all(np.isfinite(p.value) for p in found.parts)


def test_a_mean_slope_of_each_attribute_is_found():
    slopes = CLAIMS["non-negative-asymmetric-smooth"].statistic({"study": by_attribute([3, -2, 1])})
    means = [v.mean() for v in slopes.values()]
    np.testing.assert_allclose(means, [3, -2, 1], atol=0.15)


def test_attributes_are_those_of_the_functions():
    rows = dict(zip(claims.NAMES, claims.functions().attributes, strict=True))
    for name, (positive, even, smooth) in {
        "relu": (1, 0.5, 0),
        "tanh": (0, 0, 1),
        "hardtanh": (0, 0, 0),
        "relu_squared": (1, 0.5, 1),
        "exp": (1, 1 - (1 - np.exp(-2)) / 2, 1),
    }.items():
        np.testing.assert_allclose(rows[name], (positive, even, smooth), atol=1e-9, err_msg=name)
    assert rows["gelu"][0] == 0 and rows["softplus"][0] == 1
    assert set(in_group()) == {
        "relu", "sigmoid", "hardsigmoid", "softplus", "exp", "relu6", "relu_squared",
    }  # fmt: skip


def test_distances_are_root_mean_squares_under_the_normal_distribution():
    pairs = dict(zip(zip(*claims.pairs(), strict=True), claims.functions().distances, strict=True))

    def between(a, b):
        return pairs[tuple(sorted((claims.NAMES.index(a), claims.NAMES.index(b))))]

    square, _ = integrate.quad(
        lambda z: stats.norm.pdf(z) * (np.expm1(z) - z * stats.norm.cdf(z)) ** 2, -12, 0
    )
    square += integrate.quad(lambda z: stats.norm.pdf(z) * (z * stats.norm.sf(z)) ** 2, 0, 12)[0]
    assert between("celu", "elu") == 0
    np.testing.assert_allclose(between("celu", "gelu"), square**0.5, rtol=1e-9)
    np.testing.assert_allclose(between("relu", "leaky_relu"), 0.01 * 0.5**0.5, rtol=1e-9)
    assert len(pairs) == 23 * 22 // 2


@pytest.mark.parametrize(
    ("made", "values"),
    [((100, 0), (1, 0)), ((0, 0), (0, 0)), ((100, 9), (1, 1))],
)
def test_percentiles_of_celu_and_gelu(made, values):
    found = CLAIMS["celu-gelu"].statistic({"study": pair(*made)})
    own, in_x, in_loss = found.values()
    np.testing.assert_allclose(in_x, values[0], atol=1e-9)
    np.testing.assert_allclose(in_loss, values[1], atol=1e-9)
    assert own.shape == (1,)


def test_failed_activations_are_left_out():
    ds = made_up.put(by_attribute([1, 1, 1]), "status", ["exp", "exp_linear"], 2)
    for claim in claims.CLAIMS:
        values = claim.statistic({"study": ds})
        assert all(np.isfinite(v).all() for v in values.values()), claim.name
    assert set(claims.NAMES) | set(claims.NOT_ELEMENTWISE) == set(ACTIVATIONS)
