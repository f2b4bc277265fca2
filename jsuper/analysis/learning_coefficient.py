"""The local learning coefficient of a point in weight space, estimated by Langevin dynamics.

    λ̂ = nβ (E_w[L(w)] - L(w*)),   w ~ exp(-nβ L(w) - γ/2 ‖w - w*‖²)

λ measures how fast the volume of weights with a loss below L(w*) + ε shrinks as ε → 0: it is half
the number of weights at a regular minimum, and less at a degenerate one. Both expectation and loss
are at a finite nβ, so λ̂ tends to λ only as nβ → ∞ with γ small relative to it. At a finite nβ the
exact integral may be far from the limit: for x² y², whose λ is 1/2, it is .06 to .43 for usual nβ
and γ, because λ̂ approaches λ like 1/log(nβ) where λ has a multiplicity above 1. Compare values at
the same nβ and γ only.

Steps of a finite size ε add an error. In a direction with curvature a = nβ h + γ, Langevin steps
have the variance 1/(a (1 - ε a/4)), so that λ̂ is too large by the share ε a/4 there, and the chain
diverges for ε a >= 4. A direction needs about 2/(ε a) steps to be explored; until then λ̂ is too
small. The noise of a batch's gradient heats the chain by ε (nβ)² Var/4, unless control variates
remove it.

References
----------
Lau et al. (2023), "Quantifying degeneracy in singular models via the learning coefficient",
<https://arxiv.org/abs/2308.12108>. Welling and Teh (2011), "Bayesian learning via stochastic
gradient Langevin dynamics".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from scipy.special import stdtrit

from jsuper.analysis.arrays import whole_number
from jsuper.training.jax_config import shielded

CONFIDENCE = 0.95
REFERENCE_BATCHES = 1024  # that measure the gradient at w*, for control variates
REFERENCE = 2**31 - 1  # folded into the key of these batches; chains have 0, 1, 2, ...


class Numbers(NamedTuple):
    """The numbers of a chain, which may be traced."""

    n_beta: Any
    epsilon: Any
    gamma: Any


class Estimate(NamedTuple):
    """An estimate of the local learning coefficient; every array may have leading axes."""

    value: Any  # mean over the chains, (...,)
    stderr: Any  # its standard error, from the spread of the chains; NaN for one chain
    low: Any  # 95 % t interval of the mean over chains
    high: Any
    chains: Any  # estimate of every chain, (..., chains)
    drift: Any  # second half of the draws less the first: far from 0 if the chains still move


@shielded()
def estimate(
    loss: Callable[..., Any],
    params: Any,
    *,
    n_beta: float,
    epsilon: float,
    gamma: float,
    key: Array,
    chains: int = 4,
    draws: int = 1000,
    burn_in: int = 1000,
    sample: Callable[[Array], Any] | None = None,
    control_variates: bool = True,
) -> Estimate:
    """Return the local learning coefficient of `params`, from SGLD chains that start there.

    A step is w - ε/2 (nβ ∇L(w) + γ (w - w*)) + √ε N(0, 1). The chains are replicates: they share
    w* and differ in noise and batches. See the module for the errors of finite nβ and ε.

    Parameters
    ----------
    loss
        L(params), or L(params, batch) with `sample`: a number, differentiable by JAX.
    params
        w*, a pytree of arrays of one floating dtype, in which everything is computed.
    n_beta
        nβ > 0, the number of samples times the inverse temperature; n / log n is usual.
    epsilon
        ε > 0. The error is at most a few percent if ε is below 0.1 over the largest curvature
        nβ h + γ that the chain meets.
    gamma
        γ >= 0, the strength with which w is held near w*.
    key
        A random key, such as `jsuper.seed_key(0)`.
    chains, draws, burn_in
        Number of chains, steps that count, and earlier ones that do not.
    sample
        A function key -> batch. Every step draws a new one, and L is the mean over batches.
    control_variates
        Whether the noise of a batch is reduced by that of the same batch at w*, whose mean over
        1,024 batches is known: ∇L_batch(w) - ∇L_batch(w*) + ∇L(w*). False: plain SGLD.

    Returns
    -------
    Estimate
        Mean, standard error, interval, and the estimates of the chains.

    Raises
    ------
    ValueError
        A number is out of its range.

    References
    ----------
    Lau et al. (2023), see the module. Baker, Fearnhead, Fox and Nemeth (2019), "Control variates
    for stochastic gradient MCMC".
    """
    check_settings(n_beta, epsilon, gamma, chains, draws, burn_in)
    start, unravel = ravel_pytree(params)
    numbers = Numbers(n_beta, epsilon, gamma)

    def run(start: Array, key: Array) -> tuple[Array, Array]:
        def flat(w: Array, *batch: Any) -> Array:
            return loss(unravel(w), *batch)

        gradient = None
        if sample is not None and control_variates:
            make, of = sample, jax.random.fold_in(key, REFERENCE)
            keys = jax.random.split(of, REFERENCE_BATCHES)
            each = jax.lax.map(lambda k: jax.grad(flat)(start, make(k)), keys)
            gradient = each.mean(axis=0)

        def one(k: Array) -> tuple[Array, Array]:
            chain_key = jax.random.fold_in(key, k)
            lengths = (burn_in, draws)
            return chain_means(flat, start, gradient, chain_key, numbers, lengths, sample)

        return jax.vmap(one)(jnp.arange(chains))

    return summary(*map(np.asarray, jax.jit(run)(start, key)))


def chain_means(
    loss: Callable[..., Array],
    start: Array,
    gradient: Array | None,
    key: Array,
    numbers: Numbers,
    lengths: tuple[int, int],
    sample: Callable[[Array], Any] | None,
) -> tuple[Array, Array]:
    """Return nβ (mean L(w) - L(w*)) of both halves of one chain's draws.

    Parameters
    ----------
    loss
        L(w) of a vector, or L(w, batch) with `sample`.
    start
        w*, (d,).
    gradient
        ∇L(w*), (d,), for control variates; None: there are none.
    key, numbers, lengths
        The random key, nβ, ε and γ, and the numbers of burn-in steps and of draws.
    sample
        A function key -> batch, or None if L needs no batch.
    """
    burn_in, draws = lengths
    slope = jax.value_and_grad(loss)
    scale = jnp.sqrt(jnp.asarray(numbers.epsilon, start.dtype))
    at_start = None if sample is not None else loss(start)

    def measured(w: Array, key: Array) -> tuple[Array, Array]:
        if sample is None:
            value, grad = slope(w)
            return value - at_start, grad
        batch = sample(key)
        value, grad = slope(w, batch)
        if gradient is None:
            return value - loss(start, batch), grad
        reference, noisy = slope(start, batch)
        noise = noisy - gradient
        return value - reference - noise @ (w - start), grad - noise

    def step(carry: tuple, t: Array) -> tuple[tuple, None]:
        w, sums = carry
        of_batch, of_noise = jax.random.split(jax.random.fold_in(key, t))
        excess, grad = measured(w, of_batch)
        half = jnp.where(t < burn_in + draws // 2, 0, 1)
        sums = sums.at[half].add(jnp.where(t < burn_in, 0, excess))
        pull = numbers.n_beta * grad + numbers.gamma * (w - start)
        noise = jax.random.normal(of_noise, w.shape, w.dtype)
        return (w - numbers.epsilon / 2 * pull + scale * noise, sums), None

    begin = (start, jnp.zeros(2, start.dtype))
    (_, sums), _ = jax.lax.scan(step, begin, jnp.arange(burn_in + draws))
    first, second = numbers.n_beta * sums
    return first / (draws // 2), second / (draws - draws // 2)


def summary(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Return the estimate of chains, (..., chains), from the means of both halves of the draws."""
    chains = (first + second) / 2
    count = chains.shape[-1]
    value, drift = chains.mean(axis=-1), (second - first).mean(axis=-1)
    if count < 2:
        unknown = np.full_like(value, np.nan)
        return Estimate(value, unknown, unknown, unknown, chains, drift)
    stderr = chains.std(axis=-1, ddof=1) / count**0.5
    half = stderr * stdtrit(count - 1, (1 + CONFIDENCE) / 2)
    return Estimate(value, stderr, value - half, value + half, chains, drift)


def check_settings(
    n_beta: float, epsilon: float, gamma: float, chains: int, draws: int, burn_in: int
) -> None:
    """Raise ValueError unless every setting of the chains is in its range."""
    for name, value in (("n_beta", n_beta), ("epsilon", epsilon)):
        if not 0 < value < float("inf"):
            raise ValueError(f"{name}={value!r} is not a number > 0")
    if not 0 <= gamma < float("inf"):
        raise ValueError(f"gamma={gamma!r} is not a number >= 0")
    whole_number("chains", chains, 1)
    whole_number("draws", draws, 2)  # two halves
    whole_number("burn_in", burn_in, 0)
