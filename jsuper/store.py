"""The run folder: chunk files that are whole or absent, and a manifest.

    manifest.json          the sweep and its hash, the partition into chunks, versions, devices
    sweep.toml             the resolved sweep
    chunks/<hash>.npz      the results: one file per chunk, written under another name and renamed
    scrubbing.npz          what `jsuper scrub` has found; see extras.py
    figures/               the heatmap of the summary
    report.html            the whole sweep on one page

What is done is decided by the chunk files alone. Nothing is pickled. No jax is imported here.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from jsuper import families
from jsuper.archive import UNREADABLE, Arrays, read_arrays
from jsuper.grid import Chunk
from jsuper.spec import BaseSweep, SpecError, digest

SCHEMA = 1
OK, NON_FINITE, FAILED = 1, 2, 3

MANIFEST_KEYS = {"schema", "sweep", "settings", "statics", "chunks", "sessions"}


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
    meta = json.dumps({"schema": SCHEMA} | chunk.to_dict())
    write_atomically(
        chunk_path(folder, chunk.name),
        lambda f: np.savez(f, allow_pickle=False, meta=meta, **arrays),
    )


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


def read_chunk(folder: Path, chunk: Chunk) -> Arrays | None:
    """A chunk's arrays; None where there is no file.

    Raises:
        RunError: the file is not what was written: damaged, or of another shape or schema.
    """
    path = chunk_path(folder, chunk.name)
    try:
        arrays = read_arrays(path)
        meta = json.loads(str(arrays.pop("meta")))
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        raise RunError(f"chunk {path.name} cannot be read: {error}") from error
    if not isinstance(meta, dict) or meta.pop("schema", None) != SCHEMA or meta != chunk.to_dict():
        raise RunError(f"chunk {path.name} holds something else than its name says")
    layout = families.spec_of(chunk.model).layout(chunk.static, chunk.settings)
    expected = {k: shape for k, (_, shape) in layout.items()}
    lead = (len(chunk.settings), len(chunk.seeds))
    for name, shape in (expected | {"status": (), "first_bad_step": ()}).items():
        if name not in arrays or arrays[name].shape != lead + shape:
            raise RunError(f"chunk {path.name} has no array {name} of shape {lead + shape}")
    return arrays


def set_aside(folder: Path, chunk: Chunk) -> Path:
    """Rename a chunk that does not verify to `.corrupt`, so that it is run again."""
    path = chunk_path(folder, chunk.name)
    aside = path.with_suffix(".npz.corrupt")
    os.replace(path, aside)
    return aside


def done(folder: Path, chunks: list[Chunk]) -> tuple[dict[str, Arrays], list[Chunk]]:
    """The chunks whose files verify, by name, and those whose files are damaged."""
    whole, damaged = {}, []
    for chunk in chunks:
        try:
            arrays = read_chunk(folder, chunk)
        except RunError:
            damaged.append(chunk)
        else:
            if arrays is not None:
                whole[chunk.name] = arrays
    return whole, damaged


# ---------------------------------------------------------------------------------------- manifest


def write_manifest(
    folder: Path, sweep: BaseSweep, chunks: list[Chunk], sessions: list[dict[str, Any]]
) -> None:
    """Write manifest.json and sweep.toml; `sessions` have the versions, devices and times."""
    settings: list[dict] = []
    statics: list[dict] = []
    partition = []
    for chunk in chunks:
        data = chunk.to_dict()
        partition.append(
            {
                "name": chunk.name,
                "static": _index(statics, data["static"]),
                "settings": [_index(settings, s) for s in data["settings"]],
                "seeds": data["seeds"],
            }
        )
    manifest = {
        "schema": SCHEMA,
        "sweep": sweep.to_dict(),
        "hash": digest(sweep.to_dict()),
        "settings": settings,
        "statics": statics,
        "sessions": sessions,
        "chunks": partition,
    }
    text = json.dumps(manifest, indent=1)
    (folder / "sweep.toml").unlink(missing_ok=True)  # a kill leaves none rather than another's
    write_atomically(folder / "manifest.json", lambda f: f.write(text.encode()))
    write_atomically(folder / "sweep.toml", lambda f: f.write(sweep.to_toml().encode()))


def _index(table: list[dict], row: dict) -> int:
    if row not in table:
        table.append(row)
    return table.index(row)


def read_manifest(folder: str | Path) -> dict[str, Any] | None:
    """The manifest of a run folder; None where there is none.

    Raises:
        RunError: it cannot be read, or was written by a newer jsuper.
    """
    path = Path(folder) / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        schema = manifest["schema"]
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        raise RunError(f"{path} cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} cannot be read: {error!r}") from error
    if schema != SCHEMA:
        raise RunError(f"{path} has schema {schema}; this jsuper reads {SCHEMA}: update jsuper")
    if lacking := MANIFEST_KEYS - manifest.keys():
        raise RunError(f"{path} cannot be read: it lacks {', '.join(sorted(lacking))}")
    return manifest


def manifest_of(folder: str | Path) -> dict[str, Any]:
    """The manifest of a run folder.

    Raises:
        FileNotFoundError: the folder has none.
        RunError: as `read_manifest`.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise FileNotFoundError(f"{folder} is not a run folder: it has no manifest.json")
    return manifest


def chunks_in(manifest: dict[str, Any]) -> list[Chunk]:
    """The partition of a run, as its manifest states it.

    Raises:
        RunError: the manifest's parts do not fit together.
    """
    try:
        return [
            Chunk(
                manifest["sweep"]["model"],
                _tuples(manifest["statics"][c["static"]]),
                tuple(manifest["settings"][i] for i in c["settings"]),
                tuple(c["seeds"]),
            )
            for c in manifest["chunks"]
        ]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise RunError(
            f"manifest.json cannot be used: it does not fit together ({error!r})"
        ) from error


def _tuples(static: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that the sweep had."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in static.items()}


def check_extends(sweep: BaseSweep, manifest: dict[str, Any], folder: Path) -> None:
    """Raise SpecError, naming the first difference, unless `sweep` contains the folder's sweep."""
    held, asked = sweep.single_defaults() | manifest["sweep"], sweep.to_dict()
    if held["model"] != asked["model"]:
        raise SpecError(
            f"out={str(folder)!r} holds models of another family: model is {held['model']}, asked "
            f"is {asked['model']}; give another --out"
        )
    for name in sorted(held.keys() | asked.keys()):
        old, new = held.get(name), asked.get(name)
        if name == "seeds":
            old, new = seeds_of(old), seeds_of(new)
        contained = old == new
        if isinstance(old, list) and isinstance(new, list):
            axis = name in sweep.axes or name == "seeds"
            contained = contained or axis and all(v in new for v in old)
        if not contained:
            raise SpecError(
                f"out={str(folder)!r} holds another sweep: its {name} is {held.get(name)}, "
                f"asked is {asked.get(name)}; ask for all that it holds, or give another --out"
            )


def seeds_of(value: Any) -> list[int]:
    """The seeds that a count or a list in a manifest stands for."""
    return list(range(value)) if isinstance(value, int) else list(value)
