"""Rows of an answer from one value per seed: effects along an axis, intervals, Holm, and words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from jsuper.analysis import statistics
from jsuper.core.status import OK
from jsuper.core.text import format_number
from jsuper.studies.answer import Row

if TYPE_CHECKING:
    import xarray

LEVEL = 0.05
PLANE = ("importance_decay", "sparsity", "seed", "dropout")


def ln(values: xarray.DataArray) -> xarray.DataArray:
    """Return the natural logarithm; NumPy's own says that it returns no DataArray."""
    return values.copy(data=np.log(values.values))


def models(*counted: tuple[xarray.DataArray, xarray.Dataset]) -> str:
    """Return how many models an answer counts, and why not all, in a sentence.

    Parameters
    ----------
    counted
        Values of `finished_values`, one per model, and the sweep that they are of.
    """
    total = sum(ds["status"].size for _, ds in counted)
    failed = sum(int((ds["status"] != OK).sum()) for _, ds in counted)
    without = sum(int(values.isnull().sum()) for values, _ in counted) - failed
    parts = []
    if failed:
        parts.append(f"{failed:,} did not finish with finite weights")
    if without > 0:
        parts.append(f"{without:,} have no such value")
    if not parts:
        return f"All {total:,} models count."
    return f"Of {total:,} models {' and '.join(parts)}; they are left out."


def row(case: str, values: ArrayLike, null: float = 0.0) -> Row:
    """Return the mean over seeds, its 95 % interval, and the p of the null, not yet adjusted.

    Parameters
    ----------
    case
        What it is a number of.
    values
        (seeds,); those that are not finite are left out.
    null
        The value that would mean nothing; NaN: there is none, and nothing is tested.

    Returns
    -------
    Row
        The Row; its value is NaN, and there is no p, where fewer than two seeds are left.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Row(case, math.nan, null=null, seeds=len(values))
    against = 0.0 if math.isnan(null) else null
    found = statistics.compare(values, np.full(len(values), against))
    value, low, high = (against + d for d in (found.difference, found.low, found.high))
    p = math.nan if math.isnan(null) else found.p
    return Row(case, value, low, high, null, found.pairs, p)


def case(decay: float, sparsity: float) -> str:
    """Return a cell of importance and density, in words."""
    importance = "uniform importance" if decay == 1 else f"importance {decay:g}^i"
    return f"{importance}, density {1 - sparsity:.3g}"


def rows_of(values: xarray.DataArray, effect: Callable, before: str = "") -> list[Row]:
    """Return a row per importance and sparsity of values over `PLANE`.

    Parameters
    ----------
    values
        (importance_decay, sparsity, seed, dropout).
    effect
        Of (values, rates) per seed, as `slopes`.
    before
        Of the row's case.
    """
    found = effect(values.values, values["dropout"].values)
    return [
        row(before + case(decay, sparsity), found[i, j])
        for i, decay in enumerate(values["importance_decay"].values)
        for j, sparsity in enumerate(values["sparsity"].values)
    ]


def adjusted(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return the rows of one answer with Holm's p over those that have one."""
    rows = list(rows)
    tested = [i for i, r in enumerate(rows) if not math.isnan(r.p)]
    for i, p in zip(tested, statistics.holm([rows[i].p for i in tested]), strict=True):
        rows[i] = dataclasses.replace(rows[i], p=float(p))
    return tuple(rows)


def slopes(values: ArrayLike, x: ArrayLike) -> np.ndarray:
    """Least-squares slope of values (..., points) on x (points,): (...,).

    Points with a value that is not finite are left out; NaN where fewer than 3 are left.

    Raises
    ------
    ValueError
        The last axis is not that of x, or x has fewer than 3 different values.
    """
    y, x = _along(values, x)
    fine = np.isfinite(y)
    count = fine.sum(axis=-1, keepdims=True)

    def centred(numbers: np.ndarray) -> np.ndarray:
        numbers = np.where(fine, numbers, 0)
        mean = numbers.sum(axis=-1, keepdims=True) / np.maximum(count, 1)
        return np.where(fine, numbers - mean, 0)

    at = centred(x)
    product, spread = (at * centred(y)).sum(axis=-1), (at * at).sum(axis=-1)
    few = (count[..., 0] < 3) | (spread == 0)
    return np.where(few, np.nan, product / np.where(few, 1, spread))


def rank_correlations(values: ArrayLike, x: ArrayLike) -> np.ndarray:
    """Return Spearman's correlation of values (..., points) with x (points,): (...,), [-1, 1].

    It is that of `statistics.spearman`. Raises ValueError as `slopes` does.
    """
    return statistics.spearman(*_along(values, x))


def _along(values: ArrayLike, x: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.asarray(values, float), np.asarray(x, float)
    if x.ndim != 1 or y.shape[-1:] != x.shape or len(np.unique(x)) < 3:
        raise ValueError(
            f"values has shape {y.shape} and x {x.shape}; give (..., points) and (points,), at "
            "least 3 different ones"
        )
    return y, x


# ---- words ----


def clear(r: Row) -> int:
    """1 or -1 where a row lies above or below its null with p below 0.05, else 0."""
    return int(np.sign(r.value - r.null)) if r.p < LEVEL else 0


def counted(rows: Sequence[Row], above: str = "rises", below: str = "falls") -> str:
    """In how many of the cases it does what: 'falls in 8 of 10 cases, rises in 1 (…), …'."""
    tested = [r for r in rows if not math.isnan(r.p)]
    signs = [clear(r) for r in tested]
    if not tested:
        return "could not be tested: too few seeds are left"
    parts = []
    order = (
        ((below, -1), (above, 1))
        if signs.count(-1) >= signs.count(1)
        else ((above, 1), (below, -1))
    )
    for word, sign in order:
        which = [r.case for r, s in zip(tested, signs, strict=True) if s == sign]
        if which:
            named = f" ({'; '.join(which)})" if len(which) <= 3 < len(tested) else ""
            parts.append(f"{word} in {len(which)} of {len(tested)} cases{named}")
    if not parts:
        return f"shows no clear difference in any of {len(tested)} cases"
    if signs.count(0):
        parts.append(f"no clear difference in {signs.count(0)}")
    return ", ".join(parts)


def said(r: Row, digits: int = 3) -> str:
    """Return a row's value and interval in words: '0.12 (0.10 to 0.14)'."""
    if math.isnan(r.value):
        return "no value"
    if math.isnan(r.low):
        return format_number(r.value, digits)
    low, high = (format_number(v, digits) for v in (r.low, r.high))
    return f"{format_number(r.value, digits)} ({low} to {high})"


def largest(rows: Iterable[Row]) -> str:
    """Return the row furthest from its null, in a sentence."""
    known = [r for r in rows if not math.isnan(r.p)]
    if not known:
        return "No case has a value of two seeds."
    furthest = max(known, key=lambda r: abs(r.value - r.null))
    return f"Largest: {said(furthest)} at {furthest.case}."
