"""The notation `name(0.5, key=0.9)` of optimizers and schedules, and arguments by optax's names.

Imports no jax.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jsuper.core.errors import SpecError
from jsuper.core.json_data import name_of
from jsuper.core.suggestions import did_you_mean

Value = bool | int | float
_FORM = re.compile(r"\s*(\w+)\s*(?:\((.*)\)\s*)?", re.DOTALL)
_WHOLE = re.compile(r"[+-]?\d+")
_VALUES = re.compile(r"\b(int|float|bool)\b")  # in an annotation
_OTHERS = re.compile(r"Callable|Iterable|Mapping|Any|tuple|dict")
_FLAGS = {"true": True, "false": False}


def named_function(field: str, function: Callable) -> Callable:
    """Return a Python function that has a name, by which run folders know it.

    Raises
    ------
    SpecError
        It has none.
    """
    if not name_of(function).isidentifier():
        raise SpecError(
            f"{field}={function!r} has no name; define it with def, or set its __name__"
        )
    return function


def split_call(text: str) -> tuple[str, list[tuple[str, str]] | None]:
    """Return a name, and (key, value) for each argument; `""` is the key of one without a key.

    `sgd(0.5, momentum=0)` is ("sgd", [("", "0.5"), ("momentum", "0")]). Without brackets there is
    None instead of a list.

    Raises
    ------
    ValueError
        The text is not a name with or without brackets.
    """
    match = _FORM.fullmatch(text)
    if match is None or "(" in (match[2] or "") or ")" in (match[2] or ""):
        raise ValueError(text)
    if match[2] is None:
        return match[1], None
    parts = [part.strip() for part in match[2].split(",")] if match[2].strip() else []
    split = (part.partition("=") for part in parts)
    return match[1], [(k.strip(), v.strip()) if eq else ("", k) for k, eq, v in split]


def value_of(text: str) -> Value:
    """Return the number, or true or false, that a text states.

    Raises
    ------
    ValueError
        It states neither, or a number that is not finite.
    """
    if text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    number = int(text) if _WHOLE.fullmatch(text) else float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def shown(value: Value) -> str:
    """Return a value's one text: `true`, `100`, `0.95`, and `1` for 1.0."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value or 0).removesuffix(".0")  # -0.0 is 0


def call_text(name: str, first: Iterable[Value], named: Mapping[str, Value]) -> str:
    """Return the one text of a call: `sgd(0.5, momentum=0)`, or the name without arguments."""
    parts = [*map(shown, first), *(f"{key}={shown(value)}" for key, value in named.items())]
    return f"{name}({', '.join(parts)})" if parts else name


def settable(function: Callable, apart: Iterable[str] = ()) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function that are numbers, true or false, in its order.

    A parameter counts by its default, or by its annotation where there is none, or None. Functions,
    masks, dtypes and tuples are left out, and those in `apart`.
    """
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        default, kind = parameter.default, str(parameter.annotation)
        if default is None or default is parameter.empty:
            is_value = _VALUES.search(kind) and not _OTHERS.search(kind)
        else:
            is_value = isinstance(default, (bool, int, float))
        if is_value and name not in apart and not name.endswith("mask"):
            found[name] = parameter
    return found


def checked_arguments(
    subject: str, name: str, given: Mapping[str, str], known: Mapping[str, inspect.Parameter]
) -> dict[str, Value]:
    """Return the values of named arguments, in the order of the parameters.

    Parameters
    ----------
    subject
        The field and its value, which begin an error message.
    name
        Name of the function.
    given
        Argument -> its text.
    known
        The parameters that may be given.

    Raises
    ------
    SpecError
        An argument is not known, or its value is of another kind.
    """
    for key in given:
        if key not in known:
            hint = did_you_mean(key, known)
            allowed = takes(known)
            allowed = f" {allowed.capitalize()}" if hint else f"; {allowed}"
            raise SpecError(f"{subject}: {key!r} is no argument of {name}{hint}{allowed}")
    values = {}
    for key, parameter in known.items():
        if key in given:
            values[key] = _converted(f"{subject}: {key}={given[key]}", given[key], parameter)
    return values


def takes(known: Mapping[str, inspect.Parameter]) -> str:
    """Return what a function takes, for messages: `it takes b1=0.9, nesterov=false`."""
    listed = [name if p.default in (p.empty, None) else _stated(p) for name, p in known.items()]
    return f"it takes {', '.join(listed)}" if listed else "it takes none"


def _stated(parameter: inspect.Parameter) -> str:
    return f"{parameter.name}={shown(parameter.default)}"


def _converted(subject: str, text: str, parameter: inspect.Parameter) -> Value:
    """Return an argument's value; of a kind by the parameter's default, else its annotation."""
    try:
        value: Any = value_of(text)
    except ValueError as error:
        raise SpecError(f"{subject} is not a finite number, true or false") from error
    kind, default = parameter.annotation, parameter.default
    is_flag = isinstance(default, bool) or kind in (bool, "bool")
    if is_flag != isinstance(value, bool):
        raise SpecError(f"{subject} is not {'true or false' if is_flag else 'a number'}")
    if is_flag:
        return value
    is_whole = kind in (int, "int") or isinstance(default, int) and kind not in (float, "float")
    if is_whole and value != int(value):
        raise SpecError(f"{subject} is not a whole number")
    return int(value) if is_whole else float(value)
