"""The optimizers that a sweep can name, with or without a learning rate of their own. No jax."""

from __future__ import annotations

from typing import Any

from jsuper.spec import SpecError, choice, real

OPTIMIZERS = ("adamw", "adam", "sgd", "sgdw", "rmsprop")


def check_optimizer(name: str, value: Any) -> str:
    """An optimizer, or one with a learning rate of its own: `sgd` or `sgd(0.5)`."""
    if not isinstance(value, str):
        return choice(*OPTIMIZERS)(name, value)
    optimizer, rate = split_optimizer(value)
    choice(*OPTIMIZERS)(name, optimizer)
    if rate is None:
        return optimizer
    try:
        number = real(0, closed="neither")(name, float(rate))
    except ValueError as error:
        raise SpecError(
            f"{name}={value!r}: {rate!r} is no learning rate > 0; write for example "
            f"{optimizer}(0.5)"
        ) from error
    return f"{optimizer}({repr(number).removesuffix('.0')})"


check_optimizer.metavar = "NAME"  # type: ignore[attr-defined]


def split_optimizer(text: str) -> tuple[str, str | None]:
    """('sgd', '0.5') of `sgd(0.5)`; ('sgd', None) of `sgd`."""
    name, bracket, rest = text.strip().partition("(")
    if not bracket:
        return name, None
    rate, closed, after = rest.partition(")")
    return name.strip(), rate.strip() if closed and not after else f"({rest}"
