"""Exact losses of toy models, and of the solutions that trained ones are compared with.

Losses are means over samples and features of I_i (x_i - x̂_i)² unless a docstring says sum. A
feature is 0 with probability 1 - p, else uniform on [0, 1]: mean p/2, variance p/3 - p²/4. Arrays
are NumPy or JAX. Column W_i of W (..., n_hidden, n_features) embeds feature i, G = WᵀW.

Source, where none is named: Elhage et al., "Toy Models of Superposition" (2022).
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize
from scipy.stats import binom

from jsuper.analysis.arrays import (
    Array,
    floating,
    in_range,
    matmul,
    namespace,
    per_feature,
    weights,
    whole_number,
)
from jsuper.analysis.superposition import gram
from jsuper.models.toy.activations.names import canonical_activation
from jsuper.models.toy.activations.registry import resolve
from jsuper.models.toy.config import couples_batch
from jsuper.models.toy.inputs import features
from jsuper.models.toy.model import forward
from jsuper.training.jax_config import shielded


def _features(density: Array, importance: Array) -> tuple[Array, Array]:
    """p and I, checked; p broadcasts against I, which has an axis of features."""
    p = in_range("density", density, "[0, 1]")
    importance = in_range("importance", importance, "[0, inf)")
    n = importance.shape[-1] if importance.ndim else 0
    if n == 0 or (p.ndim and p.shape[-1] not in (1, n)):
        raise ValueError(
            f"density has shape {p.shape} and importance {importance.shape}; give an importance per"
            " feature, (..., n_features), and one density or one per feature"
        )
    return p, importance


def _model(W: Array, b: Array, importance: Array | None) -> tuple[ModuleType, Array, Array, Array]:
    """NumPy or JAX, W, b and I, the last two per feature; a non-finite model is NaN throughout."""
    xp, W = weights(W)
    given = 1.0 if importance is None else in_range("importance", importance, "[0, inf)")
    ones = xp.ones(W.shape[-1], W.dtype)
    b, per = per_feature("b", b, W) * ones, per_feature("importance", given, W) * ones
    b = xp.where(xp.isfinite(b).all(axis=-1, keepdims=True), b, float("nan"))
    return xp, W, b, per


# ---- reference losses ----


def welch_bound(n_features: int, n_hidden: int) -> float:
    """(n - m)/(m (n - 1)), the least mean cos² between n directions in m dimensions: [0, 1).

    0 where n <= m. Raises ValueError for counts below 1. Source: Welch 1974, "Lower bounds on the
    maximum cross correlation of signals".
    """
    n, m = whole_number("n_features", n_features, 1), whole_number("n_hidden", n_hidden, 1)
    return 0.0 if n <= m else (n - m) / (m * (n - 1))


@shielded()
def constant_loss(density: Array, importance: Array) -> Array:
    """mean_i I_i (p_i/3 - p_i²/4): the loss of the best constant prediction, b_i = p_i/2: (...,).

    Parameters
    ----------
    density
        p, a number or (..., n_features), in [0, 1].
    importance
        I, (..., n_features), >= 0.

    Raises
    ------
    ValueError
        A value is out of its range, or the shapes do not fit.
    """
    return features.constant_loss(*_features(density, importance))


@shielded()
def zero_loss(density: Array, importance: Array) -> Array:
    """mean_i I_i p_i/3, the loss of predicting 0. Arguments and errors of `constant_loss`."""
    p, importance = _features(density, importance)
    return (importance * p / 3).mean(axis=-1)


@shielded()
def top_features_loss(density: Array, importance: Array, n_hidden: int) -> Array:
    """The loss of the best model without superposition: n_hidden features exact, p_i/2 elsewhere.

    Σ I_i (p_i/3 - p_i²/4) / n_features over all but the n_hidden features where it is largest:
    (...,), 0 where n_hidden >= n_features. Arguments and errors of `constant_loss`.
    """
    m = whole_number("n_hidden", n_hidden, 1)
    p, importance = _features(density, importance)
    each = importance * (p / 3 - p * p / 4)
    each = namespace(each).sort(each, axis=-1)
    n = each.shape[-1]
    return each[..., : max(n - m, 0)].sum(axis=-1) / n


# ---- the loss, by how many features are active ----


class ActiveLoss(NamedTuple):
    """Counts 0 .. n_features, the loss given each count, and its standard error."""

    active: np.ndarray
    loss: np.ndarray
    stderr: np.ndarray


@shielded()
def loss_by_active(
    W: Array,
    b: Array,
    activation: str | Callable[[jax.Array], jax.Array],
    importance: Array,
    samples: int = 4096,
    seed: int = 0,
) -> ActiveLoss:
    """L_k, the loss of one model given that exactly k of its features are active, k = 0 .. n.

    The loss at density p is L = Σ_k C(n, k) p^k (1-p)^(n-k) L_k: `active_weights(n, p) @ loss`.
    Each k has its own draws (which features: all sets alike), so standard errors add in squares;
    k = 0 is exact. In the precision of JAX, float32 unless set otherwise.

    Parameters
    ----------
    W, b
        One model, (n_hidden, n_features) and (n_features,).
    activation
        A name or a function of z (n_features, batch).
    importance
        I, (n_features,), >= 0.
    samples
        Draws for each k, at least 2.
    seed
        Of the draws.

    Raises
    ------
    ValueError
        The activation couples the samples of a batch, so that no such expectation
        exists, or is not known; a shape or count does not fit.

    Source: the paper, "Mathematical Understanding", where L_k sums over sets and samples alike.
    """
    name = canonical_activation(activation) if isinstance(activation, str) else activation
    function, samples = resolve(name), whole_number("samples", samples, 2)
    _, W, b, weight = _model(W, b, importance)
    n = W.shape[-1]
    if couples_batch(name, n):
        raise ValueError(f"activation={activation!r} couples the samples of a batch; no L_k exists")
    rng = np.random.default_rng(seed)
    moments = []
    for k in range(n + 1):
        order = rng.random((samples, n)).argsort(axis=1).T  # of the features, one for each sample
        x = np.where(order < k, rng.random((n, samples)), 0.0)
        x_hat = np.asarray(forward(W, b, function, jnp.asarray(x)), float)
        loss = np.asarray(weight, float) @ (x_hat - x) ** 2 / n
        moments.append((loss.mean(), loss.std(ddof=1) / samples**0.5 if k else 0.0))
    mean, stderr = np.array(moments).T
    return ActiveLoss(np.arange(n + 1), mean, stderr)


def active_weights(n_features: int, density: Array) -> np.ndarray:
    """C(n, k) p^k (1-p)^(n-k), the chance of k active features: (..., n_features + 1), sum 1.

    The density, a number or (...,), is that of all features. Raises ValueError for a count below 1
    or a density outside [0, 1].
    """
    n = whole_number("n_features", n_features, 1)
    p = in_range("density", density, "[0, 1]")
    return binom.pmf(np.arange(n + 1), n, p[..., None])


# ---- one active feature, ReLU ----


@shielded()
def one_sparse_relu_loss(W: Array, b: Array, importance: Array | None = None) -> Array:
    """Loss of x̂ = relu(WᵀW x + b) on x = λ e_j, j uniform, λ ~ U[0, 1]: (...,), >= 0.

    Σ_ij I_i T_ij / n² with T_ij = ∫ (x_i - relu(λ G_ij + b_i))² dλ in closed form. One n is that
    of the mean over features; papers that sum over them have n times this. At p → 0 the loss of
    independent features is n p times this where b <= 0. A model with a non-finite number gives NaN.

    Parameters
    ----------
    W
        (..., n_hidden, n_features).
    b
        (..., n_features).
    importance
        I, (..., n_features); None is 1.

    Raises
    ------
    ValueError
        The shapes do not fit.

    Source: the paper's L_1, of "Mathematical Understanding", up to a factor; the closed form is
    ours. Chen et al. 2023 (arXiv 2310.06301) study it at I = 1.
    """
    xp, W, b, weight = _model(W, b, importance)
    T, _, _ = _one_sparse_terms(xp, gram(W), b)
    return (weight[..., :, None] * T).mean(axis=(-2, -1))


@shielded()
def one_sparse_relu_gradient(
    W: Array, b: Array, importance: Array | None = None
) -> tuple[Array, Array]:
    """(dL/dW, dL/db) of `one_sparse_relu_loss`, in closed form: (..., m, n) and (..., n).

    With A_ij = I_i (∂T_ij/∂G_ij)/n²: dL/dW = W (A + Aᵀ). Arguments and errors of the loss.
    """
    xp, W, b, weight = _model(W, b, importance)
    _, dG, db = _one_sparse_terms(xp, gram(W), b)
    scale = weight[..., :, None] / W.shape[-1] ** 2
    A = scale * dG
    return matmul(W, A + xp.swapaxes(A, -1, -2)), (scale * db).sum(axis=-1)


def _one_sparse_terms(xp: ModuleType, G: Array, b: Array) -> tuple[Array, Array, Array]:
    """T_ij, ∂T_ij/∂G_ij and ∂T_ij/∂b_i, each (..., n, n).

    The ReLU is open on one part [lo, hi] of [0, 1], where the error g is linear in λ, from g0 to
    g1; so that part gives (hi - lo)(g0² + g0 g1 + g1²)/3. Only feature i itself has an error
    elsewhere: λ, below lo. No difference of powers is taken and none divided by.
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
    """W (2, k), b (k,) and its loss, the mean over features of `one_sparse_relu_loss`."""

    W: np.ndarray
    b: np.ndarray
    loss: float


def kgon(k: int) -> KGon:
    """Return the best regular k-gon in 2 dimensions for one active feature at a time, k >= 2.

    W_i = r (cos 2πi/k, sin 2πi/k) and b_i = c, where r and c have the least `one_sparse_relu_loss`
    of several descents. 0 up to k = 4, at r = 1 and c = 0. Published values are sums over the
    features: k times `loss`. Raises ValueError for k < 2.

    Source: Chen et al. 2023 (arXiv 2310.06301), where k-gons are critical points of this loss.
    """
    angles = 2 * np.pi * np.arange(whole_number("k", k, 2)) / k
    circle = np.stack([np.cos(angles), np.sin(angles)])

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        W, b = at[0] * circle, np.full(k, at[1])
        dW, db = one_sparse_relu_gradient(W, b)
        # times k² to be of order 1 whatever k, as the minimiser's tolerance expects
        slope = np.array([(dW * circle).sum(), db.sum()])
        return k**2 * float(one_sparse_relu_loss(W, b)), k**2 * slope

    starts = [(r, c) for r in (0.8, 1.2, 1.6) for c in (0.0, -0.8, -1.6)]
    descents = [minimize(loss, start, jac=True, tol=1e-9) for start in starts]
    best = min(descents, key=lambda descent: descent.fun)
    return KGon(best.x[0] * circle, np.full(k, best.x[1]), best.fun / k**2)


# ---- phase diagrams: sums over features ----


class TwoToOne(NamedTuple):
    """Losses of the three solutions for two features in one hidden unit."""

    drop_first: Array
    drop_last: Array
    antipodal: Array


class ThreeToTwo(NamedTuple):
    """Losses of the four solutions for three features in two hidden units."""

    drop_first: Array
    drop_last: Array
    first_two_antipodal: Array
    last_two_antipodal: Array


class Boundary(NamedTuple):
    """Densities below which the antipodal pair beats dropping its last or its first feature."""

    over_drop_last: Array
    over_drop_first: Array


@shielded()
def two_to_one(density: Array, relative_importance: Array) -> TwoToOne:
    """Sum over features of the losses of W = (0, 1), (1, 0) and (1, -1), with ReLU output.

    Dropped: p/3 - p²/4 times its importance, at b = p/2. Antipodal: (1 + r) p²/6 at norm 1 and
    b = 0, which is an upper bound on the best of its kind.

    Parameters
    ----------
    density
        p of all features, in [0, 1].
    relative_importance
        r >= 0 of the last feature; the others have 1. Broadcasts against p.

    Raises
    ------
    ValueError
        A value is out of its range.

    Source: the paper's theoretical phase diagrams; Wattenberg, "Exploring Exact Toy Models".
    """
    p = in_range("density", density, "[0, 1]")
    r = in_range("relative_importance", relative_importance, "[0, inf)")
    dropped = p / 3 - p * p / 4
    return TwoToOne(dropped + 0 * r, dropped * r, (1 + r) * p * p / 6)


@shielded()
def three_to_two(density: Array, relative_importance: Array) -> ThreeToTwo:
    """Sum over features of the losses of four solutions; the third feature has importance r.

    Dropping one feature, or sharing a dimension between the first two (p²/3) or the last two.
    Arguments, errors and source of `two_to_one`.
    """
    first, last, antipodal = two_to_one(density, relative_importance)
    p = floating(density)
    return ThreeToTwo(first, last, p * p / 3 + 0 * first, antipodal)


@shielded()
def two_to_one_boundary(relative_importance: Array) -> Boundary:
    """2r/(1 + 2.5r) and 2/(2.5 + r); the pair wins below both, which meet at r = 1, p = 4/7.

    The same for the last two features of `three_to_two`. Raises ValueError where r < 0.
    """
    r = in_range("relative_importance", relative_importance, "[0, inf)")
    return Boundary(2 * r / (1 + 2.5 * r), 2 / (2.5 + r))


@shielded()
def best_solution(losses: TwoToOne | ThreeToTwo) -> Array:
    """Index of the least loss; `losses._fields[index]` is its name, the first one where equal."""
    xp = namespace(losses[0])
    return xp.argmin(xp.stack(losses), axis=0)


# ---- dropout ----


@shielded()
def dropout_linear_loss(
    W: Array, b: Array, rate: Array, density: Array, importance: Array | None = None
) -> Array:
    """Loss of x̂ = Wᵀ(mask · W x) + b with inverted dropout, over masks and features: (...,), >= 0.

    (1/n) Σ_i I_i (E((G - 1) x + b)_i² + q/(1 - q) Σ_j W_ji² E h_j²), with h = W x.

    Parameters
    ----------
    W
        (..., n_hidden, n_features).
    b
        (..., n_features).
    rate
        q in [0, 1), a number or (...,).
    density
        p, a number or (..., n_features), in [0, 1].
    importance
        I, (..., n_features); None is 1.

    Raises
    ------
    ValueError
        A value is out of its range, or the shapes do not fit.

    Source: Srivastava et al. 2014, "Dropout", section 9.1, for the tied autoencoder.
    """
    xp, W, b, weight = _model(W, b, importance)
    p = per_feature("density", in_range("density", density, "[0, 1]"), W) + 0 * W[..., 0, :]
    q = in_range("rate", rate, "[0, 1)").astype(W.dtype)[..., None]
    mean, variance = p / 2, p / 3 - p * p / 4

    def second_moment(M: Array, shift: Array) -> Array:
        """E (M x + shift)_i²."""
        centre = (M * mean[..., None, :]).sum(axis=-1) + shift
        return (M * M * variance[..., None, :]).sum(axis=-1) + centre * centre

    clean = second_moment(gram(W) - xp.eye(W.shape[-1], dtype=W.dtype), b)
    noise = (W * W * second_moment(W, 0 * W[..., 0])[..., :, None]).sum(axis=-2)
    return (weight * (clean + q / (1 - q) * noise)).mean(axis=-1)
