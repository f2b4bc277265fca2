"""Models without a bias."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_training import adamw_training

import jsuper
from jsuper.core.errors import SpecError
from jsuper.models.toy.inputs.law import Numbers, inputs_of

N, M, BATCH, STEPS = 6, 2, 64, 40
SWEEP = dict(n_features=N, n_hidden=M, batch_size=BATCH, steps=STEPS, records=4, seeds=2)


def test_training_without_a_bias_is_that_of_plain_numpy():
    sweep = jsuper.Sweep(
        activation="relu",
        sparsity=0.5,
        dataset_size=BATCH,
        full_batch=True,
        dtype="float64",
        learning_rate=3e-3,
        weight_decay=0.1,
        bias=(True, False),
        **SWEEP,
    )
    ds = jsuper.run(sweep, progress=False)
    key, law = jsuper.seed_key(1), inputs_of({})
    with jax.enable_x64(True):
        x = law.sample(law.dataset(key, N, BATCH), Numbers(jnp.float64(0.5)))
    for bias in (True, False):
        W, b = adamw_training(lambda step: x, STEPS, key, (N, M), decay=0.1, bias=bias)
        model = ds.sel(bias=bias, seed=1).squeeze()
        assert model.W.values == pytest.approx(W, abs=1e-6)
        assert model.b.values == pytest.approx(b, abs=1e-6)
    assert (ds.b.sel(bias=False) == 0).all() and (ds.b.sel(bias=True) != 0).all()


@pytest.mark.parametrize("fields", [{"tied": False}, {"dropout": 0.5}, {"optimizer": "sgd"}])
@pytest.mark.parametrize("activation", ["gelu", "glu"])
def test_biases_stay_0(fields, activation):
    sweep = jsuper.Sweep(
        activation=activation, sparsity=0.5, weight_decay=0.1, bias=False, **SWEEP, **fields
    )
    ds = jsuper.run(sweep, progress=False)
    assert (ds.b == 0).all() and (ds.W != 0).all()
    assert activation == "gelu" or (ds.c == 0).all()
    model = jsuper.model(ds.isel(seed=0).squeeze())
    assert np.asarray(model.params.b).tolist() == [0.0] * N


def test_settings_of_the_bias_are_refused():
    with pytest.raises(SpecError, match="bias=false keeps b at 0, and init_bias_scale=0.1"):
        jsuper.Sweep(bias=(True, False), init_bias_scale=0.1)
    with pytest.raises(SpecError, match="bias=false keeps b at 0, and push=1"):
        jsuper.Sweep(bias=False, push=(0, 1.0))
