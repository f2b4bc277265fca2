"""Compare the means of paired values, one per seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from jsuper.core.expecting import expect

if TYPE_CHECKING:
    import xarray

from jsuper.analysis.statistics.resampling import (
    EXACT,
    bootstrap_mean,
    check_between,
    check_pairs,
    mean_of,
    permutation_test,
    refuse_infinite,
)


class Comparison(NamedTuple):
    """How much greater a is than b; see `compare`."""

    pairs: int
    dropped: int
    difference: float
    low: float
    high: float
    p: float
    effect: float
    smallest_p: float


class Equivalence(NamedTuple):
    """Whether a and b differ by less than a margin; see `equivalent`."""

    pairs: int
    dropped: int
    difference: float
    low: float
    high: float
    p: float
    equivalent: bool


def compare(
    a: ArrayLike,
    b: ArrayLike,
    *,
    resamples: int = 9999,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Return the mean difference a - b with its interval and a paired permutation test.

    The difference is mean_s(a_s - b_s) over seeds s. p is that of the two-sided sign-flip test,
    over all 2^pairs sign patterns if there are at most `resamples` of them, else over random ones.

    Parameters
    ----------
    a, b
        Values of shape (seeds,), paired; axes of length one are dropped.
    resamples
        Sign patterns and bootstrap samples, at least 99.
    confidence
        Level of the interval, in (0, 1).
    seed
        Seed of the resampling.

    Returns
    -------
    Comparison
        `low` and `high` are the ends of the bias-corrected accelerated (BCa) bootstrap interval, or
        of the percentile interval if BCa is undefined. `p` is in (0, 1], and `smallest_p` is the
        least value it could have: 2^(1 - pairs), or 2 / (resamples + 1). `effect` is Cohen's d_z,
        the mean over the standard deviation of the differences; it is infinite if all differences
        are equal, and NaN if all are 0, when p is 1. `dropped` counts the pairs with a NaN.

    Raises
    ------
    ValueError
        Fewer than 2 pairs without a NaN, an infinite value, shapes that differ, or an argument out
        of range.

    References
    ----------
    Efron (1987), "Better bootstrap confidence intervals".
    Fisher (1935), "The Design of Experiments", for the sign-flip test.
    """
    difference, dropped = _differences(a, b)
    check_between("confidence", confidence, 0, 1)
    check_between("resamples", resamples, 98, np.inf)
    mean, spread = float(difference.mean()), float(difference.std(ddof=1))
    if spread == 0:
        low, high, effect = mean, mean, np.copysign(np.inf, mean) if mean else np.nan
    else:
        low, high = bootstrap_mean(difference, resamples, confidence, seed)
        effect = mean / spread
    _, p = permutation_test(difference, mean_of, "samples", resamples, seed)
    pairs = len(difference)
    smallest = 2.0 ** (1 - pairs) if 2**pairs <= resamples else 2 / (resamples + 1)
    return Comparison(pairs, dropped, mean, low, high, p, float(effect), smallest)


def summarize(
    values: xarray.DataArray, over: str = "seed", *, confidence: float = 0.95, seed: int = 0
) -> xarray.Dataset:
    """Return the mean, median and interval of the mean along one dimension.

    NaN, the value of diverged models, is left out and counted.

    Parameters
    ----------
    values
        A variable with one value per model, e.g. `ds.loss`.
    over
        The dimension of the replicates; it is absent from the result.
    confidence
        Level of the interval, in (0, 1).
    seed
        Seed of the bootstrap.

    Returns
    -------
    xarray.Dataset
        `mean`, `median`, `low`, `high` and `count` (values that are not NaN). `low` and `high` are
        the ends of the BCa bootstrap interval of the mean, or of the percentile interval if BCa is
        undefined; NaN where fewer than two values are left.

    Raises
    ------
    TypeError
        `values` is not a DataArray.
    ValueError
        `values` lacks the dimension or holds an infinite value, or `confidence` is out of range.

    References
    ----------
    Efron (1987), "Better bootstrap confidence intervals".
    """
    import xarray as xr

    example = "statistics.summarize(ds.loss, 'seed')"
    expect("values", values, xr.DataArray, "a variable of a Dataset", example)
    if over not in values.dims:
        dims = ", ".join(map(str, values.dims))
        raise ValueError(f"over={over!r} is not a dimension of values; it has {dims}")
    check_between("confidence", confidence, 0, 1)
    refuse_infinite("values", values.values)

    def cell(row: np.ndarray) -> tuple[float, ...]:
        known = row[~np.isnan(row)].astype(float)
        if not known.size:
            return np.nan, np.nan, np.nan, np.nan, 0
        mean, median = known.mean(), np.median(known)
        if known.size < 2:
            return mean, median, np.nan, np.nan, 1
        if np.ptp(known) == 0:
            return mean, median, mean, mean, known.size
        return mean, median, *bootstrap_mean(known, 9999, confidence, seed), known.size

    found = xr.apply_ufunc(
        cell, values, input_core_dims=[[over]], output_core_dims=[[]] * 5, vectorize=True
    )
    names = ("mean", "median", "low", "high", "count")
    ds = xr.Dataset(dict(zip(names, found, strict=True)))
    return ds.assign(count=ds["count"].astype(int))


def equivalent(
    a: ArrayLike, b: ArrayLike, margin: float, *, confidence: float = 0.95
) -> Equivalence:
    """Return whether the mean of a - b lies within ±margin, by two one-sided paired t tests.

    Parameters
    ----------
    a, b
        Values of shape (seeds,), paired; axes of length one are dropped.
    margin
        Smallest difference that matters, > 0, in the unit of a.
    confidence
        1 - α, in (0.5, 1).

    Returns
    -------
    Equivalence
        `p` in [0, 1] is the larger p of the tests of mean <= -margin and of mean >= margin.
        `equivalent` is p < α. `low` and `high` are the ends of the interval of level 1 - 2α, which
        lies within the margins exactly if p < α. Differences that are all equal count as exact.

    Raises
    ------
    ValueError
        Fewer than 2 pairs without a NaN, an infinite value, shapes that differ, or an argument out
        of range.

    References
    ----------
    Schuirmann (1987), "A comparison of the two one-sided tests procedure".
    Lakens (2017), "Equivalence tests".
    """
    difference, dropped = _differences(a, b)
    check_between("margin", margin, 0, np.inf)
    check_between("confidence", confidence, 0.5, 1)
    n = len(difference)
    mean, error = float(difference.mean()), float(difference.std(ddof=1)) / n**0.5
    if error == 0:
        p = 0.0 if abs(mean) < margin else 1.0
    else:
        p = float(stdtr(n - 1, (abs(mean) - margin) / error))
    half = float(stdtrit(n - 1, confidence)) * error
    return Equivalence(n, dropped, mean, mean - half, mean + half, p, p < 1 - confidence)


def _differences(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, int]:
    """Return a - b without NaN, and how many pairs were dropped.

    Differences that are equal or 0 up to rounding are made exactly so.
    """
    a, b, dropped = check_pairs(a, b)
    difference = a - b
    rounding = EXACT * max(np.abs(a).max(), np.abs(b).max())
    difference[np.abs(difference) <= rounding] = 0
    if np.ptp(difference) <= rounding:
        difference[:] = difference[0]
    return difference, dropped
