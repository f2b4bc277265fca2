"""The data embedded in the page: arrays as base64 of their little-endian bytes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.json_data import JSONObject
from jsuper.core.protocols import Fits, Measures
from jsuper.core.status import Status

if TYPE_CHECKING:
    import xarray

PICTURE_BYTES = 12_000_000  # limit for arrays of single models; 16 MB as base64


def page_data(
    ds: xarray.Dataset,
    family: Measures,
    main_axes: tuple[str, ...],
    fits: Fits | None = None,
) -> JSONObject:
    """Return the data of the page: axes, headline variables, and three models of every cell.

    Arrays have the dimensions (other axes ..., the two main axes, seed). Values of unfinished
    models are NaN.

    Parameters
    ----------
    ds
        Result of `jsuper.analyze`.
    family
        The family's `measures`.
    main_axes
        Dimensions of the rows and of the columns of the heatmaps.
    fits
        The family's `fits`; None if its fits cannot fail.
    """
    further = [str(d) for d in ds["status"].dims if d not in (*main_axes, "seed")]
    order = (*further, *main_axes, "seed")
    ds = ds.transpose(*order, ...).sortby([d for d in order if ds[d].dtype.kind in "iuf"])
    finished = ds["status"] == Status.OK
    shown = [*family.HEADLINES, *(v for v in (family.RANK,) if v not in family.HEADLINES)]
    values = {k: ds[k].broadcast_like(ds["status"]).where(finished) for k in shown}
    reasons = fits.failed_fits(ds) if fits else {}
    failed = sum((k * models for k, models in enumerate(reasons.values(), 1)), 0 * ds["status"])
    return {
        "axes": [{"name": d, "values": ds[d].values.tolist()} for d in order],
        "status": encode_base64(ds["status"].values, "<i1"),
        "reasons": list(reasons),  # `failed` is 0, or 1 + the index of the reason
        "failed": encode_base64(failed.transpose(*order).values, "<i1"),
        "quality": [k for k in shown if fits is None or k in fits.QUALITY],
        "headlines": list(family.HEADLINES),
        "shown": shown,
        "rank": family.RANK,
        "descriptions": {k: ds[k].attrs.get("description", "") for k in shown},
        "values": {k: encode_base64(v.transpose(*order).values, "<f4") for k, v in values.items()},
    } | model_arrays(ds, values[family.RANK].transpose(*order).values, family.PICTURES)


def model_arrays(ds: xarray.Dataset, rank: np.ndarray, names: Sequence[str]) -> JSONObject:
    """Return arrays of the best, median and worst seed of every cell, unless they are too large.

    Parameters
    ----------
    ds
        Dataset with variables over (..., seed, dimensions of one model).
    rank
        Smaller is better, NaN if left out, (..., seed).
    names
        Variables that the family draws; missing ones are skipped.
    """
    chosen = best_median_worst(rank)
    names = tuple(k for k in names if k in ds)
    size = 4 * chosen.size * sum(ds[k].size // ds["status"].size for k in names)
    found: JSONObject = {"chosen": encode_base64(chosen, "<i4"), "pictures": {}}
    if size > PICTURE_BYTES:
        return found | {"without_pictures": f"the weights would take {size / 1e6:,.0f} MB"}
    for name in names:
        values = ds[name].values
        seeds = chosen.clip(0).reshape(*chosen.shape, *[1] * (values.ndim - chosen.ndim))
        taken = np.take_along_axis(values, seeds, axis=chosen.ndim - 1)
        shape = list(values.shape[chosen.ndim :])
        found["pictures"][name] = {"shape": shape, "values": encode_base64(taken, "<f4")}
    return found


def best_median_worst(rank: np.ndarray) -> np.ndarray:
    """Return the positions of the smallest, (lower) median and largest value, ignoring NaN.

    The result has shape (..., 3), with -1 if all values are NaN.
    """
    order = np.argsort(rank, axis=-1, kind="stable")  # NaN comes last
    count = (~np.isnan(rank)).sum(axis=-1, keepdims=True)
    places = np.concatenate([0 * count, (count - 1) // 2, count - 1], axis=-1)
    chosen = np.take_along_axis(order, places.clip(0), axis=-1)
    return np.where(count > 0, chosen, -1)


def encode_base64(values: np.ndarray, dtype: str) -> str:
    """Return the bytes of an array in C order, as base64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode()
