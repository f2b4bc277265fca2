"""Optimizers by name, as optax transformations that follow PyTorch's conventions.

Hyper-parameters may be traced: a model's learning rate is a number, not part of the program.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

Number = float | jax.Array


def adamw(
    learning_rate: Number, weight_decay: Number, momentum: float
) -> optax.GradientTransformation:
    """θ ← θ - η (m̂ / (√v̂ + 1e-8) + λ θ), β = (.9, .999): decay decoupled from the gradient.

    Source: Loshchilov and Hutter 2019; torch.optim.AdamW.
    """
    del momentum
    return optax.adamw(learning_rate, b1=0.9, b2=0.999, eps=1e-8, weight_decay=weight_decay)


def adam(
    learning_rate: Number, weight_decay: Number, momentum: float
) -> optax.GradientTransformation:
    """θ ← θ - η m̂ / (√v̂ + 1e-8) of the gradient g + λ θ, β = (.9, .999).

    Source: Kingma and Ba 2015; torch.optim.Adam (its weight decay is coupled).
    """
    del momentum
    return optax.chain(
        optax.add_decayed_weights(weight_decay), optax.adam(learning_rate, b1=0.9, b2=0.999)
    )


def sgd(
    learning_rate: Number, weight_decay: Number, momentum: float
) -> optax.GradientTransformation:
    """v ← μ v + g + λ θ; θ ← θ - η v. Source: torch.optim.SGD."""
    return optax.chain(
        optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum=momentum)
    )


def sgdw(
    learning_rate: Number, weight_decay: Number, momentum: float
) -> optax.GradientTransformation:
    """v ← μ v + g; θ ← θ - η (v + λ θ): decay decoupled. Source: Loshchilov and Hutter 2019."""
    return optax.chain(
        optax.trace(momentum),
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )


def rmsprop(
    learning_rate: Number, weight_decay: Number, momentum: float
) -> optax.GradientTransformation:
    """v ← .99 v + .01 g²; θ ← θ - η g / (√v + 1e-8), g with λ θ. Source: torch.optim.RMSprop."""
    del momentum
    return optax.chain(
        optax.add_decayed_weights(weight_decay),
        optax.rmsprop(learning_rate, decay=0.99, eps=1e-8, eps_in_sqrt=False),
    )


REGISTRY = {"adamw": adamw, "adam": adam, "sgd": sgd, "sgdw": sgdw, "rmsprop": rmsprop}


def schedule(name: str, step: jax.Array, steps: int) -> Number:
    """The factor of the learning rate at a step, as the notebook of Elhage et al. 2022 offers it.

    constant: 1; linear: 1 - step/steps; cosine: cos(π/2 · step/(steps - 1)).
    """
    if name == "linear":
        return 1.0 - step / steps
    if name == "cosine":
        return jnp.cos(0.5 * jnp.pi * step / max(steps - 1, 1))
    return 1.0
