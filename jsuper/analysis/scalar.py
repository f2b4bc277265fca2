"""Functions of one number, such as activations: derivatives, jumps, roots, means under N(0, 1).

All results are in float64, whatever JAX is set to. Searches cover ±CORE; beyond, a function is
assumed to continue as it does there, to its values at ±END.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy

from jsuper.models.toy.activations.registry import is_gated, is_stochastic, resolve
from jsuper.training.jax_config import shielded

Activation = str | Callable[[Any], Any]
Derivatives = Callable[..., np.ndarray]  # (z, order) -> the derivative of an order, 0 to 2, at z

CORE = 12.0
CELL = 1 / 256
END = 1e8
HUGE = 1e30
DIGITS = 12  # of a position
NOISE = 1e-13  # of a slope that is 0 but for rounding
PANELS, NODES = 48, 24  # of the quadrature: exact to the last digits where nothing jumps within


class Jumps(NamedTuple):
    """Jumps of a function: positions, and its values just below and just above, each (n,)."""

    at: np.ndarray
    below: np.ndarray
    above: np.ndarray


def derivatives(activation: Activation) -> Derivatives:
    """Return the function (z, order=0) -> d^order f / dz^order of an elementwise activation.

    The derivative is the activation's own, at kinks too. z is a NumPy array of any shape; values
    are float64.

    Raises
    ------
    ValueError
        The name is unknown, or the activation is not a function of one number.
    """
    # A function of the user's may have changed since the last call, so nothing is kept for it.
    return _of_name(activation) if isinstance(activation, str) else _derivatives(activation)


def _derivatives(activation: Activation) -> Derivatives:
    function = elementwise(activation)
    first = _differentiated(function)
    second = _differentiated(first)
    orders = jax.jit(lambda z: jnp.stack([f(z)[0] for f in (function, first, second)]))

    @shielded()
    def at(z: Any, order: int = 0) -> np.ndarray:
        z = np.asarray(z, float)
        # Two lengths for most calls, so that a function is compiled twice and not for every call.
        length = 64 if z.size <= 64 else max(8192, 1 << (z.size - 1).bit_length())
        padded = np.zeros((1, length))
        padded[0, : z.size] = z.ravel()
        with jax.enable_x64(True):
            return np.asarray(orders(padded), float)[order, : z.size].reshape(z.shape)

    return at


_of_name = functools.lru_cache(maxsize=256)(_derivatives)


def _differentiated(function: Callable) -> Callable:
    return lambda z: jax.jvp(function, (z,), (jnp.ones_like(z),))[1]


@shielded()
def elementwise(activation: Activation) -> Callable:
    """Return the function of an activation that treats every number by itself.

    Raises
    ------
    ValueError
        The name is unknown, or the output depends on more than one number.
    """
    function = resolve(activation)
    label = f"activation={activation!r}"
    if is_stochastic(activation):
        raise ValueError(f"{label} is random; take the function that is its mean, e.g. 'gelu'")
    if is_gated(activation):
        raise ValueError(f"{label} is a function of two numbers; take its gate, e.g. 'sigmoid'")
    with jax.enable_x64(True):
        z = jnp.asarray(np.linspace(-2.9, 3.1, 12).reshape(4, 3))
        together = function(z)
        same = jnp.shape(together) == z.shape
        if same:
            alone = jax.vmap(function)(z.reshape(-1, 1, 1)).reshape(z.shape)
            same = np.allclose(together, alone, rtol=1e-5, atol=1e-6, equal_nan=True)
    if not same:
        raise ValueError(
            f"{label} is not elementwise: its output depends on the other features or samples, or "
            "has another shape; give a function of each number alone, e.g. 'relu'"
        )
    return function if isinstance(activation, str) else lambda z: function(z)  # for JAX a new one


def core_points() -> np.ndarray:
    """Return points of the core, none of them a round number, where a kink could be."""
    return np.arange(-CORE, CORE, CELL) + CELL / np.pi


def find_jumps(f: Derivatives, order: int) -> Jumps:
    """Return where the derivative of an order jumps, to 12 decimals.

    All cells of the grid are bisected at once, keeping the half in which the function changes more,
    until a cell is as short as the last digits of z. A change that remains is a jump.
    """
    points = core_points()
    low, high = points[:-1], points[1:]
    below, above = f(low, order), f(high, order)
    for _ in range(45):
        middle = (low + high) / 2
        value = f(middle, order)
        left = np.abs(value - below) >= np.abs(above - value)
        low, below = np.where(left, low, middle), np.where(left, below, value)
        high, above = np.where(left, middle, high), np.where(left, value, above)
    found = np.abs(above - below) > 1e-6 * (1 + np.abs(below))
    at = np.round(high[found], DIGITS) + 0.0  # not -0.0
    return Jumps(at, below[found], above[found])


def sign_changes(f: Derivatives, order: int, *, rising: bool | None = None) -> np.ndarray:
    """Return where the derivative of an order changes sign: roots, and jumps across 0.

    Parameters
    ----------
    f
        Result of `derivatives`.
    order
        0 to 2.
    rising
        True for changes from negative to positive only, False for the others only.
    """
    points = core_points()
    value = f(points, order)
    changes = (value[:-1] * value[1:] < 0) & (np.maximum(abs(value[:-1]), abs(value[1:])) > NOISE)
    if rising is not None:
        changes &= (value[1:] > 0) == rising
    ends = np.stack([points[:-1], points[1:]], axis=-1)[changes]
    roots = [scipy.optimize.brentq(lambda z: float(f(z, order)), a, b, xtol=1e-15) for a, b in ends]
    return np.round(np.array(roots, float), DIGITS) + 0.0


def limits(f: Derivatives, order: int) -> np.ndarray:
    """Return the limits of a derivative at -inf and at inf: (2,), infinite if it keeps growing.

    The limit is 2 f(2E) - f(E) at E = 1e8, which is right if the rest decays as 1/z (softsign) or
    faster. A function keeps growing if it is half as large again at 1e8 as at 1e4, as log(z) is.
    """
    near, far, farther = f(np.outer([END**0.5, END, 2 * END], [-1, 1]), order)
    with np.errstate(over="ignore", invalid="ignore"):
        limit = 2 * farther - far
    grows = (np.abs(far) > 1.5 * np.abs(near) + 1) | (np.abs(far) > HUGE)
    limit = np.where(grows, np.copysign(np.inf, far), limit)
    return np.where(np.abs(limit) < 1e-14, 0.0, limit)


def normal_nodes(breaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return z and w with Σ w g(z) = E g(z), z ~ N(0, 1), for g smooth between the breaks and 0.

    Gauss-Legendre on panels of the core; outside lies less than 1e-32 of the probability.
    """
    edges = np.union1d(np.linspace(-CORE, CORE, PANELS + 1), breaks)
    x, w = np.polynomial.legendre.leggauss(NODES)
    half, centre = np.diff(edges) / 2, (edges[:-1] + edges[1:]) / 2
    z = centre[:, None] + half[:, None] * x
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return z.ravel(), (half[:, None] * w * density).ravel()


@shielded()
def float32_zero_below(activation: Activation) -> float:
    """Return the z <= 0 at and below which the slope is exactly 0 in float32, to 1/256.

    It is -inf if there is none. The search goes down to -40, in the device's own arithmetic.
    """
    z = np.arange(-40, CELL, CELL, dtype=np.float32)
    slope = np.asarray(jax.jit(_differentiated(elementwise(activation)))(jnp.asarray(z[None])))[0]
    passes = np.flatnonzero(slope != 0)
    first = passes[0] if passes.size else z.size
    return float(z[first - 1]) if first else float("-inf")
