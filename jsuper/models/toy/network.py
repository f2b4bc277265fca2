"""The hidden layer and the target of a toy model with an architecture.

    h = M f(W x + b_hidden) + noise

For the plain model this is h = W x, by the same operations.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from jsuper.models.toy import model
from jsuper.models.toy.activations.registry import in_training, resolve
from jsuper.models.toy.architecture import IDENTITY, Architecture
from jsuper.models.toy.model import Params
from jsuper.training import keys

MAP = 5  # folded into the key of the initial W, beside those of `model`
HIDDEN_BIAS = 6


def hidden(net: Architecture, params: Params, x: Array, u: Array | None = None) -> Array:
    """Return h = M f(W x + b_hidden), (n_hidden, samples), without noise and dropout.

    Parameters
    ----------
    net, params
        The model.
    x
        Features, (n_features, samples).
    u
        Uniform draws of a random activation in training, (n_hidden, samples); None: its mean.
    """
    h = model.encode(params, x)
    if params.b_hidden is not None:
        h = h + params.b_hidden[:, None]
    if net.hidden_activation != IDENTITY:
        f = net.hidden_activation
        h = resolve(f)(h) if u is None else in_training(f)(h, u)
    return h if params.M is None else jnp.matmul(params.M, h, precision="highest")


def output(net: Architecture, params: Params, x: Array) -> Array:
    """Return the pre-activations z of the outputs, (n_features, samples), as after training."""
    return model.decode(params, hidden(net, params, x))


def noise_from(law: str, u: Array) -> Array:
    """Return noise of mean 0 and scale 1 from uniform draws u in [0, 1).

    normal: N(0, 1), from the middle of each step of 2^-23; uniform: on [-1, 1]; sign: -1 or 1.
    """
    if law == "normal":
        return jnp.sqrt(2.0).astype(u.dtype) * jax.lax.erf_inv(2 * u - 1 + 2.0**-23)
    if law == "sign":
        return jnp.where(u < 0.5, -1, 1).astype(u.dtype)
    return 2 * u - 1


def target_of(target: str | Callable) -> Callable[[Array], Array]:
    """Return the function from x to the target y, both (n_features, samples).

    and_pairs: y_i = x_i x_j, where i and j are 2k and 2k + 1, which for binary values is the
    logical AND of a pair.
    """
    return target if callable(target) else _TARGETS[target]


def _of_pairs(x: Array) -> Array:
    pairs = x.reshape(-1, 2, *x.shape[1:])
    return (pairs * pairs[:, ::-1]).reshape(x.shape)


_TARGETS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda x: x,
    "abs": jnp.abs,
    "relu": jax.nn.relu,
    "square": jnp.square,
    "and_pairs": _of_pairs,
}


def initial(net: Architecture, params: Params, key: Array, bias_std: float) -> Params:
    """Return the initial parameters with those that the architecture adds or fixes.

    The random ones have separate keys, so that W does not depend on them.
    """
    m, dtype = params.W.shape[0], params.W.dtype
    if net.encoder == "fixed(orthogonal)":
        params = params._replace(W=orthogonal(key, *params.W.shape).astype(dtype))
    if net.hidden_bias:
        draws = keys.normal(jax.random.fold_in(key, HIDDEN_BIAS), (m,))
        params = params._replace(b_hidden=(bias_std * draws).astype(dtype))
    if net.hidden_map == "orthogonal":
        own = jax.random.fold_in(key, MAP)
        params = params._replace(M=orthogonal(own, m, m).astype(dtype))
    elif net.hidden_map != "none":
        params = params._replace(M=jnp.eye(m, dtype=dtype))
    return params


def orthogonal(key: Array, rows: int, columns: int) -> Array:
    """Draw a random matrix with orthonormal rows, or columns if these are fewer, in float32.

    Its law is uniform: that of the Q of a Gaussian matrix, with the signs of R's diagonal.
    """
    draws = keys.normal(key, (max(rows, columns), min(rows, columns)))
    q, r = jnp.linalg.qr(draws)
    q = q * jnp.where(jnp.diagonal(r) < 0, -1, 1)
    return q if rows >= columns else q.T


def normalized(net: Architecture, params: Params) -> Params:
    """Return the parameters with columns of W of length 1 if the architecture asks for it."""
    if not net.normalize_columns:
        return params
    length = jnp.sqrt(jnp.sum(params.W**2, axis=0))
    return params._replace(W=params.W / jnp.where(length > 0, length, 1))


def constrained(net: Architecture, params: Params, before: Params) -> Params:
    """Return the parameters after a step, with what is not trained as it was before."""
    kept = {name: getattr(before, name) for name in net.fixed}
    return normalized(net, params._replace(**kept))
