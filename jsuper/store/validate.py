"""Whether what a run folder says of itself fits together: a stored sweep, chunks of its points.

Folders get passed around: nothing here believes a type, a size or a name. No jax is imported.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re

from jsuper.core.errors import SpecError
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk
from jsuper.core.json_data import JSON, JSONObject, plain, same, without_negative_zero
from jsuper.core.text import shown
from jsuper.core.zipped import columns_of, dimension_of, labels_of
from jsuper.core.zipped_checks import check_fields
from jsuper.store.groups import check_rows, groups_of


def values_of(sweep: JSONObject) -> dict[str, list[JSON]]:
    """Field -> the values that models of a stored sweep may have; the sweep's fields are checked.

    Raises
    ------
    SpecError
        A field is not one of the family's, or its value is not allowed.
    """
    cls = family_of(sweep["model"]).spec.Sweep
    own = {f.name: f for f in dataclasses.fields(cls)}
    values: dict[str, list[JSON]] = {}
    for name, value in (cls.single_defaults() | sweep).items():
        if name == "model":
            continue
        if name not in own:
            raise SpecError(f"{name!r} is not a field of the model {sweep['model']!r}")
        several = own[name].metadata["axis"]
        values[name] = value if several else [value]
        for single in values[name]:
            check = own[name].metadata["check"]
            if check.takes_functions and _names_function(single):
                continue
            if not same(plain(check(name, single)), single):
                raise SpecError(f"{name}={shown(single)} is not as a sweep has it")
        if several and len(set(map(_text, value))) != len(value):
            raise SpecError(f"{name} has a value twice")
    if lacking := [n for n, f in own.items() if f.metadata["axis"] and n not in values]:
        raise SpecError(f"it lacks {', '.join(lacking)}")
    if zipped := values["zipped"][0]:
        check_fields(zipped, own, cls.main_axes, cls.model)
        for name, column in columns_of(zipped).items():
            if not same(list(column), values[name]):
                raise SpecError(f"{name} and zipped have different values")
    return values


def texts_of(values: dict[str, list[JSON]]) -> dict[str, frozenset[str]]:
    """Field -> its values as text, to look one up; Python takes 0 for false and 8.0 for 8."""
    return {name: frozenset(map(_text, several)) for name, several in values.items()}


def _text(value: JSON) -> str:
    return json.dumps(without_negative_zero(value))


def _names_function(value: JSON) -> bool:
    """Return whether a value is the stored name of a callable, which no check of a name knows."""
    return isinstance(value, str) and bool(re.fullmatch(r"\w{1,100}@[0-9a-f]{12}", value))


def check_row(row: JSONObject, allowed: dict[str, frozenset[str]]) -> None:
    """Raise ValueError unless a chunk's static values, or a setting, are some of the sweep's.

    Parameters
    ----------
    row
        Field -> its value.
    allowed
        Field -> the sweep's values, as `texts_of` has them.
    """
    for name, value in row.items():
        if name not in allowed or _text(value) not in allowed[name]:
            raise ValueError(f"a chunk of it has {name}={shown(value)}, and its sweep has not")


def check_complete(chunks: list[Chunk]) -> None:
    """Raise KeyError where a chunk's static values or settings lack a field that tells its shape.

    Fields that came later, which older chunks do not have, mean their defaults.
    """
    for chunk in {id(c.static): c for c in chunks}.values():
        family_of(chunk.model).coordinates(chunk.static)
        for name in ("steps", "dtype", "unpaired"):  # of every family
            chunk.static[name]
    for chunk in {(id(c.static), id(c.settings)): c for c in chunks}.values():
        spec = family_of(chunk.model).spec
        spec.layout(chunk.static, chunk.settings)
        needed = set(spec.Sweep.main_axes) - spec.Sweep.single_defaults().keys()
        for setting in chunk.settings:
            if lacking := needed - setting.keys():
                raise KeyError(f"a setting lacks {', '.join(sorted(lacking))}")


def seeds_among(given: JSON, known: range | frozenset[int]) -> tuple[int, ...]:
    """Return a chunk's seeds, which are different ones of the sweep's."""
    found = tuple(given)
    if len(set(found)) < len(found) or not all(type(s) is int and s in known for s in found):
        raise ValueError("a chunk of it has seeds that its sweep has not")
    return found


def known_seeds(seeds: JSON) -> range | frozenset[int]:
    """Return the seeds of a stored sweep, to look one up; a count is not made into a list."""
    return range(seeds) if isinstance(seeds, int) else frozenset(seeds)


def count(sweep: JSONObject, values: dict[str, list[JSON]]) -> int:
    """Return the number of models of a stored sweep, before any list of them is made."""
    zipped = groups_of(sweep)
    apart = {"seeds", "zipped", *dimension_of(zipped)}
    axes = math.prod(len(v) for k, v in values.items() if k not in apart)
    rows = math.prod(len(labels_of(columns)) for columns in zipped.values())
    return axes * rows * number_of_seeds(sweep["seeds"])


def number_of_seeds(seeds: int | list[int]) -> int:
    """Return how many a count or a list of seeds stands for."""
    return seeds if isinstance(seeds, int) else len(seeds)


def tuples(static: JSONObject) -> JSONObject:
    """JSON's lists as the tuples that the sweep had."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in static.items()}


def check_chunks(sweep: JSONObject, chunks: list[Chunk]) -> None:
    """Raise ValueError, or what Python finds, unless a sweep holds all points of chunks."""
    allowed, seeds = texts_of(values_of(sweep)), known_seeds(sweep["seeds"])
    for chunk in chunks:
        if chunk.model != sweep["model"]:
            raise ValueError("chunks of another family")
        for row in (chunk.to_dict()["static"], *chunk.to_dict()["settings"]):
            check_row(row, allowed)
        seeds_among(chunk.seeds, seeds)
    check_complete(chunks)
    check_rows(sweep, chunks)
