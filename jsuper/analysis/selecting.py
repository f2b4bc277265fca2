"""Models of a run by the values of their fields: sparsity=0.9, seed=0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jsuper.core.errors import SpecError
from jsuper.core.grid import Chunk
from jsuper.core.json_data import JSON, plain
from jsuper.core.suggestions import not_one_of
from jsuper.core.text import shown
from jsuper.store.manifest import Manifest

MOST_SHOWN = 10  # values of a field in a message


class Selection:
    """The models whose fields have the wanted values.

    Parameters
    ----------
    wanted
        Field -> values, of which any may be; a field that is left out may have any value.
    """

    def __init__(self, wanted: dict[str, list[JSON]]) -> None:
        self._wanted = wanted

    def of(self, chunk: Chunk) -> list[tuple[int, int]]:
        """Return (index of the setting, index of the seed) of the selected models of a chunk."""
        seeds = [j for j, seed in enumerate(chunk.seeds) if self._allows({"seed": seed})]
        if not seeds or not self._allows(chunk.static):
            return []
        settings = [i for i, setting in enumerate(chunk.settings) if self._allows(setting)]
        return [(i, j) for i in settings for j in seeds]

    def count(self, chunks: Iterable[Chunk]) -> int:
        """Return the number of selected models."""
        return sum(len(self.of(chunk)) for chunk in chunks)

    def _allows(self, fields: Mapping[str, Any]) -> bool:
        return all(
            any(same(fields[name], value) for value in values)
            for name, values in self._wanted.items()
            if name in fields
        )


def same(value: Any, wanted: JSON) -> bool:
    """Return whether a field's value is the wanted one; a function has its name, or its label."""
    value = plain(value)
    if isinstance(value, str):
        return wanted in (value, value.split("@")[0])
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return value == plain(wanted)


def check_selection(manifest: Manifest, select: Mapping[str, Any]) -> Selection:
    """Return the selection of some values, given one or several for each field.

    Raises
    ------
    SpecError
        No model has the field or one of the values, or no model has all of them.
    """
    wanted = {k: _several(v) for k, v in select.items()}
    held = _values(manifest)
    for name, values in wanted.items():
        if name not in held:
            subject = f"select has {name!r}, which is not a field of this run"
            raise SpecError(not_one_of(subject, name, held, "its fields are"))
        for value in values:
            if not any(same(one, value) for one in held[name]):
                some = ", ".join(shown(plain(one)) for one in held[name][:MOST_SHOWN])
                more = ", ..." if len(held[name]) > MOST_SHOWN else ""
                raise SpecError(
                    f"select has {name}={shown(value)}, which no model of this run has; they have "
                    f"{some}{more}"
                )
    selection = Selection(wanted)
    if not selection.count(manifest.chunks):
        raise SpecError("select has values that no model has together; leave one of them out")
    return selection


def _several(value: Any) -> list:
    several = isinstance(value, Iterable) and not isinstance(value, str)
    return list(value) if several else [value]


def _values(manifest: Manifest) -> dict[str, list]:
    """Return field -> its values in a run, each once."""
    found: dict[str, dict[str, Any]] = {}
    rows = {id(row): row for c in manifest.chunks for row in (c.static, *c.settings)}
    rows |= {-1 - seed: {"seed": seed} for c in manifest.chunks for seed in c.seeds}
    for row in rows.values():
        for name, value in row.items():
            found.setdefault(name, {})[repr(plain(value))] = value
    return {name: list(values.values()) for name, values in found.items()}
