"""The engine: a queue of blocks and a worker per core or accelerator. The only user of `jax.jit`.

A *block* is some settings times some seeds of one program: a chunk, or the part of it that one call
can hold. On a CPU a thread per core calls the same compiled program on different blocks, and inside
a block models run one after another; on accelerators a thread per device runs thousands at once.
The engine knows a model family by its protocol alone (`jsuper.families`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jsuper import families, jax_config, programs
from jsuper.counters import Progress
from jsuper.grid import Chunk, Setting
from jsuper.plan import Device, Plan
from jsuper.spec import digest, plain
from jsuper.stopping import Stop

SEGMENT_SECONDS = 0.5  # a call on a CPU: progress and signals are seen between calls
FAILED = 3


@dataclass(frozen=True)
class Block:
    """Settings x seeds that one call trains, and the rows of the chunk that they fill."""

    chunk: Chunk
    static: Any
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    shape: tuple[int, int]  # (settings, seeds) of the compiled program: the rest is padding

    @property
    def n_models(self) -> int:
        """Number of models, without padding."""
        return len(self.settings) * len(self.seeds)

    def key(self, plan: Plan, device: Device) -> programs.Key:
        """What the block's compiled program depends on."""
        paired = not self.chunk.static["unpaired"]
        return programs.Key(
            self.chunk.model, self.static, plan.sequential, paired, self.shape, device
        )


Arrays = dict[str, np.ndarray]


def train_chunks(
    plan: Plan,
    chunks: list[Chunk],
    company: list[Chunk],
    progress: Progress,
    stop: Stop,
    tick: Callable[[], None] = lambda: None,
    there: Callable[[Chunk], bool] = lambda chunk: False,
) -> Iterator[tuple[Chunk, Arrays]]:
    """Train chunks on the plan's devices and yield each with its arrays (settings, seeds, ...).

    Args:
        plan: devices, workers and how models are batched.
        chunks: what to train.
        company: the whole sweep's chunks, also those that are done: programs are made for all of
            them, so that a model is trained by the same program whatever is left to do.
        progress: counters that the workers keep up to date.
        stop: set it (from a signal handler, say) and no further block begins; one that is not
            expected to end within the grace ends within a segment, and is not yielded.
        tick: called several times a second in the caller's thread.
        there: whether somebody else has finished a chunk by now, which is then not trained and not
            yielded; called by workers before each block.

    Raises:
        Exception: whatever a worker raised, after the others have stopped.
    """
    blocks = split(plan, chunks, company)
    todo, done = queue.SimpleQueue(), queue.SimpleQueue()
    for block in blocks:
        todo.put(block)
    threads = [
        threading.Thread(
            target=_work, args=(plan, d, todo, done, progress, stop, there), daemon=True
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
                _fill(filled.setdefault(name, {}), block, result)
                waiting[name] -= block.n_models
                if waiting[name] == 0:
                    yield block.chunk, filled.pop(name)
    except BaseException:  # a worker's, or the caller wants no more
        stop.set()
        raise
    finally:
        for thread in threads:
            thread.join()


@jax_config.shielded()
def split(plan: Plan, chunks: list[Chunk], company: list[Chunk]) -> list[Block]:
    """The blocks of chunks: a chunk itself on a CPU, a block for each branch on an accelerator.

    The program of a block is made for the settings of its whole company, and for one shape, to
    which smaller blocks are padded; a block of less than half of it gets a shape of its own.
    """
    groups: dict[Any, list[Chunk]] = {}
    for chunk in company:
        groups.setdefault(_group(plan, chunk), []).append(chunk)
    made: dict[Any, Any] = {}
    blocks = []
    for chunk in chunks:
        name = _group(plan, chunk)
        for branch, mine in _branches(plan, chunk).items():
            if (name, branch) not in made:
                parts = [_branches(plan, c).get(branch, ()) for c in groups[name]]
                made[name, branch] = _program_of(plan, groups[name], [p for p in parts if p])
            static, shape = made[name, branch]
            if 2 * len(mine) < shape[0]:
                shape = (len(mine), shape[1])
            if 2 * len(chunk.seeds) < shape[1]:
                shape = (shape[0], len(chunk.seeds))
            blocks.append(Block(chunk, static, mine, chunk.seeds, shape))
    return blocks


def _group(plan: Plan, chunk: Chunk) -> Any:
    """What chunks share whose blocks may run by one program: static values, and its branches."""
    name = families.spec_of(chunk.model).Sweep.branch
    branches = None
    if plan.sequential and name is not None:
        branches = frozenset(s[name] for s in chunk.settings)
    return digest({k: plain(v) for k, v in chunk.static.items()}), branches


def _branches(plan: Plan, chunk: Chunk) -> dict[Any, tuple[Setting, ...]]:
    """The settings of a chunk by the branch of the program that they need, as the family says."""
    branch_of = families.program_of(chunk.model).branch_of
    branches: dict[Any, list[Setting]] = {}
    for setting in chunk.settings:
        branches.setdefault(branch_of(setting, not plan.sequential), []).append(setting)
    return {branch: tuple(settings) for branch, settings in branches.items()}


def _program_of(
    plan: Plan, group: list[Chunk], parts: list[tuple[Setting, ...]]
) -> tuple[Any, tuple[int, int]]:
    """What to compile for a branch of a group: its static values and the shape of a block.

    `parts` are the settings of that branch, chunk by chunk.
    """
    family = families.program_of(group[0].model)
    static = family.make_static(group[0].static, parts, plan.batching)
    rows = max(len(family.arrange(static, part)) for part in parts)
    return static, (rows, max(len(c.seeds) for c in group))


def _tiles(block: Block) -> list[Block]:
    """A block cut into blocks of at most its program's shape."""
    rows, columns = block.shape
    return [
        dataclasses.replace(
            block, settings=block.settings[i : i + rows], seeds=block.seeds[j : j + columns]
        )
        for i in range(0, len(block.settings), rows)
        for j in range(0, len(block.seeds), columns)
    ]


def _fill(arrays: Arrays, block: Block, result: Arrays) -> None:
    chunk = block.chunk
    row_of = {id(s): row for row, s in enumerate(chunk.settings)}
    rows = [row_of[id(s)] for s in block.settings]
    column_of = {seed: column for column, seed in enumerate(chunk.seeds)}
    columns = [column_of[s] for s in block.seeds]
    for name, value in result.items():
        shape = (len(chunk.settings), len(chunk.seeds), *value.shape[2:])
        empty = np.nan if value.dtype.kind == "f" else 0  # where a block has no such variable
        whole = arrays.setdefault(name, np.full(shape, empty, value.dtype))
        whole[np.ix_(rows, columns)] = value


def _work(
    plan: Plan,
    device: Device,
    todo: queue.SimpleQueue,
    done: queue.SimpleQueue,
    progress: Progress,
    stop: Stop,
    there: Callable[[Chunk], bool],
) -> None:
    """A worker: blocks from the queue until it is empty or somebody says stop."""
    while not stop.is_set():
        try:
            block = todo.get_nowait()
        except queue.Empty:
            return
        try:
            if there(block.chunk):
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
    key = programs.fitting_key(block.key(plan, device), progress)
    for tile in _tiles(dataclasses.replace(block, shape=key.shape)):
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
    """Whether an XLA error says that the device's memory is exhausted."""
    return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()


def halve(block: Block) -> list[Block]:
    """The two halves of a block, by seeds while there are several; none of a single model."""
    rows, columns = block.shape
    if columns > 1:
        shape = (rows, -(-columns // 2))
    elif rows > 1:
        shape = (-(-rows // 2), columns)
    else:
        return []
    return _tiles(dataclasses.replace(block, shape=shape))


def failed(chunk: Chunk) -> Arrays:
    """The arrays of models that could not be trained at all: NaN, and status 3."""
    spec = families.spec_of(chunk.model)
    lead = (len(chunk.settings), len(chunk.seeds))
    arrays = {
        name: np.full(lead + shape, np.nan, chunk.static["dtype"])
        for name, (_, shape) in spec.layout(chunk.static, chunk.settings).items()
    }
    return arrays | {
        "status": np.full(lead, FAILED, np.int8),
        "first_bad_step": np.full(lead, -1, np.int32),
    }


def _train(
    plan: Plan, device: Device, block: Block, progress: Progress, stop: Stop
) -> Arrays | None:
    settings, keys = programs.inputs(block)  # first: its small programs would wait for the large
    program = programs.compiled(block.key(plan, device), progress)
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
    places = programs.places(block)
    rows = [places.index(i) for i in range(len(block.settings))]
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
