"""Figures of dropout: a variable against its rate, and the probability of leaving a feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from jsuper.plots.selection import check_dropout, select
from jsuper.plots.style import (
    COLORS,
    GUIDE_STYLE,
    MARKERS,
    SMALL_FONT,
    TITLE_FONT,
    Style,
    add_legend,
    draw_null,
    get_axes,
    needs_log_scale,
    ramp_styles,
    set_log_scale,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

LEVEL = 0.95
FEW_DECADES = 1000.0  # range below which a logarithmic axis has three ticks per decade


def against_dropout(
    ds: xarray.Dataset,
    variable: str,
    *,
    null: float | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a variable's mean over seeds and its 95 % interval against dropout, a line per density.

    Intervals are Student's t intervals of the mean over the seeds with a finite value; a single
    seed has none. The y axis is logarithmic if all means are positive and span more than a factor
    of 30.

    Parameters
    ----------
    ds
        Result of `jsuper.analyze`, with several values of dropout. Dimensions other than dropout,
        sparsity and seed have length one.
    variable
        Name of a variable with one value per model.
    null
        Value without an effect of dropout, drawn as a dashed line.
    label
        Label of the y axis. Default: the name of the variable.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        `ds` has only one value of dropout, lacks the variable or has further dimensions.
    """
    from matplotlib.ticker import LogLocator

    check_dropout(ds)
    selection = select(ds, variable, ("sparsity", "dropout")).sortby(["sparsity", "dropout"])
    ax, x = get_axes(ax), selection.values["dropout"].values
    mean, half = mean_and_half(selection.values.values)
    if needs_log_scale(mean):
        set_log_scale(ax.yaxis, mean)
        if np.nanmax(mean) / np.nanmin(mean) < FEW_DECADES:
            ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    densities = 1 - selection.values["sparsity"].values
    for density, style, y, error in zip(
        densities, ramp_styles(len(densities)), mean, half, strict=True
    ):
        ax.plot(x, y, **style, linewidth=1.3, markersize=3.5, label=f"density {density:.3g}")
        ax.fill_between(x, y - error, y + error, color=style["color"], alpha=0.2, linewidth=0)
    if null is not None:
        draw_null(ax, null)
    ax.set_xlabel("dropout rate q")
    ax.set_ylabel(variable if label is None else label)
    ax.set_title(
        f"mean of {selection.seeds_text}, 95 % interval; {selection.left_out_text}",
        fontsize=TITLE_FONT,
    )
    add_legend(ax)
    return ax


def mean_and_half(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over the last axis and half the width of its 95 % interval, ignoring NaN.

    Without values the mean is NaN; with fewer than two the half width is 0.
    """
    finite = np.isfinite(values)
    count = finite.sum(axis=-1)
    mean = np.where(finite, values, 0).sum(axis=-1) / np.where(count == 0, np.nan, count)
    away = np.where(finite, values - mean[..., None], 0)
    several = np.maximum(count - 1, 1)
    spread = np.sqrt((away**2).sum(axis=-1) / several)
    t = stdtrit(several, (1 + LEVEL) / 2)
    return mean, np.where(count < 2, 0, t * spread / np.sqrt(np.maximum(count, 1)))


def untouched(
    measured: np.ndarray, predicted: Mapping[str, np.ndarray], *, ax: Axes | None = None
) -> Axes:
    """Draw measured against predicted probabilities that dropout leaves a feature unchanged.

    Parameters
    ----------
    measured
        Probabilities, of any shape, one point each; NaN are left out.
    predicted
        Name of a prediction -> probabilities of the same shape.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; correct predictions lie on the diagonal.

    Raises
    ------
    ValueError
        There is no prediction, or one has a different shape.
    """
    measured = np.asarray(measured, float)
    shapes = {name: np.shape(values) for name, values in predicted.items()}
    wrong = {name: shape for name, shape in shapes.items() if shape != measured.shape}
    if wrong or not shapes:
        raise ValueError(
            f"measured has shape {measured.shape} and predicted {shapes}; give at least one "
            "prediction, each of that shape"
        )
    ax = get_axes(ax, width=7.6)
    ax.plot([0, 1], [0, 1], **GUIDE_STYLE)
    for i, (name, values) in enumerate(predicted.items()):
        x, y = np.asarray(values, float).ravel(), measured.ravel()
        finite = np.isfinite(x) & np.isfinite(y)
        dots: Style = {
            "color": COLORS[i % len(COLORS)],
            "marker": MARKERS[i % len(MARKERS)],
        }
        ax.scatter(x[finite], y[finite], s=14, alpha=0.7, linewidths=0, **dots, label=name)
    ax.set_aspect("equal")
    ax.set_xlabel("predicted probability")
    ax.set_ylabel("share of masks that leave it unchanged")
    ax.set_title(
        f"{int(np.isfinite(measured).sum())} cells, mean over features", fontsize=TITLE_FONT
    )
    ax.tick_params(labelsize=SMALL_FONT + 1)
    add_legend(ax)
    return ax
