"""Losses of given models, against plain NumPy, closed forms and a sweep's own."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import slow

import jsuper
from jsuper.analysis import theory
from jsuper.analysis.evaluation import evaluate, evaluate_sparse, r_squared, relative_loss

RNG = np.random.default_rng(0)
W, B = RNG.normal(size=(3, 2, 4)) * 0.7, RNG.normal(size=(3, 4)) * 0.3  # three models
X = RNG.uniform(size=(4, 30)) * (RNG.uniform(size=(4, 30)) < 0.6)
IMPORTANCE = np.array([1.0, 0.5, 0.25, 2.0])
SPARSITY = np.array([0.5, 0.9, 0.0, 0.8])


def softmax(z, axis):
    e = np.exp(z)
    return e / e.sum(axis=axis, keepdims=True)


NUMPY = {
    "relu": lambda z: np.maximum(z, 0),
    "softmax": lambda z: softmax(z, 0),
    "softmax_batch": lambda z: softmax(z, -1),
}


def squares(W, b, activation, x):
    """(x_i - x̂_i)² of x (n_features, ...), in float64."""
    z = np.einsum("ki,kj,j...->i...", W, W, x) + b.reshape(-1, *[1] * (x.ndim - 1))
    return (NUMPY[activation](z) - x) ** 2


# ---- on given inputs ----


@pytest.mark.parametrize("activation", NUMPY)
def test_given_inputs_are_evaluated_as_in_plain_numpy(activation):
    found = evaluate(W, B, activation, X, IMPORTANCE)
    for k in range(3):
        square = squares(W[k], B[k], activation, X)
        per_sample = IMPORTANCE @ square / 4
        assert found.loss[k] == pytest.approx(per_sample.mean(), rel=1e-12)
        assert found.stderr[k] == pytest.approx(per_sample.std(ddof=1) / math.sqrt(30), rel=1e-12)
        assert found.errors[k] == pytest.approx(square.mean(axis=1), rel=1e-12)
    single = evaluate(jnp.asarray(W), jnp.asarray(B), activation, X, IMPORTANCE)
    assert np.asarray(single.loss) == pytest.approx(found.loss, rel=1e-4)


# ---- on sparse features ----


@pytest.mark.parametrize("activation", NUMPY)
def test_sparse_features_give_the_loss_of_a_large_sample(activation):
    rng, batch = np.random.default_rng(1), 32
    x = rng.uniform(size=(4, 20_000, batch))
    x *= rng.uniform(size=x.shape) >= SPARSITY[:, None, None]
    square = squares(W[0], B[0], activation, x).mean(axis=2)  # a batch is a replicate
    loss, error = IMPORTANCE @ square / 4, square.std(axis=1)
    found = evaluate_sparse(W[0], B[0], activation, SPARSITY, IMPORTANCE, batch_size=batch)
    tolerance = 4 * math.hypot(found.stderr, loss.std() / math.sqrt(20_000))
    assert found.loss == pytest.approx(loss.mean(), abs=tolerance)
    assert found.loss == pytest.approx(np.mean(IMPORTANCE * found.errors), rel=1e-12)
    assert (np.abs(found.errors - square.mean(axis=1)) < 4 * error / math.sqrt(64)).all()
    assert tolerance < 0.15 * found.loss


def test_an_activation_over_the_batch_depends_on_its_size():
    small, large = (
        evaluate_sparse(W[0], B[0], "softmax_batch", SPARSITY, batch_size=size)
        for size in (32, 1024)
    )
    assert abs(small.loss - large.loss) > 5 * math.hypot(small.stderr, large.stderr)


@pytest.mark.parametrize("sparsity", [0.999, SPARSITY])
def test_sparse_losses_are_the_closed_forms(sparsity):
    zero, p = np.zeros((2, 4)), np.broadcast_to(1 - sparsity, 4)
    found = evaluate_sparse(zero, np.zeros(4), "relu", sparsity, IMPORTANCE)
    assert found.loss == pytest.approx(theory.zero_loss(p, IMPORTANCE), abs=4 * found.stderr)
    assert 0 < found.stderr < 0.005 * found.loss
    assert found.errors == pytest.approx(p / 3, rel=0.02)
    found = evaluate_sparse(zero, p / 2, "relu", sparsity, IMPORTANCE)
    assert found.loss == pytest.approx(theory.constant_loss(p, IMPORTANCE), abs=4 * found.stderr)
    exact = evaluate_sparse(np.eye(4), np.zeros(4), "relu", sparsity, IMPORTANCE)
    assert exact.loss == exact.stderr == 0


def test_the_standard_error_is_the_spread_of_losses():
    seeds = [evaluate_sparse(W, B, "relu", 0.9, rounds=8, seed=s) for s in range(6)]
    spread = np.std([found.loss for found in seeds], axis=0, ddof=1)
    stderr = np.sqrt(np.mean([found.stderr**2 for found in seeds], axis=0))
    ratio = np.sqrt(np.mean(spread**2 / stderr**2))
    assert 0.5 < ratio < 2  # 5 degrees of freedom for each of three models of common draws
    assert len({float(found.loss[0]) for found in seeds}) == 6
    again = evaluate_sparse(W, B, "relu", 0.9, rounds=8, seed=3)
    assert (again.loss == seeds[3].loss).all()


# ---- axes, kinds and functions ----

WAYS = {
    "given": lambda W, b: evaluate(W, b, "relu", X, IMPORTANCE),
    "sparse": lambda W, b: evaluate_sparse(W, b, "relu", 0.9, IMPORTANCE),
}


@pytest.mark.parametrize("way", WAYS)
def test_leading_axes_are_models(way):
    stacked = WAYS[way](np.stack([W, W[::-1]]), np.stack([B, B[::-1]]))
    assert [a.shape for a in stacked] == [(2, 3), (2, 3), (2, 3, 4)]
    one = WAYS[way](W[1], B[1])
    assert [a.shape for a in one] == [(), (), (4,)]
    for many, single in zip(stacked, one, strict=True):
        assert many[0, 1] == pytest.approx(single, rel=1e-12)
        assert many[1, 0] == pytest.approx(many[0, 2], rel=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_results_have_the_kind_and_dtype_of_the_weights(way):
    double = WAYS[way](W, B)
    assert all(isinstance(a, np.ndarray) and a.dtype == np.float64 for a in double)
    single = WAYS[way](W.astype(np.float32), B)
    assert all(isinstance(a, np.ndarray) and a.dtype == np.float32 for a in single)
    assert single.loss == pytest.approx(double.loss, rel=1e-4)
    assert jnp.ones(1, float).dtype == jnp.float32  # JAX's own setting is as before


@pytest.mark.parametrize("way", WAYS)
def test_arrays_of_jax_stay_so_under_jit_and_vmap(way):
    arrays, expected = (jnp.asarray(W), jnp.asarray(B)), WAYS[way](W, B)
    for found in (WAYS[way](*arrays), jax.jit(jax.vmap(WAYS[way]))(*arrays)):
        for a, b in zip(found, expected, strict=True):
            assert isinstance(a, jax.Array) and a.dtype == jnp.float32
            assert np.asarray(a) == pytest.approx(b, rel=1e-3)


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_is_not_finite_is_nan_and_only_itself(way):
    bad_W, bad_b, good = W.copy(), B.copy(), WAYS[way](W, B)
    bad_W[0, 1, 2], bad_b[2, 3] = np.inf, np.nan
    for found, fine in zip(WAYS[way](bad_W, bad_b), good, strict=True):
        assert np.isnan(found[[0, 2]]).all() and (found[1] == fine[1]).all()


@pytest.mark.parametrize(("axis", "name"), [slow(0, "softmax"), (-1, "softmax_batch")])
def test_functions_are_evaluated_like_the_registered_ones(axis, name):
    def function(z):
        return jax.nn.softmax(z, axis=axis)

    given = [evaluate(W, B, f, X).loss for f in (function, name)]
    sparse = [evaluate_sparse(W, B, f, 0.9, batch_size=16).loss for f in (function, name)]
    for found, expected in (given, sparse):
        assert found == pytest.approx(expected, rel=1e-12)


# ---- beside models without superposition ----


def test_losses_relative_to_models_without_superposition():
    p, importance = np.array([1.0, 0.5, 0.3]), np.array([1.0, 2.0, 4.0])
    variance = importance * (p / 3 - p * p / 4)
    assert list(variance.argsort()) == [0, 1, 2]
    loss = np.array([0.0, variance.mean(), variance[0] / 3])
    found = relative_loss(loss, p, importance, 2)
    assert found.over_constant == pytest.approx(loss / variance.mean())
    assert found.over_zero == pytest.approx(loss / np.mean(importance * p / 3))
    assert found.over_top == pytest.approx([0, variance.sum() / variance[0], 1])
    assert found.gain == pytest.approx(1 - found.over_top)


def test_nothing_is_gained_over_a_model_that_holds_every_feature():
    found = relative_loss(jnp.float32(0.1), 0.5, np.ones(3), 3)
    assert found.over_constant == pytest.approx(0.1 / (0.5 / 3 - 0.25 / 4))
    assert np.isnan(found.over_top) and np.isnan(found.gain)
    assert np.isnan(relative_loss(0.1, 0.5, np.ones(3), 3).over_top)
    assert all(isinstance(a, jax.Array) and a.dtype == jnp.float32 for a in found)


def test_rounds_and_seeds_are_whole_and_inputs_real():
    for wrong in ({"rounds": 2.5}, {"rounds": 1}, {"batch_size": 0}, {"seed": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.*whole number"):
            evaluate_sparse(W, B, "relu", 0.9, **wrong)
    x = np.full((W.shape[-1], 3), 1j)
    with pytest.raises(ValueError, match="real numbers"):
        evaluate(W, B, "relu", x)
    with pytest.raises(ValueError, match="masked"):
        evaluate(W, B, "relu", np.ma.masked_equal(np.ones((W.shape[-1], 3)), 1))
    with pytest.raises(ValueError, match="importance holds -1"):
        evaluate(W, B, "relu", np.ones((W.shape[-1], 3)), -1.0)
    with pytest.raises(ValueError, match="density holds 2"):
        r_squared(np.ones(3), 2.0)


def test_where_nothing_is_active_a_relative_loss_is_nan_without_a_warning():
    found = relative_loss(np.array([0.1, 0.2]), np.array([[0.0], [0.5]]), np.ones(3), 1)
    assert np.isnan(np.stack(found)[:, 0]).all() and np.isfinite(np.stack(found)[:, 1]).all()
    assert np.isnan(r_squared(np.ones(3), [0.0, 1.0, 1.0])).tolist() == [True, False, False]


def test_r_squared_is_1_of_perfect_and_0_of_constant_reconstruction():
    p = 1 - SPARSITY
    mean = evaluate_sparse(np.zeros((2, 4)), p / 2, "relu", SPARSITY)
    assert r_squared(mean.errors, p) == pytest.approx(np.zeros(4), abs=0.02)
    exact = evaluate_sparse(np.eye(4), np.zeros(4), "relu", SPARSITY)
    assert (r_squared(exact.errors, p) == 1).all()
    by_hand = r_squared(np.array([[1 / 12, 1 / 6]]), 1.0)
    assert by_hand == pytest.approx(np.array([[0.0, -1.0]]))


# ---- a sweep ----


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    sweep = jsuper.Sweep(
        activation=("relu", "softmax_batch"),
        sparsity=(0.9,),
        seeds=2,
        steps=200,
        n_features=5,
        n_hidden=2,
        batch_size=64,
    )
    return jsuper.run(sweep, tmp_path_factory.mktemp("run") / "run")


def test_a_sweeps_own_loss_is_found_again(ds):
    for name in ds.activation.values:
        own = ds.sel(activation=name).squeeze()
        weights, b, loss, stderr = (own[k].values for k in ("W", "b", "loss", "loss_stderr"))
        importance = 0.7 ** np.arange(5)
        found = evaluate_sparse(weights, b, str(name), 0.9, importance, batch_size=64, seed=9)
        assert found.loss.dtype == np.float32
        assert (np.abs(found.loss - loss) < 5 * np.hypot(found.stderr, stderr)).all()
        assert (found.stderr < 0.05 * loss).all()


# ---- errors ----


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluate(W, B, "rleu", X), "did you mean 'relu'"),
        (lambda: evaluate_sparse(W, B, "rleu", 0.9), "did you mean 'relu'"),
        (lambda: evaluate(W, B, 3, X), "neither a name nor a function"),
        (lambda: evaluate(W, B, "relu", X[:3]), r"x has shape \(3, 30\)"),
        (lambda: evaluate(W, B, "relu", X[:, :1]), "at least two samples"),
        (lambda: evaluate(W, B, "relu", X[:, 0]), r"x has shape \(4,\)"),
        (lambda: evaluate(W, B[0], "relu", X), r"b has shape \(4,\)"),
        (lambda: evaluate(B[0], B[0], "relu", X), r"W has shape \(4,\)"),
        (lambda: evaluate(W, B, "relu", X, np.ones(3)), r"importance has shape \(3,\)"),
        (lambda: evaluate_sparse(W, B, "relu", 1.0), r"sparsity=1.0 is not in \[0, 1\)"),
        (lambda: evaluate_sparse(W, B, "relu", [0.5, -0.1, 0, 0]), "is not in"),
        (lambda: evaluate_sparse(W, B, "relu", np.nan), "is not in"),
        (lambda: evaluate_sparse(W, B, "relu", [0.5, 0.5]), r"sparsity has shape \(2,\)"),
        (lambda: evaluate_sparse(W, B, "relu", 0.5, rounds=1), "rounds=1"),
        (lambda: relative_loss(0.1, 0.5, np.ones(3), 0), "n_hidden=0"),
        (lambda: r_squared(np.ones(3), [0.5, 0.5]), r"density has shape \(2,\)"),
    ],
)
def test_arguments_that_do_not_fit_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
