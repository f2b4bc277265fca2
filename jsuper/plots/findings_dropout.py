"""The main picture of the findings on dropout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import dropout
from jsuper.analysis.reading import finished_values
from jsuper.analysis.statistics import spearman
from jsuper.plots.dropout import mean_and_half
from jsuper.plots.style import COLORS, MARKERS, ramp_styles

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIMS = ("sparsity", "dropout", "seed")
FONT, BAND, HIGH = 8, 2.0, 0.3  # points; standard deviations and rate of the basis


def main(data: Mapping[str, xarray.Dataset]) -> Figure:
    """Draw superposition, its explanation, kurtosis and the basis against dropout.

    Parameters
    ----------
    data
        "dropout" and "dropout_basis" -> Dataset of `jsuper.analyze`.
    """
    import matplotlib.pyplot as plt

    plane = data["dropout"].sel(activation="relu")
    equal, decaying = (plane.sel(importance_decay=decay) for decay in (1.0, 0.9))
    samples = finished_values(equal, "neuron_kurtosis", *DIMS).mean("hidden")
    units = finished_values(equal, "basis_kurtosis_z", *DIMS)
    hits = correlations(equal.sel(dropout=equal["dropout"] > 0))
    long, ratio = "features above half of the longest", "kurtosis over that without dropout"
    panels = (
        ("Features, equal importance", counted(equal).sum("feature"), long, None, ".1f"),
        ("Features, importance $0.9^i$", counted(decaying).sum("feature"), long, None, ".1f"),
        ("Are features hit more disturbed more?", hits, "rank correlation", 0, ".2f"),
        ("Kurtosis across samples", samples / samples.sel(dropout=0.0), ratio, 1, ".2f"),
        ("Kurtosis across 5 units", units, "z against random rotations", 0, ".1f"),
    )
    figure, axes = plt.subplots(2, 3, figsize=(10, 6), layout="constrained")
    for ax, (title, values, label, null, form) in zip(axes.flat, panels, strict=False):
        lines(ax, values, label, null)
        ends = values.isel(dropout=[0, -1]).mean("seed").sel(sparsity=[0.0, 0.97]).values
        words = ", ".join(
            f"S {s}: {a:{form}} to {b:{form}}" for s, (a, b) in zip((0, 0.97), ends, strict=True)
        )
        ax.set_title(f"{title}\n{words}", fontsize=FONT + 1)
    axes[0, 1].legend(fontsize=FONT, frameon=False, title="sparsity", title_fontsize=FONT)
    basis(axes[1, 2], data["dropout_basis"])
    for ax in axes.flat:
        ax.tick_params(labelsize=FONT)
    return figure


def counted(ds: xarray.Dataset) -> xarray.DataArray:
    """Return which features are longer than half of the longest: (sparsity, dropout, seed, n)."""
    norm = finished_values(ds, "feature_norm", *DIMS)
    return (norm > 0.5 * norm.max("feature")).where(norm.notnull().all("feature"))


def correlations(ds: xarray.Dataset) -> xarray.DataArray:
    """Return Spearman's correlation over features of the chance of a hit and its disturbance."""
    W, counts = finished_values(ds, "W", *DIMS, "hidden", "feature").values, counted(ds)
    rates = np.broadcast_to(ds["dropout"].values[:, None], W.shape[:-2])
    hit = np.where(counts == 1, 1 - dropout.untouched_chance(W, rates), np.nan)
    found = spearman(hit, dropout.readback_variance(W, rates))
    return counts.isel(feature=0).copy(data=found)


def lines(ax: Axes, values: xarray.DataArray, label: str, null: float | None = None) -> None:
    """Draw means over seeds and 95 % intervals against the rate, a line per sparsity."""
    mean, half = mean_and_half(values.transpose(*DIMS).values)
    x = values["dropout"].values
    for s, style, y, error in zip(
        values["sparsity"].values, ramp_styles(len(mean)), mean, half, strict=True
    ):
        ax.plot(x, y, **style, linewidth=1.3, markersize=4, label=f"{s:g}")
        ax.fill_between(x, y - error, y + error, color=style["color"], alpha=0.2, linewidth=0)
    if null is not None:
        ax.axhline(null, color="0.4", linestyle="--", linewidth=1)
    ax.set_xlabel("dropout rate q", fontsize=FONT)
    ax.set_ylabel(label, fontsize=FONT)


def basis(ax: Axes, ds: xarray.Dataset) -> None:
    """Draw what dropout adds to the alignment of features with units, by sparsity."""
    z = finished_values(ds, "alignment_z", "activation", "optimizer", *DIMS)
    more = z.sel(dropout=HIGH) - z.sel(dropout=0.0)
    x = np.arange(more.sizes["sparsity"])
    groups = [(a, o) for a in more["activation"].values for o in more["optimizer"].values]
    for i, (activation, optimizer) in enumerate(groups):
        mean, half = mean_and_half(more.sel(activation=activation, optimizer=optimizer).values)
        look = {"fmt": MARKERS[i], "color": COLORS[i + (i > 0)], "markersize": 5}
        place = x + 0.12 * (i - (len(groups) - 1) / 2)
        ax.errorbar(place, mean, half, **look, label=f"{activation}, {optimizer}")
    ax.axhspan(-BAND, BAND, color="0.9", zorder=0)
    ax.set_xticks(x, [f"{s:g}" for s in more["sparsity"].values])
    ax.set_xlabel("sparsity", fontsize=FONT)
    ax.set_ylabel(f"z with dropout {HIGH:g} less without", fontsize=FONT)
    ax.legend(fontsize=FONT, frameon=False)
    relu = more.sel(activation="relu").mean(("optimizer", "seed"))
    words = ", ".join(f"{v:.1f}" for v in relu.values)
    ax.set_title(f"Features on the units, m = 10\nReLU by sparsity: {words}", fontsize=FONT + 1)
