"""The checks of the values of a toy sweep's fields: names, functions, samplers, snapshots."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from jsuper.core.checks import MAX_RECORDS, Check, integer, real, several
from jsuper.core.errors import SpecError
from jsuper.core.json_data import name_of
from jsuper.core.suggestions import not_one_of
from jsuper.models.toy.activations.names import GATED, canonical_activation
from jsuper.models.toy.architecture import TARGETS

TRY = {"activation": "relu", "hidden_activation": "relu", "target": "abs"}
LOG_STEPS = re.compile(r"\s*log\(\s*(\d{1,7})\s*\)\s*")
FUNCTION_LABEL = re.compile(r"\w{1,100}@[0-9a-f]{12}")  # of a Python function in a run folder


def _check_function(name: str, value: Callable | str) -> bool:
    """Return whether a value is a named function; refuse one without a name, or a label of one."""
    if callable(value):
        if not name_of(value).isidentifier():
            raise SpecError(
                f"{name}={value!r} has no name; define it with def, or set its __name__"
            )
        return True
    if not isinstance(value, str):
        raise SpecError(f"{name}={value!r} is not a name or a function; try {TRY[name]!r}")
    if FUNCTION_LABEL.fullmatch(value):
        raise SpecError(
            f"{name}={value!r} is the label of a Python function, which files and command lines "
            "cannot contain; pass the function itself to jsuper.run in Python"
        )
    return False


def _check_activation(name: str, value: Any) -> str | Callable:
    if _check_function(name, value):
        return value
    try:
        return canonical_activation(value)
    except ValueError as error:
        raise SpecError(f"{error}".replace("activation=", f"{name}=", 1)) from error


def _check_hidden(name: str, value: Any) -> str | Callable:
    value = _check_activation(name, value)
    if isinstance(value, str) and value in GATED:
        raise SpecError(
            f"{name}={value!r} is a gate with a second matrix, which the hidden layer does not "
            "have: give it as activation, or another one here"
        )
    return value


def _check_target(name: str, value: Any) -> str | Callable:
    if _check_function(name, value):
        return value
    if value not in TARGETS:
        subject = f"{name}={value!r} is not known"
        raise SpecError(not_one_of(subject, value, TARGETS, "it is a function of x, or one of"))
    return value


check_activation = Check(_check_activation, "NAME", takes_functions=True)
"""The check of a registered name, `relu` or `elu(0.25)`, or of a named function of z."""

check_hidden = Check(_check_hidden, "NAME", takes_functions=True)
"""The same of an activation that is no gate."""
check_target = Check(_check_target, "NAME", takes_functions=True)
"""The check of a target: `identity`, `abs`, ..., or a named function of x."""


def _check_sampler(name: str, value: Any) -> Callable | None:
    if value is None:
        return None
    if isinstance(value, str) and FUNCTION_LABEL.fullmatch(value):
        raise SpecError(
            f"{name}={value!r} is the label of a Python function, which files and command lines "
            "cannot contain; pass the function itself to jsuper.Sweep in Python"
        )
    if not callable(value):
        laws = ": support and values name the laws that files and command lines can state"
        raise SpecError(
            f"{name}={value!r} is not a function: a sampler, fn(key, batch) -> (batch, "
            f"n_features), is given in Python only" + laws * isinstance(value, str)
        )
    if not name_of(value).isidentifier():
        raise SpecError(f"{name}={value!r} has no name; define it with def, or set its __name__")
    try:
        inspect.signature(value).bind("key", 1)
    except ValueError:
        pass  # a function without a known signature
    except TypeError as error:
        raise SpecError(
            f"{name}={name_of(value)} cannot be called with a key and a batch size: {error}; write "
            f"def {name_of(value)}(key, batch)"
        ) from error
    return value


check_sampler = Check(_check_sampler, "FUNCTION", takes_functions=True)
"""The check of a named function (key, batch), or None."""


def _check_snapshots(name: str, value: Any) -> tuple[int, ...] | str:
    listed = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(listed) == 1 and isinstance(listed[0], str):
        match = LOG_STEPS.fullmatch(listed[0])
        if not match or not 2 <= int(match[1]) <= MAX_RECORDS:
            raise SpecError(
                f"{name}={listed[0]!r} is neither a list of steps nor log(number) with a number "
                f"from 2 to {MAX_RECORDS}; write for example log(50)"
            )
        return f"log({int(match[1])})"
    return several(integer(0))(name, value) or ()


check_snapshots = Check(_check_snapshots, "INT ...")
"""The check of a list of steps, or of `log(50)`."""

check_sparsity = real(
    0, 1, closed="left", hint="it is the probability that a feature is zero; try 0.999"
)
