"""The command `sweep`: from a sweep and options to a finished run folder with figure and page."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import jsuper
from jsuper.cli import results, summary
from jsuper.cli.options import RunOptions, asked_preset, default_folder, parse
from jsuper.cli.process import (
    DONE,
    SOME_FAILED,
    SOME_NON_FINITE,
    STOPPED,
    check_writable,
    concluded,
    on_signal,
    reported,
    start_analysis,
)
from jsuper.core import files
from jsuper.core.errors import SpecError
from jsuper.core.grid import check_size, n_models
from jsuper.core.sweep import BaseSweep
from jsuper.core.text import printable
from jsuper.engine.stopping import Stop
from jsuper.jobs import room, runner
from jsuper.jobs.diverged import messages_text
from jsuper.jobs.job import Job, existing_job, prepare, restore_manifest
from jsuper.presets import Preset
from jsuper.store import derived, sharing
from jsuper.store.manifest import manifest_of
from jsuper.store.status import status_of

if TYPE_CHECKING:
    from jsuper.engine.counters import Progress
    from jsuper.engine.devices import Plan
    from jsuper.engine.estimates import Estimate

RETRY = "run again to try them once more, or add --keep-failed to keep them as they are"


def sweep(argv: list[str] | None = None) -> int:
    """Train a sweep: `jsuper sweep`, also `python scripts/sweep.py`."""

    def train() -> int:
        words = sys.argv[1:] if argv is None else argv
        asked, options, name = parse(words)
        folder = default_folder(asked, name) if options.out is None else Path(options.out)
        return run_sweep(asked, options, folder, asked_preset(words, asked))

    return reported(train)


def run_sweep(
    asked: BaseSweep, options: RunOptions, folder: Path, preset: Preset | None = None
) -> int:
    """Resume or start a sweep in its folder, show the results, and return the exit code."""
    options = options.checked()
    if preset is not None:
        print(results.preset_text(preset))
    shard = None if options.shard is None else sharing.shard_of(options.shard)
    job = existing_job(asked, folder)
    if job.lost_manifest:
        print(f"manifest.json is lost: put together from {len(job.chunks)} chunks", file=sys.stderr)
    if job.is_complete and (options.keep_failed or not job.n_failed):
        return _finished(job, options, preset)

    check_writable(folder)
    sharing.check_places(folder)
    plan, train = _cluster(options) if options.engine == "ray" else _machine(options)
    if not (options.yes or options.dry_run):
        _check_size(job, math.nan)  # before a large run is cut into chunks
    job = prepare(asked, folder, plan, shard, options.keep_failed)
    expected = _expected(job, plan, options)
    print(summary.plan_text(job, plan, expected), flush=True)
    if options.dry_run:
        return DONE

    _check_limits(job, plan, expected, options)
    if not _execute(job, plan, train, expected, options):
        where = printable(folder)
        print(f"Stopped. Finished chunks are in {where}; run again to continue.", file=sys.stderr)
        return STOPPED
    if shard is not None:
        job = existing_job(asked, folder)  # other processes may have finished their shares
        if not job.is_complete:
            left = len(job.chunks) - len(job.done)
            where = printable(folder)
            print(f"share {options.shard} is done; {left} chunks of others are left in {where}")
            return _exit_code(options, job)
    return (
        _exit_code(options, job) if concluded(lambda: conclude(job, options, preset)) else STOPPED
    )


def _finished(job: Job, options: RunOptions, preset: Preset | None) -> int:
    """Report a run with nothing left to train, and write what it lacks."""
    assert job.folder is not None
    for note in job.notes:
        print(f"note     {note}")
    if job.lost_manifest and not options.dry_run:
        restore_manifest(job)
    lost = f", {job.n_non_finite} of them diverged or failed" if job.n_non_finite else ""
    print(f"All {n_models(job.sweep):,} models are done{lost}: {printable(job.folder)}")
    if options.dry_run or concluded(lambda: conclude(job, options, preset)):
        return _exit_code(options, job)
    return STOPPED


def _check_limits(job: Job, plan: Plan, expected: Estimate, options: RunOptions) -> None:
    """Raise SpecError for a run that is too large, has no room, or whose folder is not shared."""
    assert job.folder is not None
    if not options.yes:
        _check_size(job, expected.seconds)
    if not options.force:
        _check_room(job, plan)
    if options.engine == "ray":
        from jsuper.jobs.ray_driver import check_shared

        check_shared(job.folder, plan.platform)


def _check_size(job: Job, seconds: float) -> None:
    """Raise SpecError for a run so large that it may be a mistake."""
    check_size(job.sweep)  # what --yes does not override
    if large := room.unusually_large(job, seconds):
        raise SpecError(f"{large}; add --yes to train it, or --dry-run to see its plan")


def _check_room(job: Job, plan: Plan) -> None:
    """Raise SpecError for a run that has no room here."""
    try:
        room.check_room(job, plan)
    except SpecError as error:
        raise SpecError(f"{error}; --force trains it anyway") from error


def _machine(options: RunOptions) -> tuple[Plan, runner.Train]:
    """Return the plan of this machine's devices, and what trains on them."""
    if options.address is not None:
        raise SpecError(f"address={options.address!r} names a Ray cluster; add --engine ray")
    if options.platform == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"  # leaves an accelerator and its memory alone
    print(f"jsuper {jsuper.__version__}: starting JAX ...", file=sys.stderr, flush=True)
    from jsuper.engine.devices import make_plan
    from jsuper.engine.programs import use_compilation_cache

    if not options.no_cache:
        use_compilation_cache()
    return make_plan(options.platform, options.workers, options.plan), runner.run_locally


def _cluster(options: RunOptions) -> tuple[Plan, runner.Train]:
    """Return the plan of a Ray cluster, and what trains on it."""
    if options.shard is not None:
        raise SpecError(f"shard={options.shard!r} is not for --engine ray, which takes all chunks")
    print(f"jsuper {jsuper.__version__}: connecting to Ray ...", file=sys.stderr, flush=True)
    from jsuper.jobs import ray_driver

    ray_driver.connect(options.address, options.workers)
    os.environ["JAX_PLATFORMS"] = "cpu"
    cache = not options.no_cache
    plan = ray_driver.make_cluster_plan(options.platform, options.workers, options.plan, cache)
    return plan, ray_driver.train


def _expected(job: Job, plan: Plan, options: RunOptions) -> Estimate:
    """Return the time that the rest of the command is expected to take."""
    from jsuper.engine.estimates import estimate, probed_slowness

    slowness = probed_slowness(plan.workers) if plan.trains_here and job.pending else 1.0
    models, page = n_models(job.sweep), not options.no_report
    return estimate(plan, job.pending, models, slowness=slowness, figure=True, page=page)


def _execute(
    job: Job, plan: Plan, train: runner.Train, expected: Estimate, options: RunOptions
) -> bool:
    """Train what a job lacks; return False if a signal stopped it."""
    from jsuper.engine.counters import Progress
    from jsuper.engine.estimates import mark_cached
    from jsuper.jobs.progress_bar import reporter

    assert job.folder is not None
    stop, progress, pending = Stop(), Progress(), job.pending
    on_signal(lambda: _ask_to_stop(stop, options.grace))
    files.remove(job.folder / "report.html")  # it shows fewer models than there will be
    mine = {c.name for c in job.share}
    for chunk in job.damaged:
        by = "run again" if chunk.name in mine else "left to another share"
        print(f"chunk {chunk.name} is damaged: set aside and {by}", file=sys.stderr)
    try:
        with _page_prepared(job, plan, progress, options), reporter(expected, progress) as tick:
            runner.execute(job, plan, progress, stop, tick, train)
    except runner.StoppedError:
        return False
    mark_cached(plan, pending)
    return not stop.is_set()


@contextlib.contextmanager
def _page_prepared(job: Job, plan: Plan, progress: Progress, options: RunOptions) -> Iterator[None]:
    """Compile what the page needs beside the training's own compilation, which leaves cores idle.

    Not beside an accelerator, where the measures would be compiled for another device.
    """
    elsewhere = plan.platform != "cpu" or not plan.trains_here or job.shard is not None
    if options.no_report or elsewhere:
        yield
        return
    over = threading.Event()

    def prepare() -> None:
        while not progress.traced and not over.wait(0.05):  # tracing needs Python's lock
            pass
        if not over.is_set():
            from jsuper.report.ahead import prepare_page

            with contextlib.suppress(Exception):  # the page itself reports what fails
                prepare_page(job.sweep, job.chunks, over.is_set)

    thread = threading.Thread(target=prepare, name="jsuper-page", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _ask_to_stop(stop: Stop, grace: float) -> None:
    print(
        f"\nstopping: what ends within {grace:g} s is finished; once more to stop at once",
        file=sys.stderr,
        flush=True,
    )
    stop.set(grace)


def conclude(job: Job, options: RunOptions, preset: Preset | None = None) -> None:
    """Show the summary and write the page of a finished run, unless both are up to date.

    A preset has a figure of its kind, in addition to the summary's, and a number to compare.
    """
    assert job.folder is not None
    made_from = derived.fingerprint(job.folder, manifest_of(job.folder))
    if not derived.is_current(job.folder, "figures", made_from):
        summary.show(job)
        if preset is not None:
            start_analysis(not options.no_cache)
            results.show(job.folder, preset)
        derived.record(job.folder, "figures", made_from)
    elif preset is not None:
        results.show_again(job.folder, preset)
    if not derived.is_current(job.folder, "report.html", made_from):
        write_report(job.folder, options)


def write_report(folder: Path, options: RunOptions) -> None:
    """Write the page, unless --no-report."""
    if options.no_report:
        return
    start_analysis(not options.no_cache)
    from jsuper.report import write

    print("measuring every model for the report ...", file=sys.stderr, flush=True)
    print(f"report   {printable(write(folder))}")


def _exit_code(options: RunOptions, job: Job) -> int:
    """Return the exit code of a finished run; models that have failed are reported."""
    if job.n_failed and job.folder is not None:
        reasons = messages_text(Counter(status_of(job.folder).errors))
        models = f"{job.n_failed:,} of {n_models(job.sweep):,} models"
        print(f"failed: {models} could not be trained: {reasons}; {RETRY}", file=sys.stderr)
        return SOME_FAILED
    if options.fail_on_nonfinite and job.n_non_finite:
        print(f"diverged: {job.n_non_finite:,} of {n_models(job.sweep):,} models", file=sys.stderr)
        return SOME_NON_FINITE
    return DONE
