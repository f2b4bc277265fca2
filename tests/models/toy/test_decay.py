"""What the weight decay applies to, and the pull of norms towards 1, against plain NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jsuper
from jsuper.core.errors import SpecError
from jsuper.models.toy.model import Params
from jsuper.models.toy.train import Static, make_setting, make_train, optimizer

SMALL = dict(activation="relu", sparsity=0.5, n_features=4, n_hidden=2, batch_size=64, steps=40)
RATE, DECAY, PULL = 0.01, 0.2, 0.7


def after_steps(static, point, params, grads):
    """Parameters after a step for each of some gradients, with the model's own optimizer."""
    setting = make_setting(static, point)
    state = optimizer(static, setting, jnp.int32(0)).init(params)
    for step, g in enumerate(grads):
        updates, state = optimizer(static, setting, jnp.int32(step)).update(g, state, params)
        params = optax.apply_updates(params, updates)
    return params


def plain_adamw(theta, grads, shrinking):
    """AdamW in NumPy; shrinking(theta) is the decoupled decay of each step, over the rate."""
    mean, square = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(grads, 1):
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        step = mean / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        theta = theta - RATE * (step + shrinking(theta))
    return theta


@pytest.mark.parametrize("case", ["pulled", "matrices", "all"])
def test_updates_are_those_of_plain_numpy(case):
    draws = np.random.default_rng(0)
    shapes = {"W": (2, 4), "b": (4,), "W_dec": (2, 4)}
    start = {k: draws.normal(size=s) for k, s in shapes.items()}
    grads = [{k: draws.normal(size=s) for k, s in shapes.items()} for _ in range(5)]
    point = {"learning_rate": RATE, "weight_decay": DECAY, "norm_pull": 0.0}
    changed = {"decay_on": "W" if case == "matrices" else "all", "norm_pulled": case == "pulled"}
    if case == "pulled":
        point |= {"weight_decay": 0.0, "norm_pull": PULL}
    with jax.enable_x64(True):
        static = Static(n_features=4, n_hidden=2, tied=False, dtype="float64", **changed)
        trees = [Params(**{k: jnp.asarray(v) for k, v in g.items()}) for g in (start, *grads)]
        found = after_steps(static, point, trees[0], trees[1:])
        found = {k: np.asarray(getattr(found, k)) for k in shapes}
    decays = {
        "pulled": lambda name, w: (
            PULL * w * (1 - 1 / np.linalg.norm(w, axis=0)) if name == "W" else 0 * w
        ),
        "matrices": lambda name, w: DECAY * w if name != "b" else 0 * w,
        "all": lambda name, w: DECAY * w,
    }
    for name in shapes:
        expected = plain_adamw(
            start[name], [g[name] for g in grads], lambda w, name=name: decays[case](name, w)
        )
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)


@pytest.mark.slow
def test_the_pull_brings_norms_to_one():
    sweep = jsuper.Sweep(**SMALL | {"sparsity": 0.99}, norm_pull=(0.0, 20.0), weight_decay=0)
    sweep = dataclasses.replace(sweep, seeds=1, learning_rate=0.003, steps=200)
    ds = jsuper.run(sweep, progress=False).squeeze()
    norms = np.linalg.norm(ds.W, axis=ds.W.get_axis_num("hidden"))
    assert np.abs(norms[1] - 1).max() < 0.1 < np.abs(norms[0] - 1).max()
    one = jsuper.run(dataclasses.replace(sweep, norm_pull=0.0), progress=False).squeeze()
    np.testing.assert_allclose(ds.W.sel(norm_pull=0), one.W, rtol=1e-5)


@pytest.mark.slow
def test_the_bias_decays_unless_only_matrices_do():
    """Without a gradient of the bias, its initial value stays or shrinks."""
    sweep = jsuper.Sweep(**SMALL | {"activation": "identity"}, seeds=1, init_bias_scale=1.0)
    sweep = dataclasses.replace(sweep, weight_decay=10.0, learning_rate=1e-3, steps=1)
    alls = jsuper.run(sweep, progress=False).squeeze()
    only = jsuper.run(dataclasses.replace(sweep, decay_on="W"), progress=False).squeeze()
    none = jsuper.run(dataclasses.replace(sweep, weight_decay=0.0), progress=False).squeeze()
    np.testing.assert_array_equal(only.W, alls.W)
    np.testing.assert_array_equal(only.b, none.b)
    assert not np.array_equal(alls.b, none.b)


def test_the_default_program_has_neither():
    """No further input, state or operation."""
    static = Static(n_features=3, n_hidden=2, batch_size=8, steps=3)
    setting = make_setting(static, {})
    assert setting.norm_pull is None
    state = jax.eval_shape(make_train(static).init, setting, jsuper.seed_key(0))
    plain = optax.adamw(1e-3).init(Params(jnp.ones((2, 3)), jnp.ones(3)))
    assert jax.tree.structure(state.opt_state) == jax.tree.structure(plain)


@pytest.mark.parametrize(
    "fields, decay",
    [
        (dict(norm_pull=0.5), (0.0,)),
        (dict(norm_pull=(0.5, 1.0), optimizer=("adamw", "lion")), (0.0,)),
        (dict(norm_pull=0.0), (0.01,)),
        (dict(norm_pull=(0, 1), weight_decay=0), (0.0,)),
        (dict(norm_pull=(0, 1), optimizer="adam"), (0.0,)),
    ],
    ids=str,
)
def test_an_omitted_decay_is_zero_with_a_pull(fields, decay):
    assert jsuper.Sweep(**fields).weight_decay == decay


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(norm_pull=1.0, weight_decay=0.1), "norm_pull=1 pulls.*weight_decay=0.1 to 0"),
        (dict(norm_pull=(0, 1), weight_decay=0.1), "norm_pull=1 pulls"),
        (dict(norm_pull=-1.0), "norm_pull=-1 is not a finite number >= 0"),
        (dict(decay_on="b"), "decay_on='b' is not known.*all, W"),
        (dict(decay_on="W", optimizer="novograd"), "optimizer='novograd' has no choice"),
    ],
    ids=str,
)
def test_what_contradicts_is_refused(fields, message):
    with pytest.raises(SpecError, match=message):
        jsuper.Sweep(**fields)


def test_a_pull_in_some_models_needs_a_stated_decay():
    with pytest.raises(SpecError, match=r"weight_decay is omitted, and norm_pull=0, 1 .*=0$"):
        jsuper.Sweep(norm_pull=(0, 1)).to_dict()


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "sgdw", "rmsprop", "lion", "adagrad", "muon"])
def test_a_mask_is_accepted(optimizer):
    assert jsuper.Sweep(decay_on="W", optimizer=optimizer).decay_on == "W"
