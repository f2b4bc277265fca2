"""MLPs: forward pass, gradient, training and final loss against plain NumPy and closed forms."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import slow

import jsuper
from jsuper.core.grid import expand
from jsuper.mlp import Sweep, embedding, forward, mixing
from jsuper.models.mlp import model, train
from jsuper.models.mlp.config import Static, make_setting, make_static
from jsuper.models.mlp.evaluation import naive_features
from jsuper.models.mlp.model import Layers, Params
from jsuper.models.mlp.source import source_of
from jsuper.models.toy.inputs.law import inputs_of
from jsuper.training import keys

RNG = np.random.default_rng(0)
SMALL = Static(
    n_features=6,
    n_hidden=4,
    d_embed=5,
    batch_size=16,
    steps=12,
    records=4,
    dtype="float64",
    schedule="constant",
)
ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "abs": np.abs,
    "square": np.square,
    "and_pairs": lambda x: np.repeat(x[::2] * x[1::2], 2, axis=0),
}
SLOPES = {"relu": lambda z: 1.0 * (z > 0), "tanh": lambda z: 1 - np.tanh(z) ** 2}


@pytest.fixture(autouse=True)
def double():
    """Closed forms are checked in float64; the engine chooses for itself."""
    with jax.enable_x64(True):
        yield


def plain_outputs(params, E, layers, x):
    """The stream layer by layer, as in the papers, with activations of one layer at a time."""
    act, width = ACTIVATIONS[layers.activation], len(params.W_in) // layers.depth
    E = np.eye(len(x)) if E is None else np.asarray(E)
    stream = E.T @ x
    for layer in range(layers.depth):
        own = slice(layer * width, (layer + 1) * width)
        h = act(np.asarray(params.W_in)[own] @ stream + np.asarray(params.b)[own, None])
        stream = layers.residual * stream + np.asarray(params.W_out)[own].T @ h
    return E @ stream


def random_params(m, d):
    return Params(*(jnp.asarray(RNG.normal(size=s)) for s in ((m, d), (m, d), (m,))))


# ---- matrices of a seed ----


def test_an_embedding_has_unit_rows_that_depend_on_the_seed_alone():
    E = np.asarray(embedding(jsuper.seed_key(3), 20, 7, "float64"))
    assert np.linalg.norm(E, axis=1) == pytest.approx(np.ones(20))
    assert (np.asarray(embedding(jsuper.seed_key(3), 5, 7, "float64")) == E[:5]).all()
    assert not np.allclose(np.asarray(embedding(jsuper.seed_key(4), 20, 7)), E)
    large = np.asarray(embedding(jsuper.seed_key(0), 200, 400, "float64"))
    others = (large @ large.T)[~np.eye(200, dtype=bool)]
    assert others.std() == pytest.approx(1 / np.sqrt(400), rel=0.02)  # random directions


def test_a_mixing_matrix_is_normal_with_an_empty_diagonal():
    M = np.asarray(mixing(jsuper.seed_key(3), 200))
    assert (np.diag(M) == 0).all()
    others = M[~np.eye(200, dtype=bool)]
    assert others.mean() == pytest.approx(0, abs=0.02)
    assert others.std() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("init", ["linear", *map(slow, ("xavier", "kaiming", "normal"))])
def test_initial_weights_have_their_scale_in_every_layer(init):
    key, layers = keys.stream(jsuper.seed_key(1), keys.INIT), Layers(depth=2)
    params = model.init_params(key, layers, 200, 400, init, 0.3, "float64")
    scales = {
        "linear": (1 / np.sqrt(3 * 400), 1 / np.sqrt(3 * 100)),
        "xavier": (np.sqrt(2 / 500), np.sqrt(2 / 500)),
        "kaiming": (np.sqrt(2 / 400), np.sqrt(2 / 100)),
        "normal": (0.3, 0.3),
    }
    found = float(params.W_in.std()), float(params.W_out.std())
    assert found == pytest.approx(scales[init], rel=0.02)
    if init == "linear":
        assert float(jnp.abs(params.W_out).max()) <= 1 / np.sqrt(100)
        assert 0 < float(jnp.abs(params.b).max()) <= 1 / np.sqrt(400)


# ---- forward pass and gradient ----


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(("d", "depth"), [(0, 3), (3, 3), slow(9, 1), slow(0, 1)])
def test_outputs_are_those_of_the_stream(residual, d, depth):
    n, m, x = 5, 6, RNG.normal(size=(5, 8))
    params = random_params(m, d or n)
    E = embedding(jsuper.seed_key(0), n, d, "float64") if d else None
    layers = Layers(depth, "tanh", residual)
    expected = plain_outputs(params, E, layers, x)
    assert np.asarray(model.outputs(params, E, layers, jnp.asarray(x))) == pytest.approx(expected)
    options = {"activation": "tanh", "n_layers": depth, "residual": residual}
    public = forward(params.W_in, params.W_out, x, params.b, E, **options)
    assert np.asarray(public) == pytest.approx(expected)


def test_the_public_forward_pass_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"W_in \(4, 3\), .* do not fit n_layers=3"):
        forward(np.ones((4, 3)), np.ones((4, 3)), np.ones((3, 2)), n_layers=3)
    with pytest.raises(ValueError, match=r"x \(5, 2\) do not fit"):
        forward(np.ones((4, 3)), np.ones((4, 3)), np.ones((5, 2)))
    with pytest.raises(ValueError, match="activation='softmax' is not known"):
        forward(np.ones((4, 3)), np.ones((4, 3)), np.ones((3, 2)), activation="softmax")


@pytest.mark.parametrize("target", ["relu", "abs", "square", "and_pairs", "tanh"])
def test_targets_are_functions_of_the_features(target):
    x = RNG.normal(size=(6, 9))
    found = model.function_of(target)(jnp.asarray(x))
    assert np.asarray(found) == pytest.approx(ACTIVATIONS[target](x))


def plain_target(static, setting, source, x):
    y = ACTIVATIONS[static.target](x) + static.target_residual * x
    return y + (float(setting.target_noise) * np.asarray(source.fixed.M) @ x if static.noisy else 0)


CASES = [
    slow({}),
    slow({"d_embed": 0, "target": "abs", "target_residual": False}),
    slow({"residual": False, "n_layers": 2, "bias": True}),
    {"noisy": True, "n_layers": 2, "bias": True, "target": "and_pairs"},
    slow({"d_embed": 0, "noisy": True, "target": "square", "residual": False}),
]


@functools.cache
def batch_of(static, seed, step):
    draws = static.inputs.draw(jsuper.seed_key(seed), step, static.n_features, static.batch_size)
    setting = make_setting(static, {"sparsity": 0.4})
    return np.asarray(static.inputs.batch(draws, setting.law))


@pytest.mark.parametrize("changes", CASES)
def test_the_gradient_is_that_of_the_plain_definition(changes):
    static = dataclasses.replace(SMALL, **changes)
    setting = make_setting(static, {"sparsity": 0.4, "target_noise": 0.3, "importance_decay": 0.7})
    source = source_of(static, jsuper.seed_key(2))
    params = random_params(static.n_hidden, static.width)
    x = batch_of(static, 2, 3)
    y = jnp.asarray(plain_target(static, setting, source, x))

    def loss(params):
        x_hat = model.outputs(params, source.fixed.E, static.layers, jnp.asarray(x))
        return jnp.mean(jnp.asarray(0.7 ** np.arange(6))[:, None] * (y - x_hat) ** 2)

    expected, slopes = jax.jit(jax.value_and_grad(loss))(params)
    x_hat = plain_outputs(params, source.fixed.E, static.layers, x)
    weights = 0.7 ** np.arange(6)[:, None]
    assert float(expected) == pytest.approx((weights * (y - x_hat) ** 2).mean())
    on_batch = jax.jit(train.make_on_batch(static, train.batch_loss, False))
    assert float(on_batch((params, setting), source, 3)) == pytest.approx(float(expected))
    gradient = train.make_on_batch(static, jax.grad(train.batch_loss, argnums=1), False)
    found = jax.jit(gradient)((params, setting), source, 3)
    for name in Params._fields:
        assert np.asarray(getattr(found, name)) == pytest.approx(
            np.asarray(getattr(slopes, name)), rel=1e-9, abs=1e-12
        )


# ---- training ----


@functools.cache
def compiled(static):
    return jax.jit(train.make_train(static)), jax.jit(train.make_init(static))


def run(static, seed=0, **point):
    result = compiled(static)[0](make_setting(static, point), jsuper.seed_key(seed))
    return {k: np.asarray(v) for k, v in result.items()}


def numpy_training(static, seed, rate, decay):
    """AdamW in plain loops, one layer, with gradients written out by hand."""
    setting = make_setting(static, {"sparsity": 0.4})
    state = compiled(static)[1](setting, jsuper.seed_key(seed))
    E = np.asarray(source_of(static, jsuper.seed_key(seed)).fixed.E)
    theta = [np.asarray(a) for a in state.params]
    first, second = ([np.zeros_like(t) for t in theta] for _ in range(2))
    losses = []
    for step in range(static.steps):
        W_in, W_out, b = theta
        x = batch_of(static, seed, step)
        stream = E.T @ x
        z = W_in @ stream + b[:, None]
        h = np.maximum(z, 0)
        e = E @ (stream + W_out.T @ h) - x - np.maximum(x, 0)
        losses.append((e**2).mean())
        on_stream = E.T @ (2 * e / e.size)
        dz = (W_out @ on_stream) * (z > 0)
        for i, g in enumerate((dz @ stream.T, h @ on_stream.T, static.bias * dz.sum(axis=1))):
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g**2
            m_hat = first[i] / (1 - 0.9 ** (step + 1))
            v_hat = second[i] / (1 - 0.999 ** (step + 1))
            theta[i] = theta[i] - rate * (m_hat / (np.sqrt(v_hat) + 1e-8) + decay * theta[i])
    return theta, losses


@pytest.mark.slow
@pytest.mark.parametrize("bias", [False, slow(True)])
def test_training_is_that_of_plain_numpy(bias):
    static = dataclasses.replace(SMALL, bias=bias)
    found = run(static, 4, sparsity=0.4, learning_rate=0.02, weight_decay=0.1)
    theta, losses = numpy_training(static, 4, 0.02, 0.1)
    for name, expected in zip(Params._fields, theta, strict=True):
        assert found[name] == pytest.approx(expected, rel=1e-8, abs=1e-10)
    assert found["loss_curve"] == pytest.approx(losses[::3], rel=1e-9)
    assert found["status"] == 1 and (found["b"] != 0).any() == bias
    E = np.asarray(embedding(jsuper.seed_key(4), 6, 5, "float64"))
    assert found["reads"] == pytest.approx(theta[0] @ E.T)
    assert found["writes"] == pytest.approx(theta[1] @ E.T)
    one = plain_outputs(Params(*theta), E, static.layers, np.eye(6))
    assert found["response"] == pytest.approx(np.diag(one))


# ---- the final loss ----


@functools.cache
def finish_of(static):
    """finish(params, setting) of seed 0, compiled once for all weights."""
    finish, key = train.make_finish(static, False), jsuper.seed_key(0)
    none = jnp.int32(-1)
    return jax.jit(lambda p, s: finish(train.State(p, (), none, jnp.zeros(3)), s, key))


def finished(static, params, **point):
    """The results of given weights, without training."""
    params = Params(*map(jnp.asarray, params))
    result = finish_of(static)(params, make_setting(static, point))
    return {k: np.asarray(v) for k, v in result.items()}


EXACT = Static(n_features=8, n_hidden=3, d_embed=0, dtype="float64")


def one_unit_per_feature(n, m):
    W = np.eye(m, n)
    return W, W, np.zeros(m)


def test_a_unit_for_each_of_m_functions_is_the_naive_solution():
    """Without interference its loss is p/6 (n - m)/n, the naive loss of Bhagat et al. (2025)."""
    found = finished(EXACT, one_unit_per_feature(8, 3), sparsity=0.7)
    assert found["loss"] == pytest.approx(0.3 / 6 * 5 / 8, rel=0.02)
    assert found["loss_over_naive"] == pytest.approx(1, rel=1e-12)
    assert found["feature_loss"][:3] == pytest.approx(np.zeros(3), abs=1e-20)
    assert found["feature_loss"][3:] == pytest.approx(np.full(5, 0.05), rel=0.1)
    assert found["feature_loss"] == pytest.approx(found["naive_feature_loss"])
    assert found["response"] == pytest.approx([2, 2, 2, 1, 1, 1, 1, 1])
    variance = 0.3 * 5 / 6 - (0.3 / 4) ** 2  # E (x + relu(x))² = p (4 + 1)/6, mean p/4
    assert found["loss"] / found["loss_over_constant"] == pytest.approx(variance, rel=0.02)


def test_no_hidden_units_leave_the_residual_stream():
    params = np.zeros((3, 8)), np.zeros((3, 8)), np.zeros(3)
    found = finished(EXACT, params, sparsity=0.7)
    assert found["feature_loss"] == pytest.approx(found["residual_loss"])
    assert found["loss"] == pytest.approx(0.3 / 6, rel=0.02)
    assert float(found["loss_stderr"]) < 0.005 * float(found["loss"])


@pytest.mark.slow
def test_interference_of_the_stream_is_in_the_naive_loss():
    static = dataclasses.replace(EXACT, n_hidden=8, d_embed=20)
    zeros = np.zeros((8, 20)), np.zeros((8, 20)), np.zeros(8)
    found = finished(static, zeros, sparsity=0.7)
    E = np.asarray(embedding(jsuper.seed_key(0), 8, 20, "float64"))
    R = E @ E.T - np.eye(8)
    expected = (R**2).sum(axis=1) * 0.3 / 3  # of 8 exact functions, with E x_j² = p/3
    assert found["naive_feature_loss"] == pytest.approx(expected, rel=0.1)
    assert found["naive_loss"] == pytest.approx(expected.mean(), rel=0.02)


def test_noise_of_the_target_is_what_no_exact_function_removes():
    static = dataclasses.replace(EXACT, n_hidden=8, noisy=True)
    found = finished(static, one_unit_per_feature(8, 8), sparsity=0.7, target_noise=0.1)
    M = np.asarray(mixing(jsuper.seed_key(0), 8, "float64"))
    expected = 0.01 * (M**2).sum(axis=1) * 0.3 / 3
    assert found["feature_loss"] == pytest.approx(expected, rel=0.1)
    assert found["loss_over_naive"] == pytest.approx(1)


@pytest.mark.slow
def test_a_naive_solution_without_error_has_no_ratio():
    static = dataclasses.replace(EXACT, n_hidden=8)
    found = finished(static, one_unit_per_feature(8, 8), sparsity=0.7)
    assert float(found["loss"]) < 1e-20 and np.isnan(found["loss_over_naive"])


def test_the_naive_solution_computes_the_most_important_functions():
    setting = make_setting(EXACT, {"importance_decay": 2.0})
    assert np.flatnonzero(naive_features(EXACT, setting)).tolist() == [5, 6, 7]
    setting = make_setting(EXACT, {})
    assert np.flatnonzero(naive_features(EXACT, setting)).tolist() == [0, 1, 2]
    pairs = dataclasses.replace(EXACT, target="and_pairs")
    assert np.flatnonzero(naive_features(pairs, setting)).tolist() == [0, 1, 2, 3, 4, 5]
    law = inputs_of({"support": "hierarchy(2, 0.5)", "values": "signed"})
    tree = dataclasses.replace(EXACT, inputs=law, per_feature=True)
    setting = make_setting(tree, {"importance_decay": 1.2})
    assert np.flatnonzero(naive_features(tree, setting)).tolist() == [0, 2, 6]


# ---- the sweep's programs ----

TINY = {"n_features": 6, "d_embed": 8, "batch_size": 16, "steps": 10, "records": 5, "seeds": 2}


def test_a_program_has_the_values_of_its_sweep():
    sweep = Sweep(n_hidden=4, target_noise=(0.0, 0.1), support="sets(2, 0.5)", **TINY)
    (group,) = expand(sweep)
    static = make_static(group.static, [group.settings])
    assert static.noisy and static.n_hidden == 4 and static.inputs.support.k == 2
    assert make_setting(static, group.static | group.settings[1]).target_noise == np.float32(0.1)
    assert make_setting(static, {}).density == np.float32(0.01)
