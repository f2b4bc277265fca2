"""The loss of the best constant output, with which `loss_over_constant` compares a model's.

It is mean_i I_i Var(x_i) for the squared error of the features. A loss of single features needs the
law of one feature alone, whose values are integrated over a fixed grid. The target `and_pairs` of
independent features has the law of a product. Other targets are measured on samples, which are the
same for all models of a law.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.models.toy.architecture import TARGETS
from jsuper.models.toy.config import Setting, Static
from jsuper.models.toy.inputs.independent import Independent
from jsuper.models.toy.inputs.law import Inputs
from jsuper.models.toy.layout import COLUMNS
from jsuper.models.toy.losses import loss_of
from jsuper.models.toy.network import target_of
from jsuper.training import keys

POINTS, PAIR_POINTS = 4096, 128  # of the grids of one value, and of each value of a pair
ROUNDS = 64  # of COLUMNS samples, where there is no grid
PAIRS = "and_pairs"


def make_constant_loss(static: Static) -> Callable[[Setting, Array], Array]:
    """Return constant_loss(setting, key): the loss of the best constant output of one model."""
    net, inputs, n = static.net, static.inputs, static.n_features
    best = loss_of(net.loss_function).best
    if net.has_plain_loss:
        return lambda setting, key: inputs.constant_loss(setting.law, setting.importance, key)
    columns = of_samples(static)
    entropy = net.loss_function == "cross_entropy"  # of all features together
    if isinstance(inputs, Inputs) and not inputs.normalize and not entropy:
        if net.target == PAIRS and isinstance(inputs.support, Independent):
            columns = of_pairs(static)
        elif net.target in TARGETS and net.target != PAIRS:
            columns = of_single(static)

    def constant_loss(setting: Setting, key: Array) -> Array:
        del key
        y, x, weights = columns(setting)
        weights = jnp.broadcast_to(weights, (n, weights.shape[-1]))
        return jnp.mean(setting.importance * best(y, x, weights, setting.importance))

    return constant_loss


def grid(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return v in (0, 1) and weights of an integral over v, dense at both ends.

    With v = sin²(πs/2) the rule of midpoints in s integrates laws whose values grow at the ends.
    """
    s = (np.arange(points) + 0.5) / points
    weights = np.sin(np.pi * s)
    return np.sin(np.pi * s / 2) ** 2, weights / weights.sum()


def of_single(static: Static) -> Callable[[Setting], tuple[Array, Array, Array]]:
    """Return columns(setting) -> y, x (1, points) and weights (n, points) of single features."""
    inputs, target = static.inputs, target_of(static.net.target)
    v, weights = (jnp.asarray(a, static.dtype) for a in grid(POINTS))

    def columns(setting: Setting) -> tuple[Array, Array, Array]:
        x = jnp.append(inputs.values.of(v, setting.law.values), 0)[None]  # type: ignore[attr-defined]
        p = jnp.broadcast_to(setting.law.density, (static.n_features,))[:, None]
        return target(x), x, jnp.concatenate([p * weights, 1 - p], axis=1)

    return columns


def of_pairs(static: Static) -> Callable[[Setting], tuple[Array, Array, Array]]:
    """Return the same for products of two independent features, 2k and 2k + 1."""
    inputs = static.inputs
    v, of_one = (jnp.asarray(a, static.dtype) for a in grid(PAIR_POINTS))

    def columns(setting: Setting) -> tuple[Array, Array, Array]:
        one = inputs.values.of(v, setting.law.values)  # type: ignore[attr-defined]
        y = jnp.concatenate([jnp.outer(one, one).ravel(), jnp.zeros(2, one.dtype)])[None]
        x = jnp.ones_like(y).at[0, -1].set(0)  # the last but one: the other feature is 0
        p = jnp.broadcast_to(setting.law.density, (static.n_features,))
        both = p * p.reshape(-1, 2)[:, ::-1].ravel()
        products = jnp.outer(both, jnp.outer(of_one, of_one).ravel())
        alone = jnp.stack([p - both, 1 - p], axis=1)
        return y, x, jnp.concatenate([products, alone], axis=1)

    return columns


def of_samples(static: Static) -> Callable[[Setting], tuple[Array, Array, Array]]:
    """Return the same on samples, weights (samples,): of any law and target."""
    inputs, n, target = static.inputs, static.n_features, target_of(static.net.target)

    def columns(setting: Setting) -> tuple[Array, Array, Array]:
        key = keys.stream(keys.seed_key(0), keys.MOMENTS)

        def some(i: Array) -> tuple[Array, Array, Array]:
            draws = inputs.nonzero_draws(jax.random.fold_in(key, i), n, COLUMNS)
            x, chance = inputs.nonzero(draws, setting.law)
            return x, target(x), chance

        x, y, chance = jax.lax.map(some, jnp.arange(ROUNDS))
        zero = jnp.zeros((n, 1), static.dtype)
        x, y = (jnp.concatenate([*a, b], axis=1) for a, b in ((x, zero), (y, target(zero))))
        count = x.shape[1] - 1
        weights = jnp.full(count, chance[0] / count, static.dtype)
        return y, x, jnp.append(weights, 1 - chance[0]).astype(static.dtype)

    return columns
