"""What a toy model's weight decay applies to, and the pull of the columns' norms towards 1."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

NORM_EPS = 1e-8  # added to the norms, as in the published code


def matrices(params: Any) -> Any:
    """Return true for each matrix of some parameters, and false for each bias."""
    return jax.tree.map(lambda p: p.ndim > 1, params)


def pull_norms(learning_rate: Array, gamma: Array) -> optax.GradientTransformation:
    """W_i ← W_i - η γ W_i (1 - 1/(|W_i| + 1e-8)) for the columns W_i of W, after other updates.

    The norms fall to 1 from above, and rise to 1 from below; the gradient moves them too. Both
    parts use the weights before the step, as the decoupled decay of AdamW does. Other parameters
    have no pull.

    Source: Liu et al. (2025), "Superposition Yields Robust Neural Scaling",
    <https://arxiv.org/abs/2505.10465>, whose code (exp/adamw.py) has weight_decay = -γ for W, and
    no decay of b.
    """

    def update(updates: Any, params: Any) -> Any:
        W = params.W  # (n_hidden, n_features)
        norms = jnp.sqrt((W * W).sum(axis=0)) + NORM_EPS
        return updates._replace(W=updates.W - learning_rate * gamma * W * (1 - 1 / norms))

    return optax.stateless(update)
