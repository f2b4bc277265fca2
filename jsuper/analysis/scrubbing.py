"""Causal scrubbing: how much of a model's behaviour a hypothesis about its inputs accounts for.

A hypothesis states which inputs j output i depends on (see `hypotheses`). To scrub is to compute
output i with every other input replaced by that of an independent sample x', drawn once per output
and sample:

    z_i = Σ_j G_ij (N_ij x_j + (1 - N_ij) x'_j) + b_i,   G = WᵀW.

The scrubbed outputs are compared with the model's own in two ways.

Agreement: B_i = E (out_i - scrubbed_i)², and the fraction recovered 1 - B_i / (2 Var out_i). It is
1 if the hypothesis leaves out nothing that matters and 0 if output i is that of another sample. For
independent features it is the closed Sobol index Var(E[out_i | x_N]) / Var out_i, so for a linear
model Σ_{j in N} G_ij² σ_j² / Σ_j G_ij² σ_j². A constant has 1/2 by this measure, not 0.

Loss: (L_shuffled - L_scrubbed) / (L_shuffled - L_model). With independent features this cannot
distinguish hypotheses: the scrubbed output has the distribution of the model's own and meets the
same x_i, so that every hypothesis with i in N(i) recovers all of the loss, however strong the
interference. The loss is informative only if features depend on one another (`samplers.exactly`,
`samplers.correlated_pairs`). As the shuffled baseline is worse than a constant,
`loss_recovered_over_constant` is given as well.

References: Chan et al. (2022), "Causal Scrubbing: a method for rigorously testing interpretability
hypotheses", <https://www.lesswrong.com/posts/JvZhhzycHu2Yd57RN>; Greenblatt 2022 for the constant;
Sobol' 1993 and Janon et al. 2014 for the estimate from pairs of samples.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jsuper.analysis import scrubbed
from jsuper.analysis.arrays import Array, namespace, per_feature, whole_number
from jsuper.analysis.evaluation import Activation, model_of, precision
from jsuper.analysis.hypotheses import Subspaces
from jsuper.analysis.samplers import Samples, samples_of
from jsuper.analysis.scrubbed import Hypothesis
from jsuper.models.toy.activations.registry import is_gated, resolve
from jsuper.models.toy.functions import traced
from jsuper.models.toy.model import Params, check_gate
from jsuper.models.toy.widths import couples_batch
from jsuper.training.jax_config import shielded


class Scrubbed(NamedTuple):
    """Result of `scrub`; (...,) are the leading axes of W and of the hypothesis, broadcast."""

    recovered: Array  # (...,) over all outputs that vary, weighted by I_i Var out_i; at most 1
    low: Array  # (...,) bootstrap interval of it, over samples
    high: Array  # (...,)
    recovered_output: Array  # (..., n_features) of each output; NaN where it does not vary
    variance: Array  # (..., n_features) Var out_i
    constant: Array  # (...,) number of outputs that do not vary
    loss: Array  # (...,) of the model: mean of I_i (x_i - out_i)²
    loss_scrubbed: Array  # (...,)
    loss_shuffled: Array  # (...,) of the model's output for the other sample
    loss_constant: Array  # (...,) of the best constant, mean_i I_i Var x_i
    loss_recovered: Array  # (...,) NaN where the model is no better than shuffled
    loss_low: Array  # (...,)
    loss_high: Array  # (...,)
    loss_recovered_over_constant: Array  # (...,) NaN where the model is no better than a constant
    change: (
        Array  # (...,) mean |out_i - scrubbed_i|, over that of shuffled outputs, weighted by I_i
    )
    change_output: Array  # (..., n_features) mean |out_i - scrubbed_i|
    change_high: Array  # (..., n_features) its 0.99 quantile over the samples given
    change_largest: Array  # (..., n_features)


@shielded()
def scrub(
    W: Array,
    b: Array,
    activation: Activation,
    x: Array | Samples,
    hypothesis: Array,
    importance: Array = 1.0,
    *,
    subspaces: Subspaces | None = None,
    V: Array | None = None,
    c: Array | None = None,
    W_dec: Array | None = None,
    resamples: int = 400,
    confidence: float = 0.95,
    seed: int = 0,
) -> Scrubbed:
    """Return how much of a model's outputs a hypothesis recovers.

    Means over samples hide changes that cancel, so look at `change` too: it is per sample, and its
    quantile and maximum are returned.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    b
        Output bias, (..., n_features).
    activation
        A registered name (also with parameters, `elu(0.25)`) or a function of z (n_features,
        samples). An activation that couples the features of a sample (`softmax`) is scrubbed whole
        for every output, at n times the work. Random gates are replaced by their mean.
    x
        Inputs, (n_features, samples), which are paired with one another at random, or the result of
        a function of `samplers`; at high sparsity use e.g. `samplers.sparse(0.99, 20)`.
    hypothesis
        N, (..., n_features, n_features), booleans: row i marks the inputs of output i.
    importance
        I_i >= 0, a number or (n_features,).
    subspaces
        Result of `hypotheses.subspaces`. Output i then reads the directions marked for it from an h
        computed from its inputs only; the rest of h is that of the other sample. As the two need
        not be independent, `recovered` can be negative.
    V, c
        Second matrix and bias of a gated decoder (`geglu`), shaped as W and b; None otherwise.
    W_dec
        Decoder of untied models, shaped as W; it reads h instead of W.
    resamples
        Bootstrap samples, at least 2.
    confidence
        Level of the interval, in (0, 1). The interval is too wide where samples are stratified.
    seed
        Seed of the pairs and of the bootstrap.

    Returns
    -------
    Scrubbed
        Arrays of the kind and dtype of W. A model with a non-finite weight is NaN throughout.

    Raises
    ------
    ValueError
        The shapes do not fit, the hypothesis is not boolean, or the activation is unknown or
        couples the samples of a batch.

    References
    ----------
    Chan et al. (2022), "Causal Scrubbing: a method for rigorously testing interpretability
    hypotheses", <https://www.lesswrong.com/posts/JvZhhzycHu2Yd57RN>.
    """
    check_gate(activation, W, b, V, c)
    xp, params = model_of(W, b, V, c, W_dec)
    n = params.W.shape[-1]
    check_activation(activation, n)
    samples = samples_of(x, n, whole_number("seed", seed, 0))
    importance = per_feature("importance", importance, params.W, "[0, inf)")
    importance = xp.broadcast_to(importance, (n,))
    lead, params, hypotheses = _models_with_hypotheses(params, hypothesis, subspaces)
    whole_number("resamples", resamples, 2)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} is not in (0, 1); give 0.95")
    dtype = params.W.dtype
    replicates = samples.x.shape[1] // samples.block
    weights = scrubbed.resamples(replicates, resamples, seed, dtype)
    with precision(params.W):
        pairs = [xp.asarray(a, dtype=dtype) for a in (samples.x, samples.other, samples.chance)]
        found = _scrub_each(
            params,
            hypotheses,
            tuple(pairs),
            importance,
            weights,
            activation=traced(activation, n, dtype, [samples.x.shape[1]], [8]),
            block=samples.block,
            confidence=confidence,
        )
        return jax.tree.map(lambda a: xp.asarray(a).reshape((*lead, *a.shape[1:])), found)


def check_activation(activation: Activation, n_features: int) -> None:
    """Raise ValueError if an activation is unknown, or cannot be scrubbed sample by sample."""
    resolve(activation)
    if not is_gated(activation) and couples_batch(activation, n_features):
        raise ValueError(
            f"activation={activation!r} couples the samples of a batch, so that no output is a "
            "function of its sample alone; take the one over features, e.g. 'softmax'"
        )


def _models_with_hypotheses(
    params: Params, hypothesis: Array, subspaces: Subspaces | None
) -> tuple[tuple[int, ...], Params, Hypothesis]:
    """Return the leading axes, and every model with its hypothesis along one leading axis."""
    W = params.W
    xp, (m, n) = namespace(W), W.shape[-2:]
    inputs = _booleans("hypothesis", hypothesis, (n, n))
    lead = _broadcast(W.shape[:-2], hypothesis=inputs.shape[:-2])
    directions = reads = None
    if subspaces is not None:
        reads = _booleans("reads", subspaces.reads, (n, m))
        directions = xp.asarray(subspaces.directions, dtype=W.dtype)
        if directions.shape[-2:] != (m, m):
            raise ValueError(
                f"directions has shape {directions.shape} but W has {m} hidden units; it is "
                "(..., n_hidden, n_hidden), as of hypotheses.subspaces"
            )
        shapes = {"reads": reads.shape[:-2], "directions": directions.shape[:-2]}
        lead = _broadcast(lead, **shapes)

    def spread(a: Array, own: int) -> Array:
        inner = a.shape[a.ndim - own :]
        return xp.broadcast_to(xp.asarray(a), (*lead, *inner)).reshape(-1, *inner)

    every = [None if a is None else spread(a, 2 - i % 2) for i, a in enumerate(params)]
    parts = [None if a is None else spread(a, 2)[:, None] for a in (inputs, directions, reads)]
    return lead, Params(*every), Hypothesis(*parts)  # type: ignore[arg-type]


def _booleans(name: str, values: Array, shape: tuple[int, int]) -> Array:
    values = values if isinstance(values, jax.Array) else np.asarray(values)
    if values.shape[-2:] != shape:
        raise ValueError(f"{name} has shape {values.shape}; its last two axes must be {shape}")
    if not isinstance(values, Tracer):
        wrong = np.asarray(values)[~np.isin(np.asarray(values), (0, 1))]
        if wrong.size:
            raise ValueError(f"{name} holds {wrong.flat[0]}; give booleans")
    return values.astype(bool)


def _broadcast(lead: tuple[int, ...], **shapes: tuple[int, ...]) -> tuple[int, ...]:
    for name, shape in shapes.items():
        try:
            lead = np.broadcast_shapes(lead, shape)
        except ValueError:
            raise ValueError(
                f"{name} has leading axes {shape}, which do not fit the models' {lead}; "
                "give one for all, or one for each"
            ) from None
    return lead


@functools.partial(jax.jit, static_argnames=("activation", "block", "confidence"))
def _scrub_each(
    params: Params,
    hypothesis: Hypothesis,
    samples: tuple[Array, Array, Array],
    importance: Array,
    resampled: Array,
    *,
    activation: Activation,
    block: int,
    confidence: float,
) -> Scrubbed:
    """Return the results of models (M, ...), each with its hypothesis, one after another."""
    x, other, chance = samples
    n = params.W.shape[-1]
    act, coupled = resolve(activation), scrubbed.couples_features(activation, n)

    def one(model: tuple[Params, Hypothesis]) -> Scrubbed:
        params, hypothesis = model
        each = scrubbed.moments(params, act, coupled, hypothesis, x, other)
        blocks = jax.tree.map(
            lambda a: jnp.moveaxis(a.reshape(*a.shape[:-1], -1, block).mean(axis=-1), -1, 0), each
        )
        zero, mean = scrubbed.at_zero(params, act), jax.tree.map(lambda a: a.mean(axis=0), blocks)
        counted = scrubbed.varying(mean, zero, chance)
        known = (zero, chance, importance, counted)
        totals = scrubbed.summary(mean, *known)
        fraction, loss = scrubbed.interval(blocks, resampled, confidence, *known)
        kept = {k: v[0] if v.ndim and k != "variance" else v for k, v in totals._asdict().items()}
        fine = jnp.isfinite(params.W).all()
        return Scrubbed(
            **kept,
            low=fraction[0, 0],
            high=fraction[1, 0],
            loss_low=loss[0, 0],
            loss_high=loss[1, 0],
            constant=jnp.where(fine, (~counted).sum(), jnp.nan).astype(x.dtype),
            change_high=jnp.quantile(each.change[0], 0.99, axis=-1),
            change_largest=each.change[0].max(axis=-1),
        )

    return jax.lax.map(one, (params, hypothesis))
