"""The gradient of a model with an architecture, by reverse mode: any hidden layer, target and loss.

`gradient.py` has that of the plain model.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from jsuper.models.toy import model
from jsuper.models.toy.architecture import Architecture
from jsuper.models.toy.batches import (
    batch_of,
    columns_of,
    hidden_in_training,
    index_of_width,
    only_whole,
    while_training,
)
from jsuper.models.toy.config import Setting, Static
from jsuper.models.toy.draws import Draws
from jsuper.models.toy.losses import loss_of, training_output_of
from jsuper.models.toy.model import Params
from jsuper.models.toy.network import target_of
from jsuper.models.toy.slots import switch


def make_general_gradient(
    static: Static, per_model: Callable
) -> Callable[[Params, Setting, Draws], Params]:
    """Return the gradient of a model with an architecture, on the narrowest batch that has it all.

    It is that of the loss plus λ E Σ_k |h_k|, λ = hidden_l1.
    """
    widths = (*static.widths, static.batch_size)
    at_width = [general_gradient_at(static, width) for width in widths]
    whole_only = only_whole(static)
    heavy = per_model(while_training(lambda index, *args: jax.lax.switch(index, at_width, *args)))

    def gradient(params: Params, setting: Setting, draws: Draws) -> Params:
        return heavy(index_of_width(static, whole_only, setting, draws), params, setting, draws)

    return gradient


def general_gradient_at(static: Static, width: int) -> Callable[[Params, Setting, Draws], Params]:
    """Return the gradient on the first `width` columns by reverse mode, for any architecture.

    As in `gradient_at`, the switch over activations is around ∂L/∂z alone.
    """
    net, repeats = static.net, static.batch_size - width + 1
    slope = switch(
        static, [jax.grad(general_error_of(net, a, repeats)) for a in static.activations]
    )

    def gradient(params: Params, setting: Setting, draws: Draws) -> Params:
        columns = columns_of(static, draws, width)
        x, mask = batch_of(static, setting, columns)

        def outputs(params: Params) -> tuple[Array, Array]:
            h = hidden_in_training(net, params, setting, x, columns, mask)
            units = jnp.ones(len(h), h.dtype)
            size = len(h) * model.weighted_mean(jnp.abs(h), units, repeats)
            return model.decode(params, h), size

        (z, _), back = jax.vjp(outputs, params)
        dz = slope(setting.activation, z, x, setting.importance, columns.gate)
        return back((dz, setting.hidden_l1))[0]

    return gradient


def general_error_of(net: Architecture, activation: str | Callable, repeats: int) -> Callable:
    """Return error(z, x, importance, gate), as `error_of`, for the architecture's loss."""
    function, of = training_output_of(net, activation), loss_of(net.loss_function).of
    target = target_of(net.target)

    def error(z: Array, x: Array, importance: Array, gate: Array | None) -> Array:
        return model.weighted_mean(of(function(z, gate), target(x), x), importance, repeats)

    return error
