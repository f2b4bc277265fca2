"""Adversarial examples of one toy model: perturbed samples whose loss is larger.

The loss of a sample x at the input x + δ is mean_i I_i (x̂_i(x + δ) - x_i)²: the target stays x.
Samples are columns, (n_features, samples).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from jsuper.models.toy.model import Params, output_matrix, preactivation

HALVINGS = 30  # of the interval that contains the smallest norm
TOGETHER = 8  # directions whose losses are computed at once


def sample_losses(
    params: Params, act: Callable[[Array], Array], importance: Array, x: Array, at: Array
) -> Array:
    """Return the loss of every sample x at the input `at`, (samples,)."""
    x_hat = act(preactivation(params, at))
    return (importance[:, None] * (x_hat - x) ** 2).mean(axis=0)


def directions(params: Params) -> Array:
    """Return ±(RᵀW)_i/‖(RᵀW)_i‖ for every feature i, (2 n, n): what raises or lowers output i.

    R is the decoder W_dec, or W. An output that reads nothing has the direction 0.
    """
    rows = jnp.matmul(output_matrix(params).T, params.W, precision="highest")
    length = jnp.linalg.norm(rows, axis=1, keepdims=True)
    unit = jnp.where(length > 0, rows / jnp.where(length > 0, length, 1), 0)
    return jnp.concatenate([unit, -unit])


def worst_losses(loss: Callable[[Array], Array], along: Array, norm: Array, refine: int) -> Array:
    """Return the largest loss that a perturbation of a norm reaches, (samples,).

    Every sample has the worst of the directions. `refine` steps u <- ∇ℓ/‖∇ℓ‖ then improve it; they
    never lower a loss that is convex in δ, and the best is kept.

    Parameters
    ----------
    loss
        Perturbations δ (n, samples) -> losses (samples,); column k perturbs sample k.
    along
        Directions to try, (count, n).
    norm
        Norm of δ, () or (samples,).
    refine
        Number of improving steps.
    """

    def at(u: Array) -> Array:
        return loss(norm * u[:, None])

    losses = jax.lax.map(at, along, batch_size=TOGETHER)
    u, best = along[losses.argmax(axis=0)].T, losses.max(axis=0)

    def improve(_: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        u, best = carry
        slope = jax.grad(lambda delta: loss(delta).sum())(norm * u)
        length = jnp.linalg.norm(slope, axis=0)
        u = jnp.where(length > 0, slope / jnp.where(length > 0, length, 1), u)
        return u, jnp.maximum(best, loss(norm * u))

    return jax.lax.fori_loop(0, refine, improve, (u, best))[1]


def smallest_norms(
    loss: Callable[[Array], Array], along: Array, target: Array, limit: Array, refine: int
) -> Array:
    """Return the smallest norm of a perturbation with at least the target loss, (samples,).

    It is found by halving [0, limit], and infinite if `limit` does not reach the target. It is an
    upper bound if the improving steps do not find the worst direction.
    """

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        enough = worst_losses(loss, along, middle, refine) >= target
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    reached = worst_losses(loss, along, limit, refine) >= target
    _, high = jax.lax.fori_loop(0, HALVINGS, halve, (jnp.zeros_like(limit), limit))
    return jnp.where(reached, high, jnp.inf)
