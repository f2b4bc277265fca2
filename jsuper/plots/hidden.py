"""Figures of the presets with ReLU in the hidden layer: what the neurons of the best models carry.

References
----------
Elhage et al. (2022), "Toy Models of Superposition",
<https://transformer-circuits.pub/2022/toy_model/index.html>, "Superposition in a privileged basis"
and "Computation in superposition".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis import hidden_checks, neuron_features
from jsuper.plots.stacks import LABELS, legend_handles, neuron_order, stack_plot
from jsuper.plots.style import COLORS, MARKERS, SMALL_FONT, TITLE_FONT, Style, set_log_scale

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

THRESHOLDS = (0.1, neuron_features.THRESHOLD, 0.3)


def privileged(ds: xarray.Dataset) -> Figure:
    """Draw the best model of each density, as a stack plot and as a matrix, and all seeds' counts.

    Parameters
    ----------
    ds
        Result of the preset `privileged_basis`.
    """
    import matplotlib.pyplot as plt

    sparsity = np.sort(ds["sparsity"].values)
    figure, axes = plt.subplots(
        3,
        len(sparsity),
        figsize=(1.75 * len(sparsity) + 1.2, 7),
        layout="constrained",
        squeeze=False,
        sharey="row",
        height_ratios=(1, 1.15, 0.7),
    )
    image: Any = None
    for S, (stack, matrix, seeds) in zip(sparsity, axes.T, strict=True):
        _draw_counts(seeds, hidden_checks.counts(ds, S)[:, 0], int(ds["n_hidden"]))
        best = hidden_checks.best_seed(ds, sparsity=S)
        density = hidden_checks.density_of(S)
        if best is None:
            stack.set_title(f"density {density:g}: no model", fontsize=TITLE_FONT)
            continue
        W = hidden_checks.cell(ds, "W", sparsity=S)[best]
        stack_plot(W, positive=True, legend=False, ax=stack)
        alone, shared = hidden_checks.counts(ds, S)[best].astype(int)
        words = f"density {density:g}\n{alone} monosemantic,\n{shared} features in others"
        stack.set_title(words, fontsize=TITLE_FONT)
        stack.set_xlabel("")
        image = _draw_matrix(matrix, W)
    limits = [line.get_ylim() for line in axes[0]]
    axes[0, 0].set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    for ax in axes[:, 1:].ravel():
        ax.set_ylabel("")
    if image is not None:
        figure.colorbar(image, ax=axes[1], extend="both", label="W", shrink=0.9)
    n, m = int(ds["n_features"]), int(ds["n_hidden"])
    title = (
        f"{n} features in {m} neurons with ReLU: the best of {ds.sizes['seed']:,} seeds, and all"
    )
    figure.suptitle(title, fontsize=TITLE_FONT + 1)
    _add_legend(figure)
    return figure


def _add_legend(figure: Any, columns: int = 4) -> None:
    """Add the colours of stack plots below a figure."""
    where: Style = {"loc": "outside lower center", "ncols": columns}
    figure.legend(handles=legend_handles(list(LABELS)), fontsize=SMALL_FONT, frameon=False, **where)


def _draw_matrix(ax: Axes, W: np.ndarray) -> Any:
    """Draw W with neurons as columns, in the order of the stack plot."""
    values = W[neuron_order(W, positive=True)].T
    image = ax.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    ax.set_xticks([])
    ax.set_xlabel("neuron")
    ax.set_ylabel("feature")
    return image


def _draw_counts(ax: Axes, alone: np.ndarray, n_hidden: int) -> None:
    """Draw how many seeds have how many monosemantic neurons."""
    alone = alone[np.isfinite(alone)].astype(int)
    number = np.bincount(alone, minlength=n_hidden + 1)
    ax.bar(range(n_hidden + 1), number / max(1, alone.size), color="0.5")
    ax.set_ylim(0, 1)
    ax.set_xticks(range(n_hidden + 1))
    ax.set_xlabel("monosemantic")
    ax.set_ylabel("share of seeds")


def absolute(ds: xarray.Dataset) -> Figure:
    """Draw the best model of each density as a stack plot, and the share of monosemantic neurons.

    Parameters
    ----------
    ds
        Result of the preset `abs_value`.
    """
    import matplotlib.pyplot as plt

    sparsity = np.sort(ds["sparsity"].values)
    figure = plt.figure(figsize=(11.5, 1.15 * len(sparsity) + 1.2), layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=(2.1, 1))
    rows = parts[0].subplots(len(sparsity), 1, squeeze=False)[:, 0]
    for ax, S in zip(rows, sparsity, strict=True):
        best = hidden_checks.best_seed(ds, sparsity=S)
        if best is not None:
            W, W_dec = (hidden_checks.cell(ds, v, sparsity=S)[best] for v in ("W", "W_dec"))
            stack_plot(W, W_dec, magnitudes=True, legend=False, ax=ax)
        words = f"density {hidden_checks.density_of(S):g}: {ax.get_title()}"
        ax.set_title("")
        ax.set_title(words, fontsize=TITLE_FONT, loc="left")
        ax.set_xlabel("neuron, by largest feature" if ax is rows[-1] else "")
        ax.set_ylabel("|weight|")
    _add_legend(parts[0], 2)
    n, m = int(ds["n_features"]), int(ds["n_hidden"])
    title = (
        f"absolute values of {n} features in {m} neurons with ReLU: the best seed of each density"
    )
    figure.suptitle(title, fontsize=TITLE_FONT + 1)
    above, below = parts[1].subplots(2, 1)
    _draw_monosemantic(above, ds, sparsity)
    _draw_number(below, ds, sparsity)
    return figure


def _draw_monosemantic(ax: Axes, ds: xarray.Dataset, sparsity: np.ndarray) -> None:
    """Draw the share of monosemantic neurons against the density, for several thresholds."""
    for i, threshold in enumerate(THRESHOLDS):
        shares = [hidden_checks.monosemantic(ds, S, threshold) for S in sparsity]
        draw_seeds(ax, 1 - sparsity, shares, i, f"weights above {threshold:g} of the largest")
    ax.set_ylim(-0.03, 1.05)
    ax.set_ylabel("share of monosemantic neurons")
    ax.legend(fontsize=SMALL_FONT, frameon=False)
    ax.set_title(f"mean and range of {ds.sizes['seed']} seeds", fontsize=TITLE_FONT)


def _draw_number(ax: Axes, ds: xarray.Dataset, sparsity: np.ndarray) -> None:
    """Draw the mean number of features per neuron against the density."""
    drawn: list[np.ndarray] = []
    for i, threshold in enumerate(THRESHOLDS):
        numbers = []
        for S in sparsity:
            W, W_dec = (hidden_checks.cell(ds, v, sparsity=S) for v in ("W", "W_dec"))
            carried = neuron_features.carries(W, W_dec, threshold=threshold)
            mean = neuron_features.features_per_neuron(carried).mean(axis=1)
            numbers.append(np.where(np.isfinite(W).all(axis=(1, 2)), mean, np.nan))
        draw_seeds(ax, 1 - sparsity, numbers, i, "")
        drawn += numbers
    set_log_scale(ax.yaxis, np.concatenate(drawn))
    ax.set_ylabel("features per neuron, mean")


def draw_seeds(ax: Axes, density: np.ndarray, values: list[np.ndarray], i: int, label: str) -> None:
    """Draw the mean of the seeds as a line, and their range as a band."""
    known = [v[np.isfinite(v)] for v in values]
    mean, low, high = (
        np.array([f(v) if v.size else np.nan for v in known]) for f in (np.mean, np.min, np.max)
    )
    color = COLORS[(2, 4, 0)[i]]
    ax.fill_between(density, low, high, color=color, alpha=0.15, linewidth=0)
    ax.plot(density, mean, color=color, marker=MARKERS[i], markersize=4, label=label)
    set_log_scale(ax.xaxis, density)
    ax.set_xlabel("density, 1 - sparsity")
