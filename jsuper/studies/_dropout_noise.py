"""Of the study of dropout: how often a feature is hit by it, and what a hit costs."""

from __future__ import annotations

import numpy as np
import xarray as xr

from jsuper.analysis import dropout, superposition
from jsuper.analysis.reading import finished_values
from jsuper.studies import _paired
from jsuper.studies._paired import (
    PLANE,
    adjusted,
    clear,
    rank_correlations,
    row,
    rows_of,
    slopes,
)
from jsuper.studies.answer import Answer

NUMBERS = {
    "k units above a tenth of its length": dropout.units_used,
    "1/Σu⁴, the effective number": dropout.effective_units,
    "all m hidden units": lambda W: 0 * dropout.units_used(W) + W.shape[-2],
}
MASKS = 2048


def answers(plane: xr.Dataset, basis: xr.Dataset) -> list[Answer]:
    """Hits, units and noise."""
    return [
        chance(plane),
        spread(plane, basis),
        price(plane),
        noise(plane),
    ]


def matrices(ds: xr.Dataset, *dims: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W (*dims, m, n), which features count (*dims, n), and the rate of every model (*dims,).

    A feature counts where it is longer than half of the longest one: others have no direction that
    training has chosen.
    """
    W = finished_values(ds, "W", *dims, "hidden", "feature").values
    norms = superposition.feature_norms(W)
    lead = W.shape[:-2]
    rates = ds["dropout"].values.reshape([-1 if d == "dropout" else 1 for d in dims])
    return W, norms > 0.5 * norms.max(axis=-1, keepdims=True), np.broadcast_to(rates, lead)


def mean_counted(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over the features that count; NaN where none does."""
    total = np.where(counts, values, 0).sum(axis=-1)
    return total / np.where(counts.any(axis=-1), counts.sum(axis=-1), np.nan)


def chances(ds: xr.Dataset) -> dict[str, np.ndarray]:
    """Share of masks that leave a feature alone, and (1-q)^n of each n: over `PLANE`, q above 0."""
    W, counts, rates = matrices(ds.sel(dropout=ds["dropout"] > 0), *PLANE)
    measured = np.stack(
        [
            dropout.untouched(W[..., i, :, :], rates[..., i], samples=MASKS)
            for i in range(W.shape[-3])  # a rate at a time: the masks of all are large
        ],
        axis=-2,
    )
    found = {"measured": measured}
    found |= {name: (1 - rates[..., None]) ** n(W) for name, n in NUMBERS.items()}
    return {name: mean_counted(values, counts) for name, values in found.items()}


def chance(ds: xr.Dataset) -> Answer:
    """Return whether (1-q)^n is the chance that a feature is left alone, and for which n."""
    found, rates = chances(ds), ds["dropout"].values[ds["dropout"].values > 0]
    rows, errors = [], {}
    for name in NUMBERS:
        apart = (found["measured"] - found[name]).mean(axis=(0, 1))
        errors[name] = float(np.nanmean(np.abs(apart)))
        rows += [row(f"n = {name}, q {q:g}", apart[:, i]) for i, q in enumerate(rates)]
    nearest = min(errors, key=lambda name: errors[name])
    listed = ", ".join(f"{errors[name]:.3f} for {name}" for name in NUMBERS)
    return Answer(
        "Is a feature left alone by dropout with chance (1-q)^n?",
        f"share of {MASKS:,} random masks that drop at most 1 % of a feature's squared length, "
        "less (1-q)^n, mean over features; 0 is as predicted",
        f"Nearest with n = {nearest}. Mean distance of the chances: {listed}.",
        adjusted(rows),
    )


def spread(plane: xr.Dataset, basis: xr.Dataset) -> Answer:
    """Return whether dropout concentrates features on fewer hidden units."""
    W, counts, _ = matrices(plane, *PLANE)
    units = finished_values(plane, "loss", *PLANE).copy(
        data=mean_counted(dropout.effective_units(W), counts)
    )
    rows = rows_of(units, slopes, f"m {int(plane['n_hidden'])}, ")
    relu = basis.sel(activation="relu")
    W, counts, _ = matrices(relu, "optimizer", "sparsity", "seed", "dropout")
    found = mean_counted(dropout.effective_units(W), counts)
    slope = slopes(found, relu["dropout"].values)
    rows += [
        row(f"m {int(basis['n_hidden'])}, {o}, density {1 - s:.3g}", slope[i, j])
        for i, o in enumerate(relu["optimizer"].values)
        for j, s in enumerate(relu["sparsity"].values)
    ]
    rows = adjusted(rows)
    return Answer(
        "Does dropout put a feature on fewer hidden units?",
        "slope along the rate q, per unit of q, of the effective number of units 1/Σu⁴, mean over "
        "features; below 0 is fewer",
        f"The number {_paired.counted(rows)}. {_paired.largest(rows)}",
        rows,
    )


def price(ds: xr.Dataset) -> Answer:
    """Return whether a feature that is hit more often is disturbed less by it."""
    W, counts, rates = matrices(ds.sel(dropout=ds["dropout"] > 0), *PLANE)
    hit = np.where(counts, 1 - dropout.untouched_chance(W, rates), np.nan)
    variance = dropout.readback_variance(W, rates)
    found = np.full(rates.shape, np.nan)
    for place in np.ndindex(rates.shape):
        if len(np.unique(variance[place][counts[place]])) >= 3:
            found[place] = rank_correlations(hit[place], np.nan_to_num(variance[place]))
    rows = adjusted(row(f"q {q:g}", seeds) for q, seeds in _by_rate(found, rates))
    below, above = (sum(clear(r) == sign for r in rows) for sign in (-1, 1))
    return Answer(
        "Is a feature that dropout hits more often disturbed less?",
        "Spearman's correlation, over the features of a model, of the chance of a hit 1-(1-q)^k "
        "with the variance of its read-back q/(1-q) Σu⁴, mean over importances and densities; 0 is "
        "no relation, below 0 those hit more often are disturbed less",
        f"The correlation is below 0 at {below} and above it at {above} of {len(rows)} rates. "
        f"{_paired.largest(rows)}",
        rows,
    )


def noise(ds: xr.Dataset) -> Answer:
    """Return how much noise features have, and leak into each other, beside random rotations."""
    W, counts, rates = matrices(ds.sel(dropout=ds["dropout"] > 0), *PLANE)
    # over the variance q/(1-q) of a feature on one unit
    apart = dropout.leakage_variance(W, rates) - dropout.rotated_leakage_variance(W, rates)
    apart *= ((1 - rates) / rates)[..., None, None]
    own = np.eye(W.shape[-1], dtype=bool)
    both = counts[..., :, None] & counts[..., None, :]
    parts = {}
    for name, kept in (("read-back", both & own), ("leakage", both & ~own)):
        flat = (*rates.shape, -1)
        mean = mean_counted(apart.reshape(flat), kept.reshape(flat))
        parts[name] = [row(f"{name}, q {q:g}", seeds) for q, seeds in _by_rate(mean, rates)]
    rows = adjusted(r for each in parts.values() for r in each)
    half = len(parts["read-back"])
    words = ("is above that of rotations", "is below that of rotations")
    return Answer(
        "Is a feature noisier under dropout than its rotations?",
        "variance of reading a feature back, and of reading another one along it (leakage), over "
        "q/(1-q), less its mean over random rotations of the weights; 0 is no preferred basis; the "
        "read-back is at most 1, of a feature on one unit, and 3/(m+2) on average over rotations",
        f"The variance of a read-back {_paired.counted(rows[:half], *words)}; that of leakage "
        f"{_paired.counted(rows[half:], *words)}. {_paired.largest(rows)}",
        rows,
    )


def _by_rate(values: np.ndarray, rates: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Rate and mean over importances and densities of values over `PLANE`: (seeds,)."""
    fine = np.isfinite(values)
    count = fine.sum(axis=(0, 1))
    mean = np.where(fine, values, 0).sum(axis=(0, 1)) / np.where(count == 0, np.nan, count)
    return [(float(q), mean[:, i]) for i, q in enumerate(rates[0, 0, 0])]
