"""The optimizers of optax and optax.contrib that are known by their names alone.

Importing this module imports no optax. A name is looked up, and tried, when it is checked.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jsuper.core.errors import SpecError
from jsuper.training.calls import Value

if TYPE_CHECKING:
    import optax

MASKS = ("mask", "weight_decay_mask")  # optax's names for which parameters decay
_LOSS = "its update needs the loss of the step or its derivatives, not the gradient alone"
_AVERAGE = "the weights to evaluate are not those that it trains"
_NOISE = "its noise has a separate key, which would be the same for all seeds"
REFUSED = {
    "lbfgs": _LOSS,
    "polyak_sgd": _LOSS,
    "momo": _LOSS,
    "momo_adam": _LOSS,
    "sophia": _LOSS,
    "sam": _LOSS,
    "schedule_free": _AVERAGE,
    "schedule_free_adamw": _AVERAGE,
    "schedule_free_sgd": _AVERAGE,
    "noisy_sgd": _NOISE,
    "dpsgd": "it needs the gradient of every sample",
    "galore": "it does not accept models that lack some of the possible parameters",
    "optimistic_adam": "optax has replaced it by optimistic_adam_v2",
}
"""Optimizer of optax -> why it cannot be used."""


@functools.cache
def functions() -> dict[str, Callable]:
    """Return name -> function for each optimizer of optax that takes a learning rate."""
    import optax
    import optax.contrib

    found: dict[str, Callable] = {}
    for module in (optax.contrib, optax):  # optax's own, where both have a name
        for name, function in vars(module).items():
            usable = inspect.isfunction(function) or isinstance(function, functools.partial)
            usable = usable and not name.startswith(("_", "scale_by"))
            if usable and "learning_rate" in inspect.signature(function).parameters:
                found[name] = function
    return {name: found[name] for name in sorted(found) if name not in REFUSED}


def mask_name(function: Callable) -> str | None:
    """Return the argument of a function that selects which parameters decay, if it has one."""
    parameters = inspect.signature(function).parameters
    return next((name for name in MASKS if name in parameters), None)


def made_by(function: Callable) -> Callable[..., optax.GradientTransformation]:
    """Return make(learning_rate, weight_decay, mask=None, **numbers) of an optimizer of optax.

    The weight decay is the function's own argument, or else is added to the gradient.
    """
    decays, own_mask = has_decay(function), mask_name(function)

    def make(
        learning_rate: Any, weight_decay: Any, *, mask: Any = None, **numbers: Value
    ) -> optax.GradientTransformation:
        import optax

        if not decays:
            coupled = optax.add_decayed_weights(weight_decay, mask)
            return optax.chain(coupled, function(learning_rate, **numbers))
        further = {} if mask is None or own_mask is None else {own_mask: mask}
        return function(learning_rate, weight_decay=weight_decay, **numbers, **further)

    return make


def has_decay(function: Callable) -> bool:
    """Return whether a function of optax takes the weight decay."""
    return "weight_decay" in inspect.signature(function).parameters


def check_usable(
    subject: str, make: Callable[..., optax.GradientTransformation], numbers: Mapping[str, Value]
) -> None:
    """Raise SpecError unless a transformation can be traced with traced rates for two parameters.

    Parameters
    ----------
    subject
        The field and its value, which begin the message.
    make
        make(learning_rate, weight_decay, **numbers).
    numbers
        Its named arguments.
    """
    import jax
    import jax.numpy as jnp

    from jsuper.training.jax_config import shielded

    def step(rate: Any, decay: Any, params: Any) -> tuple[Any, Any, Any]:
        transformation = make(rate, decay, **numbers)
        state = transformation.init(params)
        updates, after = transformation.update(params, state, params)
        return updates, state, after

    params = {"W": jnp.ones((2, 3)), "b": jnp.ones(3)}
    try:
        with shielded():
            updates, before, after = jax.eval_shape(step, 0.1, 0.1, params)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise SpecError(
            f"{subject} cannot be used: {type(error).__name__}: {first}; its learning rate and "
            "weight decay are numbers of JAX, and its update has the gradient, its state and the "
            "parameters"
        ) from error
    of_params, of_updates = (jax.tree.map(jnp.shape, tree) for tree in (params, updates))
    same = [(a.shape, a.dtype) for a in jax.tree.leaves(before)] == [
        (a.shape, a.dtype) for a in jax.tree.leaves(after)
    ]
    if of_params != of_updates or not same:
        raise SpecError(
            f"{subject} cannot be used: its updates do not have the parameters' shapes, or its "
            "state changes its shape"
        )
