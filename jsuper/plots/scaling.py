"""Figures of models with different numbers of hidden units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.scaling import exponent, of_sizes
from jsuper.plots.style import SMALL_FONT, TITLE_FONT, ramp_styles, set_log_scale, tick_label

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def scaling(ds: xarray.Dataset) -> Figure:
    """Draw loss, represented share and squared overlap against the number of hidden units.

    A curve for each value of one further axis; the legend has the fitted exponent of its loss, the
    mean over seeds. Dots are seeds, lines their medians.

    Parameters
    ----------
    ds
        A sweep with several `n_hidden`, the seed, and at most one further axis of several values.

    References
    ----------
    Liu et al. (2025), "Superposition Yields Robust Neural Scaling",
    <https://arxiv.org/abs/2505.10465>.
    """
    import matplotlib.pyplot as plt

    dims = [str(d) for d in ds["status"].dims]
    others = [d for d in dims if d not in ("n_hidden", "seed")]
    curves = max(others, key=lambda d: ds.sizes[d])
    ds = ds.squeeze([d for d in others if d != curves and ds.sizes[d] == 1], drop=True)
    found = of_sizes(ds)
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    fitted = exponent(ds["loss"]).mean("seed")
    labels = [
        f"{curves.replace('_', ' ')} {tick_label(v)}: loss ~ m^-{float(a):.2f}"
        for v, a in zip(ds[curves].values, fitted.values, strict=True)
    ]
    parts = (
        (ds["loss"], "loss"),
        (found["represented"], "features with |W_i| > 1/2, share"),
        (found["overlap"], "mean squared overlap of these"),
    )
    for (values, name), ax in zip(parts, axes, strict=True):
        _panel(ax, values, curves, labels, name)
    m = ds["n_hidden"].values.astype(float)
    guide = axes[2].plot(m, 1 / m, color="0.5", linewidth=0.8, linestyle="--", label="1/m")
    axes[2].legend(handles=guide, fontsize=SMALL_FONT, frameon=False)
    axes[0].legend(fontsize=SMALL_FONT, frameon=False)
    for ax in (axes[0], axes[2]):
        drawn = np.concatenate([line.get_ydata() for line in ax.lines])
        set_log_scale(ax.yaxis, drawn[drawn > 0])  # an overlap is 0 where no two are represented
    axes[1].set_ylim(0, 1.03)
    return figure


def _panel(ax: Axes, values: xarray.DataArray, curves: str, labels: list[str], name: str) -> None:
    """Draw the seeds and their median against n_hidden, a curve for each value of an axis."""
    m = values["n_hidden"].values.astype(float)
    for i, (label, style) in enumerate(zip(labels, ramp_styles(len(labels)), strict=True)):
        part = values.isel({curves: i}).transpose("n_hidden", "seed")
        ax.plot(m, part.median("seed").values, color=style["color"], label=label)
        ax.plot(m, part.values, ".", color=style["color"], markersize=3, alpha=0.6)
    set_log_scale(ax.xaxis, m)
    ax.set_xlabel("number of hidden units m")
    ax.set_title(name, fontsize=TITLE_FONT)
