"""One toy model of superposition: parameters, forward pass, loss. Nothing has a model axis.

    h = W x,   z = Wᵀ h + b,   x̂ = act(z)

W is (n_hidden, n_features) and its column W_i is the embedding of feature i; batches are
(n_features, batch). Source: Elhage et al. (2022), "Toy Models of Superposition",
<https://transformer-circuits.pub/2022/toy_model/index.html>.

A gated decoder has a second matrix and bias of the same shapes, x̂ = gate(Wᵀ h + b) ⊙ (Vᵀ h + c), as
in Shazeer (2020), "GLU Variants Improve Transformer", <https://arxiv.org/abs/2002.05202>. Its two
pre-activations are one array, z above v. An untied model has a separate decoder matrix, z = W_decᵀ
h + b. `network.py` has other hidden layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.core.expecting import expect_array
from jsuper.models.toy.activations.registry import GATES, is_gated, resolve
from jsuper.training import keys
from jsuper.training.jax_config import shielded

Activation = Callable[[Array], Array]
GATED, GATED_BIAS, BIAS, DECODER = 1, 2, 3, 4  # folded into the key of the initial W


class Params(NamedTuple):
    """W (n_hidden, n_features) and b (n_features,); V and c have these shapes in a gated decoder.

    W_dec, of W's shape, is the decoder matrix, or None if the weights are tied. b_hidden
    (n_hidden,) and M (n_hidden, n_hidden) are a bias and a map of the hidden layer, or None.
    """

    W: Array
    b: Array
    V: Any = None
    c: Any = None
    W_dec: Any = None
    b_hidden: Any = None
    M: Any = None


def init_params(
    key: Array,
    n_hidden: int,
    n_features: int,
    std: float,
    dtype: str,
    gated: bool = False,
    *,
    tied: bool = True,
    bias_std: float = 0.0,
) -> Params:
    """Draw W, V, W_dec ~ N(0, std²) and b, c ~ N(0, bias_std²) in float32.

    Each array has a separate key, so that W does not depend on gates or ties.
    """

    def normal(stream: int | None, scale: float, *shape: int) -> Array:
        array_key = key if stream is None else jax.random.fold_in(key, stream)
        return (
            (scale * keys.normal(array_key, shape)).astype(dtype)
            if scale
            else jnp.zeros(shape, dtype)
        )

    sizes = (n_hidden, n_features)
    params = Params(W=normal(None, std, *sizes), b=normal(BIAS, bias_std, n_features))
    if gated:
        params = params._replace(
            V=normal(GATED, std, *sizes), c=normal(GATED_BIAS, bias_std, n_features)
        )
    return params if tied else params._replace(W_dec=normal(DECODER, std, *sizes))


def init_std(init: str, n_features: int, n_hidden: int, scale: float, instances: int) -> float:
    """Return the standard deviation of the initial weights.

    xavier: √(2/(n + m)); normal: `scale`; unit: √(1/m), for columns of mean squared length 1;
    notebook: √(2/(m (n + instances))), that of PyTorch's xavier_normal_ on the notebook's
    (instances, n, m) tensor.
    """
    if init == "xavier":
        return (2 / (n_features + n_hidden)) ** 0.5
    if init == "notebook":
        return (2 / (n_hidden * (n_features + instances))) ** 0.5
    if init == "unit":
        return n_hidden**-0.5
    return scale


def preactivation(params: Params, x: Array, mask: Array | None = None) -> Array:
    """Return z = Wᵀ (mask · W x) + b, (n_features, batch), in full precision on every device.

    A gated decoder gives (2 n_features, batch), with v = Vᵀ (mask · W x) + c below z.

    Parameters
    ----------
    params
        The model.
    x
        Features, (n_features, batch).
    mask
        Factor of every hidden unit, (n_hidden, batch), from dropout; None is 1.
    """
    h = encode(params, x)
    return decode(params, h if mask is None else h * mask)


def encode(params: Params, x: Array) -> Array:
    """h = W x, (n_hidden, batch), in full precision on every device."""
    return jnp.matmul(params.W, x, precision="highest")


def decode(params: Params, h: Array) -> Array:
    """z = Wᵀ h + b, (n_features, batch); of a gated decoder (2 n_features, batch), z above v."""
    z = jnp.matmul(output_matrix(params).T, h, precision="highest") + params.b[:, None]
    if params.V is None:
        return z
    v = jnp.matmul(params.V.T, h, precision="highest") + params.c[:, None]
    return jnp.concatenate([z, v])


def output_matrix(params: Params) -> Array:
    """Return W_dec, or W if the weights are tied; column i is what feature i reads from h."""
    return params.W if params.W_dec is None else params.W_dec


def written(params: Params) -> Array:
    """Return `decoder` without the biases: (..., n_hidden, n or 2 n features)."""
    first = output_matrix(params)
    return first if params.V is None else jnp.concatenate([first, params.V], axis=-1)


def decoder(params: Params) -> Array:
    """Return the decoder with its bias, transposed: (..., n_hidden + 1, n or 2 n features).

    Row k is what hidden unit k writes to the pre-activations; the last row is the bias.
    """
    first = jnp.concatenate([output_matrix(params), params.b[..., None, :]], axis=-2)
    if params.V is None:
        return first
    second = jnp.concatenate([params.V, params.c[..., None, :]], axis=-2)
    return jnp.concatenate([first, second], axis=-1)


def gradient_of(through_h: Array, at_output: Array, tied: bool) -> Params:
    """Return the gradient of a model from that at W through h and that at `decoder`."""
    parts = from_decoder(at_output, through_h.shape[-1])
    if tied:
        return parts._replace(W=through_h + parts.W)
    return parts._replace(W=through_h, W_dec=parts.W)


def from_decoder(written: Array, n_features: int) -> Params:
    """Return the tied model whose `decoder` is `written`."""
    W, b = written[..., :-1, :n_features], written[..., -1, :n_features]
    if written.shape[-1] == n_features:
        return Params(W, b)
    return Params(W, b, written[..., :-1, n_features:], written[..., -1, n_features:])


def dropout_mask(u: Array, rate: Array) -> Array:
    """Return 0 where u < rate, else 1/(1 - rate): inverted dropout for uniform u."""
    return jnp.where(u < rate.astype(u.dtype), 0, 1 / (1 - rate))


@shielded()
def forward(
    W: Array,
    b: Array,
    activation: str | Activation,
    x: Array,
    V: Array | None = None,
    c: Array | None = None,
    W_dec: Array | None = None,
) -> Array:
    """Return the reconstruction x̂ = act(Wᵀ W x + b) of one model.

    A gated decoder has x̂ = gate(Wᵀ h + b) ⊙ (Vᵀ h + c) with h = W x, and an untied model has
    x̂ = act(W_decᵀ W x + b). Random activations are replaced by their mean, and dropout is off.

    Parameters
    ----------
    W
        Weights, (n_hidden, n_features).
    b
        Output bias, (n_features,).
    activation
        A registered name, such as `relu` or `elu(0.25)`, or a function of z (n_features, batch).
    x
        Features, (n_features, batch), or (n_features,) for a single sample.
    V, c
        Second matrix and bias of a gated decoder (`geglu`), with the shapes of W and b; None for
        other activations.
    W_dec
        Decoder matrix of an untied model, with the shape of W; None for a tied one.

    Returns
    -------
    Array
        x̂, the shape of x.

    Raises
    ------
    TypeError
        W, b or x is not an array.
    ValueError
        The activation is not known, the shapes do not match, or V and c are missing.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>. Shazeer (2020), "GLU Variants
    Improve Transformer", <https://arxiv.org/abs/2002.05202>.
    """
    for name, given in (("W", W), ("b", b), ("x", x)):
        expect_array(name, given, "jsuper.forward(one.W.values, one.b.values, 'relu', x)")
    W, b, x = jnp.asarray(W), jnp.asarray(b), jnp.asarray(x)
    check_gate(activation, W, b, V, c)
    check_decoder(W, W_dec)
    if W.ndim != 2 or b.shape != W.shape[1:] or x.ndim not in (1, 2) or x.shape[:1] != b.shape:
        turned = x.ndim == 2 and x.shape[1:] == b.shape == W.shape[1:]
        raise ValueError(
            f"W {W.shape}, b {b.shape} and x {x.shape} do not fit; they are (n_hidden, n_features),"
            " (n_features,) and (n_features, batch) or (n_features,), of one model"
            + ("; x has a sample in each row: give x.T" if turned else "")
        )
    columns = x[:, None] if x.ndim == 1 else x
    params = Params(W, b, *(None if a is None else jnp.asarray(a) for a in (V, c, W_dec)))
    return resolve(activation)(preactivation(params, columns)).reshape(x.shape)


def check_gate(activation: str | Activation, W: Any, b: Any, V: Any, c: Any) -> None:
    """Check that V and c are given if the activation is a gate, and only then.

    Raises
    ------
    ValueError
        V and c are missing, have other shapes than W and b, or are given without a gate.
    """
    if not is_gated(activation):
        if V is not None or c is not None:
            raise ValueError(
                f"V and c are given but activation={activation!r} is not a gate; leave them out, "
                f"or use one of {', '.join(GATES)}"
            )
    elif np.shape(V) != np.shape(W) or np.shape(c) != np.shape(b):
        raise ValueError(
            f"activation={activation!r} is a gate, which needs V and c with the shapes of W "
            f"{np.shape(W)} and b {np.shape(b)}; they are {np.shape(V)} and {np.shape(c)}"
        )


def check_decoder(W: Any, W_dec: Any) -> None:
    """Check the shape of W_dec.

    Raises
    ------
    ValueError
        W_dec is given and its shape differs from that of W.
    """
    if W_dec is not None and np.shape(W_dec) != np.shape(W):
        raise ValueError(
            f"W_dec has shape {np.shape(W_dec)} but W {np.shape(W)}; both are (n_hidden, "
            "n_features), and tied weights need no W_dec"
        )


def weighted_error(x_hat: Array, x: Array, importance: Array, repeats: int = 1) -> Array:
    """Return the mean over batch and features of I_i (x_i - x̂_i)²: the notebook's loss.

    Parameters
    ----------
    x_hat, x
        (n_features, batch).
    importance
        (n_features,).
    repeats
        Number of columns of the batch that the last column represents.
    """
    return weighted_mean((x_hat - x) ** 2, importance, repeats)


def weighted_mean(errors: Array, importance: Array, repeats: int = 1) -> Array:
    """Return the mean of I_i times the errors (n_features, batch), as `weighted_error`."""
    error = importance[:, None] * errors
    if repeats == 1:
        return jnp.mean(error)
    columns = error.shape[1]
    weights = jnp.where(jnp.arange(columns) == columns - 1, repeats, 1).astype(error.dtype)
    return jnp.sum(weights * error) / (error.shape[0] * (columns - 1 + repeats))
