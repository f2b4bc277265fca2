"""The check that ends the training of a model whose loss no longer falls."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.models.toy.batching import one_by_one
from jsuper.models.toy.config import Setting, Static
from jsuper.models.toy.constants import make_constant_loss
from jsuper.models.toy.ending import (
    IMPROVEMENT,
    NEGLIGIBLE,
    STANDARD_ERRORS,
    STEPS,
    compared_steps,
)
from jsuper.models.toy.evaluation import COMPARED_ROUNDS, Sampled, improvement, make_round_loss
from jsuper.models.toy.recording import State, trains


def unchecked(static: Static) -> dict[str, Any]:
    """Return the fields of a `State` before the first check; none if training takes all steps."""
    if static.until == STEPS:
        return {}
    losses = jnp.full(COMPARED_ROUNDS, jnp.nan, static.dtype)
    return {"end": jnp.int32(static.steps), "rounds": losses}


def last_step(state: State) -> Array:
    """Return the number of steps that each model takes, as far as it is known."""
    return jnp.where(state.first_bad_step < 0, state.end, state.first_bad_step)


def make_check(static: Static, sequential: bool) -> Callable[..., State]:
    """Return check(state, setting, key, step) -> State, with `end` where the training has ended.

    At the steps of `compared_steps` the loss is measured on the rounds that `check_fit` uses, and
    compared with that at the step before, which is 90 % of it. A model ends unless its loss still
    falls, as `jsuper.analysis.still_improves` has it. Its weights at that step before are kept, so
    that its `improvement` is the one that has ended it.
    """
    steps = np.array(compared_steps(static.until, static.steps))
    round_loss = make_round_loss(static, sequential)
    constant_loss = make_constant_loss(static)
    if not static.net.has_plain_loss and sequential:
        constant_loss = one_by_one(constant_loss)  # its samples take memory

    def compare(state: State, setting: Setting, key: Array, step: Array) -> State:
        wanted = trains(state, step) & jnp.any(setting.density > 0)  # not in an empty row
        models = Sampled(state.params, setting, wanted)
        losses = jax.lax.map(
            lambda i: round_loss(models, key, i), jnp.arange(COMPARED_ROUNDS, dtype=jnp.int32)
        )
        fall, stderr = improvement(state.rounds, losses)
        falls = (fall > IMPROVEMENT) & (fall > STANDARD_ERRORS * stderr)
        falls &= jnp.mean(losses) > NEGLIGIBLE * constant_loss(setting, key)
        ends = (step > steps[0]) & (step < state.end) & ~falls
        goes_on = wanted & ~ends
        return dataclasses.replace(
            state,
            end=jnp.where(ends, step, state.end),
            rounds=jnp.where(goes_on, losses, state.rounds),
            earlier=jax.tree.map(
                lambda now, before: jnp.where(goes_on, now, before), state.params, state.earlier
            ),
        )

    def check(state: State, setting: Setting, key: Array, step: Array) -> State:
        is_checked = jnp.any(steps == step)
        return jax.lax.cond(is_checked, compare, lambda state, *_: state, state, setting, key, step)

    return check
