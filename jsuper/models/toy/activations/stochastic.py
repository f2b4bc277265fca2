"""Activations that multiply by a random gate in training, and by its mean when they are evaluated.

    training: z m, m ~ Bernoulli(chance(z))      evaluation: E[z m] = z chance(z)

GELU is the mean of such a gate whose chance is Φ(z): Hendrycks and Gimpel (2016), "Gaussian Error
Linear Units (GELUs)", <https://arxiv.org/abs/1606.08415>, section 2. The chance depends on z, so a
draw has no derivative along its own path. Two conventions: the gate is a constant mask (derivative
m), or the derivative is that of the mean, d/dz z chance(z), whatever was drawn. Their means differ:
chance(z) against chance(z) + z chance'(z).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.stats import norm

from jsuper.models.toy.activations import elementwise


class Stochastic(NamedTuple):
    """A random activation: its mean, of z alone, and a draw of it, of z and uniform u."""

    mean: Callable[..., Array]
    draw: Callable[..., Array]


def gelu_stochastic(z: Array, u: Array) -> Array:
    """GELU's gate, a constant mask for the gradient: z m, m = [u < Φ(z)], derivative m.

    Mean z Φ(z) = gelu(z), variance z² Φ (1 - Φ). Hendrycks and Gimpel 2016, section 2.
    """
    return jnp.where(u < norm.cdf(z), z, 0)


def gelu_stochastic_expected(z: Array, u: Array) -> Array:
    """GELU's gate with the mean's derivative: z m, m = [u < Φ(z)], derivative Φ(z) + z φ(z)."""
    return _with_slope_of(elementwise.gelu, gelu_stochastic)(z, u)


def silu_stochastic(z: Array, u: Array) -> Array:
    """Logistic gate, a constant mask for the gradient: z m, m = [u < σ(z)], derivative m.

    Mean z σ(z) = silu(z), variance z² σ (1 - σ).
    """
    return jnp.where(u < jax.nn.sigmoid(z), z, 0)


def silu_stochastic_expected(z: Array, u: Array) -> Array:
    """Logistic gate with the mean's derivative: z m, m = [u < σ(z)], derivative silu'(z)."""
    return _with_slope_of(elementwise.silu, silu_stochastic)(z, u)


def relu_stochastic(z: Array, u: Array, *, q: float) -> Array:
    """ReLU times a gate that does not depend on z: max(z, 0) [u >= q] / (1 - q), 0 <= q < 1.

    Mean relu(z), variance relu(z)² q / (1 - q): inverted dropout at the output.
    """
    return jnp.where(u < q, 0, elementwise.relu(z) / (1 - q))


def _relu_mean(z: Array, *, q: float) -> Array:
    """Return the mean over the gate: relu(z)."""
    return elementwise.relu(z)


def _with_slope_of(mean: Callable[[Array], Array], draw: Callable) -> Callable[..., Array]:
    """Return `draw` with the derivative of `mean`."""

    @jax.custom_jvp
    def function(z: Array, u: Array) -> Array:
        return draw(z, u)

    @function.defjvp
    def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
        z, u = primals
        _, slope = jax.jvp(mean, (z,), (jnp.ones_like(z),))
        return draw(z, u), slope * tangents[0]

    return function


REGISTRY: dict[str, Stochastic] = {
    "gelu_stochastic": Stochastic(elementwise.gelu, gelu_stochastic),
    "gelu_stochastic_expected": Stochastic(elementwise.gelu, gelu_stochastic_expected),
    "silu_stochastic": Stochastic(elementwise.silu, silu_stochastic),
    "silu_stochastic_expected": Stochastic(elementwise.silu, silu_stochastic_expected),
    "relu_stochastic": Stochastic(_relu_mean, relu_stochastic),
}
