"""Activation functions of the toy model: x_hat = act(W^T h + b).

Each takes pre-activations `z` of shape (n_features, batch) and returns the same
shape and dtype. Definitions and defaults are PyTorch's, derivatives at kinks
included. NaN in gives NaN out, so that a diverged run stays visible.

Softmax and its relatives normalise over the features of one sample (axis 0);
the `_batch` ones over the batch (last axis), which is what PyTorch does with
`dim=None` on an output of shape (batch, instance, feature).

To add a member: one function here, its name in `names.py` and in `REGISTRY`,
its values in `tests/data/activations.json`.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from jsuper.toy.names import PARAMETERS, parse_activation

# ---- piecewise linear and polynomial ----


def identity(z: Array) -> Array:
    """Identity: z, the linear model.

    f(0) = 0; range (-inf, inf). torch.nn.Identity.
    """
    return z


def relu(z: Array) -> Array:
    """Rectified linear unit: max(z, 0).

    f(0) = 0; range [0, inf). Nair & Hinton 2010; torch.nn.ReLU.
    """
    return jax.nn.relu(z)


def leaky_relu(z: Array, *, negative_slope: float = 0.01) -> Array:
    """Leaky ReLU: z if z > 0 else negative_slope z.

    f(0) = 0; range (-inf, inf) for slopes > 0. Maas et al. 2013; torch.nn.LeakyReLU.
    """
    return jnp.where(z > 0, z, negative_slope * z)  # jax.nn has derivative 1 at 0


def relu6(z: Array) -> Array:
    """ReLU capped at 6: min(max(z, 0), 6).

    f(0) = 0; range [0, 6]. Krizhevsky 2010; torch.nn.ReLU6.
    """
    return jax.nn.relu6(z)


def relu_squared(z: Array) -> Array:
    """Squared ReLU: max(z, 0)^2.

    f(0) = 0; range [0, inf). So et al. 2021 (Primer).
    """
    return jnp.square(jax.nn.relu(z))


def hardtanh(z: Array) -> Array:
    """Piecewise linear tanh: clip(z, -1, 1).

    f(0) = 0; range [-1, 1]. Collobert 2004; torch.nn.Hardtanh.
    """
    return jnp.where(jnp.abs(z) < 1, z, jnp.sign(z))  # jax.nn has derivative 1 at 1


def hardsigmoid(z: Array) -> Array:
    """Piecewise linear sigmoid: clip(z/6 + 1/2, 0, 1).

    f(0) = 1/2; range [0, 1]. Howard et al. 2019; torch.nn.Hardsigmoid.
    """
    return jax.nn.hard_sigmoid(z)


def hardswish(z: Array) -> Array:
    """Piecewise quadratic swish: z clip(z/6 + 1/2, 0, 1).

    f(0) = 0; range [-0.375, inf). Howard et al. 2019; torch.nn.Hardswish.
    """
    return jax.nn.hard_swish(z)


def hardshrink(z: Array, *, lambd: float = 0.5) -> Array:
    """Hard threshold: z if |z| > lambd else 0.

    f(0) = 0; range 0 and |y| > lambd. Donoho & Johnstone 1994; torch.nn.Hardshrink.
    """
    return jnp.where(jnp.abs(z) <= lambd, 0, z)


def softshrink(z: Array, *, lambd: float = 0.5) -> Array:
    """Soft threshold: sign(z) max(|z| - lambd, 0).

    f(0) = 0; range (-inf, inf). Donoho & Johnstone 1994; torch.nn.Softshrink.
    """
    return jnp.where(jnp.abs(z) <= lambd, 0, z - jnp.sign(z) * lambd)


# ---- exponential ----


def elu(z: Array, *, alpha: float = 1.0) -> Array:
    """Exponential linear unit: z if z > 0 else alpha (exp(z) - 1).

    f(0) = 0; range (-alpha, inf). Clevert et al. 2015; torch.nn.ELU.
    """
    return jax.nn.elu(z, alpha)


def celu(z: Array, *, alpha: float = 1.0) -> Array:
    """Continuously differentiable ELU: z if z > 0 else alpha (exp(z/alpha) - 1).

    f(0) = 0; range (-alpha, inf); ELU at alpha = 1. Barron 2017; torch.nn.CELU.
    """
    return jax.nn.celu(z, alpha)


def selu(z: Array) -> Array:
    """Scaled ELU: 1.0507 (z if z > 0 else 1.6733 (exp(z) - 1)).

    f(0) = 0; range (-1.758, inf). Klambauer et al. 2017; torch.nn.SELU.
    """
    return jax.nn.selu(z)


def exp(z: Array) -> Array:
    """Exponential: exp(z).

    f(0) = 1; range (0, inf). Overflows above z = 88 in float32. torch.exp.
    """
    return jnp.exp(z)


def exp_linear(z: Array) -> Array:
    """Exponential times linear: z exp(z), by analogy with SoLU = z softmax(z).

    f(0) = 0; range [-1/e, inf). Overflows above z = 84 in float32. Our reading
    of a name that the study gives without a formula.
    """
    return z * jnp.exp(z)


# ---- sigmoid, tanh and relatives ----


def sigmoid(z: Array) -> Array:
    """Logistic function: 1 / (1 + exp(-z)).

    f(0) = 1/2; range (0, 1). torch.nn.Sigmoid.
    """
    return jax.nn.sigmoid(z)


def log_sigmoid(z: Array) -> Array:
    """Logarithm of the logistic function: -log(1 + exp(-z)).

    f(0) = -0.693; range (-inf, 0): never a positive target. torch.nn.LogSigmoid.
    """
    return -_softplus(-z)


def softplus(z: Array, *, beta: float = 1.0) -> Array:
    """Smooth ReLU: log(1 + exp(beta z)) / beta, and z where beta z > 20.

    f(0) = 0.693 / beta; range (0, inf). Dugas et al. 2001; torch.nn.Softplus.
    """
    scaled = beta * z
    return jnp.where(scaled > 20, z, _softplus(scaled) / beta)


@jax.custom_jvp
def _softplus(z: Array) -> Array:
    """log(1 + exp(z)): one exponential serves value and derivative, and no slow log1p is needed."""
    return jnp.maximum(z, 0) + _log1p(jnp.exp(-jnp.abs(z)))


def _log1p(e: Array) -> Array:
    """log(1 + e) for e in [0, 1]: 2 artanh(s) with s = e/(2 + e) <= 1/3, by its series."""
    s = e / (2 + e)
    square, last = s * s, 33 if e.dtype == jnp.float64 else 15
    series = jnp.full_like(e, 1 / last)
    for power in range(last - 2, 0, -2):
        series = 1 / power + square * series
    return 2 * s * series


@_softplus.defjvp
def _softplus_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (z,), (dz,) = primals, tangents
    e = jnp.exp(-jnp.abs(z))
    return jnp.maximum(z, 0) + _log1p(e), jnp.where(z >= 0, 1, e) / (1 + e) * dz


def tanh(z: Array) -> Array:
    """Hyperbolic tangent: tanh(z).

    f(0) = 0; range (-1, 1). torch.nn.Tanh.
    """
    return jnp.tanh(z)


def tanhshrink(z: Array) -> Array:
    """What tanh takes away: z - tanh(z).

    f(0) = 0; range (-inf, inf). torch.nn.Tanhshrink.
    """
    return z - jnp.tanh(z)


def softsign(z: Array) -> Array:
    """Algebraic sigmoid: z / (1 + |z|).

    f(0) = 0; range (-1, 1). Bergstra et al. 2009; torch.nn.Softsign.
    """
    return jax.nn.soft_sign(z)


def silu(z: Array) -> Array:
    """Sigmoid linear unit: z sigmoid(z).

    f(0) = 0; range [-0.278, inf). Elfwing et al. 2018; torch.nn.SiLU.
    """
    return jax.nn.silu(z)


def swish(z: Array) -> Array:
    """Another name of `silu`: z sigmoid(z).

    f(0) = 0; range [-0.278, inf). Ramachandran et al. 2017, at beta = 1.
    """
    return silu(z)


def gelu(z: Array) -> Array:
    """Gaussian error linear unit, exact: z (1 + erf(z / sqrt(2))) / 2.

    f(0) = 0; range [-0.170, inf). Hendrycks & Gimpel 2016; torch.nn.GELU.
    """
    return jax.nn.gelu(z, approximate=False)


def gelu_tanh(z: Array) -> Array:
    """GELU with tanh: z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) / 2.

    f(0) = 0; range [-0.170, inf). As `gelu`; torch.nn.GELU(approximate="tanh").
    """
    return jax.nn.gelu(z, approximate=True)


def mish(z: Array) -> Array:
    """Mish: z tanh(log(1 + exp(z))).

    f(0) = 0; range [-0.309, inf). Misra 2019; torch.nn.Mish.

    With w = exp(z), tanh(log(1 + w)) = (w^2 + 2 w) / (w^2 + 2 w + 2): one exponential serves value
    and derivative.
    """
    return _mish(z)


@jax.custom_jvp
def _mish(z: Array) -> Array:
    return z * _mish_gate(z)[0]


def _mish_gate(z: Array) -> tuple[Array, Array]:
    """tanh(log(1 + exp(z))) and sigmoid(z), from exp(-|z|), which cannot overflow."""
    e = jnp.exp(-jnp.abs(z))
    positive = z >= 0
    numerator = jnp.where(positive, 1 + 2 * e, e * (e + 2))
    gate = numerator / (numerator + jnp.where(positive, 2 * e * e, 2))
    return gate, jnp.where(positive, 1, e) / (1 + e)


@_mish.defjvp
def _mish_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (z,), (dz,) = primals, tangents
    gate, sigmoid_z = _mish_gate(z)
    return z * gate, (gate + z * sigmoid_z * (1 - gate * gate)) * dz


# ---- normalised over the features of a sample; f(0) is the value where all of z is 0 ----


def softmax(z: Array) -> Array:
    """Softmax over the features: exp(z_i) / sum_j exp(z_j).

    f(0) = 1/n_features; range (0, 1). Bridle 1990; torch.nn.Softmax.
    """
    return jax.nn.softmax(z, axis=0)


def softmin(z: Array) -> Array:
    """Softmin over the features: softmax(-z), decreasing in its own z_i.

    f(0) = 1/n_features; range (0, 1). torch.nn.Softmin.
    """
    return jax.nn.softmax(-z, axis=0)


def log_softmax(z: Array) -> Array:
    """Logarithm of the softmax over the features: z_i - log sum_j exp(z_j).

    f(0) = -log(n_features); range (-inf, 0): never a positive target. torch.nn.LogSoftmax.
    """
    return jax.nn.log_softmax(z, axis=0)


def solu(z: Array) -> Array:
    """Softmax linear unit: z softmax(z) over the features, without LayerNorm.

    f(0) = 0; range (-inf, inf). Elhage et al. 2022 (SoLU), who add a LayerNorm.
    """
    return z * softmax(z)


# ---- normalised over the batch; f(0) is the value where all of z is 0 ----


def softmax_batch(z: Array) -> Array:
    """Softmax over the batch: exp(z_b) / sum_c exp(z_c), for each feature.

    f(0) = 1/batch; range (0, 1). torch.nn.Softmax(dim=None) on 3-D outputs.
    """
    return jax.nn.softmax(z, axis=-1)


def softmin_batch(z: Array) -> Array:
    """Softmin over the batch: softmax_batch(-z).

    f(0) = 1/batch; range (0, 1). torch.nn.Softmin(dim=None) on 3-D outputs.
    """
    return jax.nn.softmax(-z, axis=-1)


def log_softmax_batch(z: Array) -> Array:
    """Logarithm of the softmax over the batch: z_b - log sum_c exp(z_c).

    f(0) = -log(batch); range (-inf, 0). torch.nn.LogSoftmax(dim=None) on 3-D outputs.
    """
    return jax.nn.log_softmax(z, axis=-1)


def solu_batch(z: Array) -> Array:
    """Softmax linear unit over the batch: z softmax_batch(z), no LayerNorm.

    f(0) = 0; range (-inf, inf). z times torch.nn.Softmax(dim=None) on 3-D outputs.
    """
    return z * softmax_batch(z)


REGISTRY: dict[str, Callable[..., Array]] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "selu": selu,
    "celu": celu,
    "gelu": gelu,
    "sigmoid": sigmoid,
    "hardsigmoid": hardsigmoid,
    "silu": silu,
    "hardswish": hardswish,
    "mish": mish,
    "softplus": softplus,
    "tanh": tanh,
    "hardtanh": hardtanh,
    "elu": elu,
    "hardshrink": hardshrink,
    "softmax": softmax,
    "solu": solu,
    "log_softmax": log_softmax,
    "log_sigmoid": log_sigmoid,
    "exp": exp,
    "exp_linear": exp_linear,
    "tanhshrink": tanhshrink,
    "relu6": relu6,
    "relu_squared": relu_squared,
    "softshrink": softshrink,
    "softsign": softsign,
    "softmin": softmin,
    "identity": identity,
    "gelu_tanh": gelu_tanh,
    "swish": swish,
    "softmax_batch": softmax_batch,
    "softmin_batch": softmin_batch,
    "log_softmax_batch": log_softmax_batch,
    "solu_batch": solu_batch,
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
