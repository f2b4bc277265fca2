"""The weights of a run as safetensors: a file for each model, or all of them stacked in one.

Chunks are read one after another. A folder of files is made under another name and renamed, so it
is complete or absent, as a single file is.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import os
import shutil
import uuid
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from jsuper.analysis.selecting import Selection, check_selection
from jsuper.analysis.weight_names import Arrays, naming_of, parameters_of
from jsuper.core import files
from jsuper.core.errors import RunError, SpecError, SweepWarning
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk
from jsuper.core.json_data import plain
from jsuper.core.status import FAILED, NON_FINITE, OK
from jsuper.core.text import counted
from jsuper.core.version import __version__
from jsuper.store import chunk_files
from jsuper.store.manifest import Manifest
from jsuper.store.shape import Shape

ENDING = ".safetensors"
MOST_FILES = 20_000
REASONS = {NON_FINITE: "diverged", FAILED: "failed", None: "not trained, or in damaged files"}


@dataclass(frozen=True)
class Asked:
    """Which weights are exported, and how."""

    names: str | None = None
    """convention of names; None: the family's default"""
    select: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """field -> value or values"""
    stacked: bool = False
    """one file with a leading axis of models"""


class Named(NamedTuple):
    """One model: its place in the sweep, file name, tensors, and what the file says of it."""

    place: tuple[int, ...]
    name: str
    tensors: Arrays
    about: dict[str, str]


def write_files(folder: Path, manifest: Manifest, asked: Asked, path: Path) -> None:
    """Write the folder `path`, with one file for each selected model that has not diverged.

    Raises
    ------
    ImportError
        safetensors is not installed.
    SpecError
        No model is selected, or too many are.
    OSError
        A file cannot be written; a folder from before is untouched.
    """
    selection = check_selection(manifest, asked.select)
    if (count := selection.count(manifest.chunks)) > MOST_FILES:
        raise SpecError(
            f"format='safetensors' would write {count:,} files, and {MOST_FILES:,} are allowed: "
            "stack the models in one (--stacked), or --select some of them"
        )
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    new.mkdir()
    try:
        for model in _models(folder, manifest, asked, selection):
            place, content = new / files.shortened(model.name, ENDING), packed(model)
            place.write_bytes(content)  # not flushed to the disk, which takes 5 ms a file
            _check_written(place, content)
        _replace(path, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def check_replaceable(path: Path) -> None:
    """Raise SpecError if a folder has anything but exported files, which would be lost."""
    others = sorted(p.name for p in path.iterdir() if p.suffix != ENDING or not p.is_file())
    if others:
        raise SpecError(f"{path} is not replaced, since it has {others[0]} too: move that away")


def _replace(path: Path, new: Path) -> None:
    old = path.with_name(f"{new.name}.old")
    before = path.exists()
    if before:
        os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        if before:
            os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_stacked(folder: Path, manifest: Manifest, asked: Asked, path: Path) -> None:
    """Write the file `path`, whose tensors have a leading axis of models, in the sweep's order.

    Raises
    ------
    ImportError
        safetensors is not installed.
    SpecError
        No model is selected, or they have different tensors.
    OSError
        The file cannot be written; one from before is untouched.
    """
    selection = check_selection(manifest, asked.select)
    models = sorted(_models(folder, manifest, asked, selection), key=lambda m: m.place)
    shapes = {tuple((k, v.shape, v.dtype.str) for k, v in m.tensors.items()) for m in models}
    if len(shapes) > 1:
        raise SpecError(
            f"the models have tensors of {len(shapes)} kinds of names and shapes, which cannot be "
            "stacked: select models of one kind (--select n_hidden=5), or write a file for each"
        )
    stacked = {k: np.stack([m.tensors[k] for m in models]) for k in models[0].tensors}
    abouts = [m.about for m in models]
    shared = {k: v for k, v in abouts[0].items() if all(a[k] == v for a in abouts)}
    each = [{k: v for k, v in a.items() if k not in shared} for a in abouts]
    about = shared | {"models": json.dumps(each)}
    content = packed(Named((), path.stem, stacked, about))
    check = functools.partial(_check_written, content=content)
    files.write_atomically(path, lambda file: file.write(content), check=check)


def packed(model: Named) -> bytes:
    """Return the content of a model's file."""
    from safetensors.numpy import save

    tensors = {k: np.ascontiguousarray(v) for k, v in model.tensors.items()}
    return save(tensors, metadata=model.about)


def _check_written(path: Path, content: bytes) -> None:
    """Raise OSError unless a file has the content that was written."""
    if path.read_bytes() != content:
        raise OSError(errno.EIO, "the file does not read back as it was written", str(path))


def _models(
    folder: Path, manifest: Manifest, asked: Asked, selection: Selection
) -> Iterator[Named]:
    """Return the selected models; warn of those that are left out, and refuse if all are."""
    described, lost, exported = _Described(manifest, asked.names), Counter(), 0
    for chunk in manifest.chunks:
        chosen = selection.of(chunk)
        status, arrays = _read(folder, chunk) if chosen else (np.empty(0), {})
        for i, j in chosen:
            if status[i, j] == OK:
                exported += 1
                yield described.model(chunk, i, j, {k: v[i, j] for k, v in arrays.items()})
            else:
                lost[status[i, j]] += 1
    left_out = ", ".join(f"{lost[k]:,} {why}" for k, why in REASONS.items() if lost[k])
    if not exported:
        raise SpecError(f"no model is left to export: {left_out}")
    if left_out:
        count = lost.total()
        models = f"{count:,} of {counted(exported + count, 'model')}"
        warnings.warn(f"{models} left out: {left_out}", SweepWarning, stacklevel=5)


def _read(folder: Path, chunk: Chunk) -> tuple[np.ndarray, Arrays]:
    """Return the statuses of a chunk's models, None where there are no results, and its weights."""
    parameters = parameters_of(chunk.model, chunk.static, chunk.settings)
    spec = family_of(chunk.model).spec
    layout = spec.layout(chunk.static, chunk.settings)
    numbers = [k for k in ("loss", spec.SUMMARY) if k in layout and not layout[k][0]]
    try:
        arrays = chunk_files.read_chunk(folder, chunk, [*parameters, *numbers])
    except RunError:
        arrays = None
    if arrays is None:
        return np.full((len(chunk.settings), len(chunk.seeds)), None), {}
    return arrays["status"].astype(object), {k: arrays[k] for k in (*parameters, *numbers)}


class _Described:
    """Gives the models of a run their names, tensors and metadata."""

    def __init__(self, manifest: Manifest, names: str | None) -> None:
        self._names, self._naming = naming_of(manifest.sweep["model"], names)
        self._shape = Shape(manifest.sweep, manifest.chunks)
        self._coordinates = self._shape.coordinates()
        declared = dataclasses.fields(self._shape.family.spec.Sweep)
        self._axes = [f.name for f in declared if f.metadata["axis"]]

    def model(self, chunk: Chunk, i: int, j: int, arrays: Arrays) -> Named:
        """Return the model of a chunk's setting i and seed j, from its weights and losses."""
        fields, cell = chunk.static | chunk.settings[i], self._shape.cells(chunk)[i]
        numbers = {k: arrays.pop(k) for k in list(arrays) if not arrays[k].ndim}
        about = {"jsuper": __version__, "family": chunk.model, "names": self._names}
        about |= {k: _text(fields[k]) for k in self._axes if k in fields}
        about |= {"seed": str(chunk.seeds[j])} | {k: repr(float(v)) for k, v in numbers.items()}
        place = (*map(int, cell), int(self._shape.columns(chunk)[j]))
        name = self._file_name(cell, chunk.seeds[j])
        tensors = self._naming(arrays, fields | {"seed": chunk.seeds[j]})
        return Named(place, name, tensors, about)

    def _file_name(self, cell: np.ndarray, seed: int) -> str:
        """Return 'activation=relu,sparsity=0.9,seed=0': the axes that have several values."""
        words = []
        for axis, at in zip(self._shape.axes, cell, strict=True):
            text = str(self._coordinates[axis][at]).replace(", ", ",")
            words.append(text if axis in self._shape.zipped else f"{axis}={text}")
        return quote(",".join([*words, f"seed={seed}"]), safe="=,()+")


def _text(value: Any) -> str:
    """Return a field's value as metadata: text as it is, a function's name, others as JSON."""
    value = plain(value)
    return value.split("@")[0] if isinstance(value, str) else json.dumps(value)
