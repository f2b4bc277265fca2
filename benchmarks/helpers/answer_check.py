"""Check, before anything is timed, that all ways train to the same loss.

One function evaluates the final weights of every way on one large sample, so that only differences
of training remain. The ways draw different weights and batches, so medians over seeds are compared.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .baselines import ACTIVATIONS, Weights, Work

SAMPLES = 2**17


def loss_over_constant(activation: str, weights: Weights, work: Work) -> np.ndarray:
    """Return the loss of each model over that of the constant predictor p/2, on one sample.

    Parameters
    ----------
    activation
        A key of `ACTIVATIONS`.
    weights
        W (models, n_hidden, n_features) and b (models, n_features).
    work
        The models.

    Returns
    -------
    np.ndarray
        Shape (models,).
    """
    W, b = weights
    importance, p = jnp.asarray(work.importance), jnp.asarray(work.probabilities)
    return np.asarray(_ratios(activation, jnp.asarray(W), jnp.asarray(b), p, importance))


@partial(jax.jit, static_argnums=0)
def _ratios(activation: str, W: Array, b: Array, p: Array, importance: Array) -> Array:
    mask_key, value_key = jax.random.split(jax.random.key(2**31 - 1))
    shape = (SAMPLES, importance.size)
    draws, values = jax.random.uniform(mask_key, shape), jax.random.uniform(value_key, shape)

    def ratio(model: tuple[Array, Array, Array]) -> Array:
        W, b, p = model
        x = jnp.where(draws < p, values, 0.0)
        x_hat = ACTIVATIONS[activation](x @ W.T @ W + b)
        loss = jnp.mean(importance * (x - x_hat) ** 2)
        # Most sampling noise cancels, because the constant's loss is of the same sample.
        return loss / jnp.mean(importance * (x - p / 2) ** 2)

    return jax.lax.map(ratio, (W, b, p))


def compare(losses: dict[str, np.ndarray], reference: str, tolerance: float) -> dict[str, Any]:
    """Compare the losses of all ways with those of one.

    A cell is an activation with a sparsity. Each way has its median over the seeds of a cell, and
    the ratio to the reference's median; its score is the geometric mean of these ratios. A single
    median over all cells would depend on the few models between two cells.

    Parameters
    ----------
    losses
        Way -> loss over constant, shape (activations, sparsities, seeds). The number of
        seeds may differ.
    reference
        The way to compare the others with.
    tolerance
        Largest relative difference of the score from 1.

    Returns
    -------
    dict[str, Any]
        Whether the check holds, the medians, and the relative differences by way.
    """
    medians = {way: np.median(values, axis=2) for way, values in losses.items()}
    ratios = {way: of_way / medians[reference] for way, of_way in medians.items()}
    differences = {way: float(np.exp(np.log(r).mean()) - 1) for way, r in ratios.items()}
    finite = all(np.isfinite(values).all() for values in losses.values())
    # The constant predictor scores 1: at 1 nothing was learnt, and agreement would mean nothing.
    learnt = np.median(losses[reference]) < 0.95
    agree = all(abs(difference) <= tolerance for difference in differences.values())
    return {
        "ok": bool(finite and learnt and agree),
        "finite": bool(finite),
        "learnt": bool(learnt),
        "reference": reference,
        "tolerance": tolerance,
        "relative_difference": differences,
        "median_loss_over_constant": {way: float(np.median(x)) for way, x in losses.items()},
        "median_loss_over_constant_by_cell": {way: x.tolist() for way, x in medians.items()},
        "seeds": {way: values.shape[2] for way, values in losses.items()},
    }
