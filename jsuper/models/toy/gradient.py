"""Loss and gradient of one model on one batch; columns without an active feature cost nothing.

The columns of a batch are put in an order where, for every density, those with an active feature
are a prefix, once per seed and step. A narrow batch is that prefix and one zero column, weighted by
how many there are: the same loss, the same gradient, less work.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from jsuper.models.toy import model
from jsuper.models.toy.activations.registry import in_training
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
from jsuper.models.toy.general import make_general_gradient
from jsuper.models.toy.losses import loss_of, training_output_of
from jsuper.models.toy.model import Params
from jsuper.models.toy.network import target_of
from jsuper.models.toy.slots import switch


def error_of(activation: str | Callable, repeats: int = 1) -> Callable[..., Array]:
    """Return error(z, x, importance, gate) -> loss; the last column counts `repeats` times.

    `gate` are the uniform draws of random activations, (n_features, width), or None.
    """
    function = in_training(activation)

    def error(z: Array, x: Array, importance: Array, gate: Array | None) -> Array:
        return model.weighted_error(function(z, gate), x, importance, repeats)

    return error


def make_batch_loss(static: Static) -> Callable[[Params, Setting, Draws], Array]:
    """Return loss(params, setting, draws) of one model on one whole batch, the plain definition.

    The mean is a product with a constant vector: XLA's sums over a whole array are scalar on a CPU.
    Regularizers are no part of it.
    """
    net = static.net
    output = switch(static, [training_output_of(net, a) for a in static.activations])
    error, target = loss_of(net.loss_function).of, target_of(net.target)
    share = 1 / (static.n_features * static.batch_size)

    def batch_loss(params: Params, setting: Setting, draws: Draws) -> Array:
        x, mask = batch_of(static, setting, draws.whole)
        z = model.decode(params, hidden_in_training(net, params, setting, x, draws.whole, mask))
        x_hat = output(setting.activation, z, draws.whole.gate)
        errors = setting.importance[:, None] * error(x_hat, target(x), x)
        shares = jnp.full(static.batch_size, share, static.dtype)
        return jnp.sum(jnp.matmul(errors, shares, precision="highest"))

    return batch_loss


def make_gradient(
    static: Static, per_model: Callable = lambda f: f
) -> Callable[[Params, Setting, Draws], Params]:
    """Return the gradient of `make_batch_loss`, on the narrowest batch with all active columns.

    Parameters
    ----------
    static
        Shapes and program.
    per_model
        Wrapper of the expensive part, e.g. `sequential_vmap`; the rest stays batched under vmap.
    """
    if not static.net.is_plain:
        return make_general_gradient(static, per_model)
    widths = (*static.widths, static.batch_size)
    at_width = [gradient_at(static, width) for width in widths]
    whole_only = only_whole(static)
    heavy = per_model(while_training(lambda index, *args: jax.lax.switch(index, at_width, *args)))

    def gradient(params: Params, setting: Setting, draws: Draws) -> Params:
        index = index_of_width(static, whole_only, setting, draws)
        writes, decoder = model.written(params), model.decoder(params).T
        parts = heavy(index, params.W, writes, decoder, setting, draws)
        return model.gradient_of(*parts, tied=params.W_dec is None)

    return gradient


def gradient_at(static: Static, width: int) -> Callable[..., tuple[Array, Array]]:
    """Return the gradient on the first `width` columns, of which the last represents the rest.

    With h1 = [h; 1] the bias is one more weight, z = decoder h1 with decoder = [Wᵀ b], and needs no
    separate pass. A gated decoder is [Wᵀ b; Vᵀ c], for z above v, and an untied one is [W_decᵀ b].
    The switch over activations is around ∂L/∂z alone: the matrix products are compiled once, and no
    branch's residuals are kept.

    Returns
    -------
    Callable[..., tuple[Array, Array]]
        gradient(W, writes, decoder, setting, draws), where `writes` is the transposed decoder
        without its bias. It returns the two parts of the gradient: that through h,
        (writes ∂L/∂z) xᵀ, (n_hidden, n_features), and that of the decoder, h1 (∂L/∂z)ᵀ,
        (n_hidden + 1, n_features or twice that).
    """
    repeats = static.batch_size - width + 1
    slope = switch(static, [jax.grad(error_of(a, repeats)) for a in static.activations])
    product = functools.partial(jnp.matmul, precision="highest")

    def gradient(
        W: Array, writes: Array, decoder: Array, setting: Setting, draws: Draws
    ) -> tuple[Array, Array]:
        columns = columns_of(static, draws, width)
        x, mask = batch_of(static, setting, columns)
        h = product(W, x)
        h = h if mask is None else h * mask
        h1 = jnp.pad(h, ((0, 1), (0, 0)), constant_values=1)
        z = product(decoder, h1)
        dz = slope(setting.activation, z, x, setting.importance, columns.gate)
        dh = product(writes, dz)
        dh = dh if mask is None else dh * mask
        return product(dh, x.T), product(h1, dz.T)

    return gradient
