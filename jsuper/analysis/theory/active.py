"""The loss of a model by how many of its features are active."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy

from jsuper.analysis.arrays import (
    Array,
    in_range,
    whole_number,
)
from jsuper.analysis.theory.checks import check_model
from jsuper.models.toy.activations.names import canonical_activation
from jsuper.models.toy.activations.registry import resolve
from jsuper.models.toy.model import forward
from jsuper.models.toy.widths import couples_batch
from jsuper.training.jax_config import shielded


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
    """Return L_k, the loss of one model given that exactly k features are active, for k = 0 .. n.

    The loss at density p is L = Σ_k C(n, k) p^k (1-p)^(n-k) L_k, which is `active_weights(n, p) @
    loss`. All sets of k features are equally likely. Each k has independent draws, so that squared
    standard errors add; k = 0 is exact. The precision is JAX's, float32 unless set otherwise.

    Parameters
    ----------
    W, b
        One model, (n_hidden, n_features) and (n_features,).
    activation
        A name, or a function of z (n_features, batch).
    importance
        I, (n_features,), >= 0.
    samples
        Draws for each k, at least 2.
    seed
        Seed of the draws.

    Raises
    ------
    ValueError
        The activation is unknown, or couples the samples of a batch so that L_k does not exist; or
        a shape or count does not fit.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, section "Mathematical
    Understanding", where L_k is a sum over sets and samples.
    """
    name = canonical_activation(activation) if isinstance(activation, str) else activation
    function, samples = resolve(name), whole_number("samples", samples, 2)
    _, W, b, weight = check_model(W, b, importance)
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
    """Return the probability of k active features, C(n, k) p^k (1-p)^(n-k): (..., n_features + 1).

    Parameters
    ----------
    n_features
        n, at least 1.
    density
        p of every feature, in [0, 1], a number or (...,).

    Raises
    ------
    ValueError
        The count is below 1, or a density is out of range.
    """
    n = whole_number("n_features", n_features, 1)
    p = in_range("density", density, "[0, 1]")
    return scipy.stats.binom.pmf(np.arange(n + 1), n, p[..., None])
