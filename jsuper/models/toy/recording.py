"""The state of a training, and what is recorded of it: losses, unit 0, snapshots."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from jsuper.core.protocols import PyTree
from jsuper.models.toy.config import Setting, Static
from jsuper.models.toy.draws import Source, make_draws
from jsuper.models.toy.ending import earlier_step
from jsuper.models.toy.gradient import make_batch_loss
from jsuper.models.toy.model import Params
from jsuper.models.toy.results import moments_of, recorded_steps
from jsuper.models.toy.watch import make_unit_record


@struct.dataclass
class State:
    """The carry of the training loop: what the next step needs, and what has been recorded."""

    params: Params
    opt_state: PyTree
    first_bad_step: Array  # -1 while every number is finite
    loss_curve: Array  # (records,), NaN for steps that are not reached
    watched: Array  # (len(WATCHED), records), or (0, records) without `watch`
    snapshots: Params  # with a leading axis of snapshots; W alone without `snapshot_parameters`
    earlier: Params | None  # the weights after `earlier_step`; None without `check_fit`
    end: Any = None  # (); step at which the training ends; None: after all steps
    rounds: Any = None  # losses of `earlier`, with an end that is checked


class Core(NamedTuple):
    """What a step changes of a state, under the same names."""

    params: Params
    opt_state: PyTree
    first_bad_step: Array


def core_of(state: State) -> Core:
    """Return what a step changes."""
    return Core(state.params, state.opt_state, state.first_bad_step)


def make_record(static: Static, per_model: Callable) -> Callable[..., State]:
    """Return record(state, setting, source, step) -> State with the records before that step.

    Parameters
    ----------
    static
        Shapes and program.
    per_model
        Wrapper of the expensive parts, e.g. `sequential_vmap`.
    """
    batch_loss, record_unit = (
        per_model(make(static)) for make in (make_batch_loss, make_unit_record)
    )
    curve_steps = np.array(recorded_steps(static.steps, static.records))

    def record(state: State, setting: Setting, source: Source, step: Array) -> State:
        draws = make_draws(static, source, step)
        here = (curve_steps == step) & trains(state, step)
        loss = batch_loss(state.params, setting, draws)
        state = dataclasses.replace(state, loss_curve=jnp.where(here, loss, state.loss_curve))
        if static.watch:
            numbers = record_unit(state.params, setting, draws)[:, None]
            state = dataclasses.replace(state, watched=jnp.where(here, numbers, state.watched))
        return keep_earlier(static, keep_snapshot(static, state, step), step)

    return record


def trains(state: State, step: Array | int) -> Array:
    """Return whether the training of a model goes on at a step."""
    is_finite = state.first_bad_step < 0
    return is_finite if state.end is None else is_finite & (step < state.end)


def keep_earlier(static: Static, state: State, step: Array) -> State:
    """Store the weights if `step` is that of the earlier loss."""
    if not static.check_fit:
        return state
    here = step == earlier_step(static.steps)
    if state.end is not None:
        here &= step < state.end
    earlier = jax.tree.map(lambda a, b: jnp.where(here, a, b), state.params, state.earlier)
    return dataclasses.replace(state, earlier=earlier)


def keep_snapshot(static: Static, state: State, step: Array) -> State:
    """Store the parameters if `step` is one of the snapshot steps."""
    if not static.snapshots:
        return state
    here = np.array(static.snapshots) == step
    if state.end is not None:
        here &= step <= state.end

    def stored(now: Array, before: Array) -> Array:
        return jnp.where(here.reshape(-1, *(1,) * now.ndim), now, before)

    now = in_snapshots(static, state.params)
    return dataclasses.replace(state, snapshots=jax.tree.map(stored, now, state.snapshots))


def in_snapshots(static: Static, params: Params) -> Params:
    """Return the parameters that snapshots keep: all, or W alone; None for the others."""
    if static.snapshot_parameters:
        return params
    none: Any = None
    return Params(params.W, none)


def empty_snapshots(static: Static, params: Params, before: Callable[..., Array]) -> Params:
    """Return snapshots that are NaN, but for those that a continued run has from its start."""
    steps = np.array(static.snapshots)

    def empty(name: str, a: Any) -> Any:
        if a is None:
            return None
        nothing = jnp.full((len(steps), *a.shape), jnp.nan, static.dtype)
        return before(f"{name}_snapshots", nothing, steps)

    return Params(*map(empty, Params._fields, in_snapshots(static, params)))


def kept_state(static: Static, state: State) -> dict[str, Array]:
    """Return the numbers of the optimizer's state, by moment and parameter."""
    names = [name for name, a in state.params._asdict().items() if a is not None]
    wanted = [f"{kind}_{name}" for kind in moments_of(static.optimizer) for name in names]
    leaves = jax.tree.leaves(state.opt_state)
    floats = [a for a in leaves if jnp.issubdtype(a.dtype, jnp.inexact)]
    return dict(zip(wanted, floats, strict=True))
