"""Features in a plane, of which the first one has another density than the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis.pentagon import AXIS, best_models, boundary
from jsuper.plots.models import arrows
from jsuper.plots.style import COLORS, SMALL_FONT, TITLE_FONT, draw_guides, set_log_scale

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 6
GUIDES = {1.0: "1", 0.5: "1/2  digon", 0.4: "2/5  pentagon", 0.0: "0"}


def changed_density(ds: xarray.Dataset) -> Figure:
    """Draw the best models and their dimensionalities against the first feature's density.

    The dashed line is the relative density at which a pentagon and two digons have the same
    expected loss (`jsuper.analysis.theory.pentagon_boundary`).

    Parameters
    ----------
    ds
        As in `jsuper.analysis.pentagon.best_models`, with two hidden units.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, "Non-Uniform Superposition".
    """
    import matplotlib.pyplot as plt

    models = best_models(ds)
    figure = plt.figure(figsize=(9, 5.2), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(1, 1.6))
    places = np.linspace(0, models.sizes[AXIS] - 1, SHOWN).round().astype(int)
    axes = np.ravel(parts[0].subplots(1, SHOWN))
    for ax, place in zip(axes, places, strict=True):
        arrows(models["W"].values[place], ax=ax)
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
        ax.set_title(f"{models[AXIS].values[place]:g}", fontsize=SMALL_FONT)
    _dimensionalities(models, boundary(ds), parts[1].subplots())
    parts[0].suptitle(
        f"best of {ds.sizes.get('seed', 1)} seeds, by the relative density of feature 0",
        fontsize=TITLE_FONT,
    )
    return figure


def _dimensionalities(models: xarray.Dataset, equal: float, ax: Axes) -> None:
    relative, shares = models[AXIS].values, models["dimensionality"].values
    for i in range(1, shares.shape[1]):
        ax.plot(relative, shares[:, i], "o", color=COLORS[2], markersize=4, alpha=0.7)
    ax.plot([], [], "o", color=COLORS[2], markersize=4, label="other features")
    ax.plot(relative, shares[:, 0], "o-", color=COLORS[5], markersize=4, label="feature 0")
    if np.isfinite(equal):
        label = "theory: pentagon and digons have the same loss"
        ax.axvline(equal, color="0.4", linestyle="--", linewidth=1, label=label)
    draw_guides(ax, GUIDES)
    set_log_scale(ax.xaxis, relative)
    ax.set_ylim(-0.04, 1.04)
    ax.set_xlabel("density of feature 0 over that of the others")
    ax.set_ylabel("dimensionality")
    ax.legend(fontsize=SMALL_FONT, frameon=False, loc="upper right")
