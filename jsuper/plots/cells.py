"""The figure of a whole sweep: a variable over two axes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis.metrics.toy_fits import QUALITY
from jsuper.core.text import format_number
from jsuper.plots.reading import Taken, take
from jsuper.plots.style import SMALL, TITLE, WIDE, own, ticks, wide

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

# A triangle in a cell's upper right corner. Unicode has the same for the title.
CORNER, CORNER_TEXT = [(0.0, 0.0), (-1.0, 0.0), (0.0, -1.0)], "\N{BLACK UPPER RIGHT TRIANGLE}"


def heatmap(
    ds: xarray.Dataset,
    variable: str,
    *,
    dims: tuple[str, str] = ("activation", "sparsity"),
    spread: bool = False,
    log: bool | None = None,
    ax: Axes | None = None,
    axes: tuple[str, str] | None = None,
) -> Axes:
    """A variable's median over seeds, or its spread, in a cell for every pair of two dimensions.

    A cell with a corner lacks a model, a grey one all. Where `ds` has failed_fit, as after
    `jsuper.analyze`, a cell is hatched if at least half of its models are failed fits. Failed fits
    count in the medians of losses; every other variable leaves them out.

    So that an outlier does not hide the rest, the colours end at a factor of 30 either side of the
    median cell on a logarithmic scale, and 3 interquartile ranges outside of the quartiles on a
    linear one; the colour bar then has a point, and the numbers say the value. Hatched cells have
    no part in the scale.

    Parameters
    ----------
    ds
        Of `jsuper.run`, `jsuper.load` or `jsuper.analyze`, with no dimensions of several
        values but `dims` and seed.
    variable
        One value per model, e.g. "loss_over_constant".
    dims
        The dimension down and the one across.
    spread
        The interquartile range over seeds instead of the median; a cell needs two models.
    log
        A logarithmic colour scale; by default where all cells are positive and the largest
        is more than 30 times the smallest.
    ax
        Where to draw; a new figure by default.
    axes
        The former name of `dims`, which works for one more release.

    Returns
    -------
    Axes
        The Axes; the title says how many models are left out.

    Raises
    ------
    ValueError
        A name is not there, `ds` has further dimensions, a spread is asked of one
        seed, or a logarithmic scale of numbers that are not positive.
    """
    if axes is not None:
        warnings.warn("heatmap(axes=...) is now dims=...", DeprecationWarning, stacklevel=2)
        dims = axes
    if len(dims) != 2 or dims[0] == dims[1] or "seed" in dims:
        raise ValueError(f"dims={dims!r} is not two different dimensions other than seed")
    taken = take(ds, variable, dims)
    numbers = [d for d in dims if taken.values[d].dtype.kind in "iuf"]
    taken = Taken(*(a.sortby(numbers) for a in taken))
    failed = _failed(ds, taken, dims, numbers)
    if variable not in QUALITY:
        taken = taken._replace(values=taken.values.where(~failed))
    values = _spread(taken) if spread else taken.values.median("seed").values
    hatched = _mostly(failed, taken)
    shown = values[np.isfinite(values) & ~hatched]
    shown = shown if shown.size else values[np.isfinite(values)]
    if log and (shown <= 0).any():
        raise ValueError(
            f"log=True, but {variable!r} has cells <= 0 (the smallest is {shown.min():g}); "
            "leave log out for a linear scale"
        )
    rows, columns = values.shape
    ax = own(ax, 2.5 + 0.75 * columns, 1.6 + 0.27 * rows)
    _draw(ax, values, hatched, *_scale(shown, wide(shown) if log is None else log))
    _name(ax, taken, dims)
    what = "interquartile range" if spread else "median"
    mark = f" ({CORNER_TEXT})" if taken.left_out.any() else ""
    title = f"{variable}: {what} over {taken.seeds}\n{taken.said}{mark}"
    if failed.any():
        use = "" if variable in QUALITY else " left out"
        title += f"; {int(failed.sum()):,} failed fits{use} (hatched cells: at least half)"
    ax.set_title(title, fontsize=TITLE)
    return ax


def _failed(
    ds: xarray.Dataset, taken: Taken, axes: tuple[str, str], numbers: list[str]
) -> xarray.DataArray:
    """Return which of the models taken are failed fits; none where that is not known."""
    if "failed_fit" not in ds:
        return taken.left_out & False
    return (take(ds, "failed_fit", axes).values.sortby(numbers) == 1) & ~taken.left_out


def _mostly(failed: xarray.DataArray, taken: Taken) -> np.ndarray:
    """The cells at least half of whose models failed: their median may be that of a failed fit."""
    count = failed.sum("seed")
    return ((count > 0) & (2 * count >= (~taken.left_out).sum("seed"))).values


def _spread(taken: Taken) -> np.ndarray:
    """Return the interquartile range over seeds; NaN where fewer than two models are left."""
    if taken.values.sizes["seed"] < 2:
        raise ValueError("spread=True needs several seeds; ds has 1")
    enough = (~taken.left_out).sum("seed") > 1
    low, high = taken.values.where(enough, 0).quantile([0.25, 0.75], "seed")
    return (high - low).where(enough).values


def _scale(shown: np.ndarray, log: bool) -> tuple[Normalize, str]:
    """Return the scale of colours, and at which of its ends numbers lie beyond it."""
    from matplotlib.colors import LogNorm, Normalize

    if not shown.size:
        return Normalize(0, 1), "neither"
    first, middle, third = np.quantile(shown, [0.25, 0.5, 0.75])
    far = 3 * (third - first) or np.inf
    low, high = (middle / WIDE, middle * WIDE) if log else (first - far, third + far)
    below, above = shown.min() < low, shown.max() > high
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
    low, high = max(shown.min(), low), min(shown.max(), high)
    return (LogNorm(low, max(high, low * 1.01)) if log else Normalize(low, high)), extend


def _draw(ax: Axes, values: np.ndarray, hatched: np.ndarray, norm: Normalize, extend: str) -> None:
    """Return the image, a number in every cell and the colour bar."""
    import matplotlib as mpl
    from matplotlib.patches import Rectangle

    cmap = mpl.colormaps["viridis"].with_extremes(bad="0.85")
    image = ax.imshow(np.where(hatched, np.nan, values), norm=norm, cmap=cmap, aspect="auto")
    for i, j in np.argwhere(hatched):
        style: Any = {"facecolor": "0.9", "edgecolor": "0.7", "hatch": "////", "linewidth": 0}
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, **style))
    for (i, j), value in np.ndenumerate(values):
        dark = np.isfinite(value) and not hatched[i, j] and norm(value) < 0.5
        color = "w" if dark else "k"
        text = format_number(value, 2)
        ax.text(j, i, text, ha="center", va="center", fontsize=SMALL, color=color)
    ax.figure.colorbar(image, ax=ax, extend=extend, shrink=0.6 if len(values) > 9 else 1)


def _name(ax: Axes, taken: Taken, axes: tuple[str, str]) -> None:
    """Return the names of rows and columns, and the corners of cells that lack a model."""
    down, across = axes
    labels = ticks(taken.values[across])
    crowded = sum(map(len, labels)) > 60  # upright, they would touch in a figure of usual width
    ax.set_xticks(range(len(labels)), labels, rotation=90 if crowded else 0)
    ax.set_yticks(range(taken.values.sizes[down]), ticks(taken.values[down]))
    ax.set_xlabel(across)
    ax.set_ylabel(down)
    i, j = np.nonzero(taken.left_out.any("seed").values)
    style = {"c": "k", "edgecolors": "w", "linewidths": 0.5, "clip_on": True}
    ax.scatter(j + 0.5, i - 0.5, s=90, marker=CORNER, **style)  # type: ignore[arg-type]
