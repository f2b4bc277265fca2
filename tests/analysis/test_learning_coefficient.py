"""Local learning coefficients, against numerical integrals and closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import slow

import jsuper
from jsuper.analysis import learning_coefficient, theory


@pytest.fixture(autouse=True)
def long_chains(monkeypatch):
    """It pays to compile them with more optimizations than other tests."""
    more = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
    monkeypatch.setattr(learning_coefficient.jax, "jit", more)


def integrated(loss, n_beta, gamma):
    """nβ E[L] of a loss of two weights around 0, by a sum over a grid."""
    line = np.linspace(-1, 1, 2001) * 8 / gamma**0.5
    x, y = np.meshgrid(line, line, indexing="ij")
    values = loss((x, y))
    log_density = -n_beta * values - gamma / 2 * (x**2 + y**2)
    weight = np.exp(log_density - log_density.max())
    return n_beta * (weight * values).sum() / weight.sum()


SQUARES = {
    "w1^2 + w2^2": lambda w: w[0] ** 2 + w[1] ** 2,
    "w1^2 w2^2": lambda w: w[0] ** 2 * w[1] ** 2,
    "w1^2 w2^4": lambda w: w[0] ** 2 * w[1] ** 4,
}


def estimated(loss, params, key=0, **settings):
    given = {"n_beta": 100.0, "epsilon": 2e-4, "gamma": 5.0, "chains": 64} | settings
    return learning_coefficient.estimate(loss, params, key=jsuper.seed_key(key), **given)


@pytest.mark.parametrize("name", SQUARES)
def test_it_is_the_integral_at_the_same_temperature_and_localization(name):
    loss = SQUARES[name]
    found = estimated(loss, jnp.zeros(2), draws=30_000, burn_in=5000)
    exact = integrated(loss, 100.0, 5.0)
    assert found.value == pytest.approx(exact, rel=0.05)
    assert found.stderr < 0.04 * exact
    assert found.low < found.value < found.high
    assert found.chains.shape == (64,)


def test_the_integral_is_far_from_the_limit_for_a_multiple_pole():
    loss = SQUARES["w1^2 w2^2"]  # its learning coefficient is 1/2
    values = [integrated(loss, *at) for at in ((1, 1.0), (100, 5.0), (1e5, 1.0))]
    assert values == sorted(values) and 0.05 < values[0] < values[-1] < 0.45


@pytest.mark.parametrize("d", [1, 5, 20])
def test_a_regular_model_has_half_its_weights(d):
    curvature = jnp.asarray(np.random.default_rng(0).uniform(0.5, 2, d), jnp.float32)
    start = jnp.linspace(-1, 1, d)
    found = estimated(
        lambda w: (curvature * (w - start) ** 2).sum(), start, n_beta=1000.0, epsilon=5e-5
    )
    assert found.value == pytest.approx(d / 2, rel=0.1)


NETWORKS = [(2, 2, 1, 1), (2, 2, 2, 0)]  # of multiplicity 1
NETWORKS += [slow(3, 2, 2, 1), slow(4, 4, 2, 2)]


@pytest.mark.parametrize(("inputs", "outputs", "hidden", "rank"), NETWORKS)
def test_a_linear_network_of_deficient_rank_has_the_published_coefficient(
    inputs, outputs, hidden, rank
):
    target = np.zeros((outputs, inputs))
    A, B = np.zeros((hidden, inputs)), np.zeros((outputs, hidden))
    for i in range(rank):
        target[i, i] = A[i, i] = B[i, i] = 1

    def loss(params):
        return ((params[1] @ params[0] - target) ** 2).sum()

    params = (jnp.asarray(A, jnp.float32), jnp.asarray(B, jnp.float32))
    settings = {"n_beta": 1000.0, "epsilon": 2.5e-5, "gamma": 1.0, "chains": 32}
    found = estimated(loss, params, **settings, draws=20_000, burn_in=10_000)
    exact = theory.reduced_rank_coefficient(inputs, outputs, hidden, rank)
    assert exact.multiplicity == 1
    assert found.value == pytest.approx(exact.value, rel=0.1)


def test_the_published_formula():
    of = theory.reduced_rank_coefficient
    assert of(1, 1, 1, 0) == (0.5, 2)  # x² y²
    assert of(3, 5, 2, 0) == (3.0, 1)  # M + H = N + r, the boundary
    assert of(2, 5, 1, 0) == (1.0, 1)  # H M / 2: the narrow side
    assert of(5, 2, 1, 0) == (1.0, 1)
    assert of(2, 2, 7, 1) == (2.0, 1)  # M N / 2: any map can be expressed
    for M, N, r in ((4, 3, 2), (5, 5, 1)):  # at full rank it is half the dimension of the maps
        assert of(M, N, r, r).value == r * (M + N - r) / 2
        assert of(M, N, r + 1, r) == of(N, M, r + 1, r)
    with pytest.raises(ValueError, match="rank=2 is above 1"):
        of(3, 3, 1, 2)


def batches(size):
    """Inputs of a linear regression y = w x, whose loss is E (w - w*)² x²."""
    return lambda key: jax.random.normal(key, (size, 3))


def regression(w, x):
    noise = jnp.sin(37 * x.sum(axis=1))  # of the data: it makes gradients noisy at w*
    return ((x @ (w - 1) - noise) ** 2).mean()


@pytest.mark.slow
def test_batches_change_nothing_with_control_variates_and_heat_plain_chains():
    settings = {"n_beta": 1000.0, "epsilon": 5e-5, "gamma": 0.0, "draws": 2000}
    settings |= {"chains": 8}
    params = jnp.ones(3)
    with_control = estimated(regression, params, sample=batches(64), **settings)
    assert with_control.value == pytest.approx(1.5, rel=0.1)
    plain = estimated(regression, params, sample=batches(64), control_variates=False, **settings)
    assert plain.value > 1.2 * with_control.value


def test_an_estimate_depends_on_the_key_alone():
    first, again, other = (
        estimated(SQUARES["w1^2 + w2^2"], jnp.zeros(2), key, draws=10, burn_in=0, chains=2)
        for key in (0, 0, 1)
    )
    assert (first.chains == again.chains).all()
    assert (first.chains != other.chains).all()
    alone = estimated(SQUARES["w1^2 + w2^2"], jnp.zeros(2), draws=10, burn_in=0, chains=1)
    assert alone.chains == first.chains[:1] and np.isnan(alone.stderr)


@pytest.mark.parametrize(
    ("name", "value"), [("n_beta", 0), ("epsilon", -1), ("gamma", -1), ("draws", 1), ("chains", 0)]
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        estimated(SQUARES["w1^2 + w2^2"], jnp.zeros(2), **{name: value})
