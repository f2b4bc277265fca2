"""Plateaus, bumps and decay in sweeps of factorizations: what findings and pictures have in common.

The alignment of pair k with component r is (u_r · a_k)(v_r · b_k). A bump is an interior maximum of
it that stands out by at least 5 % of s_r.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import scipy

from jsuper.analysis.reading import finished_values

if TYPE_CHECKING:
    import xarray

PROMINENCE = 0.05  # of s_r, from which a maximum is a bump
PLATEAU = 0.9  # of a loss, above which the plateau lasts


def of(ds: xarray.Dataset, kind: str, rate: int = 0) -> xarray.Dataset:
    """Return the models of a kind of optimizer, such as "sgd", with one of its learning rates."""
    found = [str(o) for o in ds["optimizer"].values if str(o).startswith(f"{kind}(")]
    return ds.sel(optimizer=sorted(found, key=rate_of)[rate])


def rate_of(optimizer: str) -> float:
    """Return the learning rate in an optimizer's name."""
    return float(optimizer.split("(")[1].rstrip(")"))


def exponential_ratio(ds: xarray.Dataset) -> xarray.DataArray:
    """Return ln(L₀/.9)/ln(L₀/.1), L₀ the loss of the start over the zero model's.

    It is t(90 %)/t(10 %) of an exponential from the same start, whatever its rate.
    """
    start = finished_values(ds, "loss_curve").isel(step=0) / finished_values(ds, "zero_loss")
    return start.copy(data=np.log(start.values / 0.9) / np.log(start.values / 0.1))


def s_ratio(ds: xarray.Dataset) -> xarray.DataArray:
    """Return plateau_ratio over that of an exponential from the same start."""
    return finished_values(ds, "plateau_ratio") / exponential_ratio(ds)


def outside(ds: xarray.Dataset) -> xarray.DataArray:
    """Return ln of the share of the norm outside the target's space that is left.

    The result is (objective, rank, seed, step).
    """
    left = finished_values(ds, "norm_outside", "objective", "rank", "seed", "step", "side")
    left = left.sum("side", skipna=False).squeeze("pairs", drop=True)
    return left.copy(data=np.log((left / left.isel(step=0)).values))


def decay_ratio(ds: xarray.Dataset) -> xarray.DataArray:
    """Return the decay under cross-entropy over that of the squared error, (rank, seed).

    It is the ratio of `outside` at the first record at which half is left under squared error.
    """
    share = outside(ds)
    mean = np.nanmean(share.sel(objective="squared").values, axis=(0, 1))
    at = share.isel(step=int(np.argmax(mean < math.log(0.5))))
    return at.sel(objective="cross_entropy") / at.sel(objective="squared")


def aligned(ds: xarray.Dataset) -> np.ndarray:
    """Return alignments over s_r of one optimizer, rank and number of pairs.

    The result is (seed, component, pair, step).
    """
    dims = ("seed", "component", "pair", "step")
    values = finished_values(ds, "alignment", *dims) / finished_values(ds, "strengths")
    return values.transpose(*dims).values


def peaks(values: np.ndarray) -> np.ndarray:
    """Return where curves (..., step) have a bump, as booleans of the same shape."""
    found = np.zeros(values.shape, bool)
    falls = (np.maximum.accumulate(values, axis=-1) - values).max(axis=-1) >= PROMINENCE
    for place in map(tuple, np.argwhere(falls)):  # others have no bump
        found[place][scipy.signal.find_peaks(values[place], prominence=PROMINENCE)[0]] = True
    return found


def losses_at_bumps(ds: xarray.Dataset, loss: str, when: str) -> list[list[float]]:
    """Return the losses at a seed's bumps, over that of the start or of the zero model.

    A bump is there when it peaks, or when it first is at half of its peak.
    """
    values = aligned(ds)
    curve = finished_values(ds, "loss_curve", "seed", "step").values
    level = curve[:, 0] if loss == "start" else finished_values(ds, "zero_loss", "seed").values
    found: list[list[float]] = [[] for _ in curve]
    for seed, r, k, peak in np.argwhere(peaks(values)):
        rising = values[seed, r, k] >= values[seed, r, k, peak] / 2
        step = peak if when == "peak" else rising.argmax()
        found[seed].append(curve[seed, step] / level[seed])
    return found
