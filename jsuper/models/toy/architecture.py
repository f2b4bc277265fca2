"""What a toy model may have besides W and b: hidden layer, target, loss. Names and checks, no jax.

    h = M f(W x + b_hidden) + noise,   z = W_decᵀ h + b,   x̂ = act(z),   loss of x̂ and y = target(x)

The default is the plain model: f and target are the identity, M = 1, no hidden bias, no noise, and
the squared error. `network.py` and `losses.py` have the functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jsuper.core.checks import Check
from jsuper.core.errors import SpecError
from jsuper.core.suggestions import not_one_of

IDENTITY = "identity"
MAPS = ("none", "identity", "orthogonal", "trained")
NOISES = ("normal", "uniform", "sign")
TARGETS = ("identity", "abs", "relu", "square", "and_pairs")
LOSSES = ("squared", "lp", "active_only", "cross_entropy")
ENCODERS = ("trained", "fixed(orthogonal)", "fixed(gaussian)")
FIXED_MAPS = ("identity", "orthogonal")
DEFAULTS = {
    "hidden_activation": IDENTITY,
    "hidden_bias": False,
    "hidden_map": "none",
    "hidden_noise": "none",
    "encoder": "trained",
    "normalize_columns": False,
    "target": IDENTITY,
    "loss_function": "squared",
}
"""Static field -> value of the plain model."""

_NUMBERED = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*")


@dataclass(frozen=True)
class Architecture:
    """What changes the program of a model; the default is the plain one."""

    hidden_activation: str | Callable = IDENTITY
    hidden_bias: bool = False
    hidden_map: str = "none"
    hidden_noise: str = "none"  # the law; its scale is traced
    encoder: str = "trained"
    normalize_columns: bool = False
    target: str | Callable = IDENTITY
    loss_function: str = "squared"
    penalized: bool = False  # whether any model has hidden_l1 > 0

    @property
    def is_plain(self) -> bool:
        """Whether x̂ = act(Wᵀ W x + b) is trained on the squared error, and nothing is added."""
        return self == PLAIN

    @property
    def has_plain_loss(self) -> bool:
        """Whether the loss is the squared error of the features themselves."""
        return self.target == IDENTITY and self.loss_function == "squared"

    @property
    def is_plain_after_training(self) -> bool:
        """Whether h = W x and the loss is the squared error of the features themselves."""
        linear = (self.hidden_activation, self.hidden_bias, self.hidden_map) == (
            IDENTITY,
            False,
            "none",
        )
        return linear and self.has_plain_loss

    @property
    def fixed(self) -> tuple[str, ...]:
        """Names of the parameters that are not trained."""
        encoder = ("W",) if self.encoder != "trained" else ()
        return encoder + (("M",) if self.hidden_map in FIXED_MAPS else ())


PLAIN = Architecture()


def architecture_of(values: Mapping[str, Any], penalized: bool = False) -> Architecture:
    """Return the architecture that static values state; older chunks lack some of them."""
    found: dict[str, Any] = {name: values.get(name, default) for name, default in DEFAULTS.items()}
    found["hidden_noise"] = noise_of(found["hidden_noise"])[0]
    return Architecture(**found, penalized=penalized)


def differs_at_zero(values: Mapping[str, Any], dropout: float) -> bool:
    """Return whether samples without an active feature can have different losses.

    Noise differs from sample to sample, and so does a dropout mask on hidden units that are not 0.
    """
    if values.get("hidden_noise", "none") != "none":
        return True
    nonzero = values.get("hidden_bias") or values.get("hidden_activation", IDENTITY) != IDENTITY
    return bool(dropout and nonzero)


def noise_of(text: str) -> tuple[str, float]:
    """Return the law and the scale of `normal(0.1)`; ("none", 0) without noise."""
    match = _NUMBERED.fullmatch(text)
    return (match[1], float(match[2])) if match else (text, 0.0)


def power_of(text: str) -> float:
    """Return p of the loss `lp(p)`."""
    match = _NUMBERED.fullmatch(text)
    return float(match[2]) if match else 2.0


def _numbered(name: str, value: str, known: tuple[str, ...], least: float, example: str) -> str:
    """Return the canonical text of `law(number)` with number > `least`, or >= 1 for `lp`."""
    match = _NUMBERED.fullmatch(value)
    law = match[1] if match else value.strip()
    if law not in known:
        texts = ["none", *(f"{k}(0.1)" for k in known)]
        raise SpecError(not_one_of(f"{name}={value!r} is not known", law, texts, "it is one of"))
    try:
        number = float(match[2]) if match else float("nan")
    except ValueError:
        number = float("nan")
    if not least <= number < float("inf") or (least == 0 and number == 0):
        allowed = f">= {least:g}" if least else "> 0"
        raise SpecError(f"{name}={value!r} needs a number {allowed}; write for example {example}")
    return f"{law}({repr(number).removesuffix('.0')})"


def _check_text(name: str, value: Any, example: str) -> str:
    if not isinstance(value, str):
        raise SpecError(f"{name}={value!r} is not a name; try {example!r}")
    return value.strip()


def _check_noise(name: str, value: Any) -> str:
    text = _check_text(name, value, "normal(0.1)")
    return text if text == "none" else _numbered(name, text, NOISES, 0.0, "normal(0.1)")


def _check_loss(name: str, value: Any) -> str:
    text = _check_text(name, value, "squared")
    if text in LOSSES and text != "lp":
        return text
    law = text.partition("(")[0].strip()
    if law not in LOSSES:
        known = ("squared", "lp(4)", "active_only", "cross_entropy")
        raise SpecError(not_one_of(f"{name}={value!r} is not known", law, known, "it is one of"))
    if law != "lp":
        raise SpecError(f"{name}={value!r}: {law} takes no number; write {law!r}")
    return _numbered(name, text, ("lp",), 1.0, "lp(4)")


def _check_encoder(name: str, value: Any) -> str:
    text = _check_text(name, value, "fixed").replace(" ", "")
    text = {"fixed": "fixed(orthogonal)"}.get(text, text)
    if text not in ENCODERS:
        raise SpecError(
            not_one_of(f"{name}={value!r} is not known", text, ENCODERS, "it is one of")
        )
    return text


check_noise = Check(_check_noise, "NAME")
"""The check of `none`, or of a law with its scale: `normal(0.1)`."""
check_loss = Check(_check_loss, "NAME")
"""The check of a loss: `squared`, `lp(4)`, `active_only` or `cross_entropy`."""
check_encoder = Check(_check_encoder, "NAME")
"""The check of `trained`, `fixed(orthogonal)`, which is also `fixed`, or `fixed(gaussian)`."""
