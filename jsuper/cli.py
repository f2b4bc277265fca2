"""The command line: `jsuper COMMAND`, and the command `sweep`.

Thin: it reads TOML and flags into a sweep, checks the folder, and calls the runner. Neither
`--help` nor bad input nor a finished run imports jax.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import jsuper
from jsuper import runner, sharing
from jsuper.flags import RunOptions, default_folder, parse
from jsuper.grid import n_models
from jsuper.spec import BaseSweep, SpecError
from jsuper.stopping import Stop
from jsuper.store import RunError

DONE, ERROR, BAD_INPUT, SOME_NON_FINITE, STOPPED, STOPPED_AT_ONCE = 0, 1, 2, 3, 75, 130
SAME_REQUEST_SECONDS = 0.5
# Command -> the module that has it, under its name.
COMMANDS = {"sweep": "jsuper.cli"}
COMMANDS |= dict.fromkeys(("report", "scrub", "study", "export"), "jsuper.commands")
COMMANDS |= {"claims": "jsuper.claims.command"}
COMMANDS |= dict.fromkeys(("status", "verify"), "jsuper.inspecting")


def main(argv: list[str] | None = None) -> int:
    """`jsuper COMMAND ...`: the installed command."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in COMMANDS:
        command = getattr(import_module(COMMANDS[argv[0]]), argv[0])
        return command(argv[1:])
    parser = argparse.ArgumentParser(
        "jsuper", description="a sweep engine for toy models of superposition"
    )
    parser.add_argument("--version", action="version", version=f"jsuper {jsuper.__version__}")
    parser.add_argument("command", choices=COMMANDS, help="what to do; see jsuper COMMAND --help")
    parser.parse_args(argv[:1])
    return BAD_INPUT


def sweep(argv: list[str] | None = None) -> int:
    """Train a sweep: `python scripts/sweep.py [--preset NAME | --config FILE] [flags]`."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        asked, options, name = parse(argv)
        folder = default_folder(asked, name) if options.out is None else Path(options.out)
        return run_sweep(asked, options, folder)
    except SpecError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except (RunError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ERROR


def check_writable(folder: Path) -> None:
    """Raise SpecError unless files can be made in the folder; what this makes, it removes.

    A folder that is not there yet is made below another, since processes may start together on it.
    """
    try:
        whole, there = Path(os.path.abspath(folder)), sharing.nearest(folder)
        if there == whole:
            with tempfile.TemporaryFile(dir=whole):
                return
        with tempfile.TemporaryDirectory(prefix=".jsuper-", dir=there) as place:
            (Path(place) / whole.relative_to(there)).mkdir(parents=True)
    except OSError as error:
        raise SpecError(
            f"out={str(folder)!r} cannot be written ({error.strerror}); give another folder"
        ) from error


def run_sweep(asked: BaseSweep, options: RunOptions, folder: Path) -> int:
    """Resume or start a sweep in its folder, and show what came out."""
    from jsuper import summary

    if options.platform not in ("auto", "cpu", "gpu", "tpu"):
        raise SpecError(f"platform={options.platform!r} is not one of auto, cpu, gpu, tpu")
    if options.workers is not None and options.workers < 1:
        raise SpecError(f"workers={options.workers} is not >= 1")
    if not 0 <= options.grace < math.inf:
        raise SpecError(f"grace={options.grace} is not in [0, inf), in seconds; try 30")
    shard = None if options.shard is None else sharing.shard_of(options.shard)
    job = runner.held(asked, folder)
    if job.lost_manifest:
        print(f"manifest.json is lost: put together from {len(job.chunks)} chunks", file=sys.stderr)
    if runner.all_points(job):
        for note in job.notes:
            print(f"note     {note}")
        if job.lost_manifest and not options.dry_run:
            runner.restore_manifest(job)
        lost = runner.count_non_finite(job)
        words = f", {lost} of them diverged or failed" if lost else ""
        print(f"All {n_models(job.sweep)} models are done{words}: {folder}")
        if not (options.dry_run or concluded(lambda: write_report(folder, options, anew=False))):
            return STOPPED
        return _exit_code(options, lost)
    check_writable(folder)
    plan, train = _cluster(options) if options.engine == "ray" else _machine(options)
    job = runner.prepare(asked, folder, plan, shard)
    print(summary.plan_text(job, plan), flush=True)
    if options.dry_run:
        return DONE
    if options.engine == "ray":
        from jsuper.cluster import check_shared

        check_shared(folder, plan.platform)
    stop = Stop()
    _on_signal(lambda: _ask_to_stop(stop, options.grace))
    (folder / "report.html").unlink(missing_ok=True)  # of fewer models than there will be
    if not _execute(job, plan, train, options, stop) or stop.is_set():
        print(f"Stopped. What is finished is in {folder}; run again to continue.", file=sys.stderr)
        return STOPPED
    if shard is not None:  # by now others may have done theirs
        job = runner.held(asked, folder)
        if not runner.all_points(job):
            left = len(job.chunks) - len(job.done)
            print(f"share {options.shard} is done; {left} chunks of others are left in {folder}")
            return _exit_code(options, runner.count_non_finite(job))

    def conclude() -> None:
        summary.show(job)
        write_report(folder, options)

    if not concluded(conclude):
        return STOPPED
    return _exit_code(options, runner.count_non_finite(job))


def _machine(options: RunOptions) -> tuple[Any, runner.Train]:
    """The plan of this machine's devices, and what trains on them."""
    if options.address is not None:
        raise SpecError(f"address={options.address!r} is of a Ray cluster: add --engine ray")
    if options.platform == "cpu":
        os.environ.setdefault("JAX_PLATFORMS", "cpu")  # leaves an accelerator and its memory alone
    print(f"jsuper {jsuper.__version__}: starting JAX ...", file=sys.stderr, flush=True)
    from jsuper.plan import make_plan

    return make_plan(options.platform, options.workers, options.plan), runner.here


def _cluster(options: RunOptions) -> tuple[Any, runner.Train]:
    """The plan of a Ray cluster, and what trains on it; this process needs no accelerator."""
    if options.shard is not None:
        raise SpecError(f"shard={options.shard!r} is not for --engine ray, which takes all chunks")
    print(f"jsuper {jsuper.__version__}: connecting to Ray ...", file=sys.stderr, flush=True)
    from jsuper import cluster

    cluster.connect(options.address, options.workers)
    os.environ["JAX_PLATFORMS"] = "cpu"
    cache = not options.no_cache
    plan = cluster.make_cluster_plan(options.platform, options.workers, options.plan, cache)
    return plan, cluster.train


def _execute(
    job: runner.Job, plan: Any, train: runner.Train, options: RunOptions, stop: Stop
) -> bool:
    """Whether the job came to its end."""
    from jsuper.counters import Progress
    from jsuper.programs import use_compilation_cache
    from jsuper.progress import reporter

    if not options.no_cache:
        use_compilation_cache()
    progress = Progress()
    for chunk in job.damaged:
        print(f"chunk {chunk.name} is damaged: set aside and run again", file=sys.stderr)
    try:
        with reporter(job.todo, progress) as tick:
            runner.execute(job, plan, progress, stop, tick, train)
    except runner.StoppedError:
        return False
    return True


def _on_signal(act: Callable[[], None]) -> None:
    """The first SIGINT, SIGTERM or SIGUSR1 acts, another one stops at once.

    What follows the first within an instant is the same request: `timeout` and some schedulers
    signal the process and then its group.
    """
    first: list[float] = []

    def handle(number: int, frame: Any) -> None:
        del number, frame
        now = time.monotonic()
        if not first:
            first.append(now)
            act()
        elif now - first[0] > SAME_REQUEST_SECONDS:
            os._exit(STOPPED_AT_ONCE)

    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):  # the last is not on Windows
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), handle)


def _ask_to_stop(stop: Stop, grace: float) -> None:
    print(
        f"\nstopping: what ends within {grace:g} s is finished; once more to stop at once",
        file=sys.stderr,
        flush=True,
    )
    stop.set(grace)


def concluded(work: Callable[[], None]) -> bool:
    """Do what follows the training; False where a signal stopped it."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    _on_signal(interrupt)
    try:
        work()
    except KeyboardInterrupt:
        print("Stopped. The models are all there; run again for the report.", file=sys.stderr)
        return False
    return True


def write_report(folder: Path, options: RunOptions, anew: bool = True) -> None:
    """Write the page, if it is wanted and `anew` or not there."""
    if options.no_report or not anew and (folder / "report.html").exists():
        return
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # where it has not started: an accelerator is
    from jsuper.programs import use_compilation_cache  # of no use here
    from jsuper.report import write

    if not options.no_cache:
        use_compilation_cache()
    print("measuring every model for the report ...", file=sys.stderr, flush=True)
    print(f"report   {write(folder)}")


def _exit_code(options: RunOptions, non_finite: int) -> int:
    return SOME_NON_FINITE if options.fail_on_nonfinite and non_finite else DONE


def reported(command: Callable[[], int]) -> int:
    """A command's exit code; what it cannot use becomes one line on standard error."""
    try:
        return command()
    except (SpecError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except (RunError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ERROR
