"""Training one toy model: `make_train(static) -> train(setting, key)`, one loop over steps.

Three kinds of value: `Static` (shapes and program, hashable), `Setting` (numbers of one model,
traced) and `State` (the loop's carry). Nothing here has an axis over models: use `jax.vmap`, or let
the engine.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jsuper.core import grid
from jsuper.core.expecting import expect
from jsuper.core.status import NON_FINITE, OK
from jsuper.models.toy import model, network
from jsuper.models.toy.batching import one_by_one
from jsuper.models.toy.config import (
    Setting,
    Static,
    arrange,
    branch_of,
    divide,
    make_static,
    shares_program,
)
from jsuper.models.toy.config import make_setting as numbers_of
from jsuper.models.toy.constants import make_constant_loss
from jsuper.models.toy.converging import last_step, make_check, unchecked
from jsuper.models.toy.decay import matrices, pull_norms
from jsuper.models.toy.draws import Source, source_of
from jsuper.models.toy.ending import compared_steps, earlier_step
from jsuper.models.toy.evaluation import make_evaluate
from jsuper.models.toy.kernels.covered import reason, version
from jsuper.models.toy.kernels.launching import fall_back
from jsuper.models.toy.kernels.segment import Loop, make_segments
from jsuper.models.toy.losses import loss_of, output_of
from jsuper.models.toy.model import Params
from jsuper.models.toy.recording import (
    Core,
    State,
    core_of,
    empty_snapshots,
    keep_snapshot,
    kept_state,
    make_record,
    trains,
)
from jsuper.models.toy.results import ENDS, OPTIONAL, WATCHED, recorded_steps
from jsuper.models.toy.rows import StepGradient, step_gradient
from jsuper.models.toy.slots import switch
from jsuper.models.toy.starting import recorded_before, resumed, started, stored_start
from jsuper.models.toy.watch import perturb_bias
from jsuper.models.toy.widths import step_work
from jsuper.training import keys
from jsuper.training.loop import Train, descend
from jsuper.training.optimizer_texts import learning_rate_of, make_optimizer
from jsuper.training.schedules import make_schedule

__all__ = [
    "Setting",
    "State",
    "Static",
    "Train",
    "arrange",
    "branch_of",
    "divide",
    "empty_setting",
    "make_setting",
    "make_static",
    "make_train",
    "shares_program",
    "step_work",
]


def make_setting(static: Static, point: grid.Setting) -> Setting:
    """Return the traced numbers of a point, with the stored weights that it starts from."""
    setting = numbers_of(static, point)
    if isinstance(static.start, str):
        return setting
    return dataclasses.replace(setting, start=stored_start(static, point))


def kernel_reason(static: Static) -> str:
    """Return why a program has no kernel, in a few words; "" if it has one."""
    return reason(static)


def kernel_fallback(error: str) -> bool:
    """Return whether kernels that failed with this error may be tried again, in another way."""
    return fall_back(error)


def kernel_version() -> str:
    """Return a digest of the code that kernels are made of."""
    return version()


def empty_setting(static: Static) -> Setting:
    """Return the numbers of a model that is not trained: its density is 0."""
    setting = make_setting(static, {})
    return dataclasses.replace(setting, density=np.zeros_like(setting.density))


def make_train(static: Static, sequential: bool = False) -> Train:
    """Build the training of one model.

    Parameters
    ----------
    static
        Shapes and program.
    sequential
        Under `vmap`, run the heavy part of a step one model after another, or one row
        of models after another where `static` has rows, instead of batched; `lax.switch` then
        executes one activation, and the arrays of a model or a team stay in cache.

    Returns
    -------
    Train
        A `Train`; call it with a setting and a key (`jsuper.seed_key(seed)`).

    Raises
    ------
    TypeError
        `static` is not a Static.
    """
    example = "jsuper.make_train(Static(activations=('relu',), n_features=5, n_hidden=2))"
    expect("static", static, Static, "a jsuper.models.toy.train.Static", example)
    per_model = one_by_one if sequential else lambda f: f
    gradient = step_gradient(static, sequential)
    record = make_record(static, per_model)
    checked = compared_steps(static.until, static.steps)
    check = make_check(static, sequential) if checked else None
    segments = None
    if static.kernel and not reason(static):
        segments = make_segments(static, plain_loop(static, gradient))

    def advance(
        state: State,
        setting: Setting,
        key: Array,
        start: Array,
        n: int | Array,
        end: int | Array | None = None,
    ) -> State:
        end = static.steps if end is None else end
        state = dataclasses.replace(
            state, params=perturb_bias(static, state.params, setting, start)
        )
        source = source_of(static, key)
        if check is not None:
            state = check(state, setting, key, start)
        state = record(state, setting, source, start)
        if segments is not None:
            core = segments(core_of(state), setting, source, start, n, end)
            return dataclasses.replace(state, **core._asdict())

        def body(i: Array, state: State) -> State:
            step = start + i
            one = setting
            if check is not None:
                one = dataclasses.replace(setting, trains=trains(state, step))
            grads = gradient(state.params, one, source, step)
            active = (step < end) & trains(state, step)
            core = apply_gradient(static, core_of(state), setting, grads, step, active)
            return dataclasses.replace(state, **core._asdict())

        earlier = state.earlier  # kept out of the loop, whose program is then the same without it
        state = jax.lax.fori_loop(0, n, body, dataclasses.replace(state, earlier=None))
        return dataclasses.replace(state, earlier=earlier)

    snapshots = (s for s in static.snapshots if s < static.steps)
    pushes = (static.push_step,) if static.pushed else ()
    compared = (earlier_step(static.steps),) if static.check_fit else ()
    curve_steps = recorded_steps(static.steps, static.records)
    stops = {static.first_step, *curve_steps, *snapshots, *pushes, *compared, *checked}
    stops = tuple(sorted(step for step in stops if step >= static.first_step))
    finish = make_finish(static, sequential)
    ends = last_step if checked else None
    return Train(make_init(static), advance, finish, static.steps, stops, ends)


def plain_loop(static: Static, gradient: StepGradient) -> Loop:
    """Return loop(core, setting, source, first, steps): those steps, of one model."""

    def loop(core: Core, setting: Setting, source: Source, first: Array, steps: Array) -> Core:
        def body(i: Array, core: Core) -> Core:
            grads = gradient(core.params, setting, source, first + i)
            active = core.first_bad_step < 0
            return apply_gradient(static, core, setting, grads, first + i, active)

        return jax.lax.fori_loop(0, steps, body, core)

    return loop


def make_init(static: Static) -> Callable[[Setting, Array], State]:
    """Return init(setting, key) -> State with the initial weights and nothing recorded."""
    std = model.init_std(
        static.init, static.n_features, static.n_hidden, static.init_scale, static.init_instances
    )
    curve_steps = np.array(recorded_steps(static.steps, static.records))
    records = len(curve_steps)
    watched = len(WATCHED) if static.watch else 0

    def init(setting: Setting, key: Array) -> State:
        init_key = keys.stream(key, keys.INIT)
        sizes = (static.n_hidden, static.n_features)
        params = model.init_params(
            init_key,
            *sizes,
            std,
            static.dtype,
            static.gated,
            tied=static.tied,
            bias_std=static.init_bias_scale,
        )
        params = network.initial(static.net, params, init_key, static.init_bias_scale)
        params = network.normalized(static.net, started(static, setting, params, key))
        before = functools.partial(recorded_before, static, setting, key)
        curve = jnp.full(records, jnp.nan, static.dtype)
        units = [before(name, curve, curve_steps) for name in WATCHED[:watched]]
        opt_state = optimizer(static, setting, jnp.int32(0)).init(params)
        return State(
            params=params,
            opt_state=resumed(static, setting, opt_state, key),
            first_bad_step=jnp.int32(-1),
            loss_curve=before("loss_curve", curve, curve_steps),
            watched=jnp.stack(units) if units else jnp.zeros((0, records), static.dtype),
            snapshots=empty_snapshots(static, params, before),
            earlier=jax.tree.map(jnp.zeros_like, params) if static.check_fit else None,
            **unchecked(static),
        )

    return init


def make_finish(static: Static, sequential: bool) -> Callable[..., dict[str, Array]]:
    """Return finish(state, setting, key) -> the result arrays, with the final loss."""
    evaluate = make_evaluate(static, sequential)
    per_model = one_by_one if sequential else lambda f: f
    on_dataset = per_model(make_on_dataset(static))
    constant_loss = make_constant_loss(static)
    squared = None
    if not static.net.has_plain_loss:
        constant_loss = per_model(constant_loss)  # its samples take memory
    if static.net.loss_function != "squared":
        net = dataclasses.replace(static.net, loss_function="squared")
        squared = make_evaluate(dataclasses.replace(static, net=net, check_fit=False), sequential)

    def finish(state: State, setting: Setting, key: Array) -> dict[str, Array]:
        state = keep_snapshot(static, state, jnp.int32(static.steps))
        is_finite = state.first_bad_step < 0
        is_trained = is_finite & jnp.any(setting.density > 0)  # not in an empty row of a block
        found = evaluate(state.params, state.earlier, setting, key, is_trained)
        first_bad = jnp.where(
            is_finite & ~jnp.isfinite(found.loss), static.steps, state.first_bad_step
        )
        is_finite = first_bad < 0
        found = jax.tree.map(lambda number: jnp.where(is_finite, number, jnp.nan), found)
        result = {
            "W": state.params.W,
            "b": state.params.b,
            "loss": found.loss,
            "loss_stderr": found.stderr,
            "loss_over_constant": found.loss / constant_loss(setting, key),
            "loss_curve": state.loss_curve,
            "status": jnp.where(is_finite, OK, NON_FINITE).astype(jnp.int8),
            "first_bad_step": first_bad,
        }
        if state.end is not None:
            result[ENDS] = last_step(state).astype(static.dtype)
        if static.check_fit:
            result["improvement"] = found.improvement
            result["improvement_stderr"] = found.improvement_stderr
        if squared is not None:
            other = squared(state.params, state.earlier, setting, key, is_finite & is_trained)
            result["squared_error"] = jnp.where(is_finite, other.loss, jnp.nan)
        if static.dataset_size:
            found = on_dataset(state.params, setting, source_of(static, key).dataset)
            result |= {k: jnp.where(is_finite, a, jnp.nan) for k, a in found.items()}
        for name in OPTIONAL:
            if (array := getattr(state.params, name)) is not None:
                result[name] = array
        if static.watch:
            result |= {name: state.watched[i] for i, name in enumerate(WATCHED)}
        if static.keep_state:
            result |= kept_state(static, state)
        if static.snapshots:
            kept = state.snapshots._asdict().items()
            result |= {f"{name}_snapshots": a for name, a in kept if a is not None}
        return result

    return finish


def make_on_dataset(static: Static) -> Callable[..., dict[str, Array]]:
    """Return on_dataset(params, setting, draws) -> the results on the dataset of the training."""
    net = static.net
    activated = switch(static, [output_of(net, a) for a in static.activations])
    of, target = loss_of(net.loss_function).of, network.target_of(net.target)

    def on_dataset(params: Params, setting: Setting, draws: Array) -> dict[str, Array]:
        x = static.inputs.sample(draws, setting.law)
        x_hat = activated(setting.activation, network.output(net, params, x))
        found = {"train_loss": model.weighted_mean(of(x_hat, target(x), x), setting.importance)}
        if static.hidden_vectors:
            found["hidden_vectors"] = network.hidden(net, params, x)
        return found

    return on_dataset


def optimizer(static: Static, setting: Setting, step: Array) -> optax.GradientTransformation:
    """Return a model's optimizer at one step, with that step's learning rate."""
    rate = learning_rate_of(static.optimizer, setting.learning_rate)
    factor = make_schedule(static.schedule)(step, static.steps)
    if static.own_rate:  # its product is rounded as the schedule is, to float32
        rate = jnp.asarray(rate, jnp.result_type(factor))
    rate = rate * factor
    mask = matrices if static.decay_on == "W" else None
    chosen = make_optimizer(static.optimizer, rate, setting.weight_decay, static.momentum, mask)
    if setting.norm_pull is not None:
        return optax.chain(chosen, pull_norms(rate, setting.norm_pull))
    return chosen


def apply_gradient(
    static: Static, core: Core, setting: Setting, grads: Params, step: Array, active: Array
) -> Core:
    """Take one optimizer step; freeze a model that would not stay finite."""
    if static.reduction == "sum":  # of the loss over batch and features, instead of the mean
        grads = jax.tree.map(lambda g: static.batch_size * static.n_features * g, grads)
    if not static.bias:  # b and c start at 0, and stay there: weight decay moves them no more
        grads = grads._replace(b=jnp.zeros_like(grads.b))
        grads = grads if grads.c is None else grads._replace(c=jnp.zeros_like(grads.c))
    transformation = optimizer(static, setting, step)
    params, opt_state, bad = descend(transformation, core.params, core.opt_state, grads, active)
    if not static.net.is_plain:
        params = network.constrained(static.net, params, core.params)
    return Core(params, opt_state, jnp.where(bad, step, core.first_bad_step))
