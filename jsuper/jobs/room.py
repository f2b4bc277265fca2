"""Whether a run fits into the free memory and disk space, before anything is compiled."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING

from jsuper.core.errors import SpecError
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk, n_models
from jsuper.core.reading import free_bytes
from jsuper.core.text import format_size
from jsuper.store.sharing import nearest

if TYPE_CHECKING:
    from jsuper.engine.devices import Plan
    from jsuper.jobs.job import Job

PROCESS_BYTES = 850e6  # Python, JAX and its compiler, before any model
WORKING_ARRAYS = 12  # of the size of a batch, that a worker holds at once
MANY_MODELS = 1_000_000
LONG_SECONDS = 10 * 86_400.0


def memory_bytes(chunks: list[Chunk], plan: Plan) -> float:
    """Return the rough peak memory of a process: the program, batches and unfinished chunks."""
    batch = max((8.0 * family_of(c.model).spec.work(c.static)[1] for c in chunks), default=0)
    results = max((result_bytes([c]) for c in chunks), default=0.0)
    datasets = max((dataset_bytes(c) for c in chunks), default=0.0)
    return PROCESS_BYTES + plan.threads * (WORKING_ARRAYS * batch / 8 + datasets + 2 * results)


def dataset_bytes(chunk: Chunk) -> float:
    """Return the bytes of the datasets that a chunk is trained on."""
    return 4 * len(chunk.seeds) * family_of(chunk.model).dataset_numbers(chunk.static)


def result_bytes(chunks: list[Chunk]) -> float:
    """Return the bytes of the results."""
    total = 0.0
    for chunk in chunks:
        layout = family_of(chunk.model).spec.layout(chunk.static, chunk.settings)
        numbers = sum(math.prod(shape) for _, shape in layout.values())
        total += chunk.n_models * numbers * (8 if chunk.static["dtype"] == "float64" else 4)
    return total


def check_room(job: Job, plan: Plan) -> None:
    """Raise SpecError if the memory or disk is too small for what this process will train.

    The message contains the estimates and what would fit.
    """
    if not job.pending:
        return
    if plan.trains_here:
        _check_memory(job, plan)
    if job.folder is not None:
        _check_disk(job)


def _check_memory(job: Job, plan: Plan) -> None:
    fixed = PROCESS_BYTES + (2 * result_bytes(job.chunks) if job.folder is None else 0)
    each = (memory_bytes(job.pending, plan) - PROCESS_BYTES) / plan.threads
    needed, free = fixed + plan.threads * each, free_bytes()
    if needed <= free:
        return
    threads = int((free - fixed) / each)
    fitting = (
        f"workers={threads} would fit"
        if threads >= 1
        else "not even one worker would fit: give fewer seeds or records, or a smaller batch_size"
    )
    raise SpecError(
        f"the run needs about {format_size(needed)} of memory, and {format_size(free)} are free; "
        f"{fitting}"
    )


def _check_disk(job: Job) -> None:
    assert job.folder is not None
    needed, free = result_bytes(job.todo), shutil.disk_usage(nearest(job.folder)).free
    if needed <= free:
        return
    models = sum(c.n_models for c in job.todo)
    raise SpecError(
        f"the results need about {format_size(needed)}, and {format_size(free)} are free in "
        f"{nearest(job.folder)}: enough for {int(models * free / needed):,} of {models:,} models; "
        "give another folder, fewer seeds or fewer records"
    )


def unusually_large(job: Job, seconds: float) -> str | None:
    """Return what is unusual about the size of a run, or None.

    Unusual are more than MANY_MODELS models or LONG_SECONDS.

    Parameters
    ----------
    job
        The run.
    seconds
        That it is expected to take; NaN where that is not known.
    """
    models = n_models(job.sweep) - sum(c.n_models for c in job.chunks if c.name in job.done)
    if models > MANY_MODELS:
        return f"this is a run of {models:,} models"
    if not math.isnan(seconds) and seconds > LONG_SECONDS:
        return f"this run takes about {seconds / 86_400:,.0f} days"
    return None
