"""Hessians of expected losses, against `jax.hessian` in float64 and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from k_gons import k_gons, with_snapshots

import jsuper
from jsuper import analysis
from jsuper.analysis import curvature, population, theory
from jsuper.training import keys


def test_a_spectrum_made_by_hand():
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    H = rotation @ np.diag([-2.0, 0.01, 0, 5]) @ rotation.T
    found = curvature.spectrum(np.stack([H, np.full((4, 4), np.nan)]), tolerance=0.001)
    np.testing.assert_allclose(found.eigenvalues[0], [-2, 0, 0.01, 5], atol=1e-12)
    assert (found.largest[0], found.smallest[0]) == pytest.approx((5, -2))
    assert found.rank[0] == 3 and found.trace[0] == pytest.approx(3.01)
    assert curvature.spectrum(H, tolerance=0.01).rank == 2
    assert all(np.isnan(part[1]).all() for part in found)
    with pytest.raises(ValueError, match=r"\(\.\.\., d, d\)"):
        curvature.spectrum(np.ones((3, 4)))
    with pytest.raises(ValueError, match="tolerance=1"):
        curvature.spectrum(H, tolerance=1)


def run(activation, n=4, m=2, **fields):
    sweep = jsuper.Sweep(
        activation=activation, n_features=n, n_hidden=m, seeds=1, batch_size=32, steps=2, **fields
    )
    return jsuper.run(sweep, progress=False)


@pytest.mark.slow
def test_the_linear_model_of_one_feature_by_hand():
    # L = E ((w² - 1) x + b)² with x uniform on [0, 1], at w = 1 and b = 0
    ds = run("identity", 1, 1, sparsity=0.0).load()
    ds["W"].values[:], ds["b"].values[:] = 1, 0
    found = analysis.hessian(ds, rounds=16)
    expected = np.linalg.eigvalsh([[8 / 3, 2], [2, 2]])
    np.testing.assert_allclose(found.hessian_eigenvalues.values.ravel(), expected, rtol=2e-3)
    assert found.hessian_rank.item() == 2
    assert found.hessian_trace.item() == pytest.approx(14 / 3, rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{}, {"bias": False}])
def test_it_is_the_second_derivative_of_a_smooth_loss(fields):
    ds = run("gelu", sparsity=0.7, **fields)
    found = analysis.hessian(ds, rounds=4)
    ((_, kind, models),) = population.by_kind(ds)
    with jax.enable_x64(True):
        one = jax.tree.map(lambda a: jnp.asarray(a[0], jnp.float64), models)
        key = keys.stream(keys.seed_key(0), keys.EVALUATION)
        sample, loss = population.make_sample(kind, 4), population.make_loss(kind)
        rounds = [sample(keys.stream(key, 1, k), one.density) for k in range(4)]

        def mean(W, b):
            params = one.params._replace(W=W.reshape(2, 4), b=b)
            return sum(loss(params, one.importance, x) for x in rounds) / 4

        W, b = one.params.W.ravel(), one.params.b
        parts = jax.jit(jax.hessian(mean, (0, 1)))(W, b)
        H = (
            np.asarray(parts[0][0])
            if fields
            else np.block([list(map(np.asarray, p)) for p in parts])
        )
    expected = np.linalg.eigvalsh(H)
    values = found.hessian_eigenvalues.values.ravel()
    np.testing.assert_allclose(values, expected, atol=1e-3 * abs(expected).max())
    assert found.hessian_largest.item() == values[-1] and found.hessian_smallest.item() == values[0]


@pytest.mark.slow
def test_the_hessian_of_k_gons_has_the_part_of_the_kinks():
    ds = k_gons(5, 6)
    found = analysis.hessian(ds, rounds=128)

    def loss(w):
        return theory.one_sparse_relu_loss(w[:12].reshape(2, 6), w[12:])

    second_derivative = jax.jit(jax.hessian(loss))
    for seed in range(2):
        with jax.enable_x64(True):
            one = ds.isel(activation=0, sparsity=0, seed=seed)
            w = jnp.asarray(np.concatenate([one.W.values.ravel(), one.b.values]), jnp.float64)
            exact = np.linalg.eigvalsh(second_derivative(w))
        values = found.hessian_eigenvalues.values[0, 0, seed]
        np.testing.assert_allclose(values, exact, atol=0.01 * exact.max())
    assert found.hessian_rank.values.ravel().tolist() == [14, 17]  # all but a rotation, and unused


@pytest.mark.slow
def test_snapshots_are_models():
    found = analysis.hessian(with_snapshots(5, 6), rounds=2)
    same = analysis.hessian(k_gons(5, 6), rounds=2)
    for name in found:
        np.testing.assert_allclose(found[name].values.ravel(), same[name].values.ravel(), rtol=1e-9)
    assert found.hessian_rank.dims[0] == "snapshot_step"
    for name, value in (("rounds", 0), ("step", 0)):
        with pytest.raises(ValueError, match=f"{name}=0"):
            analysis.hessian(k_gons(5, 6), **{name: value})
