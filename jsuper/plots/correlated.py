"""Features that are active together, or never together: how models arrange them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis import correlated
from jsuper.analysis.checked import wilson
from jsuper.core.errors import SpecError
from jsuper.plots.style import COLORS, MARKERS, TITLE_FONT, set_log_scale

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXAMPLES = {
    "correlated pairs": (correlated.PAIRS, 4, -1),
    "three correlated pairs": (correlated.PAIRS, 6, -1),
    "three collapsed pairs": (correlated.PAIRS, 6, 0),
    "anticorrelated pairs": (correlated.EXCLUSIVE, 4, 0),
}
"""Title -> support, number of features, and position among the sparsities in ascending order."""


def arrangements(ds: xarray.Dataset) -> Figure:
    """Draw example models, the shares of arrangements and the number of collapsed pairs.

    Parameters
    ----------
    ds
        Result of `jsuper.run` or `jsuper.load` with n_hidden = 2, and with the axes support,
        n_features and sparsity of the preset `correlated`.

    Raises
    ------
    SpecError
        The models do not have two hidden units.
    ValueError
        A support or a number of features is missing.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, "Superposition and correlated
    features".
    """
    import matplotlib.pyplot as plt

    if ds.sizes["hidden"] != 2:
        raise SpecError(
            f"ds has n_hidden {ds.sizes['hidden']}, and arrangements, which draws models in a "
            "plane, needs 2; run the sweep with n_hidden=2"
        )
    figure = plt.figure(figsize=(10, 6.4), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(1, 1.35))
    above, below = parts
    for ax, (title, example) in zip(above.subplots(1, 4), EXAMPLES.items(), strict=True):
        _draw_example(ax, ds, title, *example)
    left, right = below.subplots(1, 2)
    _draw_shares(left, ds)
    _draw_collapse(right, ds)
    return figure


def _draw_example(
    ax: Axes, ds: xarray.Dataset, title: str, support: str, n: int, place: int
) -> None:
    """Draw the columns of the best seed of a cell, with a colour for each pair."""
    S = float(np.sort(ds["sparsity"].values)[place])
    cell = ds.sel(support=support, n_features=n, sparsity=S)
    cell = cell.isel({d: 0 for d in cell["status"].dims if d != "seed"})
    best = cell.isel(seed=int(cell["loss"].fillna(np.inf).argmin("seed")))
    W = best["W"].transpose("hidden", "feature").values[:, :n]
    for i, (x, y) in enumerate(W.T):
        color, wide = COLORS[(1, 4, 3)[i // 2 % 3]], 3.4 if i % 2 == 0 else 1.6
        ax.plot([0, x], [0, y], color=color, linewidth=wide, alpha=0.9, solid_capstyle="round")
        ax.plot([x], [y], "o", color=color, markersize=7 - 2 * (i % 2), mec="white", mew=0.5)
    ax.set_aspect("equal")
    ax.set_xlim(-1.35, 1.35)
    ax.set_ylim(-1.35, 1.35)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(f"{title}\ndensity {1 - S:.3g}, best seed", fontsize=TITLE_FONT)


def _draw_shares(ax: Axes, ds: xarray.Dataset) -> None:
    """Draw the shares of models with an arrangement, and those of independent features."""
    sparsity = np.sort(ds["sparsity"].values)
    density = 1 - sparsity
    for i, (name, (support, n, arrangement)) in enumerate(correlated.ARRANGEMENTS.items()):
        for law in (support, correlated.INDEPENDENT):
            cells = [correlated.cell_cosines(ds, law, n, S) for S in sparsity]
            cases = [correlated.arranged(cell, arrangement) for cell in cells]
            share = np.array([c.mean() if c.size else np.nan for c in cases])
            if law == correlated.INDEPENDENT:
                ax.plot(density, share, "--", color=COLORS[(1, 4, 3)[i]], linewidth=1)
                continue
            ends = np.array([wilson(int(c.sum()), c.size) for c in cases]).T
            ax.errorbar(
                density,
                share,
                np.abs(ends - share),
                color=COLORS[(1, 4, 3)[i]],
                marker=MARKERS[i],
                markersize=4,
                linewidth=1.4,
                capsize=2,
                label=name,
            )
    ax.plot([], [], "--", color="0.4", linewidth=1, label="the same, of independent features")
    _finish(ax, density, "share of models")
    ax.set_ylim(-0.03, 1.03)
    ax.set_title(f"{ds.sizes['seed']} seeds, with 95 % intervals", fontsize=TITLE_FONT)


def _draw_collapse(ax: Axes, ds: xarray.Dataset) -> None:
    """Draw the share of seeds for every number of collapsed pairs, stacked."""
    sparsity = np.sort(ds["sparsity"].values)
    density = 1 - sparsity
    counts = [
        correlated.collapsed_pairs(correlated.cell_cosines(ds, correlated.PAIRS, 6, S))
        for S in sparsity
    ]
    shares = np.array([[(c == k).mean() if c.size else 0.0 for k in range(4)] for c in counts]).T
    colors = ("#F2F2F2", "#B9D9EE", "#56B4E9", "#0072B2")
    labels = ("none collapsed", "1 pair", "2 pairs", "all 3 pairs")
    ax.stackplot(density, shares, colors=colors, labels=labels, edgecolor="white", linewidth=0.5)
    _finish(ax, density, "share of models")
    ax.set_xlim(density.min(), density.max())
    ax.set_ylim(0, 1)
    ax.set_title("three correlated pairs: pairs with one direction", fontsize=TITLE_FONT)


def _finish(ax: Axes, density: np.ndarray, label: str) -> None:
    set_log_scale(ax.xaxis, density)
    ax.set_xlabel("density, 1 - sparsity")
    ax.set_ylabel(label)
    ax.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, frameon=False)
