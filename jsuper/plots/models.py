"""Figures of the weights of one model, W of shape (hidden, feature)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.expecting import expect_array
from jsuper.plots.style import GUIDE_STYLE, SMALL_FONT, TITLE_FONT, Style, get_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOT_FINITE = "W is not finite"
NEAR = 0.1  # share of the longest arrow below which labels would overlap


def weights(
    W: np.ndarray,
    b: np.ndarray | None = None,
    *,
    W_dec: np.ndarray | None = None,
    M: np.ndarray | None = None,
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw WᵀW and, in a column to its right, b; -1 is blue, 0 white and 1 red.

    For an untied model W_decᵀW is drawn, whose row i is what output i reads from the features. A
    thin line follows feature m, the last that fits without superposition. Values beyond ±1 have
    the colour of ±1.

    Parameters
    ----------
    W
        Weights of one model, (hidden, feature).
    b
        Output bias, (feature,).
    W_dec
        Decoder of an untied model, (hidden, feature).
    M
        Map of the hidden layer, (hidden, hidden); W_decᵀMW is drawn then.
    colorbar
        Add a colour bar.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes. Its image has n columns, and with b another max(1, n // 20) empty columns and as
        many for b.

    Raises
    ------
    ValueError
        W, b or W_dec has the wrong shape.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, "Demonstrating superposition".
    """
    from jsuper.analysis import superposition

    W = _one(W)
    m, n = W.shape
    read = None if W_dec is None else _one(W_dec)
    if M is not None:
        read = _one(M).T @ (W if read is None else read)
    values = superposition.gram(W, read)
    if b is not None:
        expect_array("b", b, 'ds.b.sel(activation="relu", sparsity=0.9, seed=0)')
        b = np.asarray(b, dtype=float)
        if b.ndim == 1 and b.size > n:  # padded as W is
            b = b[~np.isnan(b)]
        if b.shape != (n,):
            raise ValueError(f"b has shape {b.shape}, but W has {n} features; give shape ({n},)")
        side = max(1, n // 20)  # wide enough to be visible
        values = np.column_stack([values, np.full((n, side), np.nan), *[b] * side])
    ax = get_axes(ax, 4.6, 3.8)
    image = ax.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    _frame(ax, n, (values.shape[1] - n) // 2)
    if 0 < m < n:
        ax.plot([-0.5, n - 0.5], [m - 0.5] * 2, color="k", linewidth=0.6)
        ax.plot([m - 0.5] * 2, [-0.5, n - 0.5], color="k", linewidth=0.6)
    product = ("Wᵀ" if W_dec is None else "W_decᵀ") + ("W" if M is None else "MW")
    ax.set_title(_title(product if b is None else f"{product} and b", W), fontsize=TITLE_FONT)
    if colorbar:
        beyond = bool((values > 1).any()), bool((values < -1).any())
        extend = {(0, 0): "neither", (1, 0): "max", (0, 1): "min", (1, 1): "both"}[beyond]
        ax.figure.colorbar(image, ax=ax, extend=extend, ticks=[-1, 0, 1], shrink=0.7)
    return ax


def _frame(ax: Axes, n: int, side: int) -> None:
    """Draw one frame around WᵀW and one around the `side` columns of b, and set the ticks."""
    from matplotlib.patches import Rectangle

    for x, width in [(-0.5, n), (n + side - 0.5, side)][: 1 + bool(side)]:
        style: Style = {"fill": False, "linewidth": 0.8, "clip_on": False}
        ax.add_patch(Rectangle((x, -0.5), width, n, **style))
    ax.spines[:].set_visible(False)
    shown = list(range(0, n, -(-n // 10)))
    ax.set_yticks(shown)
    ax.set_xticks(shown)
    if side:
        ax.set_xticks([*shown, n + 1.5 * side - 0.5], [*map(str, shown), "b"])
    ax.set_xlabel("feature")
    ax.set_ylabel("feature")


def features(W: np.ndarray, *, colorbar: bool = True, ax: Axes | None = None) -> Axes:
    """Draw ‖W_i‖ as bars, feature 0 on top, coloured by the interference of other features.

    The interference is √Σ_{j≠i} (Ŵ_i·W_j)²; dark is 0 and light is 1 or more. A thin line follows
    feature m, the last that fits without superposition.

    Parameters
    ----------
    W
        Weights of one model, (hidden, feature).
    colorbar
        Add a colour bar.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes.

    Raises
    ------
    ValueError
        W is not one matrix.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, "Demonstrating superposition".
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    from jsuper.analysis import superposition

    W = _one(W)
    m, n = W.shape
    norms = superposition.feature_norms(W)
    disturbed = superposition.interference(W, root=True)
    ax = get_axes(ax, 4.6, 3.8)
    scale = ScalarMappable(Normalize(0, 1), "viridis")
    ax.barh(range(n), norms, height=0.8, color=scale.to_rgba(disturbed.clip(0, 1)))
    if 0 < m < n:
        ax.axhline(m - 0.5, color="k", linewidth=0.6)
    longest = norms.max() if np.isfinite(norms).all() else 0
    ax.set_xlim(0, 1.05 * max(1, longest))
    ax.set_ylim(n - 0.5, -0.5)
    ax.set_yticks(range(0, n, max(1, -(-n // 10))))
    ax.set_xlabel("‖W_i‖")
    ax.set_ylabel("feature")
    ax.set_title(_title(f"{n} features in {m} hidden units", W), fontsize=TITLE_FONT)
    if colorbar:
        extend = "max" if (disturbed > 1).any() else "neither"
        ax.figure.colorbar(scale, ax=ax, extend=extend, shrink=0.7, label="interference")
    return ax


def arrows(W: np.ndarray, *, label_distance: float = NEAR, ax: Axes | None = None) -> Axes:
    """Draw the embedding of every feature in two dimensions, as a line from the origin to a point.

    Colours go from dark to light with the feature's index; the circle has radius 1.

    Parameters
    ----------
    W
        Weights of one model, (2, feature).
    label_distance
        Of a label from its point and from other labels, as a share of the longest arrow; larger for
        small Axes.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes, with equal aspect. Embeddings near the origin, and those whose label would overlap
        another, have no label.

    Raises
    ------
    ValueError
        W is not one matrix with two rows.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>.
    """
    import matplotlib as mpl
    from matplotlib.patches import Circle

    W = _one(W)
    if W.shape[0] != 2:
        raise ValueError(f"W has n_hidden={W.shape[0]}; arrows needs n_hidden=2")
    n = W.shape[1]
    lengths = np.hypot(*W)
    longest = max(1.0, lengths.max()) if np.isfinite(lengths).all() else 1.0
    ax = get_axes(ax, 3.8, 4.0)
    ax.add_patch(Circle((0, 0), 1, fill=False, edgecolor=GUIDE_STYLE["color"], linewidth=0.8))
    labelled: list[np.ndarray] = []
    for i, color in enumerate(mpl.colormaps["viridis"](np.linspace(0, 0.85, n))):
        x, y = W[:, i]
        ax.plot([0, x], [0, y], color=color, linewidth=1.5, marker="o", markevery=[1])
        if lengths[i] > NEAR * longest:
            at = W[:, i] * (1 + label_distance * longest / lengths[i])
            if all(np.hypot(*(at - other)) > label_distance * longest for other in labelled):
                labelled.append(at)
                ax.text(at[0], at[1], str(i), ha="center", va="center", fontsize=SMALL_FONT)
    edge = 1.2 * longest
    ax.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    ax.set_xlabel("hidden unit 0")
    ax.set_ylabel("hidden unit 1")
    ax.set_title(_title(f"{n} features in 2 dimensions", W), fontsize=TITLE_FONT)
    return ax


def _one(W: np.ndarray) -> np.ndarray:
    """Return one model's weights in float64, without the NaN padding of smaller models.

    Raises
    ------
    TypeError
        W is not an array.
    ValueError
        W is not one matrix.
    """
    expect_array("W", W, 'ds.W.sel(activation="relu", sparsity=0.9, seed=0)')
    W = np.asarray(W, dtype=float)
    if W.ndim != 2 or 0 in W.shape:
        raise ValueError(
            f"W has shape {W.shape}, not (hidden, feature); select one model, "
            'e.g. ds.W.sel(activation="relu", sparsity=0.9, seed=0)'
        )
    missing = np.isnan(W)
    padding = missing.all(axis=1), missing.all(axis=0)  # in sweeps over sizes
    return W if missing.all() else W[~padding[0]][:, ~padding[1]]


def _title(text: str, W: np.ndarray) -> str:
    """Return the title, with a note if W is not finite."""
    return text if np.isfinite(W).all() else f"{text}: {NOT_FINITE}"
