"""`Support`: which features of a sample are active together.

A support turns uniform draws into activities. The draws depend on the seed and the step alone, not
on densities or a law's numbers, so that the models of a seed share them. A support also says which
columns of a batch have an active feature (`level`), so that the others cost nothing, and it draws
columns under the condition that some feature is active (`nonzero`), for the final loss.

All arrays have samples last: draws are (rows, samples), activities (n_features, samples).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.core.errors import SpecError
from jsuper.training import keys


class Activity(NamedTuple):
    """Which features are active, and a number for the value of each that is."""

    active: Array  # bool, (n_features, samples)
    v: Array  # uniform on [0, 1) and independent where active, likewise; in the density's dtype


@dataclass(frozen=True)
class Support(abc.ABC):
    """The law of which features are active: one instance for a name and its numbers.

    Subclasses have whole numbers that shape the program as fields. Real numbers, such as the
    correlation c, are `numbers`: they are traced, and laws that differ in nothing else are equal
    and share a program.
    """

    numbers: tuple[float, ...] = field(default=(), compare=False)

    narrow = True
    """Whether columns without an active feature can be told from their draws."""

    def check(self, n_features: int, density: np.ndarray) -> None:
        """Raise SpecError if the law does not exist for so many features of these densities."""
        del n_features, density  # by default it exists for all

    def check_densities(self, density: np.ndarray, n_features: int) -> None:
        """Raise SpecError if the law does not exist for a density, () or (n_features,)."""
        of_features = self.densities(density, n_features)
        self.check(n_features, np.broadcast_to(of_features, n_features))

    def sparsity(self, n_features: int) -> float | None:
        """Return the only sparsity that the law allows, or None if it allows several."""
        del n_features
        return None

    def densities(self, density: float | np.ndarray, n_features: int) -> float | np.ndarray:
        """Return P(x_i != 0), a number if it is the same for all features, else (n_features,).

        `density` is 1 - sparsity: that of every feature, unless the law says otherwise.
        """
        del n_features
        return density

    def rows(self, n_features: int) -> int:
        """Return the number of uniform draws of a sample."""
        return n_features

    def draw(self, key: Array, step: Array, n_features: int, batch: int) -> Any:
        """Return the draws of a training batch, a pytree of arrays (..., batch)."""
        shape = (self.rows(n_features), batch)
        return keys.uniform(keys.stream(key, keys.DATA, step), shape)

    def in_batch(self, draws: Any, density: Array, numbers: Array) -> Activity:
        """Return the activities of a training batch."""
        return self.active(draws, density, numbers)

    @abc.abstractmethod
    def active(self, u: Array, density: Array, numbers: Array) -> Activity:
        """Return the activities of independent samples.

        Parameters
        ----------
        u
            Uniform draws, (rows, samples).
        density
            P(x_i != 0), () or (n_features,).
        numbers
            The law's numbers, traced.
        """

    def level(self, draws: Any, scale: Array, numbers: Array) -> Array:
        """Return t of every column, (samples,): it has an active feature iff t < density / scale.

        Parameters
        ----------
        draws
            Those of `draw`.
        scale
            Densities to which those of a model are proportional, () or (n_features,).
        numbers
            As in `active`.
        """
        raise NotImplementedError(f"{type(self).__name__} trains whole batches: it has no level")

    @abc.abstractmethod
    def some(self, density: np.ndarray) -> float:
        """Return P(some feature is active) in float64, for densities (n_features,)."""

    @abc.abstractmethod
    def nonzero(
        self, first: Array, value: Array, u: Array, density: Array, numbers: Array
    ) -> tuple[Activity, Array]:
        """Return samples under the condition that a feature is active, and that probability.

        Parameters
        ----------
        first, value
            Stratified uniform draws, (samples,): which feature or group is active first, and the
            value of that feature.
        u, density, numbers
            As in `active`.
        """


def column(density: Array) -> Array:
    """Return a scalar as it is, (n,) as a column."""
    density = jnp.asarray(density)
    return density[:, None] if density.ndim else density


def activity(u: Array, density: Array) -> Activity:
    """Return u < p, and u/p: one draw decides both, and activity is nested in the density."""
    p = column(density)
    return Activity(u < p.astype(u.dtype), u.astype(p.dtype) * (1 / p))


def first_of(first: Array, chance: Array) -> tuple[Array, Array]:
    """Return which of several independent events is the first, (samples,), and P(one happens).

    Event i is first with probability chance_i Π_{j<i} (1 - chance_j) / P(one happens).
    """
    none_before = jnp.concatenate([jnp.ones(1, chance.dtype), jnp.cumprod(1 - chance)[:-1]])
    cumulative = jnp.cumsum(chance * none_before)
    # the last event with a chance above 0 catches draws that rounding leaves above the others
    index = jnp.sum(first[None, :] * cumulative[-1] >= cumulative[:-1, None], axis=0)
    return index, cumulative[-1]


def spread(groups: Array, size: int) -> Array:
    """Return an array of groups (groups, samples) with `size` equal rows for each group."""
    shape = (groups.shape[0], size, *groups.shape[1:])
    return jnp.broadcast_to(groups[:, None], shape).reshape(-1, *groups.shape[1:])


def check_divides(k: int, n_features: int) -> None:
    """Raise SpecError unless k divides n_features; the message lists the divisors."""
    if n_features % k:
        divisors = [d for d in range(2, n_features + 1) if n_features % d == 0]
        raise SpecError(
            f"{n_features} features do not divide into sets of {k}: give n_features a multiple of "
            f"{k}, or sets(k, c) or exclusive(k) with k of {', '.join(map(str, divisors))}"
        )
