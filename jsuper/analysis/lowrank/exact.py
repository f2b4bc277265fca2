"""Exact gradient flow of one learned pair, of a vector, and of Saxe et al.: NumPy, float64.

    da/dt = s a* (b · b*) - a (‖b‖² + λ),    the same for b,    data loss L = ½ ‖s a* b*ᵀ - a bᵀ‖²

The pair a bᵀ learns a target of strength s along unit vectors a* and b*; λ is coupled weight decay.
α = a · a* and β = b · b* are the aligned parts, u = α β, and ρ is the squared norm of the rest.
Gradient descent at a small learning rate is at t = steps · rate. Parameters are (...,), times
(times,) or (..., times), and results (..., times). Every function raises ValueError if an argument
is not finite or out of its range.

References: Jermyn and Shlegeris (2022), "Multi-Component Learning and S-Curves",
<https://www.lesswrong.com/posts/RKDQCB6smLWgs2Mhr>, for the model; Saxe, McClelland and Ganguli
(2013), "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
<https://arxiv.org/abs/1312.6120> for ρ = 0. The forms with ρ and λ are derived here. `riccati`
solves any target and any number of pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy
from scipy.special import digamma, exprel, polygamma

from jsuper.analysis.arrays import Array, whole_number
from jsuper.analysis.curves import positive
from jsuper.analysis.lowrank.riccati import finite_array, nonnegative_array, time_grid


def _check_each(check: Callable[[str, Array], np.ndarray], **values: Array) -> list[np.ndarray]:
    return [check(name, value) for name, value in values.items()]


class Regression(NamedTuple):
    """The vector (..., times, n) and its data loss (..., times)."""

    a: np.ndarray
    loss: np.ndarray


def regression(
    times: Array, target: Array, start: Array = 0.0, weight_decay: Array = 0.0
) -> Regression:
    """Return a vector learned by itself, the control without S-curve: a plain exponential.

    da/dt = (target - a) - λ a, so a(t) = a∞ + (a₀ - a∞) e^{-(1+λ)t} with a∞ = target/(1+λ), and
    L = ½ Σ (target - a)².

    Parameters
    ----------
    times
        t >= 0, (..., times).
    target, start
        Vectors, (..., n); start may be a number.
    weight_decay
        λ >= 0, (...,).
    """
    t = np.atleast_1d(nonnegative_array("times", times))[..., None]
    given = _check_each(finite_array, target=target, start=start)
    target, start = (np.atleast_1d(value)[..., None, :] for value in given)
    rate = 1 + nonnegative_array("weight_decay", weight_decay)[..., None, None]
    a = target / rate + (start - target / rate) * np.exp(-rate * t)
    return Regression(a, ((target - a) ** 2).sum(axis=-1) / 2)


class RankOne(NamedTuple):
    """u = αβ, the orthogonal ρ of either factor, and the data loss: each (..., times)."""

    u: np.ndarray
    rho: np.ndarray
    loss: np.ndarray


def rank_one(
    times: Array, u0: Array, rho0: Array = 0.0, s: Array = 1.0, weight_decay: Array = 0.0
) -> RankOne:
    """Return the flow of one pair with α = β and equal orthogonal parts ρ.

    u goes to s - λ or, if λ >= s, to 0, and ρ to 0. With κ = s - λ, E(x) = ∫₀ᵗ e^{2xτ} dτ and D = 1
    + 2ρ₀ E(-λ) + 2u₀ E(κ): u = u₀ e^{2κt}/D, ρ = ρ₀ e^{-2λt}/D, L = ½ [(s - u)² + ρ (2u + ρ)]. No
    exponential overflows, however large t is; λ = 0 and κ <= 0 are not special cases.

    Parameters
    ----------
    times
        t >= 0, (..., times).
    u0
        u at t = 0, >= 0, (...,); use `mean_start` for a start with α ≠ β.
    rho0
        ρ at t = 0, >= 0, (...,).
    s, weight_decay
        Strength of the target, and λ, >= 0, (...,).
    """
    t = np.atleast_1d(nonnegative_array("times", times))
    given = _check_each(nonnegative_array, u0=u0, rho0=rho0, s=s, weight_decay=weight_decay)
    return _rank_one(t, *(value[..., None] for value in given))


def _rank_one(t: Array, u0: Array, rho0: Array, s: Array, decay: Array) -> RankOne:
    kappa = np.where(u0 > 0, s - decay, 0)  # nothing grows from 0, and D has no such term
    small = np.exp(-2 * t * np.maximum(kappa, 0))  # D is multiplied by it, which is then bounded
    D = small * (1 + 2 * rho0 * t * exprel(-2 * decay * t))
    D = D + 2 * u0 * t * exprel(-2 * np.abs(kappa) * t)
    u = u0 * np.exp(2 * t * np.minimum(kappa, 0)) / D
    rho = rho0 * np.exp(-2 * decay * t) * small / D
    return RankOne(u, rho, ((s - u) ** 2 + rho * (2 * u + rho)) / 2)


def mean_start(alpha: Array, beta: Array) -> np.ndarray:
    """Return ((α₀ + β₀)/2)², the u₀ of a start with α ≠ β: (...,), >= 0.

    The difference of α and β decays at rate s.
    """
    return ((finite_array("alpha", alpha) + finite_array("beta", beta)) / 2) ** 2


def half_time(
    u0: Array, rho0: Array = 0.0, s: Array = 1.0, weight_decay: Array = 0.0
) -> np.ndarray:
    """Return when u of `rank_one` first is s/2 or above: (...,); ∞ if never, as for λ >= s/2.

    Without λ it solves u₀ (e^{2st} + 1) = s (1 + 2ρ₀t), so it is about ln[(s/u₀)(1 + 2ρ₀t)]/(2s).
    As u falls at most once and then rises, there is one root to bracket. Its relative error is
    about 1e-12, and more close to λ = s/2. The arguments are those of `rank_one`; s is above 0.
    """
    u0, rho0, decay = _check_each(nonnegative_array, u0=u0, rho0=rho0, weight_decay=weight_decay)
    each = np.vectorize(_half_time, otypes=[float])
    return np.asarray(each(u0, rho0, positive("s", s), decay))


def _half_time(u0: float, rho0: float, s: float, decay: float) -> float:
    def above(t: float) -> float:
        return float(_rank_one(t, u0, rho0, s, decay).u) - s / 2

    if u0 >= s / 2:
        return 0.0
    if u0 == 0 or decay >= s / 2:
        return np.inf
    late = 1 / s
    while above(late) < 0:
        late *= 2
    return scipy.optimize.root_scalar(above, bracket=(0, late), xtol=1e-300, rtol=1e-12).root


class FourVariables(NamedTuple):
    """α, β, the orthogonal parts of both factors, and the data loss: each (..., times)."""

    alpha: np.ndarray
    beta: np.ndarray
    rho_a: np.ndarray
    rho_b: np.ndarray
    loss: np.ndarray


def rank_one_rates(state: np.ndarray, s: Array = 1.0, weight_decay: Array = 0.0) -> np.ndarray:
    """Return d/dt of (α, β, ρ_a, ρ_b), the first axis of the state, for one pair: (4, ...).

    α' = sβ - α(β² + ρ_b + λ) and ρ_a' = -2ρ_a(β² + ρ_b + λ), and the same with a and b exchanged.
    """
    alpha, beta, rho_a, rho_b = state
    fall_a, fall_b = beta**2 + rho_b + weight_decay, alpha**2 + rho_a + weight_decay
    rises = s * beta - alpha * fall_a, s * alpha - beta * fall_b
    return np.stack([*rises, -2 * rho_a * fall_a, -2 * rho_b * fall_b])


def rank_one_flow(
    times: Array,
    alpha: Array,
    beta: Array,
    rho_a: Array = 0.0,
    rho_b: Array = 0.0,
    s: Array = 1.0,
    weight_decay: Array = 0.0,
) -> FourVariables:
    """Return the flow of `rank_one_rates` from any start, integrated numerically to about 1e-10.

    Parameters
    ----------
    times
        t >= 0, strictly ascending, (times,).
    alpha, beta
        Aligned parts at t = 0, of either sign, (...,).
    rho_a, rho_b
        Squared norms of the orthogonal parts at t = 0, >= 0, (...,).
    s, weight_decay
        Strength of the target, and λ, >= 0, (...,).

    Raises
    ------
    RuntimeError
        The integration failed.
    """
    t = time_grid(times)
    given = _check_each(nonnegative_array, rho_a=rho_a, rho_b=rho_b, s=s, weight_decay=weight_decay)
    *start, s, decay = np.broadcast_arrays(
        *_check_each(finite_array, alpha=alpha, beta=beta), *given
    )
    shape, flat = s.shape, (s.ravel(), decay.ravel())

    def rates(_: float, y: np.ndarray) -> np.ndarray:
        return rank_one_rates(y.reshape(4, -1), *flat).ravel()

    span = (0, max(t[-1], 1e-9))
    found = scipy.integrate.solve_ivp(
        rates, span, np.stack(start).ravel(), "DOP853", t, rtol=1e-12, atol=1e-14
    )
    if not found.success:
        raise RuntimeError(f"times up to {t[-1]:.3g} were not reached: {found.message}")
    alpha, beta, rho_a, rho_b = found.y.reshape(4, *shape, t.size)
    loss = (s[..., None] - alpha * beta) ** 2 + alpha**2 * rho_b + rho_a * (beta**2 + rho_b)
    return FourVariables(alpha, beta, rho_a, rho_b, loss / 2)


def saxe_strength(times: Array, u0: Array, s: Array = 1.0, tau: Array = 1.0) -> np.ndarray:
    """Return u(t) = s/(1 + (s/u₀ - 1) e^{-2st/τ}), a sigmoid: (..., times).

    It is that of a deep linear network of three layers with whitened inputs, one mode, and equals
    `rank_one` at ρ = λ = 0.

    Parameters
    ----------
    times
        t >= 0, (..., times).
    u0, s, tau
        Strength at t = 0 and in the end, and time constant; all > 0, (...,).

    References
    ----------
    Saxe et al. (2013), equation 12.
    """
    t = np.atleast_1d(nonnegative_array("times", times))
    u0, s, tau = (value[..., None] for value in _check_each(positive, u0=u0, s=s, tau=tau))
    return s / (1 + (s / u0 - 1) * np.exp(-2 * s * t / tau))


def saxe_time(u: Array, u0: Array, s: Array = 1.0, tau: Array = 1.0) -> np.ndarray:
    """Return (τ/2s) ln[u (s - u₀)/(u₀ (s - u))], the time at which `saxe_strength` is u: (...,).

    It is below 0 for u < u₀. u and u0 are above 0 and below s; s and tau are above 0: each (...,).
    """
    u, u0, s, tau = _check_each(positive, u=u, u0=u0, s=s, tau=tau)
    for name, value in {"u": u, "u0": u0}.items():
        if (value >= s).any():
            raise ValueError(f"{name} holds {value.max()}; it is reached only if below s")
    return tau / (2 * s) * np.log(u * (s - u0) / (u0 * (s - u)))


def saxe_learning_time(epsilon: Array, s: Array = 1.0, tau: Array = 1.0) -> np.ndarray:
    """Return (τ/s) ln(s/ε), about the time from u = ε to s - ε for ε << s: (...,).

    All arguments are above 0.
    """
    epsilon, s, tau = _check_each(positive, epsilon=epsilon, s=s, tau=tau)
    return tau / s * np.log(s / epsilon)


def saxe_depth_rate(u: Array, layers: int, s: Array = 1.0, tau: Array = 1.0) -> np.ndarray:
    """Return du/dt = (N - 1) u^{2 - 2/(N-1)} (s - u)/τ for N layers of units: (...,).

    Parameters
    ----------
    u
        Strength, >= 0, (...,).
    layers
        N >= 2, so N - 1 weight matrices; 3 is `saxe_strength`, 2 a plain exponential.
    s, tau
        Final strength and time constant, above 0, (...,).
    """
    deep = whole_number("layers", layers, 2) - 1
    u, s, tau = nonnegative_array("u", u), positive("s", s), positive("tau", tau)
    return deep * u ** (2 - 2 / deep) * (s - u) / tau


def half_time_sd(pairs: int = 1, s: Array = 1.0) -> np.ndarray:
    """Return √ψ₁(K/2)/(2s), the sd of the half time over small Gaussian starts: (...,).

    It is π/(2√2 s) for K = 1 pair. u₀ is a multiple of χ²_K, and the half time a constant less
    ln(u₀)/(2s). K >= 1; s > 0, (...,).
    """
    K = whole_number("pairs", pairs, 1)
    return np.sqrt(polygamma(1, K / 2)) / (2 * positive("s", s))


def half_time_shift(pairs: int, s: Array = 1.0) -> np.ndarray:
    """Return -(E ln χ²_K - E ln χ²_1)/(2s), which K pairs instead of 1 add to the mean half time.

    It is <= 0, for example -1.19 for K = 4 and s = 1. E ln χ²_K = ψ(K/2) + ln 2. The arguments are
    those of `half_time_sd`.
    """
    K = whole_number("pairs", pairs, 1)
    return (digamma(0.5) - digamma(K / 2)) / (2 * positive("s", s))
