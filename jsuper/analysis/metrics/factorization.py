"""Metrics of every model of a sweep of factorizations, and what its page shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import curves
from jsuper.core.protocols import Direction
from jsuper.core.status import OK
from jsuper.training.jax_config import shielded

if TYPE_CHECKING:
    import xarray

HEADLINES = ("loss_over_zero", "loss_half_time", "plateau_ratio", "bumps", "learned", "drops")
DIRECTIONS = {
    "loss_over_zero": Direction("lower is better; 1 is Z = 0", "lower", 1.0),
    "loss": Direction("lower is better", "lower"),
    "plateau_ratio": Direction("near 1: a sudden drop; 0.046: a plain exponential", mark=0.046),
    "learned": Direction("up to the rank of the target", "higher"),
}
RANK = "loss"
PICTURES = ("time", "loss_curve", "alignment")

NEEDED: dict[str, tuple[str, ...]] = {
    "alignment": ("component", "pair", "step"),
    "loss_curve": ("step",),
    "norm_outside": ("side", "step"),
    "strengths": ("component",),
    "time": ("step",),
    "zero_loss": (),
}
NEEDS = tuple(NEEDED)
COORDINATES: dict[str, list] = {}
COMPONENT = ("component",)
HALF = 0.4999  # of the loss of Z = 0: a target that is half out of reach ends at half, by rounding
PROMINENCES = {"bumps_2": 0.02, "bumps": 0.05, "bumps_10": 0.1}
MEASURES: dict[str, tuple[tuple[str, ...], str]] = {
    "half_time": (COMPONENT, "time when u_r^T Z v_r first is s_r/2; infinite where it never is"),
    "rise_width": (COMPONENT, "time from 10 % to 90 % of s_r"),
    "log_slope": (COMPONENT, "d ln(u_r^T Z v_r)/dt between 1 % and 10 % of s_r"),
    "learning_order": (COMPONENT, "component learned first, second, ...; -1: no further one"),
    "learned": ((), "components that have passed half of their strength"),
    "loss_half_time": ((), "time when the loss first is half of that of Z = 0"),
    "plateau_start": ((), "time when the loss first is 90 % of that of Z = 0"),
    "plateau_end": ((), "time when it first is 10 %"),
    "plateau_ratio": ((), "plateau_start / plateau_end; 0.046 for a plain exponential"),
    "drops": ((), "separate drops of the loss, by at least 5 % of that of Z = 0"),
    "decay_time": ((), "time when the squared norm outside the target's space has halved"),
    "bumps_2": ((), "bumps of 2 % of s_r and more"),
    "bumps": ((), "interior maxima of a pair's alignment that stand out by 5 % of s_r and more"),
    "bumps_10": ((), "bumps of 10 % of s_r and more"),
}
"""Variable -> (its own dimensions, what it is)."""


@shielded()
def measure(ds: xarray.Dataset) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Return every measure of `MEASURES`: variable -> (dimensions, values).

    Values are over the sweep's dimensions.

    Times are in units of `time`. NaN (learning_order: -1) for models that are missing or not
    finite, and for components beyond a smaller target's.
    """
    lead = tuple(str(d) for d in ds["status"].dims)
    count, components = ds["status"].size, ds.sizes["component"]
    flat = {
        name: np.full((count, components) if dims else count, np.nan)
        for name, (dims, _) in MEASURES.items()
    }
    flat["learning_order"] = np.full((count, components), -1, np.int32)
    for places, time, models in matching_models(ds):
        rank = int(np.isfinite(models["strengths"][0]).sum())
        for name, values in of_curves(time, models, rank).items():
            within = (places, slice(rank)) if MEASURES[name][0] else places
            flat[name][within] = values
    sizes = ds["status"].shape
    return {
        k: ((*lead, *MEASURES[k][0]), v.reshape((*sizes, *v.shape[1:]))) for k, v in flat.items()
    }


def matching_models(
    ds: xarray.Dataset,
) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
    """Yield positions, times and variables of finished models with equal times and components."""
    lead, status = ds["status"].dims, ds["status"]
    flat = {
        k: ds[k].transpose(*lead, *dims).values.reshape(status.size, *(ds.sizes[d] for d in dims))
        for k, dims in NEEDED.items()
    }
    # of one entry, a distribution is 1 from the start: there is nothing to learn, nor to measure
    fine = np.flatnonzero((status.values.ravel() == OK) & (flat["zero_loss"] > 0))
    known = np.isfinite(flat["strengths"])
    kinds = np.nan_to_num(np.concatenate([flat["time"], known], axis=1)[fine], nan=-1)
    for kind in np.unique(kinds, axis=0) if fine.size else []:
        places = fine[(kinds == kind).all(axis=1)]
        steps = np.isfinite(flat["time"][places[0]])
        models = {
            k: v[places][..., steps] if "step" in NEEDED[k] else v[places] for k, v in flat.items()
        }
        yield places, models["time"][0], models


def of_curves(time: np.ndarray, models: dict[str, np.ndarray], rank: int) -> dict[str, np.ndarray]:
    """Return the measures of models (M, ...) with common times and `rank` components."""
    strengths = models["strengths"][:, :rank].astype(float)
    pairs = np.nan_to_num(models["alignment"][:, :rank].astype(float))  # beyond a model's own: 0
    learned = pairs.sum(axis=2)
    loss, zero_loss = models["loss_curve"], models["zero_loss"]
    order = curves.learning_order(learned, time, strengths)
    plateau = curves.plateau(loss, time, zero_loss)
    outside = models["norm_outside"].sum(axis=1)
    found = {
        "half_time": order.half_time,
        "rise_width": curves.rise_width(learned, time, strengths),
        "log_slope": curves.log_slope(learned, time, strengths),
        "learning_order": order.component,
        "learned": np.isfinite(order.half_time).sum(axis=1),
        "loss_half_time": curves.crossing_time(loss, time, HALF * zero_loss, rising=False),
        "plateau_start": plateau.start,
        "plateau_end": plateau.end,
        "plateau_ratio": plateau.ratio,
        "drops": curves.count_drops(loss, time, zero_loss),
        "decay_time": curves.crossing_time(outside, time, outside[:, 0] / 2, rising=False),
    }
    for name, prominence in PROMINENCES.items():
        counts = curves.count_bumps(pairs, time, strengths[:, :, None], prominence)
        found[name] = counts.sum(axis=(1, 2))
    return found
