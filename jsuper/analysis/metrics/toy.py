"""Metrics of every model of a sweep of toy models, and what its page shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jsuper.analysis import evaluation, geometry, kurtosis, superposition, theory
from jsuper.analysis.arrays import matmul
from jsuper.analysis.metrics.toy_fits import failed_fits
from jsuper.core.protocols import Direction
from jsuper.core.status import OK
from jsuper.models.toy.activations.names import group_of
from jsuper.models.toy.activations.registry import is_gated
from jsuper.models.toy.inputs.law import Inputs, Numbers
from jsuper.models.toy.inputs.names import DEFAULT_SUPPORT, DEFAULT_VALUES
from jsuper.models.toy.model import Params
from jsuper.training import keys
from jsuper.training.jax_config import shielded

if TYPE_CHECKING:
    import xarray

from jsuper.analysis.metrics.toy_models import (
    Models,
    check_whole,
    groups,
    in_pieces,
    read_by,
    registered,
    select_models,
)

HEADLINES = (
    "loss_over_constant",
    "features_represented",
    "mean_dimensionality",
    "mean_interference",
    "basis_kurtosis",
    "basis_kurtosis_z",
)
DIRECTIONS = {
    "loss_over_constant": Direction("lower is better; 1 is the best constant", "lower", 1.0),
    "loss": Direction("lower is better", "lower"),
    "features_represented": Direction("more than hidden units is superposition", mark="n_hidden"),
    "mean_dimensionality": Direction("1: a dimension each; 1/2: two features share one", mark=1.0),
    "mean_interference": Direction("0: no feature disturbs another", "lower"),
    "basis_kurtosis": Direction("above its null, hidden units are a privileged basis"),
    "basis_kurtosis_z": Direction("0: no privileged basis; beyond 2: rarely by chance", centre=0.0),
}
GROUPS = {"activation": group_of}
RANK = "loss"
PICTURES = ("W", "b", "W_dec", "M", "loss_curve", "W_snapshots")
COLUMNS = 1024  # samples with an active feature, of basis_kurtosis
ROUNDS = 32  # of 1,024 such samples, of the per-feature errors
TOGETHER = 2**18  # numbers of WᵀW at once: 1 MB
COORDINATES_NEEDED = ("activation", "sparsity", "importance_decay", "n_features", "n_hidden")
NEEDS = ("W", "b", "loss", "loss_over_constant", "batch_size", *COORDINATES_NEEDED)
COORDINATES = {"figure": [*geometry.FIGURES, "other"]}
FEATURE, UNIT = ("feature",), ("hidden",)
NO_SAMPLER = "NaN if inputs is a function"
NO_MOMENTS = "NaN for normalized samples, other targets and losses, and if inputs is a function"
MEASURES: dict[str, tuple[tuple[str, ...], str]] = {
    "feature_norm": (FEATURE, "|W_i|"),
    "interference": (FEATURE, "sum over j != i of (unit W_i . W_j)^2"),
    "interference_positive": (FEATURE, "interference of positive overlaps alone"),
    "interference_by_density": (
        FEATURE,
        "interference, j weighted by its density p_j; " + NO_SAMPLER,
    ),
    "dimensionality": (FEATURE, "D_i = |W_i|^2 / sum over j of (unit W_i . W_j)^2, the capacity"),
    "own_weight": (
        FEATURE,
        "(W_dec^T W)_ii, by which x_i moves its own output; |W_i|^2 if tied; W_dec^T M W with a "
        "hidden map",
    ),
    "component": (FEATURE, "smallest feature of i's overlap component; -1: not represented"),
    "feature_error": (
        FEATURE,
        "mean of (y_i - x_hat_i)^2, y the target, x by default; NaN if an activation, the target "
        "or inputs is a function, which a run folder does not hold",
    ),
    "r_squared": (
        FEATURE,
        "1 - feature_error / Var(x_i), which is p/3 - p^2/4 by default; NaN for normalized "
        "samples, other targets and losses, and if feature_error is NaN",
    ),
    "neuron_monosemanticity": (UNIT, "largest |W_ki| of unit k over their sum"),
    "neuron_kurtosis": (
        UNIT,
        "Pearson's kurtosis of the unit, (W x)_k, over all samples, exact; NaN unless features are "
        "independent with values uniform on [0, 1]; " + NO_SAMPLER,
    ),
    "participation_ratio": (UNIT, "sum of W_ki^4 / (sum of W_ki^2)^2"),
    "figures": (("figure",), "overlap components of this form"),
    "features_represented": (
        (),
        "features with |W_i| > 1/2, whatever reads them; not informative where W is fixed or its "
        "columns have length 1",
    ),
    "excess": ((), "features represented beyond n_hidden"),
    "dimensions_per_feature": ((), "n_hidden / |W|_F^2"),
    "mean_dimensionality": ((), "mean of D_i over represented features"),
    "mean_interference": ((), "mean of interference over represented features"),
    "crosstalk": (
        (),
        "sum over i != j of (W_dec^T W)_ij^2 / sum of (W_dec^T W)_ii^2; W for W_dec if tied; "
        "W_dec^T M W with a hidden map",
    ),
    "coherence": ((), "largest |cosine| of two represented features"),
    "mean_squared_overlap": ((), "mean cosine^2 of two represented features"),
    "welch_bound": ((), "the least mean_squared_overlap of as many features"),
    "antipodal_pairs": ((), "pairs of represented features with cosine < -0.9"),
    "effective_rank": ((), "exp of the entropy of W's singular values"),
    "importance_rank_correlation": ((), "Spearman's, of |W_i| with importance_i"),
    "basis_kurtosis": (
        (),
        "kurtosis across hidden units, W x before bias and activation, mean over samples with "
        "non-zero W x; "
        "3 (m-1)/(m+1) without a privileged basis; " + NO_SAMPLER,
    ),
    "basis_kurtosis_samples": ((), "samples that basis_kurtosis is the mean of; " + NO_SAMPLER),
    "basis_kurtosis_null": ((), "3 (m-1)/(m+1): Gaussian coordinates"),
    "basis_kurtosis_rotated": ((), "basis_kurtosis, mean over 100 rotations of W; " + NO_SAMPLER),
    "basis_kurtosis_z": (
        (),
        "(basis_kurtosis - mean) / sd over 100 rotations; no z for m <= 3; " + NO_SAMPLER,
    ),
    "mean_participation_ratio": ((), "mean of participation_ratio over units"),
    "participation_rotated": ((), "mean_participation_ratio, mean over 100 rotations of W"),
    "participation_z": ((), "mean_participation_ratio against 100 rotations; no z for m <= 3"),
    "alignment": ((), "mean over features of the largest W_ki^2 / |W_i|^2"),
    "alignment_rotated": ((), "alignment, mean over 100 rotations of W"),
    "alignment_z": ((), "alignment against 100 rotations of W; no z for m <= 3"),
    "loss_over_zero": ((), "loss over that of predicting 0; " + NO_MOMENTS),
    "loss_over_top": ((), "loss over that of the best model without superposition; " + NO_MOMENTS),
    "gain": ((), "1 - loss_over_top: what superposition gains; " + NO_MOMENTS),
    "failed_fit": (
        (),
        "1: the loss is above the best constant's, or it fell by more than 10 % and 3 standard "
        "errors over the last 10 % of the steps, if that was measured; 0: neither",
    ),
}
"""Variable -> (its own dimensions, what it is)."""

OF_LOSSES = ("loss_over_zero", "loss_over_top", "gain")
OF_SAMPLES = ("feature_error", "r_squared")
OF_ROTATIONS = ("basis_kurtosis_samples", "basis_kurtosis_null", "mean_participation_ratio")
OF_ROTATIONS += ("basis_kurtosis", "basis_kurtosis_rotated", "basis_kurtosis_z")
OF_ROTATIONS += ("participation_rotated", "participation_z")
OF_ROTATIONS += ("alignment", "alignment_rotated", "alignment_z")
OF_OTHERS = tuple(n for n in MEASURES if n not in {*OF_LOSSES, *OF_SAMPLES, *OF_ROTATIONS})
PARTS = OF_OTHERS, OF_LOSSES, OF_SAMPLES, OF_ROTATIONS  # measures that are computed together

Found = dict[str, np.ndarray]


def measure(ds: xarray.Dataset) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Return every measure of `MEASURES`: variable -> (dimensions, values)."""
    return measure_some(ds, MEASURES)


@shielded()
def measure_some(
    ds: xarray.Dataset, names: Collection[str]
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Return the measures of some names: variable -> (dimensions, values).

    Values are over the sweep's dimensions.

    NaN (component: -1) for models that are missing or not finite, and outside a smaller model's
    shape. The error per feature is NaN for user-defined activations, which a run folder does not
    hold, and every measure of the data for a user's sampler.
    """
    check_whole(ds)
    lead = tuple(str(d) for d in ds["status"].dims)
    own = {"feature": ds.sizes["feature"], "hidden": ds.sizes["hidden"]}
    own["figure"] = geometry.OTHER + 1
    count, dtype = ds["status"].size, ds["W"].dtype
    flat = {
        name: np.full((count, *(own[d] for d in dims)), np.nan, dtype)
        for name, (dims, _) in MEASURES.items()
        if name in names
    }
    if "component" in flat:
        flat["component"] = np.full((count, own["feature"]), -1, np.int32)
    if "failed_fit" in flat:
        failed = np.logical_or.reduce([reason.values for reason in failed_fits(ds).values()])
        flat["failed_fit"][:] = np.where(ds["status"] == OK, failed, np.nan).ravel()
    for places, models in groups(ds):
        m, n = models.W.shape[1:]
        inner = {"feature": n, "hidden": m, "figure": own["figure"]}
        for step in steps_for(names):
            for name, values in step(models).items():
                if name not in flat:
                    continue
                within = tuple(slice(inner[d]) for d in MEASURES[name][0])
                flat[name][(places, *within)] = values
    sizes = ds["status"].shape
    return {
        k: ((*lead, *MEASURES[k][0]), v.reshape((*sizes, *v.shape[1:]))) for k, v in flat.items()
    }


def steps_for(names: Collection[str]) -> list[Callable[[Models], Found]]:
    """Return the functions that compute these measures, and few others."""
    steps = {OF_LOSSES: of_losses, OF_SAMPLES: of_samples, OF_ROTATIONS: of_rotations}
    needed = [step for some, step in steps.items() if not set(some).isdisjoint(names)]
    of_others = set(OF_OTHERS) - {"failed_fit"}
    return needed if of_others.isdisjoint(names) else [in_chunks(of_weights), *needed]


def in_chunks(metrics: Callable[[Models], Found]) -> Callable[[Models], Found]:
    """Return the same metrics, computed on so few models at a time that WᵀW stays in the cache."""

    def chunked(models: Models) -> Found:
        size = max(1, TOGETHER // models.W.shape[-1] ** 2)
        starts = range(0, len(models.W), size)
        parts = [metrics(select_models(models, slice(i, i + size))) for i in starts]
        return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}

    return chunked


def of_weights(models: Models) -> Found:
    """Return metrics of W, also weighted by density and importance."""
    W = models.W
    weighted = np.full((len(W), W.shape[-1]), np.nan, W.dtype)
    if models.sampled is None:
        weighted = superposition.interference(W, density=models.density)
    return {
        **of_matrices(W, through_map(models)),
        "interference_by_density": weighted,
        "neuron_kurtosis": neuron_kurtosis(models),
        "importance_rank_correlation": superposition.importance_rank_correlation(
            W, models.importance
        ),
    }


def through_map(models: Models) -> np.ndarray:
    """Return what the output reads h = f(W x) with, before a hidden map: Mᵀ W_dec."""
    read = read_by(models)
    return read if models.M is None else np.matmul(models.M.swapaxes(-2, -1), read)


def neuron_kurtosis(models: Models) -> np.ndarray:
    """Return the exact kurtosis of every unit, NaN unless features are independent and uniform."""
    independent = models.support[0] in (DEFAULT_SUPPORT, "shared") and models.has_moments
    if models.values[0] != DEFAULT_VALUES or not independent:
        return np.full(models.W.shape[:2], np.nan, models.W.dtype)
    return kurtosis.exact_neuron_kurtosis(models.W, models.density)


def of_matrices(W: np.ndarray, read: np.ndarray) -> Found:
    """Return what the weights alone show, whatever the model was trained on.

    Parameters
    ----------
    W
        Weights, (M, n_hidden, n_features).
    read
        What the output reads the hidden units with, of W's shape: W_dec, or W if tied.
    """
    norms, D = superposition.feature_norms(W), superposition.dimensionality(W)
    disturbed, kept = superposition.interference(W), norms > superposition.REPRESENTED
    number = superposition.features_represented(W)
    n, m = W.shape[-1], W.shape[-2]
    bounds = np.array([theory.welch_bound(max(k, 1), m) for k in range(n + 1)])
    return {
        "feature_norm": norms,
        "interference": disturbed,
        "interference_positive": superposition.interference(W, part="positive"),
        "dimensionality": D,
        "own_weight": (read * W).sum(axis=-2),
        "component": geometry.geometry(W).component,
        "neuron_monosemanticity": superposition.neuron_monosemanticity(W),
        "participation_ratio": kurtosis.participation_ratio(W),
        "figures": geometry.figures(W),
        "features_represented": number,
        "excess": superposition.excess(W),
        "dimensions_per_feature": superposition.dimensions_per_feature(W),
        "mean_dimensionality": _mean_kept(D, kept),
        "mean_interference": _mean_kept(disturbed, kept),
        "crosstalk": superposition.crosstalk(W, read),
        "coherence": geometry.coherence(W),
        "mean_squared_overlap": geometry.mean_squared_overlap(W),
        "welch_bound": bounds[number.astype(int)],
        "antipodal_pairs": geometry.antipodal_pairs(W),
        "effective_rank": superposition.effective_rank(W),
    }


def _mean_kept(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return the mean of the kept values along the last axis; NaN if none is kept."""
    number = kept.sum(axis=-1)
    mean = np.where(kept, values, 0).sum(axis=-1) / np.maximum(number, 1)
    return np.where(number == 0, np.nan, mean)


def of_losses(models: Models) -> Found:
    """Return the stored loss over those of models without superposition."""
    if not models.has_moments:
        unknown = np.full_like(models.loss, np.nan)
        return dict.fromkeys(("loss_over_zero", "loss_over_top", "gain"), unknown)
    numbers = models.loss, models.density, models.importance, models.W.shape[-2]
    relative = evaluation.relative_loss(*numbers, values=str(models.values[0]))
    return {
        "loss_over_zero": relative.over_zero,
        "loss_over_top": relative.over_top,
        "gain": relative.gain,
    }


def of_samples(models: Models) -> Found:
    """Return metrics that need inputs: the error per feature."""
    errors = np.full(models.b.shape, np.nan, models.b.dtype)
    if models.sampled is not None or models.has_function:
        return {"feature_error": errors, "r_squared": errors}
    net = dataclasses.replace(models.net, loss_function="squared")
    known = np.array([registered(a) for a in models.activation])
    gated = np.array([is_gated(a) for a in models.activation])
    for size, gate in sorted({*zip(models.batch_size[known].tolist(), gated[known], strict=True)}):
        places = np.flatnonzero(known & (models.batch_size == size) & (gated == gate))
        some = select_models(models, places)
        names, index = np.unique(some.activation, return_inverse=True)
        second = (some.V, some.c) if gate else (None, None)
        own = None if some.W_dec is None else read_by(some)
        params: Any = (some.W, some.b, *second, own, some.b_hidden, some.M)
        found = in_pieces(
            partial(
                evaluation.sparse_errors,
                inputs=models.inputs,
                numbers=models.inputs.numbers(None, models.W.dtype),
                activations=tuple(names.tolist()),
                net=net,
                rounds=ROUNDS,
                batch_size=int(size),
                seed=np.uint32(0),
            ),
            (
                Params(*jax.tree.map(jnp.asarray, params)),
                index.astype(np.int32),
                some.density,
                some.importance,
            ),
        )
        errors[places] = found[2]
    if not models.has_moments:  # the variances have no closed form
        return {"feature_error": errors, "r_squared": np.full_like(errors, np.nan)}
    r_squared = evaluation.r_squared(errors, models.density, values=str(models.values[0]))
    return {"feature_error": errors, "r_squared": r_squared}


def of_rotations(models: Models) -> Found:
    """Return kurtosis and alignment, compared with random rotations of the same model."""
    program = partial(rotated, models.inputs, models.inputs.numbers(None, models.W.dtype))
    value, samples, mean, z = in_pieces(program, (models.W, models.density))
    if models.sampled is not None:  # kurtosis alone depends on the data
        samples = np.full_like(models.loss, np.nan)
        value, mean, z = (np.where(np.arange(3) == 0, np.nan, a) for a in (value, mean, z))
    found = {
        "basis_kurtosis_samples": samples,
        "basis_kurtosis_null": np.full(len(z), kurtosis.gaussian_null(models.W.shape[-2])),
    }
    for k, name in enumerate(("basis_kurtosis", "participation", "alignment")):
        own = "mean_participation_ratio" if name == "participation" else name
        found |= {own: value[:, k], f"{name}_rotated": mean[:, k], f"{name}_z": z[:, k]}
    return found


@partial(jax.jit, static_argnums=0)
def rotated(
    inputs: Inputs, numbers: Numbers, W: jax.Array, density: jax.Array
) -> tuple[jax.Array, ...]:
    """Return kurtosis, mean participation ratio and alignment of W (M, m, n) against rotations.

    `numbers` are those of the law, without a density; p is `density`, (M, n).

    Returns
    -------
    tuple
        Value (M, 3), samples (M,), and the rotations' mean (M, 3) and z (M, 3).
    """
    key = keys.stream(keys.seed_key(0), keys.EVALUATION)
    draws = inputs.nonzero_draws(key, W.shape[-1], COLUMNS)

    def one(model: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        W, density = model
        x, _ = inputs.nonzero(draws, numbers._replace(density=density))

        def statistic(W: jax.Array) -> jax.Array:
            basis = kurtosis.basis_kurtosis(matmul(W, x)).value
            shares = kurtosis.participation_ratio(W)
            return jnp.stack([basis, jnp.nanmean(shares), kurtosis.alignment(W)])

        found = kurtosis.against_rotations(statistic, W)
        samples = kurtosis.basis_kurtosis(matmul(W, x)).samples
        return found.value, samples, found.mean, found.z

    return jax.lax.map(one, (W, density))
