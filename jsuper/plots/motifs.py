"""Figure of the preset abs_value_small: asymmetric superposition in neurons that compute |x|.

References
----------
Elhage et al. (2022), "Toy Models of Superposition",
<https://transformer-circuits.pub/2022/toy_model/index.html>, "The asymmetric superposition motif".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis import hidden_checks, motif_checks, neuron_features
from jsuper.plots.hidden import draw_seeds
from jsuper.plots.stacks import stack_plot
from jsuper.plots.style import COLORS, SMALL_FONT, TITLE_FONT

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def absolute_small(ds: xarray.Dataset) -> Figure:
    """Draw two small models with their output weights, and the asymmetric motifs of all seeds.

    Parameters
    ----------
    ds
        Result of the preset `abs_value_small`.
    """
    import matplotlib.pyplot as plt

    few, many = motif_checks.sizes(ds)
    dense, S = float(ds["sparsity"].min()), motif_checks.moderate(ds)
    figure = plt.figure(figsize=(12, 7.2), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    above = parts[0].subplots(1, 2, width_ratios=(1, 2.2))
    for ax, size, at in zip(above, (few, many), (dense, S), strict=True):
        _draw_best(ax, ds, size, at)
    every = [m for model in motif_checks.motifs(ds, size=many, sparsity=S) for m in model]
    title = "neurons that compute absolute values, and asymmetric superposition"
    figure.suptitle(title, fontsize=TITLE_FONT + 1)
    left, middle, right = parts[1].subplots(1, 3)
    _draw_frequency(left, ds, many)
    density = hidden_checks.density_of(S)
    _draw_ratios(middle, every, density)
    _draw_inhibition(right, every, density)
    return figure


def _draw_best(ax: Axes, ds: xarray.Dataset, size: str, sparsity: float) -> None:
    """Draw the best model of a cell, with the neurons that are asymmetric in the title."""
    labels = {"size": size, "sparsity": sparsity}
    best = hidden_checks.best_seed(ds, **labels)
    if best is None:
        return
    W, W_dec = (hidden_checks.cell(ds, v, **labels)[best] for v in ("W", "W_dec"))
    stack_plot(W, W_dec, color_by="feature", outputs=True, ax=ax)
    found = neuron_features.asymmetric_motifs(W, W_dec)
    title = f"{size}, density {hidden_checks.density_of(sparsity):g}\n{ax.get_title()}"
    neurons = ", ".join(map(str, sorted({m.neuron for m in found})))
    title += f"; asymmetric: {neurons}" if found else ""
    ax.set_title(title, fontsize=TITLE_FONT)


def _draw_frequency(ax: Axes, ds: xarray.Dataset, size: str) -> None:
    """Draw the number of asymmetric motifs per model against the density."""
    sparsity = np.sort(ds["sparsity"].values)
    found = [motif_checks.motifs(ds, size=size, sparsity=S) for S in sparsity]
    numbers = [np.array([len(model) for model in cell], float) for cell in found]
    draw_seeds(ax, 1 - sparsity, numbers, 1, "")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("asymmetric motifs per model")
    ax.set_title(f"{size}: mean and range of {ds.sizes['seed']} seeds", fontsize=TITLE_FONT)


def _draw_ratios(ax: Axes, found: list[neuron_features.Motif], density: float) -> None:
    """Draw the ratio of the output weights against that of the input weights."""
    x, y = ([getattr(m, v) for m in found] for v in ("input_ratio", "output_ratio"))
    ax.scatter(x, y, s=14, color=COLORS[4], alpha=0.6)
    end = max([4.5, *x, *y]) * 1.1
    ax.plot([1, end], [1, end], "--", color="0.5", linewidth=1, label="reciprocal")
    ax.plot([4], [4], "*", color=COLORS[5], markersize=11, label="published example")
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_ticks([1, 2, 4, 8])
        axis.set_minor_formatter("")
    ax.set_xlabel("input weights, strong / weak feature")
    ax.set_ylabel("output weights, weak / strong feature")
    ax.legend(fontsize=SMALL_FONT, frameon=False)
    ax.set_title(f"{len(found)} motifs at density {density:g}", fontsize=TITLE_FONT)


def _draw_inhibition(ax: Axes, found: list[neuron_features.Motif], density: float) -> None:
    """Draw the distribution of the inhibition, for the sign that interferes and for the other."""
    ends = np.linspace(-0.6, 2, 27)
    for name, color, label in (
        ("inhibition", COLORS[5], "strong feature with the sign that interferes"),
        ("inhibition_of_other_sign", COLORS[2], "with the other sign"),
    ):
        values = np.clip([getattr(m, name) for m in found], ends[0], ends[-1])
        ax.hist(values, ends.tolist(), color=color, alpha=0.75, label=label)
    ax.axvline(1, color="0.5", linestyle="--", linewidth=1)
    ax.set_xlabel("inhibition by other neurons / interference")
    ax.set_ylabel("motifs")
    ax.legend(fontsize=SMALL_FONT, frameon=False)
    ax.set_title(f"output of the weak feature, density {density:g}", fontsize=TITLE_FONT)
