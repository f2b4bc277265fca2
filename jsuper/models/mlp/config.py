"""`Static`, the shapes and program of some MLPs, and `Setting`, the numbers of one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from flax import struct
from jax import Array

from jsuper.core import grid
from jsuper.models.mlp.model import Layers
from jsuper.models.mlp.spec import Sweep
from jsuper.models.toy.inputs.features import importance
from jsuper.models.toy.inputs.interface import Law
from jsuper.models.toy.inputs.law import Numbers, inputs_of
from jsuper.training.optimizer_texts import learning_rate_of, program_of

SIGNED = inputs_of({"values": "signed"})


@dataclass(frozen=True)
class Static:
    """What changes the shapes or the program: static fields, and whether any target is noisy."""

    n_hidden: int = 50
    n_features: int = 100
    d_embed: int = 1000
    n_layers: int = 1
    activation: str = "relu"
    target: str = "relu"
    target_residual: bool = True
    residual: bool = True
    bias: bool = False
    inputs: Law = SIGNED  # the law of the data, equal for laws with other numbers
    per_feature: bool = False  # whether features have different densities
    noisy: bool = False  # whether any target has a mixing matrix
    batch_size: int = 2048
    steps: int = 1000
    optimizer: str = "adamw"
    dtype: str = "float32"
    schedule: str = "half_cosine"
    momentum: float = 0.9
    init: str = "linear"
    init_scale: float = 0.1
    records: int = 100

    @property
    def layers(self) -> Layers:
        """What the forward pass depends on besides the arrays."""
        return Layers(self.n_layers, self.activation, self.residual)

    @property
    def width(self) -> int:
        """d, the width of the stream."""
        return self.d_embed or self.n_features


@struct.dataclass
class Setting:
    """The numbers of one model, traced."""

    density: Array  # P(x_i != 0), (), or (n_features,) if Static.per_feature
    support: Array  # numbers of the support, (count,)
    values: Array  # numbers of the law of values, (count,)
    learning_rate: Array
    weight_decay: Array
    target_noise: Array
    importance: Array  # (n_features,)

    @property
    def law(self) -> Numbers:
        """The numbers of the law of the data."""
        return Numbers(self.density, self.support, self.values)


def make_static(
    values: grid.Static, parts: Iterable[Sequence[grid.Setting]], batching: str = "vmapped"
) -> Static:
    """Return the shapes and the program of blocks of settings; batching does not change them."""
    del batching
    own = {f.name for f in dataclasses.fields(Static)} - {"optimizer"}
    law = inputs_of(values)
    return Static(
        optimizer=program_of(values["optimizer"]),
        inputs=law,
        per_feature=np.ndim(law.densities(0.5, values["n_features"])) > 0,
        noisy=any(s["target_noise"] > 0 for part in parts for s in part),
        **{k: v for k, v in values.items() if k in own},
    )


def make_setting(static: Static, point: grid.Setting) -> Setting:
    """Return the traced numbers of a point, as NumPy arrays.

    Fields that it lacks have the first default of `Sweep`. The density is 1 - sparsity in float64,
    rounded to the model's dtype.
    """
    n, as_dtype = static.n_features, np.dtype(static.dtype).type
    inputs = inputs_of(point) if "support" in point else static.inputs
    point = _defaults(static.optimizer) | point
    density = inputs.densities(1 - point["sparsity"], n)
    rate = learning_rate_of(point.get("optimizer", static.optimizer), point["learning_rate"])
    numbers: grid.Setting = dict(  # of NumPy: nothing is sent to a device here
        **inputs.numbers(density, static.dtype)._asdict(),
        learning_rate=as_dtype(rate),
        weight_decay=as_dtype(point["weight_decay"]),
        target_noise=as_dtype(point["target_noise"]),
        importance=importance(point["importance_decay"], n).astype(static.dtype),
    )
    if static.per_feature:
        numbers["density"] = np.broadcast_to(numbers["density"], n)
    return Setting(**numbers)


@functools.cache
def _defaults(optimizer: str) -> grid.Setting:
    """Return the first default of every setting, for a sweep with this optimizer."""
    default = Sweep(optimizer=optimizer)
    return {name: default.values_of(name)[0] for name in default.names("setting")}
