"""`run`: from a sweep to its Dataset, in memory or in a run folder that is resumed and extended."""

from __future__ import annotations

import json
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jsuper.core.choices import as_data, chosen_before
from jsuper.core.errors import NonFiniteWarning, RunError, SpecError, SweepWarning
from jsuper.core.expecting import expect, expect_folder
from jsuper.core.grid import Chunk
from jsuper.core.sweep import BaseSweep
from jsuper.engine.stopping import Stop
from jsuper.jobs.diverged import describe
from jsuper.jobs.job import Job, fix_partition, prepare
from jsuper.jobs.listening import Listener, Listening, expect_listener
from jsuper.jobs.retry import write_improved
from jsuper.jobs.room import check_room, unusually_large
from jsuper.jobs.session import session_metadata, timestamp
from jsuper.store import chunk_files, sharing
from jsuper.store.manifest import manifest_of

if TYPE_CHECKING:
    import xarray

    from jsuper.engine.counters import Progress
    from jsuper.engine.devices import Plan

Tick = Callable[[], None]
Finished = tuple[str, chunk_files.Lost]  # name of a chunk, and its models without a result
# Trains chunks of a job: (job, plan, counters, stop, tick) -> finished chunks.
Train = Callable[[Job, "Plan", "Progress", Stop, Tick], Iterator[Finished]]


class StoppedError(RuntimeError):
    """The run was stopped before its end; finished chunks are kept, run again to continue."""


def run(
    sweep: BaseSweep,
    out: str | Path | None = None,
    *,
    platform: str = "auto",
    workers: int | None = None,
    progress: bool = True,
    plan: Plan | str | None = None,
    force: bool = False,
    keep_failed: bool = False,
    on_progress: Listener | None = None,
) -> xarray.Dataset:
    """Train every model of a sweep and return all of them as one Dataset.

    Parameters
    ----------
    sweep
        What to train.
    out
        Run folder; models that it contains are not trained again. None: in memory only.
    platform
        "auto", "cpu", "gpu" or "tpu".
    workers
        Threads on a CPU; one per core by default.
    progress
        Show a progress line on standard error.
    plan
        How models run, one of `jsuper.engine.devices.BATCHINGS` ("reference" trains whole
        batches one model after another); or a Plan, which replaces `platform` and `workers`.
    force
        Train even if the estimated memory or disk space is not free, or if the run has more than
        a million models or takes more than ten days.
    keep_failed
        Do not train the folder's failed models (status 3) once more.
    on_progress
        A function that is called with a `jsuper.jobs.listening.RunProgress` at the end of every
        chunk and about once a second between, in this thread; once if nothing is left to train.
        What it raises stops the run, and is raised here: a folder keeps the finished chunks.

    Returns
    -------
    xarray.Dataset
        The Dataset that `jsuper.load(out)` returns; `attrs["timing"]` contains where the time
        went. In memory, an interrupted run returns its finished chunks with a SweepWarning, and
        raises KeyboardInterrupt if none is finished.

    Warns
    -----
    SweepWarning
        Notes that the command line also prints, such as a coarse sparsity.
    NonFiniteWarning
        Some models are not finite: how many of which, and from which step on.

    Raises
    ------
    TypeError
        An argument has the wrong type.
    SpecError
        The sweep, the platform or the folder cannot be used.
    RunError
        The folder's manifest cannot be read, or the folder contains a link where files of the
        run would be written.
    OSError
        Results could not be written.
    RuntimeError
        This process was forked from one that has trained.
    """
    example = "jsuper.run(jsuper.Sweep(activation='relu', sparsity=0.9))"
    expect("sweep", sweep, BaseSweep, "a Sweep", example)
    if out is not None:
        expect_folder("out", out, "jsuper.run(sweep, out='runs/mine')")
    from jsuper.engine.counters import Progress
    from jsuper.engine.devices import Plan, make_plan
    from jsuper.engine.estimates import estimate
    from jsuper.engine.programs import use_compilation_cache
    from jsuper.jobs.progress_bar import reporter
    from jsuper.store.dataset import load
    from jsuper.training.jax_config import check_not_forked

    check_not_forked()
    expect("plan", plan, (str, Plan, type(None)), "a name", "jsuper.run(sweep, plan='reference')")
    expect_listener(on_progress)
    use_compilation_cache()
    began = time.perf_counter()
    if plan is None or isinstance(plan, str):
        plan = make_plan(platform, workers, plan or "auto")
    job = prepare(sweep, Path(out) if out is not None else None, plan, None, keep_failed)
    expected = estimate(plan, job.pending)
    if not force:
        _check_room(job, plan, expected.seconds)
    for note in (*job.notes, *job.sweep.all_notes()):
        warnings.warn(note, SweepWarning, stacklevel=2)
    counters, stop = Progress(), Stop()
    listening = Listening(on_progress, expected, counters, job.sweep, job.pending)
    with reporter(expected, counters, quiet=not progress) as show:

        def tick() -> None:
            show()
            listening.tick()

        if job.folder is None:
            ds = _run_in_memory(job, plan, counters, stop, tick, listening)
        else:
            execute(job, plan, counters, stop, tick, finished=listening.finished)
            listening.end()
            ds = load(job.folder)
    ds.attrs["timing"] = json.dumps(counters.timing(time.perf_counter() - began, plan.workers))
    if text := describe(ds, job.sweep):
        warnings.warn(text, NonFiniteWarning, stacklevel=2)
    return ds


def _check_room(job: Job, plan: Plan, seconds: float) -> None:
    try:
        if large := unusually_large(job, seconds):
            raise SpecError(large)
        check_room(job, plan)
    except SpecError as error:
        raise SpecError(f"{error}; force=True trains it anyway") from error


def _run_in_memory(
    job: Job, plan: Plan, progress: Progress, stop: Stop, tick: Tick, listening: Listening
) -> xarray.Dataset:
    from jsuper.engine.workers import train_chunks
    from jsuper.store.dataset import to_dataset

    results = {}
    try:
        for chunk, arrays in train_chunks(plan, job.chunks, job.chunks, progress, stop, tick):
            results[chunk.name] = arrays
            listening.finished(chunk)
        listening.end()
    except KeyboardInterrupt:
        if not results:
            raise
        warnings.warn(
            f"interrupted: {len(results)} of {len(job.chunks)} chunks are finished; the models of "
            "the others have status 0",
            SweepWarning,
            stacklevel=3,
        )
    except Exception as error:
        error.add_note(
            f"{len(results)} of {len(job.chunks)} chunks were finished; a run with a folder, "
            "jsuper.run(sweep, out), keeps them"
        )
        raise
    return to_dataset(job.sweep.to_dict(), job.chunks, lambda chunk: results.pop(chunk.name, None))


def run_locally(
    job: Job, plan: Plan, progress: Progress, stop: Stop, tick: Tick
) -> Iterator[Finished]:
    """Train on this machine's devices; chunks that others finish meanwhile are skipped.

    Failed models of earlier sessions come last, by programs that are made for them too.
    """
    from jsuper.engine.workers import train_chunks

    assert (folder := job.folder) is not None

    training = train_chunks(plan, job.todo, job.chunks, progress, stop, tick, job.is_done)
    for chunk, arrays in training:
        write(job, chunk, arrays)
        yield chunk.name, chunk_files.count_lost(arrays)
    whole = {c.name: c for c in job.chunks}
    parts = {id(part): whole[name] for name, some in job.retry.items() for part in some}
    again = [part for some in job.retry.values() for part in some]
    for part, arrays in train_chunks(plan, again, [*job.chunks, *again], progress, stop, tick):
        chunk = parts[id(part)]
        yield chunk.name, write_improved(folder, chunk, part, arrays, stop.is_set)


def execute(
    job: Job,
    plan: Plan,
    progress: Progress,
    stop: Stop,
    tick: Tick = lambda: None,
    train: Train = run_locally,
    finished: Callable[[Chunk], None] = lambda chunk: None,
) -> None:
    """Train the missing chunks of a job in a folder; each is written as soon as it is finished.

    Parameters
    ----------
    job
        As returned by `prepare`.
    plan
        How models run.
    progress
        Counters, which are updated.
    stop
        Set it to stop.
    tick
        Called several times a second.
    train
        What trains the chunks.
    finished
        Called with every chunk that has been written.

    Raises
    ------
    StoppedError
        `stop` was set before the end.
    RunError
        The folder was deleted or changed, or contains a link or a special file where a file of
        the run belongs.
    OSError
        A chunk could not be written.
    """
    assert job.folder is not None
    sharing.check_places(job.folder)
    session = sharing.begin_session(session_metadata(plan))
    try:
        fix_partition(job, plan, stop.is_set)
    except sharing.WaitEndedError as error:
        raise StoppedError(str(error)) from error
    sharing.write_session(job.folder, session)
    kind = plan.worker_devices[0].device_kind if plan.worker_devices else ""
    earlier = sharing.sessions_of(job.folder, manifest_of(job.folder))
    progress.choices |= chosen_before(earlier, kind)
    chunks = {c.name: c for c in job.share}
    for name, lost in train(job, plan, progress, stop, tick):
        kernels = as_data(progress.choices, kind)
        if progress.choices and session.get("kernels") != kernels:  # before it may be killed
            session["kernels"] = kernels
            sharing.write_session(job.folder, session)
        job.done[name] = lost
        finished(chunks[name])
    _check_files_exist(job)
    by_others = [c for c in job.share if c.name not in job.done or c.name in job.retry]
    job.done |= chunk_files.done(job.folder, list(filter(job.is_done, by_others)))[0]
    session |= {"ended": timestamp(), "model_steps": progress.model_steps}
    sharing.write_session(job.folder, session)
    if job.todo:
        raise StoppedError(f"{len(job.todo)} of {len(job.chunks)} chunks are left")


def write(job: Job, chunk: Chunk, arrays: chunk_files.Arrays) -> None:
    """Write a chunk of a job.

    Raises
    ------
    RunError
        The folder was deleted.
    OSError
        The chunk could not be written; the message contains the bytes that the rest needs.
    """
    assert job.folder is not None
    if not job.folder.is_dir():
        raise RunError(f"{job.folder} was deleted during the run; run again to start over")
    try:
        if chunk_files.count_lost(arrays).failed and job.is_done(chunk):
            write_improved(job.folder, chunk, chunk, arrays)  # another process was faster
        else:
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


def _check_files_exist(job: Job) -> None:
    """Raise RunError if finished files were deleted during the run."""
    assert job.folder is not None
    gone = [c for c in job.share if c.name in job.done and not job.is_done(c)]
    if gone or not (job.folder / "manifest.json").exists():
        what = f"{len(gone)} of {len(job.done)} finished chunks" if gone else "its manifest"
        raise RunError(
            f"{job.folder} was changed during the run: {what} {'are' if gone else 'is'} gone; run "
            "again to train what is missing"
        )
