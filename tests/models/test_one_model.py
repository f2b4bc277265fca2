"""`jsuper.make_train` and `jsuper.make_setting`, from exported names alone."""

import dataclasses
import doctest
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jsuper
from jsuper import SpecError
from jsuper.models import one_model

SMALL = {"n_features": 3, "n_hidden": 2, "batch_size": 16, "steps": 8, "records": 2}
SWEEP = jsuper.Sweep(activation="relu", sparsity=(0.0, 0.5), learning_rate=0.01, **SMALL)


@pytest.mark.slow
def test_a_model_is_trained_and_differentiated_by_its_setting():
    train, key = jsuper.make_train(SWEEP), jsuper.seed_key(1)
    setting = jsuper.make_setting(SWEEP, sparsity=0.5)
    rate = jnp.float32(0.01)

    @jax.jit
    def loss_and_slope(rate):
        def loss(rate):
            return train(setting.replace(learning_rate=rate), key)["loss"]

        return jax.jvp(loss, (rate,), (jnp.ones_like(rate),))

    @jax.jit
    def weights(rate):
        own = setting.replace(learning_rate=rate)
        state = train.init(own, key)
        return (train.advance(state, own, key, 0, train.steps).params.W ** 2).sum()

    step = 1e-3
    loss, slope = loss_and_slope(rate)
    difference = loss_and_slope(rate + step)[0] - loss_and_slope(rate - step)[0]
    np.testing.assert_allclose(slope, difference / (2 * step), rtol=0.02)  # forward, all of it
    difference = weights(rate + step) - weights(rate - step)
    np.testing.assert_allclose(jax.grad(weights)(rate), difference / (2 * step), rtol=0.02)


@pytest.mark.slow
def test_the_example_of_the_docstring_holds_and_is_what_run_trains():
    assert doctest.testmod(one_model).failed == 0
    ds = jsuper.run(dataclasses.replace(SWEEP, seeds=2), progress=False)
    one = ds.sel(activation="relu", sparsity=0.5, seed=1)
    setting = jsuper.make_setting(SWEEP, sparsity=0.5)
    result = jax.jit(jsuper.make_train(SWEEP))(setting, jsuper.seed_key(1))
    for name in ("W", "b", "loss"):
        np.testing.assert_allclose(result[name], one[name], rtol=2e-5, atol=1e-6)


def test_points_outside_of_the_sweep_are_refused():
    with pytest.raises(SpecError, match=r"sparsity has several values: choose .* 0.0, 0.5"):
        jsuper.make_setting(SWEEP)
    with pytest.raises(SpecError, match="sparsity=0.7 is not in the sweep; its values are 0.0"):
        jsuper.make_setting(SWEEP, sparsity=0.7)
    with pytest.raises(SpecError, match="'sparsities' is not a number of a single model"):
        jsuper.make_setting(SWEEP, sparsities=0.7)
    with pytest.raises(SpecError, match="n_hidden has several values, which need a program each"):
        jsuper.make_train(jsuper.Sweep(n_hidden=(1, 2)))
    with pytest.raises(SpecError, match="jax_enable_x64"):
        jsuper.make_train(jsuper.Sweep(dtype="float64"))
    with pytest.raises(TypeError, match="sweep is 'relu', not a Sweep"):
        jsuper.make_train("relu")


def test_functions_of_the_users_and_other_families_are_settings_too():
    def cube(z):
        return z**3

    sweep = jsuper.Sweep(activation=("relu", cube), sparsity=0.5, **SMALL)
    assert [int(jsuper.make_setting(sweep, activation=a).activation) for a in ("relu", cube)] == [
        0,
        1,
    ]
    factors = jsuper.factorization.Sweep(strength=(1.0, 2.0))
    assert jsuper.make_setting(factors, strength=2.0).strengths.tolist() == [2.0]


def test_the_former_argument_warns():
    from jsuper.models.toy.config import Static

    with pytest.warns(DeprecationWarning, match=r"now make_train\(sweep\)"):
        assert jsuper.make_train(Static(steps=7)).steps == 7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jsuper.make_train(SWEEP)
