"""Declarations of a sweep's fields, and the check of a field's values.

Every field has one of five roles:

    "setting": a number (or name) per model, traced by JAX
    "static":  changes shapes or the program; models that share all static values form a group
    "seeds":   the replicates
    "alias":   another way to give a field, converted when the sweep is made
    "zipped":  which settings and static fields vary together
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, field
from typing import Any, TypeVar, Union

from jsuper.core.checks import Check, refuse_duplicates, scalar, seeds
from jsuper.core.errors import SpecError
from jsuper.core.zipped import Zipped
from jsuper.core.zipped_checks import check_groups

T = TypeVar("T")
Axis = Union[T, tuple[T, ...]]  # noqa: UP007 - a generic alias has to be subscriptable
"""One value, or several, which make an axis."""


class Omitted(tuple):
    """The values of a field that was left out and whose default depends on other fields.

    It equals the plain tuple of these values. Only the code that fills it in tells the difference:
    `dataclasses.replace(sweep, optimizer="adam")` finds the default again, and a run folder's value
    replaces it. It is empty while the field has no value.
    """


def setting(
    default: Any,
    help: str,
    check: Callable[[str, Any], Any],
    *,
    later: bool = False,
    since: int = 1,
) -> Any:
    """Declare a value per model; several values make an axis.

    Parameters
    ----------
    default
        One value, a tuple of several, or `Omitted()`.
    help
        Description for `--help`.
    check
        A `Check`, or a function (field name, value) -> checked value.
    later, since
        As in `static`.
    """
    return _field(default, help, check, role="setting", axis=True, later=later, since=since)


def static(
    default: Any,
    help: str,
    check: Callable[[str, Any], Any],
    *,
    axis: bool = False,
    later: bool = False,
    measured: bool = False,
    since: int = 1,
) -> Any:
    """Declare a value that changes shapes or the program.

    Parameters
    ----------
    default, help, check
        As in `setting`.
    axis
        Whether several values are allowed, which make an axis.
    later
        The field was added after others had been used. Its default value is left out of a model's
        identity, so that the draws of unpaired models stay what they were.
    measured
        The field selects what is measured of a trained model; its value never changes the draws.
    since
        The schema of manifests that introduced the field; older versions then ask for an update.
    """
    further = {"later": later, "measured": measured, "since": since}
    return _field(default, help, check, role="static", axis=axis, **further)


def alias(replaces: str, help: str, check: Callable[[str, Any], Any]) -> Any:
    """Declare another way to give an axis; the sweep sets the axis from it, and it is then None.

    Parameters
    ----------
    replaces
        Name of the axis.
    help, check
        As in `setting`.
    """
    return _field(None, help, check, role="alias", axis=False, replaces=replaces)


def seeds_field() -> Any:
    """Declare the seeds."""
    text = "number of random seeds, or a list of them; always the dimension 'seed'"
    return _field(3, text, seeds, role="seeds", axis=False)


def zipped_field() -> Any:
    """Declare the groups of fields that vary together."""
    text = "fields that vary together: dimension -> field -> values, one for every row"
    return _field(Zipped(), text, check_groups, role="zipped", axis=False, since=2)


def _field(
    default: Any,
    help: str,
    check: Callable[[str, Any], Any],
    role: str,
    axis: bool,
    **further: Any,
) -> Any:
    if axis and not isinstance(default, tuple):
        default = (default,)
    check = check if isinstance(check, Check) else Check(check)
    metadata = {"role": role, "axis": axis, "help": help, "check": check} | further
    return field(default=default, metadata=metadata)


def checked(declared: Field, value: Any) -> Any:
    """Return a field's value in its one form: a tuple for an axis, a single value otherwise.

    Raises
    ------
    SpecError
        A value is not allowed, is given twice, or none is given.
    """
    name, check, value = declared.name, declared.metadata["check"], scalar(value)
    if declared.metadata["role"] == "alias":
        return None if value is None else _several(name, check, value)
    if not declared.metadata["axis"]:
        return check(name, value)
    if isinstance(declared.default, Omitted) and (isinstance(value, Omitted) or value is None):
        return Omitted()
    return _several(name, check, value)


def _several(name: str, check: Check, value: Any) -> tuple:
    """Return one value or several as a tuple of checked values."""
    if isinstance(value, str) and (parts := split_at_commas([value])):
        listed = parts if check.metavar == "NAME" else f"[{', '.join(parts)}]"
        raise SpecError(f"{name}={value!r} is a single string; give a list of values: {listed}")
    if isinstance(value, Mapping) and not check.takes_tables:
        raise SpecError(f"{name}={value!r} is not a list; give a list of values")
    single = isinstance(value, (str, Mapping)) or not isinstance(value, Iterable)
    values = tuple(check(name, scalar(v)) for v in ([value] if single else list(value)))
    if not values:
        raise SpecError(f"{name}=[] is empty; give at least one value")
    refuse_duplicates(name, values)
    return values


def split_at_commas(words: list[str]) -> list[str]:
    """Return the values that commas separate in some words; an empty list if there is no comma.

    A comma between brackets belongs to a value: `name(1, 2)`.
    """
    text = " ".join(words).strip()
    if text[:1] in ("[", "("):  # a list as Python writes it
        text = text.strip("[]()")
    if not (parts := re.split(r",(?![^()]*\))", text))[1:]:
        return []
    return [word for part in parts if (word := part.strip(" '\""))]
