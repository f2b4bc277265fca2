"""Lists of one value per feature as an axis: values such as "flat(1, 1, 1)", a label and a list.

`importance` and `feature_sparsity` are one list each. Several lists are values of `importances` and
`feature_sparsities`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jsuper.core.checks import Check, several
from jsuper.core.errors import SpecError
from jsuper.core.json_data import JSON
from jsuper.core.text import shown

NO_LIST = ""
"""The value of an axis of lists that is not used."""

_FORM = re.compile(r"\s*([^(),]*[^(),\s])\s*\(([^()]*)\)\s*")


def named(label: object, numbers: Sequence[float]) -> str:
    """Return a list with its label: "steep(1, 0.5, 0.25)"."""
    texts = (str(int(v)) if v == int(v) and v < 1e15 else repr(v) for v in numbers)
    return f"{label}({', '.join(texts)})"


def label_of(text: str) -> str:
    """Return the label of a list."""
    return text.partition("(")[0]


def numbers_of(text: str) -> tuple[float, ...] | None:
    """Return the numbers of a list, or None for `NO_LIST`."""
    if text == NO_LIST:
        return None
    return tuple(map(float, text.partition("(")[2].rstrip(")").split(",")))


def labels_of(texts: Sequence[str]) -> list:
    """Return the labels of lists, as numbers if all of them are; "none" for `NO_LIST`."""
    labels = [label_of(text) or "none" for text in texts]
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return labels
    return numbers if all(map(math.isfinite, numbers)) else labels


def lists_of(sweep: Mapping[str, JSON], field: str) -> dict[Any, tuple[float, ...] | None]:
    """Return label -> numbers, of a stored sweep's axis of lists."""
    texts = sweep.get(field) or [NO_LIST]
    return dict(zip(labels_of(texts), map(numbers_of, texts), strict=True))


def given_list(values: Mapping[str, Any], one: str, many: str) -> tuple[float, ...] | None:
    """Return a model's list: that of the field `one`, or else that of the axis `many`."""
    return values.get(one) or numbers_of(values.get(many, NO_LIST))


def lists_in(sweep: Any, one: str, many: str) -> dict[str, tuple[float, ...]]:
    """Return name -> numbers, for all lists of a sweep: its single one, or those of its axis."""
    found = {f"{many} {label_of(t)}": numbers_of(t) for t in sweep.values_of(many)}
    if isinstance(given := getattr(sweep, one), tuple):
        found[one] = given
    return {name: numbers for name, numbers in found.items() if numbers is not None}


def labelled(number: Check[float]) -> Check[str]:
    """Return the check of a label and a list whose members pass `number`."""
    listed = several(number)

    def check(name: str, value: object) -> str:
        if value == NO_LIST:
            return NO_LIST
        match = _FORM.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise SpecError(
                f"{name}={shown(value)} is not a label and a list; write for example "
                "'flat(1, 1, 1)'"
            )
        try:
            numbers = [float(part) for part in match[2].split(",")]
        except ValueError:
            raise SpecError(
                f"{name}={shown(value)}: {match[2]!r} has to be numbers, separated by commas"
            ) from None
        return named(match[1], listed(f"{name} {match[1]}", numbers) or ())

    return Check(check, "NAME(FLOAT,...)")


def one_or_several(number: Check[float]) -> Check[Any]:
    """Return the check of one list, of None, or of several: label -> list, or a list of lists."""
    listed = several(number, optional=True)

    def check(name: str, value: object) -> Any:
        lists = _lists(value)
        if lists is None:
            return listed(name, value)
        if not lists:
            raise SpecError(f"{name} is an empty table; give a list for every label, or None")
        found = {_label(name, label): listed(f"{name} {label}", v) for label, v in lists.items()}
        if len(found) < len(value):  # type: ignore[arg-type]
            raise SpecError(f"{name} has a list twice; give each once, or labels: {{'a': [...]}}")
        return found

    return Check(check, listed.metavar)


def _lists(value: object) -> Mapping[Any, Any] | None:
    """Return label -> list; None if the value is not a table or a list of lists."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple)):
        return {" ".join(map(str, one)): one for one in value}
    return None


def _label(name: str, label: object) -> str:
    text = str(label).strip()
    if not text or set(text) & set("(),"):
        raise SpecError(
            f"{name} has the label {shown(label)}: give a name without brackets and commas"
        )
    return text


Fill = Callable[[str, Any], None]


def spread(sweep: Any, one: str, many: str, fill: Fill) -> None:
    """Make several lists of a field the values of its axis.

    Parameters
    ----------
    sweep
        A sweep whose fields are checked.
    one, many
        Names of the field and of the axis.
    fill
        Sets a field.

    Raises
    ------
    SpecError
        Both are given.
    """
    given = getattr(sweep, one)
    if not isinstance(given, Mapping):
        return
    if getattr(sweep, many) != (NO_LIST,):
        raise SpecError(f"{one} and {many} are both given; leave one of them out")
    fill(many, tuple(named(label, numbers) for label, numbers in given.items()))
    fill(one, None)
