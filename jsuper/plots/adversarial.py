"""How vulnerable models are to adversarial examples, next to their superposition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsuper.analysis.vulnerability_checks import of_sparsities
from jsuper.plots.style import COLORS, SMALL_FONT, TITLE_FONT, set_density_axis, set_log_scale

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

SHOWN = (
    ("vulnerability", "vulnerability to adversarial examples", COLORS[5]),
    ("features_per_dimension", "features per dimension, ‖W‖²/m", COLORS[4]),
)


def vulnerability(ds: xarray.Dataset) -> Figure:
    """Draw vulnerability, features per dimension, and one against the other.

    The first two panels are against 1/(1 - S). Dots are seeds, lines their medians; all but the
    first axis are logarithmic.

    Parameters
    ----------
    ds
        A sweep over sparsities and seeds, of features of equal importance.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, section "Relationship to
    Adversarial Robustness".
    """
    import matplotlib.pyplot as plt

    found = of_sparsities(ds).sortby("sparsity")
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for ax, (name, title, color) in zip(axes, SHOWN, strict=False):
        x = set_density_axis(ax, found["sparsity"].values)
        values = found[name]
        ax.plot(x, values.median("seed").values, color=color)
        ax.plot(x, values.values, ".", color=color, markersize=4, alpha=0.6)
        ax.set_title(title, fontsize=TITLE_FONT)
        set_log_scale(ax.yaxis, values.values)
    dimensions, values = (found[name].values for name, *_ in reversed(SHOWN))
    axes[2].plot(dimensions.ravel(), values.ravel(), ".", color=COLORS[0], markersize=4)
    at = [dimensions.min(), dimensions.max()]
    axes[2].plot(at, at, color="0.5", linewidth=0.8, linestyle="--", label="equal")
    set_log_scale(axes[2].xaxis, dimensions)
    set_log_scale(axes[2].yaxis, values)
    axes[2].set_xlabel("features per dimension")
    axes[2].set_title("vulnerability against features per dimension", fontsize=TITLE_FONT)
    axes[2].legend(fontsize=SMALL_FONT, frameon=False)
    return figure
