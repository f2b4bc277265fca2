"""Writing, replacing and deleting files: whole or absent, and never through a link.

Run folders are passed around. A link inside one must not let a write or a deletion reach files
elsewhere, and opening a FIFO must not block forever. Links are therefore followed up to the folder
that the user named, the root, and not below it:

* A directory below the root must be a real one.
* A file that is a link may be read. Writing replaces the link and leaves its target alone, as
  folders of DVC and git-annex need.
* A FIFO, a socket, a device or a directory in the place of a file is refused, and never opened.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import socket
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

from jsuper.core.errors import RunError

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFLNK: "link",
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
LONGEST_NAME = 150  # bytes; file systems take 255, and temporary names are longer
# Flags that Windows does not have.
NO_WAIT, NO_FOLLOW = getattr(os, "O_NONBLOCK", 0), getattr(os, "O_NOFOLLOW", 0)


# ------------------------------------------------------------------------------------ inspection


def kind_of(path: Path) -> str | None:
    """Return the kind of a path, a value of `KINDS`, or None; links are not followed."""
    try:
        return KINDS.get(stat.S_IFMT(path.lstat().st_mode), "special file")
    except (FileNotFoundError, NotADirectoryError):
        return None


def check_directory(folder: Path, root: Path) -> None:
    """Raise RunError unless every folder from `root` down to `folder` is real or missing."""
    place = root
    for name in folder.relative_to(root).parts:
        place = place / name
        kind = kind_of(place)
        if kind == "link":
            raise RunError(
                f"{place} is a link to {os.readlink(place)}, and nothing is written through links "
                f"inside a run folder: replace it with a real directory; {root} itself may be a "
                "link"
            )
        if kind not in (None, "directory"):
            raise RunError(f"{place} is a {kind}, not a directory: move it away")


def check_file(path: Path, root: Path | None = None) -> None:
    """Raise RunError unless a file can be written at a path, or replaced there.

    Parameters
    ----------
    path
        Path of the file.
    root
        A folder above it, below which links are refused; by default the file's folder.
    """
    check_directory(path.parent, path.parent if root is None else root)
    kind = kind_of(path)
    if kind not in (None, "file", "link"):
        raise RunError(f"{path} is a {kind}, not a file: move it away")


# ------------------------------------------------------------------------------------------ changes


def write_atomically(
    path: Path,
    write: Callable[[IO[bytes]], object],
    root: Path | None = None,
    check: Callable[[Path], object] | None = None,
) -> None:
    """Write a file under a temporary name in its folder, flush it to disk, and rename it.

    Parameters
    ----------
    path
        Path of the file; an existing file or link is replaced.
    write
        Called with the temporary file, opened for bytes.
    root
        A folder above the file, below which links are refused; by default the file's folder.
    check
        Called with the temporary file's path before it is renamed; raises if the content is wrong.

    Raises
    ------
    RunError
        Something other than a file exists at the path.
    OSError
        The file cannot be written; an earlier file is unchanged.
    """
    check_file(path, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())
    temporary = path.with_name(f".{path.name}.{host}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(temporary, "xb") as file:  # a new file, so it is no link
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if check is not None:
            check(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # the error of a full disk has no file name
        raise
    with contextlib.suppress(OSError):  # some file systems cannot flush a folder
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def shortened(name: str, ending: str) -> str:
    """Return a file name of at most LONGEST_NAME bytes; a longer one ends in a hash."""
    if len((name + ending).encode()) <= LONGEST_NAME:
        return name + ending
    tail = "-" + hashlib.sha256(name.encode()).hexdigest()[:12] + ending
    start = name.encode()[: LONGEST_NAME - len(tail)].decode(errors="ignore")
    return start + tail


def write_text(path: Path, text: str, root: Path | None = None) -> None:
    """Write a text file as `write_atomically` does."""
    write_atomically(path, lambda file: file.write(text.encode()), root)


def remove(path: Path, root: Path | None = None) -> None:
    """Delete a file or a link, if it exists.

    Raises
    ------
    RunError
        The path is not a file, or leads through a link below `root`.
    """
    check_file(path, root)
    path.unlink(missing_ok=True)


def rename(path: Path, new: Path, root: Path) -> None:
    """Rename a file, directory or link within its folder.

    Raises
    ------
    RunError
        The path leads through a link below `root`.
    """
    check_directory(path.parent, root)
    os.replace(path, new)


# ---------------------------------------------------------------------------------------- opening


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading; links to files are followed.

    Raises
    ------
    FileNotFoundError
        The path does not exist.
    OSError
        The path is a broken link or not a file, or it cannot be opened.
    """
    try:
        return open(path, "rb", opener=_descriptor)
    except FileNotFoundError:
        if kind_of(path) != "link":
            raise
        why = f"{path} is a link to {os.readlink(path)}, which does not exist"
        raise OSError(errno.EINVAL, why) from None


def _descriptor(path: str, flags: int) -> int:
    _refuse_special(path, os.stat(path).st_mode)  # some devices act when they are opened
    descriptor = os.open(path, flags | NO_WAIT)
    try:
        _refuse_special(path, os.fstat(descriptor).st_mode)  # a FIFO may have taken its place
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_special(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "special file")
        raise OSError(errno.EINVAL, f"{path} is not a file but a {kind}")


def open_lock(path: Path) -> IO[bytes]:
    """Open the file that serves as a lock, and create it if needed.

    Raises
    ------
    RunError
        The path is a link, or not a file.
    OSError
        The file cannot be opened.
    """
    check_lock(path)
    return open(path, "ab", opener=lambda p, flags: os.open(p, flags | NO_FOLLOW | NO_WAIT, 0o666))


def check_lock(path: Path) -> None:
    """Raise RunError unless a lock can be opened at a path."""
    check_file(path)
    if kind_of(path) == "link":
        raise RunError(
            f"{path} is a link to {os.readlink(path)}: remove it; the file only serves as a lock "
            "and is created again"
        )
