"""Random keys. They depend on the seed alone, so models that differ in a setting share their draws.

key of a seed = fold_in(root, seed); below it one stream each for the initial weights, the batches,
the dropout masks and the evaluation sample, and below a stream the step.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

INIT, DATA, DROPOUT, EVALUATION, EVALUATION_BATCH = range(5)


def seed_key(seed: ArrayLike) -> jax.Array:
    """The key of a seed: root key 0 (threefry2x32) folded with `seed`, 0 <= seed < 2**32."""
    return jax.random.fold_in(jax.random.key(0, impl="threefry2x32"), jnp.asarray(seed, jnp.uint32))


def stream(key: jax.Array, name: int, step: int | jax.Array = 0) -> jax.Array:
    """The key of one stream of a seed's key at a step; streams are the constants above."""
    return jax.random.fold_in(jax.random.fold_in(key, name), step)


def unpaired_key(seed: int, identity: dict[str, Any]) -> jax.Array:
    """A seed's key folded with a hash of one model's identity: draws shared with no other model."""
    text = json.dumps(identity, sort_keys=True).encode()
    halves = hashlib.blake2b(text, digest_size=8).digest()
    key = jax.random.fold_in(seed_key(seed), int.from_bytes(halves[:4], "big"))
    return jax.random.fold_in(key, int.from_bytes(halves[4:], "big"))
