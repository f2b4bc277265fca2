"""Compare rankings: Spearman's correlation of two, Kendall's coefficient of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    pass

from jsuper.analysis.statistics.resampling import (
    check_between,
    check_pairs,
    permutation_test,
    refuse_infinite,
)


class RankAgreement(NamedTuple):
    """Spearman's correlation of two rankings; see `rank_agreement`."""

    items: int
    dropped: int
    rho: float
    p: float


class Concordance(NamedTuple):
    """Kendall's coefficient of several rankings; see `concordance`."""

    raters: int
    dropped: int
    W: float
    p: float


def spearman(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return Spearman's rank correlation along the last axis: (...,), in [-1, 1].

    It is Pearson's correlation of the ranks, where ties share their mean rank. Pairs with a value
    that is not finite are left out. The result is NaN if fewer than 3 pairs are left, or if all
    values of a or of b are equal.

    Parameters
    ----------
    a, b
        Values of shape (..., items), paired; the leading axes broadcast.

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


def rank_agreement(
    a: ArrayLike, b: ArrayLike, *, resamples: int = 9999, seed: int = 0
) -> RankAgreement:
    """Return Spearman's rank correlation of two values per item, with a permutation test.

    Parameters
    ----------
    a, b
        Values of shape (items,), paired; axes of length one are dropped.
    resamples
        Orders drawn, at least 99.
    seed
        Seed of the draws.

    Returns
    -------
    RankAgreement
        `rho` in [-1, 1] is Pearson's correlation of the ranks, ties averaged. `p` in (0, 1] is
        two-sided, over all orders of the items if there are at most `resamples` of them (7 items by
        default), else over random ones. Both are NaN if all values of a or of b are equal.

    Raises
    ------
    ValueError
        Fewer than 2 pairs without a NaN, an infinite value, shapes that differ, or too few
        resamples.

    See Also
    --------
    spearman : The correlation alone, along the last axis of any arrays.
    """
    a, b, dropped = check_pairs(a, b)
    check_between("resamples", resamples, 98, np.inf)
    ranks = [_centred_ranks(a), _centred_ranks(b)]
    size = np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum())
    if size == 0:
        return RankAgreement(len(a), dropped, np.nan, np.nan)

    def correlation(order: np.ndarray, axis: int) -> np.ndarray:
        return (order * ranks[1]).sum(axis=axis) / size

    rho, p = permutation_test(ranks[0], correlation, "pairings", resamples, seed)
    return RankAgreement(len(a), dropped, rho, p)


def concordance(table: ArrayLike) -> Concordance:
    """Return Kendall's W, the agreement of raters (rows) on the order of items (columns).

    W = χ² / (raters (items - 1)), where χ² is Friedman's statistic, corrected for ties.

    Parameters
    ----------
    table
        Values of shape (raters, items), at least 2 by 3. Seeds can be the raters. A row with a NaN
        is dropped and counted; an item never is.

    Returns
    -------
    Concordance
        `W` in [0, 1] is 1 if all rows have the same order, and about 1/raters if the orders are
        unrelated. `p` is that of χ² with items - 1 degrees of freedom, approximate below about 10
        rows. Both are NaN if every row has nothing but ties.

    Raises
    ------
    ValueError
        Another shape, an infinite value, or fewer than 2 rows without a NaN.

    References
    ----------
    Kendall and Babington Smith (1939), "The problem of m rankings".
    """
    table = np.asarray(table, float)
    if table.ndim != 2 or table.shape[1] < 3:
        raise ValueError(f"table has shape {table.shape}; give (raters, items), 3 items or more")
    refuse_infinite("table", table)
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
    test = scipy.stats.friedmanchisquare(*rows.T)
    W = float(test.statistic) / (len(rows) * (rows.shape[1] - 1))
    return Concordance(len(rows), dropped, W, float(test.pvalue))


def _centred_ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis less their mean, 0 where a value is NaN."""
    known = ~np.isnan(values)
    ranks = np.where(known, scipy.stats.rankdata(values, axis=-1, nan_policy="omit"), 0)
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    return np.where(known, ranks - ranks.sum(axis=-1, keepdims=True) / count, 0)
