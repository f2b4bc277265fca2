"""Sparse features follow the notebook's law, and the non-zero columns their conditional law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sparse_features import draw, features, nonzero_features

import jsuper
from jsuper.models.toy.inputs.features import importance
from jsuper.models.toy.inputs.law import DEFAULT, Numbers

KEY = jsuper.seed_key(7)


@pytest.mark.parametrize("sparsity", [0.0, 0.7, 0.97, 0.999])
def test_a_feature_is_zero_with_its_sparsity_and_uniform_otherwise(sparsity):
    x = np.asarray(jsuper.sample(KEY, sparsity, n_features=20, batch=50_000))
    active = x[x > 0]
    p, size = 1 - sparsity, x.size
    assert abs(len(active) / size - p) < 5 * np.sqrt(p * (1 - p) / size) + 1e-6
    assert abs(active.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / len(active))
    assert abs((active**2).mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / len(active))
    assert x.min() >= 0 and x.max() <= 1


def test_features_active_at_a_sparsity_are_active_at_every_lower_one():
    u = draw(KEY, 20, 1024)
    active = [np.asarray(features(u, jnp.float32(p))) > 0 for p in (0.01, 0.1, 0.5)]
    assert (active[0] <= active[1]).all() and (active[1] <= active[2]).all()
    assert active[0].sum() < active[1].sum() < active[2].sum()


def test_per_feature_sparsity_reaches_each_feature():
    sparsity = np.array([0.0, 0.5, 0.9, 0.99])
    x = np.asarray(jsuper.sample(KEY, sparsity, 4, 100_000))
    assert (x > 0).mean(axis=1) == pytest.approx(1 - sparsity, abs=0.01)


def test_float64_features_are_the_float32_ones_with_more_digits():
    u = draw(KEY, 20, 1024)
    single = np.asarray(features(u, jnp.float32(0.03)))
    with jax.enable_x64(True):
        double = np.asarray(features(u, jnp.float64(0.03), "float64"))
    assert double.dtype == np.float64
    assert ((single > 0) == (double > 0)).all()
    assert single == pytest.approx(double, rel=1e-6)


@pytest.mark.parametrize("density", [1.0, 0.3, 0.01, (0.5, 0.0001, 0.2, 1e-3, 0.02)])
def test_nonzero_columns_have_the_law_of_columns_that_are_not_zero(density):
    n, p = 5, jnp.asarray(density, jnp.float32)
    keys = jax.random.split(KEY, 50)
    x, chance = jax.vmap(lambda k: nonzero_features(k, jnp.broadcast_to(p, n), 4096))(keys)
    x = np.asarray(x).transpose(1, 0, 2).reshape(n, -1)
    p64 = np.broadcast_to(np.asarray(density, np.float64), n)
    some = 1 - np.prod(1 - p64)
    assert np.asarray(chance)[0] == pytest.approx(some, rel=2e-4)
    # u < p on the grid of float32 draws is exact to 2^-23, which is 1e-3 of p = 1e-4
    assert (x > 0).any(axis=0).mean() > 1 - 1e-3
    error = 5 / np.sqrt(x.shape[1])
    assert (x > 0).mean(axis=1) == pytest.approx(p64 / some, abs=error)
    assert x.mean(axis=1) == pytest.approx(p64 / some / 2, abs=error)
    pair = (x[0] > 0) & (x[2] > 0)
    assert pair.mean() == pytest.approx(p64[0] * p64[2] / some, abs=error)


def test_constant_loss_is_the_least_loss_of_a_constant():
    weights, p = importance(0.7, 6), np.array([1.0, 0.7, 0.3, 0.1, 0.03, 0.001])
    b = np.linspace(0, 1, 20_001)[:, None]
    loss = weights * (p / 3 - b * p + b**2)
    expected = loss.min(axis=0).mean()
    found = DEFAULT.constant_loss(Numbers(jnp.asarray(p)), jnp.asarray(weights))
    assert float(found) == pytest.approx(expected, rel=1e-5)
