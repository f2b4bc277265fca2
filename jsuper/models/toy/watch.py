"""Recording of feature 0's output unit, and the perturbation of its bias.

A unit whose bias is set far below zero has only negative pre-activations: ReLU then passes no
gradient back, smooth activations pass some, of either sign. Its error, its bias, the bias's
gradient and its largest pre-activation show whether and when the unit recovers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jsuper.models.toy import model
from jsuper.models.toy.batches import batch_of, hidden_in_training
from jsuper.models.toy.config import Setting, Static
from jsuper.models.toy.draws import Draws
from jsuper.models.toy.gradient import make_batch_loss
from jsuper.models.toy.model import Params
from jsuper.models.toy.results import WATCHED
from jsuper.models.toy.slots import switch


def make_unit_record(static: Static) -> Callable[[Params, Setting, Draws], Array]:
    """Return record(params, setting, draws) -> the numbers named in WATCHED, on one whole batch.

    unit_error is E (x_0 - x̂_0)² and unit_gradient ∂L/∂b_0 with draws of gates and dropout as in
    training; unit_peak is max over the batch of z_0.
    """
    loss = make_batch_loss(static)
    alone = (dataclasses.replace(static, activations=(a,), slots=()) for a in static.activations)
    gradient = switch(static, [jax.grad(make_batch_loss(one)) for one in alone])

    def record(params: Params, setting: Setting, draws: Draws) -> Array:
        # The loss is a mean over features, so this importance makes it the error of feature 0.
        only_first = jnp.zeros_like(setting.importance).at[0].set(static.n_features)
        x, mask = batch_of(static, setting, draws.whole)
        h = hidden_in_training(static.net, params, setting, x, draws.whole, mask)
        z = model.decode(params, h)
        numbers = {
            "unit_error": loss(params, dataclasses.replace(setting, importance=only_first), draws),
            "unit_bias": params.b[0],
            "unit_gradient": gradient(setting.activation, params, setting, draws).b[0],
            "unit_peak": jnp.max(z[0]),
        }
        return jnp.stack([numbers[name] for name in WATCHED])

    return record


def perturb_bias(static: Static, params: Params, setting: Setting, step: Array) -> Params:
    """Return the model with b_0 = -push at the step push_step, if push is above 0."""
    if not static.pushed:
        return params
    now = (step == static.push_step) & (setting.push > 0)
    b: Any = jnp.where(now, params.b.at[0].set(-setting.push), params.b)
    return params._replace(b=b)
