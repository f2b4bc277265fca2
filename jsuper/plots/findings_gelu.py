"""The main pictures of the findings on GELU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jsuper.plots.style import verbatim

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

FONT = 9  # points
SHOWN = ("relu", "gelu", "silu", "elu")


def shapes(data: Mapping[str, xarray.Dataset]) -> Figure:
    """Draw value and slope of GELU beside ReLU, SiLU and ELU; negative slopes are shaded."""
    import matplotlib.pyplot as plt

    from jsuper.plots.profiles import profiles

    del data
    figure = plt.figure(figsize=(10, 3), layout="constrained")
    profiles(SHOWN, figure=figure)
    return figure


def recovered(data: Mapping[str, xarray.Dataset]) -> Figure:
    """Draw how many seeds recover, by activation and push, for each optimizer and time of the push.

    Parameters
    ----------
    data
        The sweep "revival" -> Dataset of `jsuper.analyze`.
    """
    import matplotlib.pyplot as plt

    from jsuper.analysis.reviving import recovery

    steps = recovery(data["revival"])
    optimizers, times = steps["optimizer"].values, steps["push_step"].values
    figure, axes = plt.subplots(
        1, len(optimizers) * len(times), figsize=(10, 3.4), layout="constrained", sharey=True
    )
    cells = [(o, t) for t in times for o in optimizers]
    for ax, (optimizer, time) in zip(np.atleast_1d(axes), cells, strict=True):
        here = steps.sel(optimizer=optimizer, push_step=time).transpose(
            "activation", "push", "seed"
        )
        back, known = np.isfinite(here.values).sum(-1), (~np.isnan(here.values)).sum(-1)
        ax.imshow(back / np.maximum(known, 1), cmap="Greens", vmin=0, vmax=1.3, aspect="auto")
        for place in np.ndindex(back.shape):
            text = f"{back[place]}/{known[place]}"
            ax.text(place[1], place[0], text, ha="center", va="center", fontsize=FONT - 1)
        when = "fresh" if time == 0 else f"after {time:,} steps"
        ax.set_title(verbatim(f"{when}, {optimizer}"), fontsize=FONT)
        ax.set_xticks(range(back.shape[1]), [f"{b:g}" for b in here["push"].values], fontsize=FONT)
        ax.set_yticks(range(back.shape[0]), [*map(str, here["activation"].values)], fontsize=FONT)
        ax.set_xlabel("bias set to -B", fontsize=FONT)
    figure.suptitle("Seeds in which a unit recovers that was pushed below zero", fontsize=FONT + 1)
    return figure
