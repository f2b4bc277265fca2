"""The fields of a sweep of MLPs, and the checks of their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jsuper.core.checks import MAX_RECORDS, choice, flag, integer, real
from jsuper.core.fields import Axis, Omitted, setting, static
from jsuper.core.sweep import BaseSweep
from jsuper.models.mlp.targets import PAIRS, check_activation, check_target
from jsuper.models.toy.field_checks import check_sparsity
from jsuper.models.toy.inputs.names import DEFAULT_SUPPORT, VALUES, check_law
from jsuper.training.optimizer_texts import check_optimizer
from jsuper.training.optimizers import DECAY_HELP, DEFAULT_DECAYS, WITH_MOMENTUM
from jsuper.training.schedules import check_schedule

SPARSITY = (0.99,)


@dataclass(frozen=True, kw_only=True)
class Fields(BaseSweep):
    """The declarations; `jsuper.mlp.Sweep` adds the rules between them."""

    model: ClassVar[str] = "mlp"
    main_axes: ClassVar[tuple[str, ...]] = ("n_hidden", "sparsity")

    n_hidden: Axis[int] = static(
        50,
        "number of hidden units of all layers together, split evenly",
        integer(1),
        axis=True,
    )
    sparsity: Axis[float] = setting(SPARSITY, "probability that a feature is zero", check_sparsity)
    learning_rate: Axis[float] = setting(3e-3, "learning rate", real(0, closed="neither"))
    weight_decay: Axis[float] | None = setting(
        Omitted(),
        f"weight decay, {DECAY_HELP}; if omitted: that of the run folder, else {DEFAULT_DECAYS}",
        real(),
    )
    importance_decay: Axis[float] = setting(
        1.0, "feature i has importance decay^i, i = 0, 1, ...", real(0, closed="neither")
    )
    target_noise: Axis[float] = setting(
        0.0,
        "scale of a fixed random mixing matrix M in the target, f(x) + x + target_noise M x",
        real(0),
    )
    n_features: Axis[int] = static(100, "number of features n", integer(1), axis=True)
    d_embed: Axis[int] = static(
        1000,
        "width of the stream, into which a fixed random matrix with rows of length 1 embeds the "
        "features; 0: the stream is the features",
        integer(0),
        axis=True,
    )
    n_layers: Axis[int] = static(1, "number of layers", integer(1), axis=True)
    activation: Axis[str] = static(
        "relu", "elementwise activation of the hidden units", check_activation, axis=True
    )
    target: Axis[str] = static(
        "relu",
        f"function f of every feature: abs, square, {PAIRS} (the product of features 2k and 2k+1) "
        "or the name of an elementwise activation",
        check_target,
        axis=True,
    )
    target_residual: Axis[bool] = static(
        True, "whether the target is x + f(x); false: f(x)", flag, axis=True
    )
    residual: Axis[bool] = static(
        True,
        "whether a layer is added to the stream; false: it replaces the stream",
        flag,
        axis=True,
    )
    bias: Axis[bool] = static(
        False, "whether hidden units have a bias; false: b stays 0", flag, axis=True
    )
    support: Axis[str] = static(
        DEFAULT_SUPPORT,
        "which features are active together: independent, shared (by the whole batch), pairs(c), "
        "sets(k, c), exclusive(k), exactly(k), in_turn or hierarchy(b, q)",
        check_law,
        axis=True,
    )
    values: Axis[str] = static(
        "signed",
        f"values of active features: {', '.join(VALUES)}; uniform(a, b) sets the interval",
        check_law,
        axis=True,
    )
    batch_size: Axis[int] = static(2048, "samples per step", integer(1), axis=True)
    steps: Axis[int] = static(1000, "optimizer steps", integer(1), axis=True)
    optimizer: Axis[str] = static(
        "adamw",
        f"optimizer ({WITH_MOMENTUM} have --momentum); sgd(0.5) sets its own learning rate",
        check_optimizer,
        axis=True,
    )
    dtype: Axis[str] = static(
        "float32", "precision of weights and arithmetic", choice("float32", "float64"), axis=True
    )
    schedule: str = static(
        "half_cosine",
        "schedule of the learning rate: constant, linear, cosine (a quarter of a wave), "
        "warmup(n), half_cosine(final=0) or warmup_half_cosine(n, final=0)",
        check_schedule,
    )
    momentum: float = static(0.9, f"momentum of {WITH_MOMENTUM}", real(0, 1, closed="left"))
    init: str = static(
        "linear",
        "initial weights: linear (uniform, as torch.nn.Linear), xavier, kaiming, or normal with "
        "init_scale",
        choice("linear", "xavier", "kaiming", "normal"),
    )
    init_scale: float = static(0.1, "standard deviation of init=normal", real(0, closed="neither"))
    records: int = static(100, "points of the loss curve", integer(1, MAX_RECORDS))
