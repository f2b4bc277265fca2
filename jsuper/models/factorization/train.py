"""Training one factorization: `make_train(static) -> train(setting, key)`.

Static values shape the program, `Setting` has one model's numbers, `State` is the loop's carry.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax import Array
from jax.custom_batching import sequential_vmap

from jsuper.core import grid
from jsuper.core.expecting import expect
from jsuper.core.protocols import PyTree
from jsuper.core.status import NON_FINITE, OK
from jsuper.models.factorization import model
from jsuper.models.factorization.model import Params, Target
from jsuper.models.factorization.spec import Sweep, recorded_steps
from jsuper.training import keys
from jsuper.training.loop import Train, descend
from jsuper.training.optimizer_texts import (
    learning_rate_of,
    make_optimizer,
    momentum_of,
    program_of,
)

CURVES = ("loss_curve", "alignment", "norm_inside", "norm_outside", "singular_values")


@dataclass(frozen=True)
class Static:
    """What changes the shapes or the program: the static fields of `Sweep`."""

    rank: int = 1
    pairs: int = 1
    objective: str = "squared"
    optimizer: str = "sgd"
    size: int = 100
    steps: int = 5000
    dtype: str = "float32"
    target: str = "orthonormal"
    probabilities: str = "softmax"
    init: str = "normal"
    momentum: float = 0.0
    records: int = 100
    spacing: str = "even"
    own_rate: bool = False  # whether the optimizer's text sets the learning rate

    @property
    def recorded(self) -> np.ndarray:
        """The numbers of steps after which curves are recorded."""
        return np.array(recorded_steps(dataclasses.asdict(self)), np.int32)


@struct.dataclass
class Setting:
    """The numbers of one model, traced."""

    learning_rate: Array
    weight_decay: Array
    init_scale: Array
    strengths: Array  # (rank,)
    time: Array | None = None  # (recorded,), where the optimizer's text sets the learning rate


@struct.dataclass
class State:
    """The carry of the training loop: what the next step needs, and what has been recorded."""

    params: Params
    opt_state: PyTree
    target: Target
    first_bad_step: Array  # -1 while every number is finite
    curves: dict[str, Array]  # (..., recorded), NaN for steps that are not reached


def make_static(
    values: grid.Static, parts: Iterable[Sequence[grid.Setting]], batching: str = "vmapped"
) -> Static:
    """Return the shapes and the program of a group; batching does not change them."""
    del parts, batching
    own = {f.name for f in dataclasses.fields(Static)}
    optimizer = values["optimizer"]
    shaped: dict[str, Any] = {k: v for k, v in values.items() if k in own}
    shaped["own_rate"] = learning_rate_of(optimizer, None) is not None
    shaped["optimizer"] = program_of(optimizer)
    return Static(**shaped)


def arrange(static: Static, settings: Sequence[grid.Setting]) -> tuple[int, ...]:
    """Return the order in which a block trains settings: unchanged."""
    del static
    return tuple(range(len(settings)))


def branch_of(setting: grid.Setting, at_once: bool) -> None:
    """Return None: one program trains all settings."""


def make_setting(static: Static, point: grid.Setting) -> Setting:
    """Return a point's numbers as NumPy arrays; fields that it lacks have `Sweep`'s defaults."""
    default = Sweep()
    point = {name: default.values_of(name)[0] for name in default.names("setting")} | point
    ratios = point["strength_ratio"] ** np.arange(static.rank)
    if static.target == "mixture":  # whose strengths are the weights of its components
        ratios = ratios / ratios.sum()
    as_dtype = np.dtype(static.dtype).type
    rate = learning_rate_of(point.get("optimizer", static.optimizer), point["learning_rate"])
    return Setting(
        learning_rate=as_dtype(rate),
        weight_decay=as_dtype(point["weight_decay"]),
        init_scale=as_dtype(point["init_scale"]),
        strengths=(point["strength"] * ratios).astype(static.dtype),
        time=time_of(static, rate).astype(static.dtype) if static.own_rate else None,
    )


def time_of(static: Static, rate: Any) -> Any:
    """Return steps x learning rate / (1 - momentum) at the recorded steps."""
    momentum = momentum_of(static.optimizer, static.momentum)
    return rate / (1 - (static.momentum if momentum is None else momentum)) * static.recorded


def make_train(static: Static, sequential: bool = False) -> Train:
    """Build the training of one model.

    Parameters
    ----------
    static
        Shapes and program.
    sequential
        Under `vmap`, run one model after another, all steps between two records at
        once, so that a model's arrays stay in cache.

    Returns
    -------
    Train
        A `Train`; call it with a setting and a key (`jsuper.seed_key(seed)`).

    Raises
    ------
    TypeError
        `static` is not a Static.
    """
    expect("static", static, Static, "a Static of this module", "make_train(Static(rank=4))")
    stops = static.recorded

    def steps(state: State, setting: Setting, start: Array, n: int | Array, end: Array) -> State:
        state = record(static, state, start)

        def body(i: Array, state: State) -> State:
            return one_step(static, state, setting, start + i, start + i < end)

        return jax.lax.fori_loop(0, n, body, state)

    run = sequential_vmap(steps) if sequential else steps

    def advance(
        state: State,
        setting: Setting,
        key: Array,
        start: Array,
        n: int | Array,
        end: int | Array | None = None,
    ) -> State:
        del key  # the start and the target are all that is drawn
        return run(state, setting, start, n, jnp.int32(static.steps if end is None else end))

    def finish(state: State, setting: Setting, key: Array) -> dict[str, Array]:
        del key
        return results(static, record(static, state, jnp.int32(static.steps)), setting)

    return Train(make_init(static), advance, finish, static.steps, tuple(stops[:-1].tolist()))


def make_init(static: Static) -> Callable[[Setting, Array], State]:
    """Return init(setting, key) -> State with the seed's target and initial pairs."""
    R, K, d, T = static.rank, static.pairs, static.size, len(static.recorded)
    probabilities = static.probabilities if static.objective == "cross_entropy" else None
    shapes = ((), (R, K), (2,), (2,), (min(K, d),))

    def init(setting: Setting, key: Array) -> State:
        params = model.init_params(
            keys.stream(key, keys.INIT), K, d, setting.init_scale, static.init, static.dtype
        )
        target = model.make_target(
            keys.stream(key, keys.TARGET),
            R,
            d,
            setting.strengths,
            static.target,
            probabilities,
            static.dtype,
        )
        curves = {
            name: jnp.full((*shape, T), jnp.nan, static.dtype)
            for name, shape in zip(CURVES, shapes, strict=True)
        }
        opt_state = optimizer(static, setting).init(params)
        return State(params, opt_state, target, jnp.int32(-1), curves)

    return init


def target_of(seed: int, static: Static | None = None, **point: float) -> Target:
    """Return the target of a seed: U and V (R, d) with orthonormal rows, strengths (R,), log_p.

    Parameters
    ----------
    seed
        The seed.
    static
        Rank, size, target, ...; by default those of `Sweep`.
    **point
        strength and strength_ratio, if they differ from the defaults.
    """
    static = Static() if static is None else static
    state = make_init(static)(make_setting(static, point), keys.seed_key(seed))
    return jax.tree.map(np.asarray, state.target)


def optimizer(static: Static, setting: Setting) -> optax.GradientTransformation:
    """Return the optimizer of one model."""
    rate = learning_rate_of(static.optimizer, setting.learning_rate)
    return make_optimizer(static.optimizer, rate, setting.weight_decay, static.momentum)


def one_step(static: Static, state: State, setting: Setting, step: Array, active: Array) -> State:
    """Take one optimizer step; freeze a model that would not stay finite, and record the step."""
    grads = model.gradient(state.params, state.target)
    active = active & (state.first_bad_step < 0)
    transformation = optimizer(static, setting)
    params, opt_state, bad = descend(transformation, state.params, state.opt_state, grads, active)
    first_bad = jnp.where(bad, step, state.first_bad_step)
    return dataclasses.replace(state, params=params, opt_state=opt_state, first_bad_step=first_bad)


def record(static: Static, state: State, step: Array) -> State:
    """Store the curves' values if `step` is one of the recorded steps."""
    here = (static.recorded == step) & (state.first_bad_step < 0)
    params, target = state.params, state.target
    sides = (model.norms(params.A, target.U), model.norms(params.B, target.V))
    now = {
        "loss_curve": model.loss(params, target),
        "alignment": model.alignment(params, target),
        "norm_inside": jnp.stack([inside for inside, _ in sides]),
        "norm_outside": jnp.stack([outside for _, outside in sides]),
        "singular_values": model.singular_values(params),
    }
    curves = {k: jnp.where(here, now[k][..., None], old) for k, old in state.curves.items()}
    return dataclasses.replace(state, curves=curves)


def results(static: Static, state: State, setting: Setting) -> dict[str, Array]:
    """Return the result arrays; the loss of a model that is not finite at the end is NaN."""
    loss = model.loss(state.params, state.target)
    bad = (state.first_bad_step < 0) & ~jnp.isfinite(loss)
    first_bad = jnp.where(bad, static.steps, state.first_bad_step)
    is_finite = first_bad < 0
    zero_loss = model.loss(jax.tree.map(jnp.zeros_like, state.params), state.target)
    loss = jnp.where(is_finite, loss, jnp.nan)
    rate = learning_rate_of(static.optimizer, setting.learning_rate)
    time = time_of(static, rate) if setting.time is None else setting.time
    return {
        "A": state.params.A,
        "B": state.params.B,
        "strengths": state.target.strengths,
        "loss": loss,
        "zero_loss": zero_loss,
        "loss_over_zero": loss / zero_loss,
        "time": jnp.asarray(time, static.dtype),
        "status": jnp.where(is_finite, OK, NON_FINITE).astype(jnp.int8),
        "first_bad_step": first_bad,
        **state.curves,
    }
