"""Causal scrubbing of every model of a sweep of toy models: see `jsuper.analysis.scrubbing`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jsuper.analysis import hypotheses, scrubbed
from jsuper.analysis.metrics import toy_models
from jsuper.analysis.metrics.toy import Found
from jsuper.analysis.metrics.toy_explanation import ENOUGH, LEAST, MEANING, TABLES, explanation
from jsuper.analysis.metrics.toy_models import Models
from jsuper.analysis.samplers import active_pair, pair_draws
from jsuper.analysis.scrubbed import Hypothesis, Moments, couples_features
from jsuper.models.toy.activations.registry import is_gated, resolve
from jsuper.models.toy.architecture import architecture_of
from jsuper.models.toy.inputs.law import Inputs, Numbers
from jsuper.models.toy.model import Params
from jsuper.models.toy.results import HYPOTHESES
from jsuper.models.toy.widths import couples_batch
from jsuper.training.jax_config import shielded

if TYPE_CHECKING:
    import xarray

__all__ = ["BLOCKS", "COORDINATES", "ENOUGH", "HYPOTHESES", "MEANING", "TABLES", "VARIABLES"]
__all__ += ["explanation", "left_out", "measure"]

RANDOM = 4  # random hypotheses, averaged
BLOCKS = 32  # of 512 pairs of samples with an active feature
RESAMPLES, CONFIDENCE = 400, 0.95

COORDINATES = {"hypothesis": list(HYPOTHESES)}
EACH = ("hypothesis",)
VARIABLES: dict[str, tuple[tuple[str, ...], str]] = {
    "scrub_recovered": (
        EACH,
        "1 - E (out - scrubbed)^2 / (2 Var out), weighted by importance: the share of the outputs' "
        "variance that the hypothesis accounts for",
    ),
    "scrub_low": (EACH, "low end of its 95 % bootstrap interval over samples"),
    "scrub_high": (EACH, "high end of it"),
    "scrub_interference": (
        EACH,
        "(recovered - that of self) / (1 - that of self): the share of the interference that the "
        "hypothesis accounts for; no value for none, and where self leaves less than 0.001",
    ),
    "scrub_change": (EACH, "mean |out - scrubbed| over that of shuffled outputs"),
    "scrub_loss_recovered": (
        EACH,
        "(L_shuffled - L_scrubbed) / (L_shuffled - L); with independent features 1 for every "
        "hypothesis that has the output's own input",
    ),
    "scrub_inputs": (EACH, "inputs of an output in the hypothesis, weighted as recovered is"),
    "scrub_recovered_output": ((*EACH, "feature"), "recovered of output i alone"),
    "scrub_useful": ((), "recovered of cluster less that of as many inputs at random"),
    "scrub_constant": ((), "outputs without variance, which have no value and no weight"),
}
"""Variable -> (its own dimensions, what it is)."""


@shielded()
def measure(
    ds: xarray.Dataset, *, overlap: float = hypotheses.OVERLAP, blocks: int = BLOCKS
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Return every variable of `VARIABLES`: variable -> (dimensions, values).

    Values are over the sweep's dimensions.

    Hypotheses are those of `hypotheses.standard_hypotheses`, and subspaces: cluster, read through
    the hidden directions of `hypotheses.subspaces`. Inputs are samples of the distribution that a
    model was trained on, the same draws for all; dropout is off, and random gates are replaced by
    their mean. NaN for models that are missing or not finite, outside a smaller model's shape, and
    for activations that couple the samples of a batch or are user-defined, for a user's sampler
    of the data, and for models with another hidden layer, target or loss.

    Parameters
    ----------
    ds
        Dataset of `jsuper.load` or `jsuper.run`.
    overlap
        Least |cosine| that joins two features in a cluster.
    blocks
        Blocks of 512 pairs of samples, at least 2.
    """
    toy_models.check_whole(ds)
    lead, sizes = tuple(str(d) for d in ds["status"].dims), ds["status"].shape
    own = {"hypothesis": len(HYPOTHESES), "feature": ds.sizes["feature"]}
    flat = {
        name: np.full((ds["status"].size, *(own[d] for d in dims)), np.nan, ds["W"].dtype)
        for name, (dims, _) in VARIABLES.items()
    }
    for places, models in toy_models.groups(ds):
        for rows, some, gated, coupled in _by_program(models):
            found = _of_models(some, gated, coupled, overlap, blocks)
            for name, values in found.items():
                inner = tuple(slice(s) for s in values.shape[1:])  # a smaller model has less
                flat[name][(places[rows], *inner)] = values
    return {
        k: ((*lead, *VARIABLES[k][0]), v.reshape((*sizes, *v.shape[1:]))) for k, v in flat.items()
    }


def left_out(ds: xarray.Dataset) -> list[str]:
    """Return the activations that cannot be scrubbed, all of them for a user's sampler.

    Models with another hidden layer, target or loss are named as such.
    """
    sweep = json.loads(ds.attrs["sweep"])
    labels = toy_models.activation_labels(sweep)
    names = map(str, np.atleast_1d(ds["activation"].values))
    kinds = {architecture_of(json.loads(k)) for k in toy_models.networks(ds, sweep).tolist()}
    others = [k for k in kinds if not k.is_plain_after_training]
    found = [a for a in names if sweep.get("inputs") or not _scrubs(labels.get(a, a))]
    return found + ["models with another hidden layer, target or loss"] * bool(others)


def _scrubs(activation: str) -> bool:
    """Return whether an output is a known function of its sample alone."""
    if not toy_models.registered(activation):
        return False
    return is_gated(activation) or not couples_batch(activation)


def _by_program(models: Models) -> Iterator[tuple[np.ndarray, Models, bool, bool]]:
    """Yield models that one program scrubs: rows, models, and whether gated and coupled."""
    if models.sampled is not None or not models.net.is_plain_after_training:
        return  # a run folder does not hold its samples; hypotheses are about h = W x
    kinds = {a: (is_gated(a), couples_features(a)) for a in set(models.activation) if _scrubs(a)}
    for gated, coupled in sorted(set(kinds.values())):
        own = [a for a, kind in kinds.items() if kind == (gated, coupled)]
        rows = np.flatnonzero(np.isin(models.activation, own))
        yield rows, toy_models.select_models(models, rows), gated, coupled


def _of_models(models: Models, gated: bool, coupled: bool, overlap: float, blocks: int) -> Found:
    """Return the variables of models of one kind."""
    names, index = np.unique(models.activation, return_inverse=True)
    second = (models.V, models.c) if gated else (None, None)
    own = None if models.W_dec is None else toy_models.read_by(models)
    parts: Any = (models.W, models.b, *second, own)
    program = partial(
        of_models,
        scrubbed.resamples(blocks, RESAMPLES, 0, models.W.dtype),
        activations=tuple(names.tolist()),
        inputs=models.inputs,
        numbers=models.inputs.numbers(None, models.W.dtype),
        coupled=coupled,
        overlap=overlap,
    )
    arrays = (Params(*jax.tree.map(jnp.asarray, parts)), index.astype(np.int32))
    found = toy_models.in_pieces(program, (*arrays, models.density, models.importance))
    names = [k for k in VARIABLES if k not in ("scrub_interference", "scrub_useful")]
    result = dict(zip(names, found, strict=True))
    recovered = result["scrub_recovered"]
    at = HYPOTHESES.index
    missed = 1 - recovered[:, [at("self")]]
    missed = np.where(missed < LEAST, np.nan, missed)
    result["scrub_interference"] = 1 - (1 - recovered) / missed
    result["scrub_interference"][:, at("none")] = np.nan  # it has not even the own input
    result["scrub_useful"] = recovered[:, at("cluster")] - recovered[:, at("random")]
    return result


@partial(jax.jit, static_argnames=("activations", "inputs", "coupled", "overlap"))
def of_models(
    resampled: jax.Array,
    params: Params,
    activation: jax.Array,
    density: jax.Array,
    importance: jax.Array,
    *,
    activations: tuple[str, ...],
    inputs: Inputs,
    numbers: Numbers,
    coupled: bool,
    overlap: float,
) -> tuple[jax.Array, ...]:
    """Return all but two of `VARIABLES`, in their order, of models (M, ...), one after another.

    `activation` (M,) is an index into `activations`, of which all or none are gated, and all or
    none couple features. `resampled` (resamples, blocks) are the weights of the bootstrap.
    `numbers` are those of the law `inputs`, without a density.
    """
    draws = pair_draws(inputs, params.W.shape[-1], resampled.shape[1], np.uint32(0))
    branches = [resolve(a) for a in activations]

    def one(model: tuple) -> tuple[jax.Array, ...]:
        params, index, density, importance = model
        hypothesis, own = hypotheses_of(params.W, overlap), numbers._replace(density=density)

        def act(z: jax.Array) -> jax.Array:
            return jax.lax.switch(index, branches, z)

        def block(chance: jax.Array, draw: tuple) -> tuple[jax.Array, Moments]:
            x, other, chance = active_pair(inputs, draw, own)
            each = scrubbed.moments(params, act, coupled, hypothesis, x, other)
            return chance, jax.tree.map(lambda a: a.mean(axis=-1), each)

        chance, means = jax.lax.scan(block, jnp.ones((), params.W.dtype), draws)
        means = _averaged(means)
        sizes = _average(hypothesis.inputs.sum(axis=-1).astype(params.W.dtype))
        return _variables(
            means, sizes, scrubbed.at_zero(params, act), chance, importance, resampled
        )

    return jax.lax.map(one, (params, activation, density, importance))


def hypotheses_of(W: jax.Array, overlap: float) -> Hypothesis:
    """Return those of `HYPOTHESES`, with `RANDOM` random ones at the end."""
    n = W.shape[-1]
    group = hypotheses.groups(W, overlap=overlap)
    cluster = hypotheses.same_group(group)
    found = {
        "all": jnp.ones((n, n), bool),
        "self": jnp.eye(n, dtype=bool),
        "antipodal": hypotheses.antipodal(W, overlap=overlap),
        "cluster": cluster,
        "subspaces": cluster,
        "none": jnp.zeros((n, n), bool),
    }
    names = [k for k in HYPOTHESES if k != "random"]
    several = [hypotheses.random_like(cluster, seed) for seed in range(RANDOM)]
    inputs = jnp.stack([*(found[k] for k in names), *several])
    directions, reads = hypotheses.subspaces(W, group)
    split = jnp.arange(len(inputs))[:, None, None] == names.index("subspaces")
    return Hypothesis(inputs, jnp.where(split, directions, jnp.eye(len(W))), reads | ~split)


def _average(a: jax.Array) -> jax.Array:
    """Return (..., K, n) of the hypotheses of `hypotheses_of` as those of `HYPOTHESES`."""
    fixed, random = a[..., :-RANDOM, :], a[..., -RANDOM:, :].mean(axis=-2, keepdims=True)
    at = HYPOTHESES.index("random")
    return jnp.concatenate([fixed[..., :at, :], random, fixed[..., at:, :]], axis=-2)


def _averaged(means: Moments) -> Moments:
    """Return the random hypotheses' moments as one.

    Their mean is that of the fractions recovered.
    """
    return means._replace(
        error_scrubbed=_average(means.error_scrubbed),
        change_square=_average(means.change_square),
        change=_average(means.change),
    )


def _variables(
    blocks: Moments,
    sizes: jax.Array,
    zero: jax.Array,
    chance: jax.Array,
    importance: jax.Array,
    resampled: jax.Array,
) -> tuple[jax.Array, ...]:
    """Return the variables of one model from its moments of every block."""
    mean = jax.tree.map(lambda a: a.mean(axis=0), blocks)
    counted = scrubbed.varying(mean, zero, chance)
    known = (zero, chance, importance, counted)
    totals = scrubbed.summary(mean, *known)
    fraction, _ = scrubbed.interval(blocks, resampled, CONFIDENCE, *known)
    weight = jnp.where(counted, importance * totals.variance, 0)
    inputs = (sizes * weight).sum(axis=-1) / jnp.where(weight.sum() > 0, weight.sum(), jnp.nan)
    constant = (~counted).sum().astype(inputs.dtype)
    return (
        totals.recovered,
        *fraction,
        totals.change,
        totals.loss_recovered,
        inputs,
        totals.recovered_output,
        constant,
    )
