"""The loss against the number of hidden units, in weak and in strong superposition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.norm_pull import kinds_of, strong_exponent, weak_exponent
from jsuper.analysis.scaling import exponent
from jsuper.plots.style import COLORS, SMALL_FONT, TITLE_FONT, ramp_styles, set_log_scale

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KIND_COLORS = {"weak": COLORS[1], "strong": COLORS[4]}
GUIDES = {
    "weak": "weak, if m features are represented",
    "strong": "strong, published: max(1, 2(α - 1))",
}


def loss_of_kinds(ds: xarray.Dataset) -> Figure:
    """Draw the loss of both kinds against m, and its exponents against that of the frequencies.

    Dots are seeds, lines their medians. Dotted in weak superposition: the loss of the features that
    are not represented. Dashed: max(1, 2 (α - 1)) in strong superposition, and the exponent of the
    frequencies beyond the first m in weak superposition.

    Parameters
    ----------
    ds
        A sweep as `jsuper.analysis.norm_pull.kinds_of` needs it.

    References
    ----------
    Liu et al. (2025), "Superposition Yields Robust Neural Scaling",
    <https://arxiv.org/abs/2505.10465>.
    """
    import matplotlib.pyplot as plt

    kinds = kinds_of(ds)
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
    drawn = np.concatenate([part["loss"].values.ravel() for part in kinds.values()])
    for ax, (name, part) in zip(axes, kinds.items(), strict=False):
        _losses(ax, part, dotted=name == "weak")
        set_log_scale(ax.yaxis, drawn)
        ax.set_ylim(np.nanmin(drawn) / 1.5, np.nanmax(drawn) * 1.5)
        how = {"weak": "weight decay", "strong": "norm pull"}[name]
        ax.set_title(f"loss, {name} superposition ({how})", fontsize=TITLE_FONT)
    _exponents(axes[2], kinds, ds.sizes["feature"])
    return figure


def _losses(ax: Axes, part: xarray.Dataset, dotted: bool) -> None:
    """Draw the loss of one kind against m, a curve for each exponent of the frequencies."""
    m = part["n_hidden"].values.astype(float)
    powers = part["density_power"].values
    for power, style in zip(powers, ramp_styles(len(powers)), strict=True):
        one = part.sel(density_power=power)
        color = style["color"]
        ax.plot(m, one["loss"].median("seed").values, color=color, label=f"α = {power:g}")
        ax.plot(m, one["loss"].values, ".", color=color, markersize=4, alpha=0.6)
        if dotted:
            ax.plot(m, one["unseen"].median("seed").values, ":", color="0.7", zorder=3)
    if dotted:
        ax.plot([], [], ":", color="0.5", label="of features not represented")
    set_log_scale(ax.xaxis, m)
    ax.set_xticks(m, [f"{size:g}" for size in m])
    ax.minorticks_off()
    ax.set_xlabel("number of hidden units m")
    ax.legend(fontsize=SMALL_FONT, frameon=False, loc="lower left")


def _exponents(ax: Axes, kinds: dict[str, xarray.Dataset], n_features: int) -> None:
    """Draw the exponents of the loss against those of the frequencies."""
    for name, part in kinds.items():
        powers = part["density_power"].values
        found = exponent(part["loss"]).transpose("density_power", "seed")
        color = KIND_COLORS[name]
        ax.plot(powers, found.mean("seed").values, "o", color=color, label=f"{name} superposition")
        ax.plot(powers, found.values, ".", color=color, markersize=4, alpha=0.6)
        at = np.linspace(powers.min(), powers.max(), 60)
        sizes = part["n_hidden"].values
        guide = [strong_exponent(a) if name == "strong" else weak_exponent(a, n_features, sizes)
                 for a in at]  # fmt: skip
        ax.plot(at, guide, "--", color=color, linewidth=0.8, label=GUIDES[name])
    ax.set_ylim(0)
    ax.set_xlabel("α of the frequencies, p_i ~ i^-α")
    ax.set_title("exponent a of loss ~ m^-a", fontsize=TITLE_FONT)
    ax.legend(fontsize=SMALL_FONT, frameon=False)
