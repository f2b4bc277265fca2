"""Hidden units that hold several features by chance: how many, and how they came to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.incidental import polysemantic, predicted, sizes_of, start_ranks
from jsuper.plots.style import COLORS, SMALL_FONT, TITLE_FONT, ramp_styles, set_log_scale

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPREAD = 0.05  # of the logarithm of x, so that seeds with equal counts are seen


def incidental(ds: xarray.Dataset) -> Figure:
    """Draw the number of polysemantic units against n²/(4m), and where features end.

    Dots are seeds, side by side, and rings their means; seeds without a polysemantic unit are at
    the lower end. On the right, the place at the start of the unit in which a feature ends: the
    share of features whose last unit was among the k with the largest weights, and k/m, the share
    of a unit chosen by chance.

    Parameters
    ----------
    ds
        A sweep with several `n_hidden` and the seed, and with snapshots of step 0.

    References
    ----------
    Lecomte et al. (2023), "What Causes Polysemanticity? An Alternative Origin Story of Mixed
    Selectivity from Incidental Causes", <https://arxiv.org/abs/2312.03096>.
    """
    import matplotlib.pyplot as plt

    sizes = sizes_of(ds)
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
    _counts(axes[0], sizes)
    _places(axes[1], sizes)
    return figure


def _places(ax: Axes, sizes: list[tuple[int, np.ndarray, np.ndarray]]) -> None:
    """Draw the share of features whose last unit was among the k largest at the start."""
    for (m, W, start), style in zip(sizes, ramp_styles(len(sizes)), strict=True):
        k = np.arange(1, m + 1)
        counts = np.bincount(start_ranks(W, start).ravel(), minlength=m)
        color = style["color"]
        ax.plot(k, counts.cumsum() / counts.sum(), color=color, label=f"m = {m}")
        ax.plot(k, k / m, color=color, linewidth=0.8, linestyle=":")
    ax.plot([], [], color="0.3", linewidth=0.8, linestyle=":", label="by chance")
    set_log_scale(ax.xaxis, np.array([1.0, max(m for m, *_ in sizes)]))
    ax.set_ylim(0, 1.03)
    ax.set_xlabel("k, by the size of weights at the start")
    ax.set_title("features that end in one of their k largest units, share", fontsize=TITLE_FONT)
    ax.legend(fontsize=SMALL_FONT, frameon=False)


def _counts(ax: Axes, sizes: list[tuple[int, np.ndarray, np.ndarray]]) -> None:
    """Draw the polysemantic units of every seed against n²/(4m)."""
    n = sizes[0][1].shape[-1]
    x = predicted(n, np.array([m for m, *_ in sizes]))
    counts = [polysemantic(W).sum(axis=-1) for _, W, _ in sizes]
    least = min(0.5, x.min() / 2)  # stands for 0 on the logarithmic axis
    has_none = any((count == 0).any() for count in counts)
    label = f"a seed ({least:g} stands for none)" if has_none else "a seed"
    ax.plot(x, x, color="0.3", linewidth=1, linestyle="--", label="theory, n²/(4m)")
    for i, (at, count) in enumerate(zip(x, counts, strict=True)):
        beside = at * np.exp(SPREAD * np.linspace(-1, 1, max(len(count), 2))[: len(count)])
        ax.plot(beside, np.maximum(count, least), ".", color=COLORS[0], markersize=4, alpha=0.6,
                label=label if i == 0 else None)  # fmt: skip
    means = [count.mean() if len(count) else np.nan for count in counts]
    ax.plot(x, np.maximum(means, least), "o", color=COLORS[1], fillstyle="none", label="mean")
    set_log_scale(ax.xaxis, x)
    set_log_scale(ax.yaxis, np.concatenate([*counts, x]).clip(least))
    ax.set_xticks(x, [f"{at:g}\nm = {m}" for at, (m, *_) in zip(x, sizes, strict=True)])
    ax.set_xlabel(f"n²/(4m), n = {n} features")
    ax.set_title("hidden units that hold more than one feature", fontsize=TITLE_FONT)
    ax.legend(fontsize=SMALL_FONT, frameon=False)
