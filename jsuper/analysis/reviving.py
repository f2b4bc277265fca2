"""Whether an inactive unit comes back, and what gradient it passes to the layers before it.

Where a slope f'(z) is negative, gradient descent toward more output pushes the pre-activation down,
away from where the unit would be active. A non-monotone activation therefore has a z* < 0, its
minimum, above which inactive units recover and below which they drift away.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jsuper.analysis.arrays import Array, floating, in_range, whole_number
from jsuper.analysis.gating import profile
from jsuper.analysis.reading import finished_values
from jsuper.analysis.scalar import Activation, elementwise
from jsuper.training.jax_config import shielded

if TYPE_CHECKING:
    import xarray

RECOVERED = 2.0  # times the healthy model's error, below which a unit has recovered
HEALTHY = 10  # last recorded steps whose median is the healthy error
SMOOTH = 5  # recorded steps whose median is the error at a step: single batches are noisy


@shielded()
def separatrix(activation: Activation) -> float | None:
    """Return z* < 0, the rightmost minimum of f below 0, where f turns from falling to rising.

    It is -.7518 for GELU, -1.2785 for SiLU, -1.1924 for Mish and -1.5 for hardswish, and None for
    monotone activations. If f is flat below a point, as ReLU is, it is None too, but no unit there
    comes back.

    Raises
    ------
    ValueError
        The activation is unknown, or not a function of one number.
    """
    return profile(activation).separatrix


@shielded()
def descend(
    activation: Activation,
    start: Array,
    *,
    target: float = 0.5,
    rate: float = 0.1,
    steps: int = 10_000,
) -> np.ndarray:
    """Return pre-activations after gradient descent on ½ (f(z) - target)², each by itself.

    z ← z - rate (f(z) - target) f'(z), `steps` times, in float64.

    Parameters
    ----------
    activation
        A name or an elementwise function.
    start
        First pre-activations, of any shape.
    target
        Target output.
    rate
        Learning rate, >= 0.
    steps
        Number of steps, >= 0.

    Returns
    -------
    np.ndarray
        The last pre-activations, of start's shape; not finite where descent diverged.

    Raises
    ------
    ValueError
        A rate or a number of steps is below 0, or the activation is not elementwise.
    """
    f = elementwise(activation)
    rate = float(in_range("rate", rate, "[0, inf)"))
    steps = whole_number("steps", steps, 0)
    z = np.asarray(floating(start), float)
    with jax.enable_x64(True):
        last = _descend(f, z.reshape(1, -1), float(target), rate, steps)
        return np.asarray(last).reshape(z.shape)


@functools.partial(jax.jit, static_argnums=0)
def _descend(f: Callable, z: Array, target: float, rate: float, steps: int) -> Array:
    def step(_: int, z: Array) -> Array:
        value, slope = jax.jvp(f, (z,), (jnp.ones_like(z),))
        return z - rate * (value - target) * slope

    return jax.lax.fori_loop(0, steps, step, jnp.asarray(z))


@shielded()
def steps_to_recovery(
    error: ArrayLike, bound: ArrayLike, step: ArrayLike, start: ArrayLike = 0
) -> np.ndarray:
    """Return steps after `start` from which a unit's error stays below a bound: (...,), [0, ∞].

    Parameters
    ----------
    error
        Errors at the recorded steps, (..., records); smooth them first, single batches are noisy.
    bound
        Error below which the unit works, e.g. twice the healthy error, (...,).
    step
        Recorded steps, (records,), ascending.
    start
        Step at which the unit was pushed, (...,) or a number.

    Returns
    -------
    np.ndarray
        Steps to the first recorded one; ∞ if the error does not stay below the bound to the end,
        NaN if the last error or the bound is NaN.

    Raises
    ------
    ValueError
        `error` and `step` do not fit.
    """
    error, bound = np.asarray(error, float), np.asarray(bound, float)
    step, start = np.asarray(step, float), np.asarray(start, float)
    if step.ndim != 1 or error.shape[-1:] != step.shape or not step.size:
        raise ValueError(
            f"error has shape {error.shape} and step {step.shape}; they are (..., records) and "
            "(records,)"
        )
    well = (error < bound[..., None]) & (step >= start[..., None])
    lasting = np.flip(np.logical_and.accumulate(np.flip(well, -1), axis=-1), -1)
    after = np.where(lasting.any(-1), step[lasting.argmax(-1)] - start, np.inf)
    return np.where(np.isnan(error[..., -1]) | np.isnan(bound), np.nan, after)


class Reaching(NamedTuple):
    """Gradient norms in a network with dead units: each (seeds,); NaN without such a unit.

    A row's gradient is that of the mean loss with respect to a unit's incoming weights. What flows
    back to the inputs is the error signal of a sample's loss; its norm is the root mean square over
    samples.
    """

    dead_rows: np.ndarray  # root mean square of ‖dL/dW1_j‖ over dead units j
    live_rows: np.ndarray  # the same over live units
    inputs: np.ndarray  # error signal that flows back to x, through all units
    through_dead: np.ndarray  # the part of it that passes dead units
    inactive: np.ndarray  # share of (dead unit, sample) with z < 0; 1 by construction where B > 0


@shielded()
def gradient_reaching(
    activation: Activation,
    dead_share: float,
    B: float = 1.0,
    *,
    n_inputs: int = 20,
    n_hidden: int = 40,
    samples: int = 512,
    seeds: int = 20,
) -> Reaching:
    """Return the gradient that a network with dead hidden units passes to weights and inputs.

        h = f(W1 x + b1),  x̂ = W2 h,  loss ½ ‖x̂ - x‖² of a sample; mean over samples.

    Weights are untrained, W1 ~ N(0, 1/n_inputs) and W2 ~ N(0, 1/n_hidden), and inputs N(0, 1). The
    bias of a dead unit puts its largest pre-activation over the data at -B; that of a live unit is
    0. The weights and inputs of a seed are the same for every activation, share and B.

    Parameters
    ----------
    activation
        A name or an elementwise function.
    dead_share
        Share of dead hidden units, in [0, 1], rounded to whole units.
    B
        Distance of dead units from being active, >= 0.
    n_inputs, n_hidden, samples, seeds
        Sizes, at least 1.

    Raises
    ------
    ValueError
        A value is out of its range, or the activation is not elementwise.
    """
    f = elementwise(activation)
    dead_share = float(in_range("dead_share", dead_share, "[0, 1]"))
    B = float(in_range("B", B, "[0, inf)"))
    sizes = {"n_inputs": n_inputs, "n_hidden": n_hidden, "samples": samples, "seeds": seeds}
    n, m, samples, seeds = (whole_number(name, value, 1) for name, value in sizes.items())
    dead = np.arange(m) < round(dead_share * m)
    networks = zip(*(_network(seed, n, m, samples) for seed in range(seeds)), strict=True)
    W1, W2, x = (np.stack(parts) for parts in networks)
    with jax.enable_x64(True):
        found = _reaching(f, W1, W2, x, dead, B)
        return Reaching(*(np.asarray(a) for a in found))


def _network(seed: int, n: int, m: int, samples: int) -> tuple[np.ndarray, ...]:
    """Return W1 (m, n), W2 (n, m) and x (n, samples) of a seed."""
    rng = np.random.default_rng(seed)
    W1, W2 = rng.normal(size=(m, n)) / n**0.5, rng.normal(size=(n, m)) / m**0.5
    return W1, W2, rng.normal(size=(n, samples))


@functools.partial(jax.jit, static_argnums=0)
def _reaching(
    f: Callable, W1: Array, W2: Array, x: Array, dead: Array, B: float
) -> tuple[Array, ...]:
    """Return `_norms` of networks that differ along the first axis."""
    return jax.vmap(lambda W1, W2, x: _norms(f, W1, W2, x, dead, B))(W1, W2, x)


def _norms(f: Callable, W1: Array, W2: Array, x: Array, dead: Array, B: float) -> tuple[Array, ...]:
    """Return the fields of `Reaching` for one network."""
    z = W1 @ x
    z = jnp.where(dead[:, None], z - z.max(axis=1, keepdims=True) - B, z)
    h, slope = jax.jvp(f, (z,), (jnp.ones_like(z),))
    delta = slope * (W2.T @ (W2 @ h - x))  # error signal behind the activation
    rows = ((delta @ x.T / x.shape[1]) ** 2).sum(axis=1)

    def over(units: Array, values: Array) -> Array:
        return (units * values).sum() / units.sum()  # 0/0 where there is no such unit

    def back(signal: Array) -> Array:
        return jnp.sqrt(((W1.T @ signal) ** 2).sum(axis=0).mean())

    return (
        jnp.sqrt(over(dead, rows)),
        jnp.sqrt(over(~dead, rows)),
        back(delta),
        back(jnp.where(dead[:, None], delta, 0)),
        over(dead, (z < 0).mean(axis=1)),
    )


def recovery(ds: xarray.Dataset) -> xarray.DataArray:
    """Return the steps from the push until a unit's error stays near the healthy one.

    "Near" is below RECOVERED times the healthy error, which is the median of the last HEALTHY
    records of the same model without a push (push 0). The result is over (activation, optimizer,
    push_step, push, seed). It is NaN for models without a push or that diverged, and inf for those
    that do not recover by the last step.
    """
    dims = ("activation", "optimizer", "push_step", "push", "seed", "step")
    error = finished_values(ds, "unit_error", *dims).isel(sparsity=0)
    error = error.rolling(step=SMOOTH, center=True, min_periods=1).median()
    healthy = error.sel(push=[0.0]).isel(step=slice(-HEALTHY, None)).median("step")
    start = error["push_step"].values[:, None, None]
    steps = steps_to_recovery(error, RECOVERED * healthy, error["step"], start)
    found = error.isel(step=0, drop=True).copy(data=steps)
    return found.sel(push=found["push"] > 0)
