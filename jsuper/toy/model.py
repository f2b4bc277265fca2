"""One toy model of superposition: parameters, forward pass, loss. No axis over models anywhere.

    h = W x,   z = Wᵀ h + b,   x̂ = act(z)

W is (n_hidden, n_features) and its column W_i is the embedding of feature i; batches are
(n_features, batch). Source: Elhage et al., "Toy Models of Superposition" (2022).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsuper.toy.activations import resolve

Activation = Callable[[Array], Array]


class Params(NamedTuple):
    """W (n_hidden, n_features) and b (n_features,)."""

    W: Array
    b: Array


def init_params(key: Array, n_hidden: int, n_features: int, std: float, dtype: str) -> Params:
    """W ~ N(0, std²), drawn in float32; b = 0."""
    W = std * jax.random.normal(key, (n_hidden, n_features), jnp.float32)
    return Params(W=W.astype(dtype), b=jnp.zeros(n_features, dtype))


def init_std(init: str, n_features: int, n_hidden: int, scale: float, instances: int) -> float:
    """Standard deviation of the initial weights.

    xavier: √(2/(n + m)); normal: `scale`; notebook: √(2/(m (n + instances))), which is what
    PyTorch's xavier_normal_ gives on the notebook's (instances, n, m) tensor.
    """
    if init == "xavier":
        return (2 / (n_features + n_hidden)) ** 0.5
    if init == "notebook":
        return (2 / (n_hidden * (n_features + instances))) ** 0.5
    return scale


def preactivation(params: Params, x: Array, mask: Array | None = None) -> Array:
    """z = Wᵀ (mask · W x) + b, (n_features, batch), in full precision on every device.

    Args:
        params: the model.
        x: features, (n_features, batch).
        mask: factor of every hidden unit, (n_hidden, batch), as dropout makes it; None is 1.
    """
    h = jnp.matmul(params.W, x, precision="highest")
    if mask is not None:
        h = h * mask
    return jnp.matmul(params.W.T, h, precision="highest") + params.b[:, None]


def dropout_mask(u: Array, rate: Array) -> Array:
    """Inverted dropout: 0 where u < rate, else 1/(1 - rate); u uniform, (n_hidden, batch)."""
    return jnp.where(u < rate.astype(u.dtype), 0, 1 / (1 - rate))


def forward(W: Array, b: Array, activation: str | Activation, x: Array) -> Array:
    """x̂ = act(Wᵀ W x + b) of any stored model.

    Args:
        W: weights, (n_hidden, n_features).
        b: output bias, (n_features,).
        activation: a registered name (`elu(0.25)` too) or a function of z (n_features, batch).
        x: features, (n_features, batch), or (n_features,) for a single sample.

    Returns:
        x̂, the shape of x.

    Raises:
        ValueError: the activation is not known, or the shapes do not fit.
    """
    W, b, x = jnp.asarray(W), jnp.asarray(b), jnp.asarray(x)
    if W.ndim != 2 or b.shape != W.shape[1:] or x.ndim not in (1, 2) or x.shape[:1] != b.shape:
        raise ValueError(
            f"W {W.shape}, b {b.shape} and x {x.shape} do not fit; they are (n_hidden, n_features),"
            " (n_features,) and (n_features, batch) or (n_features,), of one model"
        )
    columns = x[:, None] if x.ndim == 1 else x
    return resolve(activation)(preactivation(Params(W, b), columns)).reshape(x.shape)


def weighted_error(x_hat: Array, x: Array, importance: Array, repeats: int = 1) -> Array:
    """mean over batch and features of I_i (x_i - x̂_i)²: the notebook's loss of one instance.

    Args:
        x_hat, x: (n_features, batch).
        importance: (n_features,).
        repeats: how many columns of the batch the last column stands for.
    """
    error = importance[:, None] * (x_hat - x) ** 2
    if repeats == 1:
        return jnp.mean(error)
    columns = x.shape[1]
    weights = jnp.where(jnp.arange(columns) == columns - 1, repeats, 1).astype(error.dtype)
    return jnp.sum(weights * error) / (x.shape[0] * (columns - 1 + repeats))
