"""Learning rates, momenta and weight decays that floating-point numbers turn into something else.

Imports no jax.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jsuper.core.errors import SpecError
from jsuper.core.limits import check_representable
from jsuper.core.sweep import BaseSweep
from jsuper.training.optimizer_texts import learning_rate_of, momentum_of

LEAST_MOTION = 1e-6  # learning rate times steps below which the weights keep their initial values


def check_training(sweep: BaseSweep) -> None:
    """Raise SpecError for a learning rate, momentum or weight decay that prevents learning.

    Large learning rates are allowed: models that diverge are found and reported.

    Parameters
    ----------
    sweep
        Has the fields optimizer, learning_rate, weight_decay, momentum and dtype.
    """
    # Not `sweep.values`: an omitted weight decay may have no value yet.
    decays = sweep.weight_decay  # type: ignore[attr-defined]
    for decay in decays:
        if decay < 0:
            raise SpecError(
                f"weight_decay={decay:g} is below 0: every step makes the weights larger, without "
                "bound; give 0 or more"
            )
    for dtype in sweep.values_of("dtype"):
        for name, momentum in _momenta(sweep):
            check_representable(name, momentum, dtype)
            if np.dtype(dtype).type(momentum) >= 1:
                raise SpecError(
                    f"{name}={momentum!r} is 1 in {dtype}: steps would add up without bound; give "
                    "0.99, for example"
                )
        for decay in decays:
            check_representable("weight_decay", decay, dtype)
    for name, rate in learning_rates(sweep):
        for dtype in sweep.values_of("dtype"):
            check_representable(name, rate, dtype)


def _momenta(sweep: BaseSweep) -> Iterator[tuple[str, float]]:
    """Yield (where it is given, momentum) for the field, and for optimizers that set another."""
    field: float = sweep.momentum  # type: ignore[attr-defined]
    yield "momentum", field
    for text in sweep.values_of("optimizer"):
        momentum = momentum_of(text, field)
        if momentum is not None and momentum != field:
            yield f"optimizer={text!r}: its momentum", momentum


def learning_rates(sweep: BaseSweep) -> Iterator[tuple[str, float]]:
    """Yield (where it is given, learning rate) for every learning rate of a sweep."""
    for rate in sweep.values_of("learning_rate"):
        yield "learning_rate", rate
    for text in sweep.values_of("optimizer"):
        rate = learning_rate_of(text, None)
        if rate is not None:
            yield f"optimizer={text!r}: its learning rate", rate


def training_notes(sweep: BaseSweep) -> list[str]:
    """Return notes on learning rates so small that the weights hardly move."""
    steps, notes = max(sweep.values_of("steps")), []
    for name, rate in learning_rates(sweep):
        if rate * steps < LEAST_MOTION:
            notes.append(
                f"{name}={rate:g} times steps={steps:,} is {rate * steps:.1g}: the weights hardly "
                "leave their initial values"
            )
    return list(dict.fromkeys(notes))
