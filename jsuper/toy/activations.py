"""The activation functions of the toy model, x_hat = act(W^T h + b), by name.

Each takes pre-activations `z` of shape (n_features, batch) and returns the same
shape and dtype. Definitions and defaults are PyTorch's, derivatives at kinks
included. NaN in gives NaN out, so that a diverged run stays visible.

To add a member: one function in `elementwise.py` or `normalised.py`, its name in `names.py` and in
`REGISTRY`, its values in `tests/data/activations.json`.
"""

import functools
from collections.abc import Callable

from jax import Array

from jsuper.toy import elementwise, normalised
from jsuper.toy.names import PARAMETERS, parse_activation

REGISTRY: dict[str, Callable[..., Array]] = {
    "relu": elementwise.relu,
    "leaky_relu": elementwise.leaky_relu,
    "selu": elementwise.selu,
    "celu": elementwise.celu,
    "gelu": elementwise.gelu,
    "sigmoid": elementwise.sigmoid,
    "hardsigmoid": elementwise.hardsigmoid,
    "silu": elementwise.silu,
    "hardswish": elementwise.hardswish,
    "mish": elementwise.mish,
    "softplus": elementwise.softplus,
    "tanh": elementwise.tanh,
    "hardtanh": elementwise.hardtanh,
    "elu": elementwise.elu,
    "hardshrink": elementwise.hardshrink,
    "softmax": normalised.softmax,
    "solu": normalised.solu,
    "log_softmax": normalised.log_softmax,
    "log_sigmoid": elementwise.log_sigmoid,
    "exp": elementwise.exp,
    "exp_linear": elementwise.exp_linear,
    "tanhshrink": elementwise.tanhshrink,
    "relu6": elementwise.relu6,
    "relu_squared": elementwise.relu_squared,
    "softshrink": elementwise.softshrink,
    "softsign": elementwise.softsign,
    "softmin": normalised.softmin,
    "identity": elementwise.identity,
    "gelu_tanh": elementwise.gelu_tanh,
    "swish": elementwise.swish,
    "softmax_batch": normalised.softmax_batch,
    "softmin_batch": normalised.softmin_batch,
    "log_softmax_batch": normalised.log_softmax_batch,
    "solu_batch": normalised.solu_batch,
}


def resolve(activation: str | Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The function of an activation.

    Args:
        activation: a name, with a parameter or without (`relu`, `elu(0.25)`), or
            a function from (n_features, batch) to the same shape, returned as is.

    Returns:
        The function of z alone, one object per member and parameter.

    Raises:
        ValueError: the name or its parameter is not known; see `names.py`.
    """
    if callable(activation):
        return activation
    if not isinstance(activation, str):
        raise ValueError(f"activation={activation!r} is neither a name nor a function; try 'relu'")
    return _bind(*parse_activation(activation))


@functools.cache
def _bind(name: str, parameters: tuple[float, ...]) -> Callable[[Array], Array]:
    """The member `name` with its parameter bound, if it has one."""
    if not parameters:
        return REGISTRY[name]
    return functools.partial(REGISTRY[name], **{PARAMETERS[name][0]: parameters[0]})
