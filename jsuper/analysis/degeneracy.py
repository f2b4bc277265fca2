"""The local learning coefficients of the models of a sweep, during and after training."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.analysis import population
from jsuper.analysis.arrays import whole_number
from jsuper.analysis.learning_coefficient import (
    REFERENCE,
    Numbers,
    chain_means,
    check_settings,
    summary,
)
from jsuper.analysis.metrics.toy_models import in_pieces
from jsuper.analysis.population import Kind, Trained
from jsuper.analysis.snapshots import of_snapshots
from jsuper.training import keys
from jsuper.training.jax_config import shielded

if TYPE_CHECKING:
    import xarray

REFERENCE_ROUNDS = 256  # of 1,024 samples, that measure the gradient at w*
TOGETHER = 32  # models whose chains are computed at once: their samples fit a core's cache

DESCRIPTIONS = {
    "llc": "local learning coefficient n_beta (E[L(w)] - L(w*)), mean over chains",
    "llc_stderr": "standard error of llc, from the spread of the chains",
    "llc_low": "low end of the 95 % t interval of llc over chains",
    "llc_high": "high end of it",
    "llc_chains": "llc of every chain",
    "llc_drift": "llc of the second half of the draws less that of the first",
    "llc_loss": "L(w*) on 262,144 samples",
}


@shielded()
def llc(
    ds: xarray.Dataset,
    *,
    snapshots: bool | None = None,
    n_beta: float = 1e5,
    epsilon: float = 5e-6,
    gamma: float = 1.0,
    chains: int = 8,
    draws: int = 3000,
    burn_in: int = 1000,
    batch_size: int = 64,
    control_variates: bool = True,
    seed: int = 0,
) -> xarray.Dataset:
    """Return the local learning coefficient of every model of a sweep, from SGLD chains.

    λ̂ = nβ (E[L(w)] - L(w*)), where L is the expected loss that the model was trained on, by default
    the mean over features of I_i E(x_i - x̂_i)², dropout off. All models have the same noise and the
    same uniform draws of batches, so differences between models are more precise than each value.
    See `jsuper.analysis.learning_coefficient` for the errors of finite nβ and ε. A model that is
    not at a minimum, as early in training, drifts away, and λ̂ may be negative.

    The defaults suit n = 6, m = 2 and inputs of one active feature, where λ̂ of k-gons is within
    10 % of half the number of directions in which their loss rises: the largest curvature nβ h is
    2e4, so that ε a is 0.1. Papers that sum the loss over features have 1/n of this nβ. The
    gradient at w* is measured on 262,144 samples, whose error lowers λ̂ at nβ far above 1e5.

    Parameters
    ----------
    ds
        Dataset of `jsuper.run` or `jsuper.load`, of toy models.
    snapshots
        Whether to measure every snapshot instead of the trained models; by default if the run has
        snapshots.
    n_beta, epsilon, gamma
        nβ, the step size ε, and the localization γ.
    chains, draws, burn_in
        Number of chains, which are the replicates; steps that count; and earlier ones.
    batch_size
        Samples with an active feature in a batch; the zero sample is weighted exactly. Activations
        that normalise over the batch have whole batches of the training's size.
    control_variates
        Whether the noise of batches is reduced by the same batch at w*. False: plain SGLD.
    seed
        Seed of the noise and the batches.

    Returns
    -------
    xarray.Dataset
        llc, llc_stderr, llc_low, llc_high, llc_drift, llc_loss and llc_chains (chain), over the
        dimensions of the sweep, and snapshot_step. NaN for models that are missing or not finite,
        or of a user's activation or sampler.

    Raises
    ------
    ValueError
        A setting is out of its range, or the models are not whole.
    SpecError
        The run has no snapshots, or only those of W.

    References
    ----------
    Lau et al. (2023), "Quantifying degeneracy in singular models via the learning coefficient",
    <https://arxiv.org/abs/2308.12108>. Chen et al. (2023), "Dynamical versus Bayesian Phase
    Transitions in a Toy Model of Superposition", <https://arxiv.org/abs/2310.06301>, which has
    k-gons of one active feature.
    """
    import xarray as xr

    check_settings(n_beta, epsilon, gamma, chains, draws, burn_in)
    whole_number("batch_size", batch_size, 1)
    whole_number("seed", seed, 0)
    if snapshots is None:
        snapshots = "W_snapshots" in ds
    ds = of_snapshots(ds) if snapshots else ds
    status = ds["status"]
    halves = np.full((2, status.size, chains), np.nan)
    at = np.full(status.size, np.nan)
    numbers = np.array([n_beta, epsilon, gamma])
    for places, kind, models in population.by_kind(ds):
        program = partial(
            of_models,
            kind=kind,
            lengths=(burn_in, draws),
            chains=chains,
            batch_size=batch_size,
            control_variates=control_variates,
            numbers=numbers.astype(models.params.W.dtype),
            seed=np.uint32(seed),
        )
        found = in_pieces(program, tuple(models))
        halves[0, places], halves[1, places], at[places] = found
    values = {k: np.reshape(v, (*status.shape, -1)) for k, v in _variables(halves, at).items()}
    inner = {"llc_chains": ("chain",)}
    data = {
        name: (
            (*status.dims, *inner.get(name, ())),
            array if name in inner else array[..., 0],
            {"description": DESCRIPTIONS[name]},
        )
        for name, array in values.items()
    }
    settings = {"n_beta": n_beta, "epsilon": epsilon, "gamma": gamma, "draws": draws}
    settings |= {"burn_in": burn_in, "batch_size": batch_size, "seed": seed}
    coords = {k: v for k, v in ds.coords.items() if set(v.dims) <= set(status.dims)}
    return xr.Dataset(data, coords, settings)


def _variables(halves: np.ndarray, at: np.ndarray) -> dict[str, np.ndarray]:
    """Return the variables of models (M,) from both halves of their chains, (2, M, chains)."""
    found = summary(halves[0], halves[1])
    return {
        "llc": found.value,
        "llc_stderr": found.stderr,
        "llc_low": found.low,
        "llc_high": found.high,
        "llc_chains": found.chains,
        "llc_drift": found.drift,
        "llc_loss": at,
    }


@partial(jax.jit, static_argnames=("kind", "lengths", "chains", "batch_size", "control_variates"))
def of_models(
    params: population.Params,
    density: Array,
    importance: Array,
    *,
    kind: Kind,
    lengths: tuple[int, int],
    chains: int,
    batch_size: int,
    control_variates: bool,
    numbers: Array,
    seed: Array,
) -> tuple[Array, Array, Array]:
    """Return both halves of the chains, (M, chains), and L(w*), (M,), of M models.

    No draw depends on a model or its position.
    """
    n = params.W.shape[-1]
    loss = population.make_loss(kind)
    large = population.make_sample(kind, n)
    small = population.make_sample(kind, n, batch_size)
    key = keys.stream(keys.seed_key(seed), keys.EVALUATION)

    def one(model: Trained) -> tuple[Array, Array, Array]:
        start, unravel = population.free_vector(kind, model.params)

        def of_samples(w: Array, samples: population.Samples) -> Array:
            return loss(unravel(w), model.importance, samples)

        def of_round(k: Array) -> tuple[Array, Array]:
            samples = large(keys.stream(key, REFERENCE, k), model.density)
            return jax.value_and_grad(of_samples)(start, samples)

        values, gradients = jax.lax.map(of_round, jnp.arange(REFERENCE_ROUNDS))
        gradient = gradients.mean(axis=0) if control_variates else None

        def of_chain(k: Array) -> tuple[Array, Array]:
            return chain_means(
                of_samples,
                start,
                gradient,
                jax.random.fold_in(key, k),
                Numbers(*numbers),
                lengths,
                lambda key: small(key, model.density),
            )

        return *jax.vmap(of_chain)(jnp.arange(chains)), values.mean()

    return jax.lax.map(one, Trained(params, density, importance), batch_size=TOGETHER)
