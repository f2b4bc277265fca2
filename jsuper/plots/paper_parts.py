"""What the figures of `paper` share: cells, titles, scales and guides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.plots.selection import check_variables
from jsuper.plots.style import tick_label

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CELLS = 60  # of a grid


def figure_of(ax: Axes) -> Figure:
    """Return the figure that Axes are on."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def cells_over(ds: xarray.Dataset, dims: tuple[str, ...]) -> tuple[xarray.Dataset, str]:
    """Return the best seed of every cell over `dims`, which all exist then, and a title."""
    import jsuper
    from jsuper.plots.selection import _select_advice

    check_variables(ds, "W", "status")
    title = best_of(ds)
    if "seed" in ds.dims:
        ds = jsuper.best(ds)
    many = [str(d) for d in ds["status"].dims if d not in dims and ds.sizes[d] > 1]
    if many:
        raise ValueError(f"ds has further dimensions: {_select_advice(ds, many)}")
    ds = ds.isel({d: 0 for d in ds["status"].dims if d not in dims})
    for dim in dims:
        if dim not in ds.coords:
            raise ValueError(f"ds has no coordinate {dim!r}; select with drop=False")
        if dim not in ds.dims:
            ds = ds.expand_dims(dim)
    count = int(np.prod([ds.sizes[d] for d in dims], initial=1))
    if count > MOST_CELLS:
        example = ", ".join(f"{d}={ds[d].values[:2].tolist()}" for d in dims if ds.sizes[d] > 2)
        raise ValueError(
            f"ds has {count} cells, and the figure has at most {MOST_CELLS}; select some, e.g. "
            f"ds.sel({example})"
        )
    return ds, title


def best_of(ds: xarray.Dataset) -> str:
    """Return which seeds a figure shows."""
    if "seed" in ds.dims and ds.sizes["seed"] > 1:
        return f"best of {ds.sizes['seed']} seeds"
    seeds = np.atleast_1d(ds["seed"].values) if "seed" in ds.coords else np.array([])
    if seeds.size == 1:
        return f"seed {tick_label(seeds.flat[0])}"
    return "the seed of each cell" if seeds.size else "one seed"


def without_model(*axes: Axes) -> None:
    """Say on Axes that there is no model."""
    for ax in axes:
        ax.set(xticks=[], yticks=[])
    axes[0].text(0.5, 0.5, "no model", ha="center", va="center", transform=axes[0].transAxes)


def add_scales(figure: Figure, axes: np.ndarray) -> None:
    """Add the colour scales of the matrices and of the bars, shared by all panels."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    kinds = ((Normalize(-1, 1), "RdBu_r", "WᵀW and b", [-1, 0, 1]),)
    kinds += ((Normalize(0, 1), "viridis", "interference", [0, 1]),)
    for norm, name, label, ticks in kinds:
        bar = figure.colorbar(ScalarMappable(norm, name), ax=axes, ticks=ticks, aspect=30, pad=0.01)
        bar.set_label(label)


def draw_polygon(ax: Axes, value: float, corners: int) -> None:
    """Draw a regular arrangement at the right of its guide's label."""
    away = {2 / 5: 0.03, 3 / 8: -0.035}.get(value, 0)  # two that are nearly as high
    inset = ax.inset_axes((1.22, (value + 0.04) / 1.08 - 0.04 + away, 0.07, 0.08))
    angles = np.pi / 2 + 2 * np.pi * np.arange(corners) / corners
    x, y = np.cos(angles), np.sin(angles)
    for i in range(corners):
        inset.plot([0, x[i]], [0, y[i]], color="0.3", linewidth=0.8)
    inset.plot(x, y, "o", color="0.3", markersize=2)
    inset.set(aspect="equal", xlim=(-1.3, 1.3), ylim=(-1.3, 1.3))
    inset.set_axis_off()
