"""The toy models of parameter decomposition: the columns of W, and what every input gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.reading import finished_values
from jsuper.plots.models import arrows
from jsuper.plots.style import TITLE_FONT

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

SHOWN = 5


def columns(ds: xarray.Dataset) -> Figure:
    """Draw the models of the best seeds: W's columns in the plane, or WᵀW for more hidden units.

    Parameters
    ----------
    ds
        Dataset of `jsuper.run` or `jsuper.load`, with one model for each seed.

    References
    ----------
    Bushnaq et al. (2025), "Stochastic Parameter Decomposition", <https://arxiv.org/abs/2506.20790>.
    """
    import matplotlib.pyplot as plt

    W = finished_values(ds, "W", "seed", "hidden", "feature").squeeze().values
    losses = finished_values(ds, "loss", "seed").values.ravel()
    order = np.argsort(losses)[: min(SHOWN, len(losses))]
    figure, axes = plt.subplots(
        1, len(order), figsize=(2.6 * len(order), 3.2), layout="constrained", squeeze=False
    )
    image = None
    for ax, seed in zip(axes[0], order, strict=True):
        if W.shape[1] == 2:
            arrows(W[seed], ax=ax)
            ax.set(xlabel="", ylabel="")
        else:
            image = ax.imshow(W[seed].T @ W[seed], cmap="RdBu_r", vmin=-1, vmax=1)
            ax.set(xlabel="feature", ylabel="feature" if ax is axes[0, 0] else "")
        ax.set_title(f"loss {losses[seed]:.4g}", fontsize=TITLE_FONT)
    if image is not None:
        figure.colorbar(image, ax=axes, label="WᵀW", shrink=0.8)
    return figure
