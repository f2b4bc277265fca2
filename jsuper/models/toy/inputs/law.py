"""`Inputs`: the law of the data, made of a support and a law of values.

x_i is a value where feature i is active, and 0 elsewhere. The support decides which features are
active; both use the same uniform draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from jsuper.models.toy.inputs.interface import Law
from jsuper.models.toy.inputs.interface import Numbers as Numbers
from jsuper.models.toy.inputs.names import DEFAULT_SUPPORT, DEFAULT_VALUES, support_of, values_of
from jsuper.models.toy.inputs.sampled import sampled
from jsuper.models.toy.inputs.support import Activity, Support
from jsuper.models.toy.inputs.values import HALF_STEP, Values
from jsuper.training import keys

GOLDEN = (5**0.5 - 1) / 2
MOMENTS_ROUNDS, MOMENTS_COLUMNS = 16, 1024  # samples that measure moments without a closed form


@dataclass(frozen=True)
class Inputs(Law):
    """The law of a support and values. Laws that differ in traced numbers only are equal."""

    support: Support
    values: Values
    normalize: bool = False
    """whether samples have an active feature, and are scaled to length 1"""

    @property
    def narrow(self) -> bool:
        """Whether columns without an active feature can be left out of a batch."""
        return self.support.narrow and not self.normalize

    def numbers(self, density: Any, dtype: DTypeLike) -> Numbers:
        """Return the law's numbers with a density, as NumPy arrays; None leaves it open."""
        given = (density, self.support.numbers, self.values.numbers)
        return Numbers(*(None if a is None else np.asarray(a, dtype) for a in given))

    def densities(self, density: float | np.ndarray, n_features: int) -> float | np.ndarray:
        """Return P(x_i != 0) if 1 - sparsity is `density`: a number, or (n_features,)."""
        return self.support.densities(density, n_features)

    def some(self, density: np.ndarray) -> float:
        """Return P(some feature is active) in float64, for densities (n_features,)."""
        return self.support.some(density)

    def draw(self, key: Array, step: Array, n_features: int, batch: int) -> Any:
        """Return the draws of a training batch from a seed's key; they do not depend on settings.

        They are a pytree of arrays (..., batch).
        """
        if self.normalize:
            return self.independent_draws(keys.stream(key, keys.DATA, step), n_features, batch)
        return self._shifted(self.support.draw(key, step, n_features, batch))

    def independent_draws(self, key: Array, n_features: int, samples: int) -> Array:
        """Return the draws of independent samples, (rows, samples), for `sample`."""
        return self._shifted(keys.uniform(key, (self._rows(n_features), samples)))

    def dataset(self, key: Array, n_features: int, samples: int) -> Array:
        """Return the draws of a seed's dataset, (rows, samples), for `sample`.

        The samples of a dataset are the first ones of every larger dataset.
        """
        shape = (samples, self._rows(n_features))
        return self._shifted(keys.uniform(keys.stream(key, keys.DATASET), shape).T)

    def batch(self, draws: Any, numbers: Numbers) -> Array:
        """Return a training batch, (n_features, batch), from `draw`."""
        if self.normalize:
            return self.sample(draws, numbers)
        return self._x(self.support.in_batch(draws, numbers.density, numbers.support), numbers)

    def sample(self, draws: Array, numbers: Numbers) -> Array:
        """Return independent samples, (n_features, samples), from `independent_draws`."""
        if self.normalize:
            return self.nonzero((draws[-2], draws[-1], draws[:-2]), numbers)[0]
        return self._x(self.support.active(draws, numbers.density, numbers.support), numbers)

    def level(self, draws: Any, scale: Array, numbers: Numbers) -> Array:
        """Return t of every column: it has an active feature iff t < density / scale."""
        return self.support.level(draws, scale, numbers.support)

    def nonzero_draws(self, key: Array, n_features: int, columns: int) -> tuple[Array, ...]:
        """Return draws for `nonzero`: (first active feature, its value, all others).

        The first two are stratified (an even comb and a golden-ratio sequence, each shifted at
        random), which makes the mean over the columns far more precise than independent draws.
        """
        rows = self.support.rows(n_features)
        flat = keys.uniform(key, (rows * columns + 2,))
        first = (jnp.arange(columns, dtype=jnp.float32) + flat[-1]) / columns
        spread = jnp.asarray(np.arange(columns) * GOLDEN % 1, jnp.float32)
        value = (spread + flat[-2]) % 1
        return first, self._shifted(value), self._shifted(flat[:-2].reshape(rows, columns))

    def nonzero(self, draws: tuple[Array, ...], numbers: Numbers) -> tuple[Array, Array]:
        """Return columns with an active feature, and the probability of such a column, ().

        Normalized samples all have one.
        """
        density = jnp.asarray(numbers.density)
        first, value, u = draws
        found, chance = self.support.nonzero(first, value, u, density, numbers.support)
        x, chance = self._x(found, numbers), chance.astype(density.dtype)
        if not self.normalize:
            return x, chance
        length = jnp.sqrt(jnp.sum(x * x, axis=0))
        return x / jnp.where(length == 0, 1, length), jnp.ones_like(chance)

    def constant_loss(self, numbers: Numbers, importance: Array, key: Array | None = None) -> Array:
        """Return the loss of the best constant b_i = E x_i: mean_i I_i Var(x_i).

        The variance of normalized samples has no closed form, and is measured on 16,384
        samples from `key`.
        """
        if not self.normalize:
            variance = self.values.traced_variance(numbers.density, numbers.values)
            return (importance * variance).mean(axis=-1)
        if key is None:
            raise ValueError("the moments of normalized samples are measured: give a key")
        n = importance.shape[-1]

        def moments(i: Array) -> tuple[Array, Array]:
            draws = self.nonzero_draws(keys.stream(key, keys.MOMENTS, i), n, MOMENTS_COLUMNS)
            x, _ = self.nonzero(draws, numbers)
            return x.mean(axis=1), (x * x).mean(axis=1)

        mean, square = (a.mean(axis=0) for a in jax.lax.map(moments, jnp.arange(MOMENTS_ROUNDS)))
        return (importance * (square - mean**2)).mean()

    def _rows(self, n_features: int) -> int:
        return self.support.rows(n_features) + 2 * self.normalize

    def _shifted(self, draws: Any) -> Any:
        return jax.tree.map(lambda u: u + HALF_STEP, draws) if self.values.offset else draws

    def _x(self, found: Activity, numbers: Numbers) -> Array:
        return jnp.where(found.active, self.values.of(found.v, numbers.values), 0)


def inputs_of(values: Mapping[str, Any]) -> Law:
    """Return the law of a model with these static values: of a traced sampler, or by names."""
    if (sampler := values.get("inputs")) is not None:
        return sampled(sampler)
    return named_law(values)


def named_law(values: Mapping[str, Any]) -> Inputs:
    """Return the law that names of a support and of values state."""
    support = "shared" if values.get("shared_mask") else values.get("support", DEFAULT_SUPPORT)
    of_values = values_of(values.get("values", DEFAULT_VALUES))
    return Inputs(support_of(support), of_values, bool(values.get("normalize")))


DEFAULT = named_law({})
"""Independent features, uniform on [0, 1]."""
