"""`exclusive(k)`: at most one feature of a set is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.core.checks import integer
from jsuper.core.errors import SpecError
from jsuper.models.toy.inputs.support import Activity, Support, check_divides, first_of, spread

ROUNDING = 1e-9  # of a sum of densities that is 1


@dataclass(frozen=True)
class Exclusive(Support):
    """Sets of k consecutive features, of which at most one is active.

    A set has draws s and t. One of its features is active if s < P, the sum of the set's densities,
    and then has the draw s/P for its value. It is feature j with probability p_j/P, by t. The
    density of each feature is kept, and two of a set with equal densities have the correlation
    -p/(1 - p).

    Nested in the density: samples with an active feature of a set have the same one at every higher
    density.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html> (anticorrelated features).
    """

    k: int = 2

    def check(self, n_features: int, density: np.ndarray) -> None:
        """Raise SpecError unless k divides n_features and the densities of each set fit into 1."""
        check_divides(self.k, n_features)
        total = density.reshape(-1, self.k).sum(axis=1).max()
        if total > 1 + ROUNDING:
            raise SpecError(
                f"the densities of a set of {self.k} features sum to {total:.6g}, but at most one "
                f"of them is active: give sparsity in [{1 - 1 / self.k:.6g}, 1), or densities "
                "whose sums are at most 1"
            )

    def rows(self, n_features: int) -> int:
        """Return 2 n/k: the draws s and t."""
        return 2 * (n_features // self.k)

    def _sets(self, u: Array, density: Array) -> tuple[Array, Array, Array]:
        """Return the draws s, P (sets, 1), and whether t chooses a feature (n, samples)."""
        groups = len(u) // 2
        s, t = u[:groups], u[groups:]
        p = jnp.broadcast_to(density, (groups * self.k,)).reshape(groups, self.k)
        cumulative = jnp.cumsum(p, axis=1)
        total = cumulative[:, -1:]
        above = t[:, None] * total[..., None] >= cumulative[:, :-1, None]
        chosen = jnp.sum(above, axis=1)[:, None] == jnp.arange(self.k)[:, None]
        return s, total, chosen.reshape(groups * self.k, -1)

    def active(self, u: Array, density: Array, numbers: Array) -> Activity:
        """Return whether s < P and t chooses the feature, and s/P."""
        del numbers
        s, total, chosen = self._sets(u, density)
        v = s.astype(total.dtype) * (1 / total)
        return Activity(spread(s < total.astype(s.dtype), self.k) & chosen, spread(v, self.k))

    def level(self, draws: Any, scale: Array, numbers: Array) -> Array:
        """Return the smallest s, over the sum of the set's scales."""
        del numbers
        s, total, _ = self._sets(draws, scale)
        return jnp.min(s / total, axis=0)

    def some(self, density: np.ndarray) -> float:
        """Return 1 - Π over sets of (1 - P)."""
        return 1 - float(np.prod(1 - density.reshape(-1, self.k).sum(axis=1)))

    def nonzero(
        self, first: Array, value: Array, u: Array, density: Array, numbers: Array
    ) -> tuple[Activity, Array]:
        """Return samples whose first set with an active feature is drawn from its distribution."""
        usual = self.active(u, density, numbers)
        _, total, chosen = self._sets(u, density)
        index, chance = first_of(first, total[:, 0].astype(first.dtype))
        position = jnp.arange(len(chosen))[:, None] // self.k
        active = jnp.where(position == index, chosen, usual.active & (position > index))
        v = jnp.where(position == index, value.astype(usual.v.dtype), usual.v)
        return Activity(active, v), chance


def exclusive(k: float) -> Exclusive:
    """Return the law of sets of k features of which at most one is active."""
    return Exclusive(k=integer(2)("k", k))
