"""`jsuper.model`: against `jsuper.forward`, plain NumPy, and weights of every layout."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_chunk import arrays_of
from running import slow

import jsuper
from jsuper.core import grid
from jsuper.models.toy import make_model
from jsuper.models.toy.activations.names import GATED, KNOWN
from jsuper.store.dataset import to_dataset

N, M, BATCH = 5, 3, 4
RNG = np.random.default_rng(0)
W, V, W_DEC = RNG.normal(size=(3, M, N)).astype(np.float32)
b, c = RNG.normal(size=(2, N)).astype(np.float32)
X = RNG.uniform(size=(BATCH, N)).astype(np.float32)


def second(name):
    return {"V": V, "c": c} if name in GATED else {}


@pytest.fixture(scope="module")
def ds():
    """A sweep of random weights: two sizes, with and without a gate, tied and untied."""
    sweep = jsuper.Sweep(
        activation=("relu", "geglu", "elu(0.25)"),
        sparsity=0.9,
        n_features=(4, N),
        n_hidden=(2, M),
        tied=(True, False),
        steps=3,
        seeds=2,
    )
    chunks = [
        chunk
        for group in grid.expand(sweep)
        for gated in (False, True)
        for part in [tuple(s for s in group.settings if (s["activation"] in GATED) == gated)]
        for chunk in [grid.Chunk("toy", group.static, part, group.seeds)]
    ]
    return to_dataset(sweep.to_dict(), chunks, arrays_of)


def numpy_model(W, b, gate, x, W_dec=None, V=None, c=None):
    """x̂ of samples in rows, in float64."""
    W, b, x = (np.asarray(a, np.float64) for a in (W, b, x))
    h = x @ W.T
    z = h @ (W if W_dec is None else np.asarray(W_dec, np.float64)) + b
    return gate(z) if V is None else gate(z) * (h @ np.asarray(V, np.float64) + c)


QUICK = ("relu", "elu(0.25)", "softmax", "softmax_batch", "geglu", "gelu_stochastic")
REST = [slow(name) for name in KNOWN if name not in (*QUICK, "relu_stochastic")]


@pytest.mark.parametrize("name", [*QUICK, "relu_stochastic(0.25)", *REST])
def test_every_activation_is_that_of_forward_with_samples_first(name):
    model = jsuper.model(W, b, activation=name, **second(name))
    expected = jsuper.forward(W, b, name, X.T, **second(name)).T
    np.testing.assert_array_equal(model(X), expected)
    np.testing.assert_array_equal(model.decode(model.encode(X)), expected)
    assert model(X).shape == X.shape and model.encode(X).shape == (BATCH, M)
    assert model(X[0]).shape == (N,) and model.encode(X[0]).shape == (M,)


def test_values_are_those_of_numpy_in_double_precision():
    def relu(z):
        return np.maximum(z, 0)

    close = {"rtol": 1e-5, "atol": 1e-6}
    expected = numpy_model(W, b, relu, X)
    np.testing.assert_allclose(jsuper.model(W, b, activation="relu")(X), expected, **close)
    np.testing.assert_allclose(X @ W.T, jsuper.model(W, activation="relu").encode(X), **close)
    untied = jsuper.model(W, b, activation="relu", W_dec=W_DEC)
    np.testing.assert_allclose(untied(X), numpy_model(W, b, relu, X, W_DEC), **close)
    gated = jsuper.model(W, b, activation="reglu", V=V, c=c)
    np.testing.assert_allclose(gated(X), numpy_model(W, b, relu, X, V=V, c=c), **close)
    weights = 0.7 ** np.arange(N)
    loss = (weights * (X - expected) ** 2).mean()
    weighted = jsuper.model(W, b, activation="relu", importance=weights)
    np.testing.assert_allclose(weighted.loss(X), loss, **close)
    with jax.enable_x64(True):
        exact = jsuper.model(W.astype(float), b.astype(float), activation="relu")(X.astype(float))
    np.testing.assert_allclose(exact, expected, rtol=1e-13)


@pytest.mark.parametrize("activation", ["relu", "geglu", "elu(0.25)"])
@pytest.mark.parametrize("tied", [True, False])
def test_one_model_of_a_dataset_has_its_own_size_and_weights(ds, activation, tied):
    point = {"activation": activation, "tied": tied, "n_features": 4, "n_hidden": 2, "seed": 1}
    point |= {"sparsity": 0.9}
    one = ds.sel(point)
    model = jsuper.model(one)
    assert (model.n_features, model.n_hidden) == (4, 2)
    x = X[:, :4]
    arrays = {k: one[k].values[..., :4] for k in ("W", "b", "V", "c", "W_dec")}
    own = {k: arrays[k] for k in (["V", "c"] if activation == "geglu" else [])}
    own |= {} if tied else {"W_dec": arrays["W_dec"][:2]}
    own = {k: v[:2] if v.ndim == 2 else v for k, v in own.items()}
    expected = jsuper.forward(arrays["W"][:2], arrays["b"], activation, x.T, **own).T
    np.testing.assert_array_equal(model(x), expected)
    np.testing.assert_allclose(model.importance, 0.7 ** np.arange(4))
    kept = one.expand_dims(list(point))  # dimensions of length one
    np.testing.assert_array_equal(jsuper.model(kept)(x), expected)


def test_what_is_no_single_trained_model_is_refused(ds):
    one = {"activation": "relu", "tied": True, "n_features": 4, "n_hidden": 2}
    with pytest.raises(ValueError, match="several models, 2 along seed; select one"):
        jsuper.model(ds.sel(one))
    chosen = ds.sel(one | {"seed": 0, "sparsity": 0.9})
    with pytest.raises(ValueError, match=r"trained with 'relu'; leave it out"):
        jsuper.model(chosen, activation="gelu")
    with pytest.raises(ValueError, match="W_dec cannot be combined with a Dataset"):
        jsuper.model(chosen, W_dec=W_DEC)
    with pytest.raises(ValueError, match="1 values of 'feature' and its model 4"):
        jsuper.model(chosen.isel(feature=[0]))
    with pytest.raises(ValueError, match=r"status 0 \(missing\)"):
        jsuper.model(chosen.assign(status=chosen["status"] * 0))
    with pytest.raises(ValueError, match="ds has no attrs"):
        jsuper.model(chosen.drop_attrs())
    other = chosen.assign_attrs(sweep='{"model": "factorization"}')
    with pytest.raises(ValueError, match=r"'factorization' is not a function of inputs .*ds.A"):
        jsuper.model(other)
    other = chosen.assign_attrs(sweep='{"model": "mlp"}')
    with pytest.raises(ValueError, match=r"of the family 'mlp': call jsuper.mlp.forward"):
        jsuper.model(other)


def test_a_function_of_the_users_is_asked_for(ds):
    def cube(z):
        return z**3

    one = {"activation": "relu", "tied": True, "n_features": 4, "n_hidden": 2, "seed": 0}
    one |= {"sparsity": 0.9}
    chosen = ds.sel(one)
    text = chosen.attrs["sweep"].replace('"relu"', '"cube@0123456789ab"')
    stored = chosen.assign_attrs(sweep=text).assign_coords(activation="cube")
    with pytest.raises(ValueError, match=r"function 'cube', .* activation=cube\)"):
        jsuper.model(stored)
    expected = numpy_model(chosen["W"][:2, :4], chosen["b"][:4], cube, X[:, :4])
    model = jsuper.model(stored, activation=cube)
    np.testing.assert_allclose(model(X[:, :4]), expected, rtol=1e-4, atol=1e-5)


class Tensor:
    """What is used of a tensor of PyTorch, which is not installed."""

    def __init__(self, values):
        self.values = values

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.values

    @property
    def shape(self):
        raise AssertionError("asked before it is detached")


def test_arrays_of_numpy_jax_and_torch_in_both_layouts_are_one_model():
    expected = jsuper.model(W, b, activation="relu", W_dec=W_DEC)(X)
    for kind in (np.asarray, jnp.asarray, Tensor, lambda a: a.tolist()):
        for layout in ({}, {"features_last": True}):
            model = jsuper.model(kind(W), kind(b), activation="relu", W_dec=kind(W_DEC), **layout)
            np.testing.assert_array_equal(model(kind(X)), expected)
        for layout in ({}, {"features_last": False}):
            turned = {"W_dec": kind(W_DEC.T), "activation": "relu", **layout}
            np.testing.assert_array_equal(jsuper.model(kind(W.T), kind(b), **turned)(X), expected)
    linear = jsuper.model(Tensor(W), Tensor(b), W_dec=Tensor(W_DEC.T), activation="relu")
    np.testing.assert_array_equal(linear(X), expected)  # weights of two torch.nn.Linear


def test_a_layout_that_shapes_do_not_tell_is_refused():
    square, bias = np.arange(9.0).reshape(3, 3), np.zeros(3)
    for W, b in ((square, bias), (square, None), (np.ones((5, 3)), None)):
        with pytest.raises(ValueError, match=r"not clear which axis.*features_last=True"):
            jsuper.model(W, b, activation="relu")
    x = np.array([[1.0, 2.0, 3.0]])
    for last, expected in ((True, x @ square.T), (False, x @ square)):
        model = jsuper.model(square, bias, activation="relu", features_last=last)
        np.testing.assert_allclose(model.encode(x), expected)
    with pytest.warns(UserWarning, match="n_hidden=5 > n_features=3.*features_last=False"):
        wide = jsuper.model(np.ones((5, 3)), bias, activation="relu")  # b: 3 are features
    assert (wide.n_hidden, wide.n_features) == (5, 3)


def test_what_does_not_fit_is_refused_by_name():
    def refused(match, *args, error=ValueError, **kwargs):
        with pytest.raises(error, match=match):
            jsuper.model(*args, **({"activation": "relu"} | kwargs))

    refused("activation is missing", W, b, activation=None)
    refused("activation='rellu' is not known", W, b, activation="rellu")
    refused(r"b has the shape \(4,\) and W \(3, 5\)", W, np.zeros(4))
    refused(r"b has the shape \(5,\).*must be .* \(3,\)", W, b, features_last=False)
    refused(r"W_dec has the shape \(3, 4\)", W, b, W_dec=np.zeros((3, 4)))
    refused("it must be a matrix of one model", W[None], b)
    refused("'geglu' is a gate, which needs V and c", W, b, activation="geglu")
    refused("importance has 2 values", W, b, importance=(1, 2))
    refused("source is 'relu', not a Dataset or the matrix W", "relu", error=TypeError)
    refused("array of complex64, not of real numbers", W * 1j, b, error=TypeError)
    model = jsuper.model(W, b, activation="relu")
    with pytest.raises(ValueError, match=r"x has the shape \(5, 4\).*give x.T"):
        model(X.T)
    with pytest.raises(ValueError, match=r"h has the shape \(4, 5\).*n_hidden=3"):
        model.decode(X)


def test_the_model_is_a_frozen_pytree_for_jit_vmap_and_grad():
    model = jsuper.model(W, b, activation="identity")
    np.testing.assert_allclose(jax.jit(lambda m, x: m(x))(model, X), model(X), rtol=1e-6)
    each = jax.vmap(model)(X)
    np.testing.assert_allclose(each, model(X), rtol=1e-5, atol=1e-6)
    gradient = jax.grad(lambda m: m.loss(X))(model)
    slope = 2 * (model(X) - X).sum(axis=0) / X.size  # of the identity, exactly
    np.testing.assert_allclose(gradient.params.b, slope, rtol=1e-5)
    traced = jax.grad(lambda W: jsuper.model(W, b, activation="identity").loss(X))(jnp.asarray(W))
    np.testing.assert_allclose(traced, gradient.params.W, rtol=1e-5)
    moved = model.replace(params=model.params._replace(b=b + 1))
    two = jax.tree.map(lambda *a: jnp.stack(a), model, moved)
    both = jax.vmap(lambda m: m.loss(X))(two)
    np.testing.assert_allclose(both, [model.loss(X), moved.loss(X)], rtol=1e-6)
    with pytest.raises(AttributeError):
        model.params = None
    assert repr(model) == "Model(activation='identity', n_features=5, n_hidden=3)"


def test_the_example_of_the_docstring_holds():
    assert doctest.testmod(make_model).failed == 0
