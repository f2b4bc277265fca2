"""Names of activations: parameters such as elu(0.25), close matches, what is refused."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from jsuper.models.toy.activations import names
from jsuper.models.toy.activations.names import (
    PARAMETERS,
    canonical_activation,
    parse_activation,
)
from jsuper.models.toy.activations.registry import REGISTRY, resolve


@pytest.mark.parametrize("name", REGISTRY)
def test_plain_name_reads_as_itself(name):
    assert parse_activation(name) == (name, ())
    assert canonical_activation(f"  {name}\n") == name
    assert resolve(name) is REGISTRY[name]


@pytest.mark.parametrize(
    "text, member, value, label",
    [
        ("elu(0.25)", "elu", 0.25, "elu(0.25)"),
        ("elu( 0.250 )", "elu", 0.25, "elu(0.25)"),
        (" elu (25e-2) ", "elu", 0.25, "elu(0.25)"),
        ("elu(1.0)", "elu", 1.0, "elu(1)"),
        ("celu(2)", "celu", 2.0, "celu(2)"),
        ("leaky_relu(-0.1)", "leaky_relu", -0.1, "leaky_relu(-0.1)"),
        ("leaky_relu(-0)", "leaky_relu", 0.0, "leaky_relu(0)"),
        ("softplus(1e-5)", "softplus", 1e-5, "softplus(1e-05)"),
        ("softplus(1e20)", "softplus", 1e20, "softplus(1e+20)"),
        ("hardshrink(0)", "hardshrink", 0.0, "hardshrink(0)"),
        ("softshrink(.5)", "softshrink", 0.5, "softshrink(0.5)"),
    ],
)
def test_parameter_is_read_and_written(text, member, value, label):
    assert parse_activation(text) == (member, (value,))
    assert canonical_activation(text) == label
    assert canonical_activation(label) == label
    assert parse_activation(label) == parse_activation(text)
    assert resolve(text) is resolve(label), "equal names must share one compiled program"


@pytest.mark.parametrize("name", [p for p in PARAMETERS if p in REGISTRY])
def test_parameter_reaches_the_function(name):
    keyword, _ = PARAMETERS[name]
    z = jnp.linspace(-7, 7, 30).reshape(3, 10)
    expected = REGISTRY[name](z, **{keyword: 0.75})
    np.testing.assert_array_equal(resolve(f"{name}(0.75)")(z), expected)


@pytest.mark.parametrize(
    "text, close",
    [
        ("rleu", "relu"),
        ("ReLU", "relu"),
        ("LogSigmoid", "log_sigmoid"),
        ("leakyrelu(0.1)", "leaky_relu"),
        ("softmax_bach", "softmax_batch"),
    ],
)
def test_unknown_name_gives_the_close_match(text, close):
    for function in (parse_activation, canonical_activation, resolve):
        with pytest.raises(ValueError) as error:
            function(text)
        assert f"activation={text!r} is not known; did you mean {close!r}?" in str(error.value)
        assert all(name in str(error.value) for name in REGISTRY)


@pytest.mark.parametrize(
    "text, problem",
    [
        ("zzz", "is not known; known are relu"),
        ("", "is not known; known are relu"),
        ("relu(1)", "relu takes no parameter"),
        ("relu()", "relu takes no parameter"),
        ("elu()", "'' is not one number: alpha must be finite and >= 0"),
        ("elu(a)", "'a' is not one number"),
        ("elu(1, 2)", "'1, 2' is not one number"),
        ("elu(alpha=2)", r"'alpha=2' is not one number.*write for example elu\(0.25\)"),
        ("elu(1", "is malformed"),
        ("elu(1))", "is malformed"),
        ("elu((1))", "is malformed"),
        ("elu 1", "is not known; did you mean 'elu'"),
        ("elu(nan)", "out of range in float32: alpha must be finite and >= 0"),
        ("elu(inf)", "out of range in float32: alpha must be finite and >= 0"),
        ("elu(-1)", "out of range"),
        ("elu(1e39)", "out of range in float32"),
        ("elu(1e-39)", "out of range in float32"),
        ("celu(0)", "alpha must be finite and > 0"),
        ("softplus(-2)", "beta must be finite and > 0"),
        ("leaky_relu(-inf)", "negative_slope must be finite"),
        ("hardshrink(-0.1)", "lambd must be finite and >= 0"),
        ("softshrink(-0.1)", "lambd must be finite and >= 0"),
    ],
)
def test_bad_name_is_refused(text, problem):
    for function in (parse_activation, canonical_activation, resolve):
        with pytest.raises(ValueError, match=problem) as error:
            function(text)
        assert f"activation={text!r}" in str(error.value)


def test_resolve_passes_a_function_through():
    def cube(z):
        return z**3

    assert resolve(cube) is cube
    assert resolve(jnp.sin) is jnp.sin
    with pytest.raises(ValueError, match="activation=3 is neither a name nor a function"):
        resolve(3)


def test_names_need_neither_jax_nor_numpy():
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1]); "
        "sys.exit(', '.join({'jax', 'numpy'} & set(sys.modules)) or 0)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, names.__file__], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
