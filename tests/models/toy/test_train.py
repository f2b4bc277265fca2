"""Training one model, against plain NumPy, closed forms and itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sparse_features import draw, features

import jsuper
from jsuper.models.toy.config import Static, make_setting
from jsuper.models.toy.inputs.features import importance
from jsuper.models.toy.train import make_train
from jsuper.training import keys
from jsuper.training.optimizers import OPTIMIZERS

SMALL = {"n_features": 6, "n_hidden": 2, "batch_size": 64}


def numpy_training(static, point, seed):
    """The notebook's training in float64 NumPy with the model's own draws: ReLU, no dropout."""
    n, m, p = static.n_features, static.n_hidden, 1 - point["sparsity"]
    key, rate, decay = jsuper.seed_key(seed), point["learning_rate"], point["weight_decay"]
    init_key = keys.stream(key, keys.INIT)
    W = (
        np.asarray(jax.random.normal(init_key, (m, n), np.float32), np.float64)
        * (2 / (n + m)) ** 0.5
    )
    theta = [W, np.zeros(n)]
    first, second = [np.zeros_like(t) for t in theta], [np.zeros_like(t) for t in theta]
    weights = importance(0.7, n)[:, None]

    @jax.jit  # compiled once, not traced in every step
    def batch(step):
        u = draw(keys.stream(key, keys.DATA, step), n, static.batch_size)
        return features(u, jnp.float32(p))

    for step in range(static.steps):
        x = np.asarray(batch(step), np.float64)
        W, b = theta
        h = W @ x
        z = W.T @ h + b[:, None]
        dz = 2 * weights * (np.maximum(z, 0) - x) * (z > 0) / x.size
        grads = [h @ dz.T + (W @ dz) @ x.T, dz.sum(axis=1)]
        for i, g in enumerate(grads):
            coupled = g + decay * theta[i]
            t = step + 1
            if static.optimizer in ("adamw", "adam"):
                g = g if static.optimizer == "adamw" else coupled
                first[i] = 0.9 * first[i] + 0.1 * g
                second[i] = 0.999 * second[i] + 0.001 * g**2
                update = first[i] / (1 - 0.9**t)
                update = update / (np.sqrt(second[i] / (1 - 0.999**t)) + 1e-8)
                update = update + (decay * theta[i] if static.optimizer == "adamw" else 0)
            elif static.optimizer in ("sgd", "sgdw"):
                apart = static.optimizer == "sgdw"
                first[i] = static.momentum * first[i] + (g if apart else coupled)
                update = first[i] + (decay * theta[i] if apart else 0)
            else:
                second[i] = 0.99 * second[i] + 0.01 * coupled**2
                update = coupled / (np.sqrt(second[i]) + 1e-8)
            theta[i] = theta[i] - rate * update
    return theta


@pytest.mark.parametrize(
    "optimizer",
    [
        name if name == "adamw" else pytest.param(name, marks=pytest.mark.slow)
        for name in OPTIMIZERS
    ],
)
def test_training_is_that_of_plain_numpy(optimizer):
    rate = 0.3 if optimizer.startswith("sgd") else 3e-3
    point = {"sparsity": 0.7, "learning_rate": rate, "weight_decay": 0.05}
    with jax.enable_x64(True):
        static = Static(steps=60, optimizer=optimizer, dtype="float64", **SMALL)
        result = jax.jit(make_train(static))(make_setting(static, point | RELU), jsuper.seed_key(4))
        W, b = numpy_training(static, point, 4)
    assert np.asarray(result["W"]) == pytest.approx(W, rel=1e-5, abs=1e-6)
    assert np.asarray(result["b"]) == pytest.approx(b, rel=1e-5, abs=1e-6)


RELU = {"activation": "relu"}


@pytest.mark.slow
def test_a_schedule_changes_the_training():
    ds = [
        jsuper.run(
            jsuper.Sweep(activation="relu", sparsity=0.5, seeds=1, steps=50, schedule=s, **SMALL),
            progress=False,
        )
        for s in ("constant", "linear", "cosine")
    ]
    assert abs(ds[0].W - ds[1].W).max() > 1e-4
    assert abs(ds[1].W - ds[2].W).max() > 1e-4


def test_a_model_alone_is_the_same_model_in_a_sweep():
    sweep = jsuper.Sweep(
        activation=("tanh", "relu"), sparsity=(0.5, 0.9), seeds=2, steps=40, **SMALL
    )
    ds = jsuper.run(sweep, progress=False).sel(activation="relu", sparsity=0.9, seed=1)
    static = Static(steps=40, **SMALL)
    point = {"activation": "relu", "sparsity": 0.9}
    result = jax.jit(make_train(static))(make_setting(static, point), jsuper.seed_key(1))
    for name in ("W", "b", "loss", "loss_stderr", "loss_over_constant", "loss_curve"):
        assert np.asarray(result[name]) == pytest.approx(ds[name].values, rel=2e-4, abs=1e-6), name
    assert result["status"] == 1 and result["first_bad_step"] == -1


@pytest.mark.slow
def test_the_learning_rate_can_be_differentiated_through_training():
    static = Static(steps=20, records=1, **SMALL)
    train, key = make_train(static), jsuper.seed_key(0)
    base = make_setting(static, RELU | {"sparsity": 0.5})

    def first_weight(rate):
        return train(base.replace(learning_rate=rate), key)["W"][0, 0]

    _, slope = jax.jvp(first_weight, (jnp.float32(1e-3),), (jnp.float32(1.0),))
    near = [float(first_weight(jnp.float32(r))) for r in (0.9e-3, 1.1e-3)]
    assert float(slope) == pytest.approx((near[1] - near[0]) / 2e-4, rel=0.02)


@pytest.mark.slow
def test_curve_and_snapshots_show_the_training():
    sweep = jsuper.Sweep(
        activation="relu",
        sparsity=0.5,
        seeds=2,
        steps=45,
        records=10,
        snapshots=(0, 7, 45),
        **SMALL,
    )
    ds = jsuper.run(sweep, progress=False).squeeze(["activation", "sparsity"])
    assert list(ds.step.values) == list(range(0, 45, 5))
    assert list(ds.snapshot_step.values) == [0, 7, 45]
    assert (ds.W_snapshots.sel(snapshot_step=45) == ds.W).all()
    shorter = jsuper.run(
        jsuper.Sweep(activation="relu", sparsity=0.5, seeds=2, steps=7, **SMALL), progress=False
    )
    seven = ds.W_snapshots.sel(snapshot_step=7).values
    assert seven == pytest.approx(shorter.W.values.squeeze(), abs=1e-6)
    key = jsuper.seed_key(1)
    x = features(draw(keys.stream(key, keys.DATA, 0), 6, 64), jnp.float32(0.5))
    W0 = ds.W_snapshots.sel(snapshot_step=0, seed=1).values
    error = jsuper.forward(W0, np.zeros(6), "relu", x) - x
    loss = np.mean(importance(0.7, 6)[:, None] * np.asarray(error) ** 2)
    assert float(ds.loss_curve.sel(step=0, seed=1)) == pytest.approx(loss, rel=1e-5)
    assert float(ds.loss_curve.sel(step=40).mean()) < float(ds.loss_curve.sel(step=0).mean())


@pytest.mark.slow
def test_the_loss_is_that_of_a_large_plain_sample():
    names = ("relu", "sigmoid", "softmax", "softmax_batch", "solu_batch")
    sweep = jsuper.Sweep(activation=names, sparsity=(0.0, 0.9, 0.99), seeds=1, steps=100, **SMALL)
    ds = jsuper.run(sweep, progress=False).isel(seed=0)
    assert float((ds.loss_stderr / ds.loss).max()) <= 0.005
    weights = importance(0.7, 6)[:, None]
    for sparsity in sweep.axes["sparsity"]:
        x = jsuper.sample(jax.random.key(99), sparsity, 6, 64 * 8000).reshape(6, 8000, 64)
        x = x.transpose(1, 0, 2)  # batches of the training size, for what couples them
        for name in names:
            cell = ds.sel(activation=name, sparsity=sparsity)
            x_hat = jax.vmap(jsuper.forward, (None, None, None, 0))(
                cell.W.values, cell.b.values, name, x
            )
            losses = np.asarray((weights * (x_hat - x) ** 2).mean(axis=(1, 2)), np.float64)
            error = np.hypot(losses.std() / np.sqrt(len(losses)), float(cell.loss_stderr))
            assert abs(losses.mean() - float(cell.loss)) < 5 * error, (name, sparsity)


@pytest.mark.slow
def test_dropout_is_off_when_the_loss_is_measured():
    sweep = jsuper.Sweep(
        activation="relu", sparsity=0.5, dropout=(0.0, 0.5), seeds=2, steps=60, **SMALL
    )
    ds = jsuper.run(sweep, progress=False).squeeze(["activation", "sparsity"])
    cell = ds.sel(dropout=0.5, seed=1)
    x = jsuper.sample(jax.random.key(5), 0.5, 6, 200_000)
    error = jsuper.forward(cell.W.values, cell.b.values, "relu", x) - x
    loss = float(jnp.mean(importance(0.7, 6)[:, None] * error**2))
    assert float(cell.loss) == pytest.approx(loss, rel=0.02)
    assert abs(ds.sel(dropout=0.0).W - ds.sel(dropout=0.5).W).max() > 1e-3


@pytest.mark.filterwarnings("ignore:.* models are not finite:RuntimeWarning")
def test_a_diverged_model_is_counted_and_spoils_no_other():
    def run(rates):
        sweep = jsuper.Sweep(
            activation="exp", sparsity=0.5, learning_rate=rates, seeds=2, steps=30, **SMALL
        )
        return jsuper.run(sweep, progress=False).squeeze(["activation", "sparsity"])

    mixed, ordinary = run((1e-3, 1e30, 2e-3)), run((1e-3, 3e-3, 2e-3))
    bad = mixed.sel(learning_rate=1e30)
    assert (bad.status == 2).all() and (bad.first_bad_step >= 0).all()
    assert (bad.first_bad_step <= 2).all()
    assert np.isnan(bad.loss).all() and np.isfinite(bad.W).all()
    for rate in (1e-3, 2e-3):
        a, b = mixed.sel(learning_rate=rate), ordinary.sel(learning_rate=rate)
        assert (a.status == 1).all()
        for name in ("W", "b", "loss", "loss_curve"):
            assert (a[name].values == b[name].values).all(), name


def test_a_linear_model_reaches_the_best_linear_loss():
    """PCA: the top m features exactly, and the mean of the others through the bias."""
    n, m, p = 8, 3, 0.3
    sweep = jsuper.Sweep(
        activation="identity",
        sparsity=1 - p,
        seeds=3,
        steps=3000,
        n_features=n,
        n_hidden=m,
        learning_rate=0.01,
        schedule="cosine",
        weight_decay=0.0,
    )
    ds = jsuper.run(sweep, progress=False)
    best = importance(0.7, n)[m:].sum() * (p / 3 - p**2 / 4) / n
    assert ds.loss.values == pytest.approx(best, rel=0.01)


EQUAL = (
    ("celu", "elu"),
    ("silu", "swish"),
    ("relu6", "relu"),
    ("elu(1)", "elu"),
    ("elu(0)", "relu"),
)


@pytest.fixture(scope="module")
def of_equal_functions():
    names = tuple(dict.fromkeys(name for pair in EQUAL for name in pair))
    sweep = jsuper.Sweep(activation=names, sparsity=(0.7, 0.99), seeds=2, steps=200)
    return jsuper.run(sweep, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_functions_give_equal_models(of_equal_functions, one, other):
    a, b = (of_equal_functions.sel(activation=name) for name in (one, other))
    assert float(abs(a.W - b.W).max()) <= 1e-5 * float(abs(a.W).max())
    assert a.loss.values == pytest.approx(b.loss.values, rel=1e-3)


@pytest.mark.slow
def test_float64_follows_float32():
    sweep = jsuper.Sweep(
        activation=("relu", "gelu"),
        sparsity=(0.5, 0.99),
        dtype=("float32", "float64"),
        seeds=1,
        steps=100,
        n_features=8,
        n_hidden=3,
    )
    ds = jsuper.run(sweep, progress=False)
    single, double = (ds.W.sel(dtype=t).values for t in ("float32", "float64"))
    assert ds.W.dtype == np.float64
    assert 0 < abs(single - double).max() < 1e-5


@pytest.mark.slow
def test_an_optimizers_own_learning_rate_takes_the_place_of_the_sweeps():
    sweep = jsuper.Sweep(activation="relu", sparsity=0.5, seeds=1, steps=50, batch_size=64)
    own = jsuper.run(dataclasses.replace(sweep, optimizer=("sgd(0.25)", "adam")), progress=False)
    plain = jsuper.run(
        dataclasses.replace(sweep, optimizer="sgd", learning_rate=0.25), progress=False
    )
    assert (own.W.sel(optimizer="sgd(0.25)") == plain.W).all()
    plain = jsuper.run(dataclasses.replace(sweep, optimizer="adam"), progress=False)
    assert (own.W.sel(optimizer="adam") == plain.W).all()
