"""The Hessian of the expected loss of a sweep's models, during and after training."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.analysis import population
from jsuper.analysis.arrays import whole_number
from jsuper.analysis.metrics.toy_models import in_pieces
from jsuper.analysis.population import Kind, Trained
from jsuper.analysis.snapshots import of_snapshots
from jsuper.models.toy.model import Params
from jsuper.training import keys
from jsuper.training.jax_config import shielded

if TYPE_CHECKING:
    import xarray

STEP, ROUNDS, TOLERANCE = 0.01, 64, 0.01
TOGETHER = 8  # perturbed models whose gradients are computed at once

DESCRIPTIONS = {
    "hessian_eigenvalues": "eigenvalues of the Hessian of the loss at W and b, ascending",
    "hessian_largest": "largest eigenvalue of the Hessian",
    "hessian_smallest": "smallest eigenvalue of the Hessian; below 0: the loss falls there",
    "hessian_rank": "eigenvalues of the Hessian above tolerance times the largest magnitude",
    "hessian_trace": "trace of the Hessian",
}


class Spectrum(NamedTuple):
    """Summary of symmetric matrices; every array has their leading axes."""

    eigenvalues: np.ndarray  # (..., d), ascending
    largest: np.ndarray
    smallest: np.ndarray
    rank: np.ndarray  # eigenvalues whose magnitude is above tolerance times the largest
    trace: np.ndarray


def spectrum(H: np.ndarray, tolerance: float = TOLERANCE) -> Spectrum:
    """Return the eigenvalues of symmetric matrices, extreme ones, numerical rank and trace.

    Parameters
    ----------
    H
        Matrices, (..., d, d); those with a number that is not finite give NaN.
    tolerance
        The rank is the number of eigenvalues with |λ_i| > tolerance max_j |λ_j|, in [0, 1).

    Raises
    ------
    ValueError
        H is not square, or the tolerance is out of range.
    """
    H = np.asarray(H, float)
    if H.ndim < 2 or H.shape[-1] != H.shape[-2]:
        raise ValueError(f"H has shape {H.shape}; it is (..., d, d)")
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance={tolerance!r} is not in [0, 1)")
    fine = np.asarray(np.isfinite(H).all(axis=(-2, -1)))
    values = np.linalg.eigvalsh(np.where(fine[..., None, None], H, 0))
    values = np.where(fine[..., None], values, np.nan)
    size = np.abs(values)
    rank = np.where(fine, (size > tolerance * size.max(axis=-1, keepdims=True)).sum(-1), np.nan)
    return Spectrum(values, values[..., -1], values[..., 0], rank, values.sum(axis=-1))


@shielded()
def hessian(
    ds: xarray.Dataset,
    *,
    snapshots: bool | None = None,
    tolerance: float = TOLERANCE,
    step: float = STEP,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> xarray.Dataset:
    """Return the spectrum of the Hessian of every model's expected loss, in float64.

    L is the mean over features of I_i E(x_i - x̂_i)² on the law that the model was trained on,
    dropout off, and its arguments are the weights and biases that are trained. Column j is (∇L(w +
    s e_j) - ∇L(w - s e_j)) / 2s on the same samples for both. A difference counts the samples whose
    ReLU opens within the step; the second derivative of a sample's loss, which is zero there, would
    miss their part of the expected loss's Hessian.

    Parameters
    ----------
    ds
        Dataset of `jsuper.run` or `jsuper.load`, of toy models.
    snapshots
        Whether to measure every snapshot instead of the trained models; by default if the run has
        snapshots.
    tolerance
        The rank is the number of eigenvalues with |λ_i| > tolerance max_j |λ_j|. Sampling and
        differences have errors of this order at kinks.
    step
        s > 0, of the differences: their error is of the order s², and the number of samples that
        open within s must be large.
    rounds
        Rounds of 1,024 stratified samples with an active feature.
    seed
        Seed of the samples, the same for all models.

    Returns
    -------
    xarray.Dataset
        hessian_eigenvalues (eigenvalue), hessian_largest, hessian_smallest, hessian_rank and
        hessian_trace, over the dimensions of the sweep, and snapshot_step. NaN for models that are
        missing or not finite, or of a user's activation or sampler, and beyond a smaller model.

    Raises
    ------
    ValueError
        An argument is out of its range, or the models are not whole.
    SpecError
        The run has no snapshots, or only those of W.
    """
    import xarray as xr

    whole_number("rounds", rounds, 1)
    whole_number("seed", seed, 0)
    if not 0 < step < float("inf"):
        raise ValueError(f"step={step!r} is not a number > 0")
    spectrum(np.zeros((1, 1)), tolerance)
    if snapshots is None:
        snapshots = "W_snapshots" in ds
    ds = of_snapshots(ds) if snapshots else ds
    status = ds["status"]
    found = []
    for places, kind, models in population.by_kind(ds):
        models = jax.tree.map(lambda a: a.astype(np.float64), models)
        program = partial(of_models, kind=kind, rounds=rounds, step=step, seed=np.uint32(seed))
        found.append((places, spectrum(in_pieces(program, tuple(models))[0], tolerance)))
    size = max((one.eigenvalues.shape[-1] for _, one in found), default=0)
    flat = {name: np.full(status.size, np.nan) for name in list(DESCRIPTIONS)[1:]}
    values = np.full((status.size, size), np.nan)
    for places, one in found:
        values[places, : one.eigenvalues.shape[-1]] = one.eigenvalues
        for name, numbers in zip(flat, one[1:], strict=True):
            flat[name][places] = numbers
    data = {"hessian_eigenvalues": ((*status.dims, "eigenvalue"), values)}
    data |= {name: (status.dims, numbers) for name, numbers in flat.items()}
    coords = {k: v for k, v in ds.coords.items() if set(v.dims) <= set(status.dims)}
    return xr.Dataset(
        {
            name: (dims, array.reshape(*status.shape, *array.shape[1:]), {"description": about})
            for (name, about), (dims, array) in zip(
                DESCRIPTIONS.items(), data.values(), strict=True
            )
        },
        coords,
        {"tolerance": tolerance, "step": step, "rounds": rounds, "seed": seed},
    )


@partial(jax.jit, static_argnames=("kind", "rounds"))
def of_models(
    params: Params,
    density: Array,
    importance: Array,
    *,
    kind: Kind,
    rounds: int,
    step: float,
    seed: Array,
) -> tuple[Array]:
    """Return the Hessians of M models, (M, d, d)."""
    loss = population.make_loss(kind)
    sample = population.make_sample(kind, params.W.shape[-1])
    key = keys.stream(keys.seed_key(seed), keys.EVALUATION)

    def one(model: Trained) -> Array:
        start, unravel = population.free_vector(kind, model.params)
        shifts = step * jnp.eye(len(start), dtype=start.dtype)

        def of_round(total: Array, k: Array) -> tuple[Array, None]:
            samples = sample(keys.stream(key, 1, k), model.density)

            def slope(w: Array) -> Array:
                return jax.grad(lambda w: loss(unravel(w), model.importance, samples))(w)

            def column(shift: Array) -> Array:
                return slope(start + shift) - slope(start - shift)

            return total + jax.lax.map(column, shifts, batch_size=TOGETHER), None

        total, _ = jax.lax.scan(of_round, jnp.zeros_like(shifts), jnp.arange(rounds))
        H = total / (2 * step * rounds)
        return (H + H.T) / 2

    return (jax.lax.map(one, Trained(params, density, importance)),)
