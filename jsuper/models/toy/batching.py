"""A decision that all models under `vmap` make together."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap


@custom_vmap
def anywhere(flag: jax.Array) -> jax.Array:
    """Return `flag`; under vmap, whether it is true for any model, unbatched.

    As the condition of a `while_loop` it keeps the loop's counter unbatched, and with it the random
    draws: they are made once for all models.
    """
    return flag


@anywhere.def_vmap
def _anywhere_batched(axis_size, in_batched, flag):  # noqa: ANN001, ANN202 - jax's signature
    del axis_size, in_batched
    return anywhere(jnp.any(flag)), False
