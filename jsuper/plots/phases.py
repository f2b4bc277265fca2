"""Phase diagrams of two features in one hidden unit, and of three in two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.plots.style import TITLE_FONT, get_axes, set_log_scale

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

# of not represented, dedicated dimension, superposed; the last for cells without a model
OUTCOME_COLORS = ("#F2F2F2", "#56B4E9", "#E69F00")
NO_MODEL_COLOR = "#999999"


def phase_diagram(ds: xarray.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the outcome of the last feature in every cell of density x relative importance.

    A cell shows the best seed. The line is the boundary of theory: beyond it, the global minimum of
    the expected loss lacks one of the features. For three features in two units, the last one has a
    unit for itself where it is the most important, above the horizontal line.

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
    Elhage et al., "Toy Models of Superposition" (2022), "Superposition as a Phase Change".
    """
    from matplotlib.colors import ListedColormap

    from jsuper.analysis import phases

    found = phases.phase_map(ds)
    relative = str(found.dims[1])
    found = found.sortby(relative).sortby("sparsity", ascending=False)
    density, importance = 1 - found["sparsity"].values, found[relative].values
    (checked,) = phases.agreement(ds)
    ax = get_axes(ax, 6.4, 4.6)
    colors = ListedColormap([NO_MODEL_COLOR, *OUTCOME_COLORS])
    limits = {"vmin": -1.5, "vmax": 2.5, "rasterized": True}
    ax.pcolormesh(_edges(density), _edges(importance), found.values.T, cmap=colors, **limits)
    _draw_boundary(ax, phases.THRESHOLD, ds.sizes["hidden"])
    set_log_scale(ax.xaxis, density)
    set_log_scale(ax.yaxis, importance)
    ax.set_xlim(*_edges(density)[[0, -1]].tolist())
    ax.set_ylim(*_edges(importance)[[0, -1]].tolist())
    ax.set_xlabel("density, 1 - sparsity")
    ax.set_ylabel("relative importance of the last feature")
    ax.set_title(
        f"best of {ds.sizes.get('seed', 1)} seeds; {checked.found:.1%} of {found.size:,} cells "
        "have theory's outcome",
        fontsize=TITLE_FONT,
    )
    _add_legend(ax, f"norm threshold {phases.THRESHOLD:g}", bool((found.values < 0).any()))
    return ax


def _edges(values: np.ndarray) -> np.ndarray:
    """Return the edges of cells around ascending values, on a logarithmic axis."""
    places = np.log(values)
    inner = (places[1:] + places[:-1]) / 2
    ends = (2 * places[0] - inner[0], 2 * places[-1] - inner[-1])
    return np.exp(np.concatenate([ends[:1], inner, ends[1:]]))


def _draw_boundary(ax: Axes, threshold: float, hidden: int) -> None:
    """Draw the densities at which a column's norm passes the threshold, where they are below 1."""
    from jsuper.analysis.phases import boundary_line

    r, densities = boundary_line(threshold)
    r, densities = r[densities < 1], densities[densities < 1]
    style = {"color": "black", "linewidth": 1.6}
    ax.plot(densities, r, **style)
    if hidden == 1:
        ax.plot(densities, 1 / r, **style)  # the features exchanged
    else:
        ax.axhline(1, **style)


def _add_legend(ax: Axes, text: str, lacking: bool) -> None:
    """Add the colours of the outcomes and the line of theory below the axes."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    from jsuper.analysis.phases import OUTCOMES

    handles: list = [
        Patch(facecolor=color, edgecolor="0.5", label=name)
        for color, name in zip(OUTCOME_COLORS, OUTCOMES, strict=True)
    ]
    if lacking:
        handles.append(Patch(facecolor=NO_MODEL_COLOR, label="no model"))
    handles.append(Line2D([], [], color="black", label=f"boundary of theory, {text}"))
    ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        borderaxespad=0,
        frameon=False,
        fontsize=8,
        title="last feature",
        title_fontsize=8,
        alignment="left",
    )
