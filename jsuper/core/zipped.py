"""Fields that vary together: each group is one dimension of the results, with a row per position.

`Sweep(zipped={"size": {"n_hidden": (5, 10), "learning_rate": (1e-3, 5e-4)}})` has two rows. A sweep
with groups is the union of plain sweeps, one for each combination of rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
"""Field -> its value."""


class Column(tuple):
    """The different values of a field that a group contains, in the order of its rows.

    It equals the plain tuple. The type says that the values come from `zipped`, so that
    `dataclasses.replace(sweep, zipped=...)` takes them from the new groups.
    """


class Zipped(Mapping[str, Mapping[str, tuple]]):
    """Dimension -> field -> its values, one for each row; immutable, as a sweep is."""

    def __init__(self, groups: Mapping[str, Mapping[str, Iterable]] | None = None) -> None:
        self._groups = tuple(
            (dim, tuple((name, tuple(values)) for name, values in columns.items()))
            for dim, columns in (groups or {}).items()
        )

    def __getitem__(self, dim: str) -> Mapping[str, tuple]:
        """Return the columns of a group: field -> values."""
        return dict(dict(self._groups)[dim])

    def __iter__(self) -> Iterator[str]:
        """Return the dimensions."""
        return iter(dict(self._groups))

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self._groups)

    def __eq__(self, other: object) -> bool:
        """Return whether both have the same groups, fields and rows in the same order."""
        return isinstance(other, Zipped) and self._groups == other._groups

    def __hash__(self) -> int:
        """Return a hash, which a sweep needs."""
        return hash(self._groups)

    def __repr__(self) -> str:
        """Return the groups as a dict."""
        return repr({dim: self[dim] for dim in self})


# ------------------------------------------------------------------------- of tables, also of JSON

Table = Mapping[str, Mapping[str, Sequence]]
"""Dimension -> field -> values: a `Zipped`, or its JSON."""


def rows_of(columns: Mapping[str, Sequence]) -> list[Row]:
    """Return the rows of a group."""
    return [dict(zip(columns, v, strict=True)) for v in zip(*columns.values(), strict=True)]


def label_of(row: Row) -> str:
    """Return a row's coordinate: 'n_hidden=5, learning_rate=0.001'."""
    texts = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in row.items()}
    return ", ".join(f"{k}={v}" for k, v in texts.items())


def labels_of(columns: Mapping[str, Sequence]) -> tuple[str, ...]:
    """Return the coordinates of a group's dimension."""
    return tuple(map(label_of, rows_of(columns)))


def combinations(table: Table) -> Iterator[Row]:
    """Yield the zipped fields' values of every combination of rows, the last group fastest."""
    for chosen in itertools.product(*map(rows_of, table.values())):
        yield {name: value for row in chosen for name, value in row.items()}


def dimension_of(table: Table) -> dict[str, str]:
    """Return field -> the dimension of its group."""
    return {name: dim for dim, columns in table.items() for name in columns}


def axes_of(
    values: Mapping[str, Sequence], table: Table, main_axes: Sequence[str]
) -> dict[str, Any]:
    """Return axis -> its values; the dimension of a group stands where its first field does.

    Parameters
    ----------
    values
        Field -> its values, for the fields that can be axes, in declared order.
    table
        The groups.
    main_axes
        Fields that are axes even if they have a single value.
    """
    group, found = dimension_of(table), {}
    for name, several in values.items():
        if name in group:
            found.setdefault(group[name], labels_of(table[group[name]]))
        elif len(several) > 1 or name in main_axes:
            found[name] = several
    return found


def columns_of(table: Table) -> dict[str, Column]:
    """Return field -> its different values, for every field of the groups."""
    return {
        name: Column(dict.fromkeys(values))
        for columns in table.values()
        for name, values in columns.items()
    }
