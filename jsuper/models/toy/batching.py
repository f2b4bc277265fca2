"""How functions of one model behave under vmap: one after another, or deciding together."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap


@custom_vmap
def anywhere(flag: jax.Array) -> jax.Array:
    """`flag` itself; under vmap, whether it holds for any model, unbatched.

    As the condition of a `while_loop` it keeps the loop's counter, and with it the loop's random
    draws, unbatched: they are made once for all models.
    """
    return flag


@anywhere.def_vmap
def _anywhere_batched(axis_size, in_batched, flag):  # noqa: ANN001, ANN202 - jax's signature
    del axis_size, in_batched
    return anywhere(jnp.any(flag)), False
