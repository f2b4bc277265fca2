"""How well any W, b reconstruct: loss and per-feature error, on given inputs or on a distribution.

W is (..., n_hidden, n_features), b is (..., n_features), NumPy or JAX, with any leading axes, V and
c of a gated decoder and W_dec of an untied model likewise; the results are of their kind and dtype,
float64 too. A model with a non-finite weight gives NaN and only for itself. Losses are means over
samples and features of I_i (x_i - x̂_i)², x̂ = act(WᵀW x + b), or act(W_decᵀW x + b); compare those
of different sparsities only after `relative_loss`, for raw ones mostly measure the sparsity.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jsuper.analysis.arrays import (
    Array,
    floating,
    namespace,
    per_feature,
    weights,
    whole_number,
)
from jsuper.analysis.theory import constant_loss, top_features_loss, zero_loss
from jsuper.models.toy.activations.registry import resolve
from jsuper.models.toy.config import couples_batch
from jsuper.models.toy.evaluation import evaluation_draws, make_round_errors
from jsuper.models.toy.functions import traced
from jsuper.models.toy.layout import COLUMNS
from jsuper.models.toy.model import Params, check_decoder, check_gate, preactivation
from jsuper.training import keys
from jsuper.training.jax_config import shielded

Activation = str | Callable[[Any], Any]


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
    """Loss and per-feature error on inputs x, the same for all models.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    b
        Output bias, (..., n_features).
    activation
        A registered name (`elu(0.25)` too) or a function of z (n_features, samples).
    x
        Inputs, (n_features, samples), at least two samples.
    importance
        I_i, a number or (n_features,).
    V, c
        Of a gated decoder (`geglu`); of no other activation.
    W_dec
        Of untied models, shaped as W.

    Raises
    ------
    ValueError
        The shapes do not fit, or the activation is not known.
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
        found = _given(flat(params), x.astype(W.dtype), importance, act)
        return _shaped(xp, lead, n, *found)


@shielded()
def evaluate_sparse(
    W: Array,
    b: Array,
    activation: Activation,
    sparsity: Array,
    importance: Array = 1.0,
    *,
    V: Array | None = None,
    c: Array | None = None,
    W_dec: Array | None = None,
    rounds: int = 64,
    batch_size: int = 1024,
    seed: int = 0,
) -> Evaluation:
    """Loss and per-feature error on sparse features: x_i = 0 with probability S, else U(0,1).

    Each round draws 1,024 stratified samples that have an active feature and weights the zero
    sample exactly: L = (1 - P) L(0) + P E[L | some feature is active].

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    b
        Output bias, (..., n_features).
    activation
        As in `evaluate`.
    sparsity
        S in [0, 1), a number or (..., 1 or n_features), with W's leading axes or less.
    importance
        I_i, likewise.
    V, c
        Of a gated decoder (`geglu`); of no other activation.
    W_dec
        Of untied models, shaped as W.
    rounds
        How many, at least 2; the standard error falls with its root.
    batch_size
        Samples normalised together, for activations that normalise over the batch.
    seed
        Of the samples, the same for all models.

    Raises
    ------
    ValueError
        The shapes do not fit, sparsity is not in [0, 1), or the activation is unknown.
    """
    check_gate(activation, W, b, V, c)
    xp, params = model_of(W, b, V, c, W_dec)
    W = params.W
    whole_number("rounds", rounds, 2)  # one round has no standard error
    whole_number("batch_size", batch_size, 1)
    whole_number("seed", seed, 0)
    S = floating(sparsity)
    if not isinstance(S, Tracer) and not ((S >= 0) & (S < 1)).all():
        raise ValueError(f"sparsity={sparsity} is not in [0, 1): no feature is active at 1")
    lead, n = W.shape[:-2], W.shape[-1]
    models = flat(params)
    density = per_feature("sparsity", 1 - S, W)
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
            activations=(traced(activation, n, W.dtype, [batch_size], [COLUMNS]),),
            rounds=rounds,
            batch_size=batch_size,
            seed=np.uint32(seed),
        )
        return _shaped(xp, lead, n, *found)


@functools.partial(jax.jit, static_argnames="activation")
def _given(params: Params, x: Array, importance: Array, activation: Activation) -> tuple:
    """Loss, standard error and errors of models (M, ...) on x, one after another."""
    act = resolve(activation)

    def one(params: Params) -> tuple[Array, Array, Array]:
        square = (act(preactivation(params, x)) - x) ** 2
        losses = (importance[:, None] * square).mean(axis=0)
        return losses.mean(), losses.std(ddof=1) / x.shape[1] ** 0.5, square.mean(axis=1)

    return jax.lax.map(one, params)


@functools.partial(jax.jit, static_argnames=("activations", "rounds", "batch_size"))
def sparse_errors(
    params: Params,
    activation: Array,
    density: Array,
    importance: Array,
    *,
    activations: tuple[Activation, ...],
    rounds: int,
    batch_size: int,
    seed: Array,
) -> tuple[Array, Array, Array]:
    """Loss (M,), standard error (M,) and errors (M, n) of M models, each with its own activation.

    `params` have a leading axis of models. `activation` (M,) is an index into `activations`, which
    are all gated or none; density and importance are (M, n). All models see the same draws. They
    run one after another, so that only the own activation is computed.
    """
    round_errors = make_round_errors(activations, params.W.shape[-1], params.W.dtype.name)
    coupled = any(couples_batch(a, params.W.shape[-1]) for a in activations)
    key = keys.seed_key(seed)

    def one_round(total: Array, i: Array) -> tuple[Array, Array]:
        draws = evaluation_draws(key, i, params.W.shape[-1], batch_size * coupled)
        models = (params, activation, density)
        errors = jax.lax.map(lambda model: round_errors(*model, draws), models)
        return total + errors, (importance * errors).mean(axis=-1)

    total, losses = jax.lax.scan(one_round, jnp.zeros_like(params.b), jnp.arange(rounds))
    return losses.mean(axis=0), losses.std(axis=0, ddof=1) / rounds**0.5, total / rounds


class RelativeLoss(NamedTuple):
    """A loss beside what three models without superposition reach; all of the loss's shape."""

    over_constant: Array  # the best constant, b_i = p_i/2
    over_zero: Array  # the prediction 0
    over_top: Array  # the n_hidden features that matter most exactly, the best constant elsewhere
    gain: Array  # 1 - over_top: what superposition gains; at most 1, negative where it loses


@shielded()
def relative_loss(loss: Array, density: Array, importance: Array, n_hidden: int) -> RelativeLoss:
    """A loss over those of the best constant, of zero, and of the best model without superposition.

    NaN where what it is divided by is 0: where no feature is ever active, or none matters.

    Parameters
    ----------
    loss
        (...,).
    density
        p, a number or (..., n_features).
    importance
        I_i, (..., n_features).
    n_hidden
        m; where m >= n_features the best model has loss 0, and over_top and gain are NaN.
    """
    loss = floating(loss)
    xp = namespace(loss)

    def over(reference: Array) -> Array:
        reference = xp.asarray(reference, dtype=loss.dtype)
        return loss / xp.where(reference == 0, loss.dtype.type("nan"), reference)

    over_top = over(top_features_loss(density, importance, n_hidden))
    over_constant = over(constant_loss(density, importance))
    return RelativeLoss(over_constant, over(zero_loss(density, importance)), over_top, 1 - over_top)


IMPROVEMENT, STANDARD_ERRORS = 0.1, 3.0  # of a loss that still falls
NEGLIGIBLE = 1e-4  # of the best constant's loss: what falls below it has nothing left to learn


def still_improves(
    loss_over_constant: Array,
    improvement: Array = math.nan,
    improvement_stderr: Array = math.nan,
) -> Array:
    """Return whether a loss was still falling when training ended: bool, of the broadcast shape.

    With r = 1 - L(100 %) / L(90 %) the improvement over the last 10 % of the steps and s its
    standard error:

        r > 0.1  and  r > 3 s  and  L / L_constant > 1e-4

    The last condition passes over models that explain all but 0.01 % of the variance, such as those
    with n_hidden >= n_features, whose loss may fall at the same rate down to rounding. Falls only
    count: a loss that rises, as after a late push, is none. Noise of the gradient counts where it
    moves the loss by more than 10 %, and so does a schedule that ends with a small learning rate.
    NaN, where a number was not measured, is False.

    Parameters
    ----------
    loss_over_constant
        L / L_constant, (...,).
    improvement
        r, (...,).
    improvement_stderr
        s, (...,).
    """
    loss, fall, error = map(floating, (loss_over_constant, improvement, improvement_stderr))
    return (fall > IMPROVEMENT) & (fall > STANDARD_ERRORS * error) & (loss > NEGLIGIBLE)


def failed_fit(
    loss_over_constant: Array,
    improvement: Array = math.nan,
    improvement_stderr: Array = math.nan,
) -> Array:
    """Whether a fit has failed, so that its weights are no result: bool, of the broadcast shape.

        L / L_constant > 1  or  `still_improves`

    Without an improvement only the first condition counts. NaN, of a model that diverged, is False.

    Parameters
    ----------
    loss_over_constant
        L / L_constant, the final loss over the best constant's, (...,).
    improvement
        Of the loss over the last 10 % of the steps, (...,).
    improvement_stderr
        Its standard error, (...,).
    """
    improving = still_improves(loss_over_constant, improvement, improvement_stderr)
    return (floating(loss_over_constant) > 1) | improving


@shielded()
def r_squared(errors: Array, density: Array) -> Array:
    """R²_i = 1 - E(x_i - x̂_i)² / (p/3 - p²/4): (..., n_features), at most 1.

    1: feature i is reconstructed exactly; 0: no better than its mean; negative: worse; NaN: p = 0.

    Parameters
    ----------
    errors
        Of an `Evaluation`, (..., n_features).
    density
        p, a number or (..., n_features).
    """
    errors = floating(errors)
    if errors.ndim == 0:
        raise ValueError("errors is a single number; it is (..., n_features)")
    xp = namespace(errors)
    p = per_feature("density", density, errors, "[0, 1]")
    return 1 - errors / xp.where(p == 0, errors.dtype.type("nan"), p / 3 - p**2 / 4)


def model_of(
    W: Array, b: Array, V: Array | None, c: Array | None, W_dec: Array | None
) -> tuple[Any, Params]:
    """NumPy or JAX, and the model; one with a non-finite number is NaN throughout."""
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


def flat(params: Params) -> Params:
    """Return the same with one leading axis."""
    lead = params.W.ndim - 2
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[lead:]), params)


def precision(W: Array) -> Any:
    """JAX computes NumPy's float64 in float64, whatever its own setting."""
    wide = isinstance(W, np.ndarray) and W.dtype == np.float64
    return jax.enable_x64(True) if wide else contextlib.nullcontext()


def _shaped(
    xp: Any, lead: tuple[int, ...], n: int, loss: Array, stderr: Array, errors: Array
) -> Evaluation:
    """Results of models (M, ...) in the leading axes and the kind of the input."""
    return Evaluation(
        xp.asarray(loss).reshape(lead),
        xp.asarray(stderr).reshape(lead),
        xp.asarray(errors).reshape((*lead, n)),
    )
