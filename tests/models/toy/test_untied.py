"""Untied weights, and the protocol of a published study: summed loss, a shared support, a drawn b.

The study is github.com/zroe1/toy-models-of-superposition.
"""

import dataclasses
import tomllib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from sparse_features import draw

import jsuper
from jsuper import plots
from jsuper.analysis import dropout, evaluation, gating, superposition
from jsuper.analysis.metrics import toy as measures
from jsuper.cli import options as flags
from jsuper.models.toy import model
from jsuper.models.toy.batches import batch_of
from jsuper.models.toy.config import Static, arrange, make_setting, make_static
from jsuper.models.toy.draws import make_draws
from jsuper.models.toy.gradient import make_batch_loss, make_gradient
from jsuper.models.toy.inputs.features import importance
from jsuper.models.toy.inputs.law import Numbers, inputs_of
from jsuper.models.toy.model import Params
from jsuper.models.toy.rows import step_gradient
from jsuper.models.toy.train import make_train
from jsuper.training import keys
from jsuper.training.keys import unpaired_key

KEY = jsuper.seed_key(3)
RNG = np.random.default_rng(0)
TINY = {"n_features": 6, "n_hidden": 2, "batch_size": 64, "steps": 40, "records": 4}
VALUES = {
    "n_features": 20,
    "n_hidden": 5,
    "batch_size": 256,
    "feature_sparsity": None,
    "unpaired": False,
}
POINT = {"activation": "relu", "sparsity": 0.7, "learning_rate": 3e-3, "weight_decay": 0.05}


# ---- against plain NumPy ----


def numpy_training(static, point, seed):
    """Training in float64 NumPy with the model's own draws: ReLU, AdamW or RMSprop."""
    n, m, p = static.n_features, static.n_hidden, 1 - point["sparsity"]
    key, rate, decay = jsuper.seed_key(seed), point["learning_rate"], point["weight_decay"]
    first = model.init_params(
        keys.stream(key, keys.INIT),
        m,
        n,
        model.init_std(static.init, n, m, static.init_scale, 1),
        "float32",
        tied=static.tied,
        bias_std=static.init_bias_scale,
    )
    theta = [np.asarray(a, np.float64) for a in (first.W, first.b, first.W_dec) if a is not None]
    means, squares = ([np.zeros_like(t) for t in theta] for _ in range(2))
    batches = drawn(key, keys.DATA, static, static.batch_size).astype(np.float64)
    supports = drawn(key, keys.SUPPORT, static, 1)
    for step, (u, support) in enumerate(zip(batches, supports, strict=True)):
        if not static.inputs.support.narrow:  # shared
            x = np.where(support < np.float32(p), u, 0)
        else:
            x = np.where(u < np.float32(p), u / p, 0)
        W, b, read = (*theta, theta[0])[:3]
        h = W @ x
        z = read.T @ h + b[:, None]
        dz = 2 * importance(0.7, n)[:, None] * (np.maximum(z, 0) - x) * (z > 0)
        dz = dz if static.reduction == "sum" else dz / x.size
        at_W, at_read = (read @ dz) @ x.T, h @ dz.T
        grads = [at_W + (at_read if static.tied else 0), dz.sum(axis=1), at_read][: len(theta)]
        for i, g in enumerate(grads):
            t, adamw = step + 1, static.optimizer == "adamw"
            g = g if adamw else g + decay * theta[i]
            means[i] = 0.9 * means[i] + 0.1 * g
            share = 0.001 if adamw else 0.01
            squares[i] = (1 - share) * squares[i] + share * g**2
            if adamw:
                root = np.sqrt(squares[i] / (1 - 0.999**t))
                update = means[i] / (1 - 0.9**t) / (root + 1e-8) + decay * theta[i]
            else:
                update = g / (np.sqrt(squares[i]) + 1e-8)
            theta[i] = theta[i] - rate * update
    return theta


def drawn(key, stream, static, width):
    """Draws (steps, n_features, width) of a stream."""
    one = jax.jit(lambda step: draw(keys.stream(key, stream, step), static.n_features, width))
    return np.stack([np.asarray(one(step)) for step in range(static.steps)])


STUDY = {"init": "normal", "init_bias_scale": 1.0, "optimizer": "rmsprop"}


@pytest.mark.parametrize(
    "options",
    [
        {"tied": False},
        {"reduction": "sum", **STUDY},
        {"shared_mask": True},
        {"tied": False, "reduction": "sum", "shared_mask": True, **STUDY},
    ],
    ids=["untied", "sum", "shared", "all"],
)
def test_training_is_that_of_plain_numpy(options):
    with jax.enable_x64(True):
        values = TINY | {"dtype": "float64", "records": 1, "inputs": inputs_of(options)} | options
        static = Static(**{k: v for k, v in values.items() if k != "shared_mask"})
        train = jax.jit(
            lambda s, k: make_train(static).advance(
                make_train(static).init(s, k), s, k, jnp.int32(0), static.steps
            )
        )
        params = train(make_setting(static, POINT), jsuper.seed_key(4)).params
        expected = numpy_training(static, POINT, 4)
    got = (params.W, params.b, params.W_dec)[: len(expected)]
    assert (params.W_dec is None) == static.tied
    for a, b in zip(got, expected, strict=True):
        assert np.asarray(a) == pytest.approx(b, rel=1e-5, abs=1e-6)


# ---- one model ----


def untied_params(m=5, n=20, gated=False):
    shapes = [(m, n), n, (m, n), n, (m, n)]
    W, b, V, c, W_dec = (jnp.float32(RNG.normal(0, 0.4, s)) for s in shapes)
    return Params(W, b, V, c, W_dec) if gated else Params(W, b, W_dec=W_dec)


def test_forward_reads_with_the_decoders_own_matrix():
    params, x = untied_params(2, 6), RNG.uniform(size=(6, 9))
    W, b, W_dec = (np.asarray(a, np.float64) for a in (params.W, params.b, params.W_dec))
    expected = np.maximum(W_dec.T @ (W @ x) + b[:, None], 0)
    got = jsuper.forward(W, b, "relu", x, W_dec=W_dec)
    assert np.asarray(got) == pytest.approx(expected, abs=1e-6)
    tied, same = jsuper.forward(W, b, "relu", x), jsuper.forward(W, b, "relu", x, W_dec=W)
    assert (np.asarray(tied) == np.asarray(same)).all()
    for function in (jsuper.forward, evaluation.evaluate):
        with pytest.raises(ValueError, match=r"W_dec has shape \(6, 2\) but W \(2, 6\)"):
            function(W, b, "relu", x, W_dec=W_dec.T)


@pytest.mark.parametrize("gated", [False, True], ids=["", "gated"])
def test_gradients_of_untied_models_are_those_of_the_plain_loss(gated):
    """Single models and rows, whole and narrow batches, with dropout and without."""
    names = ("geglu",) if gated else ("relu", "softmin")
    settings = [
        {"activation": name, "sparsity": sparsity, "dropout": dropout}
        for sparsity in (0.99, 0.5)[: 2 - gated]
        for name in names
        for dropout in (0.0, 0.3)
    ]
    static = make_static(VALUES | {"tied": False}, [settings], "rows")
    assert static.widths and static.rows == 2 - gated and not static.tied
    params = untied_params(gated=gated)
    made = [make_setting(static, settings[i]) for i in arrange(static, settings)]
    stacked = jax.tree.map(lambda *a: np.stack(a), *made)
    draws = jax.jit(make_draws, static_argnums=0)(static, KEY, jnp.int32(11), stacked)
    plain, single = jax.grad(make_batch_loss(static)), make_gradient(static)
    expected, *found = jax.jit(
        lambda s: jax.lax.map(lambda s: [f(params, s, draws) for f in (plain, single)], s)
    )(stacked)
    repeated = jax.tree.map(lambda a: jnp.stack([a] * len(made)), params)
    of_step = jax.vmap(step_gradient(static, True), (0, 0, None, None))
    found.append(jax.jit(of_step)(repeated, stacked, KEY, jnp.int32(11)))
    for got in found:
        for a, b in zip(*map(jax.tree.leaves, (got, expected)), strict=True):
            assert np.asarray(a) == pytest.approx(np.asarray(b), abs=1e-5 * float(abs(b).max()))


def test_every_initial_array_has_draws_of_its_own_and_w_is_always_the_same():
    sizes = (40, 50, 0.2, "float32")
    plain, both = (
        model.init_params(KEY, *sizes),
        model.init_params(KEY, *sizes, gated=True, tied=False, bias_std=0.5),
    )
    assert (plain.W == both.W).all() and (plain.b == 0).all() and plain.W_dec is None
    matrices = [np.ravel(a) for a in (both.W, both.V, both.W_dec)]
    assert np.std(matrices, axis=1) == pytest.approx([0.2] * 3, rel=0.05)
    assert abs(np.corrcoef(matrices) - np.eye(3)).max() < 0.1
    biases = [model.init_params(KEY, 5, 4000, 1.0, "float32", gated=True, bias_std=0.5)][0]
    assert np.std([biases.b, biases.c], axis=1) == pytest.approx([0.5] * 2, rel=0.05)
    assert abs(np.corrcoef(biases.b, biases.c)[0, 1]) < 0.1


# ---- a support that the batch shares ----


def shared(sparsity, steps=1, **values):
    """Batches (steps, n_features, batch) of a sparsity."""
    point = {"activation": "relu", "sparsity": sparsity, "dropout": 0.0}
    values = VALUES | {"shared_mask": True} | values
    static = make_static(values, [[point]], "rows")
    assert static.widths == ()
    setting = make_setting(static, values | point)

    def batch(step):
        return batch_of(static, setting, make_draws(static, KEY, step, setting).whole)[0]

    return np.asarray(jax.jit(jax.vmap(batch))(jnp.arange(steps)))


def test_a_shared_support_is_that_of_every_sample_and_nested():
    batches = {s: shared(s, 400) for s in (0.3, 0.9)}
    active = {s: (x > 0).mean(axis=2) for s, x in batches.items()}
    for sparsity, share in active.items():
        assert ((share == 0) | (share > 0.99)).all()  # a value may be drawn as 0
        on = share > 0
        error = np.sqrt(sparsity * (1 - sparsity) / on.size)
        assert abs(on.mean() - (1 - sparsity)) < 4 * error
        values = batches[sparsity][on]
        assert abs(values.mean() - 0.5) < 5 / np.sqrt(12 * values.size)
        assert abs((values**2).mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / values.size)
    assert ((active[0.9] > 0) <= (active[0.3] > 0)).all()
    both = active[0.9] > 0
    assert (batches[0.9][both] == batches[0.3][both]).all()


def test_a_shared_support_takes_a_density_per_feature_and_float64():
    sparsities = tuple(np.linspace(0, 0.95, 20))
    x = shared(0.5, 500, feature_sparsity=sparsities)
    on = (x > 0).any(axis=2).mean(axis=0)
    assert on == pytest.approx(1 - np.array(sparsities), abs=0.1)
    law, draws = (
        inputs_of({"support": "shared"}),
        (draw(KEY, 20, 8), draw(jsuper.seed_key(1), 20, 1)),
    )
    with jax.enable_x64(True):
        double = np.asarray(law.batch(draws, Numbers(jnp.float64(0.4))))
    assert double.dtype == np.float64
    assert double == pytest.approx(np.asarray(law.batch(draws, Numbers(jnp.float32(0.4)))))


# ---- whole sweeps ----

SWEEP = jsuper.Sweep(
    activation=("relu", "softmin"),
    sparsity=(0.5, 0.99),
    tied=(True, False),
    reduction="sum",
    seeds=2,
    **TINY,
)


@pytest.fixture(scope="module")
def ds():
    return jsuper.run(SWEEP, progress=False)


def test_tied_and_untied_models_stand_beside_each_other(ds):
    assert ds.tied.values.tolist() == [True, False] and ds.W_dec.dims == ds.W.dims
    assert ds.W_dec.sel(tied=True).isnull().all() and ds.W_dec.sel(tied=False).notnull().all()
    alone = jsuper.run(dataclasses.replace(SWEEP, tied=True), progress=False)
    assert (ds.W.sel(tied=True) == alone.W).all() and "W_dec" not in alone


@pytest.mark.parametrize("batching", ["reference", "vmapped"])
def test_every_plan_trains_them_alike(batching, ds):
    """In `ds` two activations share a row, and a batch is narrow at sparsity .99."""
    sweep = dataclasses.replace(SWEEP, activation="softmin", tied=False)
    got = jsuper.run(sweep, plan=batching, progress=False).isel(activation=0)
    rows = ds.sel({"activation": "softmin", "tied": False})
    for name in ("W", "b", "W_dec"):
        assert got[name].values == pytest.approx(rows[name].values, abs=2e-5)
    assert got.loss.values == pytest.approx(rows.loss.values, rel=1e-3)


def test_models_that_share_a_support_are_trained_alike_by_every_plan():
    """Rows of models against single ones, on whole batches."""
    settings = [
        {"activation": name, "sparsity": s, "dropout": 0.0}
        for s in (0.3, 0.9)
        for name in ("relu", "gelu")
    ]
    static = make_static(VALUES | {"shared_mask": True}, [settings], "rows")
    assert static.widths == () and static.rows == 2
    stacked = jax.tree.map(lambda *a: np.stack(a), *[make_setting(static, s) for s in settings])
    W, b = (jnp.float32(RNG.normal(0, 0.4, s)) for s in ((5, 20), 20))
    params = jax.tree.map(lambda a: jnp.stack([a] * 4), Params(W, b))
    of_step = jax.vmap(step_gradient(static, True), (0, 0, None, None))
    rows = jax.jit(of_step)(params, stacked, KEY, jnp.int32(3))
    plain = jax.grad(make_batch_loss(static))
    draws = make_draws(static, KEY, jnp.int32(3))
    expected = jax.lax.map(lambda s: plain(Params(W, b), s, draws), stacked)
    for a, e in zip(*map(jax.tree.leaves, (rows, expected)), strict=True):
        assert np.asarray(a) == pytest.approx(np.asarray(e), abs=1e-5 * float(abs(e).max()))


def test_the_loss_is_the_mean_of_the_untied_model_whatever_is_trained_on(ds):
    cell = ds.sel(activation="softmin", sparsity=0.5, tied=False, seed=1)
    W, b, W_dec = (cell[k].values for k in ("W", "b", "W_dec"))
    weights, x = importance(0.7, 6), jsuper.sample(jax.random.key(5), 0.5, 6, 200_000)
    error = jsuper.forward(W, b, "softmin", x, W_dec=W_dec) - x
    assert float(cell.loss) == pytest.approx(float(jnp.mean(weights[:, None] * error**2)), rel=0.02)
    for found in (
        evaluation.evaluate(W, b, "softmin", np.asarray(x), weights, W_dec=W_dec),
        evaluation.evaluate_sparse(W, b, "softmin", 0.5, weights, W_dec=W_dec),
        dropout.dropout_loss(W, b, "softmin", 0.3, 0.5, weights, W_dec=W_dec),
    ):
        assert float(found[0]) == pytest.approx(float(cell.loss), rel=0.03)
    assert float(cell.loss_curve[-1]) == pytest.approx(float(cell.loss), rel=0.3)


def test_the_analysis_reads_with_the_decoders_own_matrix(ds):
    found = jsuper.analyze(ds)
    at = {"activation": "softmin", "sparsity": 0.5, "seed": 1}
    untied, tied = (found.sel(at | {"tied": t}) for t in (False, True))
    W, W_dec = untied.W.values, untied.W_dec.values
    assert untied.own_weight.values == pytest.approx(np.diag(W_dec.T @ W), rel=1e-4, abs=1e-6)
    assert tied.own_weight.values == pytest.approx(tied.feature_norm.values**2, rel=1e-4)
    assert float(untied.crosstalk) == pytest.approx(superposition.crosstalk(W, W_dec), rel=1e-4)
    assert superposition.gram(W, W_dec) == pytest.approx(W_dec.T @ W, abs=1e-6)
    for one, own in ((untied, {"W_dec": W_dec}), (tied, {})):
        errors = evaluation.evaluate_sparse(one.W.values, one.b.values, "softmin", 0.5, **own)
        assert one.feature_error.values == pytest.approx(errors.errors, rel=0.05)
    x = RNG.uniform(size=(6, 4)).astype("float32")
    z = gating.preactivations(W, untied.b.values, x, W_dec)
    assert z == pytest.approx(W_dec.T @ W @ x + untied.b.values[:, None], abs=1e-5)
    image = plots.weights(W, W_dec=W_dec).images[0].get_array()
    assert np.asarray(image) == pytest.approx(W_dec.T @ W, abs=1e-6)
    assert {"W", "b", "W_dec", "M"} <= set(measures.PICTURES)


def test_a_run_folder_keeps_them_and_is_extended(tmp_path, ds):
    jsuper.run(dataclasses.replace(SWEEP, tied=False), tmp_path / "run", progress=False)
    again = jsuper.run(SWEEP, tmp_path / "run", progress=False)
    for name in ("W", "b", "W_dec"):
        assert again[name].values == pytest.approx(ds[name].values, abs=1e-5, nan_ok=True)
    xr.testing.assert_identical(jsuper.load(tmp_path / "run").W_dec, again.W_dec)
    held = jsuper.Sweep.from_dict(tomllib.loads((tmp_path / "run" / "sweep.toml").read_text()))
    assert held == SWEEP
    with pytest.raises(jsuper.SpecError, match="reduction is sum there and mean here"):
        jsuper.run(dataclasses.replace(SWEEP, reduction="mean"), tmp_path / "run", progress=False)


def test_the_command_line_has_them():
    words = "--tied true false --reduction sum --shared-mask --init-bias-scale 1 --init normal"
    sweep, _, _ = flags.parse(words.split())
    assert sweep == jsuper.Sweep(
        tied=(True, False), reduction="sum", shared_mask=True, init_bias_scale=1.0, init="normal"
    )
    assert flags.parse(["--tied", "false"])[0].tied == (False,)
    assert flags.parse([])[0].tied == (True,)


def test_fields_that_came_later_leave_the_draws_of_unpaired_models_alone():
    values = {"importance": None, "steps": 5, "sparsity": 0.5}
    later = {"tied": True, "reduction": "mean", "shared_mask": False, "init_bias_scale": 0.0}
    identity = jsuper.Sweep.identity
    assert identity(values | later) == identity(values) == values
    for measured in (True, False):  # what is measured never changes the draws
        assert identity(values | {"check_fit": measured}) == values
    data = [
        jax.random.key_data(unpaired_key(1, identity(values | later | other))).tolist()
        for other in ({}, {"tied": False}, {"reduction": "sum"})
    ]
    assert data[0] != data[1] != data[2] != data[0]
