"""What a model sees of a step's draws: the columns of a batch, x, and h in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.core.protocols import PyTree
from jsuper.models.toy import model
from jsuper.models.toy.architecture import Architecture
from jsuper.models.toy.config import Setting, Static
from jsuper.models.toy.draws import Columns, Draws, threshold
from jsuper.models.toy.model import Params
from jsuper.models.toy.network import hidden, noise_from
from jsuper.models.toy.widths import needs_whole_batch


def columns_of(static: Static, draws: Draws, width: int) -> Columns:
    """Return the draws of the first `width` columns of a batch."""
    if draws.narrow is None or width == static.batch_size:
        return draws.whole
    return jax.tree.map(lambda a: a[..., :width], draws.narrow)


def batch_of(static: Static, setting: Setting, columns: Columns) -> tuple[Array, Array | None]:
    """Return the batch and the dropout mask of one setting."""
    x = static.inputs.batch(columns.data, setting.law)
    if columns.dropout is None:
        return x, None
    return x, model.dropout_mask(columns.dropout, setting.dropout)


def hidden_in_training(
    net: Architecture,
    params: Params,
    setting: Setting,
    x: Array,
    columns: Columns,
    mask: Array | None,
) -> Array:
    """Return h with noise and dropout, (n_hidden, width)."""
    h = hidden(net, params, x, columns.hidden_gate)
    if columns.noise is not None:
        h = h + setting.noise_scale * noise_from(net.hidden_noise, columns.noise.astype(h.dtype))
    return h if mask is None else h * mask


def while_training(gradient: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """Return gradient(index, *arrays, setting, draws), which is 0 where a training has ended.

    Models that run one after another then take no time any more.
    """

    def of_training(*arguments: Any) -> PyTree:
        trains = arguments[-2].trains
        if trains is None:
            return gradient(*arguments)
        shapes = jax.eval_shape(gradient, *arguments)
        zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        return jax.lax.cond(trains, lambda: gradient(*arguments), lambda: zeros)

    return of_training


def only_whole(static: Static) -> np.ndarray:
    """Return which of the activations need a whole batch."""
    return np.array([needs_whole_batch(a, static.n_features) for a in static.activations])


def index_of_width(static: Static, whole_only: np.ndarray, setting: Setting, draws: Draws) -> Array:
    """Return the index in (*widths, batch_size) of the batch that one model trains on."""
    index = jnp.int32(len(static.widths))
    if draws.level is None:
        return index
    narrow = narrowest(static, draws, setting.density)
    return jnp.where(jnp.array(whole_only)[setting.activation], index, narrow)


def narrowest(static: Static, draws: Draws, density: Array) -> Array:
    """Return the index in (*widths, batch_size) of the narrowest batch with all active columns."""
    assert draws.level is not None and draws.scale is not None
    active = jnp.sum(draws.level < threshold(density, draws.scale, static.per_feature))
    # a narrow batch ends with a zero column, so it is wider than its active ones
    return jnp.sum(active >= np.array(static.widths), dtype=jnp.int32)
