"""Cheap exponentials and logarithms for the activations, and value and derivative in one loop.

Training spends much of its time on the derivatives of activations. Where JAX's own form is slow,
value and derivative are written side by side, so that one exponential and one division serve both
and XLA makes one loop of them; float32 takes a polynomial there, other dtypes the library's
function.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

OVERFLOW = 89.0  # exp of this and of anything above is inf in float32


def with_derivative(
    both: Callable[[Array], tuple[Array, Array]],
) -> Callable[[Array], Array]:
    """Return the elementwise function whose value and derivative `both` returns."""

    @jax.custom_jvp
    def function(z: Array) -> Array:
        return both(z)[0]

    @function.defjvp
    def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        value, derivative = both(*primals)
        return value, derivative * tangents[0]

    return function


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def fast_exp(z: Array, upper: float | None = None) -> Array:
    """exp(min(z, upper)), in float32 from sums and products alone; None means that z <= 0.

    XLA treats its own exponential as too dear to fuse wherever the result has two users, and checks
    the range twice. In float32 the relative error is below 2e-7, and the result 0 below -86.6.
    """
    if upper is not None:
        z = jnp.where(z > upper, upper, z)
    if jnp.result_type(z) != jnp.float32:
        return jnp.exp(z)
    half_power, p = exp_parts(z)
    half = half_power + half_power * p
    return half + half


@fast_exp.defjvp
def _exp_jvp(
    upper: float | None, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    value = fast_exp(*primals, upper)
    return value, value * tangents[0]


@jax.custom_jvp
def expm1_negative(z: Array) -> Array:
    """exp(min(z, 0)) - 1, precise to the last digits near 0 too. Its derivative is 1 + value."""
    z = jnp.where(z > 0, 0, z)
    if jnp.result_type(z) != jnp.float32:
        return jnp.expm1(z)
    half_power, p = exp_parts(z)
    power = half_power + half_power
    return power * p + (power - 1)


@expm1_negative.defjvp
def _expm1_negative_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    value = expm1_negative(*primals)
    return value, jnp.where(primals[0] > 0, 0, 1 + value) * tangents[0]


def exp_parts(z: Array) -> tuple[Array, Array]:
    """2^(k-1) and p with exp(z) = 2^k (1 + p), for float32 z up to OVERFLOW.

    Cody and Waite 1980: z = k log(2) + r with |r| <= log(2)/2, and p = exp(r) - 1 is a polynomial,
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


def polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Return the polynomial with these coefficients, the constant first, by Horner's rule."""
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = coefficient + x * value
    return value


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
def log1p(e: Array) -> Array:
    """log(1 + e) for e in [0, 1]; in float32 e times a polynomial of relative error 2e-7."""
    if jnp.result_type(e) != jnp.float32:
        return jnp.log1p(e)
    return e * polynomial(e, LOG1P)


@log1p.defjvp
def _log1p_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (e,) = primals
    return log1p(e), tangents[0] / (1 + e)
