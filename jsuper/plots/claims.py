"""The evidence of a claim: every seed, the mean with its interval, and the margins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.json_data import JSON, JSONObject
from jsuper.plots.style import COLORS, GUIDE_STYLE, SMALL_FONT, TITLE_FONT, get_axes, verbatim

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERDICTS = {
    "supported": COLORS[3],
    "contradicted": COLORS[5],
    "undecided": "0.45",
    "not testable": "0.7",
}
WANTED = COLORS[3]
MAX_DOTS = 200  # seeds drawn one by one
MAX_LINES = 5  # lines of a label
LINE_LENGTH = 46  # characters on a line of a label


def parts(found: Sequence[JSON], unit: str, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw the parts of a judged claim, one below the other.

    Dots are seeds, and diamonds are their means with 95 % intervals, in the colour of the part's
    verdict. The range required of the mean is shaded.

    Parameters
    ----------
    found
        Parts, each with label, value, low, high, values, margins and verdict. Margins are (lower,
        upper), infinite if the rule has none.
    unit
        Unit of the values, for the x axis.
    title
        Title of the axes.
    ax
        Axes to draw on. Default: those of a new figure.
    """
    ax = get_axes(ax, 5.6, 0.9 + 0.5 * len(found))
    limits = _limits(found)
    for y, part in enumerate(found):
        low, high = (np.clip(m, *limits) for m in part["margins"])
        ax.fill_betweenx([y - 0.42, y + 0.42], low, high, color=WANTED, alpha=0.12, linewidth=0)
        for margin in part["margins"]:
            if math.isfinite(margin):
                ax.plot([margin, margin], [y - 0.42, y + 0.42], **GUIDE_STYLE)
        color = VERDICTS[part["verdict"]]
        seeds = part["values"][:MAX_DOTS]
        spread = 0.24 * np.sin(2.4 * np.arange(len(seeds)))  # separates equal values
        ax.plot(seeds, y + spread, ".", color=color, alpha=0.35, markersize=3.5, zorder=1)
        if part["value"] is not None:
            ax.plot([part["low"], part["high"]], [y, y], color=color, linewidth=1.8, zorder=2)
            ax.plot(part["value"], y, "D", color=color, markersize=4.5, zorder=3)
    ax.set_xlim(*limits)
    ax.set_yticks(range(len(found)), [_broken(p["label"]) for p in found], fontsize=SMALL_FONT)
    ax.set_ylim(len(found) - 0.45, -0.55)
    ax.tick_params(axis="x", labelsize=SMALL_FONT)
    ax.locator_params(axis="x", nbins=6)
    ax.set_xlabel(verbatim(unit[: 2 * LINE_LENGTH]), fontsize=SMALL_FONT)
    if title:
        ax.set_title(verbatim(title[: 4 * LINE_LENGTH]), fontsize=TITLE_FONT - 1, loc="left")
    return ax


def _limits(found: Sequence[JSON]) -> tuple[float, float]:
    """Return the limits of the x axis: the range of the content, and some space around it."""
    numbers = [m for p in found for m in p["margins"] if math.isfinite(m)]
    numbers += [v for p in found for v in (*p["values"], p["low"], p["high"]) if v is not None]
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    space = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return low - space, high + space


def _broken(label: str) -> str:
    """Return a label, broken into lines."""
    lines = [""]
    for word in label.split():
        if len(lines[-1]) + 1 + len(word) > LINE_LENGTH:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(verbatim(line[: 2 * LINE_LENGTH]) for line in lines[:MAX_LINES])


def drawable(claim: Mapping[str, JSON]) -> list[JSONObject]:
    """Return the parts of a claim from claims.json, for `parts`."""
    infinite = (-math.inf, math.inf)
    found = []
    for part in claim["parts"]:
        margins = [i if m is None else m for m, i in zip(part["margins"], infinite, strict=True)]
        found.append(part | {"margins": margins})
    return found
