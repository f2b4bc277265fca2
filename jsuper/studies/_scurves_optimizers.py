"""Of the study of S-curves: Adam and AdamW beside plain descent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jsuper.analysis.reading import finished_values
from jsuper.core.text import format_number
from jsuper.studies._paired import adjusted, clear, counted, ln, row, said
from jsuper.studies._scurves_plateau import descent, pairs, starts
from jsuper.studies.answer import Answer, Row

if TYPE_CHECKING:
    import xarray

MARGIN = 0.02  # of plateau_ratio, below which two curves count as the same
CASES = ((1, 1), (1, 4), (4, 4))  # (rank, pairs)


def answers(ds: xarray.Dataset) -> list[Answer]:
    """Return the answers of the sweep `scurves_adamw`."""
    return [shape(ds), rates(ds), overlaps(ds), decoupled(ds), coupled(ds)]


def named(ds: xarray.Dataset, name: str) -> list[str]:
    """Return the sweep's optimizers of one kind, by learning rate."""
    found = [str(o) for o in ds["optimizer"].values if str(o).startswith(f"{name}(")]
    return sorted(found, key=rate_of)


def rate_of(optimizer: str) -> float:
    """Return the learning rate in an optimizer's name."""
    return float(optimizer.split("(")[1].rstrip(")"))


def half_steps(ds: xarray.Dataset) -> xarray.DataArray:
    """Optimizer steps until the loss has halved, of Z = 0's: (optimizer, rank, pairs, seed)."""
    half = finished_values(ds, "loss_half_time", "optimizer", "rank", "pairs", "seed")
    learning_rates = [rate_of(str(o)) for o in ds["optimizer"].values]
    return half.copy(data=half.values / np.reshape(learning_rates, (-1, 1, 1, 1)))


def shape(ds: xarray.Dataset) -> Answer:
    """Return whether Adam changes the form of the curve."""
    plain = descent(ds)
    ratio = finished_values(ds, "plateau_ratio", "optimizer", "rank", "pairs", "seed")
    rows = []
    for name in ("adam", "adamw"):
        middle = named(ds, name)[1]
        for rank, k in CASES:
            at = ratio.sel(rank=rank, pairs=k)
            case = f"{middle}, rank {rank}, {pairs(k)}"
            rows.append(row(case, at.sel(optimizer=middle) - at.sel(optimizer=plain)))
    rows = adjusted(rows)
    other = [r for r in rows if clear(r) and abs(r.value) > MARGIN]
    return Answer(
        "Do Adam and AdamW only accelerate, or is the curve another?",
        f"plateau_ratio (time at 90 % of the zero model's loss over that at 10 %) less that of "
        f"{plain}, same seed: a ratio does not depend on the unit of time, so 0 would mean the "
        "same curve, faster",
        f"{'Another curve' if other else 'No other curve is shown'}: the plateau's share "
        f"{counted(rows, 'is longer', 'is shorter')}; it differs by more than {MARGIN} in "
        f"{len(other)}.",
        rows,
    )


def rates(ds: xarray.Dataset) -> Answer:
    """Half time against the learning rate."""
    steps = half_steps(ds)
    rows = []
    for name in ("adam", "adamw"):
        for slow, fast in zip(named(ds, name)[:-1], named(ds, name)[1:], strict=True):
            for rank, k in CASES:
                at = ln(steps.sel(rank=rank, pairs=k))
                change = at.sel(optimizer=fast) - at.sel(optimizer=slow)
                change = change / math.log(rate_of(fast) / rate_of(slow))
                rows.append(row(f"{slow} to {fast}, rank {rank}, {pairs(k)}", change, -1.0))
    rows = adjusted(rows)
    low, high = min(r.value for r in rows), max(r.value for r in rows)
    return Answer(
        "Is Adam's half time proportional to 1/learning rate?",
        "d ln(steps until the loss has halved)/d ln(learning rate), same seed; null: -1",
        f"Nearly: the exponent lies between {format_number(low)} and {format_number(high)}. "
        "Each coordinate moves by about the learning rate a step.",
        rows,
    )


def overlaps(ds: xarray.Dataset) -> Answer:
    """Half time against the overlap of the start."""
    rows = []
    for optimizer in (descent(ds), named(ds, "adam")[1], named(ds, "adamw")[1]):
        one = ds.sel(rank=1, pairs=1, optimizer=optimizer)
        half = finished_values(one, "half_time", "seed", "component").isel(component=0).values
        u0, _ = starts(one)
        fine = np.isfinite(half) & (u0 > 0)
        found: Any = stats.linregress(np.log(u0[fine]), half[fine] / half[fine].mean())
        half_width = float(stats.t.ppf(0.975, fine.sum() - 2)) * found.stderr
        value = float(found.slope)
        case = f"{optimizer}, one pair"
        rows.append(Row(case, value, value - half_width, value + half_width, 0.0, int(fine.sum())))
    plain, adam, adamw = rows
    return Answer(
        "Does Adam's plateau depend on how well the start is aligned?",
        "slope of the half time, over its mean, on ln u₀, u₀ = ((α₀ + β₀)/2)² the aligned part of "
        "the start, over seeds at rank 1 with one pair; 0: it does not",
        f"{'Less' if adam.low > plain.value else 'As much'}: {said(adam)} with Adam and "
        f"{said(adamw)} with AdamW, against {said(plain)} with plain descent.",
        tuple(rows),
    )


def decoupled(ds: xarray.Dataset) -> Answer:
    """AdamW against Adam, sgdw against sgd."""
    steps = half_steps(ds)
    both = [("sgdw", "sgd"), ("adamw", "adam")]
    rows = []
    for apart, within in both:
        for other, base in zip(named(ds, apart), named(ds, within), strict=True):
            for rank, k in CASES:
                at = ln(steps.sel(rank=rank, pairs=k))
                case = f"{other} less {base}, rank {rank}, {pairs(k)}"
                rows.append(row(case, at.sel(optimizer=other) - at.sel(optimizer=base)))
    rows = adjusted(rows)
    adams = [r for r in rows if r.case.startswith("adamw")]
    return Answer(
        "What does it change that AdamW's decay is apart from the gradient?",
        "difference of ln(steps until the loss has halved), decay 0.1 apart from the gradient less "
        "the same decay within it, same seed",
        f"AdamW's half time {counted(adams, 'is longer', 'is shorter')}: within the gradient the "
        "decay is normalised with it, and then weighs more than its share.",
        rows,
    )


def coupled(ds: xarray.Dataset) -> Answer:
    """Bumps under weight decay."""
    counts = finished_values(ds, "bumps", "optimizer", "rank", "pairs", "seed")
    plain = descent(ds)
    rows = []
    for name in ("sgdw", "adam", "adamw"):
        middle = named(ds, name)[len(named(ds, name)) // 2]
        for rank, k in CASES[1:]:
            at = counts.sel(rank=rank, pairs=k)
            case = f"{middle}, rank {rank}, {pairs(k)}"
            rows.append(row(case, at.sel(optimizer=middle) - at.sel(optimizer=plain)))
    rows = adjusted(rows)
    return Answer(
        "And how many bumps are there with weight decay?",
        f"bumps of 5 % and more with decay 0.1, less those of {plain} with the same decay, same "
        "seed",
        f"Against plain descent the number {counted(rows, 'is higher', 'is lower')}.",
        rows,
    )
