"""Figures of units whose bias was pushed below zero: recovery, and the bias during training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.transforms import offset_copy

from jsuper.plots.selection import left_out_text
from jsuper.plots.style import (
    SMALL_FONT,
    TITLE_FONT,
    activation_style,
    add_legend,
    get_axes,
    verbatim,
)

DODGE = 1.5  # points to the right between the markers of activations; shares stay as they are
CLOSE = 1.2  # ratio of pushes below which tick labels would overlap

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes


def recovered(steps: xarray.DataArray, *, ax: Axes | None = None) -> Axes:
    """Draw the share of seeds whose unit recovers against the push, a line per activation.

    Parameters
    ----------
    steps
        Steps to recovery over activation, push and seed; inf means never, NaN a model left out.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        The dimensions differ from these.
    """
    steps = _over(steps, ("activation", "push", "seed"))
    share = (steps < np.inf).where(steps.notnull()).mean("seed")
    ax = get_axes(ax)
    figure = ax.get_figure(root=True)
    for i, activation in enumerate(share["activation"].values):
        style = {**activation_style(str(activation)), "markersize": 4}
        line = share.sel(activation=activation)
        ax.plot(
            share["push"],
            line,
            label=verbatim(str(activation)),
            transform=offset_copy(ax.transData, figure, x=DODGE * i, units="points"),
            **style,
        )
    ax.set_xscale("log")
    pushes = share["push"].values
    apart = [i == 0 or b > CLOSE * pushes[i - 1] for i, b in enumerate(pushes)]
    labels = [f"{b:g}" if far else "" for b, far in zip(pushes, apart, strict=True)]
    ax.set_xticks(pushes, labels)
    ax.tick_params(axis="x", labelsize=SMALL_FONT)
    ax.xaxis.set_minor_formatter("")
    ax.set_xlabel("push B (the bias was set to -B)")
    ax.set_ylabel("share of seeds that recover")
    ax.set_ylim(-0.04, 1.04)
    ax.set_title(left_out_text(int(steps.isnull().sum()), steps.size), fontsize=TITLE_FONT)
    add_legend(ax)
    return ax


def biases(bias: xarray.DataArray, *, ax: Axes | None = None) -> Axes:
    """Draw a pushed bias during training: the median over seeds, a line per activation.

    Parameters
    ----------
    bias
        Bias over activation, seed and step.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        The dimensions differ from these.
    """
    bias = _over(bias, ("activation", "seed", "step"))
    ax = get_axes(ax)
    for activation in bias["activation"].values:
        style = {**activation_style(str(activation)), "marker": ""}
        line = bias.sel(activation=activation).median("seed")
        ax.plot(bias["step"], line, label=verbatim(str(activation)), **style)
    ax.set_xlabel("step")
    ax.set_ylabel("bias of feature 0")
    missing = bias.isel(step=-1).isnull()
    ax.set_title(left_out_text(int(missing.sum()), missing.size), fontsize=TITLE_FONT)
    add_legend(ax)
    return ax


def _over(values: xarray.DataArray, dims: tuple[str, ...]) -> xarray.DataArray:
    if set(values.dims) != set(dims):
        raise ValueError(
            f"the values have the dimensions {', '.join(map(str, values.dims))}; give "
            f"{', '.join(dims)}, and select one value of any other"
        )
    return values.transpose(*dims)
