"""What the models of a block do together under `vmap`: they decide, and share draws."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap, sequential_vmap

from jsuper.core.protocols import PyTree


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


def one_by_one(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """Return `function`, which under vmap computes one model after another."""
    return sequential_vmap(traced_once(function))


def traced_once(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """Return `function`, which is traced once where the rules of vmap trace it several times."""
    return jax.jit(function, inline=True)


def seed_by_seed(
    one: Callable[..., PyTree], block: Callable[..., PyTree], alone: Callable[..., PyTree]
) -> Callable[..., PyTree]:
    """Return `one`, which under vmap over settings and then seeds is `block` of one seed at a time.

    All take (models, source, i), where `source` is a seed's key, or a pytree of what belongs to it;
    `block` has an axis over models. What a seed's models share, such as draws from the key, is then
    computed once, and is still in cache when the models use it. Models with a source each are
    computed by `alone`, one after another. `one` computes the same, but is
    traced even where only `block` runs, so that it should be quick to trace.
    """
    each, seeds = one_by_one(alone), one_by_one(block)
    of_one = custom_vmap(one)

    @of_one.def_vmap
    def of_models(axis_size, in_batched, models, source, i):  # noqa: ANN001, ANN202 - jax's signature
        def whole(value: jax.Array, batched: bool) -> jax.Array:
            return value if batched else jnp.broadcast_to(value, (axis_size, *value.shape))

        models = jax.tree.map(whole, models, in_batched[0])
        if any(jax.tree.leaves(in_batched[1])):
            found = jax.vmap(each, (0, 0, None))(models, source, i)
        else:
            found = seeds(models, source, i)
        return found, jax.tree.map(lambda _: True, found)

    return of_one
