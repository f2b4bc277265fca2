"""Heatmap of a whole sweep: one variable over two dimensions."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis.metrics.toy_fits import QUALITY
from jsuper.core.text import format_number
from jsuper.plots.selection import Selection, select
from jsuper.plots.style import (
    LOG_RANGE,
    SMALL_FONT,
    TITLE_FONT,
    get_axes,
    needs_log_scale,
    tick_labels,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

# A triangle in a cell's upper right corner; the title shows the same as a Unicode character.
CORNER, CORNER_TEXT = [(0.0, 0.0), (-1.0, 0.0), (0.0, -1.0)], "\N{BLACK UPPER RIGHT TRIANGLE}"

MOST_COLUMNS, MOST_NUMBERS = 24, 1000  # of a figure with a number in every cell
LABELS = 12  # on an axis of larger figures


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
    """Draw a variable's median over seeds, or its spread, in one cell per pair of coordinates.

    A marked corner means that some of a cell's models are left out; a grey cell has no models. If
    `ds` contains failed_fit (see `jsuper.analyze`), cells in which at least half of the models are
    failed fits are hatched. Medians of losses include failed fits; all other variables exclude
    them.

    Outliers do not stretch the colour scale. It ends at 30 times above and below the median cell if
    it is logarithmic, and 3 interquartile ranges beyond the quartiles if it is linear; the colour
    bar then has a pointed end. Hatched cells do not affect the scale. With more than 24 columns or
    1,000 cells, cells have no numbers.

    Parameters
    ----------
    ds
        Result of `jsuper.run`, `jsuper.load` or `jsuper.analyze`. Dimensions other than `dims` and
        seed have length one.
    variable
        Name of a variable with one value per model, e.g. "loss_over_constant".
    dims
        Dimensions of the rows and of the columns.
    spread
        Draw the interquartile range over seeds instead of the median; a cell needs two models.
    log
        Use a logarithmic colour scale. Default: if all cells are positive and the largest is more
        than 30 times the smallest.
    ax
        Axes to draw on. Default: those of a new figure.
    axes
        Deprecated name of `dims`.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        A variable or dimension is missing, `ds` has further dimensions, `spread` with one seed, or
        `log` with values that are not positive.
    """
    if axes is not None:
        warnings.warn(
            "heatmap(axes=...) is deprecated; use dims=...", DeprecationWarning, stacklevel=2
        )
        dims = axes
    if len(dims) != 2 or dims[0] == dims[1] or "seed" in dims:
        raise ValueError(f"dims={dims!r}: give two different dimensions other than seed")
    selection = select(ds, variable, dims)
    numbers = [d for d in dims if selection.values[d].dtype.kind in "iuf"]
    selection = selection.sortby(numbers)
    failed = _failed(ds, selection, dims, numbers)
    if variable not in QUALITY:
        selection = selection._replace(values=selection.values.where(~failed))
    values = _spread(selection) if spread else selection.values.median("seed").values
    hatched = _mostly(failed, selection)
    shown = values[np.isfinite(values) & ~hatched]
    shown = shown if shown.size else values[np.isfinite(values)]
    if log and (shown <= 0).any():
        raise ValueError(
            f"log=True, but {variable!r} has cells <= 0 (the smallest is {shown.min():g}); "
            "leave log out for a linear scale"
        )
    rows, columns = values.shape
    lines = [k.splitlines() for k in tick_labels(selection.values[dims[1]])]
    upright = 0.08 * max((len(k) for of in lines if len(of) > 1 for k in of), default=0)
    many = columns > MOST_COLUMNS or values.size > MOST_NUMBERS
    size = (7.0, 6.0) if many else (2.5 + 0.75 * columns, 1.6 + 0.27 * rows + upright)
    ax = get_axes(ax, *size)
    norm, extend = _scale(shown, needs_log_scale(shown) if log is None else log)
    _draw(ax, values, hatched, norm, extend, numbers=not many)
    _label(ax, selection, dims)
    if many:
        _fewer_labels(ax, *values.shape)
    what = "interquartile range" if spread else "median"
    mark = f" ({CORNER_TEXT})" if selection.left_out.any() else ""
    title = f"{variable}: {what} over {selection.seeds_text}\n{selection.left_out_text}{mark}"
    if failed.any():
        excluded = "" if variable in QUALITY else " left out"
        title += f"; {int(failed.sum()):,} failed fits{excluded} (hatched: half of a cell or more)"
    ax.set_title(title, fontsize=TITLE_FONT)
    return ax


def _failed(
    ds: xarray.Dataset, selection: Selection, axes: tuple[str, str], numbers: list[str]
) -> xarray.DataArray:
    """Return the mask of failed fits; all False if `ds` does not contain them."""
    if "failed_fit" not in ds:
        return selection.left_out & False
    return (select(ds, "failed_fit", axes).values.sortby(numbers) == 1) & ~selection.left_out


def _mostly(failed: xarray.DataArray, selection: Selection) -> np.ndarray:
    """Return the cells whose median may be a failed fit, since at least half of the fits failed."""
    count = failed.sum("seed")
    return ((count > 0) & (2 * count >= (~selection.left_out).sum("seed"))).values


def _spread(selection: Selection) -> np.ndarray:
    """Return the interquartile range over seeds, NaN for fewer than two models."""
    if selection.values.sizes["seed"] < 2:
        raise ValueError("spread=True needs several seeds; ds has 1")
    enough = (~selection.left_out).sum("seed") > 1
    low, high = selection.values.where(enough, 0).quantile([0.25, 0.75], "seed")
    return (high - low).where(enough).values


def _scale(shown: np.ndarray, log: bool) -> tuple[Normalize, str]:
    """Return the colour scale, and the ends beyond which there are values."""
    from matplotlib.colors import LogNorm, Normalize

    if not shown.size:
        return Normalize(0, 1), "neither"
    first, middle, third = np.quantile(shown, [0.25, 0.5, 0.75])
    far = 3 * (third - first) or np.inf
    low, high = (middle / LOG_RANGE, middle * LOG_RANGE) if log else (first - far, third + far)
    below, above = shown.min() < low, shown.max() > high
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
    low, high = max(shown.min(), low), min(shown.max(), high)
    return (LogNorm(low, max(high, low * 1.01)) if log else Normalize(low, high)), extend


def _draw(
    ax: Axes,
    values: np.ndarray,
    hatched: np.ndarray,
    norm: Normalize,
    extend: str,
    numbers: bool,
) -> None:
    """Draw the image, the colour bar, and a number in every cell if these are asked for."""
    import matplotlib as mpl
    from matplotlib.patches import Rectangle

    cmap = mpl.colormaps["viridis"].with_extremes(bad="0.85")
    image = ax.imshow(np.where(hatched, np.nan, values), norm=norm, cmap=cmap, aspect="auto")
    for i, j in np.argwhere(hatched):
        style: Any = {"facecolor": "0.9", "edgecolor": "0.7", "hatch": "////", "linewidth": 0}
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, **style))
    for (i, j), value in np.ndenumerate(values if numbers else np.empty((0, 0))):
        dark = np.isfinite(value) and not hatched[i, j] and norm(value) < 0.5
        color = "w" if dark else "k"
        text = format_number(value, 2)
        ax.text(j, i, text, ha="center", va="center", fontsize=SMALL_FONT, color=color)
    ax.figure.colorbar(image, ax=ax, extend=extend, shrink=0.6 if len(values) > 9 else 1)


def _fewer_labels(ax: Axes, rows: int, columns: int) -> None:
    """Keep about a dozen of the labels on each axis."""
    for axis, count in ((ax.xaxis, columns), (ax.yaxis, rows)):
        kept = range(0, count, -(-count // LABELS))
        texts = [axis.get_ticklabels()[k].get_text() for k in kept]
        axis.set_ticks(list(kept), texts)


def _label(ax: Axes, selection: Selection, axes: tuple[str, str]) -> None:
    """Label rows and columns, and mark the corners of cells in which models are left out."""
    down, across = axes
    labels = tick_labels(selection.values[across])
    several = any("\n" in label for label in labels)  # lines: rows of fields that vary together
    crowded = several or sum(map(len, labels)) > 60  # horizontal labels would overlap
    ax.set_xticks(range(len(labels)), labels, rotation=90 if crowded else 0)
    ax.set_yticks(range(selection.values.sizes[down]), tick_labels(selection.values[down]))
    ax.set_xlabel(across)
    ax.set_ylabel(down)
    i, j = np.nonzero(selection.left_out.any("seed").values)
    style = {"c": "k", "edgecolors": "w", "linewidths": 0.5, "clip_on": True}
    ax.scatter(j + 0.5, i - 0.5, s=90, marker=CORNER, **style)  # type: ignore[arg-type]
