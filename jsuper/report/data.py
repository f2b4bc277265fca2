"""What the page embeds: numbers as base64 of their little-endian bytes, in the page's order."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.core.protocols import Fits, Measures
from jsuper.core.status import OK

if TYPE_CHECKING:
    import xarray

PICTURE_BYTES = 12_000_000  # of weights in a page; 16 MB as base64


def embedded(
    ds: xarray.Dataset,
    family: Measures,
    main_axes: tuple[str, ...],
    fits: Fits | None = None,
) -> dict[str, Any]:
    """The page's data: axes, the family's headlines of every model, three models of every cell.

    All arrays are over (further axes ..., the two main axes, seed). A value of a model that is
    missing or not finite is NaN.

    Parameters
    ----------
    ds
        Of `jsuper.analyze`.
    family
        Its `measures`.
    main_axes
        The dimension down the heatmaps and the one across.
    fits
        None: its fits cannot fail.
    """
    further = [str(d) for d in ds["status"].dims if d not in (*main_axes, "seed")]
    order = (*further, *main_axes, "seed")
    ds = ds.transpose(*order, ...).sortby([d for d in order if ds[d].dtype.kind in "iuf"])
    fine = ds["status"] == OK
    shown = [*family.HEADLINES, *(v for v in (family.RANK,) if v not in family.HEADLINES)]
    values = {k: ds[k].broadcast_like(ds["status"]).where(fine) for k in shown}
    reasons = fits.failed_fits(ds) if fits else {}
    failed = sum((k * models for k, models in enumerate(reasons.values(), 1)), 0 * ds["status"])
    return {
        "axes": [{"name": d, "values": ds[d].values.tolist()} for d in order],
        "status": base64_of(ds["status"].values, "<i1"),
        "reasons": list(reasons),  # of failed fits; 0 in `failed` is none of them
        "failed": base64_of(failed.transpose(*order).values, "<i1"),
        "quality": [k for k in shown if fits is None or k in fits.QUALITY],
        "headlines": list(family.HEADLINES),
        "shown": shown,
        "rank": family.RANK,
        "about": {k: ds[k].attrs.get("description", "") for k in shown},
        "values": {k: base64_of(v.transpose(*order).values, "<f4") for k, v in values.items()},
    } | pictures(ds, values[family.RANK].transpose(*order).values, family.PICTURES)


def pictures(ds: xarray.Dataset, rank: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Arrays of the best, the median and the worst seed of every cell, unless they are too large.

    Parameters
    ----------
    ds
        With the variables `names` over (..., seed, own dimensions); those that it lacks are
        left out.
    rank
        Smaller is better, NaN where left out, (..., seed).
    names
        The variables that the family draws.
    """
    chosen = best_median_worst(rank)
    names = tuple(k for k in names if k in ds)
    size = 4 * chosen.size * sum(ds[k].size // ds["status"].size for k in names)
    found: dict[str, Any] = {"chosen": base64_of(chosen, "<i4"), "pictures": {}}
    if size > PICTURE_BYTES:
        return found | {"without_pictures": f"their arrays would take {size / 1e6:,.0f} MB"}
    for name in names:
        values = ds[name].values
        seeds = chosen.clip(0).reshape(*chosen.shape, *[1] * (values.ndim - chosen.ndim))
        taken = np.take_along_axis(values, seeds, axis=chosen.ndim - 1)
        shape = list(values.shape[chosen.ndim :])
        found["pictures"][name] = {"shape": shape, "values": base64_of(taken, "<f4")}
    return found


def best_median_worst(rank: np.ndarray) -> np.ndarray:
    """Positions of the smallest, the (lower) median and the largest value: (..., 3); -1 for none.

    NaNs do not count.
    """
    order = np.argsort(rank, axis=-1, kind="stable")  # NaN comes last
    count = (~np.isnan(rank)).sum(axis=-1, keepdims=True)
    places = np.concatenate([0 * count, (count - 1) // 2, count - 1], axis=-1)
    chosen = np.take_along_axis(order, places.clip(0), axis=-1)
    return np.where(count > 0, chosen, -1)


def base64_of(values: np.ndarray, dtype: str) -> str:
    """Return the bytes of an array, in C order."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode()
