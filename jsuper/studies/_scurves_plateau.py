"""Of the study of S-curves: plateaus, and what sets their length: the start, pairs and rank."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import curves
from jsuper.analysis.lowrank import exact
from jsuper.analysis.reading import finished_values
from jsuper.core.text import format_number
from jsuper.studies._paired import adjusted, counted, models, row, said
from jsuper.studies.answer import Answer, Row

if TYPE_CHECKING:
    import xarray

EXPONENTIAL = math.log(0.9) / math.log(0.1)
ABOVE = 2  # times the exponential's ratio, from which a curve counts as an S-curve


def answers(ds: xarray.Dataset) -> list[Answer]:
    """Return the answers of the sweep `scurves` with plain descent."""
    flow = ds.sel(optimizer=descent(ds))
    return [sigmoid(flow), spread(flow), predicted(flow), fewer_steps(flow), wider(flow)]


def descent(ds: xarray.Dataset) -> str:
    """Return the optimizer of a sweep that is plain descent."""
    return next(str(o) for o in ds["optimizer"].values if str(o).startswith("sgd("))


def sigmoid(flow: xarray.Dataset) -> Answer:
    """Return the plateau of factors against that of a vector."""
    ratio = finished_values(flow, "plateau_ratio", "rank", "pairs", "seed")
    reachable = [(r, k) for r in ratio["rank"].values for k in ratio["pairs"].values if k >= r]
    rows = adjusted(
        row(f"rank {r}, {pairs(k)}", ratio.sel(rank=r, pairs=k), EXPONENTIAL) for r, k in reachable
    )
    rows = (
        *rows,
        Row("a vector learned by itself (closed form)", EXPONENTIAL),
        *(of_no_orthogonal_part(u0) for u0 in (1e-2, 1e-4, 1e-8)),
    )
    one = rows[0]
    return Answer(
        "Is the loss of a product of factors an S-curve, where that of a vector is an exponential?",
        "time at which the loss is 90 % of the zero model's over the time at which it is 10 %; "
        f"{EXPONENTIAL:.3f} for a plain exponential, near 1 for a step after a plateau",
        f"{'Yes' if one.low > ABOVE * EXPONENTIAL else 'Not shown'}: {said(one)} for one pair, "
        f"{one.value / EXPONENTIAL:.1f} times an exponential's {EXPONENTIAL:.3f}. The ratio lies "
        f"above {ABOVE} times the exponential's in "
        f"{sum(r.low > ABOVE * EXPONENTIAL for r in rows if r.seeds)} of {len(reachable)} cases of "
        "rank and pairs.",
        rows,
    )


def of_no_orthogonal_part(u0: float) -> Row:
    """Return the same number of the exact sigmoid without an orthogonal part."""
    time = np.linspace(0, 20, 20_001)
    loss = exact.rank_one(time, u0).loss
    case = f"one pair from u = {u0:g} s, nothing orthogonal (closed form)"
    return Row(case, float(curves.plateau(loss, time, 0.5).ratio))


def pairs(count: int) -> str:
    """'1 pair', '4 pairs'."""
    return f"{count} pair{'' if count == 1 else 's'}"


def of_rank_one(ds: xarray.Dataset, name: str) -> xarray.DataArray:
    """Return a variable per component at rank 1: (pairs, seed), infinite values as NaN."""
    values = finished_values(ds, name, "rank", "pairs", "seed", "component")
    return values.sel(rank=1).isel(component=0, drop=True)


def spread(flow: xarray.Dataset) -> Answer:
    """Return how much one seed says of a plateau's length."""
    half = of_rank_one(flow, "half_time")
    rows = []
    for k in half["pairs"].values:
        values = half.sel(pairs=k).dropna("seed").values
        low, high = interval_of_sd(values)
        case, expected = pairs(k), float(exact.half_time_sd(int(k)))
        rows.append(Row(case, float(values.std(ddof=1)), low, high, expected, len(values)))
    first, mean = rows[0], float(half.isel(pairs=0).mean())
    return Answer(
        "How long is the plateau, and does one run tell?",
        "standard deviation over seeds of the half time, in units of 1/s; null: the limit of small "
        "starts without an orthogonal part, √ψ₁(K/2)/2",
        f"No: one pair takes {mean:.3g}/s on average with a standard deviation of {said(first)}, "
        f"so two single runs differ by {math.sqrt(2) * first.value:.2g}/s on the average of "
        f"squares. With {pairs(int(half['pairs'].values[-1]))} the standard deviation is "
        f"{said(rows[-1])}.",
        tuple(rows),
    )


def interval_of_sd(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a standard deviation."""
    from scipy import stats

    found = stats.bootstrap(
        (values,), np.std, method="percentile", rng=np.random.default_rng(0), n_resamples=1999
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def starts(ds: xarray.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """u₀ = ((α₀ + β₀)/2)² and the mean orthogonal part of one pair's start, from the records."""
    begin = ds.isel(step=0, component=0)
    inside = finished_values(begin, "norm_inside", "seed", "side").sum("side", skipna=False).values
    outside = finished_values(begin, "norm_outside", "seed", "side").mean("side").values
    product = finished_values(begin, "alignment", "seed", "pair").isel(pair=0).values
    return (inside + 2 * product) / 4, outside


def predicted(flow: xarray.Dataset) -> Answer:
    """Each seed's half time against the closed form of its start."""
    one = flow.sel(rank=1, pairs=1)
    measured = of_rank_one(flow, "half_time").sel(pairs=1).values
    expected = exact.half_time(*starts(one))
    fine = np.isfinite(measured) & np.isfinite(expected)
    measured, expected = measured[fine], expected[fine]
    correlation = float(np.corrcoef(measured, expected)[0, 1])
    difference = row("measured less predicted half time", measured - expected)
    return Answer(
        "Is a seed's plateau predicted by its start?",
        "half time less that of the closed form with u₀ = ((α₀ + β₀)/2)² and the start's "
        "orthogonal part, in units of 1/s, and their correlation over seeds",
        f"Yes: they correlate with {correlation:.3f} over {len(measured)} seeds, and differ by "
        f"{said(difference)} on average, of {measured.mean():.3g}.",
        (difference, Row("correlation", correlation, seeds=len(measured))),
    )


def fewer_steps(flow: xarray.Dataset) -> Answer:
    """Return the half time against the number of pairs."""
    half = of_rank_one(flow, "half_time")
    rows = []
    for k in half["pairs"].values[1:]:
        shift = half.sel(pairs=k) - half.sel(pairs=1)
        rows.append(row(f"{k} pairs", shift, float(exact.half_time_shift(int(k)))))
    rows = adjusted(rows)
    near = [r for r in rows if r.low <= r.null <= r.high]
    return Answer(
        "Do more pairs shorten the plateau?",
        "half time with K pairs less that with one, same seed and target of rank 1, in units of "
        "1/s; null: the theory for small starts, -(E ln χ²_K - E ln χ²_1)/2",
        f"Yes, by {', '.join(f'{format_number(-r.value)} at {r.case}' for r in rows)}. "
        f"The theory's value lies in the interval in {len(near)} of {len(rows)} cases; it leaves "
        "out the orthogonal part, which K pairs bring K times. "
        f"{models((half, flow.sel(rank=[1])))}",
        rows,
    )


def wider(flow: xarray.Dataset) -> Answer:
    """Return the loss's drop against the rank."""
    start, end = (
        finished_values(flow, f"plateau_{e}", "rank", "pairs", "seed") for e in ("start", "end")
    )
    width = end - start
    rows = []
    for k in width["pairs"].values:
        for r in width["rank"].values[1:]:
            if k >= r:
                case = f"rank {r} less rank 1, {pairs(k)}"
                rows.append(row(case, width.sel(rank=r, pairs=k) - width.sel(rank=1, pairs=k)))
    rows = adjusted(rows)
    return Answer(
        "Is the drop of a target of higher rank wider?",
        "time from 90 % to 10 % of the zero model's loss, of rank R less rank 1, same seed and "
        "pairs, all strengths equal, in units of 1/s",
        f"The width {counted(rows, 'grows', 'shrinks')}.",
        rows,
    )
