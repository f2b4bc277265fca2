"""Random gates, whose mean is GELU or SiLU, and gated decoders, x_hat = gate(z) * v."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

import jsuper
from jsuper import plots
from jsuper.analysis import evaluation
from jsuper.core.errors import SpecError
from jsuper.models.toy import model
from jsuper.models.toy.activations import names
from jsuper.models.toy.activations.registry import GATES, REGISTRY, in_training, resolve
from jsuper.models.toy.activations.stochastic import REGISTRY as STOCHASTIC
from jsuper.models.toy.config import arrange, make_setting, make_static
from jsuper.models.toy.draws import make_draws
from jsuper.models.toy.gradient import make_batch_loss, make_gradient
from jsuper.models.toy.model import Params
from jsuper.models.toy.rows import step_gradient

KEY = jsuper.seed_key(3)
Z = np.array([-2.5, -1.5, -0.7518, -0.1, 0.0, 0.1, 0.5, 1.0, 2.5])
CHANCES = {"gelu": norm.cdf, "silu": lambda z: 1 / (1 + np.exp(-z))}
RANDOM = (*names.STOCHASTIC[:-1], "relu_stochastic(0.3)")
VALUES = {
    "n_features": 20,
    "n_hidden": 5,
    "batch_size": 256,
    "feature_sparsity": None,
    "unpaired": False,
}
TINY = {"n_features": 6, "n_hidden": 2, "batch_size": 64, "steps": 60}


def test_the_tables_agree_with_the_names():
    assert tuple(STOCHASTIC) == names.STOCHASTIC and tuple(GATES) == names.GATED
    assert set(names.KNOWN) == {*REGISTRY, *STOCHASTIC, *GATES}
    assert len(set(names.KNOWN)) == len(names.KNOWN)


# ---- random gates ----


def drawn(activation, z, draws=200_000):
    """(draws, z.size) values of an activation in training, and of its slopes."""
    u = jax.random.uniform(KEY, (draws, z.size))
    function = in_training(activation)
    both = jax.jit(lambda z, u: jax.jvp(lambda z: function(z, u), (z,), (jnp.ones_like(z),)))
    values, slopes = both(jnp.broadcast_to(jnp.float32(z), u.shape), u)
    return np.asarray(values, np.float64), np.asarray(slopes, np.float64)


@pytest.mark.parametrize("activation", RANDOM)
@pytest.mark.slow
def test_draws_have_the_mean_and_the_variance_of_their_gate(activation):
    values, _ = drawn(activation, Z)
    if activation.startswith("relu"):
        mean, variance = np.maximum(Z, 0), np.maximum(Z, 0) ** 2 * 0.3 / 0.7
    else:
        chance = CHANCES[activation[:4]](Z)
        mean, variance = Z * chance, Z**2 * chance * (1 - chance)
    error = np.sqrt(variance / len(values)) + 1e-7
    assert (np.abs(values.mean(axis=0) - mean) <= 4.5 * error).all()
    assert values.var(axis=0) == pytest.approx(variance, rel=0.05, abs=1e-4)
    assert np.asarray(resolve(activation)(jnp.float32(Z))) == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("name", ["gelu", pytest.param("silu", marks=pytest.mark.slow)])
def test_the_slope_is_the_mask_or_that_of_the_mean(name):
    values, slopes = drawn(f"{name}_stochastic", Z, 100)
    inner = Z != 0  # there a draw does not show its mask
    assert (slopes[:, inner] == (values != 0)[:, inner]).all()
    expected_values, expected_slopes = drawn(f"{name}_stochastic_expected", Z, 100)
    assert (expected_values == values).all()
    mean_slope = jax.vmap(jax.grad(resolve(name)))(jnp.float32(Z))
    assert expected_slopes == pytest.approx(np.tile(mean_slope, (100, 1)), abs=1e-6)


@pytest.mark.slow
def test_a_gate_depends_on_seed_and_step_alone():
    sweep = jsuper.Sweep(activation="gelu_stochastic", sparsity=0.9, seeds=(4,), **TINY)
    alone = jsuper.run(sweep, progress=False)
    company = dataclasses.replace(
        sweep, activation=("relu", "gelu_stochastic", "gelu"), sparsity=(0.5, 0.9), seeds=(2, 4, 9)
    )
    ds = jsuper.run(company, progress=False)
    at = {"activation": ["gelu_stochastic"], "sparsity": [0.9], "seed": [4]}
    assert abs(ds.sel(at).W - alone.W).max() <= 1e-5 * abs(alone.W).max()
    gelu = ds.sel(activation="gelu", sparsity=0.9, seed=4)
    assert abs(ds.sel(at).W - gelu.W).max() > 1e-3  # the gate does something


@pytest.mark.slow
def test_random_and_gated_members_change_no_other():
    sweep = jsuper.Sweep(activation=("relu", "mish"), sparsity=(0.9, 0.999), seeds=2, **TINY)
    mixed = dataclasses.replace(sweep, activation=("relu", "mish", *RANDOM, *names.GATED))
    plain, ds = (jsuper.run(s, progress=False) for s in (sweep, mixed))
    assert (ds.W.sel(activation=["relu", "mish"]) == plain.W).all()
    assert (ds.status == 1).all()
    assert ds.V.notnull().all(["hidden", "feature"]).sel(activation=list(names.GATED)).all()
    assert ds.V.sel(activation=["relu", "mish", *RANDOM]).isnull().all()


@pytest.mark.slow
@pytest.mark.parametrize("batching", ["auto", "vmapped"])
def test_every_plan_trains_them_alike(batching):
    sweep = jsuper.Sweep(
        activation=("gelu_stochastic", "geglu"),
        sparsity=(0.5, 0.99),
        dropout=0.2,
        seeds=1,
        **TINY,
    )
    plain, ds = (jsuper.run(sweep, plan=p, progress=False) for p in ("reference", batching))
    for name in ("W", "b", "V", "c"):
        assert ds[name].values == pytest.approx(plain[name].values, abs=2e-5, nan_ok=True)
    assert ds.loss.values == pytest.approx(plain.loss.values, rel=1e-3)


def test_zero_columns_of_random_gates_are_not_left_out():
    settings = [
        {"activation": a, "sparsity": 0.999, "dropout": 0.0} for a in ("relu", "gelu_stochastic")
    ]
    whole = make_static(VALUES, [settings[1:]], "rows")
    assert whole.widths == () and whole.stochastic
    assert make_static(VALUES, [settings[:1]], "rows").widths == (32,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "relu_stochastic",
            r"needs a parameter q, in \[0, 1\); write .* relu_stochastic\(0.25\)",
        ),
        ("relu_stochastic(1)", r"q must be in \[0, 1\)"),
        ("relu_stochastic(-0.1)", r"q must be in \[0, 1\)"),
        ("gelu_stochastic(0.5)", "takes no parameter"),
        ("geglu(2)", "takes no parameter"),
        ("gegl", "did you mean 'geglu'"),
    ],
)
def test_bad_gates_are_refused(text, message):
    with pytest.raises(SpecError, match=message):
        jsuper.Sweep(activation=("relu", text))


# ---- gated decoders ----


def gated_params(rng, m=5, n=20):
    arrays = [rng.normal(0, 0.4, s) for s in ((m, n), n, (m, n), n)]
    return Params(*(jnp.float32(a) for a in arrays))


@pytest.mark.parametrize("name", names.GATED)
def test_forward_is_the_gate_times_a_linear_map(name):
    params = gated_params(np.random.default_rng(0), 2, 6)
    W, b, V, c = (np.asarray(a, np.float64) for a in params[:4])
    x = np.random.default_rng(1).uniform(size=(6, 9))
    z, v = W.T @ (W @ x) + b[:, None], V.T @ (W @ x) + c[:, None]
    gate = {
        "glu": lambda z: 1 / (1 + np.exp(-z)),
        "reglu": lambda z: np.maximum(z, 0),
        "geglu": lambda z: z * norm.cdf(z),
        "swiglu": lambda z: z / (1 + np.exp(-z)),
        "bilinear": lambda z: z,
    }[name]
    got = jsuper.forward(params.W, params.b, name, x, V=params.V, c=params.c)
    assert np.asarray(got) == pytest.approx(gate(z) * v, abs=1e-6)


@pytest.mark.parametrize("sparsity", [0.5, pytest.param(0.99, marks=pytest.mark.slow)])
def test_gradients_are_those_of_the_plain_loss(sparsity):
    """Single models and rows, whole and narrow batches, with dropout and without."""
    settings = [
        {"activation": name, "sparsity": sparsity, "dropout": dropout}
        for name in names.GATED
        for dropout in (0.0, 0.3)
    ]
    static = make_static(VALUES, [settings], "rows")
    assert static.gated and bool(static.widths) == (sparsity > 0.9) and static.rows == 1
    params = gated_params(np.random.default_rng(0))
    made = [make_setting(static, settings[i]) for i in arrange(static, settings)]
    stacked = jax.tree.map(lambda *a: np.stack(a), *made)
    draws = jax.jit(make_draws, static_argnums=0)(static, KEY, jnp.int32(11), stacked)
    plain, single = jax.grad(make_batch_loss(static)), make_gradient(static)
    expected = jax.lax.map(lambda s: plain(params, s, draws), stacked)
    ones = jax.lax.map(lambda s: single(params, s, draws), stacked)
    repeated = jax.tree.map(lambda a: jnp.stack([a] * len(made)), params)
    of_step = jax.vmap(step_gradient(static, True), (0, 0, None, None))
    rows = jax.jit(of_step)(repeated, stacked, KEY, jnp.int32(11))
    for got in (ones, rows):
        for a, b in zip(*map(jax.tree.leaves, (got, expected)), strict=True):
            assert np.asarray(a) == pytest.approx(np.asarray(b), abs=1e-5 * float(abs(b).max()))


def test_the_first_matrix_starts_as_without_a_gate_and_the_second_on_its_own():
    params = model.init_params(KEY, 40, 50, 0.2, "float32", gated=True)
    assert (params.W == model.init_params(KEY, 40, 50, 0.2, "float32").W).all()
    assert float(params.V.std()) == pytest.approx(0.2, rel=0.05)
    assert abs(np.corrcoef(params.W.ravel(), params.V.ravel())[0, 1]) < 0.1


@pytest.mark.slow
def test_a_folder_without_gates_takes_them_later(tmp_path):
    sweep = jsuper.Sweep(activation=("relu",), sparsity=(0.5, 0.9), seeds=2, **TINY)
    jsuper.run(sweep, tmp_path / "run", progress=False)
    more = dataclasses.replace(sweep, activation=("relu", "swiglu"))
    ds = jsuper.run(more, tmp_path / "run", progress=False)
    assert ds.V.sel(activation="relu").isnull().all()
    assert ds.V.sel(activation="swiglu").notnull().all()
    xr.testing.assert_identical(jsuper.load(tmp_path / "run").V, ds.V)


@pytest.mark.slow
def test_the_analysis_measures_gated_models_with_their_second_matrix():
    sweep = jsuper.Sweep(activation=("gelu", "geglu"), sparsity=(0.5, 0.9), seeds=2, **TINY)
    ds = jsuper.analyze(jsuper.run(sweep, progress=False))
    cell = ds.sel(activation="geglu", sparsity=0.9, seed=1)
    found = evaluation.evaluate_sparse(
        cell.W.values, cell.b.values, "geglu", 0.9, V=cell.V.values, c=cell.c.values, rounds=200
    )
    assert cell.feature_error.values == pytest.approx(found.errors, rel=0.05)
    assert (ds.feature_error.notnull()).all()
    assert plots.heatmap(ds, "features_represented").get_title()


def test_what_is_no_gate_has_no_second_matrix():
    W, b = np.ones((2, 3)), np.zeros(3)
    with pytest.raises(ValueError, match="'geglu' is a gate, which needs V and c"):
        jsuper.forward(W, b, "geglu", b)
    with pytest.raises(ValueError, match="'geglu' is a gate, which needs V and c"):
        evaluation.evaluate_sparse(W, b, "geglu", 0.5)
    with pytest.raises(ValueError, match="'relu' is not a gate; leave them out, or use one of glu"):
        jsuper.forward(W, b, "relu", b, V=W, c=b)
