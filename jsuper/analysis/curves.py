"""Measures of learning curves: when, how fast, in how many steps, and with how many bumps.

Curves are (..., times), a whole sweep at once, with times (times,), strictly ascending. Ratios of
times require times counted from the start of training. A curve with a non-finite value has NaN in
every measure, and only that curve. A level not reached within the record has the time ∞. Every
function raises ValueError if the shapes do not fit, time does not ascend, or an argument is out of
its range. NumPy, float64.

An alignment curve is u_r = â_rᵀ Z b̂_r, or the part of it that one learned pair holds; its full
value is the target's strength s_r. The loss of the zero model is ½ Σ s_r².

Reference: Jermyn and Shlegeris (2022), "Multi-Component Learning and S-Curves",
<https://www.lesswrong.com/posts/RKDQCB6smLWgs2Mhr>, for the curves. They give no definitions of the
measures; those here are this project's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy

from jsuper.analysis.arrays import Array, in_range
from jsuper.core.deprecated import renamed

BINS = 5  # levels of the loss within the smallest drop that counts
APART = 0.5  # two drops are separate where the speed between is at most this share of the slower

__getattr__ = renamed(__name__, {"bumps": "count_bumps", "drops": "count_drops"})


def positive(name: str, values: Array) -> np.ndarray:
    """Return finite numbers above 0 as float64; raise ValueError for others."""
    values = np.asarray(in_range(name, values, "[0, inf)"), float)
    if not values.all():
        raise ValueError(f"{name} holds 0.0; give values above 0")
    return values


def _check_curve(name: str, curve: Array, time: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the curve and its times as float64, and which curves are finite throughout."""
    curve, time = np.asarray(curve, float), np.asarray(time, float)
    if time.ndim != 1 or time.size < 2 or curve.shape[-1:] != time.shape:
        shapes = f"{name} has shape {curve.shape} and time {time.shape}"
        raise ValueError(f"{shapes}; give (..., times) and (times,), with at least 2 times")
    if not (np.isfinite(time).all() and (np.diff(time) > 0).all()):
        raise ValueError("time does not ascend strictly; sort it, and drop what is there twice")
    return curve, time, np.isfinite(curve).all(axis=-1)


def _check_window(low: float, high: float) -> None:
    if not 0 < low < high <= 1:
        raise ValueError(f"low={low} and high={high}; give shares with 0 < low < high <= 1")


def crossing_time(curve: Array, time: Array, level: Array, *, rising: bool = True) -> np.ndarray:
    """Return when a curve first is at a level or beyond, linear between records: (...,).

    It is time[0] if the curve starts there, ∞ if it never gets there, and NaN if the level is not
    finite.

    Parameters
    ----------
    curve, time
        Curves, (..., times), and times, (times,).
    level
        Level, (...,) or a number.
    rising
        Whether "beyond" means above; otherwise below.
    """
    curve, time, fine = _check_curve("curve", curve, time)
    level = np.asarray(level, float)
    fine = fine & np.isfinite(level)
    above = (curve - level[..., None]) * (1 if rising else -1)
    beyond = above >= 0
    at = beyond.argmax(axis=-1)[..., None]
    before = np.maximum(at - 1, 0)
    high, low = (np.take_along_axis(above, i, -1)[..., 0] for i in (at, before))
    at, before = at[..., 0], before[..., 0]
    rise = np.where(at > 0, high - low, 1)
    with np.errstate(invalid="ignore"):  # of curves that are not finite
        found = time[at] - np.where(at > 0, high / rise, 0) * (time[at] - time[before])
    return np.where(fine, np.where(beyond.any(axis=-1), found, np.inf), np.nan)


def half_time(curve: Array, time: Array, full: Array) -> np.ndarray:
    """Return when a rising curve first is at full/2: (...,); see `crossing_time`.

    Parameters
    ----------
    curve, time
        Curves, (..., times), and times, (times,).
    full
        Full value, > 0, (...,).
    """
    return crossing_time(curve, time, positive("full", full) / 2)


def rise_width(
    curve: Array, time: Array, full: Array, low: float = 0.1, high: float = 0.9
) -> np.ndarray:
    """Return t(high · full) - t(low · full), the 10-90 % width of a first rise: (...,), [0, ∞].

    Parameters
    ----------
    curve, time
        Curves, (..., times), and times, (times,).
    full
        Full value, > 0, (...,).
    low, high
        Shares of it, 0 < low < high <= 1.
    """
    _check_window(low, high)
    full = positive("full", full)
    end = crossing_time(curve, time, high * full)
    start = crossing_time(curve, time, low * full)
    return end - np.where(np.isinf(end), 0, start)


class Plateau(NamedTuple):
    """Times of the loss's drop, start/end, and end - start: each (...,)."""

    start: np.ndarray
    end: np.ndarray
    ratio: np.ndarray
    width: np.ndarray


def plateau(loss: Array, time: Array, zero_loss: Array) -> Plateau:
    """Return how long a loss waits before it drops: t(L <= .9 L₀) / t(L <= .1 L₀), in [0, 1].

    A plain exponential has ln .9/ln .1 = .046; near 1 the loss waits and then falls at once. Time
    above L₀, where orthogonal parts decay, counts as waiting.

    Parameters
    ----------
    loss, time
        Losses, (..., times), and times, (times,), 0 at the start of training.
    zero_loss
        L₀ > 0, the loss of the zero model, (...,).

    Returns
    -------
    Plateau
        Times and the width are ∞ where not reached; the ratio is NaN if `end` is ∞ or 0.
    """
    zero_loss = positive("zero_loss", zero_loss)
    start = crossing_time(loss, time, 0.9 * zero_loss, rising=False)
    end = crossing_time(loss, time, 0.1 * zero_loss, rising=False)
    reached = np.isfinite(end) & (end > 0)
    ratio = np.where(reached, start, np.nan) / np.where(reached, end, 1)
    return Plateau(start, end, ratio, end - np.where(np.isinf(end), 0, start))


def log_slope(
    curve: Array, time: Array, full: Array, low: float = 0.01, high: float = 0.1
) -> np.ndarray:
    """Return d ln u/dt of the exponential phase, where low <= u/full <= high: (...,).

    The slope is a least-squares fit. Only the last rise before u first passes `high` counts:
    records before the lowest one, or before u was last under `low`, are left out. A sigmoid of
    slope 2κ has between 2κ (1 - high) and 2κ (1 - low), where full = κ.

    Parameters
    ----------
    curve, time
        u, (..., times), and times, (times,).
    full
        Full value, > 0, (...,).
    low, high
        Shares of it, 0 < low < high <= 1.

    Returns
    -------
    np.ndarray
        The slope, in 1/time; NaN if u never passes `high` or has fewer than 3 records in the
        window.
    """
    _check_window(low, high)
    u, time, fine = _check_curve("curve", curve, time)
    share = u / positive("full", full)[..., None]
    index = np.arange(time.size)
    beyond = share > high
    passes = np.where(beyond.any(axis=-1), beyond.argmax(axis=-1), 0)[..., None]
    before = index < passes
    under = np.where(before & (share < low), index, -1).max(axis=-1, keepdims=True)
    backward = np.where(before, share, np.inf)[..., ::-1]
    lowest = time.size - 1 - backward.argmin(axis=-1)[..., None]  # the last, where equal
    within = before & (index > under) & (index >= lowest) & fine[..., None]
    count = within.sum(axis=-1, keepdims=True)
    mean = np.where(within, time, 0).sum(axis=-1, keepdims=True) / np.maximum(count, 1)
    t = np.where(within, time - mean, 0)
    square = (t * t).sum(axis=-1)
    slope = (t * np.log(np.where(within, share, 1))).sum(axis=-1) / np.where(square > 0, square, 1)
    return np.where(count[..., 0] >= 3, slope, np.nan)


def count_bumps(curve: Array, time: Array, full: Array, prominence: float = 0.05) -> np.ndarray:
    """Return the number of interior maxima with a prominence of at least prominence · full.

    The prominence of a maximum is its height over the higher of the two lowest points that separate
    it from larger values, or from the ends. The threshold is absolute, so that noise around a curve
    that learns nothing does not count. Counts are floats; NaN if the curve is not finite.

    Parameters
    ----------
    curve, time
        Alignments, (..., times), and times, (times,).
    full
        s_r > 0, (...,).
    prominence
        Share of it, in (0, 1].
    """
    curve, time, fine = _check_curve("curve", curve, time)
    least = float(in_range("prominence", prominence, "(0, 1]")) * positive("full", full)
    least = np.broadcast_to(least, fine.shape)
    clean = np.where(fine[..., None], curve, 0)
    counts = np.where(fine, 0.0, np.nan)
    # a maximum that stands out is followed by such a fall: most curves need no search
    falls = (np.maximum.accumulate(clean, axis=-1) - clean).max(axis=-1) >= least
    for i in map(tuple, np.argwhere(falls)):
        counts[i] = scipy.signal.find_peaks(clean[i], prominence=least[i])[0].size
    return counts


class Order(NamedTuple):
    """Components in the order of learning, -1 for those not learned, and times: (..., R) each."""

    component: np.ndarray
    half_time: np.ndarray


def learning_order(alignment: Array, time: Array, full: Array) -> Order:
    """Return which target component passes half of its strength first, second, ...

    Parameters
    ----------
    alignment, time
        u_r, (..., R, times), and times, (times,).
    full
        s_r > 0, (..., R).

    Returns
    -------
    Order
        `component[..., 0]` is learned first (the lower index if equal); -1 stands last for each
        component that is not learned or not finite. `half_time[..., r]` is that of component r.
    """
    if np.ndim(alignment) < 2:
        raise ValueError(f"alignment has shape {np.shape(alignment)}; give (..., R, times)")
    half = half_time(alignment, time, full)
    order = half.argsort(axis=-1, kind="stable")
    learned = np.isfinite(np.take_along_axis(half, order, -1))
    return Order(np.where(learned, order, -1), half)


def count_drops(loss: Array, time: Array, zero_loss: Array, share: float = 0.05) -> np.ndarray:
    """Return the number of separate drops of a loss, the steps of a staircase: (...,).

    The speed of falling is measured between levels of the loss, share/5 of L₀ apart, of the least
    loss so far, from L₀ down. Two drops are separate if the speed between them is at most half of
    that of the slower one. A drop counts if it lowers the loss by about `share` of L₀ or more. The
    decay of what lies above L₀ is left out. Noise of .001 L₀ adds no drop, .002 L₀ sometimes one,
    and more adds many: smooth such a loss first. Counts are floats; NaN if the loss is not finite.

    Parameters
    ----------
    loss, time
        Losses, (..., times), and times, (times,).
    zero_loss
        L₀ > 0, the loss of the zero model, (...,).
    share
        Least drop, in (0, 1].
    """
    loss, time, fine = _check_curve("loss", loss, time)
    zero_loss = np.broadcast_to(positive("zero_loss", zero_loss), fine.shape)
    share = float(in_range("share", share, "(0, 1]"))
    counts = np.where(fine, 0.0, np.nan)
    for i in map(tuple, np.argwhere(fine)):
        counts[i] = _count_drops(loss[i] / zero_loss[i], time, share)
    return counts


def _count_drops(loss: np.ndarray, time: np.ndarray, share: float) -> int:
    """Return the number of drops of one curve in units of L₀."""
    least = np.minimum.accumulate(loss)
    levels = 1 - np.arange(int(BINS / share) + 1) * share / BINS
    when = np.interp(-levels, -least, time, left=time[0], right=np.nan)
    spent = np.diff(when)
    reached = spent > 0  # 0 above the start, NaN below the end
    speed = np.concatenate([[0], np.where(reached, 1 / np.where(reached, spent, 1), 0), [0]])
    speed *= 1 + 1e-6 * np.arange(speed.size)  # equal maxima would both stand out in full
    peaks = scipy.signal.find_peaks(speed)[0]
    peaks = peaks[scipy.signal.peak_prominences(speed, peaks)[0] >= APART * speed[peaks]]
    cuts = [a + speed[a:b].argmin() for a, b in zip(peaks[:-1], peaks[1:], strict=True)]
    sizes = [part.astype(bool).sum() for part in np.split(speed, cuts)]
    return sum(size >= BINS for size in sizes) if peaks.size else 0
