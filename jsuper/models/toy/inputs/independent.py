"""`independent`: each feature is active by itself. `shared`: a batch shares active features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.models.toy.inputs.support import Activity, Support, activity, column, first_of
from jsuper.training import keys


@dataclass(frozen=True)
class Independent(Support):
    """Feature i is active if its draw u_i < p_i, and then has the draw u_i/p_i for its value.

    Nested: what is active at one density is active at every higher one.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>.
    """

    def active(self, u: Array, density: Array, numbers: Array) -> Activity:
        """Return u < p and u/p."""
        del numbers
        return activity(u, density)

    def level(self, draws: Any, scale: Array, numbers: Array) -> Array:
        """Return min_i u_i / scale_i."""
        del numbers
        return jnp.min(draws / column(scale), axis=0)

    def some(self, density: np.ndarray) -> float:
        """Return 1 - Π (1 - p_i)."""
        return -np.expm1(np.log1p(-np.minimum(density, 1 - 1e-16)).sum())

    def nonzero(
        self, first: Array, value: Array, u: Array, density: Array, numbers: Array
    ) -> tuple[Activity, Array]:
        """Return samples whose first active feature is drawn from its exact distribution.

        The features before it are inactive, those after it are drawn as usual.
        """
        del numbers
        p = jnp.broadcast_to(density, (len(u),)).astype(jnp.float32)
        index, chance = first_of(first, p)
        position = jnp.arange(len(u))[:, None]
        later = activity(u, p.astype(density.dtype))
        active = (position == index) | (later.active & (position > index))
        v = jnp.where(position == index, value.astype(later.v.dtype), later.v)
        return Activity(active, v), chance


@dataclass(frozen=True)
class Shared(Independent):
    """All samples of a training batch share their active features; their values are independent.

    A feature is active in the whole batch if the draw s_i < p_i that the batch shares. The law of
    a single sample is `independent`, and the final loss is measured on independent samples.
    """

    narrow = False

    def draw(self, key: Array, step: Array, n_features: int, batch: int) -> Any:
        """Return the draws of values, and those of activities that the batch shares."""
        u = super().draw(key, step, n_features, batch)
        return u, keys.uniform(keys.stream(key, keys.SUPPORT, step), (n_features, 1))

    def in_batch(self, draws: Any, density: Array, numbers: Array) -> Activity:
        """Return s < p and u."""
        del numbers
        u, s = draws
        p = column(density)
        return Activity(s < p.astype(s.dtype), u.astype(p.dtype))


def independent() -> Independent:
    """Return the law of independent features."""
    return Independent()


def shared() -> Shared:
    """Return the law of batches that share their active features."""
    return Shared()
