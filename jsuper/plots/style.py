"""The look of the figures: styles of activations, axes, scales, legends and labels."""

from __future__ import annotations

import re
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
# Tol's muted ones: all pairs differ by at least 17 in CIELAB, also with colour blindness.
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
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
OTHER_LINE_STYLES = (
    (0, (7, 2, 1, 2, 1, 2)),
    (0, (10, 3)),
    (0, (2, 3)),
)  # of other names
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")  # 11 is coprime to 9 and 4
GUIDE_STYLE = {"color": "0.6", "linewidth": 0.8, "zorder": 0.5}
SMALL_FONT = 7  # points
TITLE_FONT = 9
LOG_RANGE = 30.0  # ratio of largest to smallest above which a scale is logarithmic
LEGEND_ROWS = 16


Style = dict[str, Any]
"""Keyword arguments of a matplotlib artist."""


def activation_style(name: str) -> Style:
    """Return the colour, line style and marker of an activation, the same in every figure.

    There are more activations than distinguishable colours, so line and marker differ as well. A
    name with a parameter, such as "elu(0.25)", has the colour of its activation. The line styles of
    such names and of a user's functions differ from those of all registered activations and depend
    only on the name.

    Parameters
    ----------
    name
        Value of the coordinate "activation", e.g. "relu", "elu(0.25)" or "my_function".

    Returns
    -------
    Style
        Keywords of `Axes.plot`: color, linestyle, marker.

    Raises
    ------
    ValueError
        `name` is not a string.
    """
    if not isinstance(name, str):
        raise ValueError(f"name={name!r} is not the name of an activation; try 'relu'")
    member, parameters = _member(name)
    if member is not None and not parameters:
        i = KNOWN.index(member)
        line: Any = LINE_STYLES[i // len(COLORS) % len(LINE_STYLES)]
        return _style(i, line, i)
    short_number = zlib.crc32(f"{member}{parameters}".encode() if member else name.encode())
    color = KNOWN.index(member) if member else short_number // 97
    return _style(
        color, OTHER_LINE_STYLES[short_number // 11 % len(OTHER_LINE_STYLES)], short_number
    )


def _style(color: int, line: Any, marker: int) -> Style:
    return {
        "color": COLORS[color % len(COLORS)],
        "linestyle": line,
        "marker": MARKERS[marker % len(MARKERS)],
    }


def _member(name: str) -> tuple[str | None, tuple[float, ...]]:
    """Return the registered activation and its parameters; None for any other name."""
    try:
        return parse_activation(name)
    except ValueError:
        return None, ()


def activation_order(names: Iterable[str]) -> list[int]:
    """Return the positions that sort names in the order of registration, others last."""
    names = list(names)

    def place(i: int) -> tuple[int, tuple[float, ...]]:
        member, parameters = _member(str(names[i]))
        return (len(KNOWN) if member is None else KNOWN.index(member)), parameters

    return sorted(range(len(names)), key=place)


def ramp_styles(count: int) -> list[Style]:
    """Return line styles for increasing values of a quantity, from dark to light."""
    import matplotlib as mpl

    colors = mpl.colormaps["viridis"](np.linspace(0, 0.85, count))
    return [
        {"color": tuple(c), "linestyle": "-", "marker": MARKERS[i % len(MARKERS)]}
        for i, c in enumerate(colors)
    ]


def get_axes(ax: Axes | None, width: float = 8.5, height: float = 4.6) -> Axes:
    """Return `ax`, or the Axes of a new figure whose size is in inches."""
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    if ax is not None:
        expect("ax", ax, Axes, "an Axes", "ax=plt.subplots()[1]")
        return ax

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def needs_log_scale(values: np.ndarray) -> bool:
    """Return whether all finite values are positive and span more than a factor of `LOG_RANGE`."""
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() / values.min() > LOG_RANGE)


def set_log_scale(axis: Axis, values: np.ndarray) -> None:
    """Make an axis logarithmic, with plain numbers, and three ticks per decade if there are few."""
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

    axis.axes.set_xscale("log") if axis is axis.axes.xaxis else axis.axes.set_yscale("log")
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (1.0, 1.0)
    if high / low < LOG_RANGE:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_minor_formatter(NullFormatter())
    plain = high / low < LOG_RANGE or (low >= 1e-3 and high <= 1e4)
    axis.set_major_formatter("{x:g}" if plain else LogFormatterSciNotation())


def set_density_axis(ax: Axes, sparsity: np.ndarray) -> np.ndarray:
    """Make the x axis logarithmic and return its values 1/(1 - S), as in the paper's figures."""
    bad = sparsity[~((sparsity >= 0) & (sparsity < 1))]
    if bad.size:
        raise ValueError(f"sparsity={bad.flat[0]:g} is not in [0, 1)")
    x = np.round(1 / (1 - sparsity), 6)  # 10 for 0.9, not 9.999..., which would misplace ticks
    set_log_scale(ax.xaxis, x)
    ax.set_xlabel("1 / (1 - sparsity)")
    return x


def draw_guides(ax: Axes, labels: dict[float, str]) -> None:
    """Draw thin horizontal lines, labelled at the right edge of the axes."""
    values = sorted(labels)
    for value in values:
        ax.axhline(value, **GUIDE_STYLE)
        near = [v for v in values if 0 < abs(v - value) < 0.05]  # labels would overlap
        va = "center" if not near else "bottom" if value > near[0] else "top"
        where = ax.get_yaxis_transform()
        text = labels[value]
        ax.text(1.01, value, text, transform=where, va=va, fontsize=SMALL_FONT, color="0.3")


def draw_null(ax: Axes, null: float) -> None:
    """Draw a dashed horizontal line at a statistic's null value, with an entry in the legend."""
    style: Style = {"color": "0.4", "linestyle": (0, (4, 3)), "linewidth": 1}
    ax.axhline(null, **style, label=f"null {null:.3g}")


def add_legend(ax: Axes) -> None:
    """Add a legend to the right of the axes."""
    handles, labels = ax.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    ax.legend(
        list(unique.values()),
        list(unique),
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        borderaxespad=0,
        ncols=-(-len(unique) // LEGEND_ROWS),
        fontsize=SMALL_FONT,
        frameon=False,
        handlelength=3.2,  # a full period of every line style
        columnspacing=1,
    )


def tick_label(value: object) -> str:
    """Return a coordinate value as a label."""
    return verbatim(value) if isinstance(value, str) else f"{value:g}"


def verbatim(text: str) -> str:
    """Return text that matplotlib shows verbatim, without mathematics between dollar signs."""
    return printable(text).replace("$", r"\$")


def tick_labels(values: xarray.DataArray) -> list[str]:
    """Return the labels of a coordinate; those of zipped rows have a line for every field."""
    return [re.sub(r", (?=\w+=)", "\n", tick_label(v)) for v in values.values]
