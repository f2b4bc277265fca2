"""Check paired values, and resample them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import ArrayLike

from jsuper.core.expecting import expect_array

if TYPE_CHECKING:
    pass


EXACT = 1e-12  # of the largest value: differences that agree to this are rounding
BLOCK = 2**22  # numbers that resampling holds at once


def check_pairs(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray, int]:
    """Return both arrays as floats without the pairs that hold a NaN, and how many those were."""
    example = "a = ds.loss.sel(activation='relu', sparsity=0.9).values"
    expect_array("a", a, example)
    expect_array("b", b, example)
    a, b = _squeezed(a), _squeezed(b)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"a has shape {a.shape} and b {b.shape}; give one value per seed, paired")
    refuse_infinite("a", a)
    refuse_infinite("b", b)
    kept = ~(np.isnan(a) | np.isnan(b))
    if kept.sum() < 2:
        raise ValueError(
            f"a and b have {kept.sum()} of {len(a)} pairs without a NaN; at least 2 are needed: "
            "run more seeds, or leave this comparison out"
        )
    return a[kept], b[kept], int((~kept).sum())


def _squeezed(values: ArrayLike) -> np.ndarray:
    """Return values as floats without axes of length one, but never without the last axis."""
    array = np.asarray(values, float)
    return array.reshape([n for n in array.shape if n != 1] or [1]) if array.ndim > 1 else array


def bootstrap_mean(
    values: np.ndarray, resamples: int, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the BCa interval of the mean, or the percentile interval if BCa is not finite."""
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SciPy's word for an interval that is not defined
            low, high = scipy.stats.bootstrap(
                (values,),
                mean_of,
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


def permutation_test(
    values: np.ndarray, statistic: Callable, kind: str, resamples: int, seed: int
) -> tuple[float, float]:
    """Return a statistic and its two-sided p under random signs (samples) or orders (pairings)."""
    test = scipy.stats.permutation_test(
        (values,),
        statistic,
        permutation_type=kind,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, BLOCK // len(values)),
        rng=np.random.default_rng(seed),
    )
    return float(test.statistic), float(test.pvalue)


def mean_of(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean along an axis."""
    return values.mean(axis=axis)


def refuse_infinite(name: str, values: np.ndarray) -> None:
    """Raise ValueError if a value is infinite."""
    if np.isinf(values).any():
        raise ValueError(f"{name} holds an infinite value; mark runs that diverged as NaN")


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError unless low < value < high."""
    if not low < value < high:
        raise ValueError(f"{name}={value!r}; give a number above {low} and below {high}")
