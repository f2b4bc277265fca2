"""Optimizers by name: update rules, their arguments, and default weight decays.

The conventions are PyTorch's. To add an optimizer, write its factory and one entry of `OPTIMIZERS`;
checks, arguments, defaults and help texts are derived from that table. Other names are optax's, see
`optax_names`.

Names are checked before JAX is imported, so a factory imports optax when it is called. Rates may
be traced: a model's learning rate is a number, not part of the program.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from jsuper.training import optax_names
from jsuper.training.calls import settable

if TYPE_CHECKING:
    import jax
    import optax

    Number = float | jax.Array


# ---------------------------------------------------------------------------------- update rules
#
# `mask` selects the parameters that decay, as in optax; None: all of them.


def adamw(
    learning_rate: Number,
    weight_decay: Number,
    *,
    mask: Any = None,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    nesterov: bool = False,
) -> optax.GradientTransformation:
    """θ ← θ - η (m̂ / (√v̂ + ε) + λ θ): decay decoupled from the gradient.

    Source: Loshchilov and Hutter (2019), "Decoupled Weight Decay Regularization",
    <https://arxiv.org/abs/1711.05101>; torch.optim.AdamW.
    """
    import optax

    return optax.adamw(
        learning_rate,
        b1,
        b2,
        eps,
        eps_root,
        weight_decay=weight_decay,
        mask=mask,
        nesterov=nesterov,
    )


def adam(
    learning_rate: Number,
    weight_decay: Number,
    *,
    mask: Any = None,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    nesterov: bool = False,
) -> optax.GradientTransformation:
    """θ ← θ - η m̂ / (√v̂ + ε) of the gradient g + λ θ.

    Source: Kingma and Ba (2015), "Adam: A Method for Stochastic Optimization",
    <https://arxiv.org/abs/1412.6980>; torch.optim.Adam (its weight decay is coupled).
    """
    import optax

    return optax.chain(
        optax.add_decayed_weights(weight_decay, mask),
        optax.adam(learning_rate, b1, b2, eps, eps_root, nesterov=nesterov),
    )


def sgd(
    learning_rate: Number,
    weight_decay: Number,
    momentum: float,
    *,
    mask: Any = None,
    nesterov: bool = False,
) -> optax.GradientTransformation:
    """v ← μ v + g + λ θ; θ ← θ - η v. Source: torch.optim.SGD."""
    import optax

    return optax.chain(
        optax.add_decayed_weights(weight_decay, mask),
        optax.sgd(learning_rate, momentum, nesterov),
    )


def sgdw(
    learning_rate: Number,
    weight_decay: Number,
    momentum: float,
    *,
    mask: Any = None,
    nesterov: bool = False,
) -> optax.GradientTransformation:
    """v ← μ v + g; θ ← θ - η (v + λ θ): decay decoupled.

    Source: Loshchilov and Hutter (2019), "Decoupled Weight Decay Regularization",
    <https://arxiv.org/abs/1711.05101>.
    """
    import optax

    return optax.chain(
        optax.trace(momentum, nesterov),
        optax.add_decayed_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )


def rmsprop(
    learning_rate: Number,
    weight_decay: Number,
    *,
    mask: Any = None,
    decay: float = 0.99,
    eps: float = 1e-8,
    centered: bool = False,
) -> optax.GradientTransformation:
    """v ← ρ v + (1 - ρ) g²; θ ← θ - η g / (√v + ε), g with λ θ. Source: torch.optim.RMSprop."""
    import optax

    return optax.chain(
        optax.add_decayed_weights(weight_decay, mask),
        optax.rmsprop(learning_rate, decay, eps, eps_in_sqrt=False, centered=centered),
    )


# ----------------------------------------------------------------------------------------- table


class Optimizer(NamedTuple):
    """One optimizer and its conventions."""

    make: Callable[..., optax.GradientTransformation]
    """make(learning_rate, weight_decay), and `momentum` as a third argument if `has_momentum`; then
    further keyword arguments, and `mask`"""
    default_decay: float = 0.0
    """weight decay of a sweep of toy models that gives none"""
    decoupled: bool = False
    """whether the decay is applied to the weights instead of being added to the gradient"""
    has_momentum: bool = False
    of_optax: Callable | None = None
    """the function of optax that states the arguments, for optimizers outside of the table"""

    @property
    def arguments(self) -> dict[str, inspect.Parameter]:
        """The numbers and flags that its text may set, besides the learning rate."""
        return settable(self.of_optax or self.make, apart=("learning_rate", "weight_decay"))

    @property
    def has_mask(self) -> bool:
        """Whether the decay may be that of some parameters only."""
        if self.of_optax is not None and optax_names.has_decay(self.of_optax):
            return optax_names.mask_name(self.of_optax) is not None
        return "mask" in inspect.signature(self.make).parameters


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
NAMES = ", ".join(OPTIMIZERS)
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
DEFAULT_DECAYS += "optax's for other names that decouple it, 0 for the others"
