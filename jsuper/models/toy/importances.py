"""Several lists of importances as an axis: values such as "flat(1, 1, 1)", a label and a list."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jsuper.core.checks import Check, real, several
from jsuper.core.errors import SpecError
from jsuper.core.json_data import JSON
from jsuper.core.text import shown

NO_LIST = ""  # the importance is a power of importance_decay
_FORM = re.compile(r"\s*([^(),]*[^(),\s])\s*\(([^()]*)\)\s*")

one_list = several(real(0), optional=True)
"""The check of one list, or None."""


def named(label: object, numbers: Sequence[float]) -> str:
    """Return a list with its label: "steep(1, 0.5, 0.25)"."""
    texts = (str(int(v)) if v == int(v) and v < 1e15 else repr(v) for v in numbers)
    return f"{label}({', '.join(texts)})"


def label_of(text: str) -> str:
    """Return the label of a list."""
    return text.partition("(")[0]


def numbers_of(text: str) -> tuple[float, ...] | None:
    """Return the importances of a list, or None for `NO_LIST`."""
    if text == NO_LIST:
        return None
    return tuple(map(float, text.partition("(")[2].rstrip(")").split(",")))


def labels_of(texts: Sequence[str]) -> list:
    """Return the labels of lists, as numbers if all of them are."""
    labels = [label_of(text) for text in texts]
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return labels
    return numbers if all(map(math.isfinite, numbers)) else labels


def lists_of(sweep: Mapping[str, JSON]) -> dict[Any, tuple[float, ...] | None]:
    """Return label -> importances, of a stored sweep."""
    texts = sweep.get("importances") or [NO_LIST]
    return dict(zip(labels_of(texts), map(numbers_of, texts), strict=True))


def _check(name: str, value: object) -> str:
    if value == NO_LIST:
        return NO_LIST
    match = _FORM.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise SpecError(
            f"{name}={shown(value)} is not a label and a list; write for example 'flat(1, 1, 1)'"
        )
    label, listed = match[1], match[2]
    try:
        numbers = [float(part) for part in listed.split(",")]
    except ValueError:
        raise SpecError(
            f"{name}={shown(value)}: {listed!r} has to be numbers, separated by commas"
        ) from None
    return named(label, one_list(f"{name} {label}", numbers) or ())


check_importances = Check(_check, "NAME(FLOAT,...)")
"""The check of a label and a list."""


def _check_one_or_several(name: str, value: object) -> Any:
    """Return one list, or None; or label -> list for a table or a list of several."""
    if isinstance(value, Mapping):
        lists = value
    elif isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple)):
        lists = {", ".join(f"{v:g}" for v in one).replace(", ", " "): one for one in value}
    else:
        return one_list(name, value)
    if not lists:
        raise SpecError(f"{name} is an empty table; give a list for every label, or None")
    found = {}
    for label, numbers in lists.items():
        text = str(label).strip()
        if not text or set(text) & set("(),"):
            raise SpecError(
                f"{name} has the label {shown(label)}: give a name without brackets and commas"
            )
        found[text] = one_list(f"{name} {text}", numbers)
    if len(found) < len(value):  # type: ignore[arg-type]
        raise SpecError(f"{name} has a list twice; give each once, or labels: {{'a': [...]}}")
    return found


check_importance = Check(_check_one_or_several, f"{one_list.metavar}")
"""The check of one list or several."""
