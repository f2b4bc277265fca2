"""`sets(k, c)` and `pairs(c)`: features of a set tend to be active together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.core.checks import integer, real
from jsuper.models.toy.inputs.support import (
    Activity,
    Support,
    check_divides,
    column,
    first_of,
    spread,
)


@dataclass(frozen=True)
class Sets(Support):
    """Sets of k consecutive features that share one activity draw with probability c.

    A set has draws s and t, and each feature a draw u_i. If t < c the features of the set are
    active where s < p_i, with values u_i; otherwise where u_i < p_i, with values u_i/p_i. Whether
    t < c is independent of everything else, and so are the values.

    The correlation of two activities of a set is c if their densities are equal. For p_i < p_j it
    is c √(p_i (1 - p_j) / (p_j (1 - p_i))), which is less than c.

    Nested in the density, and in c: sets that are coupled at one c are coupled at every higher one.
    Draws are paired with those of `independent`, which is the law at c = 0.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html> (correlated features).
    """

    k: int = 2

    def check(self, n_features: int, density: np.ndarray) -> None:
        """Raise SpecError unless k divides n_features."""
        del density
        check_divides(self.k, n_features)

    def rows(self, n_features: int) -> int:
        """Return n + 2 n/k: the draws u, s and t."""
        return n_features + 2 * (n_features // self.k)

    def _parts(self, draws: Array) -> tuple[Array, Array, Array]:
        groups = len(draws) // (self.k + 2)
        u, s, t = jnp.split(draws, [self.k * groups, (self.k + 1) * groups])
        return u, s, t

    def active(self, u: Array, density: Array, numbers: Array) -> Activity:
        """Return s < p and u in sets that are coupled, u < p and u/p in others."""
        u, s, t = self._parts(u)
        p, coupled = column(density), spread(t < numbers[0].astype(t.dtype), self.k)
        draw, v = jnp.where(coupled, spread(s, self.k), u), u.astype(p.dtype)
        return Activity(draw < p.astype(u.dtype), jnp.where(coupled, v, v * (1 / p)))

    def level(self, draws: Any, scale: Array, numbers: Array) -> Array:
        """Return the smallest draw of an activity, over its scale."""
        u, s, t = self._parts(draws)
        draw = jnp.where(spread(t < numbers[0].astype(t.dtype), self.k), spread(s, self.k), u)
        return jnp.min(draw / column(scale), axis=0)

    def some(self, density: np.ndarray) -> float:
        """Return 1 - Π over sets of (1 - P(a feature of the set is active))."""
        c, p = self.numbers[0], density.reshape(-1, self.k)
        of_set = c * p.max(axis=1) + (1 - c) * (1 - np.prod(1 - p, axis=1))
        return 1 - float(np.prod(1 - of_set))

    def nonzero(
        self, first: Array, value: Array, u: Array, density: Array, numbers: Array
    ) -> tuple[Activity, Array]:
        """Return samples whose first set with an active feature is drawn from its distribution."""
        usual = self.active(u, density, numbers)
        u, s, t = self._parts(u)
        c, n, k = numbers[0].astype(u.dtype), len(u), self.k
        p = jnp.broadcast_to(density, (n,)).astype(u.dtype)
        highest, sets = jnp.max(p.reshape(-1, k), axis=1), p.reshape(-1, k)
        before = jnp.cumprod(jnp.pad(1 - sets[:, :-1], ((0, 0), (1, 0)), constant_values=1), axis=1)
        cumulative = jnp.cumsum(sets * before, axis=1)  # P(one of the first is active)
        of_set = c * highest + (1 - c) * cumulative[:, -1]
        index, chance = first_of(first, of_set)
        coupled = t * of_set[:, None] < c * highest[:, None]
        # not coupled: the first active feature of the set, chosen by s
        at_least = s[:, None] * cumulative[:, -1:, None] >= cumulative[:, :-1, None]
        chosen, place = jnp.sum(at_least, axis=1), jnp.arange(k)[:, None]
        is_chosen = (place == chosen[:, None]).reshape(n, -1)
        is_later = (place > chosen[:, None]).reshape(n, -1)
        together = spread(s * highest[:, None], k) < p[:, None]
        alone = is_chosen | (is_later & (u < p[:, None]))
        of_alone = jnp.where(is_chosen, value, u * (1 / p[:, None]))
        v = jnp.where(spread(coupled, k), u, of_alone).astype(usual.v.dtype)
        is_first = jnp.arange(n)[:, None] // k == index
        is_after = jnp.arange(n)[:, None] // k > index
        found = jnp.where(spread(coupled, k), together, alone)
        active = jnp.where(is_first, found, usual.active & is_after)
        return Activity(active, jnp.where(is_first, v, usual.v)), chance


def sets(k: float, c: float) -> Sets:
    """Return the law of sets of k features with correlation c."""
    return Sets((real(0, 1)("c", c),), integer(2)("k", k))


def pairs(c: float) -> Sets:
    """Return sets(2, c)."""
    return sets(2, c)
