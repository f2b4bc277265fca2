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

from jsuper.core.grid import Chunk
from jsuper.engine import programs
from jsuper.engine.blocks import Arrays, Block, failed, fill, halve, inputs, places, split, tiles
from jsuper.engine.counters import Progress
from jsuper.engine.devices import Device, Plan
from jsuper.engine.stopping import Stop

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

    Raises
    ------
    Exception
        Whatever a worker raised, after the others have stopped.
    """
    blocks = split(plan, chunks, all_chunks)
    todo, done = queue.SimpleQueue(), queue.SimpleQueue()
    for block in blocks:
        todo.put(block)
    threads = [
        threading.Thread(
            target=_work, args=(plan, d, todo, done, progress, stop, is_done), daemon=True
        )
        for d in plan.worker_devices[: len(blocks)]
    ]
    for thread in threads:
        thread.start()
    filled: dict[str, Arrays] = {}
    waiting = {c.name: sum(b.n_models for b in blocks if b.chunk is c) for c in chunks}
    try:
        while any(t.is_alive() for t in threads) or not done.empty():
            tick()
            with contextlib.suppress(queue.Empty):
                block, result = done.get(timeout=0.1)
                if isinstance(result, BaseException):
                    raise result
                name = block.chunk.name
                fill(filled.setdefault(name, {}), block, result)
                waiting[name] -= block.n_models
                if waiting[name] == 0:
                    yield block.chunk, filled.pop(name)
    except BaseException:  # a worker's, or the caller wants no more
        stop.set()
        raise
    finally:
        for thread in threads:
            thread.join()


def _work(
    plan: Plan,
    device: Device,
    todo: queue.SimpleQueue,
    done: queue.SimpleQueue,
    progress: Progress,
    stop: Stop,
    is_done: Callable[[Chunk], bool],
) -> None:
    """Return a worker: blocks from the queue until it is empty or somebody says stop."""
    while not stop.is_set():
        try:
            block = todo.get_nowait()
        except queue.Empty:
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
    """Train a block, in tiles where the device's memory does not hold its program whole."""
    key = programs.fitting_key(programs.key_of(block, plan, device), progress)
    for tile in tiles(dataclasses.replace(block, shape=key.shape)):
        yield from _train_tile(plan, device, tile, progress, stop)


def _train_tile(
    plan: Plan, device: Device, tile: Block, progress: Progress, stop: Stop
) -> Iterator[tuple[Block, Arrays]]:
    """Train what one call holds; where memory runs out all the same, halve it and go on."""
    try:
        result = _train(plan, device, tile, progress, stop)
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        halves = halve(tile)
        if not halves:
            yield (
                tile,
                failed(dataclasses.replace(tile.chunk, settings=tile.settings, seeds=tile.seeds)),
            )
        for half in halves:
            yield from _train_tile(plan, device, half, progress, stop)
        return
    if result is not None:
        yield tile, result


def out_of_memory(error: Exception) -> bool:
    """Return whether an XLA error says that the device's memory is exhausted."""
    return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()


def _train(
    plan: Plan, device: Device, block: Block, progress: Progress, stop: Stop
) -> Arrays | None:
    settings, keys = inputs(block)  # first: its small programs would wait for the large
    program = programs.compiled(programs.key_of(block, plan, device), progress)
    state = program.init(settings, keys)
    done = 0
    for start, n in segments(program, stop):
        began = time.perf_counter()
        state = program.advance(state, settings, keys, np.int32(start), np.int32(n))
        jax.block_until_ready(state)
        seconds = time.perf_counter() - began
        program.observe(seconds / n)
        progress.add(model_steps=n * block.n_models, train_s=seconds)
        progress.segment_done()
        done = start + n
    if done < program.steps:
        return None
    began = time.perf_counter()
    progress.add(measuring=1)
    result = jax.device_get(program.finish(state, settings, keys))
    arranged = places(block)
    rows = [arranged.index(i) for i in range(len(block.settings))]
    result = {k: np.swapaxes(v, 0, 1)[rows, : len(block.seeds)] for k, v in result.items()}
    progress.evaluated(
        time.perf_counter() - began,
        measuring=-1,
        models=block.n_models,
        non_finite=int((result["status"] != 1).sum()),
    )
    return result


def segments(program: programs.Program, stop: Stop) -> Iterator[tuple[int, int]]:
    """(start, number of steps) of the calls: to the next recorded step, or to about half a second.

    A program with a fixed number of steps per call is always asked for that number. Once the stop
    does not allow the rest there are no more: a later call would train models that lack steps.
    """
    stops = [*program.stops, program.steps]
    for start, end in zip(stops, stops[1:], strict=False):
        while start < end:
            if not stop.allows(program.seconds_of(program.steps - start)):
                return
            n = program.fixed or max(1, min(end - start, program.steps_in(SEGMENT_SECONDS)))
            yield start, n
            start += n
