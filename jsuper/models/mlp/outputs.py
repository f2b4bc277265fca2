"""`jsuper.mlp.forward`: the outputs of one model, from its arrays."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from jsuper.models.mlp import model
from jsuper.models.mlp.model import Layers, Params
from jsuper.models.mlp.targets import check_activation
from jsuper.training.jax_config import shielded


@shielded()
def forward(
    W_in: Array,
    W_out: Array,
    x: Array,
    b: Array | None = None,
    E: Array | None = None,
    *,
    activation: str = "relu",
    n_layers: int = 1,
    residual: bool = True,
) -> Array:
    """Return the outputs x_hat = E r_L of one MLP; see `jsuper.models.mlp.model`.

    Parameters
    ----------
    W_in, W_out
        Weights of all layers, (n_hidden, d).
    x
        Features, (n_features, samples).
    b
        Bias of the hidden units, (n_hidden,); None is 0.
    E
        Embedding, (n_features, d), such as `jsuper.mlp.embedding(key, n_features, d)`; None if the
        stream is x, with d = n_features.
    activation
        Name of an elementwise activation.
    n_layers
        Number of layers, which have n_hidden / n_layers units each.
    residual
        Whether a layer is added to the stream.

    Returns
    -------
    Array
        x_hat, (n_features, samples).

    Raises
    ------
    ValueError
        The shapes do not fit, or the activation is not known.
    """
    W_in, W_out, x = jnp.asarray(W_in), jnp.asarray(W_out), jnp.asarray(x)
    b = jnp.zeros(len(W_in), W_in.dtype) if b is None else jnp.asarray(b)
    E = None if E is None else jnp.asarray(E)
    width = x.shape[:1] if E is None else E.shape[1:]
    fit = W_in.ndim == x.ndim == 2 and W_in.shape == W_out.shape == (*b.shape, *width)
    if not fit or len(W_in) % n_layers or (E is not None and len(E) != len(x)):
        shape = None if E is None else E.shape
        raise ValueError(
            f"W_in {W_in.shape}, W_out {W_out.shape}, b {b.shape}, E {shape} and x {x.shape} "
            f"do not fit n_layers={n_layers}; they are (n_hidden, d) twice, (n_hidden,), "
            "(n_features, d) or None with d = n_features, and (n_features, samples)"
        )
    layers = Layers(n_layers, check_activation("activation", activation), residual)
    return model.outputs(Params(W_in, W_out, b), E, layers, x)
