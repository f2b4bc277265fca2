"""Of the study of dropout: whether kurtosis rises with it, and the hidden units become a basis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import kurtosis
from jsuper.analysis.reading import finished_values
from jsuper.studies import _paired
from jsuper.studies._paired import (
    PLANE,
    adjusted,
    clear,
    rank_correlations,
    row,
    rows_of,
    said,
    slopes,
)
from jsuper.studies.answer import Answer, Row

if TYPE_CHECKING:
    import xarray

MEASURES = {
    "basis_kurtosis": "kurtosis across the hidden units",
    "mean_neuron_kurtosis": "the kurtosis of a hidden unit across samples",
    "mean_participation_ratio": "kurtosis across samples without sparsity's part, (K-3)/γ(p)",
    "basis_kurtosis_z": "kurtosis across the hidden units, against random rotations",
    "participation_z": "(K-3)/γ(p), against random rotations",
    "alignment_z": "the alignment of features with hidden units, against random rotations",
}
Z = ("basis_kurtosis_z", "participation_z", "alignment_z")
HIDDEN = (2, 3, 5, 10, 20)


def answers(plane: xarray.Dataset, basis: xarray.Dataset) -> list[Answer]:
    """Trends of kurtosis, what it can say at all, and the basis with its controls."""
    return [
        *(trend(plane, basis, name) for name in MEASURES),
        room(plane, basis),
        *(privileged(basis, name) for name in Z),
        pull(basis),
    ]


def trend(plane: xarray.Dataset, basis: xarray.Dataset, name: str) -> Answer:
    """Whether one measure rises with dropout: Spearman's correlation with the rate, per cell."""
    values = finished_values(plane, name, *PLANE)
    rows = rows_of(values, rank_correlations, f"m {int(plane['n_hidden'])}, ")
    densities = [*(1 - np.tile(values["sparsity"], values.sizes["importance_decay"]))]
    relu = basis.sel(activation="relu")
    larger = finished_values(relu, name, "optimizer", "sparsity", "seed", "dropout")
    found = rank_correlations(larger.values, larger["dropout"].values)
    for i, optimizer in enumerate(larger["optimizer"].values):
        for j, sparsity in enumerate(larger["sparsity"].values):
            text = f"m {int(basis['n_hidden'])}, {optimizer}, density {1 - sparsity:.3g}"
            rows.append(row(text, found[i, j]))
            densities.append(1 - sparsity)
    rows = adjusted(rows)
    by_gamma = _by_gamma(rows, densities) if name == "mean_neuron_kurtosis" else ""
    return Answer(
        f"Does dropout raise {MEASURES[name]}?",
        "Spearman's correlation with the rate, of a seed's models; 0 is no trend",
        f"It {_paired.counted(rows)}. {by_gamma}{_paired.largest(rows)} "
        f"{_paired.models((values, plane), (larger, relu))}",
        rows,
    )


def _by_gamma(rows: tuple[Row, ...], densities: list[float]) -> str:
    """Where it rises, by the sign of sparsity's part γ(p)."""
    gamma = kurtosis.sparsity_kurtosis(np.array(densities))
    parts = []
    for words, chosen in (("above", gamma > 0), ("below", gamma < 0)):
        signs = [clear(r) for r, here in zip(rows, chosen, strict=True) if here]
        if signs:
            parts.append(
                f"where γ(p) is {words} 0 it rises in {signs.count(1)} and falls in "
                f"{signs.count(-1)} of {len(signs)}"
            )
    return f"{'; '.join(parts).capitalize()}. "


def room(plane: xarray.Dataset, basis: xarray.Dataset) -> Answer:
    """Return the range of kurtosis across m hidden units: one active unit, and the null."""
    rows = [
        Row(f"m = {m}: one unit at a time", m - 2 + 1 / (m - 1), null=kurtosis.gaussian_null(m))
        for m in HIDDEN
    ]
    spreads = {}
    for ds in (plane, basis):
        m = int(ds["n_hidden"])
        value, mean, z = (
            finished_values(ds, f"basis_kurtosis{end}", "seed") for end in ("", "_rotated", "_z")
        )
        spreads[m] = float(abs((value - mean) / z.where(z != 0)).median())
        rows.append(Row(f"m = {m}: standard deviation over rotations, median", spreads[m]))
    silent = [r.case.split(":")[0] for r in rows[: len(HIDDEN)] if abs(r.value - r.null) < 1e-9]
    reach = ", ".join(
        f"{(m - 2 + 1 / (m - 1) - kurtosis.gaussian_null(m)) / spread:.0f} standard deviations at "
        f"m = {m}"
        for m, spread in spreads.items()
    )
    return Answer(
        "At how many hidden units does kurtosis across them carry information?",
        "kurtosis of samples with a single unit active, the largest there is, exact; null: its "
        "mean over random rotations, 3(m-1)/(m+1)",
        f"None at {' and '.join(silent)}, where the most aligned model has the same kurtosis as a "
        f"rotated one. From null to largest it is {reach}.",
        tuple(rows),
    )


def privileged(ds: xarray.Dataset, name: str) -> Answer:
    """Whether the hidden units are a privileged basis with dropout, ReLU and the controls."""
    values = finished_values(ds, name, "activation", "optimizer", "sparsity", "seed", "dropout")
    found = []
    for activation in values["activation"].values:
        for optimizer in values["optimizer"].values:
            here = values.sel(activation=activation, optimizer=optimizer)
            group = f"{activation}, {optimizer}"
            none = here.sel(dropout=0.0).mean("sparsity")
            found.append(row(f"{group}: no dropout, all densities", none))
            for sparsity in here["sparsity"].values:
                for q in here["dropout"].values[here["dropout"].values > 0]:
                    text = f"{group}: density {1 - sparsity:.3g}, q {q:g}"
                    found.append(row(text, here.sel(sparsity=sparsity, dropout=q)))
    rows = adjusted(found)
    groups: dict[str, list[Row]] = {}
    for r in rows:
        groups.setdefault(r.case.split(":")[0], []).append(r)
    sentences = [_group(group, each) for group, each in groups.items()]
    return Answer(
        f"Does dropout make the hidden units a privileged basis, by {MEASURES[name]}?",
        "z against 100 random rotations of the same weights, which have the same loss without "
        "dropout; 0 is no basis, below 0 features lie further from the axes than by chance",
        f"{' '.join(sentences)} {_paired.models((values, ds))}",
        rows,
    )


def _group(group: str, rows: list[Row]) -> str:
    """One activation and optimizer in a sentence; its first row is without dropout."""
    none, some = rows[0], rows[1:]
    by_density: dict[str, list[str]] = {}
    for r in filter(clear, some):
        density, rate = r.case.split(": ")[1].split(", ")
        by_density.setdefault(density, []).append(f"{r.value:.2g} at {rate}")
    listed = "; ".join(f"{density}, z {', '.join(z)}" for density, z in by_density.items())
    off = sum(len(z) for z in by_density.values())
    return (
        f"{group}: without dropout {'off' if clear(none) else 'at'} the null, z {said(none)}; with "
        f"it off the null in {off} of {len(some)} cases{f' ({listed})' if off else ''}."
    )


def pull(ds: xarray.Dataset) -> Answer:
    """Whether training aligns the linear model, whose expected loss has no preferred basis."""
    linear = ds.sel(activation="identity")
    found = []
    for name in Z:
        values = finished_values(linear, name, "optimizer", "sparsity", "seed", "dropout")
        along = slopes(values.mean("sparsity").values, values["dropout"].values)
        for optimizer, seeds in zip(values["optimizer"].values, along, strict=True):
            found.append(row(f"{optimizer}: {MEASURES[name].split(', against')[0]}", seeds))
    rows = adjusted(found)
    listed = []
    for optimizer in linear["optimizer"].values:
        own = [r for r in rows if r.case.startswith(f"{optimizer}:")]
        number = sum(clear(r) > 0 for r in own)
        listed.append(f"{optimizer} in {number} of {len(own)} measures, alignment {said(own[-1])}")
    counted = finished_values(linear, Z[-1], "seed")
    return Answer(
        "Does training with dropout align the linear model with its hidden units?",
        "slope along the rate q, per unit of q, of z against random rotations, mean over "
        "densities; its best models are as good in any basis, so that a slope above 0 comes from "
        "the optimizer or from the noise of its steps",
        f"z rises under {'; '.join(listed)}. {_paired.models((counted, linear))}",
        rows,
    )
