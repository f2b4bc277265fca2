"""The loss and the error per feature of any models, on given inputs or on a distribution."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jsuper.analysis.arrays import (
    Array,
    floating,
    per_feature,
    weights,
    whole_number,
)
from jsuper.models.toy.activations.registry import resolve
from jsuper.models.toy.architecture import PLAIN, Architecture
from jsuper.models.toy.evaluation import couplings, evaluation_draws, make_errors, samples_of
from jsuper.models.toy.functions import traced
from jsuper.models.toy.inputs.interface import Law
from jsuper.models.toy.inputs.law import DEFAULT, Inputs, Numbers
from jsuper.models.toy.inputs.names import DEFAULT_SUPPORT, DEFAULT_VALUES, support_of, values_of
from jsuper.models.toy.inputs.sampled import Sampled
from jsuper.models.toy.layout import COLUMNS
from jsuper.models.toy.model import Params, check_decoder, check_gate, preactivation
from jsuper.models.toy.samplers import traced_sampler
from jsuper.models.toy.widths import couples_batch
from jsuper.training import keys
from jsuper.training.jax_config import shielded

Activation = str | Callable[[Any], Any]
Sampler = Callable[[Any, int], Any]  # (key, batch) -> samples, (batch, n_features)
NO_NUMBERS = Numbers(None)  # of the default law, without a density


class Evaluation(NamedTuple):
    """Loss (...,), its standard error (...,), and E (x_i - x̂_i)² per feature (..., n_features)."""

    loss: Array
    stderr: Array
    errors: Array


@shielded()
def evaluate(
    W: Array,
    b: Array,
    activation: Activation,
    x: Array,
    importance: Array = 1.0,
    *,
    V: Array | None = None,
    c: Array | None = None,
    W_dec: Array | None = None,
) -> Evaluation:
    """Return the loss and the error per feature on inputs x, the same for all models.

    The loss is the mean over samples and features of I_i (x_i - x̂_i)².

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    b
        Output bias, (..., n_features).
    activation
        A registered name (also with parameters, `elu(0.25)`) or a function of z (n_features,
        samples).
    x
        Inputs, (n_features, samples), at least two samples.
    importance
        I_i >= 0, a number or (n_features,).
    V, c
        Second matrix and bias of a gated decoder (`geglu`), shaped as W and b; None otherwise.
    W_dec
        Decoder of untied models, shaped as W.

    Raises
    ------
    ValueError
        The shapes do not fit, or the activation is unknown.
    """
    check_gate(activation, W, b, V, c)
    xp, params = model_of(W, b, V, c, W_dec)
    W = params.W
    x = xp.asarray(floating(x))
    if x.ndim != 2 or x.shape[0] != W.shape[-1] or x.shape[1] < 2:
        raise ValueError(
            f"x has shape {x.shape} but W has {W.shape[-1]} features; "
            "x is (n_features, samples), with at least two samples"
        )
    resolve(activation)
    lead, n = W.shape[:-2], W.shape[-1]
    importance = xp.broadcast_to(per_feature("importance", importance, W, "[0, inf)"), (n,))
    with precision(W):
        act = traced(activation, n, W.dtype, [x.shape[1]])
        found = _evaluate_each(merge_leading(params), x.astype(W.dtype), importance, act)
        return _shaped(xp, lead, n, *found)


@shielded()
def evaluate_sparse(
    W: Array,
    b: Array,
    activation: Activation,
    sparsity: Array | None = None,
    importance: Array = 1.0,
    *,
    V: Array | None = None,
    c: Array | None = None,
    W_dec: Array | None = None,
    support: str = DEFAULT_SUPPORT,
    values: str = DEFAULT_VALUES,
    inputs: Sampler | None = None,
    rounds: int = 64,
    batch_size: int = 1024,
    seed: int = 0,
) -> Evaluation:
    """Return the loss and the error per feature on a law of the data.

    By default x_i is 0 with probability S, else U(0, 1). Each round draws 1,024 stratified samples
    that have an active feature; the zero sample is weighted exactly: L = (1 - P) L(0) + P
    E[L | x != 0], where P is the probability that a feature is active.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    b
        Output bias, (..., n_features).
    activation
        As in `evaluate`.
    sparsity
        S in [0, 1), a number or (..., 1 or n_features); leading axes broadcast to those of W.
        Required unless `inputs` is given.
    importance
        I_i >= 0, likewise.
    V, c
        Second matrix and bias of a gated decoder (`geglu`), shaped as W and b; None otherwise.
    W_dec
        Decoder of untied models, shaped as W.
    support, values
        Which features are active together, and the values of active features, as in
        `jsuper.Sweep`: for example "pairs(0.5)" and "signed".
    inputs
        A sampler (key, batch) -> samples, (batch, n_features), as in `jsuper.Sweep`, instead of
        sparsity, support and values. Rounds are then 1,024 of its samples, zero or not.
    rounds
        Number of rounds, at least 2; the standard error falls as 1/√rounds.
    batch_size
        Samples normalised together, for activations that normalise over the batch.
    seed
        Seed of the samples, which are the same for all models.

    Raises
    ------
    ValueError
        The shapes do not fit, sparsity is not in [0, 1), the activation or the law is unknown, or
        the law does not exist for this sparsity, a sampler cannot be used, or both are given.
    """
    check_gate(activation, W, b, V, c)
    xp, params = model_of(W, b, V, c, W_dec)
    W = params.W
    whole_number("rounds", rounds, 2)  # one round has no standard error
    whole_number("batch_size", batch_size, 1)
    whole_number("seed", seed, 0)
    lead, n = W.shape[:-2], W.shape[-1]
    models = merge_leading(params)
    act = traced(activation, n, W.dtype, [batch_size], [COLUMNS])
    if inputs is None:
        law, density = _named_law(sparsity, W, support, values)
    else:
        if sparsity is not None or (support, values) != (DEFAULT_SUPPORT, DEFAULT_VALUES):
            raise ValueError(
                "inputs is given with sparsity, support or values, and is the law of the data "
                "alone; leave them out"
            )
        batches = [batch_size] * couples_batch(act, n)
        law, density = Sampled(traced_sampler(inputs, n, batches)), xp.ones(1, W.dtype)
    importance = per_feature("importance", importance, W, "[0, inf)")
    density, importance = (
        xp.broadcast_to(a, (*lead, n)).reshape(-1, n) for a in (density, importance)
    )
    with precision(W):
        found = sparse_errors(
            models,
            np.zeros(len(models.W), np.int32),
            density,
            importance,
            inputs=law,
            numbers=law.numbers(None, W.dtype),
            activations=(act,),
            rounds=rounds,
            batch_size=batch_size,
            seed=np.uint32(seed),
        )
        return _shaped(xp, lead, n, *found)


def _named_law(
    sparsity: Array | None, W: Array, support: str, values: str
) -> tuple[Law, Array | np.ndarray]:
    """Return the law of a support and values, and its densities: (..., 1 or n_features)."""
    if sparsity is None:
        raise ValueError("sparsity is missing: a number in [0, 1), or a sampler as inputs")
    S = floating(sparsity)
    if not isinstance(S, Tracer) and not ((S >= 0) & (S < 1)).all():
        raise ValueError(f"sparsity={sparsity} is not in [0, 1): no feature is active at 1")
    law = Inputs(support_of(support), values_of(values))
    density = per_feature("sparsity", 1 - S, W)
    return law, density if support == DEFAULT_SUPPORT else _densities(law, S, W.shape[-1])


def _densities(inputs: Inputs, sparsity: Array, n: int) -> np.ndarray:
    """Return the densities of features under a law that must exist for every sparsity, (..., n)."""
    S = np.asarray(sparsity)
    per_feature = S.ndim > 0 and S.shape[-1] == n > 1
    for one in np.unique(S.reshape(-1, n) if per_feature else S.ravel(), axis=0):
        inputs.support.check_densities(1 - one, n)
    return np.asarray(inputs.support.densities(1 - S, n))


@functools.partial(jax.jit, static_argnames="activation")
def _evaluate_each(params: Params, x: Array, importance: Array, activation: Activation) -> tuple:
    """Return loss, standard error and errors of models (M, ...) on x, one after another."""
    act = resolve(activation)

    def one(params: Params) -> tuple[Array, Array, Array]:
        square = (act(preactivation(params, x)) - x) ** 2
        losses = (importance[:, None] * square).mean(axis=0)
        return losses.mean(), losses.std(ddof=1) / x.shape[1] ** 0.5, square.mean(axis=1)

    return jax.lax.map(one, params)


@functools.partial(
    jax.jit, static_argnames=("inputs", "activations", "net", "rounds", "batch_size")
)
def sparse_errors(
    params: Params,
    activation: Array,
    density: Array,
    importance: Array,
    *,
    inputs: Law = DEFAULT,
    numbers: Numbers = NO_NUMBERS,
    activations: tuple[Activation, ...],
    net: Architecture = PLAIN,
    rounds: int,
    batch_size: int,
    seed: Array,
) -> tuple[Array, Array, Array]:
    """Return loss (M,), standard error (M,) and errors (M, n) of M models on sparse features.

    All models see the same draws. They run one after another, so that only the branch of a model's
    activation is computed.

    Parameters
    ----------
    params
        Models, with a leading axis of length M.
    activation
        Index of each model's activation in `activations`, (M,).
    density, importance
        p and I, (M, n).
    inputs, numbers
        The law of the data, and its numbers without a density.
    activations
        Activations, either all gated or none.
    net
        Hidden layer, target and loss.
    rounds, batch_size, seed
        As in `evaluate_sparse`.
    """
    errors_of = make_errors(activations, params.W.shape[-1], net)
    coupled = any(couplings(activations, params.W.shape[-1], net, params.W.shape[-2]))
    key = keys.seed_key(seed)

    def one_round(total: Array, i: Array) -> tuple[Array, Array]:
        draws = evaluation_draws(inputs, key, i, params.W.shape[-1], batch_size * coupled)

        def errors_on_draws(one: tuple[Params, Array, Array]) -> Array:
            params, activation, density = one
            own = numbers._replace(density=density.astype(params.W.dtype))
            return errors_of(params, activation, samples_of(inputs, draws, own))

        errors = jax.lax.map(errors_on_draws, (params, activation, density))
        return total + errors, (importance * errors).mean(axis=-1)

    total, losses = jax.lax.scan(one_round, jnp.zeros_like(params.b), jnp.arange(rounds))
    return losses.mean(axis=0), losses.std(axis=0, ddof=1) / rounds**0.5, total / rounds


def model_of(
    W: Array, b: Array, V: Array | None, c: Array | None, W_dec: Array | None
) -> tuple[Any, Params]:
    """Return the array module and the model; it is NaN throughout if a number is not finite."""
    check_decoder(W, W_dec)
    xp, W = weights(W)
    b = xp.asarray(floating(b), dtype=W.dtype)
    if b.shape != (*W.shape[:-2], W.shape[-1]):
        raise ValueError(
            f"b has shape {b.shape} but W has {W.shape}; b is (..., n_features), one per column"
        )
    V, c, W_dec = (
        None if a is None else xp.asarray(floating(a), dtype=W.dtype) for a in (V, c, W_dec)
    )
    fine = xp.isfinite(b).all(axis=-1) & ~xp.isnan(W).any(axis=(-2, -1))
    return xp, Params(xp.where(fine[..., None, None], W, W.dtype.type("nan")), b, V, c, W_dec)


def merge_leading(params: Params) -> Params:
    """Return the parameters with their leading axes merged into one."""
    lead = params.W.ndim - 2
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[lead:]), params)


def precision(W: Array) -> Any:
    """Return a context in which JAX computes float64 arrays of NumPy in float64."""
    wide = isinstance(W, np.ndarray) and W.dtype == np.float64
    return jax.enable_x64(True) if wide else contextlib.nullcontext()


def _shaped(
    xp: Any, lead: tuple[int, ...], n: int, loss: Array, stderr: Array, errors: Array
) -> Evaluation:
    """Return results of models (M, ...) with the leading axes and the array type of the input."""
    return Evaluation(
        xp.asarray(loss).reshape(lead),
        xp.asarray(stderr).reshape(lead),
        xp.asarray(errors).reshape((*lead, n)),
    )
