"""Elementwise activations.

Definitions and defaults are PyTorch's, derivatives at kinks included. NaN in gives NaN out.

References, for those of the functions that have a public address:

- Barron (2017), "Continuously Differentiable Exponential Linear Units",
  <https://arxiv.org/abs/1704.07483>
- Clevert et al. (2015), "Fast and Accurate Deep Network Learning by Exponential Linear Units
  (ELUs)", <https://arxiv.org/abs/1511.07289>
- Elfwing et al. (2018), "Sigmoid-Weighted Linear Units for Neural Network Function Approximation in
  Reinforcement Learning", <https://arxiv.org/abs/1702.03118>
- Hendrycks and Gimpel (2016), "Gaussian Error Linear Units (GELUs)",
  <https://arxiv.org/abs/1606.08415>
- Howard et al. (2019), "Searching for MobileNetV3", <https://arxiv.org/abs/1905.02244>
- Klambauer et al. (2017), "Self-Normalizing Neural Networks", <https://arxiv.org/abs/1706.02515>
- Misra (2019), "Mish: A Self Regularized Non-Monotonic Neural Activation Function",
  <https://arxiv.org/abs/1908.08681>
- Ramachandran et al. (2017), "Searching for Activation Functions",
  <https://arxiv.org/abs/1710.05941>
- So et al. (2021), "Primer: Searching for Efficient Transformers for Language Modeling",
  <https://arxiv.org/abs/2109.08668>
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from jsuper.models.toy.activations.fast_math import (
    OVERFLOW,
    expm1_negative,
    fast_exp,
    log1p,
    polynomial,
    with_derivative,
)

# ---- piecewise linear and polynomial ----


def identity(z: Array) -> Array:
    """Identity: z, the linear model.

    f(0) = 0; range (-inf, inf). torch.nn.Identity.
    """
    return z


def relu(z: Array) -> Array:
    """Rectified linear unit: max(z, 0).

    f(0) = 0; range [0, inf). Nair and Hinton 2010; torch.nn.ReLU.
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

    f(0) = 0; range 0 and |y| > lambd. Donoho and Johnstone 1994; torch.nn.Hardshrink.
    """
    return jnp.where(jnp.abs(z) <= lambd, 0, z)


def softshrink(z: Array, *, lambd: float = 0.5) -> Array:
    """Soft threshold: sign(z) max(|z| - lambd, 0).

    f(0) = 0; range (-inf, inf). Donoho and Johnstone 1994; torch.nn.Softshrink.
    """
    return jnp.where(jnp.abs(z) <= lambd, 0, z - jnp.sign(z) * lambd)


# ---- exponential ----


def elu(z: Array, *, alpha: float = 1.0) -> Array:
    """Exponential linear unit: z if z > 0 else alpha (exp(z) - 1).

    f(0) = 0; range (-alpha, inf); ReLU at alpha = 0. Clevert et al. 2015; torch.nn.ELU.
    """
    return jnp.where(z > 0, z, alpha * expm1_negative(z))


def celu(z: Array, *, alpha: float = 1.0) -> Array:
    """Continuously differentiable ELU: z if z > 0 else alpha (exp(z/alpha) - 1).

    f(0) = 0; range (-alpha, inf); ELU at alpha = 1. Barron 2017; torch.nn.CELU.
    """
    return jnp.where(z > 0, z, alpha * expm1_negative(z / alpha))


def selu(z: Array) -> Array:
    """Scaled ELU: 1.0507 (z if z > 0 else 1.6733 (exp(z) - 1)).

    f(0) = 0; range (-1.758, inf). Klambauer et al. 2017; torch.nn.SELU.
    """
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return jnp.where(z > 0, scale * z, scale * alpha * expm1_negative(z))


def exp(z: Array) -> Array:
    """Exponential: exp(z).

    f(0) = 1; range (0, inf). Overflows above z = 88 in float32. torch.exp.
    """
    return fast_exp(z, OVERFLOW)


def exp_linear(z: Array) -> Array:
    """Exponential times linear: z exp(z), by analogy with SoLU = z softmax(z).

    f(0) = 0; range [-1/e, inf). Overflows above z = 84 in float32. Our reading
    of a name that the study gives without a formula.
    """
    return z * fast_exp(z, OVERFLOW)


# ---- sigmoid, tanh and relatives ----


def sigmoid(z: Array) -> Array:
    """Logistic function: 1 / (1 + exp(-z)).

    f(0) = 1/2; range (0, 1). torch.nn.Sigmoid.
    """
    return _sigmoid(z)


@with_derivative
def _sigmoid(z: Array) -> tuple[Array, Array]:
    s = 1 / (1 + fast_exp(-z, OVERFLOW))
    return s, s * (1 - s)


def log_sigmoid(z: Array) -> Array:
    """Logarithm of the logistic function: -log(1 + exp(-z)).

    f(0) = -0.693; range (-inf, 0): never a positive target. torch.nn.LogSigmoid.
    """
    return -_softplus(-z)


def softplus(z: Array, *, beta: float = 1.0) -> Array:
    """Smooth ReLU: log(1 + exp(beta z)) / beta, and z where beta z > 20.

    f(0) = 0.693 / beta; range (0, inf). Dugas et al. 2001; torch.nn.Softplus.
    """
    if beta == 1 and jnp.result_type(z) == jnp.float32:
        return _softplus(z)  # which is z above 20: exp(-20) is below half the last digit
    scaled = beta * z
    return jnp.where(scaled > 20, z, _softplus(scaled) / beta)


@with_derivative
def _softplus(z: Array) -> tuple[Array, Array]:
    """max(z, 0) + log(1 + exp(-|z|)), which cannot overflow, and its derivative sigmoid(z)."""
    e = fast_exp(-jnp.abs(z))
    return jnp.where(z < 0, 0, z) + log1p(e), jnp.where(z < 0, e, 1) / (1 + e)


def tanh(z: Array) -> Array:
    """Hyperbolic tangent: tanh(z).

    f(0) = 0; range (-1, 1). torch.nn.Tanh.
    """
    return jnp.tanh(z)


def tanhshrink(z: Array) -> Array:
    """Tanh shrinkage: z - tanh(z).

    f(0) = 0; range (-inf, inf). torch.nn.Tanhshrink.
    """
    return _tanhshrink(z)


@with_derivative
def _tanhshrink(z: Array) -> tuple[Array, Array]:
    t = jnp.tanh(z)
    return z - t, t * t


def softsign(z: Array) -> Array:
    """Algebraic sigmoid: z / (1 + |z|).

    f(0) = 0; range (-1, 1). Bergstra et al. 2009; torch.nn.Softsign.
    """
    return _softsign(z)


@with_derivative
def _softsign(z: Array) -> tuple[Array, Array]:
    r = 1 / (1 + jnp.abs(z))
    return z * r, r * r


def silu(z: Array) -> Array:
    """Sigmoid linear unit: z sigmoid(z).

    f(0) = 0; range [-0.278, inf). Elfwing et al. 2018; torch.nn.SiLU.
    """
    return _silu(z)


@with_derivative
def _silu(z: Array) -> tuple[Array, Array]:
    s = 1 / (1 + fast_exp(-z, OVERFLOW))
    value = z * s
    return value, s + value * (1 - s)


def swish(z: Array) -> Array:
    """Another name of `silu`: z sigmoid(z).

    f(0) = 0; range [-0.278, inf). Ramachandran et al. 2017, at beta = 1.
    """
    return silu(z)


def gelu(z: Array) -> Array:
    """Gaussian error linear unit, exact: z (1 + erf(z / sqrt(2))) / 2.

    f(0) = 0; range [-0.170, inf). Hendrycks and Gimpel 2016; torch.nn.GELU.
    """
    return _gelu(z)


# Minimax fit of exp(z^2/2) Phi(-z) / y for z >= 0, weighted by exp(-z^2/2) max(z, 1).
NORMAL_TAIL = (0.11672909, 0.06622974, 0.27197177, -0.24066876, 0.39206661, -0.10632846)


@with_derivative
def _gelu(z: Array) -> tuple[Array, Array]:
    """z Phi(z) and Phi(z) + z phi(z), where Phi(z) is T or 1 - T with T = Phi(-|z|).

    One exponential serves phi and T: as in Abramowitz & Stegun 7.1.26, T = exp(-z^2/2) times a
    polynomial of y = 1/(1 + 0.28 |z|), here of one degree more, with error 1.1e-8 in |z| T.
    """
    magnitude = jnp.abs(z)
    e = fast_exp(-0.5 * (z * z))
    if jnp.result_type(z) == jnp.float32:
        y = 1 / (1 + 0.28 * magnitude)
        tail = e * (y * polynomial(y, NORMAL_TAIL))
    else:
        tail = 0.5 * lax.erfc(magnitude * 0.5**0.5)
    phi = 0.3989422804014327 * e
    value = jnp.where(z < 0, 0, z) - magnitude * tail
    return value, jnp.where(z < 0, tail, 1 - tail) + z * phi


def gelu_tanh(z: Array) -> Array:
    """GELU with tanh: z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) / 2.

    f(0) = 0; range [-0.170, inf). As `gelu`; torch.nn.GELU(approximate="tanh").
    """
    return _gelu_tanh(z)


@with_derivative
def _gelu_tanh(z: Array) -> tuple[Array, Array]:
    """z s and its derivative, with s = (1 + tanh(u/2)) / 2 = sigmoid(u), precise for z << 0 too.

    s' = s (1 - s) u' is taken as e / (1 + e)^2 u' with e = exp(-|u|): u' is large where 1 - s has
    lost its digits.
    """
    slope = 1.5957691216057308  # 2 sqrt(2/pi)
    square = z * z
    e = fast_exp(-slope * jnp.abs(z) * (1 + 0.044715 * square))
    r = 1 / (1 + e)
    s = jnp.where(z < 0, e, 1) * r
    return z * s, s + z * (e * r * r) * (slope * (1 + 0.134145 * square))


def mish(z: Array) -> Array:
    """Mish: z tanh(log(1 + exp(z))).

    f(0) = 0; range [-0.309, inf). Misra 2019; torch.nn.Mish.
    """
    return _mish(z)


@with_derivative
def _mish(z: Array) -> tuple[Array, Array]:
    """With w = exp(z) and r = 1 / ((1 + w)^2 + 1), the gate tanh(log(1 + w)) is w (w + 2) r.

    Its derivative is 4 w (1 + w) r^2. Above 20 the gate is 1 to double precision.
    """
    w = fast_exp(z, 20)
    r = 1 / ((1 + w) * (1 + w) + 1)
    gate = w * (w + 2) * r
    return z * gate, gate + 4 * z * ((w * r) * ((1 + w) * r))
