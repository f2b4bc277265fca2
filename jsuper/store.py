"""The files of a run folder: chunks that are whole or absent.

    manifest.json          the sweep and its hash, the partition into chunks; see manifest.py
    sessions/              who trained when, with what; see sharing.py
    sweep.toml             the resolved sweep
    chunks/<hash>.npz      the results: one file per chunk, written under another name and renamed
    scrubbing.npz          what `jsuper scrub` has found; see extras.py
    figures/               the heatmap of the summary
    report.html            the whole sweep on one page

What is done is decided by the chunk files alone. Nothing is pickled. No jax is imported here.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jsuper import families
from jsuper.archive import UNREADABLE, Arrays, opened, read_arrays
from jsuper.grid import Chunk
from jsuper.spec import same

SCHEMA = 1
OK, NON_FINITE, FAILED = 1, 2, 3
FOR_ALL = ("status", "first_bad_step")  # of every family's models


class RunError(RuntimeError):
    """A run folder that cannot be used as asked: what is wrong with it and what to do."""


# ------------------------------------------------------------------------------------ chunk files


def chunk_path(folder: Path, name: str) -> Path:
    """Where a chunk's file is."""
    return folder / "chunks" / f"{name}.npz"


def write_chunk(folder: Path, chunk: Chunk, arrays: Arrays) -> None:
    """Write a chunk's arrays (settings, seeds, ...); the file is whole or not there.

    Raises:
        OSError: the disk is full, say; what was there before is untouched.
    """
    meta = np.array(_meta(chunk).encode())
    write_atomically(
        chunk_path(folder, chunk.name),
        lambda f: np.savez(f, allow_pickle=False, meta=meta, **arrays),
    )


def _meta(chunk: Chunk) -> str:
    """What a chunk's file says that it holds: `chunk.to_dict()` and the schema."""
    return f'{{"schema":{SCHEMA},{chunk.text[1:]}'


def read_meta(meta: np.ndarray) -> str:
    """The JSON in a file: bytes, or text in older ones."""
    value = meta[()]
    return value.decode() if isinstance(value, bytes) else str(value)


def write_atomically(path: Path, write: Any) -> None:
    """Call `write(file)` on a temporary file beside `path`, flush it to disk, and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())
    temporary = path.with_name(f".{path.name}.{host}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say where
        raise
    with contextlib.suppress(OSError):  # some file systems cannot flush a folder
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_chunk(folder: Path, chunk: Chunk, only: Collection[str] | None = None) -> Arrays | None:
    """A chunk's arrays; None where there is no file.

    Args:
        folder: of the run.
        chunk: which.
        only: names of the variables to read; status and first_bad_step come with them. None: all.

    Raises:
        RunError: the file is not what was written: damaged, or of another shape or schema.
    """
    path = chunk_path(folder, chunk.name)
    try:
        wanted = None if only is None else {*only, "meta", *FOR_ALL}
        arrays = read_arrays(path, wanted)
        meta = read_meta(arrays.pop("meta"))
        stated = {"schema": SCHEMA} | chunk.to_dict()
        matches = meta == _meta(chunk) or same(json.loads(meta), stated)
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        raise RunError(f"chunk {path.name} cannot be read: {error}") from error
    if not matches:
        raise RunError(f"chunk {path.name} holds something else than its name says")
    for problem in _problems(chunk, arrays, wanted):
        raise RunError(f"chunk {path.name} has {problem}")
    return arrays


def _problems(chunk: Chunk, arrays: Arrays, wanted: Collection[str] | None) -> Iterator[str]:
    """What a chunk's arrays have that `write_chunk` was never given."""
    spec = families.spec_of(chunk.model)
    layout = spec.layout(chunk.static, chunk.settings)
    expected = {k: shape for k, (_, shape) in layout.items()} | dict.fromkeys(FOR_ALL, ())
    lead = (len(chunk.settings), len(chunk.seeds))
    for name, shape in expected.items():
        if wanted is not None and name not in wanted:
            continue
        if name not in arrays or arrays[name].shape != lead + shape:
            yield f"no array {name} of shape {lead + shape}"
        elif arrays[name].dtype.kind not in ("iu" if name in FOR_ALL else "f"):
            yield f"an array {name} of type {arrays[name].dtype}"
    if not is_status(arrays["status"]):
        yield "a status that is none"
    for name in spec.FINITE:
        if name in arrays and not np.isfinite(arrays[name][arrays["status"] == OK]).all():
            yield f"a model of status {OK} whose {name} is not finite"


def is_status(status: np.ndarray) -> bool:
    """Whether an array holds statuses of models that were trained."""
    known = (OK, NON_FINITE, FAILED)
    return status.dtype.kind in "iu" and bool(np.isin(status, known).all())


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        OSError: it cannot be read, or is no file.
        UnicodeDecodeError: it is no text.
    """
    with opened(path) as file:
        return file.read().decode()


def set_aside(folder: Path, chunk: Chunk) -> Path:
    """Rename a chunk that does not verify to `.corrupt`, so that it is run again."""
    path = chunk_path(folder, chunk.name)
    aside = path.with_suffix(".npz.corrupt")
    os.replace(path, aside)
    return aside


def done(folder: Path, chunks: list[Chunk]) -> tuple[dict[str, int], list[Chunk]]:
    """The chunks whose files verify, and those whose files are damaged; every byte is read.

    Returns:
        Name -> number of models that are not finite, of whole chunks, and the damaged ones.
    """
    whole, damaged = {}, []
    for chunk in chunks:
        try:
            arrays = read_chunk(folder, chunk)
        except RunError:
            damaged.append(chunk)
        else:
            if arrays is not None:
                whole[chunk.name] = lost_models(arrays)
    return whole, damaged


def lost_models(arrays: Arrays) -> int:
    """How many models of a chunk have diverged or failed."""
    return int((arrays["status"] != OK).sum())
