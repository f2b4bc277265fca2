"""Checks of fields that vary together: their groups, and what a sweep gives besides them."""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field
from typing import Any

from jsuper.core.checks import Check, scalar
from jsuper.core.errors import SpecError
from jsuper.core.json_data import plain
from jsuper.core.suggestions import not_one_of
from jsuper.core.text import shown
from jsuper.core.zipped import Column, Zipped, columns_of, label_of, rows_of

EXAMPLE = "zipped={'size': {'n_hidden': (5, 10), 'learning_rate': (1e-3, 5e-4)}}"
RESERVED = ("seed", "model", "status", "first_bad_step")  # names that every Dataset or folder has
MOST_PARTS = 10_000  # combinations of rows, each of which is checked


def _check_groups(name: str, value: object) -> Zipped:
    """Return groups whose lists fit together; `check_fields` checks fields and values."""
    if value is None:
        return Zipped()
    if not isinstance(value, Mapping):
        raise SpecError(f"{name}={shown(value)} is not a table of groups; try {EXAMPLE}")
    groups = {dim: _columns(name, dim, columns) for dim, columns in value.items()}
    fields = [field for columns in groups.values() for field in columns]
    for field in fields:
        if fields.count(field) > 1:
            raise SpecError(f"{name} contains {field} in two groups; give it in one of them")
    parts = math.prod(len(next(iter(columns.values()))) for columns in groups.values())
    if parts > MOST_PARTS:
        raise SpecError(
            f"{name} has {parts:,} combinations of rows, and at most {MOST_PARTS:,} are allowed; "
            "give fewer rows"
        )
    return Zipped(groups)


check_groups = Check(_check_groups, "TABLE")
"""The check of groups of lists of the same length."""


def _columns(name: str, dim: object, columns: object) -> dict[str, tuple]:
    """Return a group as field -> values, one for each of at least two rows."""
    if not isinstance(dim, str) or not dim.isidentifier() or keyword.iskeyword(dim):
        raise SpecError(
            f"{name} has the dimension {shown(dim)}, which is not a name of letters, digits and _; "
            f"try {EXAMPLE}"
        )
    group = f"{name}.{dim}"
    if not isinstance(columns, Mapping):
        raise SpecError(f"{group}={shown(columns)} is not a table of fields; try {EXAMPLE}")
    found = {str(field): _listed(f"{group}.{field}", v) for field, v in columns.items()}
    if len(found) < 2:
        raise SpecError(
            f"{group} has {len(found)} field{'s' * (not found)}; give at least two fields that "
            "vary together, or a list of values outside zipped"
        )
    lengths = {field: len(values) for field, values in found.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{field} has {count}" for field, count in lengths.items())
        raise SpecError(f"{group} has lists of different lengths: {listed}; give one value a row")
    if min(lengths.values()) < 2:
        raise SpecError(
            f"{group} has fewer than two rows; give at least two values of every field, or single "
            "values outside zipped"
        )
    return found


def _listed(name: str, values: object) -> tuple:
    if isinstance(values, (str, Mapping)) or not isinstance(values, Iterable):
        raise SpecError(f"{name}={shown(values)} is not a list; give one value for every row")
    return tuple(map(scalar, values))


def check_fields(
    table: Zipped, declared: Mapping[str, Field], main_axes: Sequence[str], model: str
) -> Zipped:
    """Return the groups with every value in its one form.

    Parameters
    ----------
    table
        What `check_groups` returned.
    declared
        Name -> field, for all fields of the family's sweeps.
    main_axes
        Fields that are always dimensions of the results.
    model
        The family's name.

    Raises
    ------
    SpecError
        A field is not known or cannot be in a group, a value is not allowed, a row is given twice,
        or the dimension has the name of a field or of something that every Dataset has.
    """
    checked: dict[str, dict[str, tuple]] = {}
    for dim, columns in table.items():
        if dim in (*declared, *RESERVED):
            kind = "a field" if dim in declared else "in every Dataset"
            raise SpecError(f"zipped has the dimension {dim!r}, which is {kind}; use another name")
        checked[dim] = {}
        for name, values in columns.items():
            _check_name(f"zipped.{dim}", name, declared, main_axes, model)
            check = declared[name].metadata["check"]
            checked[dim][name] = tuple(check(name, value) for value in values)
            if any(map(callable, checked[dim][name])):
                raise SpecError(f"zipped.{dim}.{name} contains a function; give names or numbers")
        _refuse_twice(dim, checked[dim])
    return Zipped(checked)


def _check_name(
    group: str, name: str, declared: Mapping[str, Field], main_axes: Sequence[str], model: str
) -> None:
    """Raise SpecError unless a field can be in a group."""
    if name in main_axes:
        raise SpecError(
            f"{group} contains {name}, which is always a dimension of the results; give its values "
            "outside zipped"
        )
    axes = [k for k, f in declared.items() if f.metadata["axis"] and k not in main_axes]
    if name not in declared:
        subject = f"{group}: {name!r} is not a field of the model {model!r}"
        raise SpecError(not_one_of(subject, name, axes, "fields that can vary together are"))
    if declared[name].metadata["role"] == "alias":
        axis = declared[name].metadata["replaces"]
        more = f"; write {axis}" if axis in axes else ", which cannot be zipped"
        raise SpecError(f"{group} contains {name}, another way to give {axis}{more}")
    if name not in axes:
        raise SpecError(
            f"{group} contains {name}, which has a single value for all models; fields that can "
            f"vary together are {', '.join(axes)}"
        )


def _refuse_twice(dim: str, columns: Mapping[str, Sequence]) -> None:
    labels = [label_of({k: plain(v) for k, v in row.items()}) for row in rows_of(columns)]
    for label in labels:
        if labels.count(label) > 1:
            raise SpecError(f"zipped.{dim} contains the row {label} twice; give each row once")


def columns_to_set(
    table: Zipped, given: Mapping[str, Any], values: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of fields in groups, and the defaults of those that were in others before.

    Parameters
    ----------
    table
        The groups.
    given
        Field -> what the sweep was made with.
    values
        Field -> the same, checked.
    defaults
        Field -> its default.

    Raises
    ------
    SpecError
        A field of a group has other values besides.
    """
    columns = columns_of(table)
    former = {name for name, value in given.items() if isinstance(value, Column)}
    for name in columns.keys() - former:
        if values[name] not in (defaults[name], columns[name]):
            raise SpecError(
                f"{name} is given both in zipped, with {list(columns[name])}, and by itself, with "
                f"{list(values[name])}; leave one of them out"
            )
    return {name: defaults[name] for name in former} | columns


def common_values(parts: Sequence[Mapping[str, Any]], names: Iterable[str]) -> dict[str, Any]:
    """Return the values of fields that are the same in all parts of a sweep.

    Raises
    ------
    SpecError
        The checks of some parts have filled in other values than those of others.
    """
    found = {}
    for name in names:
        values = list(dict.fromkeys(part[name] for part in parts))
        if len(values) > 1:
            listed = " and ".join(str(list(v)) for v in values)
            raise SpecError(
                f"{name} is omitted, and rows of zipped need different values, {listed}; give "
                f"{name}, or rows that have the same"
            )
        found[name] = values[0]
    return found
