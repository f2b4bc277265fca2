"""Figures of MLPs: errors of features, and which neurons serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.neurons import contributions as contributions_of
from jsuper.analysis.reading import finished_values
from jsuper.plots.selection import check_variables, left_out_text
from jsuper.plots.style import COLORS, GUIDE_STYLE, SMALL_FONT, TITLE_FONT, get_axes

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 10  # features whose neurons are drawn
LABELLED = 0.6  # of a feature's largest contribution, from which on a neuron has its number


def feature_losses(ds: xarray.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the error of every feature over that without hidden units, smallest first, by seed.

    The dashed line is the mean over seeds of the naive solution, which has a unit for each of
    n_hidden functions.

    Parameters
    ----------
    ds
        Result of `jsuper.run` or `jsuper.load` for MLPs, of one cell: seed is the only dimension of
        models that may be longer than one.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        A variable is missing.
    """
    check_variables(ds, "feature_loss", "naive_feature_loss", "residual_loss")
    values, naive = (_of_residual(ds, name) for name in ("feature_loss", "naive_feature_loss"))
    kept = np.asarray(~np.isnan(values).any(axis=1))
    ax = get_axes(ax, 5.6, 3.6)
    places = np.arange(1, values.shape[1] + 1)
    ax.plot(places, np.sort(values[kept], axis=1).T, color=COLORS[4], linewidth=0.9, alpha=0.7)
    if kept.any():
        line = np.sort(naive[kept], axis=1).mean(axis=0)
        ax.step(places, line, where="mid", color="0.4", linestyle="--", linewidth=1)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("feature, by error")
    ax.set_ylabel("error / error without hidden units")
    ax.set_title(left_out_text(int((~kept).sum()), len(kept)), fontsize=TITLE_FONT)
    return ax


def _of_residual(ds: xarray.Dataset, variable: str) -> np.ndarray:
    """Return an error over that without hidden units, (seeds, features of the models)."""
    ratio = finished_values(ds, variable) / finished_values(ds, "residual_loss")
    ratio = ratio.squeeze([d for d in ratio.dims if d not in ("seed", "feature")], drop=True)
    values = np.atleast_2d(ratio.transpose(..., "feature").values)
    has = int(np.ravel(ds["n_features"])[0])
    return values[:, :has]


def contributions(ds: xarray.Dataset, *, features: int = SHOWN, ax: Axes | None = None) -> Axes:
    """Draw the contribution of every neuron to the first features of one model.

    A point is reads_ji writes_ji of neuron j and feature i; the largest ones have the neuron's
    number.

    Parameters
    ----------
    ds
        One model: all dimensions of models have length one.
    features
        Number of features.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes.

    Raises
    ------
    ValueError
        A variable is missing, or there are several models.

    References
    ----------
    Braun et al. (2025), "Interpretability in Parameter Space: Minimizing Mechanistic Description
    Length with Attribution-based Parameter Decomposition", <https://arxiv.org/abs/2501.14926>,
    figures of neuron contributions.
    """
    check_variables(ds, "reads", "writes")
    if ds["status"].size != 1:
        raise ValueError(f"ds has {ds['status'].size} models; select one, e.g. ds.isel(seed=0)")
    shape = ds.sizes["neuron"], ds.sizes["feature"]
    reads, writes = (
        ds[v].transpose(..., "neuron", "feature").values.reshape(shape) for v in ("reads", "writes")
    )
    K = contributions_of(reads, writes)[:, :features]
    ax = get_axes(ax, 5.6, 3.6)
    ax.axhline(0, **GUIDE_STYLE)
    for i, column in enumerate(K.T):
        if not np.isfinite(column).any():
            continue
        ax.scatter(np.full(len(column), i), column, s=9, color=COLORS[i % len(COLORS)], alpha=0.7)
        for j in np.flatnonzero(np.abs(column) > LABELLED * np.nanmax(np.abs(column))):
            ax.annotate(str(j), (i + 0.12, column[j]), fontsize=SMALL_FONT, va="center")
    ax.set_xticks(range(K.shape[1]))
    ax.set_xlabel("feature")
    ax.set_ylabel("contribution of a neuron")
    return ax


def computed(ds: xarray.Dataset) -> Figure:
    """Draw the errors of the features and one model's contributions, of the first cell of a sweep.

    Parameters
    ----------
    ds
        Result of `jsuper.run` or `jsuper.load` for MLPs.
    """
    import matplotlib.pyplot as plt

    cell = ds.isel({d: 0 for d in ds["status"].dims if d != "seed"})
    figure, axes = plt.subplots(1, 2, figsize=(11.2, 3.6), layout="constrained")
    feature_losses(cell, ax=axes[0])
    contributions(cell.isel(seed=0), ax=axes[1])
    axes[1].set_title(f"seed {int(cell['seed'][0])}", fontsize=TITLE_FONT)
    return figure
