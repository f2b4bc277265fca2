"""How a model's features lie relative to one another: angles, pairs, and the figures they form.

As in `superposition`, W is (..., n_hidden, n_features), NumPy or JAX, also under jit and vmap, and
a model with a non-finite weight gives NaN, only for itself. Features with ‖W_i‖ <= threshold are
not represented and left out, because the angle of a column near zero is meaningless.

Functions without a reference follow Elhage et al. (2022), "Toy Models of Superposition",
<https://transformer-circuits.pub/2022/toy_model/index.html>, section "The Geometry of
Superposition".
"""

from __future__ import annotations

from typing import NamedTuple

from jsuper.analysis.arrays import Array, in_range, matmul, weights
from jsuper.analysis.superposition import (
    REPRESENTED,
    dimensionality,
    directions,
    feature_norms,
)
from jsuper.training.jax_config import shielded

FIGURES = {
    "alone": (1, 1.0),
    "digon": (2, 1 / 2),
    "triangle": (3, 2 / 3),
    "tetrahedron": (4, 3 / 4),
    "pentagon": (5, 2 / 5),
    "square antiprism": (8, 3 / 8),
}
"""Known figures: name -> (number of features, dimensionality of each)."""

OTHER = len(FIGURES)


@shielded()
def cosines(W: Array, threshold: float = 0.0) -> Array:
    """Return cos(W_i, W_j), with 0 on the diagonal: (..., n_features, n_features), in [-1, 1].

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    threshold
        Features with ‖W_i‖ <= threshold get 0; by default only zero columns.
    """
    xp, W = weights(W)
    unit = directions(W)
    off_diagonal = 1 - xp.eye(W.shape[-1], dtype=W.dtype)
    small = feature_norms(W) <= threshold
    left_out = small[..., :, None] | small[..., None, :]
    return xp.where(left_out, 0, matmul(xp.swapaxes(unit, -1, -2), unit) * off_diagonal)


@shielded()
def coherence(W: Array, threshold: float = REPRESENTED) -> Array:
    """Return max_{i≠j} |cos(W_i, W_j)| of represented features: (...,), in [0, 1].

    It is 0 for fewer than two features, and at least the square root of `theory.welch_bound` of
    their number.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    threshold
        Features with ‖W_i‖ <= threshold are left out.
    """
    xp, W = weights(W)
    return xp.abs(cosines(W, threshold)).max(axis=(-2, -1))


@shielded()
def mean_squared_overlap(W: Array, threshold: float = REPRESENTED) -> Array:
    """Return mean_{i≠j} cos²(W_i, W_j) of represented features: (...,), in [0, 1].

    It is 0 for fewer than two features, and at least `theory.welch_bound` of their number, which a
    tight frame meets.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    threshold
        Features with ‖W_i‖ <= threshold are left out.
    """
    xp, W = weights(W)
    kept = (feature_norms(W) > threshold).sum(axis=-1).astype(W.dtype)
    return (cosines(W, threshold) ** 2).sum(axis=(-2, -1)) / xp.maximum(kept * (kept - 1), 1)


@shielded()
def antipodal_pairs(W: Array, cosine: float = -0.9, threshold: float = REPRESENTED) -> Array:
    """Return the number of pairs of represented features with cos(W_i, W_j) < cosine: (...,).

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    cosine
        Largest cosine of an antipodal pair, in [-1, 0].
    threshold
        Features with ‖W_i‖ <= threshold are left out.

    Raises
    ------
    ValueError
        `cosine` is out of its range.
    """
    if not -1 <= cosine <= 0:
        raise ValueError(f"cosine={cosine} is not in [-1, 0]: above 0 features are not antipodal")
    xp, W = weights(W)
    pairs = xp.triu(cosines(W, threshold) < cosine).sum(axis=(-2, -1)).astype(W.dtype)
    return xp.where(_broken(xp, W), W.dtype.type("nan"), pairs)


class Geometry(NamedTuple):
    """Result of `geometry`; both are integers of shape (..., n_features)."""

    component: Array  # the smallest index of a feature in i's component; -1: not represented
    figure: Array  # position in FIGURES of i's component, OTHER for none; -1: not represented


@shielded()
def geometry(
    W: Array, *, overlap: float = 0.1, threshold: float = REPRESENTED, tolerance: float = 0.05
) -> Geometry:
    """Return the connected components of the overlap graph, and the known figure that each forms.

    Two represented features are joined if |cos(W_i, W_j)| >= overlap. A component is a known figure
    if it has as many features as a figure of `FIGURES` and the dimensionality of each feature is
    within `tolerance` of the figure's.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    overlap
        Least |cos| that joins two features, in (0, 1].
    threshold
        Features with ‖W_i‖ <= threshold are not represented.
    tolerance
        Largest distance of a dimensionality from the figure's, >= 0.

    Returns
    -------
    Geometry
        `component` and `figure`, all -1 for a model with a non-finite weight (`figures` gives NaN).

    Raises
    ------
    ValueError
        `overlap` or `tolerance` is out of its range.
    """
    if not 0 < overlap <= 1:
        raise ValueError(f"overlap={overlap} is not in (0, 1]")
    in_range("tolerance", tolerance, "[0, inf)")
    xp, W = weights(W)
    n = W.shape[-1]
    kept = feature_norms(W) > threshold
    itself = kept[..., :, None] & xp.eye(n, dtype=bool)
    reached = (xp.abs(cosines(W, threshold)) >= overlap) | itself
    steps = 1
    while steps < n:  # paths of up to twice the length
        reached = (reached.astype(W.dtype) @ reached.astype(W.dtype)) > 0
        steps *= 2
    component = xp.where(kept, reached.argmax(axis=-1), -1)
    D = dimensionality(W)
    size = reached.sum(axis=-1)
    figure = xp.where(kept, OTHER, -1)
    for position, (features, expected) in enumerate(FIGURES.values()):
        far = kept & ~(xp.abs(D - expected) <= tolerance)
        fits = ~(reached & far[..., None, :]).any(axis=-1)
        figure = xp.where(kept & fits & (size == features), position, figure)
    return Geometry(component, figure)


def figures(
    W: Array, *, overlap: float = 0.1, threshold: float = REPRESENTED, tolerance: float = 0.05
) -> Array:
    """Return the number of components that form each figure: (..., len(FIGURES) + 1).

    The last number is that of components that form no figure of `FIGURES`. The arguments and errors
    are those of `geometry`.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    overlap
        Least |cos| that joins two features, in (0, 1].
    threshold
        Features with ‖W_i‖ <= threshold are not represented.
    tolerance
        Largest distance of a dimensionality from the figure's, >= 0.

    Raises
    ------
    ValueError
        `overlap` or `tolerance` is out of its range.
    """
    xp, W = weights(W)
    component, figure = geometry(W, overlap=overlap, threshold=threshold, tolerance=tolerance)
    first = component == xp.arange(W.shape[-1])
    counts = [(first & (figure == k)).sum(axis=-1) for k in range(OTHER + 1)]
    counted = xp.stack(counts, axis=-1).astype(W.dtype)
    return xp.where(_broken(xp, W)[..., None], W.dtype.type("nan"), counted)


def _broken(xp, W: Array) -> Array:
    """Return where a model has a non-finite weight: (...,) booleans."""
    return xp.isnan(W).any(axis=(-2, -1))
