"""Zipped groups of stored sweeps: which rows chunks have, and what extends or joins a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jsuper.core.errors import SpecError
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk
from jsuper.core.json_data import JSONObject, plain
from jsuper.core.text import shown
from jsuper.core.zipped import dimension_of, label_of, labels_of, rows_of

Columns = Mapping[str, Sequence]
"""Field -> its values, one for each row."""


def groups_of(sweep: JSONObject) -> dict[str, dict[str, list]]:
    """Return the groups of a stored sweep, dimension -> field -> values."""
    return sweep.get("zipped") or {}


def check_rows(sweep: JSONObject, chunks: list[Chunk]) -> None:
    """Raise ValueError unless the zipped fields of every point are a row of their group."""
    groups = groups_of(sweep)
    if not groups:
        return
    older = family_of(sweep["model"]).spec.Sweep.single_defaults()  # of fields that chunks lack
    defaults = {k: older[k][0] for k in dimension_of(groups) if k in older}
    labels = {dim: frozenset(labels_of(columns)) for dim, columns in groups.items()}
    for chunk in {(id(c.static), id(c.settings)): c for c in chunks}.values():
        for setting in chunk.settings:
            point = defaults | chunk.static | setting
            for dim, columns in groups.items():
                label = label_of({k: plain(point[k]) for k in columns})
                if label not in labels[dim]:
                    raise ValueError(f"a chunk of it has {label}, which is not a row of {dim}")


def check_extends(existing: JSONObject, asked: JSONObject, folder: Path) -> None:
    """Raise SpecError unless a sweep's groups have all rows of an existing sweep's.

    An existing sweep without the group may have a single value of each field, which is a row.
    """
    before, after = groups_of(existing), groups_of(asked)
    for dim in {**before, **after}:
        old, new = before.get(dim), after.get(dim)
        if old is None and new is not None and not new.keys() & dimension_of(before):
            single = {k: existing[k] for k in new if len(existing[k]) == 1}
            old = single if single.keys() == new.keys() else None
        if not (old and new and _rows(old) <= _rows(new)):
            raise SpecError(
                f"out={str(folder)!r} contains another sweep: zipped.{dim} is "
                f"{_described(before, dim)} there and {_described(after, dim)} here; give the same "
                "fields and at least its rows to extend it, or another --out"
            )


def _rows(columns: Columns) -> set[str]:
    """Return the rows of a group, in whatever order it has its fields."""
    return {label_of({k: row[k] for k in sorted(row)}) for row in rows_of(columns)}


def _described(groups: Mapping[str, Columns], dim: str) -> str:
    return shown("; ".join(labels_of(groups[dim]))) if dim in groups else "not given"


def union(one: JSONObject, other: JSONObject) -> dict[str, dict[str, list]] | None:
    """Return the groups of two sweeps with the rows of both; None if they cannot be joined.

    Groups with the same fields can be joined. If one of these is static, the rows must be the same,
    as the values of other static fields.
    """
    mine, theirs = groups_of(one), groups_of(other)
    if {d: set(c) for d, c in mine.items()} != {d: set(c) for d, c in theirs.items()}:
        return None
    static = set(family_of(one["model"]).spec.Sweep.names("static"))
    found = {}
    for dim, columns in mine.items():
        if _rows(columns) != _rows(theirs[dim]) and not static.isdisjoint(columns):
            return None
        rows = rows_of(columns)
        others = [{k: row[k] for k in columns} for row in rows_of(theirs[dim])]
        rows += [row for row in others if row not in rows]
        found[dim] = {k: [row[k] for row in rows] for k in columns}
    return found
