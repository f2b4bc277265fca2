"""The manifest of a run folder: its sweep, and the partition into chunks that was fixed for it.

Folders get passed around, so nothing that a manifest says is believed before it fits together: the
sweep passes its family's checks and has its hash, every chunk holds points of the sweep alone and
has the name of its content, and all of them together are the sweep. What is done is decided by the
chunk files; a manifest that is lost is put together from them. No jax is imported here.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsuper import families, store
from jsuper.archive import UNREADABLE
from jsuper.grid import Chunk, Setting
from jsuper.spec import BaseSweep, SpecError, digest, plain, read_toml
from jsuper.store import SCHEMA, RunError

KEYS = {"schema", "sweep", "hash", "settings", "statics", "chunks", "sessions"}
NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a run folder is a run of."""

    sweep: dict[str, Any]  # `BaseSweep.to_dict()`
    chunks: list[Chunk]
    sessions: list[dict[str, Any]]  # of older folders; newer ones have a file for each

    @functools.cached_property
    def hash(self) -> str:
        """That of the sweep."""
        return digest(self.sweep)


def write_manifest(
    folder: Path, sweep: BaseSweep, chunks: list[Chunk], sessions: list[dict[str, Any]]
) -> None:
    """Write manifest.json and sweep.toml; `sessions` have the versions, devices and times."""
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
        "schema": SCHEMA,
        "sweep": sweep.to_dict(),
        "hash": digest(sweep.to_dict()),
        "settings": settings.rows,
        "statics": statics.rows,
        "sessions": sessions,
        "chunks": partition,
    }
    text = json.dumps(manifest, indent=1)
    (folder / "sweep.toml").unlink(missing_ok=True)  # a kill leaves none rather than another's
    store.write_atomically(folder / NAME, lambda f: f.write(text.encode()))
    store.write_atomically(folder / "sweep.toml", lambda f: f.write(sweep.to_toml().encode()))


class _Table:
    """Different rows of plain data, and the number of each; chunks share most of theirs."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}
        self._seen: dict[int, tuple[int, Any]] = {}  # by identity, which the second member keeps

    def row(self, given: dict[str, Any]) -> int:
        if id(given) not in self._seen:
            row = {k: plain(v) for k, v in given.items()}
            number = self._numbers.setdefault(json.dumps(row), len(self.rows))
            if number == len(self.rows):
                self.rows.append(row)
            self._seen[id(given)] = number, given
        return self._seen[id(given)][0]


# ------------------------------------------------------------------------------------------ reading


def read_manifest(folder: str | Path) -> Manifest | None:
    """The manifest of a run folder; None where there is none.

    Raises:
        RunError: it cannot be read, was written by a newer jsuper, or does not fit together.
    """
    path = Path(folder) / NAME
    try:
        data = json.loads(store.read_text(path))
        schema = data["schema"]
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        raise RunError(f"{path} cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unusable(path, f"{error!r}") from error
    if schema != SCHEMA:
        raise RunError(f"{path} has schema {schema!r}; this jsuper reads {SCHEMA}: update jsuper")
    if lacking := KEYS - data.keys():
        raise _unusable(path, f"it lacks {', '.join(sorted(lacking))}")
    try:
        return _checked(data)
    except (SpecError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _unusable(path, str(error) or repr(error)) from error
    except RecursionError as error:
        raise _unusable(path, "it is too deep") from error


def _unusable(path: Path, why: str) -> RunError:
    return RunError(
        f"{path} cannot be read: {why[:500]}; move it away, and the sweep's command makes it anew "
        "from the chunks that are there"
    )


def _checked(data: dict[str, Any]) -> Manifest:
    """The manifest that JSON states, where its parts fit together.

    Raises:
        Exception: what is found wrong, also by Python itself.
    """
    sweep, sessions = data["sweep"], data["sessions"]
    allowed = _values(sweep)
    if digest(sweep) != data["hash"]:
        raise ValueError("its sweep does not have its hash")
    if not all(isinstance(s, dict) for s in sessions):
        raise ValueError("its sessions are not a list of tables")
    for row in (*data["statics"], *data["settings"]):
        _check_row(row, allowed)
    statics = [_tuples(row) for row in data["statics"]]
    chunks, seeds = [], _known(sweep["seeds"])
    parts: dict[tuple[int, ...], tuple[Setting, ...]] = {}  # shared by chunks of different seeds
    for entry in data["chunks"]:
        numbers = tuple(entry["settings"])
        if numbers not in parts:
            parts[numbers] = tuple(_item(data["settings"], i) for i in numbers)
        static = _item(statics, entry["static"])
        chunk = Chunk(sweep["model"], static, parts[numbers], _seeds(entry["seeds"], seeds))
        if chunk.name != entry["name"]:
            raise ValueError(f"its chunk {entry['name']!r} is not what its name says")
        chunks.append(chunk)
    _check_complete(chunks)
    models = count(sweep, allowed)
    if sum(c.n_models for c in chunks) != models:
        raise ValueError(f"its chunks are not the {models:,} models of its sweep")
    return Manifest(sweep, chunks, list(sessions))


def _values(sweep: dict[str, Any]) -> dict[str, list[Any]]:
    """Field -> the values that models of a stored sweep may have; the sweep's fields are checked.

    Raises:
        SpecError: a field is not one of the family's, or its value is not allowed.
    """
    cls = families.spec_of(sweep["model"]).Sweep
    own = {f.name: f for f in dataclasses.fields(cls)}
    values: dict[str, list[Any]] = {}
    for name, value in (cls.single_defaults() | sweep).items():
        if name == "model":
            continue
        if name not in own:
            raise SpecError(f"{name!r} is not a field of the model {sweep['model']!r}")
        several = own[name].metadata["axis"]
        values[name] = value if several else [value]
        for single in values[name]:
            if not _names_function(single):
                own[name].metadata["check"](name, single)
        if several and len({json.dumps(v) for v in value}) != len(value):
            raise SpecError(f"{name} has a value twice")
    return values


def _names_function(value: Any) -> bool:
    """Whether a value is the stored name of a callable, which no check of a name knows."""
    return isinstance(value, str) and bool(re.fullmatch(r"\w+@[0-9a-f]{12}", value))


def _check_row(row: dict[str, Any], allowed: dict[str, list[Any]]) -> None:
    """Raise ValueError unless a chunk's static values, or a setting, are some of the sweep's."""
    for name, value in row.items():
        if name not in allowed or value not in allowed[name]:
            raise ValueError(f"a chunk of it has {name}={value!r}, and its sweep has not")


def _check_complete(chunks: list[Chunk]) -> None:
    """Raise KeyError where a chunk's static values or settings lack a field that tells its shape.

    Fields that came later, which older chunks do not have, mean their defaults.
    """
    for chunk in {(id(c.static), id(c.settings)): c for c in chunks}.values():
        spec = families.spec_of(chunk.model)
        spec.layout(chunk.static, chunk.settings)
        spec.coordinates(chunk.static)
        for name in ("steps", "dtype", "unpaired"):  # of every family
            chunk.static[name]
        needed = set(spec.Sweep.main_axes) - spec.Sweep.single_defaults().keys()
        for setting in chunk.settings:
            if lacking := needed - setting.keys():
                raise KeyError(f"a setting lacks {', '.join(sorted(lacking))}")


def _item(rows: list[Any], index: Any) -> Any:
    if not isinstance(index, int) or not 0 <= index < len(rows):
        raise ValueError(f"it has no row {index!r}")
    return rows[index]


def _seeds(given: Any, known: range | frozenset[int]) -> tuple[int, ...]:
    """A chunk's seeds, which are different ones of the sweep's."""
    found = tuple(given)
    if len(set(found)) < len(found) or not all(type(s) is int and s in known for s in found):
        raise ValueError("a chunk of it has seeds that its sweep has not")
    return found


def _known(seeds: Any) -> range | frozenset[int]:
    return range(seeds) if isinstance(seeds, int) else frozenset(seeds)


def count(sweep: dict[str, Any], values: dict[str, list[Any]]) -> int:
    """Number of models of a stored sweep, before any list of them is made."""
    seeds = sweep["seeds"]
    axes = math.prod(len(v) for k, v in values.items() if k != "seeds")
    return axes * (seeds if isinstance(seeds, int) else len(seeds))


def _tuples(static: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that the sweep had."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in static.items()}


def manifest_of(folder: str | Path) -> Manifest:
    """The manifest of a run folder; one put together from the chunks where it is lost.

    Raises:
        FileNotFoundError: the folder is no run folder.
        RunError: as `read_manifest`.
    """
    manifest = read_manifest(folder) or rebuilt(Path(folder))
    if manifest is None:
        raise FileNotFoundError(f"{folder} is not a run folder: it has no {NAME}")
    return manifest


# ----------------------------------------------------------------------------------------- lost


def rebuilt(folder: Path) -> Manifest | None:
    """What chunk files alone say of a run whose manifest is lost; None where there are none.

    The sweep is that of sweep.toml where it holds all of them, else the least that does.

    Raises:
        RunError: the chunks are not of one sweep.
    """
    try:
        paths = sorted((folder / "chunks").glob("*.npz"))
    except OSError:
        return None
    chunks = [chunk for path in paths if (chunk := _stated(path))]
    if not chunks:
        return None
    try:
        sweep = families.sweep_from_dict(read_toml(folder / "sweep.toml")).to_dict()
        _check_chunks(sweep, chunks)
    except (ValueError, TypeError):
        sweep = _least(chunks)
        try:
            _check_chunks(sweep, chunks)
        except (ValueError, TypeError) as error:
            raise RunError(
                f"{folder} has no {NAME}, and chunks of several sweeps: {error}"
            ) from error
    return Manifest(sweep, chunks, [])


def _stated(path: Path) -> Chunk | None:
    """The chunk that a file says it is; None where it is damaged or belongs to no known family."""
    try:
        meta = json.loads(store.read_meta(store.read_arrays(path, ("meta",))["meta"]))
        static, settings = _tuples(meta["static"]), tuple(meta["settings"])
        chunk = Chunk(meta["model"], static, settings, tuple(meta["seeds"]))
        _check_chunks(_least([chunk]), [chunk])
        return chunk if chunk.name == path.stem and meta["schema"] == SCHEMA else None
    except UNREADABLE:
        return None


def _check_chunks(sweep: dict[str, Any], chunks: list[Chunk]) -> None:
    """Raise ValueError, or what Python finds, unless a sweep holds all points of chunks."""
    allowed, seeds = _values(sweep), _known(sweep["seeds"])
    for chunk in chunks:
        if chunk.model != sweep["model"]:
            raise ValueError("chunks of another family")
        for row in (chunk.to_dict()["static"], *chunk.to_dict()["settings"]):
            _check_row(row, allowed)
        _seeds(chunk.seeds, seeds)
    _check_complete(chunks)


def _least(chunks: list[Chunk]) -> dict[str, Any]:
    """The least sweep, as plain data, that holds all points of chunks."""
    cls = families.spec_of(chunks[0].model).Sweep
    axes = {f.name: f.metadata["axis"] for f in dataclasses.fields(cls)}
    found: dict[str, dict[str, Any]] = {}
    for chunk in chunks:
        data = chunk.to_dict()
        for row in (data["static"], *data["settings"]):
            for name, value in row.items():
                found.setdefault(name, {})[json.dumps(value)] = value
    values = {k: list(v.values()) for k, v in found.items()}
    fields = {k: v if axes.get(k) else v[0] for k, v in values.items() if v != [None]}
    return {
        "model": chunks[0].model,
        "seeds": sorted({s for c in chunks for s in c.seeds}),
    } | fields


# ------------------------------------------------------------------------------------------- extend


def check_extends(sweep: BaseSweep, manifest: Manifest, folder: Path) -> None:
    """Raise SpecError, naming the first difference, unless `sweep` contains the folder's sweep."""
    held, asked = sweep.single_defaults() | manifest.sweep, sweep.to_dict()
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
            contained = contained or axis and set(old) <= set(new)
        if not contained:
            raise SpecError(
                f"out={str(folder)!r} holds another sweep: its {name} is {held.get(name)}, "
                f"asked is {asked.get(name)}; ask for all that it holds, or give another --out"
            )


def seeds_of(value: Any) -> list[int]:
    """The seeds that a count or a list in a manifest stands for."""
    return list(range(value)) if isinstance(value, int) else list(value)
