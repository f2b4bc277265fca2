"""Figures. Each takes data and `ax=None`, returns the Axes and changes no global state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes


def heatmap(
    ds: xarray.Dataset,
    variable: str,
    *,
    axes: tuple[str, str] = ("activation", "sparsity"),
    ax: Axes | None = None,
) -> Axes:
    """The median over seeds of a positive variable, on a logarithmic colour scale.

    Args:
        ds: of `jsuper.run` or `jsuper.load`, with no dimensions but `axes` and seed.
        variable: e.g. "loss_over_constant".
        axes: the dimension down and the one across.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes; its title says how many models are left out because they diverged or are missing.
    """
    import matplotlib.pyplot as plt
    from matplotlib.colors import LogNorm

    down, across = axes
    ax = ax or plt.subplots(layout="constrained")[1]
    fine = ds["status"] == 1
    median = ds[variable].where(fine).median("seed").transpose(down, across)
    values = median.values
    shown = values[np.isfinite(values) & (values > 0)]
    low, high = (shown.min(), np.median(shown) * 30) if shown.size else (0.1, 1.0)
    norm = LogNorm(low, max(high, low * 1.01))
    image = ax.imshow(values, norm=norm, cmap="viridis", aspect="auto")
    ax.set_xticks(range(values.shape[1]), [_tick(v) for v in ds[across].values])
    ax.set_yticks(range(values.shape[0]), [_tick(v) for v in ds[down].values])
    ax.set_xlabel(across)
    for (i, j), value in np.ndenumerate(values):
        dark = np.isfinite(value) and norm(max(value, low)) < 0.6
        text = f"{value:.2g}" if np.isfinite(value) else "-"
        ax.text(j, i, text, ha="center", va="center", fontsize=7, color="w" if dark else "k")
    left_out = int((~fine).sum())
    said = f"{left_out} of {fine.size} models left out" if left_out else f"all {fine.size} models"
    ax.set_title(f"{variable}: median over {ds.sizes['seed']} seeds, {said}", fontsize=9)
    ax.figure.colorbar(image, ax=ax, extend="max", shrink=0.6)
    return ax


def _tick(value: object) -> str:
    """A coordinate as a short label."""
    return str(value) if isinstance(value, str) else f"{value:g}"
