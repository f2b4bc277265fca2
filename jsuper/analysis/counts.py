"""Features that a model represents, counted in three ways, none of which is the only right one.

A failed fit has no count: its columns may be long although it reconstructs nothing. The last two
counts do not change if W and the outputs are measured on another scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.status import OK

if TYPE_CHECKING:
    import xarray

HALF = 0.5


def above_half(ds: xarray.Dataset) -> xarray.DataArray:
    """Return which features have |W_i| > 1/2, the published count."""
    return ds["feature_norm"] > HALF


def near_longest(ds: xarray.Dataset) -> xarray.DataArray:
    """Return which features have a W_i more than half as long as the longest of the model."""
    norm = ds["feature_norm"]
    return (norm > HALF * norm.max("feature")) & (norm > 0)


def explained(ds: xarray.Dataset) -> xarray.DataArray:
    """Return which features have R² > 1/2: more than half of their variance is reconstructed."""
    return ds["r_squared"] > HALF


COUNTS: dict[str, Callable[[xarray.Dataset], xarray.DataArray]] = {
    "|W_i| > 1/2": above_half,
    "|W_i| > half of the longest": near_longest,
    "R² > 1/2": explained,
}
"""Reading -> which features count as represented."""
READINGS = {label: {"count": label} for label in COUNTS}
"""Readings of a finding whose effect takes `count`."""


def represented(ds: xarray.Dataset, count: str, failed: bool = False) -> xarray.DataArray:
    """Return the number of represented features of each model; NaN if it is unknown.

    Parameters
    ----------
    ds
        Dataset of `jsuper.analyze`.
    count
        One of `COUNTS`.
    failed
        Whether failed fits count; by default they are NaN, as unfinished models are.
    """
    number = COUNTS[count](ds).sum("feature")
    measured = "r_squared" if COUNTS[count] is explained else "feature_norm"
    complete = np.isfinite(ds[measured].transpose(..., "feature").values).all(axis=-1)
    lead = [d for d in ds[measured].dims if d != "feature"]
    kept = known(ds, failed).transpose(*lead).values & complete
    return number.transpose(*lead).copy(data=np.where(kept, number.transpose(*lead), np.nan))


def known(ds: xarray.Dataset, failed: bool = False) -> xarray.DataArray:
    """Return which models are finished, and fitted unless failed fits count."""
    status = ds["status"]
    kept = status.values == OK
    if not failed:
        kept = kept & (ds["failed_fit"].transpose(*status.dims).values != 1)
    return status.copy(data=kept)


def excess(ds: xarray.Dataset, count: str, failed: bool = False) -> xarray.DataArray:
    """Return X, the represented features beyond the hidden units; see `represented`."""
    return represented(ds, count, failed) - ds["n_hidden"]
