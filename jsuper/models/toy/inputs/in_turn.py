"""`in_turn`: one active feature a sample, each feature in its turn."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from jsuper.models.toy.inputs.exactly import Exactly
from jsuper.models.toy.inputs.support import Activity


@dataclass(frozen=True)
class InTurn(Exactly):
    """Sample j of a batch has feature j mod n alone; the density is 1/n.

    With values of 1 and n samples every batch is the identity matrix, which some publications train
    on. Features have equal shares if the number of samples is a multiple of n.
    """

    def rows(self, n_features: int) -> int:
        """Return n: the draws of values."""
        return n_features

    def active(self, u: Array, density: Array, numbers: Array) -> Activity:
        """Return the features by position, and u."""
        del numbers
        n, samples = u.shape
        is_active = jnp.arange(n)[:, None] == jnp.arange(samples) % n
        return Activity(is_active, u.astype(density.dtype))


def in_turn() -> InTurn:
    """Return the law of samples that have one feature each, in turn."""
    return InTurn(k=1)
