"""What a claim rests on: every seed, the mean with its interval, and the margins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.plots.style import COLORS, GUIDE, SMALL, TITLE, own, verbatim

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERDICTS = {
    "supported": COLORS[3],
    "contradicted": COLORS[5],
    "undecided": "0.45",
    "not testable": "0.7",
}
WANTED = COLORS[3]
MOST_DOTS = 200  # seeds that are drawn one by one
MOST_LINES = 5  # of a label
LONG = 46  # characters of a label on one line


def parts(found: Sequence[Any], unit: str, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Return the parts of a judged claim, one below the other.

    Dots are seeds, the diamond is their mean with its 95 % interval, in the colour of the part's
    own verdict. Where the mean has to lie is shaded.

    Parameters
    ----------
    found
        Parts, each with label, value, low, high, values, margins and verdict; margins are
        (lower, upper), infinite where the rule has none.
    unit
        Of the values, beside the axis.
    title
        Above the axes.
    ax
        Where to draw; a new figure by default.
    """
    ax = own(ax, 5.6, 0.9 + 0.5 * len(found))
    limits = _limits(found)
    for y, part in enumerate(found):
        low, high = (np.clip(m, *limits) for m in part["margins"])
        ax.fill_betweenx([y - 0.42, y + 0.42], low, high, color=WANTED, alpha=0.12, linewidth=0)
        for margin in part["margins"]:
            if math.isfinite(margin):
                ax.plot([margin, margin], [y - 0.42, y + 0.42], **GUIDE)
        color = VERDICTS[part["verdict"]]
        seeds = part["values"][:MOST_DOTS]
        spread = 0.24 * np.sin(2.4 * np.arange(len(seeds)))  # so that equal values show
        ax.plot(seeds, y + spread, ".", color=color, alpha=0.35, markersize=3.5, zorder=1)
        if part["value"] is not None:
            ax.plot([part["low"], part["high"]], [y, y], color=color, linewidth=1.8, zorder=2)
            ax.plot(part["value"], y, "D", color=color, markersize=4.5, zorder=3)
    ax.set_xlim(*limits)
    ax.set_yticks(range(len(found)), [_broken(p["label"]) for p in found], fontsize=SMALL)
    ax.set_ylim(len(found) - 0.45, -0.55)
    ax.tick_params(axis="x", labelsize=SMALL)
    ax.locator_params(axis="x", nbins=6)
    ax.set_xlabel(verbatim(unit[: 2 * LONG]), fontsize=SMALL)
    if title:
        ax.set_title(verbatim(title[: 4 * LONG]), fontsize=TITLE - 1, loc="left")
    return ax


def _limits(found: Sequence[Any]) -> tuple[float, float]:
    """Of everything drawn, and a little more."""
    numbers = [m for p in found for m in p["margins"] if math.isfinite(m)]
    numbers += [v for p in found for v in (*p["values"], p["low"], p["high"]) if v is not None]
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    more = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return low - more, high + more


def _broken(label: str) -> str:
    """Return a label on several lines where it is long."""
    lines = [""]
    for word in label.split():
        if len(lines[-1]) + 1 + len(word) > LONG:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(verbatim(line[: 2 * LONG]) for line in lines[:MOST_LINES])


def drawable(claim: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of a claim of claims.json as `parts` takes them."""
    infinite = (-math.inf, math.inf)
    found = []
    for part in claim["parts"]:
        margins = [i if m is None else m for m, i in zip(part["margins"], infinite, strict=True)]
        found.append(part | {"margins": margins})
    return found
