"""`hierarchy(b, q)`: a feature can be active only if its parent is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.core.checks import integer, real
from jsuper.core.errors import SpecError
from jsuper.models.toy.inputs.support import Activity, Support


def depths(b: int, n_features: int) -> np.ndarray:
    """Return the depth of every feature in the tree; that of the root, feature 0, is 0."""
    found = np.zeros(n_features, int)
    for i in range(1, n_features):
        found[i] = found[(i - 1) // b] + 1
    return found


@dataclass(frozen=True)
class Hierarchy(Support):
    """Features form a tree; a child is active with probability q if its parent is, else never.

    Feature 0 is the root and has the density p; the children of feature i are b i + 1 ... b i + b.
    A feature of depth d has the density p q^d. Its draw u_i decides (u_i < q), and u_i/q is the
    draw of its value.

    Nested in the density and in q. Draws are paired with those of `independent`.
    """

    b: int = 2

    def check_densities(self, density: np.ndarray, n_features: int) -> None:
        """Raise SpecError if densities of single features are given."""
        if np.ndim(density):
            raise SpecError(
                "a tree sets the densities of its features: give sparsity, that of the root, and "
                "no feature_sparsity or density_power"
            )

    def densities(self, density: float | np.ndarray, n_features: int) -> np.ndarray:
        """Return p q^depth."""
        return density * self.numbers[0] ** depths(self.b, n_features)

    def active(self, u: Array, density: Array, numbers: Array) -> Activity:
        """Return whether u_0 < p and u_j < q for the feature and its ancestors, and u/q."""
        p = density[0]
        return self._below(u, u[:1] < p.astype(u.dtype), u[:1].astype(p.dtype) * (1 / p), numbers)

    def _below(self, u: Array, root: Array, value: Array, numbers: Array) -> Activity:
        """Return the activities of a tree whose root is given."""
        n, q = len(u), numbers[0]
        likely, levels, first = u < q.astype(u.dtype), [root], 0
        while first + len(levels[-1]) < n:
            start = first + len(levels[-1])
            end = min(start + self.b * len(levels[-1]), n)
            parents = (np.arange(start, end) - 1) // self.b - first
            levels.append(levels[-1][parents] & likely[start:end])
            first = start
        of_children = u[1:].astype(q.dtype) * (1 / q)
        return Activity(jnp.concatenate(levels), jnp.concatenate([value, of_children]))

    def level(self, draws: Any, scale: Array, numbers: Array) -> Array:
        """Return u_0 / scale_0: without the root no feature is active."""
        del numbers
        return draws[0] / scale[0]

    def some(self, density: np.ndarray) -> float:
        """Return p."""
        return float(density[0])

    def nonzero(
        self, first: Array, value: Array, u: Array, density: Array, numbers: Array
    ) -> tuple[Activity, Array]:
        """Return samples whose root is active."""
        del first
        root = jnp.ones((1, u.shape[1]), bool)
        v = value[None].astype(density.dtype)
        return self._below(u, root, v, numbers), density[0].astype(u.dtype)


def hierarchy(b: float, q: float) -> Hierarchy:
    """Return the law of a tree with b children for each feature."""
    return Hierarchy((real(0, 1, closed="right")("q", q),), integer(1)("b", b))
