"""Check the arguments of the closed forms."""

from __future__ import annotations

from types import ModuleType

from jsuper.analysis.arrays import (
    Array,
    in_range,
    per_feature,
    weights,
)


def check_features(density: Array, importance: Array) -> tuple[Array, Array]:
    """Return p and I, checked; p broadcasts against I, which has an axis of features."""
    p = in_range("density", density, "[0, 1]")
    importance = in_range("importance", importance, "[0, inf)")
    n = importance.shape[-1] if importance.ndim else 0
    if n == 0 or (p.ndim and p.shape[-1] not in (1, n)):
        raise ValueError(
            f"density has shape {p.shape} and importance {importance.shape}; give an importance per"
            " feature, (..., n_features), and one density or one per feature"
        )
    return p, importance


def check_model(
    W: Array, b: Array, importance: Array | None
) -> tuple[ModuleType, Array, Array, Array]:
    """Return the array module, W, b and I, the last two per feature.

    A model with a number that is not finite is NaN throughout.
    """
    xp, W = weights(W)
    given = 1.0 if importance is None else in_range("importance", importance, "[0, inf)")
    ones = xp.ones(W.shape[-1], W.dtype)
    b, per = per_feature("b", b, W) * ones, per_feature("importance", given, W) * ones
    b = xp.where(xp.isfinite(b).all(axis=-1, keepdims=True), b, float("nan"))
    return xp, W, b, per
