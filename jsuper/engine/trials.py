"""Kernels, which train many steps in one launch, are used where a trial says so.

A program with a kernel and the same program without one train the same models for a few steps. The
kernel is used only if it compiles, launches and agrees, and, unless it was asked for, if it is the
faster one. Nothing that goes wrong with a kernel is an error of the run.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Hashable, MutableMapping

import jax
import numpy as np

from jsuper.core.choices import Choice
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk, Setting
from jsuper.core.json_data import digest, plain
from jsuper.core.protocols import PyTree
from jsuper.engine import programs
from jsuper.engine.blocks import Block, inputs, split
from jsuper.engine.devices import Device, Plan

STEPS = 20  # of a trial
TOLERANCE = 1e-5  # of the largest parameter
OTHERS = 1e-3  # of the largest number of an array that is none
ROUNDS = 3  # of which the best time counts
MODELS = 2048  # a block of threads for each of two waves, and little memory


def decided(
    plan: Plan,
    chunks: list[Chunk],
    all_chunks: list[Chunk],
    choices: MutableMapping[str, Choice],
) -> list[Block]:
    """Return the blocks of chunks, as `split` does, with kernels where these are used.

    Programs whose kernel is used share one, which makes the draws of a seed once for all of them.

    Parameters
    ----------
    plan
        Only "kernel" has trials, one for each program.
    chunks, all_chunks
        As in `split`.
    choices
        What earlier sessions have chosen, by name of a program, which is not tried again; what is
        chosen here is added.
    """
    blocks = split(plan, chunks, all_chunks)
    if plan.batching != "kernel":
        return blocks
    for block in blocks:
        name = name_of(block.chunk, block.settings[0])
        if name not in choices:
            choices[name] = choice_of(plan, block, plan.worker_devices[0])

    def together(chunk: Chunk, setting: Setting) -> tuple[str, Hashable]:
        uses_kernel = choices[name_of(chunk, setting)].uses_kernel
        return ("kernel", None) if uses_kernel else alone(chunk, setting)

    def alone(chunk: Chunk, setting: Setting) -> tuple[str, Hashable]:
        uses_kernel = choices[name_of(chunk, setting)].uses_kernel
        branch = family_of(chunk.model).branch_of(setting, True)
        return "kernel" if uses_kernel else "vmapped", branch

    found = split(plan, chunks, all_chunks, together)
    kernels = (b for b in found if choices[name_of(b.chunk, b.settings[0])].uses_kernel)
    if any(family_of(b.chunk.model).kernel_reason(b.static) for b in kernels):
        return split(plan, chunks, all_chunks, alone)
    return found


def name_of(chunk: Chunk, setting: Setting) -> str:
    """Return the name of a setting's program; it differs with every static value of its chunk."""
    field = family_of(chunk.model).spec.Sweep.branch
    sizes = {k: v for k, v in chunk.static.items() if k in ("n_features", "n_hidden")}
    branch = setting[field] if field is not None else chunk.model
    named = [str(getattr(branch, "__name__", branch)), *(f"{k} {v}" for k, v in sizes.items())]
    values = digest({k: plain(v) for k, v in chunk.static.items()})[:8]
    return f"{', '.join(named)} ({values})"


def without_kernel(block: Block) -> Block:
    """Return a block with the same program without a kernel."""
    plain = family_of(block.chunk.model).without_kernel(block.static)
    return dataclasses.replace(block, static=plain)


def choice_of(plan: Plan, block: Block, device: Device) -> Choice:
    """Return the outcome of a trial on a block's models."""
    block = cut(block)
    with programs.context(block.static, device):
        if reason := family_of(block.chunk.model).kernel_reason(block.static):
            return Choice(False, f"not made for {reason}")
        try:
            wanted, seconds = outcome(without_kernel(block))
            found, own_seconds = outcome(block)
        except Exception as error:  # noqa: BLE001 - whatever a kernel does, the run goes on
            first = (str(error).splitlines() or [""])[0]
            return Choice(False, f"{type(error).__name__}: {first[:200]}")
    if away := largest_difference(found, wanted):
        return Choice(False, f"its numbers are not those of the plain steps: {away}")
    speed = f"{seconds / own_seconds:.2f} times the speed of the plain steps"
    if own_seconds >= seconds and plan.chosen_by_speed:
        return Choice(False, speed)
    return Choice(True, speed)


def cut(block: Block) -> Block:
    """Return a block with its first seeds alone, for at most about MODELS models in a trial."""
    rows = block.shape[0]
    seeds = block.seeds[: max(1, MODELS // rows)]
    return dataclasses.replace(block, seeds=seeds, shape=(rows, len(seeds)))


def outcome(block: Block) -> tuple[PyTree, float]:
    """Return the state of a block's models after STEPS steps, and the best time of ROUNDS."""
    train = family_of(block.chunk.model).train.make_train(block.static, False)
    functions = programs.batched(train, not block.chunk.static["unpaired"])
    settings, keys = inputs(block)
    state = jax.jit(functions.init)(settings, keys)
    advance = jax.jit(lambda state: functions.advance(state, settings, keys, np.int32(0), STEPS))
    found, times = jax.block_until_ready(advance(state)), []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        jax.block_until_ready(advance(state))
        times.append(time.perf_counter() - began)
    return jax.device_get(found), min(times)


def largest_difference(found: PyTree, wanted: PyTree) -> str:
    """Return what differs; "" if all agree.

    Parameters agree to TOLERANCE of the largest of them all, other numbers to OTHERS of the largest
    of their array, and whole numbers exactly.
    """
    leaves = jax.tree_util.tree_leaves_with_path(found)
    largest = max(np.abs(a).max(initial=0.0) for a in jax.tree.leaves(wanted.params))
    for (path, own), other in zip(leaves, jax.tree.leaves(wanted), strict=True):
        name = jax.tree_util.keystr(path)
        if not np.issubdtype(other.dtype, np.floating):
            if not np.array_equal(own, other):
                return f"{name} is not the same"
            continue
        fine = np.isfinite(other)
        if not np.array_equal(np.isfinite(own), fine):
            return f"{name} is finite in other places"
        away = np.abs(own[fine] - other[fine]).max(initial=0.0)
        is_parameter = name.startswith(".params")
        own_largest = np.abs(other[fine]).max(initial=0.0)
        if away > (TOLERANCE * largest if is_parameter else OTHERS * own_largest):
            return f"{name} differs by {away:.1e}"
    return ""
