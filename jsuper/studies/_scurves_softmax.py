"""Of the study of S-curves: the cross-entropy of a softmax over all entries of Z."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.reading import finished_values
from jsuper.core.text import format_number
from jsuper.studies._paired import adjusted, ln, row, said
from jsuper.studies.answer import Answer, Row

if TYPE_CHECKING:
    import xarray

HALF = 0.5  # of the squared error's decay, below which it counts as gone


def answers(runs: list[xarray.Dataset]) -> list[Answer]:
    """Return the answers of the sweeps `scurves_softmax...`, one per target strength."""
    return [decay_term(runs), same_curve(runs)]


def decay_term(runs: list[xarray.Dataset]) -> Answer:
    """Return whether what is outside of the target's space decays."""
    rows = []
    for ds in runs:
        left = finished_values(ds, "norm_outside", "objective", "rank", "seed", "step", "side")
        left = left.sum("side", skipna=False).squeeze("pairs", drop=True)
        share = ln(left / left.isel(step=0)).transpose("objective", "rank", "seed", "step")
        at = decayed_step(share.sel(objective="squared").values)
        for r, rank in enumerate(ds["rank"].values):
            entropy, squared = (
                share.sel(objective=o).values[r, :, at] for o in ("cross_entropy", "squared")
            )
            case = f"{strength(ds)}, rank {rank}"
            rows.append(row(case, entropy / squared, 1.0))
    rows = adjusted(rows)
    small, large = rows[0], rows[-1]
    return Answer(
        "Is the decay term gone under cross-entropy?",
        "ln of the share of the norm outside the target's space that is left, cross-entropy over "
        "squared error, at the time (over N) when the latter has halved, same seed; 1: the same "
        "decay, slowed by 1/N; 0: none",
        f"{verdict(small, large)} {said(small)} at {small.case}; {said(large)} at {large.case}.",
        rows,
    )


def verdict(small: Row, large: Row) -> str:
    """In words, from the ratios of the smallest and of the largest strength."""
    if small.value < HALF:
        return "Yes:"
    if large.value < HALF:
        return (
            "Not at small logits, where the gradient is the squared error's over N; nearly gone "
            "where the softmax saturates:"
        )
    return "Not at small logits, and not at large ones:"


def decayed_step(share: np.ndarray) -> int:
    """Return the first record at which half is left, on average over models."""
    return int(np.argmax(np.nanmean(share, axis=(0, 1)) < math.log(0.5)))


def strength(ds: xarray.Dataset) -> str:
    """Return the sweep's strength in words."""
    s, d = float(ds["strength"]), int(ds["size"])
    return f"s = {s:g} (entries of C of size {s / d:g})"


def same_curve(runs: list[xarray.Dataset]) -> Answer:
    """Half times and plateaus."""
    rows = []
    for ds in runs:
        for name, words in (("loss_half_time", "half time"), ("plateau_ratio", "plateau_ratio")):
            values = finished_values(ds, name, "objective", "rank", "seed").squeeze(
                "pairs", drop=True
            )
            for rank in ds["rank"].values:
                entropy, squared = (
                    values.sel(objective=o, rank=rank) for o in ("cross_entropy", "squared")
                )
                rows.append(row(f"{words}, {strength(ds)}, rank {rank}", entropy / squared, 1.0))
    rows = adjusted(rows)
    near = [r for r in rows if abs(r.value - 1) < 0.01]
    half = [r.value for r in rows if r not in near and r.case.startswith("half time")]
    elsewhere = (
        f"Elsewhere the half time is {format_number(min(half))} to {format_number(max(half))} of "
        "it: the softmax weighs entries by their probability."
        if half
        else ""
    )
    return Answer(
        "Is the loss curve under cross-entropy that of the squared error?",
        "half time, and plateau_ratio, of the KL divergence over those of the squared error, in "
        "time over N, same seed, target and start; 1: the same",
        f"Within 1 % in {len(near)} of {len(rows)} cases"
        f"{': ' + '; '.join(r.case for r in near) if near else ''}. {elsewhere}",
        rows,
    )
