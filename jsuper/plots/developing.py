"""What happens to one toy model during training: loss, features, their shape, and jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.plots.selection import select
from jsuper.plots.style import (
    COLORS,
    GUIDE_STYLE,
    LINE_STYLES,
    LOG_RANGE,
    SMALL_FONT,
    TITLE_FONT,
    add_legend,
    set_log_scale,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jsuper.analysis.jumping import Jumps

NAMED = 12  # features with an entry in the legend
ALPHA = 0.05  # of each panel's curves together
SHADES = ("#E8F1F8", "#FBEBD3")


def development(ds: xarray.Dataset) -> Figure:
    """Draw the loss, the column norms and the dimensionalities of one model over its snapshots.

    Shaded spans are the named shapes of `jsuper.analysis.shapes.shape_names`. A dashed line is a
    jump: an increment between two snapshots that no smooth curve explains, at the level 5 % for all
    curves of a panel together (`jsuper.analysis.jumps`). Its label has the size; of several
    features that jump at once, the largest is given with their number. Jumps of the loss are those
    of its logarithm. Steps are on a logarithmic axis if the intervals between snapshots increase,
    and then jumps are sought along it.

    Parameters
    ----------
    ds
        Result of `jsuper.run` or `jsuper.load` for one toy model with `snapshots`; other dimensions
        have length one.

    Returns
    -------
    Figure
        Three Axes, with the loss at the top.

    Raises
    ------
    ValueError
        `ds` has several models, or no snapshots.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, section "Superposition and
    Learning Dynamics".
    """
    import matplotlib.pyplot as plt

    from jsuper.analysis.shapes import shape_names
    from jsuper.analysis.superposition import dimensionality, feature_norms

    W, steps = _snapshots(ds)
    curve = select(ds, "loss_curve", (), ("step",)).values[0]
    figure = plt.figure(figsize=(7.6, 7.0), layout="constrained")
    axes: Any = figure.subplots(3, 1, sharex=True)
    logarithmic = _is_logarithmic(steps)
    _draw_loss(axes[0], curve["step"].values, curve.values.astype(float), logarithmic)
    for ax, values, label in (
        (axes[1], np.asarray(feature_norms(W)), "length |W_i|"),
        (axes[2], np.asarray(dimensionality(W)), "dimensionality D_i"),
    ):
        _draw_features(ax, steps, values, logarithmic)
        ax.set_ylabel(label)
    for value, name in ((1 / 2, "1/2"), (2 / 5, "2/5")):
        axes[2].axhline(value, **GUIDE_STYLE)
        axes[2].text(steps[-1], value, f" {name}", fontsize=SMALL_FONT, va="center", color="0.4")
    _draw_shapes(axes, steps, shape_names(W))
    if logarithmic:
        set_log_scale(axes[2].xaxis, steps[steps > 0])
    axes[2].set_xlim(steps[steps > 0][0] if logarithmic else steps[0], steps[-1])
    axes[2].set_xlabel("step")
    add_legend(axes[1])
    return figure


def _snapshots(ds: xarray.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return W after the snapshots of one model, (snapshots, m, n), and the steps, ascending."""
    if "W_snapshots" not in ds:
        raise ValueError("ds has no W_snapshots; train it with snapshots=(100, 200, ...)")
    inner = ("snapshot_step", "hidden", "feature")
    selection = select(ds, "W_snapshots", (), inner)
    if selection.values.sizes["seed"] > 1:
        raise ValueError(f"ds has {selection.seeds_text}; select one model, e.g. ds.isel(seed=0)")
    values = selection.values[0].sortby("snapshot_step")
    if values.isnull().all():
        raise ValueError("the model is missing or diverged, so there is nothing to draw")
    W = values.dropna("hidden", how="all").dropna("feature", how="all")
    W = W.dropna("snapshot_step", how="all")
    return W.values.astype(float), W["snapshot_step"].values


def _is_logarithmic(steps: np.ndarray) -> bool:
    """Return whether the intervals between snapshots increase by a large factor."""
    apart = np.diff(steps[steps > 0])
    return bool(apart.size and apart.max() > LOG_RANGE * apart[0])


def _jumps_of(steps: np.ndarray, values: np.ndarray, alpha: float, logarithmic: bool) -> Jumps:
    """Return the jumps of a curve, along the logarithm of the step if the axis has it."""
    from jsuper.analysis.jumping import jumps

    kept = steps > 0 if logarithmic else np.ones(steps.size, bool)
    found = jumps(np.log(steps[kept]) if logarithmic else steps, values[kept], alpha=alpha)
    if not logarithmic:
        return found
    return found._replace(before=np.exp(found.before), after=np.exp(found.after))


def _draw_loss(ax: Axes, steps: np.ndarray, loss: np.ndarray, logarithmic: bool) -> None:
    """Draw the loss of the training batches, and the jumps of its logarithm."""
    kept = np.isfinite(loss) & (loss > 0)
    steps, loss = steps[kept], loss[kept]
    ax.plot(steps, loss, color=COLORS[0], linewidth=1.2)
    ax.set_yscale("log")
    ax.set_ylabel("loss of the batch")
    found = _jumps_of(steps, np.log10(loss), ALPHA, logarithmic)
    for before, after, size in zip(found.before, found.after, found.size, strict=True):
        _mark(ax, before, after, f"x {10**size:.2g}", logarithmic)


def _draw_features(ax: Axes, steps: np.ndarray, values: np.ndarray, logarithmic: bool) -> None:
    """Draw a curve for each feature, (snapshots, n), and the jumps of all."""
    found: dict[tuple[float, float], list[float]] = {}
    for i, line in enumerate(values.T):
        style: Any = {"color": COLORS[i % len(COLORS)]}
        style["linestyle"] = LINE_STYLES[i // len(COLORS) % len(LINE_STYLES)]
        ax.plot(steps, line, **style, linewidth=1.2, label=f"feature {i}" if i < NAMED else None)
        of_line = _jumps_of(steps, line, ALPHA / values.shape[1], logarithmic)
        for before, after, size in zip(of_line.before, of_line.after, of_line.size, strict=True):
            found.setdefault((before, after), []).append(size)
    for (before, after), sizes in sorted(found.items()):
        more = f" ({len(sizes)} features)" if len(sizes) > 1 else ""
        _mark(ax, before, after, f"{max(sizes, key=abs):+.2g}{more}", logarithmic)


def _mark(ax: Axes, before: float, after: float, text: str, logarithmic: bool) -> None:
    """Draw a dashed line in the middle of a jump, with a label."""
    middle = (before * after) ** 0.5 if logarithmic else (before + after) / 2
    ax.axvline(middle, color="0.35", linestyle="--", linewidth=0.9)
    place = {"transform": ax.get_xaxis_transform(), "rotation": 90, "ha": "right", "va": "top"}
    behind = {"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 0.5}
    ax.text(middle, 0.97, text + " ", fontsize=SMALL_FONT, color="0.25", bbox=behind, **place)


def _draw_shapes(axes: np.ndarray, steps: np.ndarray, names: np.ndarray) -> None:
    """Shade spans of one named shape in all Axes, and write the names above the first."""
    starts = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
    for k, (start, end) in enumerate(zip(starts, [*starts[1:], len(names) - 1], strict=True)):
        for ax in axes:
            ax.axvspan(steps[start], steps[end], color=SHADES[k % 2], linewidth=0, zorder=0)
    order = [names[s] for s in starts]
    shown = order if len(order) <= 6 else [*order[:3], "...", *order[-2:]]
    title = " → ".join(shown)
    axes[0].set_title(title, fontsize=TITLE_FONT, wrap=True)
