"""Figures of dropout: a measure along the rate, and the chance that a feature is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jsuper.plots.reading import Taken, take
from jsuper.plots.style import (
    COLORS,
    GUIDE,
    MARKERS,
    SMALL,
    TITLE,
    legend,
    log_axis,
    own,
    ramp,
    wide,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

LEVEL = 0.95
FEW_DECADES = 1000.0  # below it a logarithmic axis has three ticks a decade


def against_dropout(
    ds: xarray.Dataset,
    variable: str,
    *,
    null: float | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A variable against dropout: a line per density, the mean over seeds and its 95 % interval.

    The intervals are Student's, of the mean over the seeds that have a value; where only one has,
    there is none. The y axis is logarithmic where all means lie above 0 and far apart.

    Parameters
    ----------
    ds
        Of `jsuper.analyze`, with several values of dropout, and no dimensions of several
        values but dropout, sparsity and seed.
    variable
        One value per model.
    null
        What the variable would be if dropout did nothing of the kind, a dashed line.
    label
        Of the y axis; the variable's name by default.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the title says how many models are left out.

    Raises
    ------
    ValueError
        There is no axis of dropout, a name is not there, or `ds` has further
        dimensions.
    """
    from matplotlib.ticker import LogLocator

    if ds.sizes.get("dropout", 1) < 2:
        raise ValueError(
            "ds has no dimension 'dropout' of several values; sweep it, e.g. "
            "jsuper.Sweep(dropout=(0.0, 0.1, 0.2))"
        )
    taken = take(ds, variable, ("sparsity", "dropout"))
    taken = Taken(*(a.sortby(["sparsity", "dropout"]) for a in taken))
    ax, x = own(ax), taken.values["dropout"].values
    mean, half = mean_and_half(taken.values.values)
    if wide(mean):
        log_axis(ax.yaxis, mean)
        if np.nanmax(mean) / np.nanmin(mean) < FEW_DECADES:
            ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    densities = 1 - taken.values["sparsity"].values
    for density, style, y, error in zip(densities, ramp(len(densities)), mean, half, strict=True):
        ax.plot(x, y, **style, linewidth=1.3, markersize=3.5, label=f"density {density:.3g}")
        ax.fill_between(x, y - error, y + error, color=style["color"], alpha=0.2, linewidth=0)
    if null is not None:
        ax.axhline(null, color="0.4", linestyle=(0, (4, 3)), linewidth=1, label=f"null {null:.3g}")
    ax.set_xlabel("dropout rate q")
    ax.set_ylabel(variable if label is None else label)
    ax.set_title(f"mean of {taken.seeds}, 95 % interval; {taken.said}", fontsize=TITLE)
    legend(ax)
    return ax


def mean_and_half(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the last axis and half the width of its 95 % interval; NaN are left out.

    The mean is NaN where nothing is left; the half is 0 where fewer than two values are.
    """
    fine = np.isfinite(values)
    count = fine.sum(axis=-1)
    mean = np.where(fine, values, 0).sum(axis=-1) / np.where(count == 0, np.nan, count)
    away = np.where(fine, values - mean[..., None], 0)
    several = np.maximum(count - 1, 1)
    spread = np.sqrt((away**2).sum(axis=-1) / several)
    t = stats.t.ppf((1 + LEVEL) / 2, several)
    return mean, np.where(count < 2, 0, t * spread / np.sqrt(np.maximum(count, 1)))


def untouched(
    measured: np.ndarray, predicted: Mapping[str, np.ndarray], *, ax: Axes | None = None
) -> Axes:
    """The chance that dropout leaves a feature alone against what it should be, a point per cell.

    Parameters
    ----------
    measured
        Chances, of any shape; NaN are left out.
    predicted
        Name of a prediction -> chances of the same shape.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; points on the diagonal are predicted right.

    Raises
    ------
    ValueError
        There is no prediction, or one has another shape.
    """
    measured = np.asarray(measured, float)
    shapes = {name: np.shape(values) for name, values in predicted.items()}
    wrong = {name: shape for name, shape in shapes.items() if shape != measured.shape}
    if wrong or not shapes:
        raise ValueError(
            f"measured has shape {measured.shape} and predicted {shapes}; give at least one "
            "prediction, each of that shape"
        )
    ax = own(ax, width=7.6)
    ax.plot([0, 1], [0, 1], **GUIDE)
    for i, (name, values) in enumerate(predicted.items()):
        x, y = np.asarray(values, float).ravel(), measured.ravel()
        fine = np.isfinite(x) & np.isfinite(y)
        dots: dict[str, Any] = {
            "color": COLORS[i % len(COLORS)],
            "marker": MARKERS[i % len(MARKERS)],
        }
        ax.scatter(x[fine], y[fine], s=14, alpha=0.7, linewidths=0, **dots, label=name)
    ax.set_aspect("equal")
    ax.set_xlabel("predicted chance")
    ax.set_ylabel("share of masks that leave it alone")
    ax.set_title(f"{int(np.isfinite(measured).sum())} cells, mean over features", fontsize=TITLE)
    ax.tick_params(labelsize=SMALL + 1)
    legend(ax)
    return ax
