"""Inputs for `scrubbing`: pairs of independent samples x and `other` from the same distribution.

`scrub` accepts what these functions return, or any x. With independent features the loss cannot
distinguish hypotheses (see `scrubbing`); with `exactly` and `correlated_pairs` it can.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jsuper.analysis.arrays import Array, floating, in_range, whole_number
from jsuper.models.toy.inputs.law import DEFAULT, Inputs, Numbers
from jsuper.models.toy.inputs.names import DEFAULT_SUPPORT, DEFAULT_VALUES, support_of, values_of
from jsuper.training import keys
from jsuper.training.jax_config import shielded

BLOCK = 512


class Samples(NamedTuple):
    """Pairs of samples.

    With probability 1 - chance both samples of a pair are zero; such pairs are not among the
    columns.
    """

    x: Array  # (n_features, samples)
    other: Array  # likewise, column by column an independent sample
    chance: Array = 1.0  # P(x or other has an active feature)
    block: int = 1  # so many columns were drawn together: the unit that the bootstrap resamples


@shielded()
def shuffled(x: Array, seed: int = 0) -> Samples:
    """Return samples, each paired with another one of them: the next in a random order.

    Parameters
    ----------
    x
        Independent samples, (n_features, samples), at least two.
    seed
        Seed of the order.

    Raises
    ------
    ValueError
        x has another shape.
    """
    x = floating(x)
    if x.ndim != 2 or x.shape[1] < 2:
        raise ValueError(
            f"x has shape {x.shape}; give (n_features, samples), with two samples or more"
        )
    order = np.random.default_rng(seed).permutation(x.shape[1])
    following = np.empty_like(order)
    following[order] = np.roll(order, 1)
    return Samples(x, x[:, following])


@shielded()
def sparse(
    sparsity: Array,
    n_features: int,
    samples: int = 16_384,
    seed: int = 0,
    *,
    support: str = DEFAULT_SUPPORT,
    values: str = DEFAULT_VALUES,
) -> Samples:
    """Return pairs from a sweep's law; by default x_i is 0 with probability S, else U(0, 1).

    Only pairs with an active feature are drawn, stratified in blocks of 512, so that any sparsity
    is possible; `chance` is the probability of such a pair.

    Parameters
    ----------
    sparsity
        S in [0, 1), a number or (n_features,).
    n_features
        n, at least 1.
    samples
        Number of samples, at least 2; rounded up to a multiple of 512.
    seed
        Seed of the draws, >= 0.
    support, values
        Which features are active together, and the values of active features, as in
        `jsuper.Sweep`: for example "pairs(0.5)" and "signed".

    Raises
    ------
    ValueError
        A value is out of its range, or the law is not known or does not exist for it.
    """
    S = in_range("sparsity", sparsity, "[0, 1)")
    n = whole_number("n_features", n_features, 1)
    count = whole_number("samples", samples, 2)
    inputs = Inputs(support_of(support), values_of(values))
    inputs.support.check_densities(1 - np.asarray(S), n)
    density = np.broadcast_to(inputs.support.densities(1 - np.asarray(S), n), (n,))
    numbers = inputs.numbers(density, np.float32)
    x, other, chance = _sparse(inputs, -(-count // BLOCK), numbers, np.uint32(seed))
    return Samples(x, other, chance, BLOCK)


@jax.jit(static_argnums=(0, 1))
def _sparse(
    inputs: Inputs, blocks: int, numbers: Numbers, seed: Array
) -> tuple[Array, Array, Array]:
    n = numbers.density.shape[0]
    draws = pair_draws(inputs, n, blocks, seed)
    x, other, chance = jax.vmap(lambda d: active_pair(inputs, d, numbers))(draws)
    x, other = (jnp.moveaxis(a, 0, 1).reshape(n, -1) for a in (x, other))
    return x, other, chance[0]


def pair_draws(inputs: Inputs, n_features: int, blocks: int, seed: Array) -> Any:
    """Return the draws of `active_pair`, with a leading axis of blocks."""
    key = keys.seed_key(seed)

    def block(i: Array) -> Any:
        own = keys.stream(key, keys.SCRUBBING, i + 1)
        if inputs == DEFAULT:  # the pair is one sample of twice as many features
            return inputs.nonzero_draws(own, 2 * n_features, BLOCK)
        first, second = keys.stream(own, 1), keys.stream(own, 2)
        return (
            inputs.nonzero_draws(own, n_features, BLOCK),
            inputs.independent_draws(first, n_features, BLOCK),
            keys.uniform(second, (BLOCK,)),
        )

    return jax.vmap(block)(jnp.arange(blocks))


def active_pair(inputs: Inputs, draws: Any, numbers: Numbers) -> tuple[Array, Array, Array]:
    """Return x and other, (n_features, BLOCK), given an active feature in one, and its chance.

    With P = P(a sample has an active feature), x has one with probability 1/(2 - P), and other is
    any sample; otherwise x is 0 and other has one.
    """
    if inputs == DEFAULT:
        density = numbers.density
        both, chance = inputs.nonzero(draws, Numbers(jnp.concatenate([density, density])))
        return both[: len(density)], both[len(density) :], chance
    active, chance = inputs.nonzero(draws[0], numbers)
    any_sample = inputs.sample(draws[1], numbers)
    x_is_active = draws[2] * (2 - chance) < 1
    x = jnp.where(x_is_active, active, 0)
    other = jnp.where(x_is_active, any_sample, active)
    return x, other, chance * (2 - chance)


@shielded()
def exactly(k: int, n_features: int, samples: int = 16_384, seed: int = 0) -> Samples:
    """Return pairs of samples with exactly k active features and values U(0, 1).

    All sets of k features are equally likely.

    Parameters
    ----------
    k
        Active features, from 0 to n_features.
    n_features
        n, at least 1.
    samples
        Number of samples, at least 2.
    seed
        Seed of the draws, >= 0.

    Raises
    ------
    ValueError
        A value is out of its range.
    """
    n, k = whole_number("n_features", n_features, 1), whole_number("k", k, 0)
    count = whole_number("samples", samples, 2)
    if k > n:
        raise ValueError(f"k={k} is more than n_features={n}; give at most as many")

    rng = np.random.default_rng(whole_number("seed", seed, 0))

    def one() -> Array:
        rank = rng.random((n, count)).argsort(axis=0).argsort(axis=0)
        return np.where(rank < k, rng.random((n, count)), 0)

    return Samples(one(), one())


@shielded()
def correlated_pairs(
    sparsity: float,
    n_features: int,
    samples: int = 16_384,
    seed: int = 0,
    *,
    exclusive: bool = False,
) -> Samples:
    """Return samples in which features 2i and 2i + 1 are active together, or never together.

    Each feature is zero with probability S, else an independent U(0, 1).

    Parameters
    ----------
    sparsity
        S in [0, 1); with `exclusive` at least 1/2.
    n_features
        n, even and at least 2.
    samples
        Number of samples, at least 2.
    seed
        Seed of the draws, >= 0.
    exclusive
        Whether at most one feature of a pair is active, instead of both or none.

    Raises
    ------
    ValueError
        n_features is odd, or a value is out of its range.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, correlated and anticorrelated
    features.
    """
    in_range("sparsity", sparsity, "[0, 1)")
    n, count = whole_number("n_features", n_features, 2), whole_number("samples", samples, 2)
    if n % 2:
        raise ValueError(f"n_features={n} is odd; features come in pairs: give an even number")
    if exclusive and sparsity < 0.5:
        raise ValueError(
            f"sparsity={sparsity} is below 0.5, where two exclusive features cannot each be "
            "active so often; give 0.5 or more"
        )
    p, rng = 1 - sparsity, np.random.default_rng(whole_number("seed", seed, 0))

    def one() -> Array:
        u = rng.random((n // 2, count))
        second = (u >= p) & (u < 2 * p) if exclusive else u < p
        active = np.stack([u < p, second], axis=1).reshape(n, count)
        return np.where(active, rng.random((n, count)), 0)

    return Samples(one(), one())


def samples_of(x: Array | Samples, n_features: int, seed: int) -> Samples:
    """Return the inputs of `scrub` as samples.

    Raises
    ------
    ValueError
        The shapes do not fit.
    """
    given = x if isinstance(x, Samples) else shuffled(x, seed)
    one, other = floating(given.x), floating(given.other)
    if one.ndim != 2 or one.shape != other.shape or one.shape[0] != n_features:
        raise ValueError(
            f"x has shape {one.shape} and other {other.shape} but W has {n_features} features; "
            "both are (n_features, samples)"
        )
    count, block = one.shape[1], whole_number("block", given.block, 1)
    if count % block or count < 2 * block:
        raise ValueError(
            f"x has {count} samples in blocks of {block}; give a multiple of block, two at least"
        )
    return Samples(one, other, given.chance, block)
