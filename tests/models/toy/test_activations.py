"""Every member of the registry: values, derivatives, extremes.

Parametrised over `REGISTRY`, so that a new member is covered the day it is added; it
needs a row in `data/activations.json`, computed by other means than this package.
"""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_jvp, check_vjp
from running import DATA

from jsuper.models.toy.activations.names import (
    ACTIVATIONS,
    BATCH_COUPLED,
    EXTRA_ACTIVATIONS,
    PARAMETERS,
    STOCHASTIC,
)
from jsuper.models.toy.activations.registry import REGISTRY, resolve

STORED = json.loads((DATA / "activations.json").read_text())
GRID = np.array(STORED["z"])
LABELS = tuple(dict.fromkeys((*REGISTRY, *STORED["values"])))  # members, then elu(0.25) etc.
DTYPES = ("float32", "float64")

# Largest error allowed against float64 truth, relative and absolute.
TOLERANCE = {"float32": (3e-6, 3e-7), "float64": (1e-13, 1e-15)}
# PyTorch's GELU is off by 5e-7 in float32; its hardsigmoid gradient has a float32 1/6.
TORCH_TOLERANCE = {"float32": (3e-6, 1e-6), "float64": (1e-7, 1e-14)}

# Away from every kink (0, 0.25, 0.5, 1, 1.5, 3, 6 and their negatives; 20 of softplus).
SMOOTH = np.array(
    [
        [0.13, -0.17, 0.38, -0.41, 0.77],
        [-0.83, 1.21, -1.32, 1.94, -2.23],
        [2.61, -2.74, 4.12, -4.47, 6.71],
    ]
)
LARGE = np.array(
    [
        [1e4, -1e4, 1e3, -1e3, 0.0],
        [-1e4, 709.0, -709.0, 89.0, -89.0],
        [1e4, -104.0, 20.5, 16.5, 1e4],
    ]
)
DENSE = np.linspace(-30, 30, 6000, dtype=np.float32).reshape(300, 20).T  # a column is alike
AT = np.float32([0, 0.25, 0.5, 1, 1.5, 3, 6, 10, 20])  # all kinks, and softplus's thresholds
KINKS = np.concatenate([AT, AT * np.float32(1 - 1e-6), AT * np.float32(1 + 1e-6), [1e-37]])
EXTREME = np.float32([30, 80, 88.5, 100, 1e4])
# Value and derivative are written by hand, or a part of them is.
BY_HAND = (
    *("elu(0.25)", "celu(0.5)", "selu", "exp", "exp_linear", "sigmoid", "log_sigmoid", "softplus"),
    *("softplus(2)", "tanhshrink", "softsign", "silu", "gelu", "gelu_tanh", "mish"),
    *("softmax", "log_softmax", "solu_batch"),
)
OVERFLOW_BY_DEFINITION = {"exp", "exp_linear"}


@functools.cache
def compiled(label):
    """`z, vector -> act(z), vector J, J vector`: one program a label, shape and dtype."""
    act = resolve(label)

    @jax.jit
    def run(z, vector):
        value, pullback = jax.vjp(act, z)
        return value, pullback(vector)[0], jax.jvp(act, (z,), (vector,))[1]

    return run


def evaluate(label, z, dtype="float64", cotangent=None):
    """Value and gradient as NumPy arrays of the dtype that came out."""
    cotangent = np.ones_like(z) if cotangent is None else cotangent
    with jax.enable_x64(dtype == "float64"):
        value, gradient, _ = compiled(label)(z.astype(dtype), cotangent.astype(dtype))
        return np.asarray(value), np.asarray(gradient)


@functools.cache
def jacobians(label):
    """d act_i / d z_j at SMOOTH in float64, by reverse mode and by central differences.

    Loops over `evaluate` and so compiles nothing new.

    Returns:
        Both with i and j flattened: (size, size), (size, size).
    """
    step = 1e-6
    units = np.eye(SMOOTH.size).reshape(-1, *SMOOTH.shape)
    rows = [evaluate(label, SMOOTH, cotangent=unit)[1].ravel() for unit in units]
    columns = [
        evaluate(label, SMOOTH + step * unit)[0].ravel()
        - evaluate(label, SMOOTH - step * unit)[0].ravel()
        for unit in units
    ]
    return np.stack(rows), np.stack(columns, axis=1) / (2 * step)


def test_registry_holds_the_names_in_their_order():
    assert tuple(REGISTRY) == ACTIVATIONS + EXTRA_ACTIVATIONS
    assert len(set(ACTIVATIONS)) == 27
    assert set(BATCH_COUPLED) <= set(REGISTRY)
    assert set(PARAMETERS) <= {*REGISTRY, *STOCHASTIC}


@pytest.mark.parametrize("name", REGISTRY)
def test_member_is_named_and_documented(name):
    function = REGISTRY[name]
    assert function.__name__ == name
    assert "f(0)" in function.__doc__ and "range" in function.__doc__


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label", LABELS)
def test_value_equals_stored_value(label, dtype):
    assert label in STORED["values"], f"add {label!r} to tests/data/activations.json"
    value, gradient = evaluate(label, GRID, dtype)
    assert value.dtype == gradient.dtype == dtype
    assert value.shape == GRID.shape
    rtol, atol = TOLERANCE[dtype]
    np.testing.assert_allclose(value, STORED["values"][label], rtol=rtol, atol=atol)


@pytest.mark.parametrize("label", LABELS)
def test_derivative_equals_finite_difference(label):
    derived, difference = jacobians(label)
    rounding = 1e-9 * max(1.0, np.abs(derived).max())
    np.testing.assert_allclose(derived, difference, rtol=1e-7, atol=rounding)


@pytest.mark.parametrize("label", LABELS)
def test_derivative_in_both_modes(label):
    """What `check_grads` does, on the compiled program at hand."""
    run = compiled(label)

    def act(z):
        return run(z, z)[0]

    def jvp(primals, tangents):
        value, _, tangent = run(*primals, *tangents)
        return value, tangent

    def vjp(z):
        return act(z), lambda cotangent: (run(z, cotangent)[1],)

    with jax.enable_x64(True):
        check_jvp(act, jvp, (jnp.asarray(SMOOTH),), eps=1e-5)
        check_vjp(act, vjp, (jnp.asarray(SMOOTH),), eps=1e-5)


@pytest.mark.parametrize("name", REGISTRY)
def test_only_batch_coupled_members_mix_samples(name):
    n_features, batch = SMOOTH.shape
    jac = jacobians(name)[0].reshape(n_features, batch, n_features, batch)
    across = ~np.eye(batch, dtype=bool)
    mixes = bool(np.any(jac.transpose(1, 3, 0, 2)[across]))
    assert mixes == (name in BATCH_COUPLED)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label", LABELS)
def test_large_inputs_stay_finite(label, dtype):
    z = np.minimum(LARGE, 80.0) if label in OVERFLOW_BY_DEFINITION else LARGE
    cotangent = np.random.default_rng(0).normal(size=z.shape)
    value, gradient = evaluate(label, z, dtype, cotangent)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", REGISTRY)
def test_overflow_is_infinite_and_not_nan(name):
    value, gradient = evaluate(name, LARGE, "float32")
    assert not np.isnan(value).any()
    assert not np.isnan(gradient).any()
    assert np.isinf(value).any() == (name in OVERFLOW_BY_DEFINITION)


@pytest.mark.parametrize("label", LABELS)
def test_nan_in_is_nan_out(label):
    z = GRID.copy()
    z[1, 2] = np.nan
    value, _ = evaluate(label, z, "float32")
    assert np.isnan(value[1, 2])


@pytest.mark.parametrize("label", LABELS)
def test_float32_agrees_with_float64_on_a_dense_grid(label):
    """Where float32 has a formula of its own, its polynomials must hold everywhere."""
    cotangent = np.random.default_rng(3).normal(size=DENSE.shape)
    exact = evaluate(label, DENSE, "float64", cotangent)
    scales = 1, np.abs(cotangent).max(axis=0)
    found = evaluate(label, DENSE, "float32", cotangent)
    for ours, expected, scale in zip(found, exact, scales, strict=True):
        error = np.abs(ours - expected) / np.maximum(scale, np.abs(expected))
        assert error.max() < 1e-6


@pytest.mark.parametrize("label", ["elu", "celu", "selu", "elu(0.25)", "celu(0.5)", "softsign"])
def test_small_values_keep_relative_precision(label):
    z = np.float32(np.array([[-1e-30, -1e-12, -1e-5, -3e-4, -0.01, -0.1, 1e-30, 1e-5]]))
    ours, exact = evaluate(label, z, "float32")[0], evaluate(label, z)[0]
    np.testing.assert_allclose(ours, exact, rtol=4e-7)


@pytest.mark.parametrize("name", ["sigmoid", "silu", "mish", "softplus", "log_sigmoid"])
def test_tails_keep_relative_precision(name):
    z = np.float32(np.linspace(2.5, 80, 400)[None])
    z = z if name == "log_sigmoid" else -z
    for ours, exact in zip(evaluate(name, z, "float32"), evaluate(name, z), strict=True):
        np.testing.assert_allclose(ours, exact, rtol=2e-6)


def test_float32_exponential_overflows_where_it_must():
    z = np.float32([[88.0, 88.5, 88.72, 88.73, 89.5, 1e4, np.inf, -88.0, -1e4, -np.inf]])
    with np.errstate(over="ignore"):
        expected = np.exp(z)
    np.testing.assert_allclose(evaluate("exp", z, "float32")[0], expected, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("label", BY_HAND)
def test_second_derivative_in_float32(label):
    """The derivative is given by hand, in part by operations on bits; its own must be right too."""
    weight = np.random.default_rng(4).normal(size=SMOOTH.shape).astype(np.float32)
    gradient = jax.grad(lambda z: jnp.sum(weight * resolve(label)(z)))
    ones, step = np.ones_like(weight), 1e-5
    ours = jax.jit(lambda z: jax.jvp(gradient, (z,), (ones,))[1])(SMOOTH.astype(np.float32))
    above, below = (evaluate(label, SMOOTH + s, cotangent=weight)[1] for s in (step, -step))
    np.testing.assert_allclose(ours, (above - below) / (2 * step), rtol=5e-6, atol=5e-6)


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax", "solu"])
@pytest.mark.parametrize("shape", [(4, 1), (1, 4), (2, 3, 4)])
def test_normalised_member_of_any_shape(name, shape):
    """A column, a row, and a stack of models under vmap, against JAX's own functions."""
    reference = {
        "softmax": jax.nn.softmax,
        "softmin": lambda z, axis: jax.nn.softmax(-z, axis),
        "log_softmax": jax.nn.log_softmax,
        "solu": lambda z, axis: z * jax.nn.softmax(z, axis),
    }[name]
    pairs = [
        (resolve(name), functools.partial(reference, axis=-2)),
        (resolve(f"{name}_batch"), functools.partial(reference, axis=-1)),
    ]

    @jax.jit
    def run(z):
        """Value and gradient of ours and of the reference, over either axis."""
        stacked = [(jax.vmap(ours) if z.ndim == 3 else ours, theirs) for ours, theirs in pairs]
        return [
            [(f(z), jax.grad(lambda z, f=f: jnp.sum(f(z) ** 2))(z)) for f in pair]
            for pair in stacked
        ]

    z = 5 * np.random.default_rng(5).normal(size=shape).astype(np.float32)
    for ours, theirs in run(z):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_nan_spreads_over_the_normalised_axis(name, row):
    z = SMOOTH.copy()
    z[row, 1] = np.nan
    spread = np.zeros(z.shape, bool)
    spread[:, 1] = True
    np.testing.assert_array_equal(np.isnan(evaluate(name, z, "float32")[0]), spread)
    np.testing.assert_array_equal(np.isnan(evaluate(f"{name}_batch", z.T, "float32")[0]), spread.T)


# ---- PyTorch ----


def torch_functions(torch):
    """label -> the same function of a (features, samples) tensor in PyTorch."""
    F = torch.nn.functional  # noqa: N806
    elementwise = {
        "relu": F.relu,
        "leaky_relu": F.leaky_relu,
        "selu": F.selu,
        "celu": F.celu,
        "gelu": F.gelu,
        "sigmoid": torch.sigmoid,
        "hardsigmoid": F.hardsigmoid,
        "silu": F.silu,
        "hardswish": F.hardswish,
        "mish": F.mish,
        "softplus": F.softplus,
        "tanh": torch.tanh,
        "hardtanh": F.hardtanh,
        "elu": F.elu,
        "hardshrink": F.hardshrink,
        "log_sigmoid": F.logsigmoid,
        "exp": torch.exp,
        "exp_linear": lambda z: z * torch.exp(z),
        "tanhshrink": F.tanhshrink,
        "relu6": F.relu6,
        "relu_squared": lambda z: F.relu(z) ** 2,
        "softshrink": F.softshrink,
        "softsign": F.softsign,
        "identity": torch.nn.Identity(),
        "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
        "swish": F.silu,
        "elu(0.25)": lambda z: F.elu(z, alpha=0.25),
        "celu(0.5)": lambda z: F.celu(z, alpha=0.5),
        "leaky_relu(0.2)": lambda z: F.leaky_relu(z, negative_slope=0.2),
        "softplus(2)": lambda z: F.softplus(z, beta=2),
        "hardshrink(1.5)": lambda z: F.hardshrink(z, lambd=1.5),
        "softshrink(0.25)": lambda z: F.softshrink(z, lambd=0.25),
    }
    normalised = {
        "softmax": F.softmax,
        "softmin": F.softmin,
        "log_softmax": F.log_softmax,
        "solu": lambda z, dim: z * F.softmax(z, dim),
    }
    over_features = {k: functools.partial(f, dim=0) for k, f in normalised.items()}
    over_batch = {f"{k}_batch": functools.partial(f, dim=1) for k, f in normalised.items()}
    return elementwise | over_features | over_batch


# The grid meets the kinks at 0, 0.5, 1 and 3: there too the gradient is PyTorch's.
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label", LABELS)
def test_value_and_gradient_agree_with_torch(label, dtype):
    torch = pytest.importorskip("torch")
    reference = torch_functions(torch).get(label)
    if reference is None:
        pytest.skip(f"no PyTorch counterpart of {label} is listed")
    cotangent = np.random.default_rng(1).normal(size=GRID.shape)
    z = torch.tensor(GRID, dtype=getattr(torch, dtype), requires_grad=True)
    expected = reference(z)
    expected.backward(torch.tensor(cotangent, dtype=z.dtype))
    value, gradient = evaluate(label, GRID, dtype, cotangent)
    rtol, atol = TORCH_TOLERANCE[dtype]
    np.testing.assert_allclose(value, expected.detach(), rtol=rtol, atol=atol)
    np.testing.assert_allclose(gradient, z.grad, rtol=rtol, atol=atol)


@pytest.mark.parametrize("label", [x for x in LABELS if "softm" not in x and "solu" not in x])
def test_float32_at_zero_kinks_and_extremes_is_torch(label):
    """Zero, every kink, the float32 numbers next to it, and |z| from 30 to 1e4."""
    torch = pytest.importorskip("torch")
    points = np.concatenate([KINKS, -KINKS, EXTREME, -EXTREME])
    z = np.float32(points[points < 80] if label in OVERFLOW_BY_DEFINITION else points)[None]
    exact = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    expected = torch_functions(torch)[label](exact)
    expected.sum().backward()
    value, gradient = evaluate(label, z, "float32")
    for ours, theirs in [(value, expected.detach().numpy()), (gradient, exact.grad.numpy())]:
        error = np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))
        np.testing.assert_array_less(error, 1e-6, err_msg=str(z))


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_batch_members_are_torch_with_dim_none_on_3d(name):
    """PyTorch's implicit axis of an output (batch, instance, feature) is the batch."""
    torch = pytest.importorskip("torch")
    z = np.random.default_rng(2).normal(size=(6, 2, 4)).astype(np.float32)
    with pytest.warns(UserWarning, match="Implicit dimension choice"):
        implicit = getattr(torch.nn.functional, name)(torch.tensor(z))
    explicit = getattr(torch.nn.functional, name)(torch.tensor(z), dim=-1)
    for label, expected in [(f"{name}_batch", implicit), (name, explicit)]:
        ours = jax.vmap(resolve(label))(z.transpose(1, 2, 0))  # (instance, feature, batch)
        np.testing.assert_allclose(
            np.transpose(ours, (2, 0, 1)), expected, rtol=3e-6, atol=3e-7, err_msg=label
        )


# ---- equalities ----

EQUAL = [
    ("celu", "elu", lambda z: z),
    ("celu(1)", "elu", lambda z: z),
    ("swish", "silu", lambda z: z),
    ("relu6", "relu", lambda z: np.minimum(z, 5.5)),
    ("elu(1)", "elu", lambda z: z),
    ("elu(0)", "relu", lambda z: z),
    ("softplus(1)", "softplus", lambda z: z),
    ("leaky_relu(0)", "relu", lambda z: z),
    ("leaky_relu(1)", "identity", lambda z: z),
    ("hardshrink(0)", "identity", lambda z: z),
    ("softshrink(0)", "identity", lambda z: z),
]


@pytest.mark.parametrize("label, other, domain", EQUAL, ids=[f"{a}={b}" for a, b, _ in EQUAL])
def test_equal_members(label, other, domain):
    z = domain(SMOOTH)
    for a, b in zip(evaluate(label, z), evaluate(other, z), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("axis", ["", "_batch"])
def test_softmin_is_softmax_of_minus_z(axis):
    (softmin, slope), (softmax, other) = (
        evaluate(f"softmin{axis}", SMOOTH, cotangent=SMOOTH**2),
        evaluate(f"softmax{axis}", -SMOOTH, cotangent=SMOOTH**2),
    )
    np.testing.assert_array_equal(softmin, softmax)
    np.testing.assert_array_equal(slope, -other)


@pytest.mark.parametrize("name", ["softmax", "softmin"])
def test_softmax_sums_to_one_over_its_axis(name):
    np.testing.assert_allclose(evaluate(name, GRID)[0].sum(axis=0), 1, rtol=1e-14)
    over_batch = evaluate(f"{name}_batch", GRID)[0]
    np.testing.assert_allclose(over_batch.sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax", "solu"])
def test_batch_member_is_the_transposed_member(name):
    ours = evaluate(f"{name}_batch", GRID)[0]
    transposed = evaluate(name, GRID.T)[0]
    np.testing.assert_allclose(ours, transposed.T, rtol=1e-14)
