"""The manifest of a run folder: its sweep, and the partition into chunks that was fixed for it.

Folders get passed around, so nothing that a manifest says is believed before it fits together: the
sweep passes its family's checks and has its hash, every chunk holds points of the sweep alone and
has the name of its content, and all of them together are the sweep. What is done is decided by the
chunk files; a manifest that is lost is put together from them. No jax is imported here.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from jsuper.core import files
from jsuper.core.errors import RunError, SpecError
from jsuper.core.family import family_of, known_families
from jsuper.core.grid import Chunk, Setting
from jsuper.core.json_data import JSON, JSONObject, digest, plain
from jsuper.core.protocols import Existing
from jsuper.core.reading import check_depth, json_limit, parse_json, read_text
from jsuper.core.sweep import BaseSweep
from jsuper.core.text import printable, shown
from jsuper.core.zipped import dimension_of
from jsuper.store import chunk_files, groups
from jsuper.store.rebuild import sweep_and_chunks
from jsuper.store.validate import (
    check_chunks,
    check_complete,
    check_row,
    count,
    known_seeds,
    number_of_seeds,
    seeds_among,
    texts_of,
    tuples,
    values_of,
)

KEYS = {"schema", "sweep", "hash", "settings", "statics", "chunks", "sessions"}
NAME = "manifest.json"
SCHEMAS = (1, 2)  # 2: with fields that version 0.1 does not know


@dataclass(frozen=True)
class Manifest:
    """What a run folder is a run of."""

    sweep: JSONObject  # `BaseSweep.to_dict()`
    chunks: list[Chunk]
    sessions: list[JSONObject]  # of older folders; newer ones have a file for each
    lost: bool = False  # manifest.json is missing; this one comes from the chunks
    functions: JSONObject = field(default_factory=dict)  # label of a function -> what it is

    @functools.cached_property
    def hash(self) -> str:
        """That of the sweep."""
        return digest(self.sweep)

    @property
    def models(self) -> int:
        """Number of models of the sweep."""
        return count(self.sweep, values_of(self.sweep))


def write_manifest(
    folder: Path,
    sweep: BaseSweep,
    chunks: list[Chunk],
    sessions: list[JSONObject],
    functions: JSONObject | None = None,
) -> None:
    """Write manifest.json and sweep.toml; `sessions` have the versions, devices and times.

    `functions` describe the sweep's functions where it has their labels alone.

    Raises
    ------
    RunError
        It could not be read again; nothing is written.
    """
    settings, statics = _Table(), _Table()
    partition = [
        {
            "name": chunk.name,
            "static": statics.row(chunk.static),
            "settings": [settings.row(s) for s in chunk.settings],
            "seeds": list(chunk.seeds),
        }
        for chunk in chunks
    ]
    manifest = {
        "schema": max(f.metadata.get("since", 1) for f in fields(sweep)),
        "sweep": sweep.to_dict(),
        "hash": digest(sweep.to_dict()),
        "settings": settings.rows,
        "statics": statics.rows,
        "sessions": sessions,
        "chunks": partition,
    }
    if functions := functions or sweep.functions():
        manifest["functions"] = functions
    if package := family_of(sweep.model).package:
        manifest["package"] = package  # to name it where it is not installed
    text = json.dumps(manifest, indent=1)
    try:
        _checked(json.loads(text))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RunError(
            f"{folder / NAME} is not written, since it could not be read again: {error}; "
            "give another --out"
        ) from error
    files.remove(folder / "sweep.toml")  # a kill leaves none rather than another's
    files.write_text(folder / NAME, text)
    files.write_text(folder / "sweep.toml", sweep.to_toml())


class _Table:
    """Different rows of plain data, and the number of each; chunks share most of theirs."""

    def __init__(self) -> None:
        self.rows: list[JSONObject] = []
        self._numbers: dict[str, int] = {}
        self._seen: dict[int, tuple[int, Any]] = {}  # by identity, which the second member keeps

    def row(self, given: JSONObject) -> int:
        if id(given) not in self._seen:
            row = {k: plain(v) for k, v in given.items()}
            number = self._numbers.setdefault(json.dumps(row), len(self.rows))
            if number == len(self.rows):
                self.rows.append(row)
            self._seen[id(given)] = number, given
        return self._seen[id(given)][0]


# ------------------------------------------------------------------------------------------ reading


def read_manifest(folder: str | Path) -> Manifest | None:
    """Return the manifest of a run folder, or None if it has no manifest.json.

    Raises
    ------
    RunError
        It cannot be read, was written by a newer jsuper, or does not fit together.
    """
    path = Path(folder) / NAME
    try:
        data = parse_json(read_text(path, json_limit()))
        if not isinstance(data, dict):
            raise ValueError("it is not an object with fields")
        if "schema" not in data:
            raise ValueError("it lacks schema")
        schema = data["schema"]
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        raise RunError(f"{path} cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _unusable(path, said(error)) from error
    if type(schema) is not int or schema not in SCHEMAS:
        raise RunError(
            f"{path} has schema {shown(schema)}; this jsuper reads {', '.join(map(str, SCHEMAS))}: "
            "update jsuper"
        )
    if lacking := KEYS - data.keys():
        raise _unusable(path, f"it lacks {', '.join(sorted(lacking))}")
    _check_family(path, data)
    try:
        return _checked(data)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _unusable(path, said(error)) from error
    except RecursionError as error:
        raise _unusable(path, "it is too deep") from error


def _check_family(path: Path, data: JSONObject) -> None:
    """Raise RunError for a run of a family that is not installed, and name its package."""
    model = data["sweep"].get("model") if isinstance(data["sweep"], dict) else None
    if not isinstance(model, str) or model in known_families():
        return
    package, known = data.get("package"), ", ".join(known_families())
    if not (isinstance(package, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,100}", package)):
        package = None
    advice = f"install the package {package}" if package else "install the package that has it"
    raise RunError(
        f"{path} is of the model family {shown(model)}, which is not installed ({known} are): "
        f"{advice}"
    )


def said(error: Exception) -> str:
    """Return what an error says, and its type where that alone is unclear."""
    own = isinstance(error, ValueError) and str(error)
    return str(error) if own else repr(error)


def _unusable(path: Path, why: str) -> RunError:
    return RunError(
        f"{path} cannot be read: {printable(why, 500)}; move it away, and the sweep's command "
        "rebuilds it from the chunks"
    )


def _checked(data: JSONObject) -> Manifest:
    """Return the manifest that JSON states, where its parts fit together.

    Raises
    ------
    Exception
        What is found wrong, also by Python itself.
    """
    sweep, sessions = data["sweep"], data["sessions"]
    values = values_of(sweep)
    allowed = texts_of(values)
    if digest(sweep) != data["hash"]:
        raise ValueError("its sweep does not have its hash")
    check_depth(sessions)
    if not all(isinstance(s, dict) for s in sessions):
        raise ValueError("its sessions are not a list of tables")
    for row in (*data["statics"], *data["settings"]):
        check_row(row, allowed)
    statics = [tuples(row) for row in data["statics"]]
    chunks, seeds = [], known_seeds(sweep["seeds"])
    parts: dict[tuple[int, ...], tuple[Setting, ...]] = {}  # shared by chunks of different seeds
    for entry in data["chunks"]:
        numbers = tuple(entry["settings"])
        if numbers not in parts:
            if len(set(numbers)) < len(numbers):
                raise ValueError("a chunk of it has a setting twice")
            parts[numbers] = tuple(_item(data["settings"], i) for i in numbers)
        static = _item(statics, entry["static"])
        chunk = Chunk(sweep["model"], static, parts[numbers], seeds_among(entry["seeds"], seeds))
        if chunk.name != entry["name"]:
            raise ValueError(f"its chunk {entry['name']!r} is not what its name says")
        chunks.append(chunk)
    check_complete(chunks)
    groups.check_rows(sweep, chunks)
    models = count(sweep, values)
    if sum(c.n_models for c in chunks) != models:
        raise ValueError(f"its chunks are not the {models:,} models of its sweep")
    functions = data.get("functions")
    known = functions if isinstance(functions, dict) else {}  # used only where it can be
    return Manifest(sweep, chunks, list(sessions), functions=known)


def _item(rows: list[JSON], index: JSON) -> JSON:
    if type(index) is not int or not 0 <= index < len(rows):
        raise ValueError(f"it has no row {index!r}")
    return rows[index]


def rebuilt(folder: Path) -> Manifest | None:
    """Return the manifest of a run that has lost it, from its chunks; None where there are none.

    Raises
    ------
    RunError
        The chunks are not of one sweep.
    """
    found = sweep_and_chunks(folder)
    return Manifest(*found, [], lost=True) if found else None


def manifest_of(folder: str | Path) -> Manifest:
    """Return the manifest of a run folder; one put together from the chunks where it is lost.

    Raises
    ------
    FileNotFoundError
        The folder is no run folder.
    RunError
        As `read_manifest`.
    """
    manifest = read_manifest(folder) or rebuilt(Path(folder))
    if manifest is None:
        if not os.path.exists(folder):  # also False for names that no file can have
            raise FileNotFoundError(
                f"{folder} does not exist; give a run folder, such as `jsuper list FOLDER` lists"
            )
        raise FileNotFoundError(f"{folder} is not a run folder: it has no {NAME}")
    return manifest


# ------------------------------------------------------------------------------------------- extend


def check_extends(sweep: BaseSweep, manifest: Manifest, folder: Path) -> None:
    """Raise SpecError, naming the first difference, unless `sweep` contains the folder's sweep."""
    held, asked = sweep.single_defaults() | manifest.sweep, sweep.to_dict()
    if held["model"] != asked["model"]:
        raise SpecError(
            f"out={str(folder)!r} contains models of the family {held['model']!r}, and this sweep "
            f"is of {asked['model']!r}; give another --out"
        )
    if sweep.zipped and manifest.lost and _contains(asked, manifest.chunks):
        return  # chunks do not say which of their fields vary together
    groups.check_extends(held, asked, folder)
    grouped = {"zipped", *dimension_of(sweep.zipped)}
    for name in sorted((held.keys() | asked.keys()) - grouped):
        old, new = held.get(name), asked.get(name)
        contained = _has_seeds(new, old) if name == "seeds" else old == new
        if isinstance(old, list) and isinstance(new, list) and name in sweep.axes:
            contained = contained or set(old) <= set(new)
        if not contained:
            raise SpecError(
                f"out={str(folder)!r} contains another sweep: {name} is {held.get(name)} there and "
                f"{asked.get(name)} here; give at least its values to extend it, or another "
                "--out"
            )


def _contains(sweep: JSONObject, chunks: list[Chunk]) -> bool:
    """Return whether a sweep contains all points of chunks."""
    try:
        check_chunks(sweep, chunks)
    except (ValueError, LookupError):
        return False
    return True


def _has_seeds(asked: Any, held: Any) -> bool:
    """Return whether seeds contain others; a count is not made into a list."""
    if isinstance(held, int):
        n = number_of_seeds(asked)
        return held <= n and (isinstance(asked, int) or set(range(held)) <= set(asked))
    known = known_seeds(asked)
    return all(seed in known for seed in held)


def seeds_of(value: JSON) -> list[int]:
    """Return the seeds that a count or a list in a manifest stands for."""
    return list(range(value)) if isinstance(value, int) else list(value)


def existing(manifest: Manifest, folder: Path) -> Existing:
    """Return the folder as a family compares it with a sweep."""

    def read(chunk: Chunk) -> JSONObject | None:
        try:
            return chunk_files.read_chunk(folder, chunk)
        except RunError:
            return None

    return Existing(str(folder), manifest.sweep, manifest.functions, list(manifest.chunks), read)
