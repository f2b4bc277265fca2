"""Exact gradient flow of Z = A Bᵀ toward any matrix C, from a balanced start: NumPy, float64.

    dA/dt = (C - Z) B - λ A,    dB/dt = (C - Z)ᵀ A - λ B,    data loss L = ½ Σ (C - Z)²

A is (m, K) and B (n, K): K learned pairs. λ is coupled weight decay, the flow of L + ½ λ (‖A‖² +
‖B‖²). Gradient descent at a small learning rate is at t = steps · rate. Leading axes (...,) are
runs, and fit together.

Source: Jermyn and Shlegeris (2022), "Multi-Component Learning and S-Curves",
<https://www.lesswrong.com/posts/RKDQCB6smLWgs2Mhr>, for the model; Fukumizu 1998 for the solution
by a Riccati equation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import exprel

from jsuper.analysis.arrays import Array, in_range

UNBALANCED = 1e-6  # largest |AᵀA - BᵀB| over |AᵀA| that still counts as balanced, float32's


def finite_array(name: str, values: Array) -> np.ndarray:
    """Return finite numbers as float64; raise ValueError for others."""
    values = np.asarray(values, float)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds {values[~np.isfinite(values)][0]}; give finite numbers")
    return values


def nonnegative_array(name: str, values: Array) -> np.ndarray:
    """Return finite numbers of 0 or more as float64; raise ValueError for others."""
    return np.asarray(in_range(name, values, "[0, inf)"), float)


def time_grid(times: Array) -> np.ndarray:
    """Return times of an integration: one axis, strictly ascending, from 0 on."""
    times = np.atleast_1d(nonnegative_array("times", times))
    if times.ndim != 1 or not times.size or (np.diff(times) <= 0).any():
        raise ValueError(
            f"times has shape {times.shape}; give one axis, strictly ascending, from 0 on"
        )
    return times


class MatrixFlow(NamedTuple):
    """Z (..., times, m, n) and its data loss (..., times)."""

    Z: np.ndarray
    loss: np.ndarray


def balanced_flow(
    times: Array, A: Array, B: Array, target: Array, weight_decay: Array = 0.0
) -> MatrixFlow:
    """Return Z = A Bᵀ for any target and any number of pairs, from a start with AᵀA = BᵀB.

    With Q = [A; B] and F = [[0, C], [Cᵀ, 0]] - λ, Q Qᵀ obeys a Riccati equation: Q Qᵀ(t) = e^{Ft}
    Q₀ [I + Q₀ᵀ (∫₀ᵗ e^{2Fτ} dτ) Q₀]⁻¹ Q₀ᵀ e^{Ft}, and Z is its upper right block. It is evaluated
    through the eigenvectors of F, in time steps so short that nothing overflows and slow modes are
    not lost among fast ones. Each step is exact; their number is max(μ) t/2, with μ the eigenvalues
    of F.

    Parameters
    ----------
    times
        t >= 0, strictly ascending, (times,).
    A, B
        Start, (..., m, K) and (..., n, K). B = O A with orthonormal columns in O (n, m) is
        balanced.
    target
        C, (..., m, n).
    weight_decay
        λ >= 0, (...,).

    Raises
    ------
    ValueError
        The shapes do not fit, the start is not balanced, or a value is out of range.
    """
    t, decay = time_grid(times), nonnegative_array("weight_decay", weight_decay)
    A, B, C = _check_start(A, B, target)
    m, Q = A.shape[-2], np.concatenate([A, B], axis=-2)
    F = np.zeros((*C.shape[:-2], *2 * Q.shape[-2:-1]))
    F[..., :m, m:], F[..., m:, :m] = C, C.swapaxes(-1, -2)
    mu, V = np.linalg.eigh(F)
    mu = mu - decay[..., None]
    Q = V.swapaxes(-1, -2) @ Q
    Z = []
    for duration in np.diff(t, prepend=0):
        Q = _advance(Q, mu, duration)
        top, bottom = np.split(V @ Q, [m], axis=-2)
        Z.append(top @ bottom.swapaxes(-1, -2))
    Z = np.stack(Z, axis=-3)
    return MatrixFlow(Z, ((C[..., None, :, :] - Z) ** 2).sum(axis=(-2, -1)) / 2)


def _advance(Q: np.ndarray, mu: np.ndarray, duration: float) -> np.ndarray:
    """Return Q after a time, up to a rotation of the pairs, in the eigenbasis of F."""
    steps = max(1, int(np.ceil(mu.max() * duration / 2)))  # none grows by more than e²
    h = duration / steps
    growth, integral = np.exp(mu * h)[..., None], (h * exprel(2 * mu * h))[..., None]
    for _ in range(steps):
        root = np.linalg.cholesky(np.eye(Q.shape[-1]) + Q.swapaxes(-1, -2) @ (integral * Q))
        Q = growth * np.linalg.solve(root, Q.swapaxes(-1, -2)).swapaxes(-1, -2)
    return Q


def _check_start(A: Array, B: Array, target: Array) -> tuple[np.ndarray, ...]:
    """Return A, B and C with common leading axes; raise ValueError unless A and B are balanced."""
    A, B, C = finite_array("A", A), finite_array("B", B), finite_array("target", target)
    gap = np.abs(invariant(A, B)).max(axis=(-2, -1))
    if C.ndim < 2 or C.shape[-2:] != (A.shape[-2], B.shape[-2]):
        raise ValueError(
            f"A has shape {A.shape}, B {B.shape} and target {C.shape}; they are (..., m, K), "
            "(..., n, K) and (..., m, n)"
        )
    if (gap > UNBALANCED * np.abs(A.swapaxes(-1, -2) @ A).max(axis=(-2, -1))).any():
        raise ValueError(
            f"AᵀA and BᵀB differ by {gap.max():.3g}; give a balanced start, such as B = O A with "
            "orthonormal columns in O, or integrate the flow"
        )
    lead = np.broadcast_shapes(A.shape[:-2], B.shape[:-2], C.shape[:-2])
    A, B = (np.broadcast_to(a, lead + a.shape[-2:]) for a in (A, B))
    return A, B, C


def invariant(A: Array, B: Array) -> np.ndarray:
    """Return AᵀA - BᵀB, (..., K, K), which the flow conserves, or multiplies by e^{-2λt} with λ.

    Parameters
    ----------
    A, B
        Factors, (..., m, K) and (..., n, K).

    Raises
    ------
    ValueError
        A factor has fewer than two axes, or their K differ.
    """
    A, B = np.asarray(A, float), np.asarray(B, float)
    if min(A.ndim, B.ndim) < 2 or A.shape[-1] != B.shape[-1]:
        raise ValueError(f"A has shape {A.shape} and B {B.shape}; give (..., m, K) and (..., n, K)")
    return A.swapaxes(-1, -2) @ A - B.swapaxes(-1, -2) @ B


def invariant_at(times: Array, A: Array, B: Array, weight_decay: Array = 0.0) -> np.ndarray:
    """Return e^{-2λt} (AᵀA - BᵀB), the value of `invariant` at these times: (..., times, K, K).

    Parameters
    ----------
    times
        t >= 0, (times,) or (..., times).
    A, B
        Factors at t = 0, (..., m, K) and (..., n, K).
    weight_decay
        λ >= 0, (...,).

    Raises
    ------
    ValueError
        As `invariant`, or a value is negative.
    """
    decay = nonnegative_array("weight_decay", weight_decay)[..., None]
    left = np.exp(-2 * decay * np.atleast_1d(nonnegative_array("times", times)))
    return left[..., None, None] * invariant(A, B)[..., None, :, :]
