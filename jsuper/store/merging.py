"""Several run folders of one sweep, combined into a new one: other seeds, shares or machines."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jsuper.core.errors import SpecError
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk, Covered, missing, partition
from jsuper.core.json_data import JSON, JSONObject, same
from jsuper.core.status import ERROR, ERROR_BYTES, FAILED, NON_FINITE, OK
from jsuper.core.sweep import BaseSweep
from jsuper.core.text import shown
from jsuper.core.zipped import columns_of
from jsuper.store import chunk_files, groups, sharing
from jsuper.store.chunk_files import Arrays
from jsuper.store.comparing import different_functions
from jsuper.store.manifest import Manifest, manifest_of, seeds_of, write_manifest

RANK = {OK: 0, NON_FINITE: 1, FAILED: 2}  # the model with the lowest is kept
MODELS_PER_CHUNK = 256  # of points that no folder has


@dataclasses.dataclass(frozen=True)
class Source:
    """A finished chunk of one of the folders."""

    folder: Path
    chunk: Chunk

    def read(self) -> Arrays:
        """Return the chunk's arrays."""
        arrays = chunk_files.read_chunk(self.folder, self.chunk)
        assert arrays is not None  # it was there a moment ago
        return arrays


def merge(folders: list[Path], out: Path) -> None:
    """Combine run folders of one sweep into a new run folder, and leave them as they are.

    The new sweep has the settings and seeds of all folders. Of a model that several folders hold,
    the one that is finite is kept, and the first of those. Points that no folder has trained are
    missing in the new folder, whose sweep can be resumed.

    Parameters
    ----------
    folders
        Run folders, finished or not.
    out
        The new run folder; it must not exist, or be empty.

    Raises
    ------
    SpecError
        `out` is in use; or the folders differ in a static value, a function or the model family.
    FileNotFoundError
        One of the folders is not a run folder.
    RunError
        A manifest cannot be read.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SpecError(f"out={str(out)!r} exists; give a new folder")
    manifests = [manifest_of(folder) for folder in folders]
    sweep = as_sweep(functools.reduce(_union, zip(folders, manifests, strict=True))[1].sweep)
    sources, unfinished = _chunks_of(folders, manifests)
    covered = Covered(type(sweep))
    pieces = []
    for source in sources:
        for piece in _rest_of(covered, source.chunk):
            pieces.append((piece, source))
            covered.add(piece)
    chunks = [piece for piece, _ in pieces]
    for chunk in unfinished:  # as they are where possible: others may be training them
        if _rest_of(covered, chunk) == [chunk]:
            chunks.append(chunk)
            covered.add(chunk)
    for group in missing(sweep, chunks):
        chunks += partition(sweep, group, MODELS_PER_CHUNK, workers=1)
    sessions = [sharing.sessions_of(f, m) for f, m in zip(folders, manifests, strict=True)]
    functions = {label: f for m in manifests for label, f in m.functions.items()}
    write_manifest(out, sweep, chunks, [s for found in sessions for s in found], functions)
    for piece, source in pieces:
        arrays = _slice(source, piece)
        for other in sources:
            if other.folder != source.folder:
                _keep_better(covered, piece, arrays, other)
        chunk_files.write_chunk(out, piece, arrays)


def as_sweep(data: JSONObject) -> BaseSweep:
    """Return a stored sweep, in which functions remain the labels that stand for them."""
    cls = family_of(data["model"]).spec.Sweep
    sweep = object.__new__(cls)
    for f in dataclasses.fields(cls):
        value = data.get(f.name, f.default)
        if f.name == "zipped":
            value = f.metadata["check"](f.name, value)
        object.__setattr__(sweep, f.name, tuple(value) if isinstance(value, list) else value)
    return sweep


Stored = tuple[Path, Manifest]


def _union(one: Stored, other: Stored) -> Stored:
    """Return the first folder, with the sweep that has the settings and seeds of both."""
    (a_name, a), (b_name, b) = one, other
    if a.sweep["model"] != b.sweep["model"]:
        raise SpecError(_refusal("model", a_name, a.sweep["model"], b_name, b.sweep["model"]))
    for name, label, other_label in different_functions(a.sweep, b.sweep):
        raise SpecError(_refusal(name, a_name, label, b_name, other_label))
    cls = family_of(a.sweep["model"]).spec.Sweep
    older = cls.single_defaults()  # of fields that an older folder does not have
    mine, theirs = older | a.sweep, older | b.sweep
    zipped = groups.union(mine, theirs)
    if zipped is None:
        both = mine.get("zipped"), theirs.get("zipped")
        raise SpecError(_refusal("zipped", a_name, both[0], b_name, both[1]))
    columns = {k: list(v) for k, v in columns_of(zipped).items()}
    mine |= {"zipped": zipped or None} | columns
    for f in dataclasses.fields(cls):
        old: JSON = mine.get(f.name)
        new: JSON = theirs.get(f.name)
        if f.name == "zipped" or f.name in columns:
            continue
        if f.name == "seeds":
            mine["seeds"] = _all_seeds(old, new)
        elif f.metadata["role"] == "setting":
            mine[f.name] = [*(old or []), *(v for v in new or [] if v not in (old or []))]
        elif not (same(old, new) or f.metadata["axis"] and _same_values(old, new)):
            raise SpecError(_refusal(f.name, a_name, old, b_name, new))
    return a_name, dataclasses.replace(a, sweep=mine)


def _refusal(name: str, a_name: Path, old: JSON, b_name: Path, new: JSON) -> str:
    return (
        f"{name} is {shown(old)} in {a_name} and {shown(new)} in {b_name}; folders of one sweep "
        "can be merged, which differ in settings and seeds alone"
    )


def _same_values(old: list | None, new: list | None) -> bool:
    return same(sorted(old or [], key=str), sorted(new or [], key=str))


def _all_seeds(old: int | list[int], new: int | list[int]) -> int | list[int]:
    """Return the seeds of two sweeps, as a count where they are 0, 1, ..."""
    if isinstance(old, int) and isinstance(new, int):
        return max(old, new)
    both = sorted({*seeds_of(old), *seeds_of(new)})
    return len(both) if both == list(range(len(both))) else both


def _chunks_of(folders: list[Path], manifests: list[Manifest]) -> tuple[list[Source], list[Chunk]]:
    """Return the finished chunks of folders, and the others; damaged ones are not finished."""
    sources, unfinished = [], []
    for folder, manifest in zip(folders, manifests, strict=True):
        done, _ = chunk_files.done(folder, manifest.chunks)
        for chunk in manifest.chunks:
            if chunk.name in done:
                sources.append(Source(folder, chunk))
            else:
                unfinished.append(chunk)
    return sources, unfinished


def _rest_of(covered: Covered, chunk: Chunk) -> list[Chunk]:
    """Return the points of a chunk that are not covered, as chunks; the chunk itself if all."""
    rest = covered.rest_of(chunk)
    if [r.settings for r in rest] == [chunk.settings] and rest[0].seeds == chunk.seeds:
        return [chunk]
    return [Chunk(chunk.model, r.static, r.settings, r.seeds) for r in rest]


def _slice(source: Source, piece: Chunk) -> Arrays:
    """Return the arrays of the models of `piece`, a part of the source's chunk."""
    rows = [source.chunk.settings.index(s) for s in piece.settings]
    columns = [source.chunk.seeds.index(s) for s in piece.seeds]
    layout = family_of(piece.model).spec.layout(piece.static, piece.settings)
    names = (*layout, *chunk_files.FOR_ALL, ERROR)
    return {k: v[np.ix_(rows, columns)] for k, v in source.read().items() if k in names}


def _keep_better(covered: Covered, piece: Chunk, arrays: Arrays, other: Source) -> None:
    """Replace, in a piece's arrays, models that are not finite by better ones of another folder."""
    places = list(_better_places(covered, piece, arrays["status"], other.chunk))
    if not places:
        return
    theirs = other.read()
    if not arrays.keys() - {ERROR} <= theirs.keys():
        return
    if ERROR in arrays:
        theirs = {ERROR: np.zeros(theirs["status"].shape, f"S{ERROR_BYTES}")} | theirs
    for place, source in places:
        if RANK[int(theirs["status"][source])] < RANK[int(arrays["status"][place])]:
            for name, values in arrays.items():
                values[place] = theirs[name][source]


def _better_places(
    covered: Covered, piece: Chunk, status: np.ndarray, chunk: Chunk
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """(row, column) of each model of a piece that is not finite, and its place in another chunk."""
    if (status == OK).all() or not set(piece.seeds) & set(chunk.seeds):
        return
    rows = {identity: row for row, identity in enumerate(covered.identities(chunk))}
    columns = {seed: column for column, seed in enumerate(chunk.seeds)}
    mine = covered.identities(piece)
    for row, column in zip(*np.nonzero(status != OK), strict=True):
        source = rows.get(mine[row]), columns.get(piece.seeds[column])
        if None not in source:
            yield (int(row), int(column)), source  # type: ignore[misc]
