"""The optimizers that a sweep can name, with or without a learning rate of their own. No jax."""

from __future__ import annotations

from typing import Any

from jsuper.core.sweep import SpecError, choice, real

OPTIMIZERS = ("adamw", "adam", "sgd", "sgdw", "rmsprop")
# The weight decay of an optimizer where none is given. 0.01 is that of torch.optim.AdamW, whose
# decay is decoupled: it is not divided by the size of the gradients. In the gradient (adam, sgd,
# rmsprop) 0.01 exceeds the gradient of a sparse feature and removes it: 0 of 20 features remain at
# sparsity .99, and 20 with 0. Of sgdw it is decoupled too, but its gradients are not normalised
# either, and the same 20 features are lost.
DECAYS = dict.fromkeys(OPTIMIZERS, 0.0) | {"adamw": 0.01}
DECAY_HELP = (
    "decoupled from the gradient for adamw and sgdw, in the gradient (L2) for adam, sgd and rmsprop"
)


def check_optimizer(name: str, value: Any) -> str:
    """Return an optimizer, or one with a learning rate of its own: `sgd` or `sgd(0.5)`."""
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


def default_decays(optimizers: tuple[str, ...]) -> tuple[float, ...]:
    """Return the weight decays that the optimizers have where none is given, each once."""
    return tuple(dict.fromkeys(DECAYS[split_optimizer(o)[0]] for o in optimizers))


def split_optimizer(text: str) -> tuple[str, str | None]:
    """('sgd', '0.5') of `sgd(0.5)`; ('sgd', None) of `sgd`."""
    name, bracket, rest = text.strip().partition("(")
    if not bracket:
        return name, None
    rate, closed, after = rest.partition(")")
    return name.strip(), rate.strip() if closed and not after else f"({rest}"
