"""Figures of models and of sweeps. Each draws on `ax`, or on a new figure, and returns the Axes.

The title of a figure of many models states how many are left out because they are missing, did not
train to the end or have no finite value. Legends lie outside the Axes, so create your own Axes with
`layout="constrained"`. No global state changes. Importing this imports neither jax nor matplotlib.
"""

from jsuper.plots import paper as paper
from jsuper.plots.cells import heatmap
from jsuper.plots.developing import development
from jsuper.plots.lines import (
    curve,
    dimensions_per_feature,
    kurtosis_against_dropout,
    loss_curves,
)
from jsuper.plots.models import arrows, features, weights
from jsuper.plots.points import dimensionality, loss_against_superposition
from jsuper.plots.stacks import stack_plot
from jsuper.plots.style import activation_style

__all__ = [
    "activation_style",
    "arrows",
    "curve",
    "development",
    "dimensionality",
    "dimensions_per_feature",
    "features",
    "heatmap",
    "kurtosis_against_dropout",
    "loss_against_superposition",
    "loss_curves",
    "paper",
    "stack_plot",
    "weights",
]
