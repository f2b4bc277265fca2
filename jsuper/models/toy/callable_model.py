"""One toy model as a callable object, with samples first: (batch, n_features).

Everywhere else in `models` batches are feature-major.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jax.typing import ArrayLike

from jsuper.models.toy import model as functions
from jsuper.models.toy.activations.registry import resolve
from jsuper.models.toy.architecture import PLAIN, Architecture
from jsuper.models.toy.losses import loss_of, output_of
from jsuper.models.toy.model import Params
from jsuper.models.toy.network import hidden, output, target_of
from jsuper.models.toy.weights import as_array
from jsuper.training.jax_config import shielded


@struct.dataclass
class Model:
    """A toy model x̂ = act(Wᵀ W x + b): a frozen pytree of JAX that jit, vmap and grad accept.

    Inputs and outputs have samples first, (batch, n_features); one sample may be (n_features,).
    `params` is a pytree leaf; the activation and the importance are static. Dropout is off, and
    random gates have their mean. Create it with `jsuper.model`.
    """

    params: Params
    """W (n_hidden, n_features) and b (n_features,); V and c of a gated decoder and W_dec of an
    untied model likewise, else None."""

    activation: str | Callable[[Array], Array] = struct.field(pytree_node=False)
    """A registered name, or a function of z (n_features, batch)."""

    importance: tuple[float, ...] | None = struct.field(pytree_node=False, default=None)
    """Weight of each feature in the loss; None: all are 1."""

    architecture: Architecture = struct.field(pytree_node=False, default=PLAIN)
    """Hidden activation, target and loss of a model that has others than the plain one."""

    @property
    def n_features(self) -> int:
        """Number of features n."""
        return self.params.W.shape[-1]

    @property
    def n_hidden(self) -> int:
        """Number of hidden units m."""
        return self.params.W.shape[-2]

    @shielded()
    def encode(self, x: ArrayLike) -> Array:
        """Return h = W x, (batch, n_hidden), of x (batch, n_features).

        With a hidden layer it is h = M f(W x + b_hidden).

        Raises
        ------
        ValueError
            The last axis of x is not n_features long.
        """
        columns, single = _columns("x", x, "n_features", self.n_features)
        params = jax.tree.map(jnp.asarray, self.params)
        return _rows(hidden(self.architecture, params, columns), single)

    @shielded()
    def decode(self, h: ArrayLike) -> Array:
        """Return x̂ = act(Wᵀ h + b), (batch, n_features), of h (batch, n_hidden).

        Raises
        ------
        ValueError
            The last axis of h is not n_hidden long.
        """
        columns, single = _columns("h", h, "n_hidden", self.n_hidden)
        z = functions.decode(jax.tree.map(jnp.asarray, self.params), columns)
        return _rows(resolve(self.activation)(z), single)

    def __call__(self, x: ArrayLike) -> Array:
        """Return x̂, (batch, n_features), of x (batch, n_features)."""
        return self.decode(self.encode(x))

    @shielded()
    def loss(self, x: ArrayLike) -> Array:
        """Return the mean over samples and features of importance_i (x_i - x̂_i)², a scalar.

        A model that was trained on another target or loss has that one.

        Raises
        ------
        ValueError
            The last axis of x is not n_features long.
        """
        x, _ = _columns("x", x, "n_features", self.n_features)
        weights = np.ones(self.n_features) if self.importance is None else self.importance
        net, params = self.architecture, jax.tree.map(jnp.asarray, self.params)
        out = output_of(net, self.activation)(output(net, params, x))
        errors = loss_of(net.loss_function).of(out, target_of(net.target)(x), x)
        return functions.weighted_mean(errors, jnp.asarray(weights, x.dtype))

    def __repr__(self) -> str:
        further = "".join(
            f", {f.name}={value!r}"
            for f in dataclasses.fields(self.architecture)
            if (value := getattr(self.architecture, f.name)) != f.default
        )
        return (
            f"Model(activation={self.activation!r}, n_features={self.n_features}, "
            f"n_hidden={self.n_hidden}{further})"
        )


def _columns(name: str, value: ArrayLike, size_name: str, size: int) -> tuple[Array, bool]:
    """Return samples (batch, size) as columns, (size, batch), and whether it was a single one."""
    array = jnp.asarray(as_array(name, value))
    if array.ndim not in (1, 2) or array.shape[-1] != size:
        turned = array.ndim == 2 and array.shape[0] == size
        raise ValueError(
            f"{name} has the shape {array.shape}; it must be (batch, {size_name}) or "
            f"({size_name},) with {size_name}={size}" + (f"; give {name}.T" if turned else "")
        )
    return jnp.atleast_2d(array).T, array.ndim == 1


def _rows(columns: Array, single: bool) -> Array:
    return columns[:, 0] if single else columns.T
