"""The names of data laws, `pairs(0.5)` or `signed`, and the tables of all laws.

To add a law, write a file with its factory and add a line to `SUPPORTS` or `VALUES`: the name, and
"module:factory". The factory takes the numbers in brackets, checks them and returns a
`jsuper.models.toy.inputs.support.Support` or a `jsuper.models.toy.inputs.values.Values`.
Modules are imported when a law is used, so that default laws need no jax.
"""

from __future__ import annotations

import functools
import inspect
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jsuper.core.checks import Check
from jsuper.core.errors import SpecError
from jsuper.core.suggestions import not_one_of

if TYPE_CHECKING:
    from jsuper.models.toy.inputs.support import Support
    from jsuper.models.toy.inputs.values import Values

PACKAGE = "jsuper.models.toy.inputs"
SUPPORTS = {
    "independent": f"{PACKAGE}.independent:independent",
    "shared": f"{PACKAGE}.independent:shared",
    "sets": f"{PACKAGE}.sets:sets",
    "pairs": f"{PACKAGE}.sets:pairs",
    "exclusive": f"{PACKAGE}.exclusive:exclusive",
    "exactly": f"{PACKAGE}.exactly:exactly",
    "hierarchy": f"{PACKAGE}.hierarchy:hierarchy",
    "in_turn": f"{PACKAGE}.in_turn:in_turn",
}
VALUES = {
    "uniform": f"{PACKAGE}.values:uniform",
    "signed": f"{PACKAGE}.values:signed",
    "binary": f"{PACKAGE}.values:binary",
    "normal": f"{PACKAGE}.values:normal",
    "half_normal": f"{PACKAGE}.values:half_normal",
    "exponential": f"{PACKAGE}.values:exponential",
}
DEFAULT_SUPPORT, DEFAULT_VALUES = "independent", "uniform"
PLAIN = (DEFAULT_SUPPORT, DEFAULT_VALUES, "signed")  # defaults of families, valid without numbers

_FORM = re.compile(r"\s*(?P<name>\w+)\s*(?:\((?P<numbers>[^()]*)\))?\s*")


def parse(field: str, text: object, table: dict[str, str]) -> tuple[str, tuple[float, ...]]:
    """Return the name and the numbers of a law: ("sets", (3, 0.5)) for "sets(3, 0.5)".

    Raises
    ------
    SpecError
        The text is malformed, or the name is not known.
    """
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise SpecError(
            f"{field}={text!r} is not the name of a law; write one of {', '.join(table)}, with its "
            "numbers in brackets"
        )
    name, numbers = match["name"], match["numbers"]
    if name not in table:
        raise SpecError(not_one_of(f"{field}={text!r} is not known", name, table, "it is one of"))
    parts = [] if numbers is None or not numbers.strip() else numbers.split(",")
    try:
        return name, tuple(float(part) + 0.0 for part in parts)  # -0.0 becomes 0.0
    except ValueError:
        raise SpecError(
            f"{field}={text!r}: {numbers!r} has to be numbers, separated by commas"
        ) from None


def _law(field: str, text: str, table: dict[str, str]) -> Any:
    """Return the law that a text names.

    Raises
    ------
    SpecError
        The name is not known, or its numbers are not allowed.
    """
    name, numbers = parse(field, text, table)
    module, factory = table[name].split(":")
    make = getattr(import_module(module), factory)
    expected = list(inspect.signature(make).parameters.values())
    needed = [p.name for p in expected if p.default is p.empty]
    if not len(needed) <= len(numbers) <= len(expected):
        form = f"{name}({', '.join(p.name for p in expected)})" if expected else name
        number = "number" if len(numbers) == 1 else "numbers"
        raise SpecError(f"{field}={text!r} has {len(numbers)} {number}; write {form}")
    try:
        return make(*numbers)
    except SpecError as error:
        raise SpecError(f"{field}={text!r}: {error}") from None


@functools.cache
def support_of(text: str) -> Support:
    """Return the support law that a text such as "pairs(0.5)" names.

    Raises
    ------
    SpecError
        The name is not known, or its numbers are not allowed.
    """
    return _law("support", text, SUPPORTS)


@functools.cache
def values_of(text: str) -> Values:
    """Return the law of values that a text such as "signed" names.

    Raises
    ------
    SpecError
        The name is not known, or its numbers are not allowed.
    """
    return _law("values", text, VALUES)


def _check(name: str, value: object) -> str:
    """Return the canonical text of a law: `pairs( 0.50 )` becomes `pairs(0.5)`."""
    table, of = {"support": (SUPPORTS, support_of), "values": (VALUES, values_of)}[name]
    law, numbers = parse(name, value, table)
    shown = ", ".join(f"{n:.0f}" if n.is_integer() else repr(n) for n in numbers)
    text = f"{law}({shown})" if numbers else law
    if text not in PLAIN:
        of(text)
    return text


check_law = Check(_check, "NAME")
"""The check of the fields `support` and `values`."""
