"""JAX's persistent compilation cache with a checksum in every entry.

JAX runs whatever its cache holds. With zlib it notices most damage. With zstandard, which it takes
if installed, a flipped bit in a program changes results without a message. Here an entry ends with
the SHA-256 of its key and content and is written in one rename. An entry that does not agree with
its checksum is set aside, and JAX compiles the program again.

An entry is a file KEY-cache, as JAX names it. The checksum is a skippable zstandard frame, and zlib
ignores what follows its data, so JAX by itself can also read the entries.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
from pathlib import Path

import jax

from jsuper.core.files import opened, write_atomically

FRAME = bytes.fromhex("502a4d18") + (32).to_bytes(4, "little")  # skippable, 32 bytes follow
TRAILER = len(FRAME) + 32


def install(folder: Path) -> bool:
    """Let JAX read and write the cache in `folder` through `CheckedCache`; other folders as before.

    Returns
    -------
    bool
        False if this version of JAX makes its cache in another way: it must not use the folder.
    """
    try:
        from jax._src import compilation_cache

        original = compilation_cache.get_file_cache
    except (ImportError, AttributeError):
        return False

    def get_file_cache(path: str):
        return (CheckedCache(folder), path) if Path(path) == folder else original(path)

    compilation_cache.get_file_cache = get_file_cache
    return True


def checksum(key: str, value: bytes) -> bytes:
    """Return the end of an entry. It covers the key: an entry under another name is refused."""
    return FRAME + hashlib.sha256(key.encode() + b"\0" + value).digest()


class CheckedCache:
    """A cache object for JAX: `get` gives what `put` was given, or None."""

    def __init__(self, folder: Path) -> None:
        self._path = folder  # JAX reads this attribute
        self._reported = False
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return the value of a key; None if it is missing or damaged."""
        path = self._entry(key)
        try:
            with opened(path) as file:
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError:
            content = b""
        value, found = content[:-TRAILER], content[-TRAILER:]
        if found != checksum(key, value):
            self._set_aside(path)
            return None
        if self._limit() is not None:
            with contextlib.suppress(OSError):
                os.utime(path)
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keep a value. A full or read-only disk costs the entry, not the run."""
        with contextlib.suppress(OSError):
            content, limit = value + checksum(key, value), self._limit()
            if limit is not None:
                if len(content) > limit:
                    return
                self._make_room(limit - len(content))
            write_atomically(self._entry(key), lambda file: file.write(content))

    def _entry(self, key: str) -> Path:
        return self._path / f"{key}-cache"

    def _limit(self) -> int | None:
        """Return the most bytes that the folder may hold, if the user set a limit through JAX."""
        size = jax.config.jax_compilation_cache_max_size  # pyright: ignore[reportAttributeAccessIssue]
        return None if size < 0 else size

    def _make_room(self, size: int) -> None:
        """Delete the entries that were not used for the longest time, until `size` bytes remain."""
        entries = [(p.stat(), p) for p in self._path.glob("*-cache")]
        total = sum(stat.st_size for stat, _ in entries)
        for stat, path in sorted(entries, key=lambda entry: entry[0].st_mtime_ns):
            if total <= size:
                return
            path.unlink(missing_ok=True)
            total -= stat.st_size

    def _set_aside(self, path: Path) -> None:
        """Rename a bad entry, so that nobody reads it again, and say so once per process."""
        with contextlib.suppress(OSError):  # it cannot be renamed, or another process was first
            os.replace(path, path.with_name(f"{path.name}.corrupt"))
        with self._lock:
            first, self._reported = not self._reported, True
        if first:
            print(
                f"compilation cache: {path.name} in {self._path} is damaged or has no checksum; "
                "such entries are renamed to *.corrupt, which you may delete, and compiled again",
                file=sys.stderr,
                flush=True,
            )
