"""What a program is made from: `Static`, which shapes it, and `Setting`, one model's numbers."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flax import struct

from jsuper.core.errors import SpecError
from jsuper.models.toy.activations.names import BATCH_COUPLED
from jsuper.models.toy.activations.registry import is_gated, is_stochastic
from jsuper.models.toy.functions import traced
from jsuper.models.toy.inputs.features import importance
from jsuper.models.toy.layout import NARROWEST, common_slots, fill, rows_of
from jsuper.models.toy.spec import Sweep

STANDARD_DEVIATIONS = 2.0  # a width holds the active columns of nearly every batch
# Putting a seed's columns in order takes about as long as so many multiply-adds of its models, and
# gathering a number of the widest narrow batch as so many (benchmarks/ordering.py, one core).
ORDERING_COST = 3e5
GATHERING_COST = 80


@dataclass(frozen=True)
class Static:
    """What changes the shapes or the program: fields of `Sweep`, and what the settings need."""

    activations: tuple[str | Callable, ...] = ("relu",)
    n_features: int = 20
    n_hidden: int = 5
    batch_size: int = 1024
    steps: int = 10_000
    optimizer: str = "adamw"
    dtype: str = "float32"
    schedule: str = "constant"
    momentum: float = 0.9
    init: str = "xavier"
    init_scale: float = 1.0
    init_instances: int = 10
    init_bias_scale: float = 0.0
    tied: bool = True
    reduction: str = "mean"
    shared_mask: bool = False
    importance: tuple[float, ...] | None = None
    feature_sparsity: tuple[float, ...] | None = None
    check_fit: bool = False  # so that chunks without the field have no such variable
    records: int = 100
    snapshots: tuple[int, ...] = ()
    dropout: bool = False  # whether any model of the group has dropout at all
    stochastic: bool = False  # whether any has a random activation
    gated: bool = False  # whether all have a second matrix
    pushed: bool = False  # whether any is pushed
    push_step: int = 0
    watch: bool = False
    widths: tuple[int, ...] = ()  # of narrow batches, ascending; empty: every batch is whole
    densities: int = 1  # most that differ among the models of a seed
    rows: int = 0  # of models that share a batch, in a block; 0: one model after another
    fused: bool = False  # products as sums, for the compiler to fuse, and not by a library
    slots: tuple[int, ...] = ()  # of a row: which activation each of its models has


@struct.dataclass
class Setting:
    """The numbers of one model, traced."""

    activation: Any  # index into Static.activations
    density: Any  # P(x_i != 0), () or (n_features,)
    dropout: Any
    learning_rate: Any
    weight_decay: Any
    push: Any
    importance: Any  # (n_features,)


def make_static(
    values: dict[str, Any], parts: Iterable[Sequence[dict[str, Any]]], batching: str = "vmapped"
) -> Static:
    """Return the static part of a group: its static values, and what its settings need compiled.

    Parameters
    ----------
    values
        One value for each role-"static" field.
    parts
        The settings of each block that the program shall train.
    batching
        How models run: vmapped (whole batches, all at once), fused (the same, products
        as multiplications and sums), reference (whole batches,
        one model after another), sequential (narrow batches where they hold all that is active,
        one after another), rows (narrow, models of one density together), or auto (rows, but
        whole batches where narrow ones would not pay).
    """
    parts = list(parts)
    settings = [s for part in parts for s in part]
    own = {f.name for f in dataclasses.fields(Static)}
    activations = tuple(dict.fromkeys(s["activation"] for s in settings))
    if len({is_gated(a) for a in activations}) > 1:
        raise SpecError(
            "activations with a second matrix and without need programs of their own; "
            f"train {', '.join(a for a in activations if is_gated(a))} apart"
        )
    widths = (
        () if batching in ("vmapped", "fused", "reference") else narrow_widths(values, settings)
    )
    if batching == "auto" and not any(ordering_pays(values, part) for part in parts):
        widths = ()
    whole = any(needs_whole_batch(a, values["n_features"]) for a in activations)
    rows, slots = 0, ()
    if batching in ("auto", "rows") and not (widths and whole):
        rows, slots = common_slots(parts, activations)
    return Static(
        activations=activations,
        dropout=any(s["dropout"] > 0 for s in settings),
        stochastic=any(map(is_stochastic, activations)),
        gated=is_gated(activations[0]),
        pushed=any(s.get("push", 0) > 0 for s in settings),
        widths=widths,
        densities=max(len(rows_of(part)) for part in parts),
        fused=batching == "fused",
        rows=rows,
        slots=slots,
        **{k: v for k, v in values.items() if k in own},
    )


def branch_of(setting: dict[str, Any], at_once: bool) -> Any:
    """Return settings for which this is the same may be trained by one program.

    Where models run all at once, of one activation. Elsewhere those that need whole batches, or a
    second matrix, are apart, so that they slow no other.
    """
    activation = setting["activation"]
    if at_once:
        return activation
    return is_gated(activation), needs_whole_batch(activation)


def arrange(static: Static, settings: Sequence[dict[str, Any]]) -> tuple[int, ...]:
    """The order in which a block trains settings, as indices; ~i repeats setting i as padding."""
    if not static.slots:
        return tuple(range(len(settings)))
    return fill(static.rows, static.slots, static.activations, settings)


def make_setting(static: Static, point: dict[str, Any]) -> Setting:
    """Return the traced numbers of a point, as NumPy arrays.

    Fields that are left out have Sweep's first default, which depends on the optimizer for the
    weight decay; the activation is the program's first.

    The density is 1 - sparsity in float64, then rounded to the model's dtype.
    """
    point = _defaults(static.optimizer) | {"activation": static.activations[0]} | point
    weights = static.importance or importance(point["importance_decay"], static.n_features)
    sparsity = static.feature_sparsity or point["sparsity"]
    as_dtype = np.dtype(static.dtype).type
    return Setting(
        activation=np.int32(static.activations.index(point["activation"])),
        density=np.asarray(1 - np.asarray(sparsity, np.float64), static.dtype),
        dropout=as_dtype(point["dropout"]),
        learning_rate=as_dtype(point["learning_rate"]),
        weight_decay=as_dtype(point["weight_decay"]),
        push=as_dtype(point["push"]),
        importance=np.asarray(weights, static.dtype),
    )


@functools.cache
def _defaults(optimizer: str) -> dict[str, Any]:
    """Return the first default of every setting; the weight decay's is that of the optimizer."""
    default = Sweep(optimizer=optimizer)
    return {name: default.values(name)[0] for name in default.names("setting")}


def width_of(values: dict[str, Any], setting: dict[str, Any]) -> int:
    """The width, out of 32, 64, 128 ..., that holds the non-zero columns of a setting's batches.

    Of B columns, A ~ Binomial(B, 1 - Π S_i) have an active feature. The width is above A's mean and
    2 standard deviations (a batch with more active columns takes the next width), or B itself
    where that is less or the activation cannot use a narrow batch. Where the batch shares one
    support its columns are active together, and it is whole.
    """
    n, batch = values["n_features"], values["batch_size"]
    if values.get("shared_mask") or needs_whole_batch(setting["activation"], n):
        return batch
    all_zero = math.prod(values["feature_sparsity"] or [setting["sparsity"]] * n)
    mean = batch * (1 - all_zero)
    need = mean + STANDARD_DEVIATIONS * math.sqrt(mean * all_zero) + 1
    return min(batch, NARROWEST * 2 ** max(math.ceil(math.log2(need / NARROWEST)), 0))


def narrow_widths(values: dict[str, Any], settings: Sequence[dict[str, Any]]) -> tuple[int, ...]:
    """Return the widths below the batch size that some setting needs, ascending.

    None for a batch of 2**24 columns or more, which `draws.order` cannot count in float32.
    """
    if values["batch_size"] >= 2**24:
        return ()
    widths = {width_of(values, s) for s in settings}
    return tuple(sorted(w for w in widths if w < values["batch_size"]))


def ordering_pays(values: dict[str, Any], settings: Sequence[dict[str, Any]]) -> bool:
    """Return whether narrow batches save more than it takes to put a seed's columns in order.

    Both in multiply-adds. A column saves 5 n m of them for the products, and as much as 10 n for
    the activation and its derivative. Where every model has draws of its own (`unpaired`), one that
    saves enough by itself decides.
    """
    n, m, batch = values["n_features"], values["n_hidden"], values["batch_size"]
    widths = np.array([width_of(values, s) for s in settings])
    narrow = widths < batch
    saved = (batch - widths) * n * (5 * m + 10)
    cost = ORDERING_COST + GATHERING_COST * n * widths
    if values["unpaired"] or not narrow.any():
        return bool((narrow & (saved > cost)).any())
    return bool(saved.sum() > cost[narrow].max())


def step_work(
    values: dict[str, Any], settings: Sequence[dict[str, Any]], batching: str
) -> tuple[list[float], float]:
    """Return the share of a batch's columns that each setting computes, and the numbers drawn.

    Where columns are put in order, that takes twice as long as the draws, and counts as such.
    """
    batch = values["batch_size"]
    narrow = batching in ("sequential", "rows") or (
        batching == "auto" and ordering_pays(values, settings)
    )
    shares = [width_of(values, s) / batch if narrow else 1.0 for s in settings]
    return shares, (3.0 if narrow else 1.0) * values["n_features"] * batch


def needs_whole_batch(activation: str | Callable, n_features: int = 5) -> bool:
    """Whether columns without an active feature are not all alike, so that none can be left out."""
    return is_stochastic(activation) or couples_batch(activation, n_features)


def couples_batch(activation: str | Callable, n_features: int = 5) -> bool:
    """Return whether the output for one sample depends on the other samples of its batch.

    Known for registered names; a function is tried with batches of several sizes.

    Parameters
    ----------
    activation
        A name or a function of z (n_features, samples).
    n_features
        Rows of the z that a function is tried with.

    Raises
    ------
    SpecError
        The function cannot be traced for that many features.
    """
    if isinstance(activation, str):
        return activation in BATCH_COUPLED
    return traced(activation, n_features).coupled
