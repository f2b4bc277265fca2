"""Phase diagrams of two features in one hidden unit, and of three in two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.plots.style import SMALL_FONT, TITLE_FONT, Style, get_axes, set_log_scale, verbatim

if TYPE_CHECKING:
    import xarray
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# of not represented, dedicated dimension, superposed; the last for cells without a model
OUTCOME_COLORS = ("#F2F2F2", "#56B4E9", "#E69F00")
NO_MODEL_COLOR = "#999999"
DENSITY, IMPORTANCE = "density, 1 - sparsity", "relative importance of the last feature"
LEGEND: Style = {"frameon": False, "fontsize": 8, "title_fontsize": 8, "alignment": "left"}


def phase_diagram(ds: xarray.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the outcome of the last feature in every cell of density x relative importance.

    A cell shows the best seed. The line is the boundary of theory, if `ds` has models that theory
    is about: beyond it, the global minimum of the expected loss lacks one of the features. For
    three features in two units, the last one has a unit for itself where it is the most important,
    above the horizontal line.

    Parameters
    ----------
    ds
        As in `jsuper.analysis.phases.phase_map`.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the share of cells that agree with theory.

    Raises
    ------
    ValueError
        An axis is missing, or there are further ones.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, "Superposition as a Phase Change".
    """
    from jsuper.analysis import phases
    from jsuper.analysis.reading import of_plain_relu

    found = phases.phase_map(ds)
    ax = get_axes(ax, 6.4, 4.6)
    _draw_cells(ax, found)
    title, entries = f"best of {ds.sizes.get('seed', 1)} seeds", _outcome_entries(found)
    if of_plain_relu(ds):
        (checked,) = phases.agreement(ds)
        title += f"; {checked.found:.1%} of {found.size:,} cells have theory's outcome"
        entries.append(_draw_boundary(ax, phases.THRESHOLD, ds.sizes["hidden"]))
    set_log_scale(ax.xaxis, 1 - found["sparsity"].values)
    set_log_scale(ax.yaxis, found[found.dims[1]].values)
    ax.set_xlabel(DENSITY)
    ax.set_ylabel(IMPORTANCE)
    ax.set_title(title, fontsize=TITLE_FONT)
    style = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0}
    ax.legend(handles=entries, title=f"last feature ({_threshold()})", **style, **LEGEND)
    return ax


def phase_diagrams(ds: xarray.Dataset) -> Figure:
    """Draw the phase diagram of every activation, and the share of cells with superposition.

    Parameters
    ----------
    ds
        As in `phase_diagram`, with several activations.

    Returns
    -------
    Figure
        One panel for each activation, from the largest share of superposed cells to the smallest.
        The panel of relu has the boundary of theory.

    Raises
    ------
    ValueError
        An axis is missing, or there are further ones.
    """
    import matplotlib.pyplot as plt

    from jsuper.analysis import phases
    from jsuper.analysis.reading import of_plain_relu

    found = phases.phase_maps(ds)
    shares = phases.shares_of(found).sel(outcome="superposed").sortby("activation")
    names = shares.sortby(-shares)["activation"].values.tolist()
    columns = min(7, len(names))
    rows = -(-len(names) // columns)
    figure = plt.figure(figsize=(1.5 * columns + 0.8, 1.55 * rows + 1.0), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    entries = _outcome_entries(found)
    for ax, name in zip(axes, names, strict=False):
        _draw_cells(ax, found.sel(activation=name))
        if of_plain_relu(ds.sel(activation=[name])):
            entries.append(_draw_boundary(ax, phases.THRESHOLD, ds.sizes["hidden"]))
        set_log_scale(ax.xaxis, 1 - found["sparsity"].values)
        set_log_scale(ax.yaxis, found[found.dims[2]].values)
        ax.tick_params(labelsize=SMALL_FONT, labelbottom=True)
        share = float(shares.sel(activation=name))
        ax.set_title(f"{verbatim(name)}, {share:.0%}", fontsize=TITLE_FONT)
    for ax in axes[len(names) :]:
        ax.remove()
    figure.supxlabel(DENSITY, fontsize=TITLE_FONT)
    figure.supylabel(IMPORTANCE, fontsize=TITLE_FONT)
    seeds = ds.sizes.get("seed", 1)
    title = f"percentage of cells with superposition; best of {seeds} seeds; {_threshold()}"
    style: Style = LEGEND | {"loc": "outside upper center", "alignment": "center"}
    figure.legend(handles=entries, title=title, ncols=len(entries), **style)
    return figure


def _draw_cells(ax: Axes, found: xarray.DataArray) -> None:
    """Draw the outcomes of one activation: (sparsity, relative importance)."""
    from matplotlib.colors import ListedColormap

    relative = str(found.dims[1])
    found = found.sortby(relative).sortby("sparsity", ascending=False)
    x, y = _edges(1 - found["sparsity"].values), _edges(found[relative].values)
    colors = ListedColormap([NO_MODEL_COLOR, *OUTCOME_COLORS])
    limits = {"vmin": -1.5, "vmax": 2.5, "rasterized": True}
    ax.pcolormesh(x, y, found.values.T, cmap=colors, **limits)
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(y[0], y[-1])


def _edges(values: np.ndarray) -> np.ndarray:
    """Return the edges of cells around ascending values, on a logarithmic axis."""
    places = np.log(values)
    inner = (places[1:] + places[:-1]) / 2
    ends = (2 * places[0] - inner[0], 2 * places[-1] - inner[-1])
    return np.exp(np.concatenate([ends[:1], inner, ends[1:]]))


def _draw_boundary(ax: Axes, threshold: float, hidden: int) -> Line2D:
    """Draw the densities at which a column's norm passes the threshold, where they are below 1."""
    from matplotlib.lines import Line2D

    from jsuper.analysis.phases import boundary_line

    limits = ax.get_xlim(), ax.get_ylim()
    r, densities = boundary_line(threshold)
    r, densities = r[densities < 1], densities[densities < 1]
    style = {"color": "black", "linewidth": 1.6}
    ax.plot(densities, r, **style)
    if hidden == 1:
        ax.plot(densities, 1 / r, **style)  # the features exchanged
    else:
        ax.axhline(1, **style)
    ax.set_xlim(limits[0])
    ax.set_ylim(limits[1])
    return Line2D([], [], **style, label="boundary of theory")


def _outcome_entries(found: xarray.DataArray) -> list[Artist]:
    """Return the legend's entries of the outcomes, and of cells without a model if any."""
    from matplotlib.patches import Patch

    from jsuper.analysis.phases import OUTCOMES

    named: dict[str, str] = dict(zip(OUTCOMES, OUTCOME_COLORS, strict=True))
    if (found.values < 0).any():
        named["no model"] = NO_MODEL_COLOR
    return [Patch(facecolor=color, edgecolor="0.5", label=name) for name, color in named.items()]


def _threshold() -> str:
    from jsuper.analysis.phases import THRESHOLD

    return f"norm threshold {THRESHOLD:g}"
