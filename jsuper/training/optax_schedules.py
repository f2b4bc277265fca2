"""The schedules of optax that are known by their names, as factors of the learning rate.

Importing this module imports no optax.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jsuper.core.errors import SpecError
from jsuper.training.calls import Value, checked_arguments, settable, takes

if TYPE_CHECKING:
    import jax

    Number = float | jax.Array


@functools.cache
def functions() -> dict[str, Callable]:
    """Return name -> function for each schedule of optax whose arguments are numbers."""
    import optax

    found = {}
    for name, function in sorted(vars(optax).items()):
        if inspect.isfunction(function) and name.endswith(("_schedule", "_decay")):
            needed = inspect.signature(function).parameters
            if needed and needed.keys() == settable(function).keys():
                found[name] = function
    return found


def checked_numbers(subject: str, name: str, arguments: list[tuple[str, str]]) -> dict[str, Value]:
    """Return the numbers of a schedule of optax, those that are given.

    A factor has no unit, so that values may be left out: `peak_value` is 1 and the `init_value`
    before it 0; without a peak, `init_value` is 1.

    Raises
    ------
    SpecError
        An argument is not known, is missing, or is not allowed.
    """
    known = _parameters(name)
    if unnamed := [text for key, text in arguments if not key]:
        raise SpecError(
            f"{subject}: {unnamed[0]!r} has no name; arguments of optax's schedules are named: "
            f"{takes(known)}"
        )
    given = dict(arguments)
    if len(given) < len(arguments):
        raise SpecError(f"{subject} has an argument twice; give each once")
    numbers = checked_arguments(subject, name, given, known)
    lacking = [k for k, p in known.items() if p.default is p.empty and k not in numbers]
    if lacking:
        raise SpecError(f"{subject} lacks {lacking[0]}; write {name}({lacking[0]}=...)")
    _try(subject, name, numbers)
    return numbers


def made(name: str, numbers: Mapping[str, Value]) -> Callable[[Any, int], Any]:
    """Return the function (step, steps) -> factor; it does not depend on the number of steps."""
    defaults = {k: p.default for k, p in _parameters(name).items() if p.default is not p.empty}
    schedule = functions()[name](**defaults | dict(numbers))
    return lambda step, steps: schedule(step)


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    """Return the parameters of a schedule with the defaults of a factor."""
    own = settable(functions()[name])
    factors = {"peak_value": 1.0, "init_value": 0.0} if "peak_value" in own else {"init_value": 1.0}
    return {k: p.replace(default=factors.get(k, p.default)) for k, p in own.items()}


def _try(subject: str, name: str, numbers: Mapping[str, Value]) -> None:
    """Raise SpecError if optax refuses the numbers, or the factor is no single number."""
    import jax
    import jax.numpy as jnp

    from jsuper.training.jax_config import shielded

    try:
        with shielded():
            found = jax.eval_shape(lambda step: jnp.asarray(made(name, numbers)(step, 1)), 0)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise SpecError(f"{subject} cannot be used: {type(error).__name__}: {first}") from error
    if found.shape:
        raise SpecError(f"{subject} returns an array {found.shape}, not a number")
