"""`run`: from a sweep to its Dataset, in memory or in a run folder that it resumes and extends."""

from __future__ import annotations

import dataclasses
import json
import platform as host
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsuper.core.expecting import expect, expect_folder
from jsuper.core.family import matched
from jsuper.core.files import RunError
from jsuper.core.grid import Chunk, Setting, missing
from jsuper.core.sweep import BaseSweep, NonFiniteWarning, Omitted, SpecError, SweepWarning, plain
from jsuper.engine.stopping import Stop
from jsuper.jobs.diverged import describe
from jsuper.jobs.room import check_room
from jsuper.store import chunk_files, sharing
from jsuper.store.manifest import check_extends, existing, read_manifest, rebuilt, write_manifest

if TYPE_CHECKING:
    import xarray

    from jsuper.engine.counters import Progress
    from jsuper.engine.devices import Plan


class StoppedError(RuntimeError):
    """The run was stopped before its end; what is finished is kept, run again to continue."""


@dataclasses.dataclass
class Job:
    """A sweep, its partition, and which chunks are there already."""

    sweep: BaseSweep
    folder: Path | None
    chunks: list[Chunk]
    done: dict[str, int]  # finished chunks, by name: how many of their models are not finite
    damaged: list[Chunk]
    held: frozenset[str] = frozenset()  # names of the chunks that the folder's manifest has
    notes: tuple[str, ...] = ()  # where the folder has filled in fields that were left out
    shard: sharing.Shard | None = None  # which share of the chunks is this process's; None: all

    @property
    def share(self) -> list[Chunk]:
        """Chunks of this process's share, finished or not."""
        return sharing.share(self.chunks, self.shard)

    @property
    def todo(self) -> list[Chunk]:
        """Chunks that this process still has to train."""
        return [c for c in self.share if c.name not in self.done]

    @property
    def lost_manifest(self) -> bool:
        """Whether there are chunks, and no manifest that says of what."""
        return bool(self.chunks) and not self.held


def held(sweep: BaseSweep, folder: Path | None) -> Job:
    """What a folder holds of a sweep; needs jax only where the sweep has functions of the user's.

    Fields that were left out of the sweep have the folder's values in the job's sweep.

    Raises
    ------
    SpecError
        The folder holds another sweep, or is no run folder at all; the sweep lacks a
        value that no folder gives; a function cannot be traced, or is another one than the
        folder's of that name.
    """
    sweep = sweep.traced()
    if folder is None:
        sweep.to_dict()  # refuses fields without a value
        return Job(sweep, None, [], {}, [])
    occupied = _occupied(folder)  # before: another process may be making the run just now
    manifest = read_manifest(folder)
    held = frozenset(c.name for c in manifest.chunks) if manifest else frozenset()
    if manifest is None and occupied:
        manifest = rebuilt(folder)
    if manifest is None:
        if occupied:
            raise SpecError(
                f"out={str(folder)!r} is there already and is not a run folder; give another --out"
            )
        sweep.to_dict()  # refuses fields without a value
        return Job(sweep, folder, [], {}, [])
    sweep = matched(sweep, existing(manifest, folder))
    filled = sweep.with_stored(manifest.sweep)
    check_extends(filled, manifest, folder)
    chunks = _with_callables(manifest.chunks, filled)
    done, notes = chunk_files.done(folder, chunks), _filled_in(sweep, filled)
    return Job(filled, folder, chunks, *done, held, notes)


def _filled_in(sweep: BaseSweep, filled: BaseSweep) -> tuple[str, ...]:
    """Note on omitted fields whose value in the folder is not the one of a new run."""

    def numbers(values: tuple) -> str:
        return ", ".join(f"{v:g}" for v in values)

    notes = []
    for name in (f.name for f in dataclasses.fields(sweep)):
        before, now = getattr(sweep, name), getattr(filled, name)
        if isinstance(before, Omitted) and before != now:
            new = f"; a new run would have {numbers(before)}" if before else ""
            notes.append(f"{name} is omitted: the folder's value is used, {numbers(now)}{new}")
    return tuple(notes)


def _occupied(folder: Path) -> bool:
    """Whether something stands there; hidden files alone are what a killed start has left."""
    try:
        if not folder.is_dir():
            return folder.exists()
        return any(not p.name.startswith(".") for p in folder.iterdir())
    except OSError as error:
        raise SpecError(f"out={str(folder)!r} cannot be used: {error.strerror}") from error


def _with_callables(chunks: list[Chunk], sweep: BaseSweep) -> list[Chunk]:
    """Chunks as read from a manifest, with the sweep's own functions in place of their names."""
    own = {plain(v): v for values in sweep.axes.values() for v in values if callable(v)}
    if not own:
        return chunks

    def settings(chunk: Chunk) -> Iterator[Setting]:
        for setting in chunk.settings:
            yield {k: own.get(v, v) if isinstance(v, str) else v for k, v in setting.items()}

    return [dataclasses.replace(c, settings=tuple(settings(c))) for c in chunks]


def prepare(
    sweep: BaseSweep, folder: Path | None, plan: Plan, shard: sharing.Shard | None = None
) -> Job:
    """Return the job of a sweep: what its folder holds, and chunks for the points that it lacks.

    Parameters
    ----------
    sweep
        What to train.
    folder
        The run folder; None: in memory.
    plan
        Of this machine; where it makes chunks it makes enough for all shares.
    shard
        (i, N): train the i-th of N shares of the chunks alone.
    """
    from jsuper.engine.devices import chunks_of

    job = held(sweep, folder)
    new = chunks_of(plan, job.sweep, missing(job.sweep, job.chunks), shard[1] if shard else 1)
    return dataclasses.replace(job, chunks=job.chunks + new, shard=shard)


# Trains chunks of a job: the plan, counters, request to stop and tick of `execute` -> names of
# finished chunks, each with the number of its models that are not finite.
Train = Callable[["Job", "Plan", "Progress", Stop, Callable[[], None]], Iterator[tuple[str, int]]]


def execute(
    job: Job,
    plan: Plan,
    progress: Progress,
    stop: Stop,
    tick: Callable[[], None] = lambda: None,
    train: Train | None = None,
) -> None:
    """Train what a job in a folder lacks; every finished chunk is written at once, and let go.

    Parameters
    ----------
    job
        As `prepare` gives it.
    plan
        How models run.
    progress
        Counters that are kept up to date.
    stop
        Set it to stop.
    tick
        Called several times a second.
    train
        Where chunks are trained; None: here.

    Raises
    ------
    StoppedError
        `stop` was set before the end.
    RunError
        A link, or something that is not a file, is where a file of the run belongs.
    OSError
        A chunk could not be written.
    """
    assert job.folder is not None
    sharing.check_places(job.folder)
    session = sharing.begin_session(about(plan))
    try:
        _fix_partition(job, plan, stop.is_set)
    except sharing.WaitEndedError as error:
        raise StoppedError(str(error)) from error
    sharing.write_session(job.folder, session)
    for name, lost in (train or here)(job, plan, progress, stop, tick):
        job.done[name] = lost
    _check_still_there(job)
    job.done |= chunk_files.done(job.folder, [c for c in job.todo if _there(job, c)])[0]
    session |= {"ended": _now(), "model_steps": progress.model_steps}
    sharing.write_session(job.folder, session)
    if job.todo:
        raise StoppedError(f"{len(job.todo)} of {len(job.chunks)} chunks are left")


def _check_still_there(job: Job) -> None:
    """Raise RunError if what was finished is gone: somebody has deleted it during the run."""
    assert job.folder is not None
    gone = [c for c in job.share if c.name in job.done and not _there(job, c)]
    if gone or not (job.folder / "manifest.json").exists():
        what = f"{len(gone)} of {len(job.done)} finished chunks" if gone else "its manifest"
        raise RunError(
            f"{job.folder} was changed during the run: {what} {'are' if gone else 'is'} gone; run "
            "again to train what is missing"
        )


def here(
    job: Job, plan: Plan, progress: Progress, stop: Stop, tick: Callable[[], None]
) -> Iterator[tuple[str, int]]:
    """Train on this machine's devices; what others finish meanwhile is not trained again."""
    from jsuper.engine.workers import train_chunks

    def there(chunk: Chunk) -> bool:
        return _there(job, chunk)

    for chunk, arrays in train_chunks(plan, job.todo, job.chunks, progress, stop, tick, there):
        write(job, chunk, arrays)
        yield chunk.name, chunk_files.lost_models(arrays)


def _there(job: Job, chunk: Chunk) -> bool:
    assert job.folder is not None
    return chunk_files.chunk_path(job.folder, chunk.name).exists()


def _fix_partition(job: Job, plan: Plan, stop: Callable[[], bool]) -> None:
    """Write the job's chunks into the manifest; where another process was first, take its own."""
    folder = job.folder
    assert folder is not None
    with sharing.locked(folder, stop):
        sharing.sweep_stale(folder)
        manifest = read_manifest(folder)
        names = frozenset(c.name for c in manifest.chunks) if manifest else frozenset()
        if names != job.held:
            now = prepare(job.sweep, folder, plan, job.shard)
            job.sweep, job.chunks = now.sweep, now.chunks
            job.done, job.damaged = now.done, now.damaged
        _, damaged = chunk_files.done(folder, job.damaged)  # some may have been mended meanwhile
        for chunk in damaged:
            chunk_files.set_aside(folder, chunk)
        there = manifest is not None and (folder / "sweep.toml").exists()  # a kill may leave one
        if not there or names != {c.name for c in job.chunks}:
            sessions = manifest.sessions if manifest else []
            write_manifest(folder, job.sweep, job.chunks, sessions)


def restore_manifest(job: Job) -> None:
    """Write the manifest of a finished job anew, where it was lost."""
    assert job.folder is not None
    with sharing.locked(job.folder):
        if read_manifest(job.folder) is None:
            write_manifest(job.folder, job.sweep, job.chunks, [])


def write(job: Job, chunk: Chunk, arrays: chunk_files.Arrays) -> None:
    """Write a chunk of a job.

    Raises
    ------
    RunError
        The folder is gone.
    OSError
        It could not be written; says how many bytes the rest needs.
    """
    assert job.folder is not None
    if not job.folder.is_dir():
        raise RunError(f"{job.folder} was deleted during the run; run again to start over")
    try:
        chunk_files.write_chunk(job.folder, chunk, arrays)
    except OSError as error:
        need = sum(a.nbytes for a in arrays.values())
        left = sum(c.n_models for c in job.todo) * need // chunk.n_models
        free = shutil.disk_usage(job.folder).free
        raise OSError(
            error.errno,
            f"{error.strerror}: the rest of the sweep needs about {left:,} bytes in {job.folder}, "
            f"where {free:,} are free; whole chunks are kept, run again to continue",
        ) from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def about(plan: Plan) -> dict[str, Any]:
    """What a manifest says of one session of work: when, on which machine, with what software."""
    packages = ("jsuper", "jax", "jaxlib", "optax", "flax", "numpy")
    return {
        "versions": {"python": host.python_version()} | {p: version(p) for p in packages},
        "devices": [f"{d.platform}:{d.id} {d.device_kind}" for d in plan.worker_devices],
        "plan": plan.describe(),
        "git": _git_commit(),
        "host": host.node(),
        "argv": sys.argv,
        "started": _now(),
    }


def _git_commit() -> str | None:
    """The commit of jsuper's own checkout, with '+' where it has changes; None outside one."""
    here = Path(__file__).parent
    try:
        git = ["git", "-C", str(here)]
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        dirty = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True)
    except OSError:
        return None
    return None if commit.returncode else commit.stdout.strip() + ("+" if dirty.stdout else "")


def run(
    sweep: BaseSweep,
    out: str | Path | None = None,
    *,
    platform: str = "auto",
    workers: int | None = None,
    progress: bool = True,
    plan: Plan | str | None = None,
    force: bool = False,
) -> xarray.Dataset:
    """Train every model of a sweep and return all of it as one Dataset.

    Parameters
    ----------
    sweep
        What to train.
    out
        Run folder; what it holds already is not trained again. None: in memory only.
    platform
        "auto", "cpu", "gpu" or "tpu".
    workers
        Threads on a CPU; one per core by default.
    progress
        Show a progress line on standard error.
    plan
        How models run, one of `jsuper.engine.devices.BATCHINGS` ("reference" trains whole
        batches one model after another); or a Plan, instead of what `platform` and `workers`
        give.
    force
        Train also where the estimated memory or disk space is not free.

    Returns
    -------
    xarray.Dataset
        The Dataset that `jsuper.load(out)` gives; `attrs["timing"]` says where the time went. In
        memory, an interrupted run returns what was finished, with a SweepWarning.

    Warns
    -----
    SweepWarning
        What the command line prints as notes, such as a coarse sparsity.

    Raises
    ------
    TypeError
        An argument is of another type; says what is expected.
    SpecError
        The sweep, the platform or the folder cannot be used.
    RunError
        The folder's manifest cannot be read, or the folder has a link where files of the
        run would be written.
    OSError
        Results could not be written.
    RuntimeError
        This process was forked from one that has trained.

    Warns
    -----
    NonFiniteWarning
        Some models are not finite: how many of which, and from which step on.
    """
    example = "jsuper.run(jsuper.Sweep(activation='relu', sparsity=0.9))"
    expect("sweep", sweep, BaseSweep, "a Sweep", example)
    if out is not None:
        expect_folder("out", out, "jsuper.run(sweep, out='runs/mine')")
    from jsuper.engine.counters import Progress
    from jsuper.engine.devices import Plan, make_plan
    from jsuper.engine.programs import check_not_forked, use_compilation_cache
    from jsuper.jobs.progress_bar import reporter
    from jsuper.store.dataset import load

    check_not_forked()
    expect("plan", plan, (str, Plan, type(None)), "a name", "jsuper.run(sweep, plan='reference')")
    use_compilation_cache()
    began = time.perf_counter()
    if plan is None or isinstance(plan, str):
        plan = make_plan(platform, workers, plan or "auto")
    job = prepare(sweep, Path(out) if out is not None else None, plan)
    if not force:
        _check_room(job, plan)
    for note in (*job.notes, *job.sweep.notes()):
        warnings.warn(note, SweepWarning, stacklevel=2)
    counters, stop = Progress(), Stop()
    with reporter(job.todo, counters, quiet=not progress) as tick:
        if job.folder is None:
            ds = _in_memory(job, plan, counters, stop, tick)
        else:
            execute(job, plan, counters, stop, tick)
            ds = load(job.folder)
    ds.attrs["timing"] = json.dumps(counters.timing(time.perf_counter() - began, plan.workers))
    if text := describe(ds, job.sweep):
        warnings.warn(text, NonFiniteWarning, stacklevel=2)
    return ds


def _check_room(job: Job, plan: Plan) -> None:
    try:
        check_room(job, plan)
    except SpecError as error:
        raise SpecError(f"{error}; force=True trains it all the same") from error


def _in_memory(
    job: Job, plan: Plan, progress: Progress, stop: Stop, tick: Callable[[], None]
) -> xarray.Dataset:
    from jsuper.engine.workers import train_chunks
    from jsuper.store.dataset import to_dataset

    arrays = {}
    try:
        for chunk, found in train_chunks(plan, job.chunks, job.chunks, progress, stop, tick):
            arrays[chunk.name] = found
    except KeyboardInterrupt:
        if not arrays:
            raise
        warnings.warn(
            f"interrupted: {len(arrays)} of {len(job.chunks)} chunks are finished; the models of "
            "the others have status 0",
            SweepWarning,
            stacklevel=3,
        )
    return to_dataset(job.sweep.to_dict(), job.chunks, lambda chunk: arrays.pop(chunk.name, None))


def all_points(job: Job) -> bool:
    """Return whether the folder's chunks hold every point of the sweep, all of them verified."""
    return bool(job.chunks) and not job.todo and not missing(job.sweep, job.chunks)


def count_non_finite(job: Job) -> int:
    """Return the number of models that diverged or failed."""
    return sum(job.done.values())
