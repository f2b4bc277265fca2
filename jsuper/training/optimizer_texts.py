"""Optimizers as text: `sgd`, `adamw(0.01, b2=0.95)`, `lion(b1=0.95)`; its check, and what it says.

Importing this module imports no jax, and neither does the check of a name of `OPTIMIZERS`. Other
names are looked up in optax, and tried.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from jsuper.core.checks import Check, real
from jsuper.core.errors import SpecError
from jsuper.core.suggestions import not_one_of
from jsuper.training import optax_names
from jsuper.training.calls import (
    Value,
    call_text,
    checked_arguments,
    named_function,
    split_call,
    value_of,
)
from jsuper.training.optimizers import OPTIMIZERS, Optimizer

if TYPE_CHECKING:
    import optax

    from jsuper.training.optimizers import Number

_RANGES = {name: real(0, 1, closed="left") for name in ("b1", "b2", "decay", "momentum")}
_RANGES |= {name: real(0) for name in ("eps", "eps_root")}


def _check_optimizer(name: str, value: Any) -> str:
    """Return an optimizer's one text: `adamw( b2 = .95 )` becomes `adamw(b2=0.95)`."""
    if not isinstance(value, str):
        raise SpecError(not_one_of(f"{name}={value!r} is not known", value, OPTIMIZERS, "write"))
    optimizer, arguments = _split(value)
    known = _found(name, optimizer)
    rates = [text for key, text in arguments or () if not key]
    is_given = rates or arguments == []
    own = [_checked_rate(name, value, optimizer, ", ".join(rates))] if is_given else []
    named = [(key, text) for key, text in arguments or () if key]
    numbers = _numbers(f"{name}={value!r}", optimizer, known, named)
    return call_text(optimizer, own, numbers)


def _numbers(
    subject: str, name: str, known: Optimizer, named: list[tuple[str, str]]
) -> dict[str, Value]:
    """Return the checked arguments of an optimizer; of those in the table, the ones that differ."""
    fields = {"learning_rate": f"write {name}(0.5)", "weight_decay": "give the field weight_decay"}
    given = dict(named)
    for key in given.keys() & fields.keys():
        raise SpecError(f"{subject}: {key} is no argument; {fields[key]}")
    if len(given) < len(named):
        raise SpecError(f"{subject} has an argument twice; give each once")
    numbers = checked_arguments(subject, name, given, known.arguments)
    if known.of_optax is not None:  # whose defaults may change
        _tried(subject, name, tuple(numbers.items()))
        return numbers
    for key in numbers.keys() & _RANGES.keys():
        _RANGES[key](f"{subject}: {key}", numbers[key])
    return {k: v for k, v in numbers.items() if v != known.arguments[k].default}


def _checked_rate(name: str, value: str, optimizer: str, rate: str) -> float:
    """Return the learning rate that a text states."""
    try:
        return real(0, closed="neither")(name, float(rate))
    except ValueError as error:
        raise SpecError(
            f"{name}={value!r}: {rate!r} is not a learning rate > 0; write for example "
            f"{optimizer}(0.5)"
        ) from error


def _split(text: str) -> tuple[str, list[tuple[str, str]] | None]:
    """Return name and arguments; what is not closed, or follows the bracket, is one argument."""
    try:
        return split_call(text)
    except ValueError:
        name, bracket, rest = text.strip().partition("(")
        return name.strip(), [("", bracket + rest)] if bracket else None


def _found(field: str, name: str) -> Optimizer:
    """Return an optimizer of the table, or of optax.

    Raises
    ------
    SpecError
        The name is not known, or cannot be used.
    """
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]
    if name in optax_names.REFUSED:
        raise SpecError(
            f"{field}={name!r} of optax cannot be used: {optax_names.REFUSED[name]}; use adamw, "
            "for example"
        )
    if found := _of_optax(name):
        return found
    names = [*OPTIMIZERS, *(n for n in optax_names.functions() if n not in OPTIMIZERS)]
    raise SpecError(not_one_of(f"{field}={name!r} is not known", name, names, "it is one of"))


@functools.cache
def _of_optax(name: str) -> Optimizer | None:
    function = optax_names.functions().get(name)
    if function is None:
        return None
    decay = inspect.signature(function).parameters.get("weight_decay")
    return Optimizer(
        optax_names.made_by(function),
        default_decay=0.0 if decay is None else float(decay.default or 0.0),
        decoupled=decay is not None,
        of_optax=function,
    )


@functools.cache
def _tried(subject: str, name: str, numbers: tuple[tuple[str, Value], ...]) -> None:
    """Raise SpecError if an optimizer of optax cannot be used with these numbers."""
    optax_names.check_usable(subject, _found("optimizer", name).make, dict(numbers))


def _check_or_function(name: str, value: Any) -> Any:
    return named_function(name, value) if callable(value) else _check_optimizer(name, value)


check_optimizer_or_function = Check(_check_or_function, "NAME", takes_functions=True)
"""The same, or a named function (learning_rate, weight_decay) -> GradientTransformation."""

check_optimizer = Check(_check_optimizer, "NAME")
"""The check of `sgd`, or of `sgd(0.5, momentum=0)`, which sets its own numbers; its one text."""


@functools.cache
def _parsed(text: str) -> tuple[str, float | None, dict[str, Value]]:
    """Return the name, its learning rate or None, and the numbers of a checked text."""
    name, arguments = split_call(text)
    numbers = {key: value_of(value) for key, value in arguments or ()}
    return name, numbers.pop("", None), numbers


def program_of(text: Any) -> Any:
    """Return an optimizer's text without its learning rate, which the program does not contain.

    A function is the program's, and is returned unchanged.
    """
    if callable(text):
        return text
    name, _, numbers = _parsed(text)
    return call_text(name, (), numbers)


def default_decay(text: Any) -> float:
    """Return the weight decay of an optimizer for which a sweep gives none; 0 for a function."""
    if callable(text):
        return 0.0
    return _found("optimizer", _parsed(text)[0]).default_decay


def has_mask(text: Any) -> bool:
    """Return whether an optimizer's weight decay may be that of some parameters only."""
    return not callable(text) and _found("optimizer", _parsed(text)[0]).has_mask


def learning_rate_of(text: Any, default: Any) -> Any:
    """Return the learning rate that an optimizer's text sets, as `sgd(0.5)` does, or `default`."""
    rate = None if callable(text) else _parsed(text)[1]
    return default if rate is None else float(rate)


def momentum_of(text: Any, default: float) -> float | None:
    """Return the momentum of an optimizer, its own or `default`; None if it has no such field."""
    if callable(text):
        return None
    name, _, numbers = _parsed(text)
    if not _found("optimizer", name).has_momentum:
        return None
    return float(numbers.get("momentum", default))


def make_optimizer(
    text: Any,
    learning_rate: Number,
    weight_decay: Number,
    momentum: float,
    mask: Any = None,
) -> optax.GradientTransformation:
    """Build the optax transformation of an optimizer; a learning rate in `text` is ignored.

    Parameters
    ----------
    text
        A checked text, such as "adamw(b2=0.95)", or a function of the next two.
    learning_rate, weight_decay
        Numbers, which may be traced.
    momentum
        Of optimizers with momentum, unless the text sets it.
    mask
        Which parameters decay: a function of the parameters, as in optax; None: all of them.
    """
    if callable(text):
        made: Any = text(learning_rate, weight_decay)
        return made
    name, _, numbers = _parsed(text)
    optimizer = _found("optimizer", name)
    if optimizer.has_momentum:
        numbers = {"momentum": momentum} | numbers
    if mask is not None:
        return optimizer.make(learning_rate, weight_decay, mask=mask, **numbers)
    return optimizer.make(learning_rate, weight_decay, **numbers)
