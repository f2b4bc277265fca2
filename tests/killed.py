"""Write a file of a run, and kill the own process at a chosen point of the write."""

import io
import os
import signal
import stat
import sys
from pathlib import Path

from one_chunk import arrays_of

from jsuper import Sweep
from jsuper.core import files
from jsuper.core.grid import Chunk, expand
from jsuper.store import chunk_files
from jsuper.store.manifest import write_manifest

BEFORE = (
    "open",
    "write",
    "flush",
    "fsync",
    "replace",
)  # the file under its own name is the old one
AFTER = ("replaced", "synced")

SMALL = {"n_features": 6, "n_hidden": 2, "batch_size": 64}
SWEEP = Sweep(activation=("relu", "gelu"), sparsity=0.5, seeds=8, steps=60, **SMALL)
(GROUP,) = expand(SWEEP)
CHUNK, OTHER = (
    Chunk("toy", GROUP.static, GROUP.settings, s) for s in (GROUP.seeds[:4], GROUP.seeds[4:])
)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly(io.BufferedWriter):
    """A file whose process is killed once so many bytes are written, or before they are flushed."""

    def __init__(self, path, point, left):
        super().__init__(io.FileIO(path, "w"))
        self.point, self.left = point, left

    def write(self, data):
        if self.point == "write" and self.left < len(data):
            super().write(data[: self.left])
            super().flush()
            die()
        self.left -= len(data)
        return super().write(data)

    def flush(self):
        if self.point == "flush" and sys._getframe(1).f_code is files.write_atomically.__code__:
            die()
        super().flush()


def kill_at(name, point, left):
    """Have this process killed at a point of the writing of the file of that name."""
    armed = []
    fsync, replace = os.fsync, os.replace

    def opening(path, mode):
        armed[:] = [True] if name in Path(path).name else []
        if not armed:
            return open(path, mode)
        if point == "open":
            die()
        return Deadly(path, point, left)

    def flushing(descriptor):
        of_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        if armed and point == "fsync" and not of_folder:
            die()
        fsync(descriptor)
        if armed and point == "synced" and of_folder:
            die()

    def replacing(source, target):
        if armed and point == "replace":
            die()
        replace(source, target)
        if armed and point == "replaced":
            die()

    files.open = opening
    os.fsync, os.replace = flushing, replacing


def write(folder, file, point, size):
    """Write a file and die at the given point.

    `file` is "chunk", "manifest.json" or "sweep.toml". `point` is one of `BEFORE` and `AFTER`; the
    point "write" is reached after `size` bytes.
    """
    kill_at(f"{CHUNK.name}.npz" if file == "chunk" else file, point, size)
    if file == "chunk":
        chunk_files.write_chunk(folder, CHUNK, arrays_of(CHUNK, 1))
    else:
        write_manifest(folder, SWEEP, [CHUNK, OTHER], [])
