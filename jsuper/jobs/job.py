"""A job: a sweep, its partition into chunks, and which of them a folder has already.

`existing_job` reads a folder without jax, `prepare` adds chunks for the points that it lacks, and
`fix_partition` writes them into the manifest, so that every process works on the same chunks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from jsuper.core.errors import SpecError
from jsuper.core.family import matched
from jsuper.core.fields import Omitted
from jsuper.core.grid import Chunk, missing
from jsuper.core.json_data import JSONObject
from jsuper.core.sweep import BaseSweep
from jsuper.jobs.names import check_dimensions
from jsuper.jobs.retry import failed_parts
from jsuper.store import chunk_files, sharing
from jsuper.store.manifest import check_extends, existing, read_manifest, rebuilt, write_manifest

if TYPE_CHECKING:
    from jsuper.engine.devices import Plan


@dataclasses.dataclass
class Job:
    """A sweep, its partition, and which chunks are finished."""

    sweep: BaseSweep
    folder: Path | None
    chunks: list[Chunk]
    done: dict[str, chunk_files.Lost]  # finished chunks, by name
    damaged: list[Chunk]
    existing: frozenset[str] = frozenset()  # names of the chunks in the folder's manifest
    notes: tuple[str, ...] = ()  # omitted fields whose values the folder determines
    shard: sharing.Shard | None = None  # this process's share of the chunks; None: all
    keep_failed: bool = False
    retry: dict[str, list[Chunk]] = dataclasses.field(default_factory=dict)
    # name of a finished chunk of the share -> its failed models, which are trained once more

    @property
    def share(self) -> list[Chunk]:
        """Chunks of this process's share, finished or not."""
        return sharing.share(self.chunks, self.shard)

    @property
    def todo(self) -> list[Chunk]:
        """Chunks that this process still has to train."""
        return [c for c in self.share if c.name not in self.done]

    @property
    def pending(self) -> list[Chunk]:
        """Chunks that this process still has to train, and failed parts of finished ones."""
        return [*self.todo, *(part for parts in self.retry.values() for part in parts)]

    @property
    def lost_manifest(self) -> bool:
        """Whether the folder has chunks but no manifest."""
        return bool(self.chunks) and not self.existing

    @property
    def is_complete(self) -> bool:
        """Whether the folder's chunks contain every point of the sweep, all of them verified."""
        return bool(self.chunks) and not self.todo and not missing(self.sweep, self.chunks)

    @property
    def n_failed(self) -> int:
        """Number of models that could not be trained."""
        return sum(lost.failed for lost in self.done.values())

    @property
    def n_non_finite(self) -> int:
        """Number of models that diverged or failed."""
        return sum(lost.diverged + lost.failed for lost in self.done.values())

    def is_done(self, chunk: Chunk) -> bool:
        """Return whether a chunk has a file by now, perhaps of another process."""
        assert self.folder is not None
        return chunk_files.chunk_path(self.folder, chunk.name).exists()


def existing_job(sweep: BaseSweep, folder: Path | None) -> Job:
    """Return the job of a sweep with the chunks that a folder has already, and no new ones.

    Fields that were omitted get the folder's values. Imports jax only if the sweep contains
    callables.

    Raises
    ------
    SpecError
        The folder contains another sweep, or is not a run folder; a field has no value in the
        sweep and none in the folder; a function cannot be traced, or differs from the folder's
        function of that name.
    """
    sweep = sweep.traced()
    if folder is None:
        sweep.to_dict()  # refuses fields without a value
        return Job(sweep, None, [], {}, [])
    occupied = _is_occupied(folder)  # first: another process may be creating the run just now
    manifest = read_manifest(folder)
    names = frozenset(c.name for c in manifest.chunks) if manifest else frozenset()
    if manifest is None and occupied:
        manifest = rebuilt(folder)
    if manifest is None:
        if occupied:
            raise SpecError(
                f"out={str(folder)!r} exists and is not a run folder; give another --out"
            )
        sweep.to_dict()  # refuses fields without a value
        return Job(sweep, folder, [], {}, [])
    sweep = matched(sweep, existing(manifest, folder))
    filled = sweep.with_stored(manifest.sweep)
    check_extends(filled, manifest, folder)
    chunks = _with_callables(manifest.chunks, filled)
    done, damaged = chunk_files.done(folder, chunks)
    return Job(filled, folder, chunks, done, damaged, names, _notes_on_omitted(sweep, filled))


def _notes_on_omitted(sweep: BaseSweep, filled: BaseSweep) -> tuple[str, ...]:
    """Return notes on omitted fields for which the folder and a new run differ."""

    def format_numbers(values: tuple) -> str:
        return ", ".join(f"{v:g}" for v in values)

    notes = []
    for name in (f.name for f in dataclasses.fields(sweep)):
        before, now = getattr(sweep, name), getattr(filled, name)
        if isinstance(before, Omitted) and before != now:
            new = f"; a new run would have {format_numbers(before)}" if before else ""
            value = format_numbers(now)
            notes.append(f"{name} is omitted: the folder's value is used, {value}{new}")
    return tuple(notes)


def _is_occupied(folder: Path) -> bool:
    """Return whether a path is a file, or a folder with more than a killed start's hidden files."""
    try:
        if not folder.is_dir():
            return folder.exists()
        return any(not p.name.startswith(".") for p in folder.iterdir())
    except OSError as error:
        raise SpecError(f"out={str(folder)!r} cannot be used: {error.strerror}") from error


def _with_callables(chunks: list[Chunk], sweep: BaseSweep) -> list[Chunk]:
    """Return a manifest's chunks with the sweep's callables in place of their stored names."""
    callables = sweep.callables()
    if not callables:
        return chunks

    def replaced(row: JSONObject) -> JSONObject:
        return {k: callables.get(v, v) if isinstance(v, str) else v for k, v in row.items()}

    statics = {id(c.static): replaced(c.static) for c in chunks}  # which chunks share
    return [
        dataclasses.replace(
            c, static=statics[id(c.static)], settings=tuple(map(replaced, c.settings))
        )
        for c in chunks
    ]


def prepare(
    sweep: BaseSweep,
    folder: Path | None,
    plan: Plan,
    shard: sharing.Shard | None = None,
    keep_failed: bool = False,
) -> Job:
    """Return the job of a sweep: the chunks that a folder has, and new ones for other points.

    Parameters
    ----------
    sweep
        What to train.
    folder
        The run folder; None: in memory.
    plan
        Of this machine. New chunks are numerous enough for all shares.
    shard
        (i, N): train only the i-th of N shares of the chunks.
    keep_failed
        Do not train the folder's failed models once more.
    """
    from jsuper.engine.devices import chunks_of

    job = existing_job(sweep, folder)
    check_dimensions(job.sweep)
    new = chunks_of(plan, job.sweep, missing(job.sweep, job.chunks), shard[1] if shard else 1)
    job = dataclasses.replace(job, chunks=job.chunks + new, shard=shard, keep_failed=keep_failed)
    if folder is not None and not keep_failed:
        failed = [c for c in job.share if c.name in job.done and job.done[c.name].failed]
        job.retry = {c.name: failed_parts(folder, c) for c in failed}
    return job


def fix_partition(job: Job, plan: Plan, stop: Callable[[], bool]) -> None:
    """Write the job's chunks into the manifest; if another process was first, use its chunks.

    Raises
    ------
    WaitEndedError
        `stop()` became true while another process had the folder's lock.
    """
    folder = job.folder
    assert folder is not None
    with sharing.locked(folder, stop):
        sharing.sweep_stale(folder)
        manifest = read_manifest(folder)
        names = frozenset(c.name for c in manifest.chunks) if manifest else frozenset()
        if names != job.existing:
            now = prepare(job.sweep, folder, plan, job.shard, job.keep_failed)
            job.sweep, job.chunks, job.retry = now.sweep, now.chunks, now.retry
            job.done, job.damaged = now.done, now.damaged
        _, damaged = chunk_files.done(folder, job.damaged)  # others may have been faster
        for chunk in damaged:
            chunk_files.set_aside(folder, chunk)
        both = manifest is not None and (folder / "sweep.toml").exists()  # a kill may leave one
        if not both or names != {c.name for c in job.chunks}:
            sessions = manifest.sessions if manifest else []
            write_manifest(folder, job.sweep, job.chunks, sessions)


def restore_manifest(job: Job) -> None:
    """Write the manifest of a complete job that has lost it."""
    assert job.folder is not None
    with sharing.locked(job.folder):
        if read_manifest(job.folder) is None:
            write_manifest(job.folder, job.sweep, job.chunks, [])
