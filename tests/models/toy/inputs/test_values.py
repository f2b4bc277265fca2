"""Every law of values has its distribution and moments, and is finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jsuper
from jsuper.models.toy.inputs.law import Numbers, inputs_of
from jsuper.models.toy.inputs.names import VALUES, values_of
from jsuper.models.toy.inputs.values import HALF_STEP

KEY = jsuper.seed_key(5)
CASES = {
    "uniform": stats.uniform(),
    "uniform(-1, 3)": stats.uniform(-1, 4),
    "uniform(0, 2)": stats.uniform(0, 2),
    "signed": stats.uniform(-1, 2),
    "binary": None,
    "normal": stats.norm(),
    "half_normal": stats.halfnorm(),
    "exponential": stats.expon(),
}


def test_every_law_of_values_has_a_case():
    assert {name.split("(")[0] for name in CASES} == set(VALUES)


@pytest.mark.parametrize("name", CASES)
def test_values_have_their_distribution(name):
    x = np.asarray(jsuper.sample(KEY, 0.5, 4, 100_000, values=name))
    active = x[x != 0]
    assert abs(len(active) / x.size - 0.5) < 5 * np.sqrt(0.25 / x.size)
    if name == "binary":
        assert (active == 1).all()
    else:
        assert stats.kstest(active, CASES[name].cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_moments_are_those_of_the_distribution(name):
    law, expected = values_of(name), CASES[name]
    mean, square = (1, 1) if expected is None else (expected.moment(1), expected.moment(2))
    assert (law.mean, law.square) == pytest.approx((mean, square), abs=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_the_first_and_the_last_draw_give_finite_values(name, dtype):
    """At densities at which draws are coarse, and at density 1."""
    law = inputs_of({"values": name})
    with jax.enable_x64(dtype == "float64"):
        numbers = np.asarray(law.values.numbers, dtype)
        for density in (1.0, 0.3, 1e-3, 2.0**-22):
            last = np.ceil(np.float32(density) * 2**23) - 1
            u = np.float32([0, 1, last - 1, last]) * np.float32(2.0**-23)
            u = u + np.float32(HALF_STEP if law.values.offset else 0)
            p = Numbers(np.asarray(density, dtype), values=numbers)
            x = np.asarray(law.sample(jnp.asarray(u)[None], p))
            assert np.isfinite(x).all() and x.dtype == dtype


@pytest.mark.parametrize("name", CASES)
def test_the_best_constant_has_the_least_loss(name):
    """Of constants near the mean, on samples in float64."""
    x = np.asarray(jsuper.sample(KEY, 0.7, 2, 400_000, values=name), np.float64)
    law, p = values_of(name), 0.3
    constants = p * law.mean + np.linspace(-0.1, 0.1, 41)
    losses = np.array([((x - c) ** 2).mean() for c in constants])
    assert constants[losses.argmin()] == pytest.approx(p * law.mean, abs=0.01)
    inputs = inputs_of({"values": name})
    found = inputs.constant_loss(inputs.numbers(np.full(2, p), "float64"), np.ones(2))
    assert losses.min() == pytest.approx(float(found), rel=0.01)
