"""Figures of one model's weights, W of shape (hidden, feature)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.core.expecting import expect_array
from jsuper.plots.style import GUIDE, SMALL, TITLE, own

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOT_FINITE = "W is not finite"
NEAR = 0.1  # of the longest arrow, or of 1: names this near to others or the origin would touch


def weights(
    W: np.ndarray,
    b: np.ndarray | None = None,
    *,
    W_dec: np.ndarray | None = None,
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """WᵀW, and b as a column beside it, from -1 in blue over 0 in white to 1 in red.

    With W_dec, of an untied model, W_decᵀW: row i is what feature i reads. A thin line follows
    feature m, the last that fits without superposition. Numbers beyond ±1 have the colour of ±1.

    Parameters
    ----------
    W
        (hidden, feature), one model.
    b
        (feature,), or None.
    W_dec
        (hidden, feature), or None where the weights are tied.
    colorbar
        With the scale beside it.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; its image has n columns, and with b max(1, n // 20) empty ones and as many of b.

    Raises
    ------
    ValueError
        W, b or W_dec has another shape.

    Source: Elhage et al., "Toy Models of Superposition" (2022), "Demonstrating superposition".
    """
    from jsuper.analysis import superposition

    W = _one(W)
    m, n = W.shape
    values = superposition.gram(W, None if W_dec is None else _one(W_dec))
    if b is not None:
        expect_array("b", b, 'ds.b.sel(activation="relu", sparsity=0.9, seed=0)')
        b = np.asarray(b, dtype=float)
        if b.ndim == 1 and b.size > n:  # padded as W is
            b = b[~np.isnan(b)]
        if b.shape != (n,):
            raise ValueError(f"b has shape {b.shape}, but W has {n} features; give one each")
        side = max(1, n // 20)  # as wide as can be seen
        values = np.column_stack([values, np.full((n, side), np.nan), *[b] * side])
    ax = own(ax, 4.6, 3.8)
    image = ax.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    _frame(ax, n, (values.shape[1] - n) // 2)
    if 0 < m < n:
        ax.plot([-0.5, n - 0.5], [m - 0.5] * 2, color="k", linewidth=0.6)
        ax.plot([m - 0.5] * 2, [-0.5, n - 0.5], color="k", linewidth=0.6)
    product = "WᵀW" if W_dec is None else "W_decᵀW"
    ax.set_title(_title(product if b is None else f"{product} and b", W), fontsize=TITLE)
    if colorbar:
        beyond = bool((values > 1).any()), bool((values < -1).any())
        extend = {(0, 0): "neither", (1, 0): "max", (0, 1): "min", (1, 1): "both"}[beyond]
        ax.figure.colorbar(image, ax=ax, extend=extend, ticks=[-1, 0, 1], shrink=0.7)
    return ax


def _frame(ax: Axes, n: int, side: int) -> None:
    """A frame around WᵀW and one around b of `side` columns, not one around both, and ticks."""
    from matplotlib.patches import Rectangle

    for x, width in [(-0.5, n), (n + side - 0.5, side)][: 1 + bool(side)]:
        style: dict[str, Any] = {"fill": False, "linewidth": 0.8, "clip_on": False}
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
    """Bars of ‖W_i‖, feature 0 on top, coloured by how much other features interfere.

    The colour is √Σ_{j≠i} (Ŵ_i·W_j)² from 0, dark, to 1 or more. A thin line follows feature m.

    Parameters
    ----------
    W
        (hidden, feature), one model.
    colorbar
        With the scale beside it.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes.

    Raises
    ------
    ValueError
        W has another shape.

    Source: Elhage et al. 2022, "Demonstrating superposition", and its notebook.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    from jsuper.analysis import superposition

    W = _one(W)
    m, n = W.shape
    norms = superposition.feature_norms(W)
    disturbed = superposition.interference(W, root=True)
    ax = own(ax, 4.6, 3.8)
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
    ax.set_title(_title(f"features of {m} hidden units", W), fontsize=TITLE)
    if colorbar:
        extend = "max" if (disturbed > 1).any() else "neither"
        ax.figure.colorbar(scale, ax=ax, extend=extend, shrink=0.7, label="interference")
    return ax


def arrows(W: np.ndarray, *, ax: Axes | None = None) -> Axes:
    """Return the embedding of every feature in two dimensions: a point, and a line from the origin.

    The colour is the feature's index, from dark to light; a circle has the length 1.

    Parameters
    ----------
    W
        (2, feature), one model.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes, of equal aspect. Embeddings near the origin, and those whose name would lie on
        an earlier one's, have none.

    Raises
    ------
    ValueError
        W has another shape.

    Source: Elhage et al. 2022, the figures of 5 features in 2 dimensions.
    """
    import matplotlib as mpl
    from matplotlib.patches import Circle

    W = _one(W)
    if W.shape[0] != 2:
        raise ValueError(f"W has n_hidden={W.shape[0]}; arrows need 2, (2, feature)")
    n = W.shape[1]
    lengths = np.hypot(*W)
    longest = max(1.0, lengths.max()) if np.isfinite(lengths).all() else 1.0
    ax = own(ax, 3.8, 4.0)
    ax.add_patch(Circle((0, 0), 1, fill=False, edgecolor=GUIDE["color"], linewidth=0.8))
    named: list[np.ndarray] = []
    for i, color in enumerate(mpl.colormaps["viridis"](np.linspace(0, 0.85, n))):
        x, y = W[:, i]
        ax.plot([0, x], [0, y], color=color, linewidth=1.5, marker="o", markevery=[1])
        if lengths[i] > NEAR * longest:
            at = W[:, i] * (1 + NEAR * longest / lengths[i])
            if all(np.hypot(*(at - other)) > NEAR * longest for other in named):
                named.append(at)
                ax.text(at[0], at[1], str(i), ha="center", va="center", fontsize=SMALL)
    edge = 1.2 * longest
    ax.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    ax.set_xlabel("hidden unit 0")
    ax.set_ylabel("hidden unit 1")
    ax.set_title(_title(f"{n} features in 2 dimensions", W), fontsize=TITLE)
    return ax


def _one(W: np.ndarray) -> np.ndarray:
    """One model's weights, in float64, without the NaN that pads a smaller model's.

    Raises
    ------
    TypeError
        W is no array.
    ValueError
        W is not one matrix.
    """
    expect_array("W", W, 'ds.W.sel(activation="relu", sparsity=0.9, seed=0)')
    W = np.asarray(W, dtype=float)
    if W.ndim != 2 or 0 in W.shape:
        raise ValueError(
            f"W has shape {W.shape}; it is (hidden, feature): select one model, "
            'e.g. ds.W.sel(activation="relu", sparsity=0.9, seed=0)'
        )
    missing = np.isnan(W)
    padding = missing.all(axis=1), missing.all(axis=0)  # of a sweep over sizes, to the largest
    return W if missing.all() else W[~padding[0]][:, ~padding[1]]


def _title(text: str, W: np.ndarray) -> str:
    """Return the title, which says so where there is nothing to draw."""
    return text if np.isfinite(W).all() else f"{text}: {NOT_FINITE}"
