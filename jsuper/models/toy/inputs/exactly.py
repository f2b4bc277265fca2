"""`exactly(k)`: every sample has k active features."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.core.checks import integer
from jsuper.core.errors import SpecError
from jsuper.models.toy.inputs.support import Activity, Support

ROUNDING = 1e-9


@dataclass(frozen=True)
class Exactly(Support):
    """k features are active, chosen uniformly; the density is k/n, and values have their own draws.

    The choice is Floyd's: for j = n - k, ..., n - 1 draw one of the features 0, ..., j, and take
    feature j instead if that one is already taken. Draws are multiples of 2^-23, so that the
    probability of a feature is off by at most n 2^-23 of itself.

    Values are paired with those of other laws, and for different k.

    References
    ----------
    Bentley and Floyd, "A sample of brilliance", 1987.
    """

    k: int = 1
    narrow = False

    def check(self, n_features: int, density: np.ndarray) -> None:
        """Raise SpecError unless k <= n and every density is k/n."""
        if self.k > n_features:
            raise SpecError(f"{n_features} features cannot have {self.k} active ones; give fewer")
        if np.abs(np.asarray(density) - self.k / n_features).max() > ROUNDING:
            raise SpecError(
                f"the only sparsity is 1 - {self.k}/{n_features} = {self.sparsity(n_features)}; "
                "leave sparsity, activity, density_power and feature_sparsity out, and give one k "
                "and one n_features per sweep"
            )

    def sparsity(self, n_features: int) -> float | None:
        """Return 1 - k/n, rounded to 12 digits; None if k > n."""
        return round(1 - self.k / n_features, 12) if self.k <= n_features else None

    def rows(self, n_features: int) -> int:
        """Return n + k: the draws of values and of the choice."""
        return n_features + self.k

    def active(self, u: Array, density: Array, numbers: Array) -> Activity:
        """Return the chosen features, and u."""
        del numbers
        n = len(u) - self.k
        features = jnp.arange(n)[:, None]

        def choose(i: Array, taken: Array) -> Array:
            j = n - self.k + i
            drawn = jnp.floor(u[n + i] * (j + 1).astype(u.dtype)).astype(jnp.int32)
            is_drawn = features == drawn
            again = jnp.any(taken & is_drawn, axis=0)
            return taken | jnp.where(again, features == j, is_drawn)

        none = jnp.zeros((n, u.shape[1]), bool)
        return Activity(jax.lax.fori_loop(0, self.k, choose, none), u[:n].astype(density.dtype))

    def some(self, density: np.ndarray) -> float:
        """Return 1."""
        del density
        return 1.0

    def nonzero(
        self, first: Array, value: Array, u: Array, density: Array, numbers: Array
    ) -> tuple[Activity, Array]:
        """Return `active`, since no sample is zero."""
        del first, value
        return self.active(u, density, numbers), jnp.ones((), u.dtype)


def exactly(k: float) -> Exactly:
    """Return the law of samples with k active features."""
    return Exactly(k=integer(1)("k", k))
