"""`Sampled`: the law of a user's own sampler, fn(key, batch) -> (batch, n_features)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from jsuper.core.errors import SpecError
from jsuper.models.toy.inputs.interface import Law, Numbers
from jsuper.training import keys

MOMENTS_ROUNDS, MOMENTS_COLUMNS = 128, 1024  # samples that measure the moments


@dataclass(frozen=True)
class Sampled(Law):
    """The law of a sampler. Its draws are the samples themselves, in float32.

    Batches are whole, as nothing is known of the sampler. The batch of a step is one call of the
    sampler; a dataset consists of calls for single samples, each with its own key.
    """

    sampler: Callable[[Array, int], Array]
    """(key, batch) -> samples, (batch, n_features)"""

    @property
    def narrow(self) -> bool:
        """False: any sample may matter."""
        return False

    def numbers(self, density: Any, dtype: DTypeLike) -> Numbers:
        """Return a density that only tells a model from an empty place of a block."""
        none = np.zeros(0, dtype)
        return Numbers(None if density is None else np.asarray(density, dtype), none, none)

    def densities(self, density: float | np.ndarray, n_features: int) -> float | np.ndarray:
        """Return the density as it is; it has no meaning for a sampler."""
        del n_features
        return density

    def some(self, density: np.ndarray) -> float:
        """Return 1, as no sample is known to be zero."""
        del density
        return 1.0

    def draw(self, key: Array, step: Array, n_features: int, batch: int) -> Array:
        """Return the samples of a step, (n_features, batch)."""
        return self.independent_draws(keys.stream(key, keys.DATA, step), n_features, batch)

    def independent_draws(self, key: Array, n_features: int, samples: int) -> Array:
        """Return the samples of one call, (n_features, samples)."""
        del n_features
        return self.sampler(key, samples).T

    def dataset(self, key: Array, n_features: int, samples: int) -> Array:
        """Return samples of which each has its own key, (n_features, samples)."""
        del n_features
        first = keys.stream(key, keys.DATASET)
        each = jax.vmap(jax.random.fold_in, (None, 0))(first, jnp.arange(samples))
        return jax.vmap(lambda key: self.sampler(key, 1)[0], out_axes=1)(each)

    def batch(self, draws: Array, numbers: Numbers) -> Array:
        """Return the samples in the model's dtype."""
        return draws.astype(numbers.density.dtype)

    def sample(self, draws: Array, numbers: Numbers) -> Array:
        """Return the samples in the model's dtype."""
        return self.batch(draws, numbers)

    def level(self, draws: Any, scale: Array, numbers: Numbers) -> Array:
        """Raise an error: batches of a sampler are whole."""
        raise NotImplementedError("a sampler trains whole batches: it has no level")

    def nonzero_draws(self, key: Array, n_features: int, columns: int) -> tuple[Array, ...]:
        """Return the samples of one call, which may be zero."""
        return (self.independent_draws(key, n_features, columns),)

    def nonzero(self, draws: tuple[Array, ...], numbers: Numbers) -> tuple[Array, Array]:
        """Return the samples, and 1: they are all columns, zero or not."""
        return self.batch(draws[0], numbers), jnp.ones((), numbers.density.dtype)

    def moments(self, key: Array) -> tuple[Array, Array]:
        """Return mean and variance of every feature, (n_features,), over 131,072 samples.

        The variance is that within rounds plus that between them, which loses no digits if the mean
        is large.
        """

        def of_round(i: Array) -> tuple[Array, Array]:
            x = self.sampler(keys.stream(key, keys.MOMENTS, i), MOMENTS_COLUMNS)
            return x.mean(axis=0), x.var(axis=0)

        means, variances = jax.lax.map(of_round, jnp.arange(MOMENTS_ROUNDS))
        return means.mean(axis=0), variances.mean(axis=0) + means.var(axis=0)

    def constant_loss(self, numbers: Numbers, importance: Array, key: Array | None = None) -> Array:
        """Return mean_i I_i Var(x_i), with the variances of `moments`."""
        if key is None:
            raise ValueError("the moments of a sampler are measured: give a key")
        _, variance = self.moments(key)
        return (importance * variance.astype(importance.dtype)).mean()


def sampled(sampler: Any) -> Sampled:
    """Return the law of a traced sampler.

    Raises
    ------
    SpecError
        It is the label of a sampler, which a run folder holds instead of the function.
    """
    if isinstance(sampler, str):
        raise SpecError(
            f"inputs={sampler!r} is the label of a Python function, which run folders do not hold: "
            "run the sweep in Python with the function itself"
        )
    return Sampled(sampler)
