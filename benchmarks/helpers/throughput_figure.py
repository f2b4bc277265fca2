"""The figure of throughput against the number of models."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from jsuper.core import files

from .cases import WAYS

# Okabe and Ito's colours, which differ with any colour vision.
STYLES = {
    "torch": ("#D55E00", "s"),
    "compiled": ("#E69F00", "v"),
    "plain": ("#0072B2", "^"),
    "loop": ("#CC79A7", "D"),
    "jsuper": ("#009E73", "o"),
}


SMALLEST_GAP = 0.06  # between two labels, as a share of the axis


def plot_throughput(rows: list[dict[str, Any]], device: str, grid: str, path: Path) -> None:
    """Draw a line for each way, with a bar from its slowest to its fastest round.

    Parameters
    ----------
    rows
        The measured cases, as in the JSON.
    device
        Name of the device.
    grid
        Description of the grid.
    path
        The PNG to write.
    """
    figure, axes = plt.subplots(figsize=(6.4, 4.8))
    axes.set(xscale="log", yscale="log")
    ends = {}
    for way, (colour, marker) in STYLES.items():
        of_way = [row for row in rows if row["way"] == way]
        if not of_way:
            continue
        models = [row["models"] for row in of_way]
        median = [row["median"] for row in of_way]
        low = [row["median"] - min(row["model_steps_per_s"]) for row in of_way]
        high = [max(row["model_steps_per_s"]) - row["median"] for row in of_way]
        axes.errorbar(models, median, yerr=(low, high), color=colour, marker=marker, capsize=2)
        ends[way] = median[-1]
    axes.margins(x=0.05, y=0.15)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("models in the sweep, all activations together")
    axes.set_ylabel("model-steps per second (higher is better)")
    axes.set_title(f"{device}\n{grid}", fontsize=10, loc="left")
    axes.grid(which="major", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    _label(axes, ends)
    files.write_atomically(
        path, lambda f: figure.savefig(f, format="png", dpi=160, bbox_inches="tight")
    )
    plt.close(figure)


def _label(axes: Axes, ends: dict[str, float]) -> None:
    """Name the lines to the right of the axes at the height of their ends, without overlaps."""
    bottom, top = np.log10(axes.get_ylim())
    lowest = 0.0
    for way in sorted(ends, key=ends.__getitem__):
        height = max((np.log10(ends[way]) - bottom) / (top - bottom), lowest)
        lowest = height + SMALLEST_GAP
        colour, marker = STYLES[way]
        axes.plot(1.02, height, marker, color=colour, transform=axes.transAxes, clip_on=False)
        axes.text(1.04, height, WAYS[way], color=colour, va="center", transform=axes.transAxes)
