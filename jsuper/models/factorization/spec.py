"""A sweep of factorizations: its fields, their checks, and its results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from jsuper.core.checks import MAX_RECORDS, choice, integer, real
from jsuper.core.errors import SpecError
from jsuper.core.fields import Axis, setting, static
from jsuper.core.grid import Setting, Static
from jsuper.core.limits import check_representable, rounding_notes, settings_of_numbers
from jsuper.core.sweep import BaseSweep
from jsuper.training.limits import check_training, training_notes
from jsuper.training.optimizer_texts import check_optimizer, learning_rate_of, momentum_of
from jsuper.training.optimizers import DECAY_HELP, NAMES, WITH_MOMENTUM

FASTEST = 0.2  # learning rate times strength, above which plain descent leaves the gradient flow


@dataclass(frozen=True, kw_only=True)
class Sweep(BaseSweep):
    """A grid of Z = Σ_k a_k b_kᵀ, K learned pairs, toward C = Σ_r s_r u_r v_rᵀ of rank R.

    Fields with several values become axes. Defaults: d = 100, one pair, plain descent on the
    squared error without weight decay: the setting of Jermyn and Shlegeris (2022), "Multi-Component
    Learning and S-Curves", <https://www.lesswrong.com/posts/RKDQCB6smLWgs2Mhr>, who give no
    learning rate, scale or number of steps.
    """

    model: ClassVar[str] = "factorization"
    main_axes: ClassVar[tuple[str, ...]] = ("rank", "pairs")

    rank: Axis[int] = static(1, "rank R of the target", integer(1), axis=True)
    pairs: Axis[int] = static(1, "number of learned pairs K", integer(1), axis=True)
    objective: Axis[str] = static(
        "squared",
        "squared: half the sum of squared errors; cross_entropy: all entries of Z as the logits of "
        "one softmax, its gradient times their number",
        choice("squared", "cross_entropy"),
        axis=True,
    )
    optimizer: Axis[str] = static(
        "sgd",
        f"optimizer: {NAMES}, or another one of optax; adam(0.001) sets its own learning rate, "
        "adam(b1=0.5) another number",
        check_optimizer,
        axis=True,
    )
    learning_rate: Axis[float] = setting(5e-3, "learning rate", real(0, closed="neither"))
    weight_decay: Axis[float] = setting(
        0.0,
        f"weight decay λ, {DECAY_HELP}; 0 by default for all of them",
        real(0),
    )
    init_scale: Axis[float] = setting(
        0.1, "standard deviation of the initial entries", real(0, closed="neither")
    )
    strength: Axis[float] = setting(
        1.0, "strength s of the target's first pair", real(0, closed="neither")
    )
    strength_ratio: Axis[float] = setting(
        1.0,
        "the target's pair r has strength s ratio^r, r = 0, 1, ...",
        real(0, 1, closed="right", hint="1 makes all equal"),
    )
    size: Axis[int] = static(100, "size d of the d x d target", integer(1), axis=True)
    steps: Axis[int] = static(5000, "optimizer steps", integer(1), axis=True)
    dtype: Axis[str] = static(
        "float32", "precision of weights and arithmetic", choice("float32", "float64"), axis=True
    )
    target: str = static(
        "orthonormal",
        "orthonormal: random orthonormal u_r and v_r; mixture: C is strength times a mixture of R "
        "products of random distributions",
        choice("orthonormal", "mixture"),
    )
    probabilities: str = static(
        "softmax",
        "of cross_entropy: softmax of C, or C itself where it is a distribution",
        choice("softmax", "itself"),
    )
    init: str = static(
        "normal",
        "normal: independent entries; balanced: a and b have the same Gram matrix",
        choice("normal", "balanced"),
    )
    momentum: float = static(0.0, f"momentum of {WITH_MOMENTUM}", real(0, 1, closed="left"))
    records: int = static(
        100, "points of the curves, besides the last step", integer(1, MAX_RECORDS)
    )
    spacing: str = static("even", "of the recorded steps", choice("even", "log"))

    def check(self) -> None:
        """Raise SpecError if the rank exceeds the size, or the target is not a distribution."""
        rank, size = max(self.values_of("rank")), min(self.values_of("size"))
        if rank > size:
            raise SpecError(
                f"rank={rank} is above size={size}: a matrix of {size} x {size} has rank {size} at "
                "most; give a smaller rank or a larger size"
            )
        if self.probabilities == "itself":
            self._check_distribution()

    def check_new(self) -> None:
        """Raise SpecError for values that the dtype cannot represent."""
        check_training(self)
        for dtype in self.values_of("dtype"):
            for name in ("init_scale", "strength", "strength_ratio"):
                for value in self.values_of(name):
                    check_representable(name, value, dtype)
            for strength in self.values_of("strength"):
                check_representable(f"strength={strength:g}: its square", strength**2, dtype)
                for ratio in self.values_of("strength_ratio"):
                    last = strength * ratio ** (max(self.values_of("rank")) - 1)
                    check_representable("strength x strength_ratio^(rank - 1)", last, dtype)
                    if last == 0:
                        raise SpecError(
                            f"strength_ratio={ratio:g} makes the target's last pair 0 in {dtype}; "
                            "give a larger ratio or a smaller rank"
                        )

    def _check_distribution(self) -> None:
        if "cross_entropy" not in self.values_of("objective"):
            raise SpecError(
                "probabilities='itself' needs objective=cross_entropy, which this sweep lacks; "
                "leave it out, or add --objective cross_entropy"
            )
        if self.target != "mixture":
            raise SpecError(
                f"probabilities='itself' needs a target that is a distribution, but target="
                f"{self.target!r} has entries below zero; use target=mixture, or "
                "probabilities=softmax"
            )
        if self.values_of("strength") != (1.0,):
            raise SpecError(
                f"probabilities='itself' needs strength=1, at which a mixture's entries sum to 1, "
                f"not {', '.join(f'{s:g}' for s in self.values_of('strength'))}; or use "
                "probabilities=softmax"
            )

    def notes(self) -> list[str]:
        """Return notes on fewer pairs than the rank, large learning rates, and more."""
        notes = [
            f"pairs={k} < rank={r}: the target is out of reach"
            for r in self.values_of("rank")
            for k in self.values_of("pairs")
            if k < r
        ]
        rates = [
            learning_rate_of(optimizer, rate)
            for optimizer in self.values_of("optimizer")
            if momentum_of(optimizer, self.momentum) is not None
            for rate in self.values_of("learning_rate")
        ]
        step = max(self.values_of("strength")) * max(rates, default=0)
        if step > FASTEST:
            notes.append(
                f"learning rate times strength is {step:g}: plain descent follows the gradient "
                f"flow below {FASTEST:g}, and diverges above about 1"
            )
        for name in settings_of_numbers(self):
            notes += rounding_notes(self, name, lambda v: v)
        return notes + training_notes(self)


def recorded_steps(static: Static) -> list[int]:
    """Return the steps after which curves are recorded, including 0 and the last."""
    steps, records = static["steps"], static["records"]
    if static["spacing"] == "even":
        return [*range(0, steps, -(-steps // records)), steps]
    spaced = np.geomspace(1, steps, records) if records > 1 else [steps]
    return sorted({0, *np.round(spaced).astype(int).tolist()})


def layout(
    static: Static, settings: Iterable[Setting]
) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
    """Return variable -> (dimensions, shape) for one model of a chunk."""
    del settings
    d, R, K = static["size"], static["rank"], static["pairs"]
    T = len(recorded_steps(static))
    return {
        "A": (("pair", "coordinate"), (K, d)),
        "B": (("pair", "coordinate"), (K, d)),
        "strengths": (("component",), (R,)),
        "loss": ((), ()),
        "zero_loss": ((), ()),
        "loss_over_zero": ((), ()),
        "loss_curve": (("step",), (T,)),
        "time": (("step",), (T,)),
        "alignment": (("component", "pair", "step"), (R, K, T)),
        "norm_inside": (("side", "step"), (2, T)),
        "norm_outside": (("side", "step"), (2, T)),
        "singular_values": (("mode", "step"), (min(K, d), T)),
    }


def coordinates(static: Static) -> dict[str, list]:
    """Return the coordinates of dimensions that are not 0, 1, 2, ..."""
    return {"step": recorded_steps(static), "side": ["A", "B"]}


ATTRIBUTES = {
    "A": "learned vectors a_k, a row each; Z = sum over k of a_k b_k^T",
    "B": "learned vectors b_k, a row each",
    "strengths": "s_r: singular values of the target, or of the logits that are its distribution",
    "loss": "after the last step: half the sum of squared errors, or the KL divergence in nats",
    "zero_loss": "loss of Z = 0",
    "loss_over_zero": "loss / zero_loss",
    "loss_curve": "loss after each recorded step",
    "time": "steps x learning rate / (1 - momentum): time of the gradient flow for sgd and sgdw, a "
    "label for others; of cross_entropy it is the flow's time over the number of logits",
    "alignment": "(unit u_r . a_k)(unit v_r . b_k): the part of pair k in component r; summed over "
    "k it is u_r^T Z v_r, and s_r where the component is learned",
    "norm_inside": "sum over k of |a_k|^2 (side A; B: |b_k|^2) within the span of the u_r (v_r)",
    "norm_outside": "the same outside the span",
    "singular_values": "of Z, descending",
}
SUMMARY = "loss_over_zero"
FINITE = ("A", "B", "strengths", "loss", "loss_curve")


OPERATIONS = 250_000.0  # elements that take as long as the overhead of some twenty operations
SOFTMAX = 150.0  # the same for the softmax of a logit, its gradient, and the target's


def work(static: Static) -> tuple[float, float]:
    """Return a step's multiply-adds and elementwise work."""
    d, R, K = static["size"], static["rank"], static["pairs"]
    own = OPERATIONS + 12.0 * d * K
    if static["objective"] == "squared":
        return 4.0 * d * K * (K + R), own
    return 3.0 * d * d * K, SOFTMAX * d * d + own
