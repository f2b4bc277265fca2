"""What is measured on every model of a sweep of toy models, and what its page shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jsuper.analysis import evaluation, geometry, kurtosis, superposition, theory
from jsuper.analysis.arrays import matmul
from jsuper.analysis.metrics.toy_fits import failed_fits
from jsuper.core.status import OK
from jsuper.engine.devices import cores
from jsuper.models.toy.activations.names import canonical_activation
from jsuper.models.toy.activations.registry import is_gated
from jsuper.models.toy.inputs.features import nonzero_draws, nonzero_features
from jsuper.models.toy.model import Params
from jsuper.training import keys
from jsuper.training.jax_config import shielded

if TYPE_CHECKING:
    import xarray

HEADLINES = (
    "loss_over_constant",
    "features_represented",
    "mean_dimensionality",
    "mean_interference",
    "basis_kurtosis",
    "basis_kurtosis_z",
)
RANK = "loss"
PICTURES = ("W", "b", "W_dec")

COLUMNS = 1024  # samples with an active feature, of basis_kurtosis
ROUNDS = 32  # of 1,024 such samples, of the per-feature errors
TOGETHER = 2**18  # numbers of WᵀW at once: 1 MB
LARGEST_PIECE = 1024  # models of one call

COORDINATES_NEEDED = ("activation", "sparsity", "importance_decay", "n_features", "n_hidden")
NEEDS = ("W", "b", "loss", "loss_over_constant", "batch_size", *COORDINATES_NEEDED)
COORDINATES = {"figure": [*geometry.FIGURES, "other"]}
FEATURE, UNIT = ("feature",), ("hidden",)
MEASURES: dict[str, tuple[tuple[str, ...], str]] = {
    "feature_norm": (FEATURE, "|W_i|"),
    "interference": (FEATURE, "sum over j != i of (unit W_i . W_j)^2"),
    "interference_positive": (FEATURE, "interference of positive overlaps alone"),
    "interference_by_density": (FEATURE, "interference, j weighted by its density p_j"),
    "dimensionality": (FEATURE, "D_i = |W_i|^2 / sum over j of (unit W_i . W_j)^2, the capacity"),
    "own_weight": (FEATURE, "(W_dec^T W)_ii, by which x_i moves its own output; |W_i|^2 if tied"),
    "component": (FEATURE, "smallest feature of i's overlap component; -1: not represented"),
    "feature_error": (FEATURE, "mean of (x_i - x_hat_i)^2"),
    "r_squared": (FEATURE, "1 - feature_error / (p/3 - p^2/4)"),
    "neuron_monosemanticity": (UNIT, "largest |W_ki| of unit k over their sum"),
    "neuron_kurtosis": (UNIT, "Pearson's kurtosis of the unit over all samples, exact"),
    "participation_ratio": (UNIT, "sum of W_ki^4 / (sum of W_ki^2)^2"),
    "figures": (("figure",), "overlap components of this form"),
    "features_represented": ((), "features with |W_i| > 1/2"),
    "excess": ((), "features represented beyond n_hidden"),
    "dimensions_per_feature": ((), "n_hidden / |W|_F^2"),
    "mean_dimensionality": ((), "mean of D_i over represented features"),
    "mean_interference": ((), "mean of interference over represented features"),
    "crosstalk": (
        (),
        "sum over i != j of (W_dec^T W)_ij^2 / sum of (W_dec^T W)_ii^2; W for W_dec if tied",
    ),
    "coherence": ((), "largest |cosine| of two represented features"),
    "mean_squared_overlap": ((), "mean cosine^2 of two represented features"),
    "welch_bound": ((), "the least mean_squared_overlap of as many features"),
    "antipodal_pairs": ((), "pairs of represented features with cosine < -0.9"),
    "effective_rank": ((), "exp of the entropy of W's singular values"),
    "importance_rank_correlation": ((), "Spearman's, of |W_i| with importance_i"),
    "basis_kurtosis": (
        (),
        "kurtosis across hidden units, mean over samples with non-zero h; "
        "3 (m-1)/(m+1) without a privileged basis",
    ),
    "basis_kurtosis_samples": ((), "samples that basis_kurtosis is the mean of"),
    "basis_kurtosis_null": ((), "3 (m-1)/(m+1): Gaussian coordinates"),
    "basis_kurtosis_rotated": ((), "basis_kurtosis, mean over 100 rotations of W"),
    "basis_kurtosis_z": ((), "(basis_kurtosis - mean) / sd over 100 rotations; no z for m <= 3"),
    "mean_participation_ratio": ((), "mean of participation_ratio over units"),
    "participation_rotated": ((), "mean_participation_ratio, mean over 100 rotations of W"),
    "participation_z": ((), "mean_participation_ratio against 100 rotations; no z for m <= 3"),
    "alignment": ((), "mean over features of the largest W_ki^2 / |W_i|^2"),
    "alignment_rotated": ((), "alignment, mean over 100 rotations of W"),
    "alignment_z": ((), "alignment against 100 rotations of W; no z for m <= 3"),
    "loss_over_zero": ((), "loss over that of predicting 0"),
    "loss_over_top": ((), "loss over that of the best model without superposition"),
    "gain": ((), "1 - loss_over_top: what superposition gains"),
    "failed_fit": (
        (),
        "1: the loss is above the best constant's, or it fell by more than 10 % and 3 standard "
        "errors over the last 10 % of the steps, if that was measured; 0: neither",
    ),
}
"""Variable -> (its own dimensions, what it is)."""


Found = dict[str, np.ndarray]


class Models(NamedTuple):
    """Models of one shape and what they were trained with; M of them."""

    W: np.ndarray  # (M, m, n)
    b: np.ndarray  # (M, n)
    V: Any  # (M, m, n), NaN for models without a second matrix; None: no model has one
    c: Any  # (M, n)
    loss: np.ndarray  # (M,)
    density: np.ndarray  # (M, n)
    importance: np.ndarray  # (M, n)
    activation: np.ndarray  # (M,) names; name@digest of a user's function
    batch_size: np.ndarray  # (M,)
    W_dec: Any = None  # (M, m, n), NaN for models with tied weights; None: all have them


@shielded()
def measure(ds: xarray.Dataset) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Every measure of `MEASURES` over the sweep's dimensions: variable -> (dimensions, values).

    NaN (component: -1) for models that are missing or not finite, and outside of a smaller model's
    shape. The error per feature is NaN for activations that were functions of the user's, which a
    run folder does not hold.
    """
    check_whole(ds)
    lead = tuple(str(d) for d in ds["status"].dims)
    own = {"feature": ds.sizes["feature"], "hidden": ds.sizes["hidden"]}
    own["figure"] = geometry.OTHER + 1
    count, dtype = ds["status"].size, ds["W"].dtype
    flat = {
        name: np.full((count, *(own[d] for d in dims)), np.nan, dtype)
        for name, (dims, _) in MEASURES.items()
    }
    flat["component"] = np.full((count, own["feature"]), -1, np.int32)
    failed = np.logical_or.reduce([reason.values for reason in failed_fits(ds).values()])
    flat["failed_fit"][:] = np.where(ds["status"] == OK, failed, np.nan).ravel()
    for places, models in groups(ds):
        m, n = models.W.shape[1:]
        inner = {"feature": n, "hidden": m, "figure": own["figure"]}
        for step in (in_chunks(of_weights), of_losses, of_samples, of_rotations):
            for name, values in step(models).items():
                within = tuple(slice(inner[d]) for d in MEASURES[name][0])
                flat[name][(places, *within)] = values
    sizes = ds["status"].shape
    return {
        k: ((*lead, *MEASURES[k][0]), v.reshape((*sizes, *v.shape[1:]))) for k, v in flat.items()
    }


def check_whole(ds: xarray.Dataset) -> None:
    """Every model is there with all of its weights, and is one that was trained.

    Raises
    ------
    ValueError
        A part of the weights was selected, or status is a mean.
    """
    for dim, name in (("hidden", "n_hidden"), ("feature", "n_features")):
        if ds.sizes.get(dim, 0) < ds[name].max():
            raise ValueError(
                f"ds has {ds.sizes.get(dim, 'no')} values of {dim!r}, but its models have {name} "
                f"up to {int(ds[name].max())}; analyse whole models, and select afterwards"
            )
    if ds["status"].dtype.kind not in "iu":
        raise ValueError(
            "ds.status holds no integers, as after a mean over seeds: that is no model that was "
            "trained; analyse the models, and take the mean of their measures"
        )


def groups(ds: xarray.Dataset) -> Iterator[tuple[np.ndarray, Models]]:
    """Return the sweep's finished models by shape, with their places among all models."""
    sweep, status = json.loads(ds.attrs["sweep"]), ds["status"]
    lead = status.dims

    def flat(name: str, *inner: str) -> np.ndarray:
        values = ds[name].broadcast_like(status).transpose(*lead, *inner).values
        return values.reshape(status.size, *values.shape[len(lead) :])

    W, b, loss = flat("W", "hidden", "feature"), flat("b", "feature"), flat("loss")
    features, units, decays = flat("n_features"), flat("n_hidden"), flat("importance_decay")
    sparsity, batch_size = flat("sparsity"), flat("batch_size")
    labels = activation_labels(sweep)
    activation = np.array([labels.get(a, a) for a in map(str, flat("activation"))])
    V, c = None, None
    if "V" in ds:
        V, c = flat("V", "hidden", "feature"), flat("c", "feature")
    W_dec = flat("W_dec", "hidden", "feature") if "W_dec" in ds else None
    fine = flat("status") == OK
    for n, m in sorted({*zip(features.tolist(), units.tolist(), strict=True)}):
        places = np.flatnonzero(fine & (features == n) & (units == m))
        if not places.size:
            continue
        given_S, given_I = sweep.get("feature_sparsity"), sweep.get("importance")
        S = sparsity[places, None] if given_S is None else np.array(given_S)
        importance = decays[places, None] ** np.arange(n) if given_I is None else np.array(given_I)
        shape = (places.size, n)
        yield (
            places,
            Models(
                W=W[places, :m, :n],
                b=b[places, :n],
                V=None if V is None else V[places, :m, :n],
                c=None if c is None else c[places, :n],
                loss=loss[places],
                density=np.broadcast_to(1 - S, shape).astype(W.dtype),
                importance=np.broadcast_to(importance, shape).astype(W.dtype),
                activation=activation[places],
                batch_size=batch_size[places],
                W_dec=None if W_dec is None else W_dec[places, :m, :n],
            ),
        )


def in_chunks(metrics: Callable[[Models], Found]) -> Callable[[Models], Found]:
    """Return the same metrics, of so many models at a time that their WᵀW stay in the cache."""

    def chunked(models: Models) -> Found:
        size = max(1, TOGETHER // models.W.shape[-1] ** 2)
        starts = range(0, len(models.W), size)
        parts = [metrics(take(models, slice(i, i + size))) for i in starts]
        return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}

    return chunked


def take(models: Models, which: slice | np.ndarray) -> Models:
    """Return the models of those rows, with all that belongs to them."""
    return jax.tree.map(lambda a: a[which], models)


def of_weights(models: Models) -> Found:
    """Return what W alone shows, and what density and importance weight."""
    W = models.W
    norms, D = superposition.feature_norms(W), superposition.dimensionality(W)
    disturbed, kept = superposition.interference(W), norms > superposition.REPRESENTED
    number, read = superposition.features_represented(W), read_by(models)
    n, m = W.shape[-1], W.shape[-2]
    bounds = np.array([theory.welch_bound(max(k, 1), m) for k in range(n + 1)])
    return {
        "feature_norm": norms,
        "interference": disturbed,
        "interference_positive": superposition.interference(W, part="positive"),
        "interference_by_density": superposition.interference(W, density=models.density),
        "dimensionality": D,
        "own_weight": (read * W).sum(axis=-2),
        "component": geometry.geometry(W).component,
        "neuron_monosemanticity": superposition.neuron_monosemanticity(W),
        "neuron_kurtosis": kurtosis.exact_neuron_kurtosis(W, models.density),
        "participation_ratio": kurtosis.participation_ratio(W),
        "figures": geometry.figures(W),
        "features_represented": number,
        "excess": superposition.excess(W),
        "dimensions_per_feature": superposition.dimensions_per_feature(W),
        "mean_dimensionality": _mean(D, kept),
        "mean_interference": _mean(disturbed, kept),
        "crosstalk": superposition.crosstalk(W, read),
        "coherence": geometry.coherence(W),
        "mean_squared_overlap": geometry.mean_squared_overlap(W),
        "welch_bound": bounds[number.astype(int)],
        "antipodal_pairs": geometry.antipodal_pairs(W),
        "effective_rank": superposition.effective_rank(W),
        "importance_rank_correlation": superposition.importance_rank_correlation(
            W, models.importance
        ),
    }


def read_by(models: Models) -> np.ndarray:
    """What the output reads the hidden units with: W_dec, or W where the weights are tied."""
    if models.W_dec is None:
        return models.W
    return np.where(np.isnan(models.W_dec), models.W, models.W_dec)


def _mean(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is kept; NaN where nothing is."""
    number = kept.sum(axis=-1)
    mean = np.where(kept, values, 0).sum(axis=-1) / np.maximum(number, 1)
    return np.where(number == 0, np.nan, mean)


def of_losses(models: Models) -> Found:
    """Return the stored loss beside those of models without superposition."""
    relative = evaluation.relative_loss(
        models.loss, models.density, models.importance, models.W.shape[-2]
    )
    return {
        "loss_over_zero": relative.over_zero,
        "loss_over_top": relative.over_top,
        "gain": relative.gain,
    }


def of_samples(models: Models) -> Found:
    """Return what needs inputs: the error per feature."""
    errors = np.full(models.b.shape, np.nan, models.b.dtype)
    known = np.array([registered(a) for a in models.activation])
    gated = np.array([is_gated(a) for a in models.activation])
    for size, gate in sorted({*zip(models.batch_size[known].tolist(), gated[known], strict=True)}):
        places = np.flatnonzero(known & (models.batch_size == size) & (gated == gate))
        some = take(models, places)
        names, index = np.unique(some.activation, return_inverse=True)
        second = (some.V, some.c) if gate else (None, None)
        own = None if some.W_dec is None else read_by(some)
        params: Any = (some.W, some.b, *second, own)
        found = in_pieces(
            partial(
                evaluation.sparse_errors,
                activations=tuple(names.tolist()),
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
    return {"feature_error": errors, "r_squared": evaluation.r_squared(errors, models.density)}


def activation_labels(sweep: dict[str, Any]) -> dict[str, str]:
    """Name of a user's function -> its label name@digest.

    A function may have the name of a registered activation and compute something else.
    """
    labels = sweep.get("activation", [])
    return {label.partition("@")[0]: label for label in labels if "@" in label}


def registered(activation: str) -> bool:
    """Return whether a name is registered; a user's function is not in a run folder."""
    try:
        canonical_activation(activation)
    except ValueError:
        return False
    return True


def of_rotations(models: Models) -> Found:
    """Kurtosis and alignment beside random rotations of the same model."""
    value, samples, mean, z = in_pieces(rotated, (models.W, models.density))
    found = {
        "basis_kurtosis_samples": samples,
        "basis_kurtosis_null": np.full(len(z), kurtosis.gaussian_null(models.W.shape[-2])),
    }
    for k, name in enumerate(("basis_kurtosis", "participation", "alignment")):
        own = "mean_participation_ratio" if name == "participation" else name
        found |= {own: value[:, k], f"{name}_rotated": mean[:, k], f"{name}_z": z[:, k]}
    return found


@jax.jit
def rotated(W: jax.Array, density: jax.Array) -> tuple[jax.Array, ...]:
    """basis_kurtosis, mean participation ratio and alignment of W (M, m, n) against rotations.

    Returns value (M, 3), samples (M,), and the mean (M, 3) and z (M, 3) of the rotations.
    """
    draws = nonzero_draws(keys.stream(keys.seed_key(0), keys.EVALUATION), W.shape[-1], COLUMNS)

    def one(model: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        W, density = model
        x, _ = nonzero_features(draws, density, W.dtype)

        def statistic(W: jax.Array) -> jax.Array:
            basis = kurtosis.basis_kurtosis(matmul(W, x)).value
            shares = kurtosis.participation_ratio(W)
            return jnp.stack([basis, jnp.nanmean(shares), kurtosis.alignment(W)])

        found = kurtosis.against_rotations(statistic, W)
        samples = kurtosis.basis_kurtosis(matmul(W, x)).samples
        return found.value, samples, found.mean, found.z

    return jax.lax.map(one, (W, density))


def in_pieces(
    program: Callable[..., tuple[jax.Array, ...]], arrays: tuple[Any, ...]
) -> tuple[np.ndarray, ...]:
    """A program over models (M, ...), a thread per core; pieces of one size, so one compilation.

    On the CPU wherever there is one: models one after another would starve an accelerator.
    """
    leaves = jax.tree.leaves(arrays)
    models, workers = len(leaves[0]), cores()
    size = max(1, min(LARGEST_PIECE, -(-models // workers)))
    wide, device = leaves[0].dtype == np.float64, _cpu()

    def piece(start: int) -> list[np.ndarray]:
        rows = np.arange(start, start + size).clip(max=models - 1)  # the last one fills up
        with shielded(), jax.enable_x64(wide), jax.default_device(device):
            piece = jax.tree.map(lambda a: a[rows], arrays)
            return [np.asarray(a) for a in program(*piece)]

    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(piece, range(0, models, size)))
    return tuple(np.concatenate(parts)[:models] for parts in zip(*found, strict=True))


def _cpu() -> Any:
    """Return the CPU, or JAX's default device where its CPU backend was switched off."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return None
