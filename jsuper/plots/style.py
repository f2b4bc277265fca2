"""How the figures look: the style of every activation, axes, scales and legends."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.core.expecting import expect
from jsuper.core.text import printable
from jsuper.models.toy.activations.names import KNOWN, parse_activation

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Okabe and Ito's colours without yellow, which is too pale for lines on white, and two of Paul
# Tol's muted ones: all pairs differ by 17 or more in CIELAB, also without red or green cones.
COLORS = (
    "#000000",  # black
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#009E73",  # bluish green
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#CC79A7",  # reddish purple
    "#882255",  # wine
    "#332288",  # indigo
)
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
OTHER_LINES = ((0, (7, 2, 1, 2, 1, 2)), (0, (10, 3)), (0, (2, 3)))  # of names not in the table
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")  # 11: no divisor of 9 or of 4
GUIDE = {"color": "0.6", "linewidth": 0.8, "zorder": 0.5}
SMALL = 7  # points, of text within and beside the axes
TITLE = 9
WIDE = 30.0  # numbers over more than this factor are shown on a logarithmic scale
ROWS = 16  # of a legend's column


def activation_style(name: str) -> dict[str, Any]:
    """Return the color, linestyle and marker of an activation, the same in every figure.

    No 44 colours can be told apart, so colour, line and marker say it together. A name with a
    parameter has the colour of its member; it and a function of the user's own have lines that no
    name of the table has, chosen by the name alone.

    Parameters
    ----------
    name
        As in the coordinate "activation", e.g. "relu", "elu(0.25)" or "my_function".

    Returns
    -------
    dict[str, Any]
        Keywords of `Axes.plot`: color, linestyle, marker.

    Raises
    ------
    ValueError
        `name` is no text.
    """
    if not isinstance(name, str):
        raise ValueError(f"name={name!r} is not the name of an activation; try 'relu'")
    member, parameters = _member(name)
    if member is not None and not parameters:
        i = KNOWN.index(member)
        line: Any = LINES[i // len(COLORS) % len(LINES)]
        return _style(i, line, i)
    number = zlib.crc32(f"{member}{parameters}".encode() if member else name.encode())
    color = KNOWN.index(member) if member else number // 97
    return _style(color, OTHER_LINES[number // 11 % len(OTHER_LINES)], number)


def _style(color: int, line: Any, marker: int) -> dict[str, Any]:
    return {
        "color": COLORS[color % len(COLORS)],
        "linestyle": line,
        "marker": MARKERS[marker % len(MARKERS)],
    }


def _member(name: str) -> tuple[str | None, tuple[float, ...]]:
    """Return the member and its parameters; None for a name that is not of the table."""
    try:
        return parse_activation(name)
    except ValueError:
        return None, ()


def activation_order(names: Iterable[str]) -> list[int]:
    """Positions that sort activations as the table does; the user's own come last, as given."""
    names = list(names)

    def place(i: int) -> tuple[int, tuple[float, ...]]:
        member, parameters = _member(str(names[i]))
        return (len(KNOWN) if member is None else KNOWN.index(member)), parameters

    return sorted(range(len(names)), key=place)


def ramp(count: int) -> list[dict[str, Any]]:
    """Styles of a quantity's rising values: dark to light, without the palest."""
    import matplotlib as mpl

    colors = mpl.colormaps["viridis"](np.linspace(0, 0.85, count))
    return [
        {"color": tuple(c), "linestyle": "-", "marker": MARKERS[i % len(MARKERS)]}
        for i, c in enumerate(colors)
    ]


def own(ax: Axes | None, width: float = 8.5, height: float = 4.6) -> Axes:
    """Return the Axes given, or those of a new figure of a size in inches."""
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    if ax is not None:
        expect("ax", ax, Axes, "an Axes", "ax=plt.subplots()[1]")
        return ax

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def wide(values: np.ndarray) -> bool:
    """Whether numbers are all positive, and so far apart that a linear scale hides the small."""
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() / values.min() > WIDE)


def log_axis(axis: Axis, values: np.ndarray) -> None:
    """A logarithmic axis, with plain numbers, and three ticks a decade where there are few."""
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

    axis.axes.set_xscale("log") if axis is axis.axes.xaxis else axis.axes.set_yscale("log")
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (1.0, 1.0)
    if high / low < WIDE:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_minor_formatter(NullFormatter())
    plain = high / low < WIDE or (low >= 1e-3 and high <= 1e4)
    axis.set_major_formatter("{x:g}" if plain else LogFormatterSciNotation())


def density_axis(ax: Axes, sparsity: np.ndarray) -> np.ndarray:
    """1/(1 - S) of the paper's figures, and a logarithmic x axis for it."""
    bad = sparsity[~((sparsity >= 0) & (sparsity < 1))]
    if bad.size:
        raise ValueError(f"sparsity={bad.flat[0]:g} is not in [0, 1)")
    x = np.round(1 / (1 - sparsity), 6)  # 10 of 0.9, not 9.999..., beside which ticks go astray
    log_axis(ax.xaxis, x)
    ax.set_xlabel("1 / (1 - sparsity)")
    return x


def guides(ax: Axes, labels: dict[float, str]) -> None:
    """Thin horizontal lines, each named beside the right edge of the axes."""
    values = sorted(labels)
    for value in values:
        ax.axhline(value, **GUIDE)
        near = [v for v in values if 0 < abs(v - value) < 0.05]  # their names would touch
        va = "center" if not near else "bottom" if value > near[0] else "top"
        where = ax.get_yaxis_transform()
        text = labels[value]
        ax.text(1.01, value, text, transform=where, va=va, fontsize=SMALL, color="0.3")


def legend(ax: Axes) -> None:
    """Return what the lines and markers are, to the right of the axes, where no data are."""
    handles, labels = ax.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))  # drawn twice on the same axes: named once
    ax.legend(
        list(once.values()),
        list(once),
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        borderaxespad=0,
        ncols=-(-len(once) // ROWS),
        fontsize=SMALL,
        frameon=False,
        handlelength=3.2,  # a whole period of every line
        columnspacing=1,
    )


def tick(value: object) -> str:
    """Return a coordinate as a short label."""
    return verbatim(value) if isinstance(value, str) else f"{value:g}"


def verbatim(text: str) -> str:
    """Return a text that a figure shows as it is: dollar signs begin no mathematics."""
    return printable(text).replace("$", r"\$")


def ticks(values: xarray.DataArray) -> list[str]:
    """Return a dimension's coordinates as labels."""
    return [tick(v) for v in values.values]
