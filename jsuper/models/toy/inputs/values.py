"""The values of active features: x_i = value(v) for uniform v on [0, 1).

To add a law of values, write a function that returns a `Values`, and add a line to
`jsuper.models.toy.inputs.names.VALUES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import erfinv

from jsuper.core.checks import real
from jsuper.core.errors import SpecError

HALF_STEP = 2.0**-24  # of uniform draws, which are multiples of 2^-23


@dataclass(frozen=True)
class Values:
    """A law of values: one instance for a name and its numbers.

    Laws of one name are equal and share a program, in which their numbers are traced. So a program
    must not use `mean` and `square`, which are those of one instance; it uses `traced_variance`.
    """

    name: str
    of: Callable[[Array, Array], Array] = field(compare=False)
    """of(v, numbers) -> the values"""
    mean: float = field(compare=False)
    """E x_i of an active feature"""
    square: float = field(compare=False)
    """E x_i² of an active feature"""
    numbers: tuple[float, ...] = field(default=(), compare=False)
    moments: Callable[[Array], tuple[Array, Array]] | None = field(default=None, compare=False)
    """moments(numbers) -> mean, square; needed by a law with numbers"""
    offset: bool = False
    """whether draws are shifted by half a step, so that v is neither 0 nor 1"""

    def square_of(self, density: Array) -> Array:
        """Return E x_i² = p E[v²], where v is the value of an active feature."""
        return density / (1 / self.square)  # p/3 for uniform values, to the last digit

    def variance(self, density: Array) -> Array:
        """Return Var(x_i) = p E[v²] - p² E[v]², where v is the value of an active feature."""
        return self.square_of(density) - density**2 * self.mean**2

    def traced_variance(self, density: Array, numbers: Array) -> Array:
        """Return `variance` of the law with these numbers, which may be traced."""
        if self.moments is None:
            return self.variance(density)
        mean, square = self.moments(numbers)
        return density * square - density**2 * mean**2


def uniform(a: float | None = None, b: float | None = None) -> Values:
    """Uniform on [a, b]: x = a + (b - a) v; `uniform` alone is uniform on [0, 1]."""
    if a is not None and b is None:
        raise SpecError("one end of the interval is missing; write uniform(a, b)")
    if a is None or b is None or (a, b) == (0, 1):
        return Values("uniform", lambda v, _: v, 1 / 2, 1 / 3)
    a, b = real()("a", a), real()("b", b)
    if a >= b:
        raise SpecError(f"a={a:g} is not below b={b:g}; give the lower end first")
    return Values("uniform(a, b)", _between, *_moments_between((a, b)), (a, b), _moments_between)


def signed() -> Values:
    """Uniform on [-1, 1]: x = 2 v - 1."""
    return Values("signed", lambda v, _: 2 * v - 1, 0.0, 1 / 3)


def binary() -> Values:
    """Always 1."""
    return Values("binary", lambda v, _: jnp.ones_like(v), 1.0, 1.0)


def normal() -> Values:
    """Standard normal: x = √2 erf⁻¹(2 v - 1)."""
    return Values("normal", lambda v, _: _quantile(2 * v - 1), 0.0, 1.0, offset=True)


def half_normal() -> Values:
    """The absolute value of a standard normal: x = √2 erf⁻¹(v)."""
    mean = math.sqrt(2 / math.pi)
    return Values("half_normal", lambda v, _: _quantile(v), mean, 1.0, offset=True)


def exponential() -> Values:
    """Exponential with mean 1: x = -log v."""
    return Values("exponential", lambda v, _: -jnp.log(v), 1.0, 2.0, offset=True)


def _between(v: Array, numbers: Array) -> Array:
    a, b = numbers.astype(v.dtype)
    return a + (b - a) * v


def _moments_between(numbers: Any) -> tuple[Any, Any]:
    a, b = numbers
    return (a + b) / 2, (a * a + a * b + b * b) / 3


def _quantile(v: Array) -> Array:
    """Return √2 erf⁻¹(v) for |v| < 1; v that was rounded to 1 gets the number below."""
    limit = 1 - jnp.finfo(v.dtype).epsneg
    return math.sqrt(2) * erfinv(jnp.clip(v, -limit, limit))
