"""Figures of units that were pushed below zero: who recovers, and what the bias does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.plots.reading import said
from jsuper.plots.style import SMALL, TITLE, activation_style, legend, own, verbatim

DODGE = 0.015
CLOSE = 1.2  # times another push: its label would touch the other's

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes


def recovered(steps: xarray.DataArray, *, ax: Axes | None = None) -> Axes:
    """The share of seeds whose unit recovers against how far it was pushed, a line per activation.

    Parameters
    ----------
    steps
        Steps to recovery, inf for never, NaN for models left out, over activation, push and
        seed.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the title says how many models are left out.

    Raises
    ------
    ValueError
        A dimension is missing, or there is another.
    """
    steps = _over(steps, ("activation", "push", "seed"))
    share = (steps < np.inf).where(steps.notnull()).mean("seed")
    ax = own(ax)
    for i, activation in enumerate(share["activation"].values):
        style = {**activation_style(str(activation)), "markersize": 4}
        line = share.sel(activation=activation) - DODGE * i  # equal shares would hide each other
        ax.plot(share["push"], line, label=verbatim(str(activation)), **style)
    ax.set_xscale("log")
    pushes = share["push"].values
    apart = [i == 0 or b > CLOSE * pushes[i - 1] for i, b in enumerate(pushes)]
    labels = [f"{b:g}" if far else "" for b, far in zip(pushes, apart, strict=True)]
    ax.set_xticks(pushes, labels)
    ax.tick_params(axis="x", labelsize=SMALL)
    ax.xaxis.set_minor_formatter("")
    ax.set_xlabel("B, bias set to -B")
    ax.set_ylabel("share of seeds that recover\n(lines set apart)")
    ax.set_ylim(-DODGE * share.sizes["activation"] - 0.04, 1.04)
    ax.set_title(said(int(steps.isnull().sum()), steps.size), fontsize=TITLE)
    legend(ax)
    return ax


def biases(bias: xarray.DataArray, *, ax: Axes | None = None) -> Axes:
    """Return a pushed bias during training: the median over seeds, a line per activation.

    Parameters
    ----------
    bias
        Over activation, seed and step.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the title says how many models are left out.

    Raises
    ------
    ValueError
        A dimension is missing, or there is another.
    """
    bias = _over(bias, ("activation", "seed", "step"))
    ax = own(ax)
    for activation in bias["activation"].values:
        style = {**activation_style(str(activation)), "marker": ""}
        line = bias.sel(activation=activation).median("seed")
        ax.plot(bias["step"], line, label=verbatim(str(activation)), **style)
    ax.set_xlabel("step")
    ax.set_ylabel("bias of feature 0")
    lacking = int(bias.isel(step=-1).isnull().sum())
    ax.set_title(said(lacking, bias.isel(step=-1).size), fontsize=TITLE)
    legend(ax)
    return ax


def _over(values: xarray.DataArray, dims: tuple[str, ...]) -> xarray.DataArray:
    if set(values.dims) != set(dims):
        raise ValueError(
            f"the values have the dimensions {', '.join(map(str, values.dims))}; give "
            f"{', '.join(dims)}, and select one value of any other"
        )
    return values.transpose(*dims)
