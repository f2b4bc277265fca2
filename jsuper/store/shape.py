"""The dimensions, coordinates and variables of a run's Dataset, from its chunks alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from jsuper.core.errors import SpecError
from jsuper.core.family import Family, family_of
from jsuper.core.grid import Chunk, Setting
from jsuper.core.json_data import JSONObject, plain
from jsuper.core.protocols import Spec
from jsuper.core.suggestions import not_one_of
from jsuper.core.zipped import axes_of as axes_with_groups
from jsuper.core.zipped import dimension_of, label_of
from jsuper.store import chunk_files
from jsuper.store.manifest import seeds_of


class Shape:
    """What the Dataset of a sweep looks like, before any result is read.

    Parameters
    ----------
    sweep
        `BaseSweep.to_dict()`.
    chunks
        The whole partition.
    only
        Names of the variables to include; None: all.

    Attributes
    ----------
    axes : dict
        Axis -> its values, without the seed; those of a zipped dimension are its rows' labels.
    dims : dict
        Variable -> its dimensions.
    sizes : dict
        Dimension -> its length.

    Raises
    ------
    SpecError
        `only` has a name that is not a variable of the run.
    """

    def __init__(
        self, sweep: JSONObject, chunks: list[Chunk], only: Collection[str] | None = None
    ) -> None:
        self.family = family_of(sweep["model"])
        spec = self.family.spec
        self.axes, self.single = axes_of(spec.Sweep, sweep)
        self.zipped: JSONObject = sweep.get("zipped") or {}
        self.seeds = seeds_of(sweep["seeds"])
        self.own = _own_coordinates(self.family, chunks)
        lead = (*self.axes, "seed")
        inner = _variables(spec, chunks, only)
        self.dims = {name: (*lead, *dims) for name, dims in inner.items()}
        self.dims |= dict.fromkeys(chunk_files.FOR_ALL, lead)
        self.sizes = {k: len(v) for k, v in self.axes.items()} | {"seed": len(self.seeds)}
        self.sizes |= _sizes(spec, chunks, self.own)
        self._column_of = {seed: column for column, seed in enumerate(self.seeds)}
        self._cells: dict[tuple[int, int], tuple[Chunk, np.ndarray]] = {}
        older = spec.Sweep.single_defaults()  # of fields that older chunks lack
        fields = {*self.axes, *dimension_of(self.zipped)}
        self._defaults = {k: older[k][0] for k in fields if k in older}

    def __getstate__(self) -> dict:
        """Return the state for pickling; `_cells` is by identity, which another process lacks."""
        return self.__dict__ | {"_cells": {}}

    def of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a variable."""
        return tuple(self.sizes[d] for d in self.dims[name])

    def coordinates(self) -> JSONObject:
        """Return the coordinates, and the sweep's single values as scalar ones.

        The fields of a zipped dimension are coordinates along it, without an index.
        """
        coords: JSONObject = {k: self._labels(k, values) for k, values in self.axes.items()}
        for dim, columns in self.zipped.items():
            coords |= {k: (dim, self._labels(k, values)) for k, values in columns.items()}
        coords["seed"] = self.seeds
        coords |= {k: v for k, v in self.own.items() if k in self.sizes}
        return coords | {k: self._labels(k, [v])[0] for k, v in self.single.items()}

    def _labels(self, field: str, values: Sequence) -> list:
        """Return the coordinates of a field's values."""
        stated = getattr(self.family.spec, "LABELS", {}).get(field)
        return stated(values) if stated else [_label(v) for v in values]

    def cells(self, chunk: Chunk) -> np.ndarray:
        """Return the positions of a chunk's settings along the axes, (settings, axes)."""
        key = id(chunk.static), id(chunk.settings)  # which chunks of different seeds share
        if key not in self._cells:
            rows = [self._cell(chunk, setting) for setting in chunk.settings]
            self._cells[key] = chunk, np.array(rows).reshape(len(rows), len(self.axes))
        return self._cells[key][1]

    def _cell(self, chunk: Chunk, setting: Setting) -> tuple[int, ...]:
        point = self._defaults | chunk.static | setting
        for dim, columns in self.zipped.items():
            point[dim] = label_of({k: plain(point[k]) for k in columns})
        return tuple(values.index(plain(point[k])) for k, values in self.axes.items())

    def columns(self, chunk: Chunk) -> np.ndarray:
        """Return the positions of a chunk's seeds."""
        return np.array([self._column_of[s] for s in chunk.seeds])

    def inner(self, chunk: Chunk, name: str, shape: tuple[int, ...]) -> list[np.ndarray]:
        """Return the positions along a variable's dimensions of a chunk's models of a shape."""
        own, dims = self.family.coordinates(chunk.static), self.dims[name][len(self.axes) + 1 :]
        return [
            np.searchsorted(self.own[d], own[d]) if d in self.own else np.arange(size)
            for d, size in zip(dims, shape, strict=True)
        ]

    def places(self, chunk: Chunk, name: str, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        """Return the index of a chunk's array, (settings, seeds, ...), in that of the Dataset."""
        inner = self.inner(chunk, name, shape[2:])
        rows, *others = np.ix_(np.arange(shape[0]), self.columns(chunk), *inner)
        return *(places[rows] for places in self.cells(chunk).T), *others


def bytes_per_model(model: str, chunks: list[Chunk], only: Collection[str] | None) -> int:
    """Return an upper bound of the bytes that variables take in a Dataset, for each model.

    Raises
    ------
    SpecError
        There is no variable of that name.
    """
    family = family_of(model)
    variables = _variables(family.spec, chunks, only)
    sizes = _sizes(family.spec, chunks, _own_coordinates(family, chunks))
    doubles = any(c.static["dtype"] == "float64" for c in chunks)
    numbers = sum(math.prod(sizes[d] for d in dims) for dims in variables.values())
    return 5 + (8 if doubles else 4) * numbers


def axes_of(cls: Any, sweep: JSONObject) -> tuple[dict[str, list], JSONObject]:
    """Return a stored sweep's axes, name -> values, and the single values of its other axes."""
    sweep = cls.single_defaults() | sweep
    values = {f.name: sweep[f.name] for f in dataclasses.fields(cls) if f.metadata["axis"]}
    zipped = sweep["zipped"] or {}
    axes = axes_with_groups(values, zipped, cls.main_axes)
    return axes, {k: v[0] for k, v in values.items() if k not in {*axes, *dimension_of(zipped)}}


def _label(value: Any) -> Any:
    """Return a coordinate: a callable's stored name without the digest of its source."""
    return value.split("@")[0] if isinstance(value, str) else value


def _variables(
    spec: Spec, chunks: list[Chunk], only: Collection[str] | None
) -> dict[str, tuple[str, ...]]:
    """Variable -> its dimensions within one model."""
    layouts = [spec.layout(c.static, c.settings) for c in chunks]
    found = {name: dims for layout in layouts for name, (dims, _) in layout.items()}
    known = (*found, *chunk_files.FOR_ALL)
    for name in only or ():
        if name not in known:
            subject = f"variables={name!r} is not a variable of this run"
            raise SpecError(not_one_of(subject, name, known, "its variables are"))
    return {k: dims for k, dims in found.items() if only is None or k in only}


def _own_coordinates(family: Family, chunks: list[Chunk]) -> dict[str, np.ndarray]:
    """Coordinates of the results' own dimensions: the union over groups."""
    union: dict[str, set] = {}
    for static in {id(c.static): c.static for c in chunks}.values():
        for dim, values in family.coordinates(static).items():
            union.setdefault(dim, set()).update(values)
    return {dim: np.array(sorted(values)) for dim, values in union.items()}


def _sizes(spec: Spec, chunks: list[Chunk], own: dict[str, np.ndarray]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for chunk in chunks:
        for dims, shape in spec.layout(chunk.static, chunk.settings).values():
            for dim, size in zip(dims, shape, strict=True):
                sizes[dim] = len(own[dim]) if dim in own else max(size, sizes.get(dim, 0))
    return sizes
