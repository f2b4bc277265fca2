"""The geometry of features of equal importance, against sparsity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsuper.plots.lines import dimensions_per_feature
from jsuper.plots.points import dimensionality

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def uniform_geometry(ds: xarray.Dataset) -> Figure:
    """Draw dimensions per feature, and below it every feature's dimensionality, against 1/(1 - S).

    Parameters
    ----------
    ds
        A sweep over sparsities with features of equal importance; other dimensions than activation
        and seed have length one.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, "The geometry of superposition".
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 1, figsize=(8.5, 8), layout="constrained", sharex=True)
    dimensions_per_feature(ds, ax=axes[0])
    dimensionality(ds, ax=axes[1])
    axes[0].set_xlabel("")
    return figure
