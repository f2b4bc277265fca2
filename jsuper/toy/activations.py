"""Activation functions of the toy model: x_hat = act(W^T h + b).

Each takes pre-activations `z` of shape (n_features, batch) and returns the same
shape and dtype. Definitions and defaults are PyTorch's, derivatives at kinks
included. NaN in gives NaN out, so that a diverged run stays visible.

Softmax and its relatives normalise over the features of one sample (axis 0);
the `_batch` ones over the batch (last axis), which is what PyTorch does with
`dim=None` on an output of shape (batch, instance, feature).

Training spends much of its time on the derivatives here. Where JAX's own form is slow, value and
derivative are written side by side, so that one exponential and one division serve both and XLA
makes one loop of them; float32 takes a polynomial there, other dtypes the library's function.

To add a member: one function here, its name in `names.py` and in `REGISTRY`,
its values in `tests/data/activations.json`.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jsuper.toy.names import PARAMETERS, parse_activation

# ---- building blocks ----

OVERFLOW = 89.0  # exp of this and of anything above is inf in float32


def _with_derivative(
    both: Callable[[Array], tuple[Array, Array]],
) -> Callable[[Array], Array]:
    """The elementwise function whose value and derivative `both` returns."""

    @jax.custom_jvp
    def function(z: Array) -> Array:
        return both(z)[0]

    @function.defjvp
    def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        value, derivative = both(*primals)
        return value, derivative * tangents[0]

    return function


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _exp(z: Array, upper: float | None = None) -> Array:
    """exp(min(z, upper)), in float32 from sums and products alone; None means that z <= 0.

    XLA treats its own exponential as too dear to fuse wherever the result has two users, and checks
    the range twice. In float32 the relative error is below 2e-7, and the result 0 below -86.6.
    """
    if upper is not None:
        z = jnp.where(z > upper, upper, z)
    if jnp.result_type(z) != jnp.float32:
        return jnp.exp(z)
    half_power, p = _exp_parts(z)
    half = half_power + half_power * p
    return half + half


@_exp.defjvp
def _exp_jvp(
    upper: float | None, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    value = _exp(*primals, upper)
    return value, value * tangents[0]


@jax.custom_jvp
def _expm1_negative(z: Array) -> Array:
    """exp(min(z, 0)) - 1, precise to the last digits near 0 too. Its derivative is 1 + value."""
    z = jnp.where(z > 0, 0, z)
    if jnp.result_type(z) != jnp.float32:
        return jnp.expm1(z)
    half_power, p = _exp_parts(z)
    power = half_power + half_power
    return power * p + (power - 1)


@_expm1_negative.defjvp
def _expm1_negative_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    value = _expm1_negative(*primals)
    return value, jnp.where(primals[0] > 0, 0, 1 + value) * tangents[0]


def _exp_parts(z: Array) -> tuple[Array, Array]:
    """2^(k-1) and p with exp(z) = 2^k (1 + p), for float32 z up to OVERFLOW.

    Cody & Waite 1980: z = k log(2) + r with |r| <= log(2)/2, and p = exp(r) - 1 is a polynomial,
    here r + r^2 q(r) with q of minimax error 3e-9. Half of 2^k, because 2^128 is no float32.
    """
    z = jnp.where(z < -87.6, -87.6, z)  # NaN stays, as in jnp.maximum, which takes more steps
    k = lax.round(z * 1.4426950408889634, lax.RoundingMethod.TO_NEAREST_EVEN)
    # log(2) in two parts: the first has so few digits that its product with k is exact
    r = z - k * 0.693145751953125 - k * 1.428606765330187e-06
    square = r * r
    high = 0.04166839 + 0.00836878 * r + 0.00138145 * square
    p = r + square * ((0.49999993 + 0.1666652 * r) + square * high)
    # 1.5 * 2^23 puts an integer into the last bits; k + 126 is the exponent field of 2^(k-1)
    bits = lax.bitcast_convert_type(k + (1.5 * 2**23 + 126), jnp.int32)
    return lax.bitcast_convert_type(bits << 23, jnp.float32), p


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """The polynomial with these coefficients, the constant first, by Horner's rule."""
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = coefficient + x * value
    return value


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
    return jnp.where(z > 0, z, alpha * _expm1_negative(z))


def celu(z: Array, *, alpha: float = 1.0) -> Array:
    """Continuously differentiable ELU: z if z > 0 else alpha (exp(z/alpha) - 1).

    f(0) = 0; range (-alpha, inf); ELU at alpha = 1. Barron 2017; torch.nn.CELU.
    """
    return jnp.where(z > 0, z, alpha * _expm1_negative(z / alpha))


def selu(z: Array) -> Array:
    """Scaled ELU: 1.0507 (z if z > 0 else 1.6733 (exp(z) - 1)).

    f(0) = 0; range (-1.758, inf). Klambauer et al. 2017; torch.nn.SELU.
    """
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return jnp.where(z > 0, scale * z, scale * alpha * _expm1_negative(z))


def exp(z: Array) -> Array:
    """Exponential: exp(z).

    f(0) = 1; range (0, inf). Overflows above z = 88 in float32. torch.exp.
    """
    return _exp(z, OVERFLOW)


def exp_linear(z: Array) -> Array:
    """Exponential times linear: z exp(z), by analogy with SoLU = z softmax(z).

    f(0) = 0; range [-1/e, inf). Overflows above z = 84 in float32. Our reading
    of a name that the study gives without a formula.
    """
    return z * _exp(z, OVERFLOW)


# ---- sigmoid, tanh and relatives ----


def sigmoid(z: Array) -> Array:
    """Logistic function: 1 / (1 + exp(-z)).

    f(0) = 1/2; range (0, 1). torch.nn.Sigmoid.
    """
    return _sigmoid(z)


@_with_derivative
def _sigmoid(z: Array) -> tuple[Array, Array]:
    s = 1 / (1 + _exp(-z, OVERFLOW))
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


@_with_derivative
def _softplus(z: Array) -> tuple[Array, Array]:
    """max(z, 0) + log(1 + exp(-|z|)), which cannot overflow, and its derivative sigmoid(z)."""
    e = _exp(-jnp.abs(z))
    return jnp.where(z < 0, 0, z) + _log1p(e), jnp.where(z < 0, e, 1) / (1 + e)


# Minimax fit of log(1 + e)/e on [0, 1].
LOG1P = (
    0.99999981,
    -0.49997405,
    0.33275479,
    -0.24495456,
    0.17745225,
    -0.10768148,
    0.04408947,
    -0.00853916,
)


@jax.custom_jvp
def _log1p(e: Array) -> Array:
    """log(1 + e) for e in [0, 1]; in float32 e times a polynomial of relative error 2e-7."""
    if jnp.result_type(e) != jnp.float32:
        return jnp.log1p(e)
    return e * _polynomial(e, LOG1P)


@_log1p.defjvp
def _log1p_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (e,) = primals
    return _log1p(e), tangents[0] / (1 + e)


def tanh(z: Array) -> Array:
    """Hyperbolic tangent: tanh(z).

    f(0) = 0; range (-1, 1). torch.nn.Tanh.
    """
    return jnp.tanh(z)


def tanhshrink(z: Array) -> Array:
    """What tanh takes away: z - tanh(z).

    f(0) = 0; range (-inf, inf). torch.nn.Tanhshrink.
    """
    return _tanhshrink(z)


@_with_derivative
def _tanhshrink(z: Array) -> tuple[Array, Array]:
    t = jnp.tanh(z)
    return z - t, t * t


def softsign(z: Array) -> Array:
    """Algebraic sigmoid: z / (1 + |z|).

    f(0) = 0; range (-1, 1). Bergstra et al. 2009; torch.nn.Softsign.
    """
    return _softsign(z)


@_with_derivative
def _softsign(z: Array) -> tuple[Array, Array]:
    r = 1 / (1 + jnp.abs(z))
    return z * r, r * r


def silu(z: Array) -> Array:
    """Sigmoid linear unit: z sigmoid(z).

    f(0) = 0; range [-0.278, inf). Elfwing et al. 2018; torch.nn.SiLU.
    """
    return _silu(z)


@_with_derivative
def _silu(z: Array) -> tuple[Array, Array]:
    s = 1 / (1 + _exp(-z, OVERFLOW))
    value = z * s
    return value, s + value * (1 - s)


def swish(z: Array) -> Array:
    """Another name of `silu`: z sigmoid(z).

    f(0) = 0; range [-0.278, inf). Ramachandran et al. 2017, at beta = 1.
    """
    return silu(z)


def gelu(z: Array) -> Array:
    """Gaussian error linear unit, exact: z (1 + erf(z / sqrt(2))) / 2.

    f(0) = 0; range [-0.170, inf). Hendrycks & Gimpel 2016; torch.nn.GELU.
    """
    return _gelu(z)


# Minimax fit of exp(z^2/2) Phi(-z) / y for z >= 0, weighted by exp(-z^2/2) max(z, 1).
NORMAL_TAIL = (0.11672909, 0.06622974, 0.27197177, -0.24066876, 0.39206661, -0.10632846)


@_with_derivative
def _gelu(z: Array) -> tuple[Array, Array]:
    """z Phi(z) and Phi(z) + z phi(z), where Phi(z) is T or 1 - T with T = Phi(-|z|).

    One exponential serves phi and T: as in Abramowitz & Stegun 7.1.26, T = exp(-z^2/2) times a
    polynomial of y = 1/(1 + 0.28 |z|), here of one degree more, with error 1.1e-8 in |z| T.
    """
    magnitude = jnp.abs(z)
    e = _exp(-0.5 * (z * z))
    if jnp.result_type(z) == jnp.float32:
        y = 1 / (1 + 0.28 * magnitude)
        tail = e * (y * _polynomial(y, NORMAL_TAIL))
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


@_with_derivative
def _gelu_tanh(z: Array) -> tuple[Array, Array]:
    """z s and its derivative, with s = (1 + tanh(u/2)) / 2 = sigmoid(u), precise for z << 0 too.

    s' = s (1 - s) u' is taken as e / (1 + e)^2 u' with e = exp(-|u|): u' is large where 1 - s has
    lost its digits.
    """
    slope = 1.5957691216057308  # 2 sqrt(2/pi)
    square = z * z
    e = _exp(-slope * jnp.abs(z) * (1 + 0.044715 * square))
    r = 1 / (1 + e)
    s = jnp.where(z < 0, e, 1) * r
    return z * s, s + z * (e * r * r) * (slope * (1 + 0.134145 * square))


def mish(z: Array) -> Array:
    """Mish: z tanh(log(1 + exp(z))).

    f(0) = 0; range [-0.309, inf). Misra 2019; torch.nn.Mish.
    """
    return _mish(z)


@_with_derivative
def _mish(z: Array) -> tuple[Array, Array]:
    """With w = exp(z) and r = 1 / ((1 + w)^2 + 1), the gate tanh(log(1 + w)) is w (w + 2) r.

    Its derivative is 4 w (1 + w) r^2. Above 20 the gate is 1 to double precision.
    """
    w = _exp(z, 20)
    r = 1 / ((1 + w) * (1 + w) + 1)
    gate = w * (w + 2) * r
    return z * gate, gate + 4 * z * ((w * r) * ((1 + w) * r))


# ---- normalised over the features of a sample; f(0) is the value where all of z is 0 ----


def _shifted_exp(z: Array, axis: int) -> tuple[Array, Array, Array]:
    """z less its maximum, the exponential of that, and 1 / its sum, over an axis that is kept."""
    # jnp.max would spend most of the time on NaN, which reaches every result through exp(shifted)
    largest = lax.reduce(
        lax.stop_gradient(z),
        np.array(-np.inf, z.dtype),
        lambda a, b: lax.select(a > b, a, b),
        (axis % z.ndim,),
    )
    shifted = z - jnp.expand_dims(largest, axis)
    e = jnp.exp(shifted)  # the library's, as XLA would compute a cheap one anew in every loop
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

    f(0) = 0; range (-inf, inf). Elhage et al. 2022 (SoLU), who add a LayerNorm.
    """
    return z * softmax(z)


# ---- normalised over the batch; f(0) is the value where all of z is 0 ----


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
