"""The loss of linear models with dropout, in closed form."""

from __future__ import annotations

from jsuper.analysis.arrays import (
    Array,
    in_range,
    per_feature,
)
from jsuper.analysis.superposition import gram
from jsuper.analysis.theory.checks import check_model
from jsuper.training.jax_config import shielded


@shielded()
def dropout_linear_loss(
    W: Array, b: Array, rate: Array, density: Array, importance: Array | None = None
) -> Array:
    """Return the loss of x̂ = Wᵀ(mask · W x) + b with inverted dropout: (...,), >= 0.

    Over all masks and features, with h = W x and G = WᵀW, it is
    L = (1/n) Σ_i I_i (E((G - 1) x + b)_i² + q/(1 - q) Σ_j W_ji² E h_j²).

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    b
        Output bias, (..., n_features).
    rate
        q, the dropout rate, in [0, 1), a number or (...,).
    density
        p, in [0, 1], a number or (..., n_features).
    importance
        I, (..., n_features), >= 0; None is 1.

    Raises
    ------
    ValueError
        A value is out of its range, or the shapes do not fit.

    References
    ----------
    Srivastava et al. (2014), "Dropout", section 9.1, here for the tied autoencoder.
    """
    xp, W, b, weight = check_model(W, b, importance)
    p = per_feature("density", in_range("density", density, "[0, 1]"), W) + 0 * W[..., 0, :]
    q = in_range("rate", rate, "[0, 1)").astype(W.dtype)[..., None]
    mean, variance = p / 2, p / 3 - p * p / 4

    def second_moment(M: Array, shift: Array) -> Array:
        """Return E (M x + shift)_i²."""
        centre = (M * mean[..., None, :]).sum(axis=-1) + shift
        return (M * M * variance[..., None, :]).sum(axis=-1) + centre * centre

    clean = second_moment(gram(W) - xp.eye(W.shape[-1], dtype=W.dtype), b)
    noise = (W * W * second_moment(W, 0 * W[..., 0])[..., :, None]).sum(axis=-2)
    return (weight * (clean + q / (1 - q) * noise)).mean(axis=-1)
