"""Failed models of earlier sessions, which a resume trains once more.

Several processes may do so at once. A chunk's file is changed under the folder's lock, and only
where models of it that have failed are replaced by others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from jsuper.core.errors import RunError
from jsuper.core.grid import Chunk, Setting
from jsuper.core.status import ERROR, FAILED
from jsuper.store import chunk_files, sharing


def failed_parts(folder: Path, chunk: Chunk) -> list[Chunk]:
    """Return the failed models of a chunk, as chunks: settings that failed for the same seeds.

    Raises
    ------
    RunError
        The chunk's file is damaged.
    """
    arrays = chunk_files.read_chunk(folder, chunk, only=())
    if arrays is None:
        return []
    by_seeds: dict[tuple[int, ...], list[Setting]] = {}
    for setting, failed in zip(chunk.settings, arrays["status"] == FAILED, strict=True):
        seeds = tuple(s for s, f in zip(chunk.seeds, failed, strict=True) if f)
        by_seeds.setdefault(seeds, []).append(setting)
    return [
        Chunk(chunk.model, chunk.static, tuple(settings), seeds)
        for seeds, settings in by_seeds.items()
        if seeds
    ]


def write_improved(
    folder: Path,
    chunk: Chunk,
    part: Chunk,
    results: chunk_files.Arrays,
    stop: Callable[[], bool] = lambda: False,
) -> chunk_files.Lost:
    """Replace failed models of a chunk's file by those of a part of it that have not failed.

    The file is left as it is unless fewer of its models are failed afterwards.

    Parameters
    ----------
    folder
        Of the run.
    chunk
        Whose file is changed.
    part
        Settings and seeds of the chunk.
    results
        The arrays of the part.
    stop
        Called while another process has the folder's lock.

    Returns
    -------
    Lost
        The models without a result in the file.

    Raises
    ------
    RunError
        The chunk's file is damaged or gone.
    WaitEndedError
        `stop()` became true while another process had the folder's lock.
    OSError
        The file could not be written.
    """
    with sharing.locked(folder, stop):
        current = chunk_files.read_chunk(folder, chunk)
        if current is None:
            raise RunError(f"chunk {chunk.name} was deleted during the run; run again to train it")
        rows = [chunk.settings.index(s) for s in part.settings]
        columns = [chunk.seeds.index(s) for s in part.seeds]
        before = current["status"][np.ix_(rows, columns)]
        better = np.nonzero((before == FAILED) & (results["status"] != FAILED))
        if len(better[0]):
            place = (np.array(rows)[better[0]], np.array(columns)[better[1]])
            for name in current.keys() & results.keys() - {ERROR}:
                current[name][place] = results[name][better]
            if ERROR in current:
                current[ERROR][place] = b""
            chunk_files.write_chunk(folder, chunk, current)
        return chunk_files.count_lost(current)
