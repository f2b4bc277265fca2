"""Figures of activations: value and slope, and the gradient through inactive units."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.plots.style import (
    COLORS,
    GUIDE_STYLE,
    SMALL_FONT,
    TITLE_FONT,
    Style,
    activation_order,
    get_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from jsuper.analysis.gating import Profile

VALUE, SLOPE, REVERSED = COLORS[0], COLORS[4], COLORS[5]
REACH = 4.0  # range of inputs on either side of 0
Y_LIMITS = (-2.2, 3.2)
COLUMNS = 7
SHADE: Style = {"color": REVERSED, "alpha": 0.22, "linewidth": 0}

Activations = Iterable[str | Callable[[Any], Any]]


def profiles(
    activations: Activations | None = None, *, figure: Figure | SubFigure | None = None
) -> Figure | SubFigure:
    """Draw the value and slope of activations between -4 and 4, in one small panel each.

    The panels share their axes. Lines are broken at jumps, and regions of negative slope are
    shaded.

    Parameters
    ----------
    activations
        Names or elementwise functions. Default: all registered elementwise activations.
    figure
        Figure to draw on, preferably with `layout="constrained"`. Default: a new figure.

    Returns
    -------
    Figure | SubFigure
        `figure`, or the new one.

    Raises
    ------
    ValueError
        `activations` is empty, or one of them is unknown or not an elementwise function.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    given = _by_name(activations)
    columns = min(COLUMNS, len(given))
    rows = -(-len(given) // columns)
    figure = _figure(columns, rows) if figure is None else figure
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, (activation, found) in zip(axes, given, strict=False):
        _panel(ax, activation, found)
    for ax in axes[len(given) :]:
        ax.set_axis_off()
    for ax in axes[max(len(given) - columns, 0) : len(given)]:
        ax.set_xlabel("z", fontsize=SMALL_FONT)
        ax.tick_params(labelbottom=True)  # above an empty panel too
    key = [
        Line2D([], [], color=VALUE, linewidth=1.4, label="f(z)"),
        Line2D([], [], color=SLOPE, linewidth=1.2, linestyle="--", label="f'(z)"),
        Patch(**SHADE, label="where f'(z) < 0"),
    ]
    figure.legend(
        handles=key, loc="outside upper center", ncols=3, frameon=False, fontsize=SMALL_FONT + 1
    )
    return figure


def gating(activations: Activations | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw how much gradient inactive units, z < 0, pass on under N(0, 1) inputs, as bars.

    The bars are the inactive units' share of the squared gradient, and the share of inactive units
    with a negative slope. Activations are sorted by the first, then by the second, in descending
    order.

    Parameters
    ----------
    activations
        Names or elementwise functions. Default: all registered elementwise activations.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the y ticks are the activations.

    Raises
    ------
    ValueError
        `activations` is empty, or one of them is unknown or not an elementwise function.
    """
    found = [p for _, p in _by_name(activations)]
    # Rounded, so that equal shares keep the order of registration.
    found.sort(key=lambda p: (-round(p.gate.gradient_share, 9), -round(p.gate.reversed, 9)))
    ax = get_axes(ax, 7.5, 1.2 + 0.24 * len(found))
    y = np.arange(len(found))
    bars = [
        ("inactive units' share of the squared gradient", "gradient_share", SLOPE, -0.2),
        ("share of negative inputs with a negative slope", "reversed", REVERSED, 0.2),
    ]
    for label, key, color, shift in bars:
        share = np.array([100 * float(getattr(p.gate, key)) for p in found])
        ax.barh(y + shift, share, 0.4, color=color, label=label)
        for at, value in zip(y + shift, share, strict=True):
            if value > 0 or key == "gradient_share":  # one 0 per activation is enough
                ax.annotate(
                    _percent(value),
                    (value, at),
                    (2, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=SMALL_FONT - 1,
                )
    ax.set_yticks(y, [p.name for p in found], fontsize=SMALL_FONT + 0.5)
    ax.set_ylim(len(found) - 0.4, -0.6)
    ax.set_xlim(0, 100)
    ax.set_xlabel("% under N(0, 1) inputs")
    ax.legend(loc="lower right", fontsize=SMALL_FONT, frameon=False)
    return ax


def _by_name(activations: Activations | None) -> list[tuple[Any, Profile]]:
    """Return unique activations with their profiles, in the order of registration."""
    from jsuper.analysis.gating import ELEMENTWISE, profile

    if isinstance(activations, str):
        raise ValueError(f"activations={activations!r} is a single name; give a list")
    given = list(ELEMENTWISE if activations is None else activations)
    if not given:
        raise ValueError("activations is empty; name at least one, e.g. ['relu', 'gelu']")
    pairs = [(a, profile(a)) for a in dict.fromkeys(given)]
    return [pairs[i] for i in activation_order(p.name for _, p in pairs)]


def _figure(columns: int, rows: int) -> Figure:
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(0.6 + 1.5 * columns, 0.8 + 1.5 * rows), layout="constrained")


def _panel(ax: Axes, activation: Any, found: Profile) -> None:
    from jsuper.analysis.scalar import derivatives

    f = derivatives(activation)
    edges = np.array([k for k in found.kinks if -REACH < k < REACH])
    z = np.union1d(np.linspace(-REACH, REACH, 641), [edges - 1e-6, edges + 1e-6])
    value, slope = f(z), f(z, 1)
    ax.axhline(0, **GUIDE_STYLE)
    ax.axvline(0, **GUIDE_STYLE)
    whole = ax.get_xaxis_transform()  # full height, since most negative slopes are small
    ax.fill_between(z, 0, 1, where=(slope < 0).tolist(), transform=whole, **SHADE)
    ax.plot(*_broken(z, value), color=VALUE, linewidth=1.4)
    ax.plot(*_broken(z, slope), color=SLOPE, linewidth=1.2, linestyle="--")
    ax.set_title(found.name, fontsize=TITLE_FONT - 1, pad=3)
    ax.set_ylim(*Y_LIMITS)
    ax.set_xlim(-REACH, REACH)
    ax.set_xticks([-3, 0, 3])
    ax.set_yticks([-2, -1, 0, 1, 2, 3])
    ax.tick_params(labelsize=SMALL_FONT)


def _broken(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a line with gaps where y jumps between neighbouring points at a kink."""
    jump = np.flatnonzero((np.diff(z) < 1e-5) & (np.abs(np.diff(y)) > 1e-3)) + 1
    return np.insert(z, jump, np.nan), np.insert(y, jump, np.nan)


def _percent(value: float) -> str:
    """Return a percentage with at most two significant digits."""
    if value >= 9.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 0.95 else f"{value:.1g}"
