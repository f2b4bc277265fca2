"""`Law`: what training, the final loss and the analysis ask of a law of the data."""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

import numpy as np
from jax import Array
from jax.typing import DTypeLike


class Numbers(NamedTuple):
    """The traced numbers of a law, in the model's dtype."""

    density: Any  # P(x_i != 0), () or (n_features,)
    support: Any = np.zeros(0)  # numbers of the support, such as the correlation c: (count,)
    values: Any = np.zeros(0)  # numbers of the law of values: (count,)


class Law(abc.ABC):
    """A law of the data, hashable: laws that are equal share a program.

    It makes draws from a key and a step alone, and samples from draws and the traced numbers of a
    model. Samples are columns, (n_features, samples).
    """

    @property
    @abc.abstractmethod
    def narrow(self) -> bool:
        """Whether columns without an active feature can be left out of a batch."""

    @abc.abstractmethod
    def numbers(self, density: Any, dtype: DTypeLike) -> Numbers:
        """Return the law's numbers with a density, as NumPy arrays; None leaves it open."""

    @abc.abstractmethod
    def densities(self, density: float | np.ndarray, n_features: int) -> float | np.ndarray:
        """Return P(x_i != 0) if 1 - sparsity is `density`: a number, or (n_features,)."""

    @abc.abstractmethod
    def some(self, density: np.ndarray) -> float:
        """Return P(some feature is active) in float64, for densities (n_features,)."""

    @abc.abstractmethod
    def draw(self, key: Array, step: Array, n_features: int, batch: int) -> Any:
        """Return the draws of a training batch from a seed's key; they do not depend on settings.

        They are a pytree of arrays (..., batch).
        """

    @abc.abstractmethod
    def independent_draws(self, key: Array, n_features: int, samples: int) -> Array:
        """Return the draws of independent samples, (rows, samples), for `sample`."""

    @abc.abstractmethod
    def dataset(self, key: Array, n_features: int, samples: int) -> Array:
        """Return the draws of a seed's dataset, (rows, samples), for `sample`.

        The samples of a dataset are the first ones of every larger dataset.
        """

    @abc.abstractmethod
    def batch(self, draws: Any, numbers: Numbers) -> Array:
        """Return a training batch, (n_features, batch), from `draw`."""

    @abc.abstractmethod
    def sample(self, draws: Array, numbers: Numbers) -> Array:
        """Return independent samples, (n_features, samples), from `independent_draws`."""

    @abc.abstractmethod
    def level(self, draws: Any, scale: Array, numbers: Numbers) -> Array:
        """Return t of every column: it has an active feature iff t < density / scale."""

    @abc.abstractmethod
    def nonzero_draws(self, key: Array, n_features: int, columns: int) -> tuple[Array, ...]:
        """Return draws for `nonzero`."""

    @abc.abstractmethod
    def nonzero(self, draws: tuple[Array, ...], numbers: Numbers) -> tuple[Array, Array]:
        """Return columns (n_features, columns), and the probability of such a column, ().

        All other columns are zero.
        """

    @abc.abstractmethod
    def constant_loss(self, numbers: Numbers, importance: Array, key: Array | None = None) -> Array:
        """Return the loss of the best constant b_i = E x_i: mean_i I_i Var(x_i).

        A law whose variance has no closed form measures it on samples from `key`.
        """
