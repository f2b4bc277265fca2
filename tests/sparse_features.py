"""The default law of the data for tests: features that are 0, or uniform on [0, 1]."""

import jax.numpy as jnp

from jsuper.models.toy.inputs.law import DEFAULT, Numbers
from jsuper.training.keys import uniform


def draw(key, n_features, batch):
    """Uniform draws (n_features, batch)."""
    return uniform(key, (n_features, batch))


def features(u, density, dtype="float32"):
    """x = u/p where u < p, else 0."""
    return DEFAULT.sample(u, Numbers(jnp.asarray(density, dtype)))


def nonzero_features(key, density, columns, dtype="float32"):
    """Columns with an active feature, and the probability of such a column."""
    draws = DEFAULT.nonzero_draws(key, len(density), columns)
    return DEFAULT.nonzero(draws, Numbers(jnp.asarray(density, dtype)))
