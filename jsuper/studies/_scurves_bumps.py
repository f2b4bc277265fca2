"""Of the study of S-curves: bumps, how many, whether one run misleads, and who competes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.signal import find_peaks

from jsuper.analysis.reading import finished_values
from jsuper.core.text import format_number
from jsuper.studies._paired import adjusted, counted, row, said
from jsuper.studies._scurves_plateau import descent, pairs
from jsuper.studies.answer import Answer, Row, Table

if TYPE_CHECKING:
    import xarray

PROMINENCES = {"bumps_2": "2 %", "bumps": "5 %", "bumps_10": "10 %"}
MOST_CASES = ((4, 4), (4, 8))  # (rank, pairs) of the question whether one run misleads


def answers(ds: xarray.Dataset) -> list[Answer]:
    """Return the answers of the sweep `scurves`."""
    flow = ds.sel(optimizer=descent(ds))
    return [
        none_at_rank_one(flow),
        how_many(flow),
        misleads(flow),
        competition(flow),
        of_adam(ds),
    ]


def tables(ds: xarray.Dataset) -> list[Table]:
    """Count of bumps by optimizer, rank and pairs."""
    rows = []
    for optimizer in ds["optimizer"].values:
        for rank, k in reachable(ds):
            here = ds.sel(optimizer=optimizer, rank=rank, pairs=k)
            counts = {p: known(finished_values(here, p, "seed")) for p in PROMINENCES}
            bumps = counts["bumps"]
            rows.append(
                (
                    str(optimizer),
                    str(rank),
                    str(k),
                    format_number(bumps.mean()),
                    format_number(bumps.std(ddof=1)),
                    "" if math.isnan(fano(bumps)) else format_number(fano(bumps)),
                    f"{100 * (bumps == 0).mean():.0f} %",
                    format_number(counts["bumps_2"].mean()),
                    format_number(counts["bumps_10"].mean()),
                )
            )
    columns = ("optimizer", "rank", "pairs", "mean", "sd", "Fano factor", "without any")
    columns += ("mean at 2 %", "mean at 10 %")
    return [Table("Bumps of 5 % of s_r and more, over seeds", columns, tuple(rows))]


def reachable(ds: xarray.Dataset) -> list[tuple[int, int]]:
    """(rank, pairs) with at least as many pairs."""
    return [(int(r), int(k)) for r in ds["rank"].values for k in ds["pairs"].values if k >= r]


def known(values: xarray.DataArray) -> np.ndarray:
    """Return the finite values."""
    array = values.values.ravel()
    return array[np.isfinite(array)]


def fano(counts: Any, axis: int = -1) -> Any:
    """Variance over mean: 1 of independent rare events; NaN without any."""
    mean = np.mean(counts, axis=axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mean > 0, np.var(counts, axis=axis, ddof=1) / mean, np.nan)[()]


def bootstrapped(case: str, counts: np.ndarray, statistic: Any, null: float = math.nan) -> Row:
    """Return a statistic of counts over seeds with its percentile bootstrap interval."""
    value = float(statistic(counts))
    if math.isnan(value) or np.ptp(counts) == 0:
        return Row(case, value, null=null, seeds=len(counts))
    rng = np.random.default_rng(0)
    draws = np.sort(statistic(rng.choice(counts, (1999, len(counts)))))
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Row(case, value, float(low), float(high), null, len(counts))


def none_at_rank_one(flow: xarray.Dataset) -> Answer:
    """Bumps of a target with one component."""
    rows = []
    for name, words in PROMINENCES.items():
        for k in flow["pairs"].values:
            counts = known(finished_values(flow.sel(rank=1, pairs=k), name, "seed"))
            case = f"{pairs(k)}, prominence {words}"
            rows.append(Row(case, float(counts.max()), null=0.0, seeds=len(counts)))
    most = max(r.value for r in rows)
    return Answer(
        "Does a target of rank 1 ever give a bump?",
        "largest number of bumps of a seed's alignment curves, plain descent",
        f"{'No: none' if most == 0 else f'Yes, up to {most:g}'} in "
        f"{sum(r.seeds for r in rows[: flow.sizes['pairs']])} models, at any prominence counted.",
        tuple(rows),
    )


def how_many(flow: xarray.Dataset) -> Answer:
    """Mean counts above rank 1."""
    rows = []
    for rank, k in reachable(flow):
        if rank > 1:
            counts = known(finished_values(flow.sel(rank=rank, pairs=k), "bumps", "seed"))
            rows.append(bootstrapped(f"rank {rank}, {pairs(k)}", counts, mean))
    some = [r for r in rows if r.value > 0]
    most = max(rows, key=lambda r: r.value)
    return Answer(
        "How many bumps are there above rank 1?",
        "mean number of bumps of 5 % of s_r and more per model, over all pairs and components, "
        "plain descent",
        f"They occur in {len(some)} of {len(rows)} cases of rank and pairs, most where there are "
        f"just as many pairs as components: {said(most)} at {most.case}. More pairs than "
        "components make them rare: each component then has pairs to spare.",
        tuple(rows),
    )


def mean(counts: np.ndarray) -> Any:
    """Over the last axis."""
    return counts.mean(axis=-1)


def misleads(flow: xarray.Dataset) -> Answer:
    """Return what a single run says of bumps."""
    rows, words = [], []
    for rank, k in MOST_CASES:
        counts = known(finished_values(flow.sel(rank=rank, pairs=k), "bumps", "seed"))
        case = f"rank {rank}, {pairs(k)}"
        none = bootstrapped(
            f"{case}: share of runs without any", counts, lambda c: (c == 0).mean(-1)
        )
        rows += [
            none,
            bootstrapped(f"{case}: chance that two runs differ in number", counts, differ),
            bootstrapped(f"{case}: Fano factor", counts, fano, null=1.0),
        ]
        words.append(
            f"at {case} {100 * none.value:.0f} % of runs show no bump, the others 1 to "
            f"{counts.max():.0f}"
        )
    return Answer(
        "Does one run mislead about bumps?",
        "shares and chances over seeds; the Fano factor is variance over mean, 1 for independent "
        "rare events (null)",
        f"Yes: {'; '.join(words)}. Two runs differ in their number with a chance of "
        f"{said(rows[1])} at rank {MOST_CASES[0][0]}, {pairs(MOST_CASES[0][1])}.",
        tuple(rows),
    )


def differ(counts: np.ndarray) -> Any:
    """Return the chance that two different seeds have different counts."""
    n = counts.shape[-1]
    same = sum((counts == c).sum(-1) * ((counts == c).sum(-1) - 1.0) for c in range(100))
    return 1 - same / (n * (n - 1))


# ---- who competes ----


def competition(flow: xarray.Dataset) -> Answer:
    """Return what happens after the peak of a bump."""
    rank, k = MOST_CASES[0]
    here = flow.sel(rank=rank, pairs=k)
    found = [per_seed(one) for one in each_seed(here)]
    kept = [np.mean(f, axis=0) for f in found if len(f)]
    cases = (
        "gained by other pairs in the same component, of what the pair loses",
        "gained by the pair in other components, of what it loses",
        "height of the peak, in units of s_r",
        "peaks after the norm outside the target's space has halved, share",
    )
    rows = tuple(
        row(case, [values[i] for values in kept], math.nan) for i, case in enumerate(cases)
    )
    verdict = "Yes" if min(rows[0].low, rows[1].low) > 0 else "Undecided"
    return Answer(
        "Do two pairs compete for one component, until one lets go and moves to another?",
        f"mean over a seed's bumps of 5 % and more at rank {rank}, {pairs(k)}, plain descent; "
        "gains from the peak to the end",
        f"{verdict}: while a pair falls back, others gain {said(rows[0])} times what it loses in "
        f"that component, and it gains {said(rows[1])} times as much in other components. Peaks "
        f"are at {said(rows[2])} of s_r; {100 * rows[3].value:.0f} % come after the decay of the "
        f"norm. {len(kept)} of {len(found)} seeds have bumps.",
        rows,
    )


def each_seed(ds: xarray.Dataset) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Alignment (component, pair, step) over s_r, the times, and the time of decay, by seed."""
    dims = ("seed", "component", "pair", "step")
    aligned = (
        finished_values(ds, "alignment", *dims)
        .dropna("component", how="all")
        .dropna("pair", how="all")
    )
    strengths = finished_values(ds, "strengths", "seed", "component").dropna("component", how="all")
    aligned = aligned / strengths
    decayed, time = (
        finished_values(ds, "decay_time", "seed"),
        finished_values(ds, "time", "seed", "step"),
    )
    return [
        (
            aligned.isel(seed=s).transpose(*dims[1:]).values,
            time.isel(seed=s).values,
            float(decayed[s]),
        )
        for s in range(ds.sizes["seed"])
        if np.isfinite(aligned.isel(seed=s)).all()
    ]


def per_seed(one: tuple[np.ndarray, np.ndarray, float]) -> list[tuple[float, ...]]:
    """Of every bump: gained by others, by itself elsewhere, its height, whether after the decay."""
    aligned, time, decayed = one
    found = []
    for r, k in np.ndindex(aligned.shape[:2]):
        for peak in find_peaks(aligned[r, k], prominence=0.05)[0]:
            change = aligned[:, :, -1] - aligned[:, :, peak]
            lost = -change[r, k]
            if lost > 0:
                others = change[r].sum() - change[r, k]
                elsewhere = change[:, k].sum() - change[r, k]
                late = float(time[peak] > decayed)
                found.append((others / lost, elsewhere / lost, float(aligned[r, k, peak]), late))
    return found


def of_adam(ds: xarray.Dataset) -> Answer:
    """Count with Adam less those with plain descent, above rank 1 and at it."""
    plain = descent(ds)
    adam = next(str(o) for o in ds["optimizer"].values if str(o) != plain)
    rows = []
    for name in ("bumps", "bumps_2"):
        counts = finished_values(ds, name, "optimizer", "rank", "pairs", "seed")
        for rank, k in reachable(ds):
            if k > 1:
                at = counts.sel(rank=rank, pairs=k)
                case = f"rank {rank}, {pairs(k)}, prominence {PROMINENCES[name]}"
                rows.append(row(case, at.sel(optimizer=adam) - at.sel(optimizer=plain)))
    rows = adjusted(rows)
    strict = [r for r in rows if r.case.endswith("5 %")]
    loose = [r for r in rows if r.case.endswith("2 %")]
    at_one = known(finished_values(ds.sel(optimizer=adam, rank=1), "bumps", "pairs", "seed"))
    return Answer(
        "Does Adam make more bumps than plain descent?",
        f"bumps with {adam} less bumps with {plain}, same seed, target and start; a count of bumps "
        "does not depend on the unit of time",
        f"At 5 % of s_r Adam {counted(strict, 'has more', 'has fewer')}; at 2 % it "
        f"{counted(loose, 'has more', 'has fewer')}. At rank 1 {int((at_one > 0).sum())} of its "
        f"{at_one.size} models have bumps of 5 %, where plain descent has none.",
        rows,
    )
