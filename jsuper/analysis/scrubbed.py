"""One model, scrubbed by K hypotheses at once: pure functions under jit and vmap.

`scrubbing` defines the numbers and is the public interface; this module computes them for it and
for the metrics of a sweep.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.models.toy.activations.registry import is_gated, resolve
from jsuper.models.toy.model import Params
from jsuper.training.jax_config import shielded

CONSTANT = 1e-8  # of the largest mean x_j²: outputs of less variance are constant
ROUNDING = 100  # units in the last place of an output: as much is no variance either

Activation = str | Callable[[Any], Any]


class Hypothesis(NamedTuple):
    """K hypotheses: the inputs of every output, and the hidden directions that it reads."""

    inputs: Array  # (K, n, n)
    directions: Array | None = None  # (K, m, m), rows; None: every output reads all of h
    reads: Array | None = None  # (K, n, m)


class Moments(NamedTuple):
    """Means over samples; of n outputs, the last three (K, n). Samples may be the last axis."""

    shift: Array  # out - out(0), of x and of other
    square: Array  # its square
    x: Array
    x_square: Array
    error: Array  # (x - out)²
    error_shuffled: Array  # (x - out(other))²
    spread: Array  # |out - out(other)|
    error_scrubbed: Array  # (x - scrubbed)²
    change_square: Array  # (out - scrubbed)²
    change: Array  # |out - scrubbed|


class Totals(NamedTuple):
    """Result of `summary`; see `scrubbing.Scrubbed`."""

    recovered: Array  # (K,)
    recovered_output: Array  # (K, n)
    variance: Array  # (n,)
    loss: Array  # ()
    loss_shuffled: Array  # ()
    loss_constant: Array  # ()
    loss_scrubbed: Array  # (K,)
    loss_recovered: Array  # (K,)
    loss_recovered_over_constant: Array  # (K,)
    change: Array  # (K,), over that of shuffled outputs
    change_output: Array  # (K, n)


@functools.cache
@shielded()
def couples_features(activation: Activation, n_features: int = 7) -> bool:
    """Return whether an output depends on the pre-activations of other features, as in softmax."""
    if is_gated(activation):
        return False
    function = resolve(activation)
    with jax.ensure_compile_time_eval():  # also while another function is traced
        z = jax.random.normal(jax.random.key(0), (n_features, 8))
        others = z.at[1:].set(jax.random.normal(jax.random.key(1), (n_features - 1, 8)))
        return not np.allclose(function(z)[0], function(others)[0], equal_nan=True)


def outputs(
    params: Params,
    act: Callable[[Array], Array],
    coupled: bool,
    hypothesis: Hypothesis,
    x: Array,
    other: Array,
) -> tuple[Array, Array, Array]:
    """Return outputs on x and on other, (n, samples), and scrubbed ones, (K, n, samples).

    An elementwise activation needs row i of z only for output i, so one product gives all outputs.
    An activation that couples features (`coupled`) needs all of z for every output i, computed from
    the inputs kept for i: n products.
    """
    written, bias = _decoder(params)
    products = _dot(written.T, params.W)
    z = _dot(products, x) + bias
    gap = x - other

    def scrubbed(lost: Array) -> Array:
        return jax.vmap(act)(z - _dot(lost, gap))

    if coupled:
        rows = jax.lax.map(
            lambda i: scrubbed(_replaced(params, products, hypothesis, i))[:, i],
            jnp.arange(params.W.shape[1]),
        )
        found = jnp.moveaxis(rows, 0, 1)
    else:
        found = scrubbed(_replaced(params, products, hypothesis, None))
    return act(z), act(_dot(products, other) + bias), found


def _decoder(params: Params) -> tuple[Array, Array]:
    """Return the map from h to z, (m, n), and its bias, (n, 1); a gate has both parts, 2 n."""
    own = params.W if params.W_dec is None else params.W_dec
    if params.V is None:
        return own, params.b[:, None]
    written = jnp.concatenate([own, params.V], axis=1)
    return written, jnp.concatenate([params.b, params.c])[:, None]


def _replaced(params: Params, products: Array, hypothesis: Hypothesis, output: Any) -> Array:
    """Return the part of the products, (K, rows, n), that the hypotheses leave to the other sample.

    Parameters
    ----------
    products
        WᵀW, or W_decᵀW of untied weights, with a gate VᵀW below.
    output
        Whose inputs and reads are those of all rows; None: each row has its own.
    """

    def of_rows(which: Array) -> Array:  # (K, n, ...) -> (K, rows, ...)
        if output is not None:
            return jnp.broadcast_to(
                which[:, output, None], (len(which), len(products), *which.shape[2:])
            )
        return jnp.concatenate([which] * (len(products) // which.shape[1]), axis=1)

    kept = of_rows(hypothesis.inputs).astype(products.dtype)
    lost = products * (1 - kept)
    if hypothesis.directions is None or hypothesis.reads is None:
        return lost
    written = _dot(hypothesis.directions, _decoder(params)[0])  # (K, m, rows)
    unread = jnp.swapaxes(written, 1, 2) * (1 - of_rows(hypothesis.reads).astype(products.dtype))
    return lost + kept * _dot(unread, _dot(hypothesis.directions, params.W))


def moments(
    params: Params,
    act: Callable[[Array], Array],
    coupled: bool,
    hypothesis: Hypothesis,
    x: Array,
    other: Array,
) -> Moments:
    """Return the moments of every sample: samples along the last axis."""
    out, shuffled, scrubbed = outputs(params, act, coupled, hypothesis, x, other)
    zero = at_zero(params, act)[:, None]
    a, b, change = out - zero, shuffled - zero, out - scrubbed
    return Moments(
        shift=(a + b) / 2,
        square=(a * a + b * b) / 2,
        x=x,
        x_square=x * x,
        error=(x - out) ** 2,
        error_shuffled=(x - shuffled) ** 2,
        spread=jnp.abs(out - shuffled),
        error_scrubbed=(x - scrubbed) ** 2,
        change_square=change * change,
        change=jnp.abs(change),
    )


def at_zero(params: Params, act: Callable[[Array], Array]) -> Array:
    """Return the outputs of the zero sample, (n,)."""
    return act(_decoder(params)[1])[:, 0]


def varying(mean: Moments, zero: Array, chance: Array) -> Array:
    """Return which outputs have a variance, (n,); the arguments are those of `summary`."""
    m = jax.tree.map(lambda a: chance * a, mean)
    variance = m.square - m.shift**2
    size = variance + (zero + m.shift) ** 2
    rounding = (ROUNDING * jnp.finfo(size.dtype).eps) ** 2 * size
    return variance > jnp.maximum(CONSTANT * m.x_square.max(), rounding)


def summary(mean: Moments, zero: Array, chance: Array, importance: Array, counted: Array) -> Totals:
    """Return the totals of moments.

    Parameters
    ----------
    mean
        Moments, (n,) and (K, n), over the samples that are not zero in x and other.
    zero
        Outputs of the zero sample, (n,).
    chance
        Probability of a pair that is not zero; the zero pair has the rest.
    importance
        I, (n,).
    counted
        Outputs that the totals are computed from, of `varying`.
    """
    m = jax.tree.map(lambda a: chance * a, mean)
    variance = m.square - m.shift**2
    weight = jnp.where(counted, importance, 0)
    share = m.change_square / (2 * jnp.where(counted, variance, jnp.nan))
    loss, shuffled, scrubbed = (
        ((e + (1 - chance) * zero**2) * importance).mean(axis=-1)
        for e in (m.error, m.error_shuffled, m.error_scrubbed)
    )
    constant = ((m.x_square - m.x**2) * importance).mean()
    return Totals(
        recovered=1 - _ratio((weight * m.change_square).sum(-1), 2 * (weight * variance).sum()),
        recovered_output=1 - share,
        variance=variance,
        loss=loss,
        loss_shuffled=shuffled,
        loss_constant=constant,
        loss_scrubbed=scrubbed,
        loss_recovered=_ratio(shuffled - scrubbed, shuffled - loss),
        loss_recovered_over_constant=_ratio(constant - scrubbed, constant - loss),
        change=_ratio((weight * m.change).sum(-1), (weight * m.spread).sum()),
        change_output=m.change,
    )


def interval(
    replicates: Moments,
    resampled: Array,
    confidence: float,
    zero: Array,
    chance: Array,
    importance: Array,
    counted: Array,
) -> tuple[Array, Array]:
    """Return the percentile bootstrap's (low, high) of recovered and loss_recovered, each (2, K).

    Parameters
    ----------
    replicates
        Moments with a leading axis of samples, or of blocks of them.
    resampled
        How often each replicate counts, over their number: (resamples, replicates).
    """
    means = jax.tree.map(lambda a: jnp.tensordot(resampled, a, 1, precision="highest"), replicates)
    totals = jax.vmap(lambda mean: summary(mean, zero, chance, importance, counted))(means)
    tails = jnp.array([(1 - confidence) / 2, (1 + confidence) / 2])
    both = (totals.recovered, totals.loss_recovered)
    low_high = [jnp.quantile(a, tails.astype(a.dtype), axis=0) for a in both]
    return low_high[0], low_high[1]


def resamples(replicates: int, count: int, seed: int, dtype: Any) -> np.ndarray:
    """Return the weights of `interval`: multinomial counts over the number of replicates."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(replicates, np.full(replicates, 1 / replicates), size=count)
    return (counts / replicates).astype(dtype)


def _ratio(a: Array, b: Array) -> Array:
    """Return a / b, NaN where b is not positive."""
    return a / jnp.where(b > 0, b, jnp.nan)


def _dot(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
