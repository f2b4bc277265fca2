"""The toy model's fields and their checks. Imports no jax."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from jsuper.core.sweep import (
    MAX_RECORDS,
    Axis,
    BaseSweep,
    Omitted,
    SpecError,
    choice,
    flag,
    integer,
    label,
    name_of,
    real,
    setting,
    several,
    static,
)
from jsuper.models.toy import limits
from jsuper.models.toy.activations.names import ACTIVATIONS, GATED, canonical_activation
from jsuper.training.optimizers import (
    DECAY_HELP,
    DEFAULT_DECAYS,
    WITH_MOMENTUM,
    check_optimizer,
    default_decay,
)
from jsuper.training.schedules import SCHEDULES

FUNCTION = re.compile(r"\w{1,100}@[0-9a-f]{12}")  # how a run folder names a function
WATCHED = ("unit_error", "unit_bias", "unit_gradient", "unit_peak")
SPARSITIES = (0.0, 0.7, 0.9, 0.97, 0.99, 0.997, 0.999)


def check_activation(name: str, value: Any) -> str | Callable:
    """Return a registered name, with its parameter if it has one, or a named function of z."""
    if callable(value):
        if not name_of(value).isidentifier():
            raise SpecError(
                f"{name}={value!r} has no name; define it with def, or set its __name__"
            )
        return value
    if not isinstance(value, str):
        raise SpecError(f"{name}={value!r} is not a name or a function; try 'relu'")
    if FUNCTION.fullmatch(value):
        raise SpecError(
            f"{name}={value!r} is a Python function, by its name and a digest, which no file or "
            "command line holds; give the function to jsuper.run in Python"
        )
    try:
        return canonical_activation(value)
    except ValueError as error:
        raise SpecError(f"{error}") from error


check_activation.metavar = "NAME"  # type: ignore[attr-defined]
check_activation.functions = True  # type: ignore[attr-defined]  # their stored names are allowed


check_sparsity = real(
    0, 1, closed="left", hint="it is the chance that a feature is zero; try 0.999"
)


@dataclass(frozen=True, kw_only=True)
class Sweep(BaseSweep):
    """A grid of toy models x̂ = act(Wᵀ W x + b); fields with several values become axes.

    With tied=False the decoder has a matrix of its own, x̂ = act(W_decᵀ W x + b).

    The defaults are the preset `activations`: the training of the notebook of Elhage et al.,
    "Toy Models of Superposition" (2022), on the paper's basic n = 20, m = 5 model.
    """

    model: ClassVar[str] = "toy"
    main_axes: ClassVar[tuple[str, ...]] = ("activation", "sparsity")
    branch: ClassVar[str] = "activation"

    activation: Axis[str] | tuple[str | Callable, ...] | Callable = setting(
        ACTIVATIONS, "output activation, by name; elu(0.25) sets a parameter", check_activation
    )
    sparsity: Axis[float] = setting(SPARSITIES, "chance that a feature is zero", check_sparsity)
    dropout: Axis[float] = setting(
        0.0,
        "chance that a hidden unit is dropped in training (inverted dropout on h)",
        real(0, 1, closed="left", hint="every hidden unit would be dropped; try 0.5"),
    )
    learning_rate: Axis[float] = setting(1e-3, "learning rate", real(0, closed="neither"))
    weight_decay: Axis[float] | None = setting(
        Omitted(),
        f"weight decay on W and b, {DECAY_HELP}; if omitted: that of the run folder, else "
        f"{DEFAULT_DECAYS}",
        real(),
    )
    importance_decay: Axis[float] = setting(
        0.7, "feature i has importance decay^i, i = 0, 1, ...", real(0, closed="neither")
    )
    n_features: Axis[int] = static(20, "number of features n", integer(1), axis=True)
    n_hidden: Axis[int] = static(5, "number of hidden units m", integer(1), axis=True)
    batch_size: Axis[int] = static(1024, "samples a step", integer(1), axis=True)
    steps: Axis[int] = static(10_000, "optimizer steps", integer(1), axis=True)
    optimizer: Axis[str] = static(
        "adamw",
        f"optimizer ({WITH_MOMENTUM} have --momentum); sgd(0.5) sets its own learning rate",
        check_optimizer,
        axis=True,
    )
    dtype: Axis[str] = static(
        "float32", "precision of weights and arithmetic", choice("float32", "float64"), axis=True
    )
    schedule: str = static("constant", "learning rate over the steps", choice(*SCHEDULES))
    momentum: float = static(0.9, f"momentum of {WITH_MOMENTUM}", real(0, 1, closed="left"))
    init: str = static(
        "xavier",
        "initial W: xavier per model, the notebook's stacked tensor, or normal with init_scale",
        choice("xavier", "notebook", "normal"),
    )
    init_scale: float = static(1.0, "standard deviation of init=normal", real(0, closed="neither"))
    init_instances: int = static(
        10, "number of stacked models whose scale init=notebook copies", integer(1)
    )
    init_bias_scale: float = static(
        0.0, "standard deviation of the initial b; 0: b starts at 0", real(0), later=True
    )
    tied: Axis[bool] = static(
        True,
        "the decoder is W transposed; false: it is a matrix W_dec of its own",
        flag,
        axis=True,
        later=True,
    )
    reduction: str = static(
        "mean",
        "what is trained on: the loss's mean over batch and features, or its sum; stored losses "
        "are means",
        choice("mean", "sum"),
        later=True,
    )
    shared_mask: bool = static(
        False,
        "one draw a feature and step makes it active in the whole batch or in none of it; the "
        "final loss is on samples drawn one by one",
        flag,
        later=True,
    )
    importance: tuple[float, ...] | None = static(
        None, "importance of every feature, instead of a decay", several(real(0), optional=True)
    )
    feature_sparsity: tuple[float, ...] | None = static(
        None, "sparsity of every feature, instead of one", several(check_sparsity, optional=True)
    )
    push: Axis[float] = setting(
        0.0, "bias of feature 0 is set to -push before step push_step; 0: left alone", real(0)
    )
    push_step: Axis[int] = static(
        0, "when push happens; 0: to a fresh model", integer(0), axis=True
    )
    watch: bool = static(
        False, "record feature 0's error, bias, its gradient and largest pre-activation", flag
    )
    check_fit: bool = static(
        True,
        "measure the loss after 90 % of the steps too, to find fits that still improve",
        flag,
        measured=True,
        since=2,
    )
    records: int = static(100, "points of the loss curve", integer(1, MAX_RECORDS))
    snapshots: tuple[int, ...] = static((), "steps after which W is kept too", several(integer(0)))

    def fill_in(self) -> None:
        """Set an omitted weight decay to the optimizers' default, where they share one."""
        decays = tuple({default_decay(text) for text in self.values("optimizer")})
        if isinstance(self.weight_decay, Omitted) and len(decays) == 1:
            self._set("weight_decay", Omitted(decays))

    def no_value(self, name: str) -> str:
        """Optimizers that differ in their weight decay cannot share an omitted one."""
        optimizers = self.values("optimizer")
        defaults = ", ".join(f"{default_decay(text):g} for {text}" for text in optimizers)
        return (
            f"{name} is omitted, and optimizer={', '.join(optimizers)} have different defaults "
            f"({defaults}): give one value for all of them, for example {name}=0"
        )

    def check(self) -> None:
        """Return the lists fit n_features, and do not contradict the axes that they replace."""
        self._check_list("importance", "importance_decay", (0.7,))
        self._check_list("feature_sparsity", "sparsity", SPARSITIES)
        if self.importance is not None and not any(self.importance):
            raise SpecError("importance is zero for every feature: there is nothing to learn")
        labels = [label(a) for a in self.values("activation")]
        for name, times in Counter(labels).items():
            if times > 1:
                raise SpecError(f"activation has {name!r} twice; give every function its own name")
        if len(set(self.snapshots)) < len(self.snapshots):
            raise SpecError(f"snapshots={list(self.snapshots)} has a step twice")
        fewest = min(self.values("steps"))
        latest = max(self.values("push_step"))
        if latest >= fewest:
            raise SpecError(f"push_step={latest} is not before the last of steps={fewest}")
        for step in self.snapshots:
            if step > fewest:
                raise SpecError(f"snapshots has step {step}, after the last of steps={fewest}")

    def check_new(self) -> None:
        """What cannot be drawn or represented, and a weight decay with which weights grow."""
        limits.check_new(self)

    def _check_list(self, name: str, replaced: str, default: tuple) -> None:
        values = getattr(self, name)
        if values is None:
            return
        sizes = self.values("n_features")
        if any(len(values) != n for n in sizes):
            raise SpecError(
                f"{name} has {len(values)} values but n_features is {', '.join(map(str, sizes))}; "
                "give one value per feature"
            )
        given = getattr(self, replaced)
        if given == default and len(given) > 1:  # left alone: one value stands for the list
            self._set(replaced, (sum(values) / len(values),))
        elif given != default and given != (sum(values) / len(values),):
            raise SpecError(f"{name} and {replaced} are both given; leave {replaced} out")

    def traced(self) -> Sweep:
        """The sweep with functions traced for all of its shapes; imports jax if it has any."""
        if not any(callable(a) for a in self.values("activation")):
            return self
        from jsuper.models.toy.functions import trace_sweep

        return trace_sweep(self)

    def notes(self) -> list[str]:
        """n_hidden > n_features, coarse draws and the like: said, not refused."""
        hidden, features = self.values("n_hidden"), self.values("n_features")
        pairs = [(m, n) for m in hidden for n in features if m > n]
        notes = [f"n_hidden={m} > n_features={n}: nothing needs to share" for m, n in pairs]
        if max(self.values("push_step")) > 0 and not any(self.values("push")):
            notes.append("push_step is given but push is 0: nothing is pushed")
        return notes + limits.notes(self)


def recorded_steps(steps: int, records: int) -> range:
    """Return the steps before whose update the loss of their batch is recorded."""
    return range(0, steps, -(-steps // records))


def earlier_step(steps: int) -> int:
    """The steps after which the loss is measured too, to see whether it still falls: 90 %."""
    return 9 * steps // 10


def layout(
    static: dict[str, Any], settings: Iterable[dict[str, Any]]
) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
    """Return result variable -> (its dimensions, its shape) for one model of a chunk."""
    n, m = static["n_features"], static["n_hidden"]
    variables: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
        "W": (("hidden", "feature"), (m, n)),
        "b": (("feature",), (n,)),
        "loss": ((), ()),
        "loss_stderr": ((), ()),
        "loss_over_constant": ((), ()),
        "loss_curve": (("step",), (len(recorded_steps(static["steps"], static["records"])),)),
    }
    if static.get("check_fit"):  # chunks of before have no such field, and no such variable
        variables |= dict.fromkeys(("improvement", "improvement_stderr"), ((), ()))
    if any(s["activation"] in GATED for s in settings):
        variables |= {"V": variables["W"], "c": variables["b"]}
    if not static.get("tied", True):  # folders of before have no such field
        variables["W_dec"] = variables["W"]
    if static.get("watch"):
        variables |= dict.fromkeys(WATCHED, variables["loss_curve"])
    if static["snapshots"]:
        shape = (len(static["snapshots"]), m, n)
        variables["W_snapshots"] = (("snapshot_step", "hidden", "feature"), shape)
    return variables


def coordinates(static: dict[str, Any]) -> dict[str, list[int]]:
    """Coordinates of the result's own dimensions, where a position is not enough."""
    return {
        "step": list(recorded_steps(static["steps"], static["records"])),
        "snapshot_step": list(static["snapshots"]),
    }


ATTRIBUTES = {
    "W": "weights; column i is the embedding of feature i; h = W x",
    "b": "output bias; x_hat = act(W^T h + b)",
    "W_dec": "decoder of a model with untied weights; x_hat = act(W_dec^T h + b)",
    "V": "second matrix of a gated decoder; x_hat = gate(W^T h + b) * (V^T h + c)",
    "c": "its bias",
    "loss": "mean over samples and features of importance_i (x_i - x_hat_i)^2 on a large sample, "
    "dropout off",
    "loss_stderr": "standard error of loss, same unit",
    "loss_over_constant": "loss over that of the best constant prediction, "
    "mean_i importance_i (p_i/3 - p_i^2/4), p = 1 - sparsity",
    "improvement": "1 - L(100 %)/L(90 %): relative fall of the loss over the last 10 % of the "
    "steps, on the same samples",
    "improvement_stderr": "standard error of improvement, from paired differences",
    "loss_curve": "loss of the training batch of a step, before that step's update",
    "W_snapshots": "W after so many steps",
    "unit_error": "mean of (x_0 - x_hat_0)^2 over the training batch, before the step's update",
    "unit_bias": "b_0 before the step's update",
    "unit_gradient": "gradient of the training batch's loss at b_0",
    "unit_peak": "largest pre-activation of feature 0 in the training batch",
}
HYPOTHESES = ("all", "self", "antipodal", "cluster", "subspaces", "random", "none")
KEPT = {"scrubbing": {"hypothesis": HYPOTHESES}}
SUMMARY = "loss_over_constant"
FINITE = ("W", "b", "loss", "loss_curve")  # a curve has NaN where steps were left out


def work(static: dict[str, Any]) -> tuple[float, float]:
    """(multiply-adds, elementwise passes) of one model-step: 5 contractions, 8 passes over x."""
    elements = float(static["n_features"] * static["batch_size"])
    return 5.0 * elements * static["n_hidden"], 8.0 * elements
