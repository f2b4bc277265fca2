"""Of the study of S-curves: weight decay, the exponential phase, and what is learned in the end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import curves
from jsuper.analysis.lowrank import exact
from jsuper.analysis.reading import finished_values
from jsuper.core.text import format_number
from jsuper.studies._paired import adjusted, row
from jsuper.studies._scurves_plateau import starts
from jsuper.studies.answer import Answer, Row

if TYPE_CHECKING:
    import xarray

SLOPE_WINDOW = (0.001, 0.02)  # shares of the asymptote where u is far above its start, and small

CLOSE = 0.05  # relative difference from theory's rate up to which it is confirmed


def answers(decay: xarray.Dataset) -> list[Answer]:
    """Return the answers of the sweep `scurves_decay`."""
    return [slope(decay), asymptote(decay), longer(decay)]


def u_of(decay: xarray.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u (decays, seeds, times), the times, and the decays."""
    u = finished_values(decay, "alignment", "weight_decay", "seed", "component", "pair", "step")
    u = u.squeeze([d for d in u.dims if d not in ("weight_decay", "seed", "step")], drop=True)
    time = decay["time"].isel(weight_decay=0, seed=0).squeeze().values
    return u.values, time.astype(float), decay["weight_decay"].values


def slope(decay: xarray.Dataset) -> Answer:
    """Return the growth rate of the exponential phase."""
    u, time, decays = u_of(decay)
    rows = []
    for values, rate in zip(u, decays, strict=True):
        if rate < 1:
            found = curves.log_slope(values, time, 1 - rate, *SLOPE_WINDOW)
            rows.append(row(f"λ = {rate:g} s", found, 2 * (1 - rate)))
    rows = adjusted(rows)
    worst = max(rows, key=lambda r: abs(r.value / r.null - 1))
    off = abs(worst.value / worst.null - 1)
    return Answer(
        "Does weight decay extend the exponential phase?",
        "d ln u/dt between 0.1 % and 2 % of u's asymptote, in units of s; null: 2 (s - λ)",
        f"{'Yes' if off < CLOSE else 'Not as theory says'}: u grows at the rate 2 (s - λ) to "
        f"within {100 * off:.2g} % ({worst.case}); the window itself takes about 1 % off, because "
        "a sigmoid slows as it grows.",
        rows,
    )


def asymptote(decay: xarray.Dataset) -> Answer:
    """Return what is learned in the end."""
    u, time, decays = u_of(decay)
    rows = []
    for values, rate in zip(u, decays, strict=True):
        rows.append(row(f"λ = {rate:g} s", values[:, -1], max(1 - float(rate), 0.0)))
    rows = tuple(Row(**{**vars(r), "p": math.nan}) for r in rows)
    dead = [r for r, rate in zip(rows, decays, strict=True) if rate >= 1]
    furthest = max(rows, key=lambda r: abs(r.value - r.null))
    return Answer(
        "What does weight decay leave to be learned?",
        f"u = u₁ᵀ Z v₁ at the end, time {format_number(float(time[-1]))}/s, in units of s; null: "
        "s - λ, and 0 where λ >= s",
        f"s - λ, to within {format_number(abs(furthest.value - furthest.null), 2)} of s "
        f"({furthest.case}). "
        + (
            f"For λ >= s nothing is learned: at most "
            f"{format_number(max(r.value for r in dead), 2)} of s."
            if dead
            else ""
        ),
        rows,
    )


def longer(decay: xarray.Dataset) -> Answer:
    """Return the half time against decay."""
    u, time, decays = u_of(decay)
    half = {
        float(rate): curves.half_time(values, time, 1 - rate)
        for values, rate in zip(u, decays, strict=True)
        if rate < 1
    }
    rows = []
    for rate, values in half.items():
        if rate > 0:
            ratio = np.where(np.isfinite(values), values, np.nan) / half[0.0]
            u0, rho0 = starts_at(decay, rate)
            expected = times_to_half(u0, rho0, rate) / exact.half_time(u0, rho0)
            rows.append(row(f"λ = {rate:g} s", ratio, float(np.nanmean(expected))))
    rows = adjusted(rows)
    words = ", ".join(f"{format_number(r.value)} times at {r.case}" for r in rows)
    return Answer(
        "How much longer does it take?",
        "time until u is half of its own asymptote s - λ, over that without decay, same seed; "
        "null: the mean of the closed form's over the same starts",
        f"{words}. The mean of the closed form lies within "
        f"{format_number(max_error(rows), 2)} % of each.",
        rows,
    )


def max_error(rows: tuple[Row, ...]) -> float:
    """Return the largest distance of a row's value from its null, in percent."""
    return max(100 * abs(r.value / r.null - 1) for r in rows)


def starts_at(decay: xarray.Dataset, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts of the models of one decay: those of all."""
    return starts(decay.sel(weight_decay=rate, rank=1, pairs=1))


def times_to_half(u0: np.ndarray, rho0: np.ndarray, decay: float) -> np.ndarray:
    """When the closed form is half of its asymptote: (seeds,)."""
    time = np.linspace(0, 400, 80_001)
    u = exact.rank_one(time, u0, rho0, weight_decay=decay).u
    return curves.half_time(u, time, 1 - decay)
