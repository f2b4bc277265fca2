"""What the workers of a Ray cluster do: answer a probe, and train a chunk.

jax is imported by the first chunk, when it is known on which device; no module that imports it may
be imported here.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import socket
import uuid
from pathlib import Path
from typing import Any

from jsuper.core.grid import Chunk
from jsuper.core.version import __version__
from jsuper.jobs.retry import failed_parts, write_improved
from jsuper.store import chunk_files
from jsuper.store.manifest import manifest_of


@dataclasses.dataclass(frozen=True)
class Order:
    """What a task is told besides the name of its chunk."""

    folder: str
    platform: str
    batching: str
    cache: bool  # keep compiled programs in the user's folder
    retry: frozenset[str] = frozenset()  # chunks whose failed models are trained once more
    id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)


def answer(folder: str, token: str) -> tuple[str, str]:
    """Read a file and write another; the version of jsuper, and the name of what was written."""
    if (Path(folder) / token).read_text() != token:
        raise OSError(f"{token} has other content")
    mine = Path(folder) / f"{token}-{socket.gethostname()}-{os.getpid()}"
    with open(mine, "x") as file:  # a new file, so it is no link
        file.write(token)
    return __version__, mine.name


def train_chunk(order: Order, name: str) -> tuple[int, chunk_files.Lost]:
    """Train a chunk that is not finished, or its failed models, and write its file.

    Returns
    -------
    tuple[int, Lost]
        Number of model-steps trained, and models without a result.
    """
    if order.platform == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    else:  # all of the node's: a process that stays gets another one each time
        os.environ.pop("JAX_PLATFORMS", None)
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    from jsuper.engine.counters import Progress
    from jsuper.engine.stopping import Stop
    from jsuper.engine.workers import train_chunks

    chunks = _partition(order)
    chunk, folder = chunks[name], Path(order.folder)
    done, _ = chunk_files.done(folder, [chunk])
    again = name in order.retry
    if name in done and not (again and done[name].failed):
        return 0, done[name]
    progress = Progress()
    plan = _plan_here(order)
    if name in done:
        parts, lost = failed_parts(folder, chunk), done[name]
        everything = [*chunks.values(), *parts]
        for part, arrays in train_chunks(plan, parts, everything, progress, Stop()):
            lost = write_improved(folder, chunk, part, arrays)
        return progress.model_steps, lost
    ((_, arrays),) = train_chunks(plan, [chunk], list(chunks.values()), progress, Stop())
    chunk_files.write_chunk(folder, chunk, arrays)
    return progress.model_steps, chunk_files.count_lost(arrays)


@functools.lru_cache(maxsize=1)
def _partition(order: Order) -> dict[str, Chunk]:
    """Return the chunks of a run by name; read once by a worker for all its tasks of one order."""
    if order.cache:
        from jsuper.engine.programs import use_compilation_cache

        use_compilation_cache()
    return {c.name: c for c in manifest_of(order.folder).chunks}


def _plan_here(order: Order) -> Any:
    """One worker on the device that Ray gave to this task."""
    from jsuper.engine.devices import make_plan

    plan = make_plan(order.platform, 1, order.batching)
    if order.platform == "cpu":
        return plan
    import ray

    return dataclasses.replace(
        plan, worker_devices=(device_of(plan.worker_devices, ray.get_gpu_ids()),)
    )


def device_of(devices: tuple[Any, ...], given: list[Any]) -> Any:
    """Return the device that Ray gave, by its number among the node's."""
    by_number = {str(getattr(d, "local_hardware_id", d.id)): d for d in devices}
    return by_number.get(str(given[0]), devices[0]) if given else devices[0]
