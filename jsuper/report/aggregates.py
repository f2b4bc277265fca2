"""Statistics of every cell over its seeds, and their 95 % intervals."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.special import bdtr, stdtrit  # scipy.stats is slow to import

CONFIDENCE = 0.95


def aggregate(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return statistics over the last axis, ignoring what is not finite.

    - `median`, and the interval of order statistics that holds the true median with at least 95 %
      (David and Nagaraja, "Order Statistics", 2003, section 7.1): from 6 values on.
    - `mean`, and Student's interval x̄ ± t s/√k: from 2 values on that are not all equal.
    - `spread`, the distance between NumPy's linear quartiles: from 2 values on.
    - `defined`, how many values there are.

    Parameters
    ----------
    values
        (..., seed).

    Returns
    -------
    dict of numpy.ndarray
        Name -> (...,), NaN where a statistic is not defined.
    """
    values = np.sort(np.where(np.isfinite(values), values, np.nan), axis=-1)  # NaN comes last
    count = np.isfinite(values).sum(axis=-1)
    first, median, third = (_quantile(values, count, q) for q in (0.25, 0.5, 0.75))
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # cells without a value
        mean = np.nanmean(values, axis=-1)
        error = np.nanstd(values, axis=-1, ddof=1) / np.sqrt(count)
    half = stdtrit(np.maximum(count - 1, 1), (1 + CONFIDENCE) / 2) * error
    half = np.where((count > 1) & (half > 0), half, np.nan)
    low, high = _median_interval(values, count)
    return {
        "median": median, "median_low": low, "median_high": high,
        "mean": mean, "mean_low": mean - half, "mean_high": mean + half,
        "spread": np.where(count > 1, third - first, np.nan), "defined": count,
    }  # fmt: skip


def _quantile(values: np.ndarray, count: np.ndarray, q: float) -> np.ndarray:
    """Return NumPy's linear quantile of sorted values; `numpy.nanquantile` is far slower."""
    place = q * np.maximum(count - 1, 0)
    low = place.astype(int)
    ends = np.stack([low, np.minimum(low + 1, np.maximum(count - 1, 0))], axis=-1)
    below, above = np.moveaxis(np.take_along_axis(values, ends, axis=-1), -1, 0)
    return below + (place - low) * (above - below)


def _median_interval(values: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the medians' intervals of sorted values: places k and n + 1 - k."""
    # The largest k for which fewer than k of n values lie below the median with at most 2.5 %.
    n, cell = np.unique(count, return_inverse=True)
    fewer = bdtr(np.arange(n.max(initial=0) + 1), n[:, None], 0.5) < (1 - CONFIDENCE) / 2
    rank = fewer.sum(axis=-1)[cell].reshape(count.shape)
    known = rank > 0
    places = np.stack([rank - 1, count - rank], axis=-1).clip(0, values.shape[-1] - 1)
    ends = np.take_along_axis(values, places, axis=-1)
    ends = np.where(known[..., None], ends, np.nan)
    return ends[..., 0], ends[..., 1]
