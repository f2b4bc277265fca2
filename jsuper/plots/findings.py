"""The evidence of a finding: every seed, the means with their intervals, and the margins."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from jsuper.core.json_data import JSONObject
from jsuper.plots.style import COLORS, GUIDE_STYLE, verbatim

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HOLDS, FAILS, OPEN = COLORS[3], COLORS[5], "0.45"
CLEAR = 0.025  # one-sided p from which a mean is drawn as beyond its margin
MOST_PANELS, ACROSS = 8, 4
MOST_ROWS = 36
FONT = 9
LABEL, WIDE = 34, 60  # characters on a line of a label, beside several panels and one
TITLE = 88  # and of the titles beside each other
MOST_HEIGHT = 16  # inches of a row of panels


def evidence(finding: JSONObject) -> Figure:
    """Draw the numbers of a finding of findings.json.

    Rows are readings, and panels are parts; with a single reading, rows are parts. Dots are seeds,
    set apart vertically only; diamonds are means with 95 % intervals. The range that the rule
    requires of the mean is shaded. Green means lie in it and orange ones outside, with a one-sided
    p below 0.025 before corrections; others are grey.
    """
    readings = finding["readings"]
    if len(readings) == 1:
        panels = [("", [(p["label"], p) for p in readings[0]["parts"]])]
    else:
        labels = [p["label"] for p in readings[0]["parts"]][:MOST_PANELS]
        panels = [
            (label, [(r["label"], r["parts"][i]) for r in readings][:MOST_ROWS])
            for i, label in enumerate(labels)
        ]
    across = min(len(panels), ACROSS)
    down = math.ceil(len(panels) / across)
    length = LABEL if across > 1 else WIDE
    labels = (label for _, rows in panels for label, _ in rows)
    wrapped = max(len(textwrap.wrap(label, length)) for label in labels)
    height = 0.9 + max((0.15 + 0.14 * wrapped) * len(rows) for _, rows in panels)
    figure, axes = plt.subplots(
        down,
        across,
        figsize=(10, min(height, MOST_HEIGHT) * down),
        layout="constrained",
        squeeze=False,
        sharey=len(panels) > 1,
    )
    for ax, (title, rows) in zip(axes.flat, panels, strict=False):
        _panel(ax, rows, length)
        ax.set_title(_lines(title, TITLE // across), fontsize=FONT, loc="left")
        ax.set_xlabel(verbatim(textwrap.shorten(finding["unit"], 60)), fontsize=FONT)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    figure.supxlabel("green: the mean is where it has to be; orange: it is not; grey: open", size=8)
    return figure


def _panel(ax: Axes, rows: Sequence[tuple[str, JSONObject]], length: int) -> None:
    limits = _limits([part for _, part in rows])
    for y, (_, part) in enumerate(rows):
        low, high = (
            end if m is None else m for m, end in zip(part["margins"], limits, strict=True)
        )
        if part["rule"]:
            span = [y - 0.42, y + 0.42]
            ax.fill_betweenx(span, low, high, color=HOLDS, alpha=0.12, linewidth=0)
            for margin in (m for m in part["margins"] if m is not None):
                ax.plot([margin, margin], span, **GUIDE_STYLE)
        color = HOLDS if part["p_for"] < CLEAR else FAILS if part["p_against"] < CLEAR else OPEN
        seeds = np.array(part["values"], float)
        apart = 0.24 * np.sin(2.4 * np.arange(len(seeds)))  # vertical: the values stay
        ax.plot(seeds, y + apart, ".", color=color, alpha=0.35, markersize=3.5, zorder=1)
        if part["value"] is not None:
            if part["low"] is not None:
                ax.plot([part["low"], part["high"]], [y, y], color=color, linewidth=1.8, zorder=2)
            ax.plot(part["value"], y, "D", color=color, markersize=4.5, zorder=3)
    ax.set_xlim(*limits)
    labels = [_lines(label, length) for label, _ in rows]
    ax.set_yticks(range(len(rows)), labels, fontsize=FONT - 1)
    ax.set_ylim(len(rows) - 0.45, -0.55)
    ax.tick_params(axis="x", labelsize=FONT - 1)
    ax.locator_params(axis="x", nbins=5)


def _lines(text: str, length: int) -> str:
    """Return text on lines of at most so many characters, without mathematics."""
    return "\n".join(verbatim(line) for line in textwrap.wrap(text, length))


def _limits(parts: Sequence[JSONObject]) -> tuple[float, float]:
    """Return the limits of the x axis: seeds, intervals, margins, and some space."""
    numbers = [v for p in parts for v in (*p["values"], *p["margins"], p["low"], p["high"])]
    known = [float(v) for v in numbers if v is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    space = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return low - space, high + space
