"""Training on a fixed dataset: its samples, the order of batches, and what is measured on it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_training import adamw_training
from running import slow

import jsuper
from jsuper.models.toy.draws import chosen
from jsuper.models.toy.inputs.features import importance
from jsuper.models.toy.inputs.law import Numbers, inputs_of

KEY = jsuper.seed_key(4)
N, M, T = 8, 2, 30
VALUES = dict(n_features=N, n_hidden=M, sparsity=0.7, activation="relu", seeds=(4,), records=4)


def samples(count, normalize=False, p=0.3, n=N):
    """The dataset of seed 4, (n, count), in float64."""
    law = inputs_of({"normalize": normalize})
    with jax.enable_x64(True):
        numbers = Numbers(jnp.float64(p))
        return np.asarray(jax.jit(lambda: law.sample(law.dataset(KEY, n, count), numbers))())


@pytest.mark.parametrize("normalize", [False, slow(True)])
def test_samples_are_the_first_ones_of_every_larger_dataset(normalize):
    large = samples(1000, normalize)
    for count in (1, 7, 30, 999):
        assert samples(count, normalize) == pytest.approx(large[:, :count], abs=1e-12)
    assert len(np.unique(large[:, large.any(axis=0)], axis=1).T) > (700 if normalize else 900)


def test_samples_have_the_law_of_fresh_ones():
    x = samples(100_000)
    active = x > 0
    assert active.mean(axis=1) == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / 1e5))
    assert x[active].mean() == pytest.approx(0.5, abs=0.01)
    assert not (x == np.asarray(jsuper.sample(KEY, 0.7, N, 100_000))).all()


def test_normalized_samples_have_length_1_and_the_direction_of_nonzero_ones():
    x = samples(100_000, normalize=True)
    assert np.linalg.norm(x, axis=0) == pytest.approx(1, abs=1e-6)
    fresh = np.asarray(jsuper.sample(KEY, 0.7, N, 200_000), np.float64)
    fresh = fresh[:, fresh.any(axis=0)]
    fresh /= np.linalg.norm(fresh, axis=0)
    assert x.mean(axis=1) == pytest.approx(fresh.mean(axis=1), abs=0.01)
    assert (x > 0).mean(axis=1) == pytest.approx((fresh > 0).mean(axis=1), abs=0.01)
    assert x @ x.T / x.shape[1] == pytest.approx(fresh @ fresh.T / fresh.shape[1], abs=0.01)


@pytest.mark.parametrize(("count", "batch"), [(30, 10), (31, 10), (7, 7), (8, 5)])
def test_an_epoch_goes_through_the_samples_once_in_its_own_order(count, batch):
    at = jax.jit(lambda step: jnp.arange(count)[chosen(KEY, step, count, batch)])
    per_epoch, orders = count // batch, []
    for epoch in range(3):
        steps = range(epoch * per_epoch, (epoch + 1) * per_epoch)
        order = np.concatenate([np.asarray(at(jnp.int32(step))) for step in steps])
        assert len(set(order.tolist())) == per_epoch * batch <= count
        orders.append(order.tolist())
    same = batch == count
    assert all((a == b) == same for a, b in itertools.combinations(orders, 2))


@pytest.mark.slow
@pytest.mark.parametrize("normalize", [slow(False), True])
def test_full_batches_are_trained_and_measured_as_by_numpy(normalize):
    sweep = jsuper.Sweep(
        **VALUES,
        dataset_size=T,
        full_batch=True,
        normalize=normalize,
        hidden_vectors=True,
        learning_rate=3e-3,
        weight_decay=0,
        steps=60,
        dtype="float64",
    )
    ds = jsuper.run(sweep, progress=False).squeeze()
    x = samples(T, normalize)
    W, b = adamw_training(lambda step: x, 60, KEY, (N, M))
    assert ds.W.values == pytest.approx(W, abs=1e-6)
    assert ds.b.values == pytest.approx(b, abs=1e-6)
    error = importance(0.7, N)[:, None] * (np.maximum(W.T @ W @ x + b[:, None], 0) - x) ** 2
    assert float(ds.train_loss) == pytest.approx(error.mean(), rel=1e-5)
    assert ds.hidden_vectors.dims == ("hidden", "example")
    assert ds.hidden_vectors.values == pytest.approx(W @ x, abs=1e-6)
    fresh = samples(10**6, normalize)[:, T:]
    error = importance(0.7, N)[:, None] * (np.maximum(W.T @ W @ fresh + b[:, None], 0) - fresh) ** 2
    assert float(ds.loss) == pytest.approx(error.mean(), rel=0.02)
    constant = (importance(0.7, N) * fresh.var(axis=1)).mean()
    assert float(ds.loss_over_constant) == pytest.approx(error.mean() / constant, rel=0.04)


def test_mini_batches_are_trained_as_by_numpy():
    sweep = jsuper.Sweep(
        **VALUES,
        dataset_size=T,
        batch_size=8,
        learning_rate=3e-3,
        weight_decay=0,
        steps=20,
        dtype="float64",
        check_fit=False,
    )
    ds = jsuper.run(sweep, progress=False).squeeze()
    x = samples(T)
    at = jax.jit(lambda step: chosen(KEY, step, T, 8))
    W, _ = adamw_training(lambda step: x[:, np.asarray(at(jnp.int32(step)))], 20, KEY, (N, M))
    assert ds.W.values == pytest.approx(W, abs=1e-6)


@pytest.mark.slow
def test_datasets_of_several_sizes_and_sparsities_are_trained_alike_by_every_plan():
    sweep = jsuper.Sweep(
        **VALUES
        | dict(sparsity=(0.7, 0.95), activation=("relu", "gelu"), seeds=2, dataset_size=(5, 64)),
        full_batch=True,
        steps=300,
    )
    found = {plan: jsuper.run(sweep, progress=False, plan=plan) for plan in ("rows", "vmapped")}
    rows, whole = found["rows"], found["vmapped"]
    for name in ("W", "train_loss", "loss"):
        assert np.allclose(rows[name], whole[name], rtol=2e-3, atol=1e-5), name
    few, many = (rows.sel(dataset_size=size) for size in (5, 64))
    assert (few.train_loss < few.loss).mean() > 0.9
    assert float(few.loss.mean()) > float(many.loss.mean())
    ds = jsuper.analyze(rows)
    assert ds.train_loss.notnull().all() and ds.gain.notnull().all()


@pytest.mark.slow
def test_normalized_models_have_no_measure_that_needs_their_variance():
    sweep = jsuper.Sweep(**VALUES, normalize=True, steps=30, batch_size=64)
    ds = jsuper.analyze(jsuper.run(sweep, progress=False))
    for name in ("gain", "r_squared", "neuron_kurtosis", "loss_over_zero"):
        assert ds[name].isnull().all(), name
    assert ds.feature_error.notnull().all() and ds.basis_kurtosis.notnull().all()
    assert "train_loss" not in ds


def test_a_batch_size_that_has_no_effect_is_noted():
    sweep = jsuper.Sweep(activation="relu", dataset_size=50, full_batch=True)
    assert not any("full_batch" in note for note in sweep.notes())
    other = jsuper.Sweep(activation="relu", dataset_size=50, full_batch=True, batch_size=64)
    assert "batch_size has no effect with full_batch" in other.notes()
