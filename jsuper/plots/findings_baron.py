"""Which activations superpose: X of every activation by three counts, and the loss beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jsuper.models.toy.activations.names import ACTIVATIONS
from jsuper.plots.style import COLORS, GUIDE_STYLE, Style, verbatim

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPARSITIES = (0.97, 0.99)
COUNTS = ("|W_i| > 1/2", "|W_i| > half of the longest", "R² > 1/2")
STYLES = ((COLORS[4], "o", 8), (COLORS[1], "s", 5.5), (COLORS[5], "D", 2.5))  # of the counts
FAILED = "0.7"
SOME = 0.25  # features; less is no superposition, or no difference of the counts
LARGEST = 3.0  # loss over that of the best constant
FONT = 8.5  # points
LOSS = "loss_over_constant"


def main(data: Mapping[str, xarray.Dataset]) -> Figure:
    """Draw X of every activation at two sparsities, by three counts, and its loss.

    Means over the seeds whose models fit. Where most do not, all seeds are drawn in grey.

    Parameters
    ----------
    data
        With the sweep "fitted", analysed.
    """
    import matplotlib.pyplot as plt

    ds = data["fitted"].sel(activation=list(ACTIVATIONS), sparsity=list(SPARSITIES))
    x, loss, failed = numbers(ds)
    order = np.lexsort((loss[:, -1], -x[:, -1, 0], failed[:, -1]))[
        ::-1
    ]  # failed fits at the bottom
    x, loss, failed, names = x[order], loss[order], failed[order], ds["activation"].values[order]
    figure, axes = plt.subplots(1, 3, figsize=(10, 6.5), sharey=True, layout="constrained")
    for k, (ax, sparsity) in enumerate(zip(axes, SPARSITIES, strict=False)):
        draw_counts(ax, x[:, k], failed[:, k])
        ax.set_title(superposing(x[:, k], failed[:, k], sparsity), fontsize=FONT + 0.5)
        ax.set_xlabel("X, represented features beyond m", fontsize=FONT)
    draw_losses(axes[-1], loss, failed)
    axes[-1].set_title(lowest(x[:, -1, 0], loss[:, -1], failed[:, -1]), fontsize=FONT + 0.5)
    axes[0].set_yticks(range(len(names)), map(verbatim, names), fontsize=FONT)
    for text, out in zip(axes[0].get_yticklabels(), failed.min(axis=1), strict=True):
        text.set_color("0.5" if out else "black")
    axes[0].set_ylim(-0.7, len(names) - 0.3)
    for ax in axes:
        ax.grid(axis="y", color="0.92", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.tick_params(axis="x", labelsize=FONT)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=FONT)
    return figure


def numbers(ds: xarray.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return X, (activations, sparsities, counts), the loss and whether most fits fail, (a, s)."""
    norm = ds["feature_norm"]
    counted = (norm > 0.5, norm > 0.5 * norm.max("feature"), ds["r_squared"] > 0.5)
    bad = ds["failed_fit"] == 1
    out = bad.mean("seed") > 0.5
    means = [
        values.where(~bad | out).mean("seed").transpose("activation", "sparsity").values
        for values in (*(c.sum("feature") - ds["n_hidden"] for c in counted), ds[LOSS])
    ]
    return np.stack(means[:-1], axis=-1), means[-1], out.transpose("activation", ...).values


def draw_counts(ax: Axes, x: np.ndarray, failed: np.ndarray) -> None:
    """Draw X by the counts, (activations, counts), joined by a line."""
    y = np.arange(len(x))
    ax.axvline(0, **GUIDE_STYLE)
    ax.hlines(y, x.min(axis=1), x.max(axis=1), color="0.8", linewidth=1.2, zorder=1)
    for k, (label, (color, marker, size)) in enumerate(zip(COUNTS, STYLES, strict=True)):
        style: Style = {"marker": marker, "markersize": size, "linestyle": "", "zorder": 2 + k}
        ax.plot(x[~failed, k], y[~failed], color=color, label=verbatim(label), **style)
        ax.plot(x[failed, k], y[failed], markerfacecolor="none", color=FAILED, **style)
    ax.plot([], [], "o", markerfacecolor="none", color=FAILED, label="failed fits")


def draw_losses(ax: Axes, loss: np.ndarray, failed: np.ndarray) -> None:
    """Draw losses over that of the best constant, (activations, sparsities)."""
    y = np.arange(len(loss))
    for k, (sparsity, size) in enumerate(zip(SPARSITIES, (7, 4), strict=True)):
        style: Style = {"marker": "o", "markersize": size, "linestyle": ""}
        fits, color = ~failed[:, k], COLORS[2 + k]
        ax.plot(loss[fits, k], y[fits], color=color, label=f"S {sparsity:g}", **style)
        ax.plot(loss[~fits, k], y[~fits], markerfacecolor="none", color=FAILED, **style)
    ax.axvline(1, **GUIDE_STYLE)
    ax.set_xscale("log")
    ax.set_xlim(right=LARGEST)
    for place in y[loss.min(axis=1) > LARGEST]:
        ax.text(LARGEST, place, "off the scale ▸ ", ha="right", va="center", fontsize=FONT)
    ax.set_xlabel("loss / loss of the best constant", fontsize=FONT)
    ax.legend(fontsize=FONT, loc="upper left")


def superposing(x: np.ndarray, failed: np.ndarray, sparsity: float) -> str:
    """Return the title of X: how many superpose, and for how many the counts differ."""
    fits = x[~failed]
    every, some = ((fits > SOME).all(axis=1).sum(), (fits > SOME).any(axis=1).sum())
    same = (np.ptp(fits, axis=1) <= SOME).sum()
    first = f"S {sparsity:g}: of {len(fits)} that fit, {every} superpose by all"
    return f"{first}\ncounts, {some} by any; the counts agree for {same}"


def lowest(x: np.ndarray, loss: np.ndarray, failed: np.ndarray) -> str:
    """Return the title of the losses: the best model without superposition against the best."""
    fits = np.where(failed, np.nan, loss)
    without = np.nanmin(np.where(x <= SOME, fits, np.nan))
    factor = without / np.nanmin(fits)
    first = f"S {SPARSITIES[-1]:g}: the lowest loss without"
    return f"{first}\nsuperposition is {factor:.1f} times the lowest"
