"""Stack plots: the weights of every neuron of one model as a bar, stacked by feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis import neuron_features
from jsuper.core.suggestions import not_one_of
from jsuper.plots.style import GUIDE_STYLE, SMALL_FONT, TITLE_FONT, Style, get_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALONE, SHARED, NOWHERE = "#0072B2", "#E69F00", "0.75"
LABELS = {
    ALONE: "feature of monosemantic neurons",
    SHARED: "feature of a polysemantic neuron",
    NOWHERE: "feature that no neuron carries",
}
COLOR_BY = ("superposition", "feature")
NUMBERED = 0.05  # share of the plot's height from which on a segment has its feature's number
WIDTH = 0.8


def stack_plot(
    W: np.ndarray,
    W_dec: np.ndarray | None = None,
    *,
    color_by: str = "superposition",
    outputs: bool = False,
    magnitudes: bool = False,
    positive: bool = False,
    threshold: float = neuron_features.THRESHOLD,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw a bar for every neuron, in which the weight of every feature is a segment.

    Negative weights are below zero. Neurons are in the order of their largest feature, and
    polysemantic ones have a shaded background. With W_dec each neuron is scaled so that its largest
    input weight is 1, which changes nothing else if the hidden layer has a ReLU.

    Parameters
    ----------
    W
        Weights of one model with a hidden activation, (hidden, feature).
    W_dec
        Decoder of an untied model, (hidden, feature).
    color_by
        "superposition": whether a polysemantic neuron carries the feature; "feature": a colour for
        each feature, with its number.
    outputs
        Draw the output weights too, W_dec, as a second hatched bar of each neuron.
    magnitudes
        Draw absolute values, all above zero.
    positive
        Count positive weights alone: `jsuper.analysis.neuron_features.carries`.
    threshold
        Share of a neuron's largest weight above which it carries a feature.
    legend
        Add a legend below the Axes.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of monosemantic neurons.

    Raises
    ------
    ValueError
        W is not one finite matrix, W_dec has another shape, outputs lacks W_dec, or color_by is not
        known.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, "Superposition in a privileged
    basis".
    """
    if color_by not in COLOR_BY:
        raise ValueError(
            not_one_of(f"color_by={color_by!r} is not known", color_by, COLOR_BY, "the choices are")
        )
    W, W_dec = _checked(W, W_dec, outputs)
    carried = neuron_features.carries(W, W_dec, positive=positive, threshold=threshold)
    order = neuron_order(W, positive=positive)
    drawn = [W] if W_dec is None else list(neuron_features.rescaled(W, W_dec))
    drawn = [np.abs(v[order]) if magnitudes else v[order] for v in drawn[: 1 + outputs]]
    colors = feature_colors(carried, color_by)
    ax = get_axes(ax, 1.6 + 0.32 * len(W) * len(drawn), 3.4)
    count = neuron_features.features_per_neuron(carried)[order]
    for k in np.flatnonzero(count > 1):
        ax.axvspan(k - 0.5, k + 0.5, color="#FBEBCB", linewidth=0, zorder=0)
    for place, values in enumerate(drawn):
        width = WIDTH / len(drawn)
        left = np.arange(len(W)) - WIDTH / 2 + place * width
        _draw_stack(ax, values, left, width, colors, hatched=place > 0)
    _frame(ax, drawn, order)
    ax.set_title(f"{(count == 1).sum()} of {len(W)} neurons monosemantic", fontsize=TITLE_FONT)
    if color_by == "feature":
        _number_segments(ax, drawn)
    if legend:
        handles = legend_handles(colors if color_by == "superposition" else (), outputs)
        ax.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            fontsize=SMALL_FONT,
            frameon=False,
            ncols=2,
        )
    return ax


def neuron_order(W: np.ndarray, *, positive: bool = False) -> np.ndarray:
    """Return the neurons in the order of their largest feature.

    Parameters
    ----------
    W
        Weights of one model, (hidden, feature).
    positive
        The largest positive weight counts, not the largest magnitude.
    """
    size = W if positive else np.abs(W)
    return np.lexsort((-size.max(axis=1), size.argmax(axis=1)))


def feature_colors(carried: np.ndarray, color_by: str) -> list[Any]:
    """Return the colour of each feature, by superposition or by feature.

    Parameters
    ----------
    carried
        Result of `jsuper.analysis.neuron_features.carries`, (hidden, feature).
    color_by
        "superposition" or "feature".
    """
    if color_by == "feature":
        import matplotlib as mpl

        colors = mpl.colormaps["tab10" if carried.shape[1] <= 10 else "tab20"].colors  # pyright: ignore
        return [colors[i % len(colors)] for i in range(carried.shape[1])]
    shared = neuron_features.in_polysemantic(carried)
    return [
        SHARED if many else ALONE if any_neuron else NOWHERE
        for many, any_neuron in zip(shared, np.asarray(carried.any(axis=0)), strict=True)
    ]


def legend_handles(colors: Sequence[Any], outputs: bool = False) -> list[Any]:
    """Return the entries of a legend: the colours by superposition that occur, and the shading."""
    from matplotlib.patches import Patch

    handles = [Patch(color=c, label=LABELS[c]) for c in LABELS if c in colors]
    handles.append(Patch(color="#FBEBCB", label="polysemantic neuron"))
    if outputs:
        handles.append(Patch(facecolor="0.9", edgecolor="0.4", label="left: input weights"))
        style: Style = {"facecolor": "0.9", "edgecolor": "0.4", "hatch": "////"}
        handles.append(Patch(**style, label="right: output weights"))
    return handles


def _checked(
    W: np.ndarray, W_dec: np.ndarray | None, outputs: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return one model's weights in float64."""
    W = np.asarray(W, float)
    if W.ndim != 2 or 0 in W.shape or not np.isfinite(W).all():
        raise ValueError(
            f"W has shape {W.shape}, and must be a finite matrix (hidden, feature); select one "
            'model, e.g. ds.W.sel(activation="relu", sparsity=0.9, seed=0)'
        )
    if W_dec is None:
        if outputs:
            raise ValueError("outputs=True draws the decoder of an untied model; give W_dec too")
        return W, None
    W_dec = np.asarray(W_dec, float)
    if W_dec.shape != W.shape:
        raise ValueError(f"W_dec has shape {W_dec.shape} and W {W.shape}; give both of one model")
    return W, W_dec


def _bottoms(values: np.ndarray) -> np.ndarray:
    """Return where each segment starts: positive ones upwards from 0, negative ones downwards."""
    up, down = np.maximum(values, 0), np.minimum(values, 0)
    ends = np.where(values >= 0, np.cumsum(up, axis=1), np.cumsum(down, axis=1))
    return ends - values


def _draw_stack(
    ax: Axes,
    values: np.ndarray,
    left: np.ndarray,
    width: float,
    colors: Sequence[Any],
    hatched: bool,
) -> None:
    """Draw the segments, all in one collection."""
    from matplotlib.collections import PolyCollection

    low = _bottoms(values)
    high = low + values
    x = np.broadcast_to(left[:, None], values.shape)
    corners = [(x, low), (x + width, low), (x + width, high), (x, high)]
    boxes = np.stack([np.stack(c, axis=-1) for c in corners], axis=-2).reshape(-1, 4, 2)
    lines = 0.4 if values.shape[1] <= 20 else 0.05  # they would hide small segments
    style: Style = {"edgecolors": "white", "linewidths": lines, "zorder": 2}
    style |= {"hatch": "////"} if hatched else {}
    ax.add_collection(PolyCollection(list(boxes), facecolors=list(colors) * len(values), **style))


def _frame(ax: Axes, drawn: list[np.ndarray], order: np.ndarray) -> None:
    """Set limits, ticks and labels."""
    top = max(np.maximum(v, 0).sum(axis=1).max() for v in drawn)
    bottom = min(np.minimum(v, 0).sum(axis=1).min() for v in drawn)
    ax.axhline(0, **GUIDE_STYLE | {"zorder": 3})
    ax.set_xlim(-0.5, len(order) - 0.5)
    ax.set_ylim(1.1 * bottom if bottom < 0 else 0, 1.1 * max(top, 1e-12))
    few = len(order) <= 20
    ax.set_xticks(range(len(order)) if few else [], [str(k) for k in order] if few else [])
    ax.set_xlabel("neuron, by largest feature")
    ax.set_ylabel("weight")


def _number_segments(ax: Axes, drawn: list[np.ndarray]) -> None:
    """Write the number of the feature into every segment that is high enough."""
    low, high = ax.get_ylim()
    for place, values in enumerate(drawn):
        bottoms = _bottoms(values)
        shift = WIDTH * ((place + 0.5) / len(drawn) - 0.5)
        for k, i in np.argwhere(np.abs(values) >= NUMBERED * (high - low)):
            where = float(k + shift), float(bottoms[k, i] + values[k, i] / 2)
            style: Style = {"ha": "center", "va": "center", "zorder": 4}
            ax.text(*where, str(i), fontsize=SMALL_FONT, **style)
