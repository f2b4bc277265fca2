"""Training one MLP: `make_train(static) -> train(setting, key)`, one loop over steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax import Array

from jsuper.core import grid
from jsuper.core.expecting import expect
from jsuper.core.protocols import PyTree
from jsuper.core.status import NON_FINITE, OK
from jsuper.models.mlp import model
from jsuper.models.mlp.config import Setting, Static, make_setting, make_static
from jsuper.models.mlp.evaluation import error, make_evaluate, target_of
from jsuper.models.mlp.model import Params
from jsuper.models.mlp.results import recorded_steps
from jsuper.models.mlp.source import Source, on_draws, source_of
from jsuper.training import keys
from jsuper.training.loop import Train, descend
from jsuper.training.optimizer_texts import make_optimizer
from jsuper.training.schedules import make_schedule

__all__ = ["Setting", "State", "Static", "make_setting", "make_static", "make_train", "step_work"]


@struct.dataclass
class State:
    """The carry of the training loop: what the next step needs, and what has been recorded."""

    params: Params
    opt_state: PyTree
    first_bad_step: Array  # -1 while every number is finite
    loss_curve: Array  # (records,), NaN for steps that are not reached


def step_work(
    values: grid.Static, settings: Sequence[grid.Setting], batching: str
) -> tuple[list[float], float]:
    """Return that each setting takes a whole step, and the numbers that are drawn for all."""
    del batching
    return [1.0] * len(settings), float(values["n_features"] * values["batch_size"])


def make_train(static: Static, sequential: bool = False) -> Train:
    """Build the training of one model.

    Parameters
    ----------
    static
        Shapes and program.
    sequential
        Under `vmap`, run the heavy part of a step one model after another.

    Returns
    -------
    Train
        A `Train`; call it with a setting and a key (`jsuper.seed_key(seed)`).

    Raises
    ------
    TypeError
        `static` is not a Static.
    """
    expect("static", static, Static, "a Static of this module", "make_train(Static(n_hidden=20))")
    gradient = make_on_batch(static, jax.grad(batch_loss, argnums=1), sequential)
    loss = make_on_batch(static, batch_loss, sequential)
    curve_steps = np.array(recorded_steps(static.steps, static.records))

    def advance(
        state: State,
        setting: Setting,
        key: Array,
        start: Array,
        n: int | Array,
        end: int | Array | None = None,
    ) -> State:
        end = static.steps if end is None else end
        source = source_of(static, key)
        here = (curve_steps == start) & (state.first_bad_step < 0)
        now = loss((state.params, setting), source, start)
        state = dataclasses.replace(state, loss_curve=jnp.where(here, now, state.loss_curve))

        def body(i: Array, state: State) -> State:
            step = start + i
            grads = gradient((state.params, setting), source, step)
            return apply_gradient(static, state, setting, grads, step, step < end)

        return jax.lax.fori_loop(0, n, body, state)

    stops = tuple(curve_steps.tolist())
    return Train(make_init(static), advance, make_finish(static, sequential), static.steps, stops)


def make_init(static: Static) -> Callable[[Setting, Array], State]:
    """Return init(setting, key) -> State with the initial weights and nothing recorded."""
    records = len(recorded_steps(static.steps, static.records))

    def init(setting: Setting, key: Array) -> State:
        params = model.init_params(
            keys.stream(key, keys.INIT),
            static.layers,
            static.n_hidden,
            static.width,
            static.init,
            static.init_scale,
            static.dtype,
        )
        if not static.bias:
            params = params._replace(b=jnp.zeros_like(params.b))
        return State(
            params=params,
            opt_state=optimizer(static, setting, jnp.int32(0)).init(params),
            first_bad_step=jnp.int32(-1),
            loss_curve=jnp.full(records, jnp.nan, static.dtype),
        )

    return init


def batch_loss(
    static: Static, params: Params, setting: Setting, source: Source, draws: Any
) -> Array:
    """Return the mean over batch and features of I_i (y_i - x_hat_i)²."""
    x = static.inputs.batch(draws, setting.law)
    errors = error(static, params, setting, source.fixed, x)
    return jnp.mean(setting.importance[:, None] * errors**2)


def make_on_batch(static: Static, function: Callable, sequential: bool) -> Callable[..., Any]:
    """Return found((params, setting), source, step) of a function of `batch_loss`'s arguments."""

    def draw(key: Array, step: Array) -> Any:
        return static.inputs.draw(key, step, static.n_features, static.batch_size)

    def compute(models: tuple[Params, Setting], source: Source, draws: Any) -> Any:
        return function(static, *models, source, draws)

    return on_draws(draw, compute, sequential)


def optimizer(static: Static, setting: Setting, step: Array) -> optax.GradientTransformation:
    """Return a model's optimizer at one step, with that step's learning rate."""
    rate = setting.learning_rate * make_schedule(static.schedule)(step, static.steps)
    return make_optimizer(static.optimizer, rate, setting.weight_decay, static.momentum)


def apply_gradient(
    static: Static, state: State, setting: Setting, grads: Params, step: Array, active: Array
) -> State:
    """Take one optimizer step; freeze a model that would not stay finite, and record the step."""
    if not static.bias:  # b starts at 0, and stays there: weight decay moves it no more
        grads = grads._replace(b=jnp.zeros_like(grads.b))
    active = active & (state.first_bad_step < 0)
    transformation = optimizer(static, setting, step)
    params, opt_state, bad = descend(transformation, state.params, state.opt_state, grads, active)
    first_bad = jnp.where(bad, step, state.first_bad_step)
    return dataclasses.replace(state, params=params, opt_state=opt_state, first_bad_step=first_bad)


def make_finish(static: Static, sequential: bool) -> Callable[..., dict[str, Array]]:
    """Return finish(state, setting, key) -> the result arrays, with the final loss."""
    evaluate = make_evaluate(static, sequential)

    def finish(state: State, setting: Setting, key: Array) -> dict[str, Array]:
        source, params = source_of(static, key), state.params
        found, stderr = evaluate(params, setting, source, state.first_bad_step < 0)
        bad = (state.first_bad_step < 0) & ~jnp.isfinite(found.loss)
        first_bad = jnp.where(bad, static.steps, state.first_bad_step)
        is_finite = first_bad < 0
        constant = jnp.mean(setting.importance * (found.square - found.mean**2))
        naive = jnp.mean(setting.importance * found.naive)
        measured = {
            "loss": found.loss,
            "loss_stderr": stderr,
            "naive_loss": naive,
            "loss_over_constant": found.loss / constant,
            "loss_over_naive": jnp.where(naive > 0, found.loss / naive, jnp.nan),
            "feature_loss": found.error,
            "naive_feature_loss": found.naive,
            "residual_loss": found.residual,
            "response": response(static, params, setting, source),
        }
        return {
            **{k: jnp.where(is_finite, a, jnp.nan) for k, a in measured.items()},
            **params._asdict(),
            "reads": model.through(params.W_in, source.fixed.E),
            "writes": model.through(params.W_out, source.fixed.E),
            "loss_curve": state.loss_curve,
            "status": jnp.where(is_finite, OK, NON_FINITE).astype(jnp.int8),
            "first_bad_step": first_bad,
        }

    return finish


def response(static: Static, params: Params, setting: Setting, source: Source) -> Array:
    """Return output i for x = e_i, (n_features,)."""
    x = jnp.eye(static.n_features, dtype=static.dtype)
    errors = error(static, params, setting, source.fixed, x)
    return jnp.diagonal(errors + target_of(static, setting, source.fixed, x))
