"""Losses of models without superposition, with which trained ones are compared."""

from __future__ import annotations

from jsuper.analysis.arrays import (
    Array,
    namespace,
    whole_number,
)
from jsuper.analysis.theory.checks import check_features
from jsuper.models.toy.inputs.names import DEFAULT_VALUES, values_of
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
def constant_loss(density: Array, importance: Array, *, values: str = DEFAULT_VALUES) -> Array:
    """Return the loss of the best constant prediction, b_i = E x_i: (...,), >= 0.

    L = mean_i I_i Var(x_i), with Var(x_i) = p_i/3 - p_i²/4 for uniform values on [0, 1].

    Parameters
    ----------
    density
        p_i = P(x_i != 0), in [0, 1], a number or (..., n_features).
    importance
        I_i, (..., n_features), >= 0.
    values
        Values of active features, as in `jsuper.Sweep`.

    Raises
    ------
    ValueError
        A value is out of its range, or the shapes do not fit.
    """
    p, importance = check_features(density, importance)
    return (importance * values_of(values).variance(p)).mean(axis=-1)


@shielded()
def zero_loss(density: Array, importance: Array, *, values: str = DEFAULT_VALUES) -> Array:
    """Return the loss of predicting 0: (...,), >= 0.

    L = mean_i I_i E x_i², with E x_i² = p_i/3 for uniform values on [0, 1].

    Parameters
    ----------
    density
        p_i = P(x_i != 0), in [0, 1], a number or (..., n_features).
    importance
        I_i, (..., n_features), >= 0.
    values
        Values of active features, as in `jsuper.Sweep`.

    Raises
    ------
    ValueError
        A value is out of its range, or the shapes do not fit.
    """
    p, importance = check_features(density, importance)
    return (importance * values_of(values).square_of(p)).mean(axis=-1)


@shielded()
def top_features_loss(
    density: Array, importance: Array, n_hidden: int, *, values: str = DEFAULT_VALUES
) -> Array:
    """Return the loss of the best model without superposition: (...,), >= 0.

    The n_hidden features with the largest I_i Var(x_i) are reconstructed exactly, and the others
    are predicted by their mean. L is the sum of that term over the others, divided by n_features;
    it is 0 if n_hidden >= n_features. Var(x_i) = p_i/3 - p_i²/4 for uniform values on [0, 1].

    Parameters
    ----------
    density
        p_i = P(x_i != 0), in [0, 1], a number or (..., n_features).
    importance
        I_i, (..., n_features), >= 0.
    n_hidden
        Number of hidden units, at least 1.
    values
        Values of active features, as in `jsuper.Sweep`.

    Raises
    ------
    ValueError
        A value is out of its range, or the shapes do not fit.
    """
    m = whole_number("n_hidden", n_hidden, 1)
    p, importance = check_features(density, importance)
    each = importance * values_of(values).variance(p)
    each = namespace(each).sort(each, axis=-1)
    n = each.shape[-1]
    return each[..., : max(n - m, 0)].sum(axis=-1) / n
