"""Random keys and draws that depend only on the seed, so that all settings of a seed share them.

The key of a seed is fold_in(root, seed). Folding in one of the constants below gives a stream (the
initial weights, the batches, the dropout masks, ...), and folding in a step gives that step's key.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jsuper.core.checks import MAX_SEED, integer
from jsuper.core.json_data import JSONObject
from jsuper.training.jax_config import shielded

INIT, DATA, DROPOUT, EVALUATION, EVALUATION_BATCH, GATE, TARGET, SUPPORT, SCRUBBING = range(9)
DATASET, ORDER, MOMENTS, HIDDEN_GATE, HIDDEN_NOISE, START = range(9, 15)

_check_seed = integer(0, MAX_SEED)


@shielded()
def seed_key(seed: ArrayLike) -> jax.Array:
    """Return the random key of a seed, from which all draws of its models derive.

    It is fold_in(key(0), seed) with the generator threefry2x32, and does not depend on the user's
    configuration of JAX. Models of a seed that differ only in settings share their initial weights
    and batches.

    Parameters
    ----------
    seed
        A whole number in [0, 2**32), or an integer array of shape (), also under `jax.vmap`. Values
        of arrays are not checked.

    Returns
    -------
    jax.Array
        A typed key of shape ().

    Raises
    ------
    TypeError
        The seed is an array whose dtype is not an integer.
    SpecError
        The seed is not a whole number in [0, 2**32).

    References
    ----------
    Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".

    Examples
    --------
    >>> import jsuper
    >>> x = jsuper.sample(jsuper.seed_key(7), sparsity=0.9, n_features=20, batch=5)
    """
    if isinstance(seed, (jax.Array, np.ndarray)):
        if not jnp.issubdtype(seed.dtype, jnp.integer):
            raise TypeError(
                f"seed is an array of {seed.dtype}, not of integers; give for example 7"
            )
    else:
        seed = _check_seed("seed", seed)
    return jax.random.fold_in(jax.random.key(0, impl="threefry2x32"), jnp.asarray(seed, jnp.uint32))


def stream(key: jax.Array, name: int, step: int | jax.Array = 0) -> jax.Array:
    """Return the key of a stream, one of the constants above, at a step."""
    return jax.random.fold_in(jax.random.fold_in(key, name), step)


def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return the bits of `jax.random.uniform(key, shape, float32)`, faster on a CPU.

    On a CPU, JAX's threefry2x32 is a loop that XLA runs step by step over arrays in memory.
    Unrolled, its twenty rounds are one pass. Source: Salmon et al. 2011; counters and conversion
    are those of JAX's partitionable threefry.

    Parameters
    ----------
    key
        A key of the generator threefry2x32.
    shape
        Shape of the result, of fewer than 2**32 numbers.

    Returns
    -------
    jax.Array
        Numbers on [0, 1), multiples of 2**-23.
    """
    data, size = jax.random.key_data(key), math.prod(shape)
    half = -(-size // 2)
    one = jnp.uint32(0x3F800000)  # the bits of 1.0: 23 random ones below make a float on [1, 2)

    def numbers(index: jax.Array) -> jax.Array:
        first, second = _threefry(data[0], data[1], jnp.zeros_like(index), index)
        bits = ((first ^ second) >> 9) | one
        return jax.lax.bitcast_convert_type(bits, jnp.float32) - 1

    # Stored, by a loop or a barrier: fused into its uses, it would be computed in each. An
    # accelerator would run the turns of a loop one after another.
    if platform() == "cpu":
        index = jnp.arange(half, dtype=jnp.uint32)
        found = jax.lax.map(lambda start: numbers(start + index), jnp.array([0, half], jnp.uint32))
    else:
        found = jax.lax.optimization_barrier(numbers(jnp.arange(2 * half, dtype=jnp.uint32)))
    return found.reshape(-1)[:size].reshape(shape)


def platform() -> str:
    """Return the platform of JAX's default device, which the engine sets for its programs."""
    device = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    return getattr(device, "platform", device or jax.default_backend())


def normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return the numbers of `jax.random.normal(key, shape, float32)`: √2 erf⁻¹(2u - 1).

    This compiles four times as fast. Numbers depend only on the key and their index, so that the
    first rows of a taller array are those of a shorter one.
    """
    low = jnp.nextafter(jnp.float32(-1), jnp.float32(0))
    u = jnp.maximum(uniform(key, shape) * (1 - low) + low, low)
    return jnp.float32(np.sqrt(2)) * jax.lax.erf_inv(u)


@functools.partial(jax.jit, inline=True)  # traced once, not at every use
def _threefry(
    k0: jax.Array, k1: jax.Array, x0: jax.Array, x1: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return the words (x0, x1) after the 20 rounds of the block cipher with keys (k0, k1)."""
    keys = (k0, k1, k0 ^ k1 ^ jnp.uint32(0x1BD11BDA))
    rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
    x0, x1 = x0 + keys[0], x1 + keys[1]
    for i in range(5):
        for bits in rotations[i % 2]:
            x0 = x0 + x1
            x1 = x0 ^ ((x1 << bits) | (x1 >> (32 - bits)))
        x0, x1 = x0 + keys[(i + 1) % 3], x1 + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return x0, x1


@shielded()
def unpaired_key(seed: int, identity: JSONObject) -> jax.Array:
    """Return a seed's key folded with a hash of a model's identity, so that no draws are shared."""
    text = json.dumps(identity, sort_keys=True).encode()
    halves = hashlib.blake2b(text, digest_size=8).digest()
    key = jax.random.fold_in(seed_key(seed), int.from_bytes(halves[:4], "big"))
    return jax.random.fold_in(key, int.from_bytes(halves[4:], "big"))
