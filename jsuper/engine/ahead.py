"""The blocks that are left to train, and their programs, compiled before a device reaches them.

An accelerator's host has idle cores while the device trains, so they compile the programs of later
blocks, of other sizes or optimizers. A CPU's cores train, and mostly share one program.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from jsuper.engine import programs
from jsuper.engine.blocks import Block
from jsuper.engine.counters import Progress
from jsuper.engine.devices import Device, Plan

COMPILERS = 3  # programs at a time, beside those that workers wait for; more hold up their tracing


class Todo:
    """The blocks that are left. Each belongs to a device, which takes others' once it has none."""

    def __init__(self, blocks: list[Block], plan: Plan) -> None:
        devices = list(dict.fromkeys(plan.worker_devices))
        owners = (devices[i % len(devices)] for i in range(len(blocks)))
        self._left = list(zip(blocks, owners, strict=True))
        self._lock = threading.Lock()

    def take(self, device: Device) -> Block | None:
        """Remove and return the device's next block, or another's; None if no block is left."""
        with self._lock:
            mine = (i for i, (_, owner) in enumerate(self._left) if owner == device)
            return self._left.pop(next(mine, 0))[0] if self._left else None

    def owners(self) -> list[tuple[Block, Device]]:
        """Return the blocks that are left, with their devices."""
        with self._lock:
            return list(self._left)


@contextlib.contextmanager
def compiling(todo: Todo, plan: Plan, progress: Progress) -> Iterator[None]:
    """Compile the programs of the blocks that are left, in order; at the end, begin no more.

    A program that fails is reported when a worker reaches its block.
    """
    keys = [programs.key_of(block, plan, device) for block, device in todo.owners()]
    if plan.sequential:
        keys = []
    pool = ThreadPoolExecutor(COMPILERS, thread_name_prefix="jsuper-ahead")
    for key in dict.fromkeys(keys):
        pool.submit(programs.compiled, key, progress)
    try:
        yield
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
