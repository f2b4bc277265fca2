"""Figures of the page of MLPs: errors of features, and the neurons of the best model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.status import Status
from jsuper.models.mlp.spec import Sweep
from jsuper.plots import neurons
from jsuper.plots.style import TITLE_FONT
from jsuper.report.panels import Captioned, captioned_figures, panels, slices, slices_over

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

MAX_PANELS = 12
ERRORS = (
    "Error of every feature relative to that without hidden units, smallest first, a line per "
    "seed. Dashed: a unit for each of n_hidden functions"
)
NEURONS = (
    "Contribution reads x writes of every neuron to the first features, in the seed with the least "
    "loss; numbers are those of the largest neurons"
)


def figures(ds: xarray.Dataset) -> list[Captioned]:
    """Return captions and figures of the features' errors and of the neurons' contributions.

    There is one figure of each kind per combination of coordinates other than n_hidden and
    sparsity, at most `MAX_FIGURES`.

    Parameters
    ----------
    ds
        Result of `jsuper.analyze`.
    """
    parts = slices_over(ds, Sweep.main_axes)
    return [
        *captioned_figures(ERRORS, parts, errors),
        *captioned_figures(NEURONS, parts, serving),
    ]


def _cells(ds: xarray.Dataset) -> list[tuple[str, xarray.Dataset]]:
    """Return the first cells that have a finished model."""
    cells = [(at, part) for at, part in slices(ds, Sweep.main_axes)]
    return [(at, p) for at, p in cells if (p["status"] == Status.OK).any()][:MAX_PANELS]


def errors(ds: xarray.Dataset) -> Figure | None:
    """Draw the errors of the features, a panel per cell; None without finished models."""
    if not (cells := _cells(ds)):
        return None
    figure, axes = panels(len(cells), min(3, len(cells)), 3.8, 2.8)
    for (at, part), ax in zip(cells, axes, strict=True):
        neurons.feature_losses(part, ax=ax)
        ax.set_title(f"{at}\n{ax.get_title()}", fontsize=TITLE_FONT - 1)
    return figure


def serving(ds: xarray.Dataset) -> Figure | None:
    """Draw the contributions of the neurons of the best seed, a panel per cell."""
    if not (cells := _cells(ds)):
        return None
    figure, axes = panels(len(cells), min(2, len(cells)), 5.0, 2.8)
    for (at, part), ax in zip(cells, axes, strict=True):
        loss = part["loss"].where(part["status"] == Status.OK).values
        best = int(np.nanargmin(loss))
        one = part.isel(seed=best)
        neurons.contributions(one, ax=ax)
        ax.set_title(f"{at}; seed {int(one['seed'])}", fontsize=TITLE_FONT)
    return figure
