"""The loss of ReLU models on one active feature at a time, in closed form."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np
import scipy

from jsuper.analysis.arrays import (
    Array,
    matmul,
    whole_number,
)
from jsuper.analysis.superposition import gram
from jsuper.analysis.theory.checks import check_model
from jsuper.training.jax_config import shielded


@shielded()
def one_sparse_relu_loss(W: Array, b: Array, importance: Array | None = None) -> Array:
    """Return the loss of x̂ = relu(WᵀW x + b) on one active feature at a time: (...,), >= 0.

    The inputs are x = λ e_j with j uniform and λ ~ U[0, 1]. The loss is Σ_ij I_i T_ij / n², where
    T_ij = ∫ (x_i - relu(λ G_ij + b_i))² dλ is evaluated in closed form. It is a mean over features;
    papers that sum over them have n times this. As p → 0 the loss on independent features tends to
    n p times this if b <= 0. A model with a number that is not finite gives NaN.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    b
        Output bias, (..., n_features).
    importance
        I, (..., n_features), >= 0; None is 1.

    Raises
    ------
    ValueError
        The shapes do not fit, or an importance is out of range.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, section "Mathematical
    Understanding", whose L_1 it is up to a factor. Chen et al. (2023), "Dynamical versus Bayesian
    Phase Transitions in a Toy Model of Superposition", <https://arxiv.org/abs/2310.06301> study it
    at I = 1. The closed form is derived here.
    """
    xp, W, b, weight = check_model(W, b, importance)
    T, _, _ = _one_sparse_terms(xp, gram(W), b)
    return (weight[..., :, None] * T).mean(axis=(-2, -1))


@shielded()
def one_sparse_relu_gradient(
    W: Array, b: Array, importance: Array | None = None
) -> tuple[Array, Array]:
    """Return the gradient (dL/dW, dL/db) of `one_sparse_relu_loss`.

    In closed form, dL/dW = W (A + Aᵀ) with A_ij = I_i (∂T_ij/∂G_ij) / n².

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    b
        Output bias, (..., n_features).
    importance
        I, (..., n_features), >= 0; None is 1.

    Returns
    -------
    tuple
        Arrays of the shapes of W and b.

    Raises
    ------
    ValueError
        The shapes do not fit, or an importance is out of range.
    """
    xp, W, b, weight = check_model(W, b, importance)
    _, dG, db = _one_sparse_terms(xp, gram(W), b)
    scale = weight[..., :, None] / W.shape[-1] ** 2
    A = scale * dG
    return matmul(W, A + xp.swapaxes(A, -1, -2)), (scale * db).sum(axis=-1)


def _one_sparse_terms(xp: ModuleType, G: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return T_ij, ∂T_ij/∂G_ij and ∂T_ij/∂b_i, each (..., n, n).

    The ReLU is open on one interval [lo, hi] of [0, 1], where the error g is linear in λ, from g0
    to g1. This interval contributes (hi - lo)(g0² + g0 g1 + g1²)/3. Elsewhere only feature i itself
    has an error: λ, below lo. No difference of powers is computed, and nothing is divided by one.
    """
    own = xp.eye(G.shape[-1], dtype=G.dtype)  # the target is λ for feature i itself, else 0
    w, c = xp.broadcast_arrays(G, b[..., :, None])
    crosses = xp.abs(w) > xp.abs(c)
    crossing = xp.where(crosses, -c / xp.where(crosses, w, 1), 1)
    lo, hi = xp.where(c > 0, 0, crossing), xp.where(w + c > 0, 1, crossing)
    g0, g1 = own * lo - xp.maximum(c, 0), own * hi - xp.maximum(w + c, 0)
    length = hi - lo
    T = (own * lo**3 + length * (g0 * g0 + g0 * g1 + g1 * g1)) / 3
    dw = -length * (lo * (g0 + g1) + length * (g0 + 2 * g1) / 3)  # -2 ∫ λ g
    return T, dw, -length * (g0 + g1)


class KGon(NamedTuple):
    """W (2, n), b (n,), and the loss of `one_sparse_relu_loss`, a mean over features."""

    W: np.ndarray
    b: np.ndarray
    loss: float


def kgon(k: int, n_features: int | None = None, positive: int = 0) -> KGon:
    """Return the best regular k-gon in 2 dimensions for one active feature at a time.

    W_i = r (cos 2πi/k, sin 2πi/k) and b_i = c, where r and c minimize `one_sparse_relu_loss` over
    several descents. The loss is 0 up to k = 4, at r = 1 and c = 0. Further features have W_i = 0.
    Those with the bias 1/(2 n_features), the best constant, are as good as it can be without an
    embedding; the loss of the others is the same for every bias <= 0. Published values are sums
    over the features, n_features times `loss`.

    Parameters
    ----------
    k
        Number of features at the corners, at least 2.
    n_features
        Number of all features, at least k; None is k.
    positive
        Number of features without an embedding whose bias is positive, at most n_features - k.
        The bias of the others is -1.

    Raises
    ------
    ValueError
        A number is out of its range.

    References
    ----------
    Chen et al. (2023), "Dynamical versus Bayesian Phase Transitions in a Toy Model of
    Superposition", <https://arxiv.org/abs/2310.06301>, where k-gons are critical points of this
    loss, and those with positive biases are named by plus signs, such as 5+.
    """
    whole_number("k", k, 2)
    n = whole_number("n_features", k if n_features is None else n_features, k)
    if whole_number("positive", positive, 0) > n - k:
        raise ValueError(
            f"positive={positive} is more than the {n - k} features without an embedding; give at "
            f"most {n - k}"
        )
    W, b = np.zeros((2, n)), np.full(n, -1.0)
    W[:, :k], b[:k] = _best_polygon(k)
    b[k : k + positive] = 1 / (2 * n)
    return KGon(W, b, float(one_sparse_relu_loss(W, b)))


def _best_polygon(k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return W (2, k) and b (k,) of the k-gon with the least loss on k features."""
    angles = 2 * np.pi * np.arange(k) / k
    circle = np.stack([np.cos(angles), np.sin(angles)])

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        W, b = at[0] * circle, np.full(k, at[1])
        dW, db = one_sparse_relu_gradient(W, b)
        # times k² to be of order 1 whatever k, as the minimiser's tolerance expects
        slope = np.array([(dW * circle).sum(), db.sum()])
        return k**2 * float(one_sparse_relu_loss(W, b)), k**2 * slope

    starts = [(r, c) for r in (0.8, 1.2, 1.6) for c in (0.0, -0.8, -1.6)]
    descents = [scipy.optimize.minimize(loss, start, jac=True, tol=1e-9) for start in starts]
    best = min(descents, key=lambda descent: descent.fun)
    return best.x[0] * circle, np.full(k, best.x[1])
