"""How a sweep runs on this machine: devices, workers, and how models are batched."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, ClassVar

import jax

from jsuper.core.checks import integer
from jsuper.core.errors import SpecError
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk, Group, Setting, Static, partition
from jsuper.core.reading import free_bytes
from jsuper.core.suggestions import did_you_mean
from jsuper.core.sweep import BaseSweep
from jsuper.core.text import counted, format_size
from jsuper.training import jax_config

Device = Any  # jax.Device, which type checkers take for a variable
PLATFORMS = ("auto", "cpu", "gpu", "tpu")
# How the models of a block run: by a rule; plainly; one after another; those that share a batch
# together; all of an activation at once, step by step or many steps in one launch. Families may
# treat several alike.
AT_ONCE = ("vmapped", "kernel")
BATCHINGS = ("auto", "reference", "sequential", "rows", *AT_ONCE)
CHUNK_SECONDS = 60.0  # what a kill may cost a worker
CPU_MODELS = (24, 256)  # of a chunk: enough to share the draws, few enough to balance and lose
ACCELERATOR_MODELS = 2**16  # of a chunk; its blocks are as large as the device's memory holds

# Microseconds of a model-step on one core, for the time in the plan alone: what a step costs
# whatever its size, a multiply-add, and an element of one pass over the batch.
CPU_COST = (1.5, 1.5e-5, 2.6e-5)


@dataclass(frozen=True)
class Plan:
    """Where and how models run."""

    trains_here: ClassVar[bool] = True  # on this machine, in its memory

    platform: str
    worker_devices: tuple[Device, ...]  # one entry a worker
    batching: str = "auto"  # of BATCHINGS
    chosen_by_speed: bool = False  # whether a kernel has to be faster, too, to be used

    @property
    def sequential(self) -> bool:
        """Whether a block's models run one, or a few, after another, and not all at once."""
        return self.batching not in AT_ONCE

    @property
    def workers(self) -> int:
        """Number of worker threads."""
        return len(self.worker_devices)

    @property
    def threads(self) -> int:
        """Number of workers in one process."""
        return self.workers

    @property
    def memory_of(self) -> str:
        """What the expected memory is that of, where it is not this process."""
        return ""

    @property
    def batching_text(self) -> str:
        """Description of the batching."""
        return {
            "auto": "models that share a batch together",
            "reference": "models one after another, whole batches",
            "sequential": "models one after another",
            "rows": "models that share a batch together, columns always in order",
            "vmapped": "models vmapped by activation",
            "kernel": "models vmapped by activation, many steps in one launch where that agrees",
        }[self.batching]

    def describe(self) -> str:
        """Devices and batching in a few words."""
        if self.platform == "cpu":
            return f"cpu, {counted(self.workers, 'worker thread')}, {self.batching_text}"
        kind = self.worker_devices[0].device_kind
        return f"{self.workers} x {kind} ({self.platform}), {self.batching_text}"


def make_plan(platform: str = "auto", workers: int | None = None, batching: str = "auto") -> Plan:
    """Return the plan for a platform: a thread per CPU core, or a thread per accelerator.

    Parameters
    ----------
    platform
        "auto", "cpu", "gpu" or "tpu".
    workers
        Threads on a CPU; one per core by default.
    batching
        One of BATCHINGS; auto on accelerators is kernel where that is faster, else vmapped.

    Raises
    ------
    SpecError
        The platform is not available, an argument is not allowed, or JAX is configured in a
        way that jsuper cannot work with.
    """
    if batching not in BATCHINGS:
        hint = did_you_mean(batching, BATCHINGS)
        raise SpecError(f"plan={batching!r} is not one of {', '.join(BATCHINGS)}{hint}")
    if platform not in PLATFORMS:
        hint = did_you_mean(platform, PLATFORMS)
        raise SpecError(f"platform={platform!r} is not one of {', '.join(PLATFORMS)}{hint}")
    if workers is not None:
        workers = integer(1, hint="leave it out for one a core")("workers", workers)
    jax_config.check()
    jax_config.check_devices()
    try:
        devices = jax.local_devices(backend=None if platform == "auto" else platform)
    except RuntimeError as error:
        found = sorted({d.platform for d in jax.local_devices()})
        raise SpecError(
            f"platform={platform!r} is not available: JAX finds {', '.join(found)} only; install "
            "jsuper[cuda] or jsuper[tpu] for an accelerator, or leave the platform out"
        ) from error
    if devices[0].platform == "cpu":
        if batching == "kernel":
            raise SpecError(
                "plan='kernel' is for GPUs and TPUs, and the platform is cpu; leave it out"
            )
        return Plan("cpu", (devices[0],) * (workers or cores()), batching)
    by_speed = batching == "auto"
    return Plan(devices[0].platform, tuple(devices), "kernel" if by_speed else batching, by_speed)


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS or Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def seconds_per_model(model: str, static: Static) -> float:
    """Rough seconds that one CPU core needs for one model: for the plan, not a promise."""
    multiply_adds, elements = family_of(model).spec.work(static)
    per_operation, per_multiply_add, per_element = CPU_COST
    microseconds = per_operation + per_multiply_add * multiply_adds + per_element * elements
    return 1e-6 * microseconds * static["steps"]


def max_models(plan: Plan, sweep: BaseSweep, group: Group) -> int:
    """Return the most models that a chunk of a group may hold."""
    if not plan.sequential:
        return ACCELERATOR_MODELS
    if sweep.unpaired:  # every model draws for itself: nothing to share, and draws take memory
        return CPU_MODELS[0]
    low, high = CPU_MODELS
    wanted = CHUNK_SECONDS / seconds_per_model(sweep.model, group.static)
    return int(min(max(wanted, low), high))


def _check_fits(plan: Plan, sweep: BaseSweep, group: Group) -> None:
    """Raise SpecError where a single model and its batch are larger than the memory that is free.

    An accelerator's results pass through this machine's memory too.
    """
    if not plan.trains_here:
        return
    family, free = family_of(sweep.model), free_bytes()
    spec = family.spec
    layout = spec.layout(group.static, group.settings)
    numbers = sum(math.prod(shape) for _, shape in layout.values())
    if plan.platform == "cpu":
        numbers += spec.work(group.static)[1] / 8 + family.dataset_numbers(group.static)  # a batch
    needed = numbers * (8 if group.static["dtype"] == "float64" else 4)
    if needed > free:
        own = {k: v for k, v in group.static.items() if type(v) is int}
        largest = sorted(own.keys() - {"steps", "records"}, key=lambda k: (-own[k], k))[:3]
        raise SpecError(
            f"{', '.join(f'{k}={own[k]}' for k in largest)}: one model and its data take at least "
            f"{format_size(needed)} of memory, and {format_size(free)} are free; give smaller "
            "numbers"
        )


def chunks_of(plan: Plan, sweep: BaseSweep, groups: list[Group], processes: int = 1) -> list[Chunk]:
    """Return the chunks of groups for a run that a number of processes of this plan create."""
    chunks = []
    family = family_of(sweep.model)
    for group in groups:
        _check_fits(plan, sweep, group)

        def divide(parts: int, group: Group = group) -> list[tuple[Setting, ...]] | None:
            if sweep.unpaired or not plan.sequential:
                return None
            return family.divide(group.static, group.settings, parts, plan.batching)

        most = max_models(plan, sweep, group)
        chunks += partition(sweep, group, most, processes * plan.workers, divide)
    return chunks
