"""The activation functions of the toy model, x_hat = act(W^T h + b), by name.

Each takes pre-activations `z` of shape (n_features, batch) and returns the same
shape and dtype. Definitions and defaults are PyTorch's, derivatives at kinks
included. NaN in gives NaN out, so that a diverged run stays visible.

Two kinds are special: random gates (`stochastic.py`), and the gates of a decoder
with a second matrix, which take z of shape (2 n_features, batch), W^T h + b above
V^T h + c, and return (n_features, batch).

To add an activation: one function in `elementwise.py` or `normalised.py`, its name in `names.py`;
the tests ask for its values in `tests/data/activations.json`.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array

from jsuper.models.toy.activations import elementwise, normalised, stochastic
from jsuper.models.toy.activations.names import (
    ACTIVATIONS,
    EXTRA_ACTIVATIONS,
    PARAMETERS,
    STOCHASTIC,
    parse_activation,
)

REGISTRY: dict[str, Callable[..., Array]] = {
    name: getattr(elementwise, name, None) or getattr(normalised, name)
    for name in (*ACTIVATIONS, *EXTRA_ACTIVATIONS)
}

# x_hat = gate(W^T h + b) * (V^T h + c). Dauphin et al. 2017; Shazeer 2020, equations 3 and 5.
GATES: dict[str, Callable[..., Array]] = {
    "glu": elementwise.sigmoid,
    "reglu": elementwise.relu,
    "geglu": elementwise.gelu,
    "swiglu": elementwise.silu,
    "bilinear": elementwise.identity,
}


def resolve(activation: str | Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return the function of an activation.

    Parameters
    ----------
    activation
        A name, with or without a parameter (`relu`, `elu(0.25)`), or a function from (n_features,
        batch) to the same shape, which is returned unchanged.

    Returns
    -------
    Callable[[Array], Array]
        A function of z, the same object for the same name and parameter; for a random gate, its
        mean.

    Raises
    ------
    ValueError
        The name or its parameter is not known; see `names.py`.
    """
    if callable(activation):
        return activation
    if not isinstance(activation, str):
        raise ValueError(f"activation={activation!r} is neither a name nor a function; try 'relu'")
    return _bind(*parse_activation(activation))


def in_training(activation: str | Callable[[Array], Array]) -> Callable[[Array, Any], Array]:
    """Return the function of z and of uniform draws u, of z's shape, that training uses.

    Only random gates use u; for other activations it may be None.
    """
    if isinstance(activation, str):
        name, parameters = parse_activation(activation)
        if name in STOCHASTIC:
            return _with(stochastic.REGISTRY[name].draw, name, parameters)
    function = resolve(activation)
    return lambda z, u: function(z)


def is_stochastic(activation: str | Callable[[Array], Array]) -> bool:
    """Return whether an activation's output in training is random."""
    return isinstance(activation, str) and parse_activation(activation)[0] in STOCHASTIC


def is_gated(activation: str | Callable[[Array], Array]) -> bool:
    """Return whether an activation is a gate, whose decoder has a second matrix."""
    return isinstance(activation, str) and activation in GATES


@functools.cache
def _bind(name: str, parameters: tuple[float, ...]) -> Callable[[Array], Array]:
    """Return an activation's function with its parameter bound."""
    if name in GATES:
        return functools.partial(_gated, GATES[name])
    if name in STOCHASTIC:
        return _with(stochastic.REGISTRY[name].mean, name, parameters)
    return _with(REGISTRY[name], name, parameters)


def _with(function: Callable, name: str, parameters: tuple[float, ...]) -> Callable[..., Array]:
    if not parameters:
        return function
    return functools.partial(function, **{PARAMETERS[name][0]: parameters[0]})


def _gated(gate: Callable[[Array], Array], z: Array) -> Array:
    """Return gate(z) * v for an array with z above v."""
    z, v = jnp.split(z, 2)
    return gate(z) * v
