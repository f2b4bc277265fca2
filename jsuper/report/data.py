"""The data embedded in the page: arrays as base64 of their little-endian bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.json_data import JSONObject
from jsuper.core.orientation import rows_and_columns
from jsuper.core.protocols import Direction, Fits, Measures
from jsuper.core.status import Status
from jsuper.report.aggregates import aggregate

if TYPE_CHECKING:
    import xarray

# Limits in bytes; base64 takes a third more.
PICTURE_BYTES = 4_000_000  # of the arrays of three models of every cell
SEED_BYTES = 1_500_000  # of the headlines of every seed
CURVE_BYTES = 200_000  # of records of steps, beyond which some are left out
FEWEST_RECORDS = 40
OF_STEPS = ("step", "snapshot_step")


def page_data(
    ds: xarray.Dataset,
    family: Measures,
    main_axes: tuple[str, ...],
    fits: Fits | None = None,
) -> JSONObject:
    """Return the data of the page: axes, headline variables, and three models of every cell.

    Statistics of a cell have the dimensions (other axes ..., rows, columns); failed fits count
    only in variables that say how good a fit is. Arrays of seeds and models have the dimensions
    (other axes ..., rows, columns, seed). Values of unfinished models are NaN.

    Parameters
    ----------
    ds
        Result of `jsuper.analyze`.
    family
        The family's `measures`.
    main_axes
        The family's; see `rows_and_columns`.
    fits
        The family's `fits`; None if its fits cannot fail.
    """
    axes = {str(d): ds[d].values.tolist() for d in ds["status"].dims if d != "seed"}
    shown_axes = rows_and_columns(axes, main_axes)
    order = (*(d for d in axes if d not in shown_axes), *shown_axes, "seed")
    ds = ds.transpose(*order, ...).sortby([d for d in order if ds[d].dtype.kind in "iuf"])
    finished = ds["status"] == Status.OK
    shown = [*family.HEADLINES, *(v for v in (family.RANK,) if v not in family.HEADLINES)]
    values = {k: ds[k].broadcast_like(ds["status"]).where(finished) for k in shown}
    reasons = fits.failed_fits(ds) if fits else {}
    failed = sum((k * models for k, models in enumerate(reasons.values(), 1)), 0 * ds["status"])
    quality = [k for k in shown if fits is None or k in fits.QUALITY]
    arrays = {k: v.transpose(*order).values for k, v in values.items()}
    fitted = failed.transpose(*order).values == 0
    aggregates = {
        k: aggregate(v if k in quality else np.where(fitted, v, np.nan)) for k, v in arrays.items()
    }
    return {
        "axes": [{"name": d, "values": ds[d].values.tolist()} for d in order],
        "status": encode_base64(ds["status"].values, "<i1"),
        "reasons": list(reasons),  # `failed` is 0, or 1 + the index of the reason
        "failed": encode_base64(failed.transpose(*order).values, "<i1"),
        "quality": quality,
        "headlines": list(family.HEADLINES),
        "shown": shown,
        "rank": family.RANK,
        **_words(ds, family, shown, order),
        "aggregates": {
            k: {kind: encode_base64(v, "<f4") for kind, v in found.items()}
            for k, found in aggregates.items()
        },
        **seed_values(arrays),
        **model_arrays(ds, arrays[family.RANK], family.PICTURES),
    }


def _words(
    ds: xarray.Dataset, family: Measures, shown: Sequence[str], order: Sequence[str]
) -> JSONObject:
    """Return how variables are described and read, and the groups of the axes' values."""
    directions = getattr(family, "DIRECTIONS", {})
    groups = getattr(family, "GROUPS", {})
    return {
        "descriptions": {k: ds[k].attrs.get("description", "") for k in shown},
        "directions": {k: _marked(directions[k], ds) for k in shown if k in directions},
        "groups": {
            axis: [group(v) for v in ds[axis].values.tolist()]
            for axis, group in groups.items()
            if axis in order
        },
    }


def _marked(direction: Direction, ds: xarray.Dataset) -> JSONObject:
    """Return a direction with its mark as a number; None if the sweep has several or none."""
    mark = direction.mark
    if isinstance(mark, str):
        value = json.loads(ds.attrs["sweep"]).get(mark)
        values = value if isinstance(value, list) else [value]
        mark = values[0] if len(values) == 1 else None
    return direction._replace(mark=mark)._asdict()


def seed_values(arrays: dict[str, np.ndarray]) -> JSONObject:
    """Return the values of every seed, unless they are too large."""
    size = 4 * sum(v.size for v in arrays.values())
    if size > SEED_BYTES:
        return {"values": {}, "without_seeds": f"they would take {size / 1e6:,.0f} MB"}
    return {"values": {k: encode_base64(v, "<f4") for k, v in arrays.items()}}


def model_arrays(ds: xarray.Dataset, rank: np.ndarray, names: Sequence[str]) -> JSONObject:
    """Return arrays of the best, median and worst seed of every cell, unless they are too large.

    Learning curves and snapshots are left out first.

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
    ds = thinned(ds[[k for k in names if k in ds]].assign(status=ds["status"]), chosen.size)
    names = tuple(k for k in names if k in ds)
    steps = {k: ds[k].values.tolist() for k in OF_STEPS if k in ds.coords}
    found: JSONObject = {"chosen": encode_base64(chosen, "<i4"), "pictures": {}}
    found["coordinates"] = steps
    size = _bytes_of(ds, names, chosen.size)
    if size > PICTURE_BYTES:
        names = tuple(k for k in names if not set(OF_STEPS) & set(ds[k].dims))
        without = size - _bytes_of(ds, names, chosen.size)
        if names and _bytes_of(ds, names, chosen.size) <= PICTURE_BYTES:
            found["without_curves"] = f"they would take {without / 1e6:,.0f} MB"
        else:
            return found | {"without_pictures": f"the weights would take {size / 1e6:,.0f} MB"}
    for name in names:
        values = ds[name].values
        seeds = chosen.clip(0).reshape(*chosen.shape, *[1] * (values.ndim - chosen.ndim))
        taken = np.take_along_axis(values, seeds, axis=chosen.ndim - 1)
        shape = list(values.shape[chosen.ndim :])
        found["pictures"][name] = {"shape": shape, "values": encode_base64(taken, "<f4")}
    return found


def _bytes_of(ds: xarray.Dataset, names: Sequence[str], models: int) -> int:
    """Return the bytes of some variables, for a number of models."""
    return 4 * models * sum(ds[k].size // ds["status"].size for k in names)


def thinned(ds: xarray.Dataset, models: int) -> xarray.Dataset:
    """Return the Dataset with fewer records along `step`, if all would take too many bytes.

    The last record stays, and the others are evenly chosen.
    """
    count = ds.sizes.get("step", 1)
    curves = sum(v.size for v in ds.values() if "step" in v.dims) // ds["status"].size
    most = max(FEWEST_RECORDS, CURVE_BYTES * count // max(4 * models * curves, 1))
    if count <= most:
        return ds
    return ds.isel(step=np.linspace(0, count - 1, most).round().astype(int))


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
