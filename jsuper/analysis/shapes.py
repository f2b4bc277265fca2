"""Names of the arrangements of a model's features, such as "5-gon" or "2 digons"."""

from __future__ import annotations

import numpy as np

from jsuper.analysis.arrays import Array, in_range
from jsuper.analysis.geometry import FIGURES, figures
from jsuper.analysis.superposition import REPRESENTED, feature_norms


def shape_names(W: Array, *, threshold: float = REPRESENTED, tolerance: float = 0.1) -> np.ndarray:
    """Return the name of every model's arrangement of features, text of shape (...,).

    In two dimensions it is "k-gon" if k >= 3 represented features have the same length and equal
    angles between neighbours. Otherwise it is the figures of `geometry.figures`, such as "2 digons"
    or "1 digon, 1 alone", where "other" is a component that is no figure; "none" if no feature is
    represented; and "" if W is not finite.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    threshold
        Features with ‖W_i‖ <= threshold are not represented.
    tolerance
        Largest relative deviation of a length and an angle of a k-gon from their means, >= 0.

    Raises
    ------
    ValueError
        The tolerance is out of its range.

    References
    ----------
    Chen et al. (2023), "Dynamical versus Bayesian Phase Transitions in a Toy Model of
    Superposition", <https://arxiv.org/abs/2310.06301>, whose k-gons these are.
    """
    in_range("tolerance", tolerance, "[0, inf)")
    W = np.asarray(W)
    flat = W.reshape(-1, *W.shape[-2:])
    counts, norms = np.asarray(figures(flat, threshold=threshold)), np.asarray(feature_norms(flat))
    names = np.empty(len(flat), object)
    for i, one in enumerate(flat):
        kept = norms[i] > threshold
        if not np.isfinite(one).all():
            names[i] = ""
        elif len(one) == 2 and kept.sum() >= 3 and _is_regular(one[:, kept], tolerance):
            names[i] = f"{kept.sum()}-gon"
        else:
            names[i] = _listed(counts[i])
    return names.reshape(W.shape[:-2]).astype(str)


def _is_regular(columns: np.ndarray, tolerance: float) -> bool:
    """Return whether vectors of the plane, (2, k), have equal lengths and angles."""
    lengths = np.linalg.norm(columns, axis=0)
    angles = np.sort(np.arctan2(columns[1], columns[0]))
    gaps = np.diff(angles, append=angles[0] + 2 * np.pi)
    even = abs(lengths / lengths.mean() - 1).max() <= tolerance
    return bool(even and abs(gaps / gaps.mean() - 1).max() <= tolerance)


def _listed(counts: np.ndarray) -> str:
    """Return "2 digons, 1 other" for the counts of figures."""
    found = []
    for name, count in zip([*FIGURES, "other"], counts.astype(int), strict=True):
        if count:
            plural = "s" if count > 1 and name not in ("alone", "other") else ""
            found.append(f"{count} {name}{plural}")
    return ", ".join(found) or "none"
