"""Figures of activations themselves: value and slope, and what inactive units pass back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.plots.style import COLORS, GUIDE, SMALL, TITLE, activation_order, own

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from jsuper.analysis.gating import Profile

VALUE, SLOPE, REVERSED = COLORS[0], COLORS[4], COLORS[5]
REACH = 4.0  # inputs shown, either side of 0
TALL = (-2.2, 3.2)  # outputs shown, where there are larger ones
COLUMNS = 7
SHADE: dict[str, Any] = {"color": REVERSED, "alpha": 0.22, "linewidth": 0}

Activations = Iterable[str | Callable[[Any], Any]]


def profiles(
    activations: Activations | None = None, *, figure: Figure | SubFigure | None = None
) -> Figure | SubFigure:
    """Value and slope of activations between -4 and 4, one small panel for each.

    The panels share their axes. A line is broken where it jumps; where the slope is negative, the
    panel is shaded.

    Parameters
    ----------
    activations
        Names or elementwise functions; all registered elementwise ones by default.
    figure
        Where to draw, best with `layout="constrained"`; a new figure by default.

    Returns
    -------
    Figure | SubFigure
        The figure, given or new.

    Raises
    ------
    ValueError
        There is none, or one is not known or no function of one number.
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
        ax.set_xlabel("z", fontsize=SMALL)
        ax.tick_params(labelbottom=True)  # also above an empty panel
    key = [
        Line2D([], [], color=VALUE, linewidth=1.4, label="f(z)"),
        Line2D([], [], color=SLOPE, linewidth=1.2, linestyle="--", label="f'(z)"),
        Patch(**SHADE, label="where f'(z) < 0"),
    ]
    figure.legend(
        handles=key, loc="outside upper center", ncols=3, frameon=False, fontsize=SMALL + 1
    )
    return figure


def gating(activations: Activations | None = None, *, ax: Axes | None = None) -> Axes:
    """What inactive units, z < 0, pass back under N(0, 1) inputs: two bars for each activation.

    Their share of the back-propagated squared gradient, and the share of them whose slope is
    negative. Sorted by the first, then by the second; the largest is on top.

    Parameters
    ----------
    activations
        Names or elementwise functions; all registered elementwise ones by default.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the y ticks are the activations.

    Raises
    ------
    ValueError
        There is none, or one is not known or no function of one number.
    """
    found = [p for _, p in _by_name(activations)]
    # Rounded, for equal shares to stay in the order of the table.
    found.sort(key=lambda p: (-round(p.gate.gradient_share, 9), -round(p.gate.reversed, 9)))
    ax = own(ax, 7.5, 1.2 + 0.24 * len(found))
    y = np.arange(len(found))
    bars = [
        ("inactive units' share of the squared gradient", "gradient_share", SLOPE, -0.2),
        ("share of negative inputs with a negative slope", "reversed", REVERSED, 0.2),
    ]
    for label, key, color, shift in bars:
        share = np.array([100 * float(getattr(p.gate, key)) for p in found])
        ax.barh(y + shift, share, 0.4, color=color, label=label)
        for at, value in zip(y + shift, share, strict=True):
            if value > 0 or key == "gradient_share":  # one 0 is enough for those without any
                ax.annotate(
                    _percent(value),
                    (value, at),
                    (2, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=SMALL - 1,
                )
    ax.set_yticks(y, [p.name for p in found], fontsize=SMALL + 0.5)
    ax.set_ylim(len(found) - 0.4, -0.6)
    ax.set_xlim(0, 100)
    ax.set_xlabel("%, under N(0, 1) inputs")
    ax.legend(loc="lower right", fontsize=SMALL, frameon=False)
    return ax


def _by_name(activations: Activations | None) -> list[tuple[Any, Profile]]:
    """Activations with their profiles, in the order of the table; a function twice only once."""
    from jsuper.analysis.gating import ELEMENTWISE, profile

    if isinstance(activations, str):
        raise ValueError(f"activations={activations!r} is one name; give a list of names")
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
    ax.axhline(0, **GUIDE)
    ax.axvline(0, **GUIDE)
    whole = ax.get_xaxis_transform()  # all of the height, for most negative slopes are small
    ax.fill_between(z, 0, 1, where=(slope < 0).tolist(), transform=whole, **SHADE)
    ax.plot(*_broken(z, value), color=VALUE, linewidth=1.4)
    ax.plot(*_broken(z, slope), color=SLOPE, linewidth=1.2, linestyle="--")
    ax.set_title(found.name, fontsize=TITLE - 1, pad=3)
    ax.set_ylim(*TALL)
    ax.set_xlim(-REACH, REACH)
    ax.set_xticks([-3, 0, 3])
    ax.set_yticks([-2, -1, 0, 1, 2, 3])
    ax.tick_params(labelsize=SMALL)


def _broken(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a line with a gap in it where y jumps from one point to the next, 2e-6 away."""
    jump = np.flatnonzero((np.diff(z) < 1e-5) & (np.abs(np.diff(y)) > 1e-3)) + 1
    return np.insert(z, jump, np.nan), np.insert(y, jump, np.nan)


def _percent(value: float) -> str:
    """Two digits of a share in percent, as short as can be."""
    if value >= 9.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 0.95 else f"{value:.1g}"
