"""Names of the activation functions, and the notation for parameters, `elu(0.25)`.

Names are checked before JAX is imported. `registry.py` has the functions.
"""

import math
import re

from jsuper.core.suggestions import not_one_of

ACTIVATIONS: tuple[str, ...] = (
    "relu",
    "leaky_relu",
    "selu",
    "celu",
    "gelu",
    "sigmoid",
    "hardsigmoid",
    "silu",
    "hardswish",
    "mish",
    "softplus",
    "tanh",
    "hardtanh",
    "elu",
    "hardshrink",
    "softmax",
    "solu",
    "log_softmax",
    "log_sigmoid",
    "exp",
    "exp_linear",
    "tanhshrink",
    "relu6",
    "relu_squared",
    "softshrink",
    "softsign",
    "softmin",
)
"""ReLU and the 26 others of the study."""

EXTRA_ACTIVATIONS: tuple[str, ...] = (
    "identity",
    "gelu_tanh",
    "swish",
    "softmax_batch",
    "softmin_batch",
    "log_softmax_batch",
    "solu_batch",
)
"""Variants and other names, which are not part of the study."""

STOCHASTIC: tuple[str, ...] = (
    "gelu_stochastic",
    "gelu_stochastic_expected",
    "silu_stochastic",
    "silu_stochastic_expected",
    "relu_stochastic",
)
"""Inputs times a random gate in training, and times its mean in evaluation; see
`stochastic.py`. `_expected`: the derivative is that of the mean."""

GATED: tuple[str, ...] = ("glu", "reglu", "geglu", "swiglu", "bilinear")
"""Gates for a decoder with a second matrix, x_hat = gate(W^T h + b) * (V^T h + c)
(Shazeer 2020): sigmoid, relu, gelu, silu, identity."""

KNOWN = ACTIVATIONS + EXTRA_ACTIVATIONS + STOCHASTIC + GATED

GROUPS: dict[str, tuple[str, ...]] = {
    "linear pieces": ("identity", "relu", "leaky_relu", "relu6", "relu_stochastic"),
    "bounded": ("sigmoid", "hardsigmoid", "tanh", "hardtanh", "softsign"),
    "exponential": ("elu", "selu", "celu", "exp", "softplus", "log_sigmoid"),
    "gated by itself": ("gelu", "gelu_tanh", "silu", "swish", "hardswish", "mish", "exp_linear",
                        "relu_squared", *STOCHASTIC[:4]),
    "shrinkage": ("hardshrink", "softshrink", "tanhshrink"),
    "over features": ("softmax", "softmin", "log_softmax", "solu"),
    "over the batch": ("softmax_batch", "softmin_batch", "log_softmax_batch", "solu_batch"),
    "decoder gates": GATED,
}  # fmt: skip
"""Families of activations: those of one name have similar formulas."""

BATCH_COUPLED: tuple[str, ...] = (
    "softmax_batch",
    "softmin_batch",
    "log_softmax_batch",
    "solu_batch",
)
"""Activations whose output for one sample depends on the other samples of the
batch: evaluate them at the batch size of the training."""

PARAMETERS: dict[str, tuple[str, str]] = {
    "elu": ("alpha", "finite and >= 0"),
    "celu": ("alpha", "finite and > 0"),
    "leaky_relu": ("negative_slope", "finite"),
    "softplus": ("beta", "finite and > 0"),
    "hardshrink": ("lambd", "finite and >= 0"),
    "softshrink": ("lambd", "finite and >= 0"),
    "relu_stochastic": ("q", "in [0, 1)"),
}
"""Activations with a parameter: name -> (parameter, range)."""

REQUIRED = ("relu_stochastic",)
"""Activations whose parameter has no default."""

_FLOAT32_TINY = 2.0**-126
_FLOAT32_MAX = 2.0**128 - 2.0**104
_RANGES = {
    "finite": lambda value: True,
    "finite and >= 0": lambda value: value >= 0,
    "finite and > 0": lambda value: value >= _FLOAT32_TINY,
    "in [0, 1)": lambda value: 0 <= value < 1 - 2.0**-24,  # which rounds to 1 in float32
}
_FORM = re.compile(r"(?P<name>[^()]*)(?:\((?P<parameter>[^()]*)\))?")


def group_of(activation: str) -> str:
    """Return the family of an activation, with or without a parameter; "your own" of a function."""
    name = activation.partition("(")[0].strip()
    return next((group for group, names in GROUPS.items() if name in names), "your own")


def parse_activation(text: str) -> tuple[str, tuple[float, ...]]:
    """Return an activation's name and its parameters.

    Names are case-sensitive; whitespace around the parts is ignored.

    Parameters
    ----------
    text
        `relu`, or `elu(0.25)` for a name in `PARAMETERS`. The parameter must be a normal number in
        float32, or 0 if the range includes 0.

    Returns
    -------
    tuple[str, tuple[float, ...]]
        The name and the parameters: `("relu", ())`, `("elu", (0.25,))`.

    Raises
    ------
    ValueError
        The name is not known, or the parameter is malformed, out of range, or not allowed.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"activation={text!r} is malformed; write a name, or name(number)")
    name, parameter = match["name"].strip(), match["parameter"]
    if name not in KNOWN:
        raise ValueError(_unknown(text, name))
    if parameter is None and name in REQUIRED:
        field, allowed = PARAMETERS[name]
        raise ValueError(
            f"activation={text!r} needs a parameter {field}, {allowed}; "
            f"write for example {name}(0.25)"
        )
    if parameter is None:
        return name, ()
    if name not in PARAMETERS:
        raise ValueError(
            f"activation={text!r}: {name} takes no parameter; write {name!r} "
            f"(with a parameter: {', '.join(PARAMETERS)})"
        )
    return name, (_number(text, name, parameter),)


def canonical_activation(text: str) -> str:
    """Return the canonical text of an activation: `elu( 0.250 )` becomes `elu(0.25)`.

    The parameter is the shortest text of the same float, without a final `.0`. A default that is
    given is kept: `elu` and `elu(1)` are two labels of the same function.

    Raises
    ------
    ValueError
        See `parse_activation`.
    """
    name, parameters = parse_activation(text)
    if not parameters:
        return name
    return f"{name}({', '.join(repr(value).removesuffix('.0') for value in parameters)})"


def _number(text: str, name: str, parameter: str) -> float:
    """Return the value of a parameter; raise ValueError if it is out of range."""
    field, allowed = PARAMETERS[name]
    fix = f"{field} must be {allowed}; write for example {name}(0.25)"
    try:
        value = float(parameter) + 0.0  # -0.0 becomes 0.0
    except ValueError:
        message = f"activation={text!r}: {parameter.strip()!r} is not one number: {fix}"
        raise ValueError(message) from None
    subnormal = 0 < abs(value) < _FLOAT32_TINY
    finite = math.isfinite(value) and abs(value) <= _FLOAT32_MAX
    if not finite or subnormal or not _RANGES[allowed](value):
        raise ValueError(f"activation={text!r} is out of range in float32: {fix}")
    return value


def _unknown(text: str, name: str) -> str:
    """Return the message for an unknown name, with a suggestion."""
    return not_one_of(f"activation={text!r} is not known", name, KNOWN, "known are")
