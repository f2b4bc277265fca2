"""`Static`, the shapes and program of some models, and `Setting`, the numbers of one model."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flax import struct
from jax import Array

from jsuper.core import grid
from jsuper.core.errors import SpecError
from jsuper.models.toy.activations.registry import is_gated, is_stochastic
from jsuper.models.toy.architecture import (
    PLAIN,
    Architecture,
    architecture_of,
    noise_of,
)
from jsuper.models.toy.ending import STEPS
from jsuper.models.toy.inputs.features import batch_of, importance
from jsuper.models.toy.inputs.interface import Law
from jsuper.models.toy.inputs.law import Numbers, inputs_of
from jsuper.models.toy.labelled import given_list
from jsuper.models.toy.layout import common_slots, fill, rows_of
from jsuper.models.toy.spec import Sweep
from jsuper.models.toy.starts import RANDOM, Stored
from jsuper.models.toy.widths import (
    density_of,
    may_be_narrow,
    narrow_widths,
    needs_whole_batch,
    ordering_pays,
    step_work,
)
from jsuper.training.optimizer_texts import learning_rate_of, program_of

AT_ONCE = ("vmapped", "kernel")
WHOLE_BATCHES = (*AT_ONCE, "reference")
"""Ways to run models in which no batch is narrow."""
# Of the time of a whole batch, what a model's step takes however narrow its batch is
# (benchmarks/step_parts.py).
FIXED_SHARE = 0.1


@dataclass(frozen=True)
class Static:
    """What changes the shapes or the program: static fields, and needs of the settings."""

    activations: tuple[str | Callable, ...] = ("relu",)
    n_features: int = 20
    n_hidden: int = 5
    batch_size: int = 1024  # that of the dataset, if every batch is all of it
    dataset_size: int = 0  # 0: every step draws new samples
    steps: int = 10_000
    until: str = STEPS
    optimizer: str | Callable = "adamw"
    dtype: str = "float32"
    schedule: str | Callable = "constant"
    momentum: float = 0.9
    init: str = "xavier"
    init_scale: float = 1.0
    init_instances: int = 10
    init_bias_scale: float = 0.0
    first_step: int = 0
    keep_state: bool = False
    start: str | Stored = RANDOM  # the name of a start, or the shapes of stored weights
    tied: bool = True
    bias: bool = True
    reduction: str = "mean"
    inputs: Law = inputs_of({})  # the law of the data, equal for laws with other numbers
    per_feature: bool = False  # whether features have different densities
    hidden_vectors: bool = False
    check_fit: bool = False  # as in chunks that are older than the field
    records: int = 100
    snapshots: tuple[int, ...] = ()
    snapshot_parameters: bool = False  # as in chunks that are older than the field
    dropout: bool = False  # whether any model has dropout
    stochastic: bool = False  # whether any activation is random
    gated: bool = False  # whether all activations are gates with a second matrix
    pushed: bool = False  # whether any model's bias is set to -push
    push_step: int = 0
    watch: bool = False
    widths: tuple[int, ...] = ()  # of narrow batches, ascending; empty if every batch is whole
    densities: int = 1  # largest number of different densities in a block
    rows: int = 0  # of models with one batch in a block; 0: one model after another
    net: Architecture = PLAIN  # hidden layer, target and loss
    at_once: bool = False  # all models of a block run at once
    kernel: bool = False  # train in launches of many steps
    decay_on: str = "all"
    own_rate: bool = False  # in float64: whether the optimizer's text sets the learning rate
    norm_pulled: bool = False  # whether the norms of any model's columns are pulled to 1
    slots: tuple[int, ...] = ()  # of a row: the activation of each of its models


@struct.dataclass
class Setting:
    """The numbers of one model, traced."""

    activation: Array  # index into Static.activations
    density: Array  # P(x_i != 0), (), or (n_features,) if Static.per_feature
    support: Array  # numbers of the support, (count,)
    values: Array  # numbers of the law of values, (count,)
    dropout: Array
    learning_rate: Array
    weight_decay: Array
    push: Array
    importance: Array  # (n_features,)
    hidden_l1: Any = None  # (); None for plain models
    noise_scale: Any = None  # (); None for plain models
    start: Any = None  # `starting.Weights`; None unless stored weights are the start
    norm_pull: Array | None = None  # of Static.norm_pulled
    trains: Array | None = None  # whether the model's training goes on; None: until all steps

    @property
    def law(self) -> Numbers:
        """The numbers of the law of the data."""
        return Numbers(self.density, self.support, self.values)


def make_static(
    values: grid.Static, parts: Iterable[Sequence[grid.Setting]], batching: str = "vmapped"
) -> Static:
    """Return the shapes and the program of blocks of settings that share their static values.

    Parameters
    ----------
    values
        One value for each role-"static" field.
    parts
        The settings of each block that the program trains.
    batching
        How models run. With whole batches: vmapped (all at once), kernel (many steps in one launch,
        where that is covered) or reference (one after another). With narrow batches, which omit
        columns without an active feature: sequential (one after another) or rows (models of one
        density together). auto: rows, but whole batches where narrow ones would not pay.

    Raises
    ------
    SpecError
        Some activations are gates with a second matrix, and others are not.
    """
    parts = list(parts)
    settings = [s for part in parts for s in part]
    own = {f.name for f in dataclasses.fields(Static)}
    activations = tuple(dict.fromkeys(s["activation"] for s in settings))
    if len({is_gated(a) for a in activations}) > 1:
        raise SpecError(
            "activations with and without a second matrix cannot share a program; train "
            f"{', '.join(a for a in activations if is_gated(a))} separately"
        )
    widths = () if batching in WHOLE_BATCHES else narrow_widths(values, settings)
    if batching == "auto" and not any(ordering_pays(values, part) for part in parts):
        widths = ()
    whole = any(needs_whole_batch(a, values["n_features"]) for a in activations)
    net = architecture_of(values, any(s.get("hidden_l1", 0) > 0 for s in settings))
    if any(not may_be_narrow(values, s) for s in settings):
        widths = ()
    rows, slots = 0, ()
    if (
        batching in AT_ONCE
        or net.is_plain
        and batching in ("auto", "rows")
        and not (widths and whole)
    ):
        rows, slots = common_slots(parts, activations)
    shaped: dict[str, Any] = {**values, "batch_size": batch_of(values), "inputs": inputs_of(values)}
    shaped["start"] = getattr(start := values.get("start", RANDOM), "stored", start)
    optimizer = shaped.get("optimizer", Static.optimizer)
    shaped["optimizer"] = program_of(optimizer)
    is_double = shaped.get("dtype", Static.dtype) == "float64"
    own_rate = is_double and learning_rate_of(optimizer, None) is not None
    return Static(
        activations=activations,
        dropout=any(s["dropout"] > 0 for s in settings),
        stochastic=any(map(is_stochastic, activations)),
        gated=is_gated(activations[0]),
        pushed=any(s.get("push", 0) > 0 for s in settings),
        norm_pulled=any(s.get("norm_pull", 0) > 0 for s in settings),
        own_rate=own_rate,
        widths=widths,
        densities=max(len(rows_of(part)) for part in parts),
        net=net,
        at_once=batching in AT_ONCE,
        kernel=batching == "kernel",
        rows=rows,
        slots=slots,
        per_feature=np.ndim(density_of(values, settings[0])) > 0,
        **{k: v for k, v in shaped.items() if k in own},
    )


def branch_of(setting: grid.Setting, at_once: bool) -> Hashable:
    """Return a value that is equal for settings that one program may train.

    Activations that need whole batches or a second matrix are separated, so that they do not slow
    down the others. If models run all at once, each of them and each random one is separate.
    """
    activation = setting["activation"]
    special = is_gated(activation), needs_whole_batch(activation)
    if at_once:
        return activation if any(special) or is_stochastic(activation) else None
    return special


def shares_program(static: Static) -> bool:
    """Return whether activations of models that run at once are in known places."""
    return len(static.activations) == 1 or bool(static.slots) or not static.at_once


def arrange(static: Static, settings: Sequence[grid.Setting]) -> tuple[int | None, ...]:
    """Return the order in which a block trains settings; ~i repeats setting i as padding.

    None is a place of an empty row, which is not trained.
    """
    if not static.slots:
        return tuple(range(len(settings)))
    return fill(static.rows, static.slots, static.activations, settings)


def make_setting(static: Static, point: grid.Setting) -> Setting:
    """Return the traced numbers of a point, as NumPy arrays.

    Parameters
    ----------
    static
        Shapes and program.
    point
        The setting, and static values. Fields that it lacks have the first default of `Sweep`,
        which for the weight decay depends on the optimizer; the default activation is the
        program's first. An optimizer such as `sgd(0.5)` sets the learning rate. The density is
        1 - sparsity in float64, rounded to the model's dtype.
    """
    n = static.n_features
    inputs = inputs_of(point) if "support" in point else static.inputs
    point = _defaults(static.optimizer) | {"activation": static.activations[0]} | point
    rate = learning_rate_of(point.get("optimizer", static.optimizer), point["learning_rate"])
    listed = given_list(point, "importance", "importances")
    weights = listed or importance(point["importance_decay"], n)
    density = density_of(point | {"n_features": n}, point)
    as_dtype = np.dtype(static.dtype).type
    numbers: grid.Setting = dict(  # of NumPy: nothing is sent to a device here
        activation=np.int32(static.activations.index(point["activation"])),
        **inputs.numbers(density, static.dtype)._asdict(),
        dropout=as_dtype(point["dropout"]),
        learning_rate=as_dtype(rate),
        weight_decay=as_dtype(point["weight_decay"]),
        push=as_dtype(point["push"]),
        importance=np.asarray(weights, static.dtype),
    )
    if not static.net.is_plain:
        numbers["hidden_l1"] = as_dtype(point["hidden_l1"])
        numbers["noise_scale"] = as_dtype(noise_of(point.get("hidden_noise", "none"))[1])
    if static.norm_pulled:
        numbers["norm_pull"] = as_dtype(point["norm_pull"])
    if static.per_feature:
        numbers["density"] = np.broadcast_to(numbers["density"], n)
    return Setting(**numbers)


def divide(
    values: grid.Static, settings: Sequence[grid.Setting], parts: int, batching: str
) -> list[tuple[grid.Setting, ...]] | None:
    """Return parts of the settings that take about as long as each other in one program.

    A part consists of whole rows: a seed's models of some densities. The costliest row first, each
    goes to the part that takes least time until then.

    Returns
    -------
    list of tuple, or None
        None if there are fewer rows than parts, or if models do not run in rows.
    """
    rows = rows_of(settings)
    if len(rows) < parts or len({branch_of(s, at_once=False) for s in settings}) > 1:
        return None
    if not make_static(values, [settings], batching).slots:
        return None
    shares = [FIXED_SHARE + share for share in step_work(values, settings, batching)[0]]
    taken, chosen = [0.0] * parts, [[] for _ in range(parts)]
    for row in sorted(rows, key=lambda row: -sum(shares[i] for i in row)):
        part = taken.index(min(taken))
        taken[part] += sum(shares[i] for i in row)
        chosen[part] += row
    return [tuple(settings[i] for i in sorted(indices)) for indices in chosen]


@functools.cache
def _defaults(optimizer: str | Callable) -> grid.Setting:
    """Return the first default of every setting, for a sweep with this optimizer."""
    default = Sweep(optimizer=optimizer)
    return {name: default.values_of(name)[0] for name in default.names("setting")}
