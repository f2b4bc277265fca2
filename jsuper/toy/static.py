"""What a program is made from: `Static`, which shapes it, and `Setting`, one model's numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import struct

from jsuper.toy.activations import resolve
from jsuper.toy.features import importance
from jsuper.toy.names import BATCH_COUPLED
from jsuper.toy.spec import Sweep

NARROWEST = 128  # columns: below it the cost of an operation hardly shrinks any more
RATIO = 4  # between widths: every width is compiled for every activation
STANDARD_DEVIATIONS = 2.5  # a width holds the active columns of nearly every batch


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
    importance: tuple[float, ...] | None = None
    feature_sparsity: tuple[float, ...] | None = None
    records: int = 100
    snapshots: tuple[int, ...] = ()
    dropout: bool = False  # whether any model of the group has dropout at all
    widths: tuple[int, ...] = ()  # of narrow batches, ascending; empty: every batch is whole


@struct.dataclass
class Setting:
    """The numbers of one model, traced."""

    activation: Any  # index into Static.activations
    density: Any  # P(x_i != 0), () or (n_features,)
    dropout: Any
    learning_rate: Any
    weight_decay: Any
    importance: Any  # (n_features,)


def make_static(
    values: dict[str, Any], settings: Iterable[dict[str, Any]], sequential: bool = False
) -> Static:
    """The static part of a group: its static values, and what its settings need compiled.

    Args:
        values: one value for each role-"static" field.
        settings: the settings of all models that the program shall train.
        sequential: whether they run one after another; only then can batches differ in width.
    """
    settings = list(settings)
    own = {f.name for f in dataclasses.fields(Static)}
    return Static(
        activations=tuple(dict.fromkeys(s["activation"] for s in settings)),
        dropout=any(s["dropout"] > 0 for s in settings),
        widths=narrow_widths(values, settings) if sequential else (),
        **{k: v for k, v in values.items() if k in own},
    )


def make_setting(static: Static, point: dict[str, Any]) -> Setting:
    """The traced numbers of a point, as NumPy arrays.

    Fields that are left out have Sweep's first default, the activation the program's first.

    The density is 1 - sparsity in float64, then rounded to the model's dtype.
    """
    default = Sweep()
    defaults = {name: default.values(name)[0] for name in default.names("setting")}
    point = defaults | {"activation": static.activations[0]} | point
    weights = static.importance or importance(point["importance_decay"], static.n_features)
    sparsity = static.feature_sparsity or point["sparsity"]
    as_dtype = np.dtype(static.dtype).type
    return Setting(
        activation=np.int32(static.activations.index(point["activation"])),
        density=np.asarray(1 - np.asarray(sparsity, np.float64), static.dtype),
        dropout=as_dtype(point["dropout"]),
        learning_rate=as_dtype(point["learning_rate"]),
        weight_decay=as_dtype(point["weight_decay"]),
        importance=np.asarray(weights, static.dtype),
    )


def narrow_widths(values: dict[str, Any], settings: list[dict[str, Any]]) -> tuple[int, ...]:
    """The widths, out of 128, 512, 2048 ..., that hold the non-zero columns of sparse batches.

    Of B columns, A ~ Binomial(B, 1 - Π S_i) have an active feature. Each setting gets the width
    above A's mean and 2.5 standard deviations, where that is below B; a batch with more active
    columns takes the next width. None where no activation can use them.
    """
    n, batch = values["n_features"], values["batch_size"]
    widths = set()
    for setting in settings:
        if couples_batch(setting["activation"]):
            continue
        all_zero = math.prod(values["feature_sparsity"] or [setting["sparsity"]] * n)
        mean = batch * (1 - all_zero)
        need = mean + STANDARD_DEVIATIONS * math.sqrt(mean * all_zero) + 1
        power = math.ceil(math.log(need / NARROWEST, RATIO))
        widths.add(NARROWEST * RATIO ** max(power, 0))
    return tuple(sorted(w for w in widths if w < batch))


def couples_batch(activation: str | Callable) -> bool:
    """Whether the output for one sample depends on the other samples of its batch.

    Known for registered names; a function is tried on a batch and on its first column alone.
    """
    if isinstance(activation, str):
        return activation in BATCH_COUPLED
    function = resolve(activation)
    with jax.ensure_compile_time_eval():  # also while another function is traced
        z = jax.random.normal(jax.random.key(0), (7, 5))
        return not np.allclose(function(z)[:, :1], function(z[:, :1]), equal_nan=True)
