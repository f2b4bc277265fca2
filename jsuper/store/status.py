"""`jsuper status RUN`, `jsuper verify RUN`: what a run folder holds, from any terminal. No jax."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from jsuper.core import files
from jsuper.core.errors import RunError
from jsuper.core.grid import Chunk
from jsuper.core.json_data import JSONObject
from jsuper.core.status import ERROR, FAILED, NON_FINITE, OK
from jsuper.core.text import counted, format_duration, format_size, printable
from jsuper.store import chunk_files, sharing
from jsuper.store.dataset import size_of
from jsuper.store.manifest import Manifest, manifest_of
from jsuper.store.npz import UNREADABLE, read_arrays

MOST_ERRORS = 5  # messages of failed models
LONG, LONG_SECONDS = 10, 600.0  # times what a chunk took, and at least
AGAIN = "put together from the chunks; the sweep's command writes it again"
NAMES = {OK: "ok", NON_FINITE: "diverged", FAILED: "failed"}


@dataclasses.dataclass(frozen=True)
class Status:
    """What a run folder holds at one time."""

    run: str
    chunks: int
    chunks_done: int
    chunks_damaged: int
    models: int
    ok: int
    diverged: int
    failed: int
    seconds_since_last: float | None
    """since the last chunk was written; None: none was"""
    models_per_second: float | None
    """since the latest start, up to its last chunk; None: it has written none, or has ended"""
    bytes_loaded: int
    """memory that `jsuper.load` takes"""
    errors: dict[str, int]
    """why models failed -> how many"""
    lost_manifest: bool
    """whether manifest.json is missing, and all of this comes from the chunks"""
    unfinished: str | None
    """the latest session without an end, which runs or was killed: its start and its host"""
    resume: str | None
    """the command that trains what is missing; None: nothing is, or there is no command for it"""

    @property
    def missing(self) -> int:
        """Models that are not trained yet."""
        return self.models - self.ok - self.diverged - self.failed

    @property
    def seconds_left(self) -> float | None:
        """At the rate until now; None where that is not known."""
        return self.missing / self.models_per_second if self.models_per_second else None


def status_of(run: str | Path) -> Status:
    """Read a run folder's state, finished or not; of a chunk only who is finite is read.

    Raises
    ------
    FileNotFoundError
        There is no run folder.
    RunError
        Its manifest cannot be read.
    """
    folder = Path(run)
    manifest = manifest_of(folder)
    chunks = manifest.chunks
    counts = dict.fromkeys(NAMES, 0)
    written: list[tuple[float, int]] = []
    damaged = 0
    errors: Counter[str] = Counter()
    for chunk in chunks:
        try:
            arrays, when = _statuses(folder, chunk)
        except FileNotFoundError:
            continue
        except UNREADABLE:
            damaged += 1
            continue
        written.append((when, chunk.n_models))
        for value in NAMES:
            counts[value] += int((arrays["status"] == value).sum())
        errors.update(chunk_files.error_messages(arrays))
    last = max((when for when, _ in written), default=None)
    sessions = sharing.sessions_of(folder, manifest)
    return Status(
        str(run),
        len(chunks),
        len(written),
        damaged,
        manifest.models,
        counts[OK],
        counts[NON_FINITE],
        counts[FAILED],
        None if last is None else max(time.time() - last, 0.0),
        _rate(sessions, written),
        size_of(manifest),
        dict(errors.most_common(MOST_ERRORS)),
        manifest.lost,
        _unfinished(sessions),
        _resume(folder, manifest) if sum(counts.values()) < manifest.models else None,
    )


def _statuses(folder: Path, chunk: Chunk) -> tuple[chunk_files.Arrays, float]:
    """Return a chunk's statuses and error messages, and when it was written."""
    path = chunk_files.chunk_path(folder, chunk.name)
    arrays = read_arrays(path, ("status", ERROR), chunk_files.most_bytes(chunk))
    status, when = arrays["status"], path.stat().st_mtime
    if status.shape != (len(chunk.settings), len(chunk.seeds)):
        raise ValueError(f"its statuses have the shape {status.shape}")
    if not chunk_files.is_status(status):
        raise ValueError("its status is not an array of status codes")
    if not chunk_files.is_text(arrays.get(ERROR), status.shape):
        raise ValueError("its error messages are not a text for each model")
    return arrays, when


def _unfinished(sessions: list[JSONObject]) -> str | None:
    """Return start and host of the latest session that has not recorded its end, or None."""
    for session in reversed(sessions):
        if "ended" not in session:
            return printable(f"{session.get('started')} on {session.get('host')}", 200)
    return None


def _resume(folder: Path, manifest: Manifest) -> str | None:
    """Return the command that continues a run, or None where sweep.toml does not hold all of it."""
    config = folder / "sweep.toml"
    if manifest.functions or not config.is_file():
        return None
    return shlex.join(["jsuper", "sweep", "--config", str(config), "--out", str(folder)])


def _rate(sessions: list[JSONObject], written: list[tuple[float, int]]) -> float | None:
    """Models per second from the start of the latest session to the last chunk since.

    Chunks from the future were written by another clock, or before this one was set back. A session
    that has not ended, and writes nothing for long, was killed.
    """
    now = time.time()
    try:
        latest = [s for s in sessions if "ended" not in s][-1]
        began = datetime.fromisoformat(latest["started"]).timestamp()
    except (IndexError, KeyError, TypeError, ValueError):
        return None
    since = [(when, n) for when, n in written if began < when <= now]
    if not since:
        return None
    took = max(when for when, _ in since) - began
    if now - began - took > max(LONG_SECONDS, LONG * took / len(since)):
        return None
    return sum(n for _, n in since) / took


def words(status: Status) -> str:
    """Return a status for people."""
    done, run = status.models - status.missing, printable(status.run)
    lines = [
        f"run      {run}",
        f"done     {done:,} of {status.models:,} models ({done / max(status.models, 1):.0%}), "
        f"{status.chunks_done:,} of {status.chunks:,} chunks",
        f"models   {status.ok:,} ok, {status.diverged:,} diverged, {status.failed:,} failed, "
        f"{status.missing:,} missing",
    ]
    lines.append(f"memory   jsuper.load needs {format_size(status.bytes_loaded)}")
    if status.unfinished and status.missing:
        lines.append(f"session  began {status.unfinished}, has not ended: it runs or was killed")
    if status.missing:
        command = status.resume or f"by the command, or the call in Python, that began {status.run}"
        lines.append(f"resume   {printable(command)}")
    if status.lost_manifest:
        lines.append(f"lost     manifest.json: {AGAIN}")
    if status.chunks_damaged:
        lines.append(f"damaged  {counted(status.chunks_damaged, 'chunk')}: jsuper verify {run}")
    lines += [f"failed   {n:,}: {message}" for message, n in status.errors.items()]
    if status.seconds_since_last is not None:
        lines.append(f"last     a chunk {format_duration(status.seconds_since_last)} ago")
    if status.models_per_second:
        left = f", about {format_duration(status.seconds_left)} left" if status.seconds_left else ""
        lines.append(f"rate     {status.models_per_second:,.2f} models/s{left}")
    return "\n".join(lines)


def problems(run: str | Path) -> Iterator[str]:
    """Every file of a run that is not what it should be, one line each; all bytes are read.

    Raises
    ------
    FileNotFoundError
        There is no run folder.
    RunError
        Its manifest cannot be read.
    """
    folder = Path(run)
    manifest = manifest_of(folder)
    chunks = manifest.chunks
    if manifest.lost:
        yield f"manifest.json is lost: {AGAIN}"
    place = folder / "chunks"
    if (kind := files.kind_of(place)) and not place.is_dir():
        yield f"{place} is a {kind}, not a directory: move it away"
    for chunk in chunks:
        try:
            chunk_files.read_chunk(folder, chunk)
        except RunError as error:
            yield f"{error}; the sweep's command sets it aside and trains it again"
    known = {chunk_files.chunk_path(folder, c.name).name for c in chunks}
    for path in sorted((folder / "chunks").glob("*.npz")):
        if path.name not in known and not path.name.startswith("."):
            yield f"chunk {path.name!r} is not in the manifest and is not read"
