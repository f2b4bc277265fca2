"""Presets: sweeps as TOML files, each with its source, its figure and a number that is checked.

Imports `jsuper.core` alone. A file has the fields of the sweep, then the tables [preset] and
[source]. The figure and the check are functions of the sweep's results, named "module:function".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from jsuper.core.errors import SpecError
from jsuper.core.json_data import JSONObject
from jsuper.core.suggestions import not_one_of
from jsuper.core.toml import read_tables, read_toml

FOLDER = Path(__file__).parent
DEFAULT = "activations"


@dataclass(frozen=True)
class Source:
    """The publication whose experiment a preset repeats."""

    author: str
    title: str
    year: int
    link: str

    def __str__(self) -> str:
        """Return one line: author (year), title, link."""
        return f"{self.author} ({self.year}), {self.title}, {self.link}"


@dataclass(frozen=True)
class Preset:
    """A sweep's fields, and what its file says about them.

    Attributes
    ----------
    name
        Name of the file.
    sweep
        The sweep's fields.
    title
        What it shows, in one line.
    minutes
        Expected time on two cores.
    figure
        "module:function": function(Dataset) -> Figure or Axes; empty if it is what every run draws,
        the loss over that of the best constant.
    check
        "module:function": function(Dataset) -> list of `jsuper.analysis.checked.Checked`.
    source
        The publication.
    """

    name: str
    sweep: JSONObject
    title: str
    minutes: float
    figure: str
    check: str
    source: Source

    @property
    def duration(self) -> str:
        """The expected time in words."""
        return f"{self.minutes:g} min" if self.minutes >= 1 else f"{60 * self.minutes:.0f} s"

    def function(self, name: str) -> Callable[[Any], Any]:
        """Return the function "module:function"."""
        module, _, function = name.partition(":")
        return getattr(import_module(module), function)


def names() -> list[str]:
    """Return the names of all presets, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def path_of(name: str) -> Path:
    """Return the file of a preset.

    Raises
    ------
    SpecError
        There is no such preset.
    """
    if name not in names():
        raise SpecError(
            not_one_of(f"preset={name!r} is not known", name, names(), "the presets are")
        )
    return FOLDER / f"{name}.toml"


def load(name: str) -> Preset:
    """Return a preset.

    Raises
    ------
    SpecError
        There is no such preset, or its file lacks a part.
    """
    path = path_of(name)
    tables = read_tables(path)
    source = _parts(path, "source", Source, tables)
    about = _parts(path, "preset", Preset, tables, without=("name", "sweep", "source"))
    return Preset(name=name, sweep=read_toml(path), source=Source(**source), **about)


def _parts(
    path: Path, table: str, kind: type, tables: JSONObject, without: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the parts of a table, which are the attributes of a class."""
    found = tables.get(table)
    expected = [f.name for f in fields(kind) if f.name not in without]
    if not isinstance(found, dict) or sorted(found) != sorted(expected):
        raise SpecError(
            f"preset {path.name}: the table [{table}] must have exactly {', '.join(expected)}"
        )
    return found


def listing() -> str:
    """Return one line for each preset: its name, its title and its expected time."""
    presets = [load(name) for name in names()]
    width = max(len(p.name) for p in presets)
    return "\n".join(f"- {p.name:{width}}  {p.title} ({p.duration})" for p in presets)
