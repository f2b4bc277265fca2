"""Losses of an output x̂ and a target y, and the loss of the best constant output.

The loss of a model is the mean over samples and features of I_i ℓ(x̂_i, y_i), I_i the importance:

    squared        (y - x̂)²
    lp(p)          |y - x̂|^p
    active_only    (y - x̂)² where x_i ≠ 0, and 0 elsewhere
    cross_entropy  -y log x̂, of distributions y and x̂ = softmax(z)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsuper.models.toy.activations.registry import in_training, resolve
from jsuper.models.toy.architecture import Architecture, power_of

HALVINGS = 40  # of the interval that has the best constant

Elementwise = Callable[[Array, Array, Array], Array]


class Loss(NamedTuple):
    """A loss, and what the best constant output has."""

    of: Elementwise
    """(x̂, y, x) -> ℓ of every element; with cross_entropy, of log x̂ instead of x̂"""
    best: Callable[[Array, Array, Array, Array], Array]
    """(y, x, weights, importance) -> E ℓ of every feature, (n,), with the best constant output;
    y and x are (n or 1, samples), weights (samples,) or (n, samples) add up to 1"""


def loss_of(text: str) -> Loss:
    """Return the loss with this name: `squared`, `lp(4)`, `active_only` or `cross_entropy`."""
    if text.startswith("lp"):
        return _lp(power_of(text))
    return {"squared": SQUARED, "active_only": ACTIVE_ONLY, "cross_entropy": CROSS_ENTROPY}[text]


def _mean(values: Array, weights: Array) -> Array:
    return (weights * values).sum(axis=-1)


def _best_squared(y: Array, x: Array, weights: Array, importance: Array) -> Array:
    """Var y_i, with c_i = E y_i."""
    del x, importance
    mean = _mean(y, weights)
    return _mean((y - mean[:, None]) ** 2, weights)


def _best_active(y: Array, x: Array, weights: Array, importance: Array) -> Array:
    """P(x_i ≠ 0) Var(y_i | x_i ≠ 0)."""
    del importance
    mine = weights * (x != 0)
    mean = _mean(y, mine) / jnp.maximum(mine.sum(axis=-1), jnp.finfo(y.dtype).tiny)
    return _mean((y - mean[:, None]) ** 2, mine)


def _best_entropy(y: Array, x: Array, weights: Array, importance: Array) -> Array:
    """-E y_i log c_i, with c_i in proportion to I_i E y_i."""
    del x
    mean = _mean(y, weights)
    share = importance * mean / jnp.sum(importance * mean)
    return jnp.where(mean > 0, -mean * jnp.log(jnp.where(share > 0, share, 1)), 0)


def _lp(power: float) -> Loss:
    exponent = int(power) if power == int(power) else power

    def size(error: Array) -> Array:
        return jnp.abs(error) ** exponent

    def best(y: Array, x: Array, weights: Array, importance: Array) -> Array:
        """Bisection: the derivative of the convex function of c is negative below its minimum."""
        del x

        def halved(i: int, interval: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = interval
            c = (low + high) / 2
            error = c[:, None] - y
            rises = _mean(jnp.sign(error) * jnp.abs(error) ** (power - 1), weights) > 0
            return jnp.where(rises, low, c), jnp.where(rises, c, high)

        ends = (jnp.broadcast_to(a, importance.shape) for a in (y.min(axis=-1), y.max(axis=-1)))
        low, high = jax.lax.fori_loop(0, HALVINGS, halved, tuple(ends))
        return _mean(size(y - (low + high)[:, None] / 2), weights)

    return Loss(lambda out, y, x: size(y - out), best)


SQUARED = Loss(lambda out, y, x: (out - y) ** 2, _best_squared)
ACTIVE_ONLY = Loss(lambda out, y, x: jnp.where(x != 0, (out - y) ** 2, 0), _best_active)
CROSS_ENTROPY = Loss(lambda out, y, x: jnp.where(y != 0, -y * out, 0), _best_entropy)


def output_of(net: Architecture, activation: str | Callable) -> Callable[[Array], Array]:
    """Return the function from z to what the loss takes: x̂, or log x̂ for the cross entropy."""
    return resolve("log_softmax" if net.loss_function == "cross_entropy" else activation)


def training_output_of(
    net: Architecture, activation: str | Callable
) -> Callable[[Array, Array | None], Array]:
    """Return the same function of z and of the draws of random activations, as in training."""
    return in_training("log_softmax" if net.loss_function == "cross_entropy" else activation)
