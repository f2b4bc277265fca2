"""One MLP on sparse features: fixed matrices, parameters, forward pass. Nothing has a model axis.

    r_0 = E^T x,   r_l = r_(l-1) + W_out^l act(W_in^l r_(l-1) + b^l),   x_hat = E r_L

E is (n_features, d) with fixed rows of length 1, or absent: then the stream r is x itself. Without
the residual stream, r_l is W_out^l act(...) alone. The hidden units of all layers stand in one
array, the first layer's first: W_in and W_out are (n_hidden, d), and row j of W_out is what unit j
writes. Samples are columns, (n_features, samples).

The stream is never formed. Units read W_in E^T of the features and write W_out E^T to the outputs,
(n_hidden, n_features), and unit j of a later layer reads W_in W_out^T of unit k: these products do
not involve the batch, and d is often ten times n_features.

Sources: Braun et al. (2025), "Interpretability in Parameter Space: Minimizing Mechanistic
Description Length with Attribution-based Parameter Decomposition",
<https://arxiv.org/abs/2501.14926>, section 3.2; Bushnaq et al. (2025), "Stochastic Parameter
Decomposition", <https://arxiv.org/abs/2506.20790>; Bhagat et al. (2025), "Compressed Computation is
(probably) not Computation in Superposition", <https://arxiv.org/abs/2606.14673>.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsuper.models.mlp.targets import PAIRS
from jsuper.models.toy.activations.registry import resolve
from jsuper.training import keys
from jsuper.training.jax_config import shielded

EMBEDDING, MIXING = 0, 1  # steps of the stream TARGET
W_OUT, BIAS = 1, 2  # folded into the key of the initial W_in


class Params(NamedTuple):
    """W_in and W_out, (n_hidden, d), and b, (n_hidden,)."""

    W_in: Array
    W_out: Array
    b: Array


class Fixed(NamedTuple):
    """The matrices of a seed that are not learned."""

    E: Any = None  # embedding, (n_features, d); None if the stream is x
    M: Any = None  # mixing matrix of noisy targets, (n_features, n_features); None without noise


class Layers(NamedTuple):
    """What the forward pass depends on besides the arrays; hashable."""

    depth: int = 1
    activation: str = "relu"
    residual: bool = True


def _dot(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")


# ---- draws ----


@shielded()
def embedding(key: Array, n_features: int, d: int, dtype: str = "float32") -> Array:
    """Return the embedding of a seed: rows of independent directions and length 1.

    Parameters
    ----------
    key
        The seed's key, `jsuper.seed_key(seed)`.
    n_features, d
        Its sizes; the first rows of a larger one are those of a smaller one.
    dtype
        Dtype of the result; draws are made in float32.

    Returns
    -------
    Array
        E, (n_features, d).
    """
    drawn = keys.normal(keys.stream(key, keys.TARGET, EMBEDDING), (n_features, d)).astype(dtype)
    return drawn / jnp.linalg.norm(drawn, axis=1, keepdims=True)


@shielded()
def mixing(key: Array, n_features: int, dtype: str = "float32") -> Array:
    """Return the mixing matrix of a seed: independent N(0, 1) entries, and 0 on the diagonal.

    Source: the code of Bhagat et al. (2025), whose labels are ReLU(x) + scale M x.
    """
    shape = (n_features, n_features)
    drawn = keys.normal(keys.stream(key, keys.TARGET, MIXING), shape).astype(dtype)
    return jnp.where(jnp.eye(n_features, dtype=bool), 0, drawn)


def init_params(
    key: Array, layers: Layers, n_hidden: int, d: int, init: str, scale: float, dtype: str
) -> Params:
    """Draw the initial weights of all layers.

    Parameters
    ----------
    key
        Key of the initial weights.
    layers
        Number of layers; each has n_hidden / layers.depth units.
    n_hidden, d
        Units of all layers, and width of the stream.
    init
        linear: weights and b uniform on ±1/√(inputs of the layer), as in torch.nn.Linear; xavier:
        N(0, 2/(inputs + outputs)); kaiming: N(0, 2/inputs); normal: N(0, scale²). b is 0 but for
        linear.
    scale
        Standard deviation of `normal`.
    dtype
        Dtype of the weights; draws are made in float32.
    """
    width = n_hidden // layers.depth

    def draw(stream: int | None, inputs: int, outputs: int) -> Array:
        array_key = key if stream is None else jax.random.fold_in(key, stream)
        if init == "linear":
            return (2 * keys.uniform(array_key, (n_hidden, d)) - 1) / inputs**0.5
        std = {"xavier": (2 / (inputs + outputs)) ** 0.5, "kaiming": (2 / inputs) ** 0.5}
        return std.get(init, scale) * keys.normal(array_key, (n_hidden, d))

    b = jnp.zeros(n_hidden)
    if init == "linear":
        b = (2 * keys.uniform(jax.random.fold_in(key, BIAS), (n_hidden,)) - 1) / d**0.5
    return Params(*(a.astype(dtype) for a in (draw(None, d, width), draw(W_OUT, width, d), b)))


# ---- forward pass ----


def through(W: Array, E: Array | None) -> Array:
    """Return W E^T, (n_hidden, n_features): weights on the stream as weights on the features."""
    return W if E is None else _dot(W, E.T)


def hidden(params: Params, E: Array | None, layers: Layers, x: Array) -> Array:
    """Return the activations of all hidden units, (n_hidden, samples)."""
    act, width = resolve(layers.activation), len(params.W_in) // layers.depth
    reads = through(params.W_in, E)
    h = jnp.zeros((0, x.shape[1]), x.dtype)
    for layer in range(layers.depth):
        own = slice(layer * width, (layer + 1) * width)
        z = params.b[own, None]
        if layer == 0 or layers.residual:
            z = z + _dot(reads[own], x)
        if layer:
            first = 0 if layers.residual else (layer - 1) * width
            before = params.W_out[first : layer * width]
            z = z + _dot(_dot(params.W_in[own], before.T), h[first:])
        h = jnp.concatenate([h, act(z)])
    return h


def written(params: Params, E: Array | None, layers: Layers, x: Array) -> Array:
    """Return what the hidden units write to the outputs, (n_features, samples)."""
    h, writes = hidden(params, E, layers, x), through(params.W_out, E)
    first = 0 if layers.residual else len(h) // layers.depth * (layers.depth - 1)
    return _dot(writes[first:].T, h[first:])


def outputs(params: Params, E: Array | None, layers: Layers, x: Array) -> Array:
    """Return x_hat, (n_features, samples)."""
    found = written(params, E, layers, x)
    if not layers.residual:
        return found
    return found + (x if E is None else _dot(_dot(E, E.T), x))


# ---- targets ----


def function_of(target: str) -> Callable[[Array], Array]:
    """Return f of a target's name: (n_features, samples) to the same shape."""
    known = {"abs": jnp.abs, "square": jnp.square, PAIRS: and_pairs}
    return known[target] if target in known else resolve(target)


def and_pairs(x: Array) -> Array:
    """Return the product of features 2k and 2k + 1 at both of them."""
    products = x[::2] * x[1::2]
    return jnp.repeat(products, 2, axis=0)


def unlearned(
    fixed: Fixed, n_features: int, residual: bool, target_residual: bool, noise: Array
) -> Array | None:
    """Return the matrix R of the error's linear part, (n_features, n_features); None if it is 0.

    The target is f(x) + x + noise M x, with or without x. So the error of a model is R x + what its
    units write - f(x), with R = E E^T - I - noise M; E E^T is there with a residual stream and I
    with x in the target.
    """
    E, M = fixed
    if E is None and M is None and residual == target_residual:
        return None
    identity = jnp.eye(n_features, dtype=noise.dtype)
    stream = identity if E is None else _dot(E, E.T)
    R = residual * stream - target_residual * identity
    return R if M is None else R - noise * M
