"""What lets several processes work on one run folder: shares, a lock, a file per session, sweeping.

Chunks need none of it: their files are whole or absent, and a second copy replaces the first. The
manifest fixes the partition into chunks, so it is made and extended by one process at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from jsuper.core import files
from jsuper.core.errors import SpecError
from jsuper.core.grid import Chunk
from jsuper.core.json_data import JSONObject
from jsuper.core.reading import SMALL_JSON, check_depth, json_limit, parse_json, read_text
from jsuper.core.text import printable
from jsuper.store.manifest import Manifest

Shard = tuple[int, int]  # number from 1, and of how many
LOCK = ".lock"
PATIENCE_SECONDS = 1.0  # of waiting for the lock without a word
DIRECTORIES = ("chunks", "sessions", "figures")  # that a run folder has
MOST_SESSIONS = 100  # of the largest size; a usual one has a thousandth of it
STALE_SECONDS = 3600.0  # far more than any file of a run takes to be written


def shard_of(text: str) -> Shard:
    """'2/8' as (2, 8).

    Raises
    ------
    SpecError
        It is no number from 1 to N of N.
    """
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    number, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= count:
        raise SpecError(
            f"shard={text!r} is not i/N with i from 1 to N, such as 1/8; number a job array from 1 "
            "(--array=1-8)"
        )
    return number, count


def share(chunks: list[Chunk], shard: Shard | None) -> list[Chunk]:
    """Return the chunks of one share: every N-th, so that shares are always the same."""
    if shard is None:
        return chunks
    number, count = shard
    return chunks[number - 1 :: count]


def check_places(folder: Path) -> None:
    """Raise RunError unless every file of a run can be written without leaving its folder."""
    for name in DIRECTORIES:
        files.check_directory(folder / name, folder)
    for name in ("manifest.json", "sweep.toml", "report.html", "derived.json"):
        files.check_file(folder / name)
    files.check_lock(folder / LOCK)


class WaitEndedError(RuntimeError):
    """A stop was asked for while another process held the folder's lock."""


@contextlib.contextmanager
def locked(folder: Path, stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold the folder's lock; goes on without one where the file system has none.

    Who waits longer than a second says so on standard error, with who holds the lock since when.

    Parameters
    ----------
    folder
        The run folder.
    stopped
        Asked several times a second while another process holds the lock.

    Raises
    ------
    RunError
        RUN/.lock is a link, or not a file.
    WaitEndedError
        `stopped` says so before the lock is free.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with files.open_lock(folder / LOCK) as file:
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        began, said = time.monotonic(), False
        while True:
            try:  # freed when the file is closed, also by a kill
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if stopped():
                    raise WaitEndedError(f"{folder} is locked by {_holder(folder)}") from None
                if not said and time.monotonic() - began > PATIENCE_SECONDS:
                    print(f"waiting for {folder}: locked by {_holder(folder)}", file=sys.stderr)
                    said = True
                time.sleep(0.05)
                continue
            except OSError:  # some network file systems
                yield
                return
            break
        with contextlib.suppress(OSError):  # a full disk: then it is not known who holds it
            file.truncate(0)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            holder = f"process {os.getpid()} on {socket.gethostname()} since {now}"
            os.write(file.fileno(), holder.encode())  # unbuffered, else closing would raise too
        yield


def _holder(folder: Path) -> str:
    """Who says in the lock's file that they hold it."""
    try:
        text = read_text(folder / LOCK, 1000)
    except (OSError, ValueError):
        text = ""
    return printable(text, 200) or "another process"


def nearest(folder: Path) -> Path:
    """Return the folder itself, or where it is not there the nearest one above it that is."""
    whole = Path(os.path.abspath(folder))  # without any `..`
    return next(p for p in (whole, *whole.parents) if os.path.lexists(p))


def sweep_stale(folder: Path) -> None:
    """Remove temporary files that killed processes have left; call it under the lock.

    They are known by their age, by the clock of the file system that stamps them: this machine's
    may be wrong, and others may be writing.
    """
    with contextlib.suppress(OSError):  # a file that cannot be removed does no harm
        if files.kind_of(folder / LOCK) != "file":
            return
        os.utime(folder / LOCK)
        now = (folder / LOCK).stat().st_mtime
        places = [folder / name for name in DIRECTORIES]
        real = [folder, *(p for p in places if files.kind_of(p) == "directory")]
        for path in [p for place in real for p in place.glob(".*.tmp")]:
            with contextlib.suppress(OSError):
                if now - path.lstat().st_mtime > STALE_SECONDS:
                    path.unlink()


def begin_session(session: JSONObject) -> JSONObject:
    """Return a session with a name that no other process has."""
    return session | {"id": uuid.uuid4().hex[:12]}


def write_session(folder: Path, session: JSONObject) -> None:
    """Write sessions/<id>.json: what a process did, and with what; its own file, so no races."""
    text = json.dumps(session, indent=1)
    path = folder / "sessions" / f"{session['id']}.json"
    files.write_text(path, text, root=folder)


def sessions_of(folder: Path, manifest: Manifest) -> list[JSONObject]:
    """All sessions of a run in the order of their starts; what cannot be read is left out."""
    found, left = [], json_limit(MOST_SESSIONS * SMALL_JSON)
    for path in sorted((folder / "sessions").glob("*.json")):
        with contextlib.suppress(OSError, ValueError):
            text = read_text(path, min(SMALL_JSON, left))
            left -= len(text)
            session = parse_json(text)
            check_depth(session)
            if isinstance(session, dict):
                found.append(session)
    return [*manifest.sessions, *sorted(found, key=lambda s: str(s.get("started")))]
