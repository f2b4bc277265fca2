"""Optimizers by name: update rule, default weight decay, and the notation `sgd(0.5)`.

The conventions are PyTorch's. To add an optimizer, write its factory and one entry of `OPTIMIZERS`;
checks, defaults and help texts are derived from that table.

Names are checked before JAX is imported, so a factory imports optax when it is called.
Hyper-parameters may be traced: a model's learning rate is a number, not part of the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from jsuper.core.checks import Check, choice, real
from jsuper.core.errors import SpecError

if TYPE_CHECKING:
    import jax
    import optax

    Number = float | jax.Array


# ---------------------------------------------------------------------------------- update rules


def adamw(learning_rate: Number, weight_decay: Number) -> optax.GradientTransformation:
    """θ ← θ - η (m̂ / (√v̂ + 1e-8) + λ θ), β = (.9, .999): decay decoupled from the gradient.

    Source: Loshchilov and Hutter 2019; torch.optim.AdamW.
    """
    import optax

    return optax.adamw(learning_rate, b1=0.9, b2=0.999, eps=1e-8, weight_decay=weight_decay)


def adam(learning_rate: Number, weight_decay: Number) -> optax.GradientTransformation:
    """θ ← θ - η m̂ / (√v̂ + 1e-8) of the gradient g + λ θ, β = (.9, .999).

    Source: Kingma and Ba 2015; torch.optim.Adam (its weight decay is coupled).
    """
    import optax

    return optax.chain(
        optax.add_decayed_weights(weight_decay), optax.adam(learning_rate, b1=0.9, b2=0.999)
    )


def sgd(
    learning_rate: Number, weight_decay: Number, momentum: float
) -> optax.GradientTransformation:
    """v ← μ v + g + λ θ; θ ← θ - η v. Source: torch.optim.SGD."""
    import optax

    return optax.chain(
        optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum=momentum)
    )


def sgdw(
    learning_rate: Number, weight_decay: Number, momentum: float
) -> optax.GradientTransformation:
    """v ← μ v + g; θ ← θ - η (v + λ θ): decay decoupled. Source: Loshchilov and Hutter 2019."""
    import optax

    return optax.chain(
        optax.trace(momentum),
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )


def rmsprop(learning_rate: Number, weight_decay: Number) -> optax.GradientTransformation:
    """v ← .99 v + .01 g²; θ ← θ - η g / (√v + 1e-8), g with λ θ. Source: torch.optim.RMSprop."""
    import optax

    return optax.chain(
        optax.add_decayed_weights(weight_decay),
        optax.rmsprop(learning_rate, decay=0.99, eps=1e-8, eps_in_sqrt=False),
    )


# ----------------------------------------------------------------------------------------- table


class Optimizer(NamedTuple):
    """One optimizer and its conventions."""

    make: Callable[..., optax.GradientTransformation]
    """make(learning_rate, weight_decay), and `momentum` as a third argument if `has_momentum`"""
    default_decay: float = 0.0
    """weight decay of a sweep of toy models that gives none"""
    decoupled: bool = False
    """whether the decay is applied to the weights instead of being added to the gradient"""
    has_momentum: bool = False


# The default of 0.01 is torch.optim.AdamW's, whose decay is decoupled: it is not divided by the
# size of the gradients. Added to the gradient (adam, sgd, rmsprop), 0.01 exceeds the gradient of a
# sparse feature and removes it: at sparsity .99, 0 of 20 features remain, compared with 20 without
# decay. The decay of sgdw is decoupled too, but its gradients are not normalised, and the same 20
# features are lost.
OPTIMIZERS = {
    "adamw": Optimizer(adamw, default_decay=0.01, decoupled=True),
    "adam": Optimizer(adam),
    "sgd": Optimizer(sgd, has_momentum=True),
    "sgdw": Optimizer(sgdw, decoupled=True, has_momentum=True),
    "rmsprop": Optimizer(rmsprop),
}


def _names(where: Callable[[Optimizer], bool]) -> str:
    """Return the names of the optimizers that fulfil a condition: `adam, sgd and rmsprop`."""
    names = [name for name, optimizer in OPTIMIZERS.items() if where(optimizer)]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


# Parts of help texts.
WITH_MOMENTUM = _names(lambda optimizer: optimizer.has_momentum)
DECAY_HELP = (
    f"decoupled from the gradient for {_names(lambda optimizer: optimizer.decoupled)}, in the "
    f"gradient (L2) for {_names(lambda optimizer: not optimizer.decoupled)}"
)
DEFAULT_DECAYS = "".join(
    f"{optimizer.default_decay:g} for {name}, "
    for name, optimizer in OPTIMIZERS.items()
    if optimizer.default_decay
)
DEFAULT_DECAYS += "0 for the others"


# -------------------------------------------------------------------- a sweep's optimizers by name


def _check_optimizer(name: str, value: Any) -> str:
    is_known = choice(*OPTIMIZERS)
    if not isinstance(value, str):
        return is_known(name, value)
    optimizer, rate = split_optimizer(value)
    is_known(name, optimizer)
    if rate is None:
        return optimizer
    try:
        number = real(0, closed="neither")(name, float(rate))
    except ValueError as error:
        raise SpecError(
            f"{name}={value!r}: {rate!r} is not a learning rate > 0; write for example "
            f"{optimizer}(0.5)"
        ) from error
    return f"{optimizer}({repr(number).removesuffix('.0')})"


check_optimizer = Check(_check_optimizer, "NAME")
"""The check of `sgd`, or of `sgd(0.5)`, which sets its own learning rate."""


def split_optimizer(text: str) -> tuple[str, str | None]:
    """Return ("sgd", "0.5") for `sgd(0.5)`, and ("sgd", None) for `sgd`."""
    name, bracket, rest = text.strip().partition("(")
    if not bracket:
        return name, None
    rate, closed, after = rest.partition(")")
    return name.strip(), rate.strip() if closed and not after else f"({rest}"


def default_decay(text: str) -> float:
    """Return the weight decay of an optimizer for which a sweep gives none."""
    return OPTIMIZERS[split_optimizer(text)[0]].default_decay


def learning_rate_of(text: str, default: Number) -> Number:
    """Return the learning rate that an optimizer's text sets, as `sgd(0.5)` does, or `default`."""
    rate = split_optimizer(text)[1]
    return default if rate is None else float(rate)


def make_optimizer(
    text: str, learning_rate: Number, weight_decay: Number, momentum: float
) -> optax.GradientTransformation:
    """Build the optax transformation of an optimizer; a learning rate in `text` is ignored."""
    optimizer = OPTIMIZERS[split_optimizer(text)[0]]
    if optimizer.has_momentum:
        return optimizer.make(learning_rate, weight_decay, momentum)
    return optimizer.make(learning_rate, weight_decay)
