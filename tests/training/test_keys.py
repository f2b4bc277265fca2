"""Random keys: streams that differ, and draws that are JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jsuper
from jsuper.training import keys


@pytest.mark.parametrize("shape", [(1,), (20, 1024), (3, 5, 7)])
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_uniform_has_the_bits_of_jaxs(shape, seed):
    key = keys.stream(jsuper.seed_key(seed), keys.DATA, 12345)
    expected = jax.random.uniform(key, shape, jnp.float32)
    for draw in (keys.uniform, jax.jit(keys.uniform, static_argnums=1)):
        assert (np.asarray(draw(key, shape)) == np.asarray(expected)).all()


@pytest.mark.parametrize("shape", [(1,), (5, 20), (8, 100)])
def test_normal_is_jaxs_and_its_first_rows_stay(shape):
    key = keys.stream(jsuper.seed_key(7), keys.INIT)
    drawn = np.asarray(keys.normal(key, shape))
    assert (drawn == np.asarray(jax.random.normal(key, shape, jnp.float32))).all()
    taller = keys.normal(key, (2 * shape[0], *shape[1:]))
    assert (drawn == np.asarray(taller)[: shape[0]]).all()


def test_uniform_under_vmap_is_uniform_of_each_key():
    several = jax.vmap(jsuper.seed_key)(jnp.arange(4))
    together = jax.vmap(lambda key: keys.uniform(key, (2, 3)))(several)
    alone = [keys.uniform(jsuper.seed_key(s), (2, 3)) for s in range(4)]
    assert (np.asarray(together) == np.stack(alone)).all()


def test_streams_steps_and_seeds_have_keys_of_their_own():
    names = (keys.INIT, keys.DATA, keys.DROPOUT, keys.EVALUATION, keys.EVALUATION_BATCH)
    names += (keys.GATE, keys.TARGET, keys.SUPPORT)
    made = {
        tuple(jax.random.key_data(keys.stream(jsuper.seed_key(seed), name, step)).tolist())
        for seed in (0, 1)
        for name in names
        for step in (0, 1, 9999)
    }
    assert len(made) == 2 * len(names) * 3


def test_an_unpaired_key_depends_on_the_models_identity_alone():
    one, other = {"sparsity": 0.1, "activation": "relu"}, {"sparsity": 0.2, "activation": "relu"}
    again = dict(reversed(one.items()))
    data = [jax.random.key_data(keys.unpaired_key(3, m)).tolist() for m in (one, other, again)]
    assert data[0] == data[2] != data[1]


def test_an_accelerator_draws_the_same_bits_without_a_loop(monkeypatch):
    key = jsuper.seed_key(11)
    expected = keys.uniform(key, (7, 9))
    monkeypatch.setattr(keys, "platform", lambda: "gpu")
    text = jax.jit(lambda key: keys.uniform(key, (7, 9))).lower(key).as_text()
    np.testing.assert_array_equal(keys.uniform(key, (7, 9)), expected)
    assert "while" not in text
