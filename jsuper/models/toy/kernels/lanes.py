"""The kernel for TPUs: 128 models side by side on the lanes, for many steps in one Pallas call.

Eight samples stand on the sublanes. Weights, moments and gradients stay in vector memory; the
batches are streamed in, one for every model. The activation is differentiated by JAX
inside of the kernel, so that there is no second definition of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from jsuper.models.toy.activations.registry import in_training

LANES, SUBLANES = 128, 8
CHUNK = 128  # samples that are in vector memory at once


class Shape(NamedTuple):
    """What a kernel is made for; batch_size is a multiple of SUBLANES."""

    activation: str | Callable
    n_features: int
    n_hidden: int
    batch_size: int
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8


class State(NamedTuple):
    """Parameters [W; b] and moments, (n_hidden + 1, n_features, models); counts, (1, models)."""

    params: Array
    mu: Array
    nu: Array
    taken: Array  # steps
    bad: Array  # step at which a model was frozen, or -1


def run(
    shape: Shape,
    x: Array,
    first: Array,
    steps: Array,
    rate: Array,
    decay: Array,
    importance: Array,
    state: State,
    interpret: bool = False,
) -> State:
    """Return the state of models after some steps.

    Parameters
    ----------
    shape
        Sizes and activation.
    x
        Batches, (K, n_features, batch_size, models); the number of models is a multiple of LANES.
    first, steps
        Number of the first step, and how many are taken, at most K.
    rate, decay
        Learning rates (K, models), decay (1, models) for W and b.
    importance
        (n_features, models).
    state
        Before the steps. A model whose numbers would not stay finite is frozen, and `bad` is the
        step at which that was.
    interpret
        Whether Pallas interprets the kernel, for tests without a TPU.
    """
    K, n, batch, models = x.shape
    m, chunk = shape.n_hidden, min(CHUNK, batch)
    if batch % chunk:
        chunk = SUBLANES
    whole = pl.BlockSpec((m + 1, n, LANES), lambda g, k, c, span: (0, 0, g))
    one = pl.BlockSpec((1, LANES), lambda g, k, c, span: (0, g))
    states = [whole] * 3 + [one] * 2
    spec = pltpu.PrefetchScalarGridSpec(
        num_scalar_prefetch=1,
        grid=(models // LANES, K, batch // chunk),
        in_specs=[
            pl.BlockSpec((1, n, chunk, LANES), lambda g, k, c, span: (k, 0, c, g)),
            pl.BlockSpec((1, 1, LANES), lambda g, k, c, span: (k, 0, g)),
            one,
            pl.BlockSpec((n, LANES), lambda g, k, c, span: (0, g)),
            *states,
        ],
        out_specs=states,
        scratch_shapes=[pltpu.VMEM((m + 1, n, SUBLANES, LANES), jnp.float32)] * 2,
    )
    call = pl.pallas_call(
        functools.partial(_steps, shape=shape, chunk=chunk),
        grid_spec=spec,
        out_shape=[jax.ShapeDtypeStruct(a.shape, a.dtype) for a in state],
        interpret=interpret,
    )
    span = jnp.stack([first, steps]).astype(jnp.int32)
    scaled = importance / (n * batch)
    return State(*call(span, x, rate[:, None], decay, scaled, *state))


def _steps(  # noqa: PLR0913 - references, as Pallas passes them
    span: Any, x: Any, rate: Any, decay: Any, importance: Any,
    params0: Any, mu0: Any, nu0: Any, taken0: Any, bad0: Any,
    params: Any, mu: Any, nu: Any, taken: Any, bad: Any,
    wide: Any, sums: Any, *, shape: Shape, chunk: int,
) -> None:  # fmt: skip
    """Add a chunk of samples to the gradient, and after the last one take the step.

    `wide` has every parameter on all sublanes, and `sums` the gradient, a sum for each sublane.
    """
    k, c = pl.program_id(1), pl.program_id(2)

    @pl.when((k == 0) & (c == 0))
    def _() -> None:
        before = params0, mu0, nu0, taken0, bad0
        for new, old in zip((params, mu, nu, taken, bad), before, strict=True):
            new[...] = old[...]
        wide[...] = jnp.broadcast_to(params0[...][:, :, None], wide.shape)

    @pl.when(c == 0)
    def _() -> None:
        sums[...] = jnp.zeros_like(sums)

    def tile(t: Array, _: int) -> int:
        add_gradient(shape, x[0, :, pl.ds(t * SUBLANES, SUBLANES), :], importance[...], wide, sums)
        return 0

    jax.lax.fori_loop(0, chunk // SUBLANES, tile, 0)

    @pl.when(c == pl.num_programs(2) - 1)
    def _() -> None:
        gradient, goes_on = jnp.sum(sums[...], axis=2), (bad[...] < 0) & (k < span[1])
        new_mu = (1 - shape.b1) * gradient + shape.b1 * mu[...]
        new_nu = (1 - shape.b2) * gradient * gradient + shape.b2 * nu[...]
        power = (taken[...] + 1).astype(jnp.float32)
        first = 1 / (1 - jnp.exp(power * np.float32(np.log(shape.b1))))
        second = 1 / (1 - jnp.exp(power * np.float32(np.log(shape.b2))))
        old = params[...]
        away = new_mu * first / (jnp.sqrt(new_nu * second) + shape.eps) + decay[...] * old
        new = old - rate[0] * away
        numbers = 0 * new + 0 * new_mu + 0 * new_nu  # 0, or NaN for a number that is not finite
        finite = jnp.sum(jnp.sum(numbers, axis=0), axis=0, keepdims=True) == 0
        kept = goes_on & finite
        params[...] = jnp.where(kept, new, old)
        mu[...] = jnp.where(kept, new_mu, mu[...])
        nu[...] = jnp.where(kept, new_nu, nu[...])
        taken[...] = jnp.where(kept, taken[...] + 1, taken[...])
        bad[...] = jnp.where(goes_on & ~finite, span[0] + k, bad[...])
        wide[...] = jnp.broadcast_to(params[...][:, :, None], wide.shape)


def add_gradient(shape: Shape, x: Array, importance: Array, wide: Any, sums: Any) -> None:
    """Add the gradient of eight samples, x (n_features, 8, LANES), to `sums`."""
    n, m = shape.n_features, shape.n_hidden
    function = in_training(shape.activation)

    def error(z: Array) -> Array:
        return jnp.sum(importance[:, None] * (function(z, None) - x) ** 2)

    h = [_total(wide[j, i] * x[i] for i in range(n)) for j in range(m)]
    z = [wide[m, i] + _total(wide[j, i] * h[j] for j in range(m)) for i in range(n)]
    dz = jax.grad(error)(jnp.stack(z))
    dh = [_total(wide[j, i] * dz[i] for i in range(n)) for j in range(m)]
    for i in range(n):
        sums[m, i] += dz[i]
        for j in range(m):
            sums[j, i] += dh[j] * x[i] + h[j] * dz[i]


def _total(terms: Any) -> Array:
    return functools.reduce(jnp.add, terms)
