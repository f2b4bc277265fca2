"""The target, the learned pairs and their losses: pure functions of ONE model.

Vectors are rows: A and B are (K, d), with a pair (a_k, b_k) in row k, and Z = AᵀB = Σ_k a_k b_kᵀ.
Source: Jermyn and Shlegeris (2022), "Multi-Component Learning and S-Curves",
<https://www.lesswrong.com/posts/RKDQCB6smLWgs2Mhr>.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jax.custom_batching import sequential_vmap

from jsuper.training import keys

SERIES = 0.1  # |x| below which e^x - 1 - x is a series, since the difference would lose digits


class Params(NamedTuple):
    """K learned pairs."""

    A: Array  # (K, d)
    B: Array  # (K, d)


@struct.dataclass
class Target:
    """The target of Z: R orthonormal pairs with their strengths, and a distribution."""

    U: Array  # (R, d), orthonormal rows
    V: Array  # (R, d)
    strengths: Array  # (R,)
    log_p: Array | None = None  # (d, d), for the cross-entropy, up to a constant: near 0 if uniform


def product(params: Params) -> Array:
    """Return Z = Σ_k a_k b_kᵀ, (d, d)."""
    return _dot(params.A.T, params.B)


def _dot(a: Array, b: Array) -> Array:
    return jnp.dot(a, b, precision="highest")


def one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of arrays that runs one model after another under `vmap` on a CPU.

    XLA distributes a batch of LAPACK calls over its pool of threads, where those of two workers
    deadlock (jax 0.10).
    """
    alone = sequential_vmap(function)
    return lambda *arrays: jax.lax.platform_dependent(*arrays, cpu=alone, default=function)


@one_by_one
def _qr(matrix: Array) -> tuple[Array, Array]:
    Q, R = jnp.linalg.qr(matrix)
    return Q, R


@one_by_one
def _svd(matrix: Array) -> tuple[Array, Array, Array]:
    U, s, Vt = jnp.linalg.svd(matrix, full_matrices=False)
    return U, s, Vt


@one_by_one
def _singular_values(A: Array, B: Array) -> Array:
    triangles = [jnp.linalg.qr(side.T, mode="r") for side in (A, B)]
    return jnp.linalg.svd(_dot(triangles[0], triangles[1].T), compute_uv=False)


# ---- draws ----


def two_sides(key: Array, n: int, d: int, dtype: str) -> Array:
    """Return n standard normal vectors per side, (2, n, d); the first do not depend on n."""
    side_keys = jax.vmap(lambda side: jax.random.fold_in(key, side))(jnp.arange(2))
    return jax.vmap(lambda k: keys.normal(k, (n, d)))(side_keys).astype(dtype)


def orthonormal(vectors: Array) -> Array:
    """Return n <= d rows, (n, d), orthonormalized in order (Gram-Schmidt)."""
    Q, R = _qr(vectors.T)
    return (Q * jnp.where(jnp.diagonal(R) < 0, -1, 1)).T.astype(vectors.dtype)


def init_params(
    key: Array, n_pairs: int, d: int, scale: Array, init: str = "normal", dtype: str = "float32"
) -> Params:
    """Return initial pairs: independent entries N(0, scale²), or B with A Aᵀ = B Bᵀ.

    Parameters
    ----------
    key
        Key of the initial weights.
    n_pairs, d
        K and d.
    scale
        Standard deviation of the entries, > 0.
    init
        normal or balanced. The balanced B is Q R_A, with Q of the QR decomposition of a
        normal draw and R_A of that of A, so that B's columns lie in random directions.
    dtype
        Dtype of the weights; draws are made in float32.
    """
    A, B = two_sides(key, n_pairs, d, dtype)
    if init == "balanced":
        B = _dot(_qr(B.T)[0], _qr(A.T)[1]).T
    scale = jnp.asarray(scale, dtype)
    return Params(scale * A, scale * B)


def make_target(
    key: Array,
    rank: int,
    d: int,
    strengths: Array,
    kind: str = "orthonormal",
    probabilities: str | None = None,
    dtype: str = "float32",
) -> Target:
    """Return the target of a seed.

    Parameters
    ----------
    key
        Key of the target.
    rank, d
        R and d, R <= d.
    strengths
        s_r, (R,).
    kind
        orthonormal, C = Σ_r s_r u_r v_rᵀ with Haar-distributed u and v; or mixture,
        C = Σ_r s_r p_r q_rᵀ with uniformly distributed p_r and q_r on the simplex, so that C's
        entries are >= 0 and sum to Σ_r s_r. Its U, V and strengths are those of its SVD.
    probabilities
        None for the squared error; softmax, P = softmax(C); itself, P = C, where U,
        V and strengths are those of the centred log P, the target of Z.
    dtype
        Dtype of the arrays; draws are made in float32.
    """
    draws = two_sides(key, rank, d, dtype)
    strengths = jnp.asarray(strengths, dtype)
    if kind == "orthonormal":
        U, V = map(orthonormal, draws)
        C = _dot((strengths[:, None] * U).T, V)
    else:  # -log of uniform numbers is exponential; those over their sum are uniform
        p, q = (jax.nn.softmax(jnp.log(-jax.scipy.special.log_ndtr(x)), axis=1) for x in draws)
        C = _dot((strengths[:, None] * p).T, q)
        U, strengths, V = singular(C, rank)
    if probabilities == "itself":
        log_p = jnp.log(C) - jnp.log(C).mean()
        U, strengths, V = singular(log_p, rank)
        return Target(U, V, strengths, log_p)
    return Target(U, V, strengths, C - C.mean() if probabilities == "softmax" else None)


def singular(matrix: Array, rank: int) -> tuple[Array, Array, Array]:
    """Return the leading singular vectors as rows, (rank, d), and values, (rank,)."""
    U, s, Vt = _svd(matrix)
    return U[:, :rank].T, s[:rank], Vt[:rank]


def log_distribution(C: Array) -> Array:
    """Return log C for a matrix C that is a distribution; -inf where C is 0.

    Raises
    ------
    ValueError
        An entry is negative or not finite, or the sum differs from 1 by more than 1e-5.
    """
    known = np.asarray(C, float)
    if not (np.isfinite(known).all() and (known >= 0).all() and abs(known.sum() - 1) < 1e-5):
        raise ValueError(
            f"C is not a distribution: its entries lie between {known.min():.3g} and "
            f"{known.max():.3g} and sum to {known.sum():.6g}; give entries >= 0 that sum to 1, or "
            "log_softmax(C)"
        )
    return jnp.log(jnp.asarray(C))


# ---- losses ----


def squared_loss(params: Params, target: Target) -> Array:
    """Return ½ Σ_ij (C - Z)_ij²."""
    C = _dot((target.strengths[:, None] * target.U).T, target.V)
    return 0.5 * ((C - product(params)) ** 2).sum()


def squared_gradient(params: Params, target: Target) -> Params:
    """Return the gradient, dA = (B Bᵀ) A - (B Vᵀ) s U, at (K + R) d K per side instead of d² K."""
    A, B = params.A, params.B
    U, V, K = target.U, target.V, len(params.A)
    weights = jnp.concatenate([jnp.ones(K, A.dtype), -target.strengths])

    def side(own: Array, other: Array, own_target: Array, other_target: Array) -> Array:
        overlaps = _dot(other, jnp.concatenate([other, other_target]).T)
        return _dot(weights * overlaps, jnp.concatenate([own, own_target]))

    return Params(A=side(A, B, U, V), B=side(B, A, V, U))


def kl(logits: Array, log_p: Array) -> Array:
    """Return KL(P | softmax(Z)) in nats over all entries, exact near 0; log P up to a constant.

    With δ = Z - log P, less its mean under P, KL = log Σ P e^δ = log(1 + Σ P (e^δ - 1 - δ)): a sum
    of terms >= 0 instead of a difference of large numbers. Entries with P = 0 only add e^δ. The
    plain mean is subtracted first, because P sums to 1 only up to rounding.
    """
    possible = log_p > -jnp.inf
    P = probability(log_p)
    delta = jnp.where(possible, logits - jnp.where(possible, log_p, 0), 0)
    plain = delta.sum() / possible.sum()
    delta = jnp.where(possible, delta - plain, 0)
    mean = (P * delta).sum()
    delta = delta - mean
    log_sum = jax.nn.logsumexp(log_p)
    others = jnp.where(possible, -jnp.inf, logits - plain - mean - log_sum)
    excess = (P * _exp_beyond_line(delta)).sum() + jnp.exp(others).sum()
    exact = jnp.log1p(excess)
    large = jax.nn.logsumexp(jnp.where(possible, log_p - log_sum + delta, others))
    return jnp.where(excess < 1, exact, large)  # a large one overflows, and loses nothing as a log


def probability(log_p: Array) -> Array:
    """Return P, of the same shape, from log P up to a constant."""
    return jax.nn.softmax(log_p.ravel()).reshape(log_p.shape)


def _exp_beyond_line(x: Array) -> Array:
    """Return e^x - 1 - x >= 0."""
    series = x * x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6))))
    return jnp.where(jnp.abs(x) < SERIES, series, jnp.expm1(x) - x)


def cross_entropy_gradient(params: Params, target: Target) -> Params:
    """Return the gradient of N KL, N = d²: dZ = N (softmax(Z) - P), near Z - C for small logits."""
    Z = product(params)
    assert target.log_p is not None
    dZ = Z.size * (probability(Z) - probability(target.log_p))
    return Params(A=_dot(params.B, dZ.T), B=_dot(params.A, dZ))


def loss(params: Params, target: Target) -> Array:
    """Return the squared error, or the KL divergence if the target is a distribution."""
    if target.log_p is None:
        return squared_loss(params, target)
    return kl(product(params), target.log_p)


def gradient(params: Params, target: Target) -> Params:
    """Return the gradient of the squared error, or of N times the KL divergence."""
    if target.log_p is None:
        return squared_gradient(params, target)
    return cross_entropy_gradient(params, target)


# ---- recorded quantities ----


def alignment(params: Params, target: Target) -> Array:
    """Return (u_r · a_k)(v_r · b_k), (R, K)."""
    return _dot(target.U, params.A.T) * _dot(target.V, params.B.T)


def norms(vectors: Array, basis: Array) -> tuple[Array, Array]:
    """Return the sums of squares of the rows inside and outside the span of a basis."""
    inside = _dot(vectors, basis.T)
    outside = vectors - _dot(inside, basis)
    return (inside**2).sum(), (outside**2).sum()


def singular_values(params: Params) -> Array:
    """Return the singular values of Z, (min(K, d),), descending: those of R_A R_Bᵀ."""
    return _singular_values(params.A, params.B)
