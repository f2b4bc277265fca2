"""The files of a run folder: chunks that are whole or absent.

    manifest.json          the sweep and its hash, the partition into chunks; see manifest.py
    sessions/              who trained when, with what; see sharing.py
    sweep.toml             the resolved sweep
    chunks/<hash>.npz      the results: one file per chunk, written under another name and renamed
    scrubbing.npz          what `jsuper scrub` has found; see derived.py
    analysis.npz           the measures of `jsuper.analyze`; see analysis/kept.py
    figures/               the heatmap of the summary
    report.html            the whole sweep on one page
    derived.json           from which chunks these two were made; see derived.py

What is done is decided by the chunk files alone. Nothing is pickled. No jax is imported here.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jsuper.core.errors import RunError
from jsuper.core.family import family_of
from jsuper.core.files import rename, write_atomically
from jsuper.core.grid import Chunk
from jsuper.core.json_data import same
from jsuper.core.protocols import Dimensions
from jsuper.core.status import ERROR, ERROR_BYTES, FAILED, NON_FINITE, OK
from jsuper.core.text import printable
from jsuper.store.npz import UNREADABLE, Arrays, read_arrays

SCHEMA = 1
FOR_ALL = ("status", "first_bad_step")  # of every family's models


class Lost(NamedTuple):
    """Numbers of models of a chunk that were trained without a result."""

    diverged: int
    failed: int


# ------------------------------------------------------------------------------------ chunk files


def chunk_path(folder: Path, name: str) -> Path:
    """Where a chunk's file is."""
    return folder / "chunks" / f"{name}.npz"


def write_chunk(folder: Path, chunk: Chunk, arrays: Arrays) -> None:
    """Write a chunk's arrays (settings, seeds, ...); the file is complete or missing.

    Raises
    ------
    OSError
        The file cannot be written, for example on a full disk; an older file stays.
    """
    meta = np.array(_meta(chunk).encode())
    write_atomically(
        chunk_path(folder, chunk.name),
        lambda f: np.savez(f, allow_pickle=False, meta=meta, **arrays),
        root=folder,
    )


def _meta(chunk: Chunk) -> str:
    """Return what a chunk's file says that it holds: `chunk.to_dict()` and the schema."""
    return f'{{"schema":{SCHEMA},{chunk.text[1:]}'


def read_meta(meta: np.ndarray) -> str:
    """Return the JSON in a file: bytes, or text in older ones."""
    value = meta[()]
    return value.decode() if isinstance(value, bytes) else str(value)


def read_chunk(folder: Path, chunk: Chunk, only: Collection[str] | None = None) -> Arrays | None:
    """Return a chunk's arrays; None if it has no file.

    Parameters
    ----------
    folder
        Of the run.
    chunk
        Which.
    only
        Names of the variables to read; status and first_bad_step come with them. None: all.

    Raises
    ------
    RunError
        The file is not what was written: damaged, or of another shape or schema.
    """
    path = chunk_path(folder, chunk.name)
    try:
        wanted = None if only is None else {*only, "meta", *FOR_ALL, ERROR}
        arrays = read_arrays(path, wanted, most_bytes(chunk))
        meta = read_meta(arrays.pop("meta"))
        stated = {"schema": SCHEMA} | chunk.to_dict()
        matches = meta == _meta(chunk) or same(json.loads(meta), stated)
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        raise RunError(f"chunk {path.name} cannot be read: {error}") from error
    if not matches:
        raise RunError(f"chunk {path.name} does not contain what its name states")
    for problem in _problems(chunk, arrays, wanted):
        raise RunError(f"chunk {path.name} has {problem}")
    return arrays


def _problems(chunk: Chunk, arrays: Arrays, wanted: Collection[str] | None) -> Iterator[str]:
    """Return what a chunk's arrays have that `write_chunk` was never given."""
    spec = family_of(chunk.model).spec
    layout = spec.layout(chunk.static, chunk.settings)
    expected = {k: shape for k, (_, shape) in layout.items()} | dict.fromkeys(FOR_ALL, ())
    lead = (len(chunk.settings), len(chunk.seeds))
    for name, shape in expected.items():
        if wanted is not None and name not in wanted:
            continue
        if name not in arrays or arrays[name].shape != lead + shape:
            yield f"no array {name} of shape {lead + shape}"
        elif not _is_type(arrays[name].dtype, None if name in FOR_ALL else chunk.static["dtype"]):
            yield f"an array {name} of type {arrays[name].dtype.str[:20]}"
    if not is_status(arrays["status"]):
        yield "a status that is not 1, 2 or 3"
    if not is_text(arrays.get(ERROR), lead):
        yield f"an array {ERROR} that is not a text for each model"
    for name in spec.FINITE:
        if name not in arrays:
            continue
        wrong = ~np.isfinite(arrays[name]) & _reached(chunk, arrays, layout[name][0])
        if wrong[arrays["status"] == OK].any():
            yield f"a model of status {OK} whose {name} is not finite"


def _reached(chunk: Chunk, arrays: Arrays, dims: Dimensions) -> Any:
    """Return which numbers of a variable were recorded before the training of a model ended."""
    family = family_of(chunk.model)
    ends = getattr(family.spec, "ENDS", None)
    if "step" not in dims or ends not in family.spec.layout(chunk.static, chunk.settings):
        return True
    if ends not in arrays:
        return False  # not read, so that it is unknown
    return np.array(family.coordinates(chunk.static)["step"]) < arrays[ends][..., None]


def _is_type(found: np.dtype, wanted: str | None) -> bool:
    """Whether an array's type is what is written: a float of that name, or any integer for None."""
    return found == np.dtype(wanted) if wanted else found.kind in "iu" and found.isnative


def most_bytes(chunk: Chunk) -> dict[str, int]:
    """Array of a chunk's file -> the most bytes that it has; known before any is read."""
    layout = family_of(chunk.model).spec.layout(chunk.static, chunk.settings)
    shapes = {k: shape for k, (_, shape) in layout.items()} | dict.fromkeys(FOR_ALL, ())
    meta = 8 * len(_meta(chunk)) + 1000  # older files have four bytes a character, and spaces
    most = {k: 8 * chunk.n_models * math.prod(v) for k, v in shapes.items()}
    return most | {"meta": meta, ERROR: ERROR_BYTES * chunk.n_models}


def is_status(status: np.ndarray) -> bool:
    """Return whether an array holds statuses of models that were trained."""
    known = (OK, NON_FINITE, FAILED)
    return status.dtype.kind in "iu" and bool(np.isin(status, known).all())


def is_text(error: np.ndarray | None, shape: tuple[int, ...]) -> bool:
    """Return whether a chunk's error messages are absent, or a text for each model."""
    if error is None:
        return True
    return error.shape == shape and error.dtype.kind == "S" and error.itemsize <= ERROR_BYTES


def set_aside(folder: Path, chunk: Chunk) -> Path:
    """Rename a chunk that does not verify to `.corrupt`, so that it is run again."""
    path = chunk_path(folder, chunk.name)
    aside = path.with_suffix(".npz.corrupt")
    rename(path, aside, root=folder)
    return aside


def done(folder: Path, chunks: list[Chunk]) -> tuple[dict[str, Lost], list[Chunk]]:
    """Return the chunks whose files verify, and those whose files are damaged; every byte is read.

    Returns
    -------
    tuple[dict[str, Lost], list[Chunk]]
        Name -> models without a result, of whole chunks; and the damaged chunks.
    """
    whole, damaged = {}, []
    for chunk in chunks:
        try:
            arrays = read_chunk(folder, chunk)
        except RunError:
            damaged.append(chunk)
        else:
            if arrays is not None:
                whole[chunk.name] = count_lost(arrays)
    return whole, damaged


def count_lost(arrays: Arrays) -> Lost:
    """Return how many models of a chunk have diverged and failed."""
    status = arrays["status"]
    return Lost(int((status == NON_FINITE).sum()), int((status == FAILED).sum()))


def error_messages(arrays: Arrays) -> Counter[str]:
    """Return message -> number of the failed models of a chunk that have it."""
    failed = arrays["status"] == FAILED
    if ERROR not in arrays:  # files of version 0.1
        return Counter({"no message was stored": int(failed.sum())} if failed.any() else {})
    messages = (printable(m.decode(errors="replace"), ERROR_BYTES) for m in arrays[ERROR][failed])
    return Counter(messages)
