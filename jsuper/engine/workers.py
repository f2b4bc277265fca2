"""The engine: a queue of blocks and a worker per core or accelerator. The only user of `jax.jit`.

A *block* is some settings times some seeds of one program: a chunk, or the part of it that one call
can hold. On a CPU a thread per core calls the same compiled program on different blocks, and inside
a block models run one after another; on accelerators a thread per device runs thousands at once.
The engine knows a model family by its protocol alone (`jsuper.core.family`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np

from jsuper.core.family import family_of
from jsuper.core.grid import Chunk
from jsuper.core.protocols import PyTree
from jsuper.core.status import OK
from jsuper.engine import programs, trials
from jsuper.engine.ahead import Todo, compiling
from jsuper.engine.blocks import (
    Arrays,
    Block,
    failed,
    fill,
    halve,
    inputs,
    places,
    suspects,
    tiles,
)
from jsuper.engine.counters import Progress
from jsuper.engine.devices import Device, Plan
from jsuper.engine.estimates import step_seconds
from jsuper.engine.spot_check import SpotCheck
from jsuper.engine.stopping import Stop

# What ends a block and not the sweep: errors of the compiler and of a program that runs.
FAILURES = (programs.ProgramError, jax.errors.JaxRuntimeError, MemoryError, trials.KernelError)
SEGMENT_SECONDS = 0.5  # a call on a CPU: progress and signals are seen between calls


def train_chunks(
    plan: Plan,
    chunks: list[Chunk],
    all_chunks: list[Chunk],
    progress: Progress,
    stop: Stop,
    tick: Callable[[], None] = lambda: None,
    is_done: Callable[[Chunk], bool] = lambda chunk: False,
) -> Iterator[tuple[Chunk, Arrays]]:
    """Train chunks on the plan's devices and yield each with its arrays (settings, seeds, ...).

    Parameters
    ----------
    plan
        Devices, workers and how models are batched.
    chunks
        What to train.
    all_chunks
        The whole sweep's chunks, finished ones included. Programs are made for all of them, so
        that a model is trained by the same program whatever is left to do.
    progress
        Counters that the workers keep up to date.
    stop
        Set it (from a signal handler, say) and no further block begins; one that is not
        expected to end within the grace ends within a segment, and is not yielded.
    tick
        Called several times a second in the caller's thread.
    is_done
        Whether another process has finished a chunk by now; it is then neither trained nor
        yielded. Workers call it before each block.

    Models that cannot be trained have status 3, and a message in the variable `error`.

    Raises
    ------
    Exception
        Whatever else a worker raised, after the others have stopped.
    """
    programs.forget_failures()
    blocks = trials.decided(plan, chunks, all_chunks, progress.choices)
    todo, done = Todo(blocks, plan), queue.Queue()
    threads = [
        threading.Thread(
            target=_work, args=(plan, d, todo, done, progress, stop, is_done), daemon=True
        )
        for d in plan.worker_devices[: len(blocks)]
    ]
    with compiling(todo, plan, progress):
        for thread in threads:
            thread.start()
        try:
            yield from _finished(threads, done, tick, chunks, blocks)
        except BaseException:  # a worker's, or the caller wants no more
            stop.set()
            raise
        finally:
            for thread in threads:
                thread.join()


def _finished(
    threads: list[threading.Thread],
    done: queue.Queue,
    tick: Callable[[], None],
    chunks: list[Chunk],
    blocks: list[Block],
) -> Iterator[tuple[Chunk, Arrays]]:
    """Yield the chunks whose blocks are all done, and raise what a worker has raised."""
    filled: dict[str, Arrays] = {}
    waiting = {c.name: sum(b.n_models for b in blocks if b.chunk is c) for c in chunks}
    while any(t.is_alive() for t in threads) or not done.empty():
        tick()
        with contextlib.suppress(queue.Empty):
            # SimpleQueue.get waits forever after a signal whose handler takes longer than this
            block, result = done.get(timeout=0.1)
            if isinstance(result, BaseException):
                raise result
            name = block.chunk.name
            fill(filled.setdefault(name, {}), block, result)
            waiting[name] -= block.n_models
            if waiting[name] == 0:
                yield block.chunk, filled.pop(name)


def _work(
    plan: Plan,
    device: Device,
    todo: Todo,
    done: queue.Queue,
    progress: Progress,
    stop: Stop,
    is_done: Callable[[Chunk], bool],
) -> None:
    """Train blocks until none is left or a stop is requested."""
    while not stop.is_set():
        block = todo.take(device)
        if block is None:
            return
        try:
            if is_done(block.chunk):
                continue
            with programs.context(block.static, device):
                for part, result in train_block(plan, device, block, progress, stop):
                    done.put((part, result))
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
            done.put((block, error))
            return


def train_block(
    plan: Plan, device: Device, block: Block, progress: Progress, stop: Stop
) -> Iterator[tuple[Block, Arrays]]:
    """Train a block, in tiles if its program does not fit the device's memory.

    What cannot be trained has status 3; the other models of the block are trained.
    """
    try:
        if trials.is_given_up(block, progress.choices):
            raise trials.KernelError("a kernel has failed in another block")
        key = programs.fitting_key(programs.key_of(block, plan, device), progress)
    except FAILURES as error:
        error = _of_kernel(block, error)
        yield from _train_parts(plan, device, block, error, progress, stop)
        return
    for tile in tiles(dataclasses.replace(block, shape=key.shape)):
        try:
            result = _train(plan, device, tile, progress, stop)
        except FAILURES as error:
            yield from _train_parts(plan, device, tile, error, progress, stop)
        else:
            if result is not None:
                yield tile, result


def _train_parts(
    plan: Plan, device: Device, block: Block, error: Exception, progress: Progress, stop: Stop
) -> Iterator[tuple[Block, Arrays]]:
    """Train the parts of a block that has failed; a single model gets status 3.

    A kernel that fails is not used for them, if it cannot be launched in another way.
    """
    if family_of(block.chunk.model).kernel_fallback(str(error)):
        programs.forget_failures()
        yield from train_block(plan, device, block, progress, stop)
        return
    parts = halve(block) if out_of_memory(error) else suspects(plan, block)
    if isinstance(error, trials.KernelError):
        if not trials.is_given_up(block, progress.choices):
            trials.give_up(plan, block, error, progress.choices)
        parts = trials.again(block, progress.choices)
    if not parts:
        known = isinstance(error, programs.ProgramError)
        message = str(error) if known else f"{type(error).__name__}: {error}"
        progress.add(models=block.n_models, non_finite=block.n_models)
        yield block, failed(block.chunk, block.settings, block.seeds, message)
    for part in parts:
        if stop.is_set():
            return
        yield from train_block(plan, device, part, progress, stop)


def _of_kernel(block: Block, error: Exception) -> Exception:
    """Return an error of a block's steps as a KernelError if the block has kernels."""
    uses_kernel = family_of(block.chunk.model).uses_kernel(block.static)
    if not uses_kernel or out_of_memory(error) or isinstance(error, trials.KernelError):
        return error
    return trials.KernelError(f"{type(error).__name__}: {error}")


def out_of_memory(error: Exception) -> bool:
    """Return whether an error reports that memory is exhausted."""
    text = str(error)
    exhausted = "RESOURCE_EXHAUSTED" in text or "out of memory" in text.lower()
    return exhausted or isinstance(error, MemoryError)


def _train(
    plan: Plan, device: Device, block: Block, progress: Progress, stop: Stop
) -> Arrays | None:
    """Train the models of one call; None if the stop does not allow all of their steps."""
    settings, keys = inputs(block)  # first: its small programs would wait for the large one
    program = programs.compiled(programs.key_of(block, plan, device), progress)
    state, done, ended = program.init(settings, keys), 0, False
    trained = dataclasses.replace(block.chunk, settings=block.settings, seeds=block.seeds)
    work = step_seconds(plan, trained)
    spot_check = SpotCheck(block, device)
    try:
        for start, n in segments(program, stop):
            began = time.perf_counter()
            try:
                state = program.advance(state, settings, keys, np.int32(start), np.int32(n))
                jax.block_until_ready(state)
            except FAILURES as error:
                raise _of_kernel(block, error) from error
            seconds = time.perf_counter() - began
            program.observe(seconds / n)
            progress.segment_done(n * block.n_models, n * work, seconds)
            if start == program.stops[0]:
                spot_check.take(state, start, n)
            done = start + n
            if ended := has_ended(program, state, done):
                break
        if done < program.steps and not ended:
            return None
        spot_check.compare()
        result = _measure(program, block, progress, state, settings, keys)
    except FAILURES:
        # its parts count them again
        progress.add(model_steps=-done * block.n_models, work=-done * work)
        raise
    progress.add(work=(program.steps - done) * work)  # of steps that no model takes
    return result


def _measure(
    program: programs.Program, block: Block, progress: Progress, *arguments: PyTree
) -> Arrays:
    """Return the results of a trained block, settings and seeds in the block's order."""
    began = time.perf_counter()
    progress.add(measuring=1)
    try:
        padded = jax.device_get(program.finish(*arguments))
    finally:
        progress.add(measuring=-1)
    arranged = places(block)
    rows = [arranged.index(i) for i in range(len(block.settings))]
    result = {k: np.swapaxes(v, 0, 1)[rows, : len(block.seeds)] for k, v in padded.items()}
    progress.evaluated(
        time.perf_counter() - began,
        models=block.n_models,
        non_finite=int((result["status"] != OK).sum()),
    )
    return result


def has_ended(program: programs.Program, state: PyTree, done: int) -> bool:
    """Return whether no model of a block takes a further step after `done` steps."""
    return program.ends is not None and int(np.max(program.ends(state))) <= done


def segments(program: programs.Program, stop: Stop) -> Iterator[tuple[int, int]]:
    """Yield (start, number of steps) of the calls, each of about half a second.

    A call ends at the next recorded step at the latest. A program with a fixed number of steps per
    call always gets that number. There are no further calls once the stop does not allow all steps
    that are left, since the block would then end unfinished.
    """
    stops = [*program.stops, program.steps]
    for start, end in zip(stops, stops[1:], strict=False):
        while start < end:
            if not stop.allows(program.seconds_of(program.steps - start)):
                return
            n = program.fixed or max(1, min(end - start, program.steps_in(SEGMENT_SECONDS)))
            yield start, n
            start += n
