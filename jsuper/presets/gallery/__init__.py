"""The gallery: published figures, each with the preset that repeats it. Imports no jax.

`entries.toml` has a table for each entry, whose name is that of a preset unless `preset` says so.
Several entries may draw the results of one preset; its run folder and checked numbers are theirs.
"""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsuper import presets
from jsuper.core.errors import SpecError
from jsuper.core.family import sweep_from_dict
from jsuper.core.suggestions import not_one_of
from jsuper.core.sweep import BaseSweep

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

FILE = Path(__file__).parent / "entries.toml"
FEWER_STEPS, FEW_SEEDS = 10, 2  # of a reduced sweep: a tenth of the steps, and so many seeds
LEAST_MINUTES = 0.1  # of starting and compiling


@dataclass(frozen=True)
class Entry:
    """A figure of the gallery.

    Attributes
    ----------
    name
        Of the entry, and of the figure's file.
    preset
        What is trained, its source, its figure and its check; `title` and `figure` are the entry's.
    run
        Name of the preset, which is that of the run folder.
    seen
        What the figure shows, in a sentence or two.
    where
        The part of the source that has the figure.
    at
        Labels along axes: what is drawn of the results.
    reduced
        Fields of the reduced sweep that do not suit a tenth of the steps.
    """

    name: str
    preset: presets.Preset
    run: str
    seen: str
    where: str
    at: Mapping[str, Any] = field(default_factory=dict)
    reduced: Mapping[str, Any] = field(default_factory=dict)

    def folder(self, reduced: bool = False) -> str:
        """Return the name of the run folder."""
        return f"{self.run}-reduced" if reduced else self.run

    def sweep(self, reduced: bool = False) -> BaseSweep:
        """Return what is trained; reduced, with a tenth of the steps and two seeds."""
        full = sweep_from_dict(self.preset.sweep)
        if not reduced:
            return full
        steps = max(1, max(full.values_of("steps")) // FEWER_STEPS)
        changed = {"steps": steps, "seeds": min(FEW_SEEDS, full.seed_count)} | dict(self.reduced)
        return sweep_from_dict(self.preset.sweep | changed)

    def minutes(self, reduced: bool = False) -> float:
        """Return the expected time on two cores."""
        if not reduced:
            return self.preset.minutes
        seeds = sweep_from_dict(self.preset.sweep).seed_count
        share = min(FEW_SEEDS, seeds) / seeds / FEWER_STEPS
        return max(LEAST_MINUTES, self.preset.minutes * share)

    def draw(self, ds: xarray.Dataset) -> Figure:
        """Return the figure of a run's results."""
        drawn = self.preset.function(self.preset.figure)(ds.sel(self.at))
        return drawn if hasattr(drawn, "savefig") else drawn.get_figure(root=True)

    @property
    def source(self) -> str:
        """The source in one line, and the part of it."""
        return f"{self.preset.source}, {self.where}"


@functools.cache
def entries() -> dict[str, Entry]:
    """Return all entries by name, in the order of the file."""
    tables = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {name: _entry(name, table) for name, table in tables.items()}


def _entry(name: str, table: dict[str, Any]) -> Entry:
    run = table.pop("preset", name)
    own = {k: table.pop(k) for k in ("title", "figure") if k in table}
    preset = dataclasses.replace(presets.load(run), name=name, **own)
    return Entry(name=name, preset=preset, run=run, **table)


def chosen(names: tuple[str, ...]) -> list[Entry]:
    """Return the entries of some names, each once.

    Raises
    ------
    SpecError
        There is no such entry.
    """
    known = entries()
    for name in names:
        if name not in known:
            subject = f"figure {name!r} is not known"
            raise SpecError(not_one_of(subject, name, known, "the gallery has"))
    return [known[name] for name in dict.fromkeys(names)]


def listing() -> str:
    """Return one line for each entry: its name, its title and its expected time."""
    width = max(map(len, entries()))
    return "\n".join(
        f"{e.name:{width}}  {e.preset.title} ({e.preset.duration})" for e in entries().values()
    )
