"""Figures of causal scrubbing: the variance of the outputs that each hypothesis misses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.reading import finished_values
from jsuper.plots.selection import left_out_text
from jsuper.plots.style import (
    COLORS,
    GUIDE_STYLE,
    SMALL_FONT,
    TITLE_FONT,
    Style,
    activation_order,
    add_legend,
    get_axes,
    set_density_axis,
    verbatim,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST = 1e-3  # missed variance below which there is no interference to explain
FLOOR = 1e-6  # smaller values are drawn here
COLUMNS = 5
STYLES: dict[str, Style] = {
    "self": {"color": COLORS[0], "linestyle": "-", "marker": "o", "markersize": 3},
    "random": {"color": "0.55", "linestyle": ":", "marker": "x", "markersize": 4},
    "cluster": {"color": COLORS[4], "linestyle": "-", "marker": "s", "markersize": 3},
    "subspaces": {"color": COLORS[2], "linestyle": "-.", "marker": ""},
    "antipodal": {
        "color": COLORS[5],
        "linestyle": "--",
        "marker": "D",
        "markersize": 6,  # surrounds the markers below it
        "markerfacecolor": "none",
    },
}


def missed(ds: xarray.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the missed variance, 1 - recovered, of one activation against 1/(1 - S) by hypothesis.

    Lines are medians over seeds, with the range of the seeds shaded. If two lines coincide, the
    smaller hypothesis suffices; if random is as low as cluster, only the number of inputs matters.

    Parameters
    ----------
    ds
        Result of `jsuper.scrub_all`. Dimensions of models other than sparsity and seed have length
        one.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        `ds` has no scrubbing results, or further dimensions.
    """
    values = _values(ds)
    ax = get_axes(ax, 6.0, 3.8)
    _draw(ax, values)
    ax.axhline(LEAST, **GUIDE_STYLE)
    add_legend(ax)
    left = int(values.isnull().all("hypothesis").sum())
    count = values.sizes["sparsity"] * values.sizes["seed"]
    ax.set_title(f"{values.attrs['activation']}, {left_out_text(left, count)}", fontsize=TITLE_FONT)
    return ax


def _draw(ax: Axes, values: xarray.DataArray) -> None:
    """Draw the lines of one activation."""
    x = set_density_axis(ax, values["sparsity"].values)
    ax.set_yscale("log")
    ax.set_ylim(FLOOR / 1.6, 2)
    for name, style in STYLES.items():
        one = np.maximum(values.sel(hypothesis=name).values, FLOOR)  # (sparsity, seed)
        some = np.isfinite(one).any(axis=1)
        if not some.any():
            continue
        low, middle, high = np.nanquantile(one[some], (0, 0.5, 1), axis=1)
        ax.fill_between(x[some], low, high, color=style["color"], alpha=0.15, linewidth=0)
        ax.plot(x[some], middle, label=name, linewidth=1.2, **style)
    ax.set_ylabel("share of variance missed")


def explained(ds: xarray.Dataset) -> Figure:
    """Draw `missed` for every activation, in the order of registration, and a legend.

    Parameters
    ----------
    ds
        Result of `jsuper.scrub_all`. Dimensions of models other than activation, sparsity and seed
        have length one.
    """
    import matplotlib.pyplot as plt

    order = activation_order(ds["activation"].values)
    across = min(COLUMNS, len(order) + 1)
    down = -(-(len(order) + 1) // across)  # one panel for the legend
    figure, axes = plt.subplots(
        down,
        across,
        figsize=(2.5 * across, 2.2 * down),
        layout="constrained",
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    places = axes.ravel()
    for place, i in enumerate(order):
        ax, values = places[place], _values(ds.isel(activation=[i]))
        _draw(ax, values)
        ax.axhline(LEAST, **GUIDE_STYLE)
        left = int(values.isnull().all("hypothesis").sum())
        note = f"\n{left_out_text(left, values.isel(hypothesis=0).size)}" if left else ""
        ax.set_title(f"{values.attrs['activation']}{note}", fontsize=TITLE_FONT)
        ax.tick_params(labelsize=SMALL_FONT)
        ax.label_outer()
        if place + across >= len(order):  # no panel below
            ax.xaxis.set_tick_params(labelbottom=True)
            ax.set_xlabel("1 / (1 - sparsity)")
    for ax in places[len(order) :]:
        ax.axis("off")
    handles = {}
    for ax in places[: len(order)]:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    places[len(order)].legend(handles.values(), handles, loc="center", frameon=False)
    return figure


def _values(ds: xarray.Dataset) -> xarray.DataArray:
    """Return 1 - recovered over (hypothesis, sparsity, seed), ascending, NaN if left out."""
    if "scrub_recovered" not in ds:
        raise ValueError("ds has no 'scrub_recovered'; give the result of jsuper.scrub_all")
    values = 1 - finished_values(ds, "scrub_recovered")
    name = str(np.atleast_1d(ds["activation"].values)[0])
    for dim, size in values.sizes.items():
        if size > 1 and dim not in ("hypothesis", "sparsity", "seed"):
            raise ValueError(f"ds has {size} values of {dim}; select one, e.g. ds.isel({dim}=0)")
    known = [d for d in ("sparsity", "seed") if d not in values.dims]
    values = values.expand_dims(known) if known else values
    single = [d for d in values.dims if d not in ("hypothesis", "sparsity", "seed")]
    values = values.squeeze(single, drop=True).transpose("hypothesis", "sparsity", "seed")
    return values.sortby("sparsity").assign_attrs(activation=verbatim(name))
