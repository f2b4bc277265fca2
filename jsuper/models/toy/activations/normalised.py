"""Softmax and its relatives, over the features of a sample (axis 0) or over the batch (last axis).

The `_batch` ones are what PyTorch does with `dim=None` on an output of shape (batch, instance,
feature). f(0) is the value where all of z is 0.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jsuper.training import keys

# ---- over the features of a sample ----


def _shifted_exp(z: Array, axis: int) -> tuple[Array, Array, Array]:
    """Return z - max(z), its exponential e, and 1 / sum(e); the axis is kept."""
    fixed = lax.stop_gradient(z)
    if keys.platform() == "tpu":  # whose kernels have no reductions by a function
        largest = jnp.max(fixed, axis)
    else:
        # jnp.max would spend most of the time on NaN, which reaches every result through
        # exp(shifted)
        lowest = np.array(-np.inf, z.dtype)
        largest = lax.reduce(fixed, lowest, lambda a, b: lax.select(a > b, a, b), (axis % z.ndim,))
    shifted = z - jnp.expand_dims(largest, axis)
    e = jnp.exp(shifted)  # the library's, as XLA would recompute a cheap one in every loop
    return shifted, e, 1 / jnp.sum(e, axis=axis, keepdims=True)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _softmax(z: Array, axis: int) -> Array:
    """Softmax y = scale e over an axis; its derivative along t is y (t - scale sum(e t))."""
    _, e, scale = _shifted_exp(z, axis)
    return e * scale


@_softmax.defjvp
def _softmax_jvp(axis: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (z,), (t,) = primals, tangents
    _, e, scale = _shifted_exp(z, axis)
    y = e * scale
    return y, y * (t - scale * jnp.sum(e * t, axis=axis, keepdims=True))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _log_softmax(z: Array, axis: int) -> Array:
    """Logarithm of softmax, shifted + log(scale); its derivative along t is t - scale sum(e t)."""
    shifted, _, scale = _shifted_exp(z, axis)
    return shifted + jnp.log(scale)


@_log_softmax.defjvp
def _log_softmax_jvp(
    axis: int, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    (z,), (t,) = primals, tangents
    shifted, e, scale = _shifted_exp(z, axis)
    value = shifted + jnp.log(scale)
    return value, t - scale * jnp.sum(e * t, axis=axis, keepdims=True)


def softmax(z: Array) -> Array:
    """Softmax over the features: exp(z_i) / sum_j exp(z_j).

    f(0) = 1/n_features; range (0, 1). Bridle 1990; torch.nn.Softmax.
    """
    return _softmax(z, 0)


def softmin(z: Array) -> Array:
    """Softmin over the features: softmax(-z), decreasing in its own z_i.

    f(0) = 1/n_features; range (0, 1). torch.nn.Softmin.
    """
    return _softmax(-z, 0)


def log_softmax(z: Array) -> Array:
    """Logarithm of the softmax over the features: z_i - log sum_j exp(z_j).

    f(0) = -log(n_features); range (-inf, 0): never a positive target. torch.nn.LogSoftmax.
    """
    return _log_softmax(z, 0)


def solu(z: Array) -> Array:
    """Softmax linear unit: z softmax(z) over the features, without LayerNorm.

    f(0) = 0; range (-inf, inf). Elhage et al. (2022), "Softmax Linear Units",
    <https://transformer-circuits.pub/2022/solu/index.html>, who add a LayerNorm.
    """
    return z * softmax(z)


# ---- over the batch ----


def softmax_batch(z: Array) -> Array:
    """Softmax over the batch: exp(z_b) / sum_c exp(z_c), for each feature.

    f(0) = 1/batch; range (0, 1). torch.nn.Softmax(dim=None) on 3-D outputs.
    """
    return _softmax(z, -1)


def softmin_batch(z: Array) -> Array:
    """Softmin over the batch: softmax_batch(-z).

    f(0) = 1/batch; range (0, 1). torch.nn.Softmin(dim=None) on 3-D outputs.
    """
    return _softmax(-z, -1)


def log_softmax_batch(z: Array) -> Array:
    """Logarithm of the softmax over the batch: z_b - log sum_c exp(z_c).

    f(0) = -log(batch); range (-inf, 0). torch.nn.LogSoftmax(dim=None) on 3-D outputs.
    """
    return _log_softmax(z, -1)


def solu_batch(z: Array) -> Array:
    """Softmax linear unit over the batch: z softmax_batch(z), no LayerNorm.

    f(0) = 0; range (-inf, inf). z times torch.nn.Softmax(dim=None) on 3-D outputs.
    """
    return z * softmax_batch(z)
