"""Losses of models without superposition, with which trained ones are compared."""

from __future__ import annotations

from jsuper.analysis.arrays import (
    Array,
    namespace,
    whole_number,
)
from jsuper.analysis.theory.checks import check_features
from jsuper.models.toy.inputs import features
from jsuper.training.jax_config import shielded


def welch_bound(n_features: int, n_hidden: int) -> float:
    """Return the least mean cos² between n directions in m dimensions: (n - m) / (m (n - 1)).

    It is in [0, 1), and 0 if n <= m. A tight frame meets it.

    Parameters
    ----------
    n_features, n_hidden
        n and m, at least 1.

    Raises
    ------
    ValueError
        A count is below 1.

    References
    ----------
    Welch (1974), "Lower bounds on the maximum cross correlation of signals".
    """
    n, m = whole_number("n_features", n_features, 1), whole_number("n_hidden", n_hidden, 1)
    return 0.0 if n <= m else (n - m) / (m * (n - 1))


@shielded()
def constant_loss(density: Array, importance: Array) -> Array:
    """Return the loss of the best constant prediction, b_i = p_i/2: (...,), >= 0.

    L = mean_i I_i (p_i/3 - p_i²/4), the importance-weighted variance of the features.

    Parameters
    ----------
    density
        p_i = P(x_i != 0), in [0, 1], a number or (..., n_features).
    importance
        I_i, (..., n_features), >= 0.

    Raises
    ------
    ValueError
        A value is out of its range, or the shapes do not fit.
    """
    return features.constant_loss(*check_features(density, importance))


@shielded()
def zero_loss(density: Array, importance: Array) -> Array:
    """Return the loss of predicting 0: (...,), >= 0.

    L = mean_i I_i p_i/3, the importance-weighted second moment of the features.

    Parameters
    ----------
    density
        p_i = P(x_i != 0), in [0, 1], a number or (..., n_features).
    importance
        I_i, (..., n_features), >= 0.

    Raises
    ------
    ValueError
        A value is out of its range, or the shapes do not fit.
    """
    p, importance = check_features(density, importance)
    return (importance * p / 3).mean(axis=-1)


@shielded()
def top_features_loss(density: Array, importance: Array, n_hidden: int) -> Array:
    """Return the loss of the best model without superposition: (...,), >= 0.

    The n_hidden features with the largest I_i (p_i/3 - p_i²/4) are reconstructed exactly, and the
    others are predicted by p_i/2. L is the sum of that term over the others, divided by n_features;
    it is 0 if n_hidden >= n_features.

    Parameters
    ----------
    density
        p_i = P(x_i != 0), in [0, 1], a number or (..., n_features).
    importance
        I_i, (..., n_features), >= 0.
    n_hidden
        Number of hidden units, at least 1.

    Raises
    ------
    ValueError
        A value is out of its range, or the shapes do not fit.
    """
    m = whole_number("n_hidden", n_hidden, 1)
    p, importance = check_features(density, importance)
    each = importance * (p / 3 - p * p / 4)
    each = namespace(each).sort(each, axis=-1)
    n = each.shape[-1]
    return each[..., : max(n - m, 0)].sum(axis=-1) / n
