"""Comparisons of results over seeds, with the seed as the replicate.

Values are 1-D, one per seed, and paired by position: models of one seed saw the same draws. Pairs
with a NaN, which diverged models leave, are dropped and counted; infinite values are refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from jsuper.core.expecting import expect, expect_array

if TYPE_CHECKING:
    import xarray

EXACT = 1e-12  # of the largest value: differences that agree to this are rounding
BLOCK = 2**22  # numbers that resampling holds at once


class Comparison(NamedTuple):
    """How much greater a is than b: see `compare`."""

    pairs: int
    dropped: int
    difference: float
    low: float
    high: float
    p: float
    effect: float
    smallest_p: float


class Equivalence(NamedTuple):
    """Whether a and b differ by less than a margin: see `equivalent`."""

    pairs: int
    dropped: int
    difference: float
    low: float
    high: float
    p: float
    equivalent: bool


class RankAgreement(NamedTuple):
    """Spearman's correlation of two rankings: see `rank_agreement`."""

    items: int
    dropped: int
    rho: float
    p: float


class Concordance(NamedTuple):
    """Kendall's coefficient of several rankings: see `concordance`."""

    raters: int
    dropped: int
    W: float
    p: float


def compare(
    a: ArrayLike,
    b: ArrayLike,
    *,
    resamples: int = 9999,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """The mean difference a - b, its interval, and the chance of one so large if only the sign is.

    difference = mean(a_s - b_s) over the seeds s. p in (0, 1] is that of the two-sided sign-flip
    test, over all 2^pairs flips where these are at most `resamples`, else over random ones. The
    smallest value that it can have with so many pairs is smallest_p: 2^(1 - pairs), or
    2 / (resamples + 1). low and high are the bias-corrected accelerated bootstrap's, or the
    percentile bootstrap's where that is not defined. effect is Cohen's d_z, the mean over the
    standard deviation of the differences: infinite where all are alike, NaN where all are 0, and
    then p = 1.

    Parameters
    ----------
    a, b
        (seeds,), paired; axes of length one are left out.
    resamples
        Flips and bootstrap samples, at least 99.
    confidence
        Of the interval, in (0, 1).
    seed
        Of the resampling.

    Raises
    ------
    ValueError
        Fewer than 2 pairs without a NaN, shapes that differ, a value out of its range.

    Source: Efron 1987, "Better bootstrap confidence intervals"; Fisher 1935 for the sign flips.
    """
    difference, dropped = _differences(a, b)
    _check_between("confidence", confidence, 0, 1)
    _check_between("resamples", resamples, 98, np.inf)
    mean, spread = float(difference.mean()), float(difference.std(ddof=1))
    if spread == 0:
        low, high, effect = mean, mean, np.copysign(np.inf, mean) if mean else np.nan
    else:
        low, high = _bootstrap_mean(difference, resamples, confidence, seed)
        effect = mean / spread
    _, p = _permutation(difference, _mean, "samples", resamples, seed)
    pairs = len(difference)
    smallest = 2.0 ** (1 - pairs) if 2**pairs <= resamples else 2 / (resamples + 1)
    return Comparison(pairs, dropped, mean, low, high, p, float(effect), smallest)


def summarize(
    values: xarray.DataArray, over: str = "seed", *, confidence: float = 0.95, seed: int = 0
) -> xarray.Dataset:
    """Mean, median and the mean's confidence interval of every cell, without the dimension `over`.

    Values that are NaN, such as those of diverged models, are left out and counted. low and high
    are the ends of the bias-corrected accelerated bootstrap interval of the mean, or of the
    percentile bootstrap's where that is not defined; NaN for cells with fewer than two values.

    Parameters
    ----------
    values
        A variable with a value per model, e.g. `ds.loss`.
    over
        The dimension of the replicates.
    confidence
        Of the interval, in (0, 1).
    seed
        Of the resampling.

    Returns
    -------
    xarray.Dataset
        Mean, median, low, high and count (of the values that are not NaN).

    Raises
    ------
    TypeError
        `values` is not a DataArray.
    ValueError
        It lacks the dimension, holds an infinite value, or confidence is not in (0, 1).

    Source: Efron 1987, "Better bootstrap confidence intervals".
    """
    import xarray as xr

    example = "statistics.summarize(ds.loss, 'seed')"
    expect("values", values, xr.DataArray, "a variable of a Dataset", example)
    if over not in values.dims:
        dims = ", ".join(map(str, values.dims))
        raise ValueError(f"over={over!r} is not a dimension of values; it has {dims}")
    _check_between("confidence", confidence, 0, 1)
    _refuse_infinite("values", values.values)

    def cell(row: np.ndarray) -> tuple[float, ...]:
        known = row[~np.isnan(row)].astype(float)
        if not known.size:
            return np.nan, np.nan, np.nan, np.nan, 0
        mean, median = known.mean(), np.median(known)
        if known.size < 2:
            return mean, median, np.nan, np.nan, 1
        if np.ptp(known) == 0:
            return mean, median, mean, mean, known.size
        return mean, median, *_bootstrap_mean(known, 9999, confidence, seed), known.size

    found = xr.apply_ufunc(
        cell, values, input_core_dims=[[over]], output_core_dims=[[]] * 5, vectorize=True
    )
    names = ("mean", "median", "low", "high", "count")
    ds = xr.Dataset(dict(zip(names, found, strict=True)))
    return ds.assign(count=ds["count"].astype(int))


def equivalent(
    a: ArrayLike, b: ArrayLike, margin: float, *, confidence: float = 0.95
) -> Equivalence:
    """Return whether the mean of a - b lies within ±margin: two one-sided paired t tests.

    p in [0, 1] is the larger of the tests' of mean <= -margin and mean >= margin. low and high are
    the interval of confidence 1 - 2α, α = 1 - confidence; `equivalent` is p < α, which is where it
    lies within the margins. Differences that are all alike count as known exactly.

    Parameters
    ----------
    a, b
        (seeds,), paired.
    margin
        The least difference that matters, > 0, in the unit of a.
    confidence
        1 - α, in (0.5, 1).

    Raises
    ------
    ValueError
        Fewer than 2 pairs without a NaN, shapes that differ, a value out of its range.

    Source: Schuirmann 1987; Lakens 2017, "Equivalence tests".
    """
    difference, dropped = _differences(a, b)
    _check_between("margin", margin, 0, np.inf)
    _check_between("confidence", confidence, 0.5, 1)
    n = len(difference)
    mean, error = float(difference.mean()), float(difference.std(ddof=1)) / n**0.5
    if error == 0:
        p = 0.0 if abs(mean) < margin else 1.0
    else:
        p = float(stats.t.sf((margin - abs(mean)) / error, n - 1))
    half = float(stats.t.ppf(confidence, n - 1)) * error
    return Equivalence(n, dropped, mean, mean - half, mean + half, p, p < 1 - confidence)


def rank_agreement(
    a: ArrayLike, b: ArrayLike, *, resamples: int = 9999, seed: int = 0
) -> RankAgreement:
    """Spearman's rank correlation of two values per item, ties averaged, and a permutation p.

    rho in [-1, 1] is Pearson's correlation of the ranks. p in (0, 1] is two-sided, over all orders
    of the items where these are at most `resamples` (7 items by default), else over random ones.
    Both are NaN where all values of a or of b are equal, which is no ranking.

    Parameters
    ----------
    a, b
        (items,), paired.
    resamples
        Orders drawn, at least 99.
    seed
        Of the draws.

    Raises
    ------
    ValueError
        Fewer than 2 pairs without a NaN, shapes that differ, too few resamples.
    """
    a, b, dropped = _pairs(a, b)
    _check_between("resamples", resamples, 98, np.inf)
    ranks = [_centred_ranks(a), _centred_ranks(b)]
    size = np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum())
    if size == 0:
        return RankAgreement(len(a), dropped, np.nan, np.nan)

    def correlation(order: np.ndarray, axis: int) -> np.ndarray:
        return (order * ranks[1]).sum(axis=axis) / size

    rho, p = _permutation(ranks[0], correlation, "pairings", resamples, seed)
    return RankAgreement(len(a), dropped, rho, p)


def spearman(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return Spearman's rank correlation along the last axis: (...,), in [-1, 1].

    rho is Pearson's correlation of the ranks, ties averaged. Pairs with a value that is not finite
    are left out. rho is NaN where fewer than 3 pairs are left, or where all values of a or of b are
    equal.

    Parameters
    ----------
    a, b
        (..., items), paired; other axes broadcast.

    Raises
    ------
    ValueError
        The shapes do not broadcast.

    See Also
    --------
    rank_agreement : Adds a permutation test, for one pair of rankings.
    """
    a, b = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float))
    known = np.isfinite(a) & np.isfinite(b)
    x, y = (_centred_ranks(np.where(known, v, np.nan)) for v in (a, b))
    size = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    defined = (known.sum(axis=-1) > 2) & (size > 0)
    return np.where(defined, (x * y).sum(axis=-1) / np.where(defined, size, 1), np.nan)


def concordance(table: ArrayLike) -> Concordance:
    """Kendall's W, how far the raters (rows: seeds) agree in the order of the items (columns).

    W = χ²/(raters (items - 1)) in [0, 1], with Friedman's χ², corrected for ties; 1 where all rows
    have one order, about 1/raters where they have none in common. p is that of χ² with items - 1
    degrees of freedom, which is approximate below about 10 rows. Both are NaN where every row has
    nothing but ties. A row with a NaN is dropped and counted, an item never.

    Parameters
    ----------
    table
        (raters, items), at least 2 by 3.

    Raises
    ------
    ValueError
        Another shape, an infinite value, or fewer than 2 rows without a NaN.

    Source: Kendall and Babington Smith 1939, "The problem of m rankings".
    """
    table = np.asarray(table, float)
    if table.ndim != 2 or table.shape[1] < 3:
        raise ValueError(f"table has shape {table.shape}; give (raters, items), 3 items or more")
    _refuse_infinite("table", table)
    rows = table[~np.isnan(table).any(axis=1)]
    if len(rows) < 2:
        empty = np.flatnonzero(np.isnan(table).all(axis=0)).tolist()
        raise ValueError(
            f"table has {len(rows)} of {len(table)} rows without a NaN; at least 2 are needed: "
            f"leave out items that diverge (columns {empty} have no value), or run more seeds"
        )
    dropped = len(table) - len(rows)
    if (rows == rows[:, :1]).all():
        return Concordance(len(rows), dropped, np.nan, np.nan)
    test = stats.friedmanchisquare(*rows.T)
    W = float(test.statistic) / (len(rows) * (rows.shape[1] - 1))
    return Concordance(len(rows), dropped, W, float(test.pvalue))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values that keep the chance of any false finding below the level: (tests,).

    p_(k) becomes max_{j <= k} min(1, (tests - j + 1) p_(j)) in ascending order; the order given is
    kept. An empty array stays empty.

    Raises
    ------
    ValueError
        Not 1-D, or a value that is NaN or outside [0, 1].

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    p = np.asarray(p_values, float)
    if p.ndim != 1:
        raise ValueError(f"p_values has shape {p.shape}; give one axis, (tests,)")
    wrong = p[~((p >= 0) & (p <= 1))]
    if wrong.size:
        raise ValueError(f"p_values holds {wrong[0]}; leave out tests without a p in [0, 1]")
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted


def _pairs(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray, int]:
    """Both as floats without the pairs that hold a NaN, and how many those were."""
    example = "a = ds.loss.sel(activation='relu', sparsity=0.9).values"
    expect_array("a", a, example)
    expect_array("b", b, example)
    a, b = _squeezed(a), _squeezed(b)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"a has shape {a.shape} and b {b.shape}; give one value per seed, paired")
    _refuse_infinite("a", a)
    _refuse_infinite("b", b)
    kept = ~(np.isnan(a) | np.isnan(b))
    if kept.sum() < 2:
        raise ValueError(
            f"a and b have {kept.sum()} of {len(a)} pairs without a NaN; at least 2 are needed: "
            "run more seeds, or leave this comparison out"
        )
    return a[kept], b[kept], int((~kept).sum())


def _squeezed(values: ArrayLike) -> np.ndarray:
    """As floats without axes of length one, but not without the last axis."""
    array = np.asarray(values, float)
    return array.reshape([n for n in array.shape if n != 1] or [1]) if array.ndim > 1 else array


def _differences(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, int]:
    """a - b without NaN, exactly alike or 0 where they are so up to rounding; how many dropped."""
    a, b, dropped = _pairs(a, b)
    difference = a - b
    rounding = EXACT * max(np.abs(a).max(), np.abs(b).max())
    difference[np.abs(difference) <= rounding] = 0
    if np.ptp(difference) <= rounding:
        difference[:] = difference[0]
    return difference, dropped


def _bootstrap_mean(
    values: np.ndarray, resamples: int, confidence: float, seed: int
) -> tuple[float, float]:
    """BCa interval of the mean, or the percentile one where it is not finite."""
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SciPy's word for an interval that is not defined
            low, high = stats.bootstrap(
                (values,),
                _mean,
                n_resamples=resamples,
                batch=max(1, BLOCK // len(values)),
                vectorized=True,
                confidence_level=confidence,
                method=method,
                rng=np.random.default_rng(seed),
            ).confidence_interval
        if np.isfinite(low) and np.isfinite(high):
            break
    return float(low), float(high)


def _permutation(
    values: np.ndarray, statistic: Callable, kind: str, resamples: int, seed: int
) -> tuple[float, float]:
    """The statistic and its two-sided p under random signs (samples) or orders (pairings)."""
    test = stats.permutation_test(
        (values,),
        statistic,
        permutation_type=kind,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, BLOCK // len(values)),
        rng=np.random.default_rng(seed),
    )
    return float(test.statistic), float(test.pvalue)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    return values.mean(axis=axis)


def _centred_ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis less their mean, 0 where a value is NaN."""
    known = ~np.isnan(values)
    ranks = np.where(known, stats.rankdata(values, axis=-1, nan_policy="omit"), 0)
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    return np.where(known, ranks - ranks.sum(axis=-1, keepdims=True) / count, 0)


def _refuse_infinite(name: str, values: np.ndarray) -> None:
    if np.isinf(values).any():
        raise ValueError(f"{name} holds an infinite value; mark runs that diverged as NaN")


def _check_between(name: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        raise ValueError(f"{name}={value!r}; give a number above {low} and below {high}")
