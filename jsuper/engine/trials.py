"""Kernels, which train many steps in one launch, are used where a trial says so.

A program with kernels and the same program without train the same models for a few steps. The
kernel of an activation is used only if it compiles, launches and agrees, and, unless it was asked
for, if the program is the faster one. Nothing that goes wrong with a kernel is an error of the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import jax
import numpy as np

from jsuper.core.choices import Choice
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk, Setting
from jsuper.core.json_data import digest, plain
from jsuper.core.protocols import PyTree
from jsuper.core.version import __version__
from jsuper.engine import programs, trial_memory
from jsuper.engine.blocks import Block, default_branches, inputs, part, places, split
from jsuper.engine.devices import Device, Plan

STEPS = 20  # of a trial
TOLERANCE, OTHERS = 1e-5, 1e-3  # of the largest parameter; of the largest number in an array
RARE, OUTLIER = 0.02, 0.05  # models that may differ by more, and by how much
ROUNDS = 3  # of which the best time counts
CLEAR = 1.25  # ratio of speeds above which another trial is not needed
MODELS = 4096  # at most, or a seed: enough for an accelerator, and little memory


def decided(
    plan: Plan,
    chunks: list[Chunk],
    all_chunks: list[Chunk],
    choices: MutableMapping[str, Choice],
) -> list[Block]:
    """Return the blocks of chunks, as `split` does, with kernels where these are used.

    Parameters
    ----------
    plan
        Only "kernel" has trials.
    chunks, all_chunks
        As in `split`.
    choices
        What earlier sessions have chosen, by name of an activation's program, which is not tried
        again; what is chosen here is added.
    """
    if plan.batching != "kernel":
        return split(plan, chunks, all_chunks)
    for block in split(plan, chunks, all_chunks):
        choose(plan, block, choices)
    usual = default_branches(plan)

    def branches(chunk: Chunk, setting: Setting) -> tuple[str, Hashable]:
        choice = choices.get(name_of(chunk, setting))  # none if its chunk is finished
        uses_kernel = choice is not None and choice.uses_kernel
        return "kernel" if uses_kernel else "vmapped", usual(chunk, setting)[1]

    return split(plan, chunks, all_chunks, branches)


def name_of(chunk: Chunk, setting: Setting) -> str:
    """Return the name of a setting's program; it differs with every static value of its chunk."""
    field = family_of(chunk.model).spec.Sweep.branch
    sizes = {k: v for k, v in chunk.static.items() if k in ("n_features", "n_hidden")}
    branch = setting[field] if field is not None else chunk.model
    named = [str(getattr(branch, "__name__", branch)), *(f"{k} {v}" for k, v in sizes.items())]
    values = digest({k: plain(v) for k, v in chunk.static.items()})[:8]
    return f"{', '.join(named)} ({values})"


def choose(plan: Plan, block: Block, choices: MutableMapping[str, Choice]) -> None:
    """Add the choice of every activation of a block: known, as the family says, or by trial."""
    family = family_of(block.chunk.model)
    keys: dict[str, str] = {}
    for name, settings in by_name(block).items():
        if name in choices:
            continue
        reason = family.kernel_reason(part("kernel", block, settings, block.seeds).static)
        if block.chunk.static["unpaired"]:
            reason = "models that draw for themselves"
        if reason:
            choices[name] = Choice(False, f"not made for {reason}")
            continue
        seeds = min(len(block.seeds), max(1, MODELS // len(block.settings)))
        keys[name] = key_of(plan, block, settings, seeds)
        known = trial_memory.recall(key_of(plan, block, settings)) or trial_memory.recall(
            keys[name]
        )
        if known is not None:
            choices[name] = known
    new = tuple(s for s in block.settings if name_of(block.chunk, s) not in choices)
    if new:
        for name, (choice, is_final) in outcomes(plan, cut(block, new)).items():
            choices[name] = choice
            if is_final:
                trial_memory.remember(keys[name], choice)


def by_name(block: Block) -> dict[str, tuple[Setting, ...]]:
    """Return the settings of a block by the name of their program."""
    found: dict[str, list[Setting]] = {}
    for setting in block.settings:
        found.setdefault(name_of(block.chunk, setting), []).append(setting)
    return {name: tuple(settings) for name, settings in found.items()}


def key_of(plan: Plan, block: Block, settings: tuple[Setting, ...], seeds: int = 0) -> str:
    """Return a digest of all that the outcome of a trial of some seeds depends on.

    Without a number of seeds it is that of a kernel which has been given up, whatever their number.
    """
    family, device = family_of(block.chunk.model), plan.worker_devices[0]
    field = family.spec.Sweep.branch
    parts = {
        "model": block.chunk.model,
        "static": {k: plain(v) for k, v in block.chunk.static.items()},
        "branch": None if field is None else plain(settings[0][field]),
        "settings": len(settings),
        "seeds": seeds,
        "kernel": family.kernel_version(),
        "device": f"{device.platform} {device.device_kind}",
        "versions": [
            __version__,
            jax.__version__,
            version("jaxlib"),
            device.client.platform_version,
        ],
        "by_speed": plan.chosen_by_speed,
    }
    return digest(parts)


def cut(block: Block, settings: tuple[Setting, ...]) -> Block:
    """Return a block of some settings with kernels, and its first seeds alone."""
    return part("kernel", block, settings, block.seeds[: max(1, MODELS // len(settings))])


def outcomes(plan: Plan, block: Block) -> dict[str, tuple[Choice, bool]]:
    """Return the choice of every activation by a trial, and whether another would end alike.

    If the whole block fails, its activations are tried one after another.
    """
    names = by_name(block)
    if len(names) > 1 and not family_of(block.chunk.model).uses_kernel(block.static):
        return one_by_one(plan, block)  # they have no common places
    try:
        differences, speed = trial(block, plan.worker_devices[0])
    except Exception as error:  # noqa: BLE001 - whatever a kernel does, the run goes on
        if family_of(block.chunk.model).kernel_fallback(str(error)):
            return outcomes(plan, block)
        if len(names) == 1:
            return {name: (Choice(False, text_of(error)), False) for name in names}
        return one_by_one(plan, block)
    found = {}
    for name, away in differences.items():
        with_others = f", with {len(names) - 1} others" * (len(names) > 1)
        said = f"{speed:.2f} times the speed of the plain steps{with_others}"
        choice = Choice(speed > 1 or not plan.chosen_by_speed, said)
        if away:
            choice = Choice(False, f"its numbers are not those of the plain steps: {away}")
        is_clear = max(speed, 1 / speed) > CLEAR or not plan.chosen_by_speed
        found[name] = choice, bool(away) or is_clear
    return found


def one_by_one(plan: Plan, block: Block) -> dict[str, tuple[Choice, bool]]:
    """Return the choice of every activation of a block, each by a trial of it alone."""
    found = {}
    for settings in by_name(block).values():
        found |= outcomes(plan, part("kernel", block, settings, block.seeds))
    return found


def text_of(error: Exception) -> str:
    """Return an error in a line."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:200]}"


def trial(block: Block, device: Device) -> tuple[dict[str, str], float]:
    """Train a block with and without kernels; return the differences by name, and the speed.

    Both programs are compiled at the same time, and then run one after the other.
    """
    both = block, part("vmapped", block, block.settings, block.seeds)
    with programs.context(block.static, device):
        settings, keys = inputs(block)
        state = jax.jit(functions_of(block).init)(settings, keys)
    arguments = state, settings, keys

    def prepared(block: Block) -> Callable:
        with programs.context(block.static, device):
            return advance_of(functions_of(block), arguments)

    with ThreadPoolExecutor(2, thread_name_prefix="jsuper-trial") as pool:
        advances = list(pool.map(prepared, both))
    found, wanted = (jax.device_get(advance(*arguments)) for advance in advances)
    own_seconds, seconds = (seconds_of(advance, arguments) for advance in advances)
    differences = {}
    for name, rows in rows_by_name(block).items():
        own, plain = taken(found, rows), taken(wanted, rows)
        differences[name] = difference(own, plain)
    return differences, seconds / own_seconds


def rows_by_name(block: Block) -> dict[str, list[int]]:
    """Return the rows of a block's program by the name of their activation's."""
    rows: dict[str, list[int]] = {}
    for row, place in enumerate(places(block)):
        if place is not None and place >= 0:  # no padding
            name = name_of(block.chunk, block.settings[place])
            rows.setdefault(name, []).append(row)
    return rows


def taken(state: PyTree, rows: list[int]) -> PyTree:
    """Return some rows of a state of (seeds, settings, ...)."""
    return jax.tree.map(lambda a: a[:, rows], state)


class KernelError(RuntimeError):
    """Kernels of a block fail, or do not train what they should; of some activations, or of all."""

    def __init__(self, message: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.names = names


def give_up(
    plan: Plan, block: Block, error: KernelError, choices: MutableMapping[str, Choice]
) -> None:
    """Change the choices of a block whose kernels have failed after their trial, for good."""
    for name, settings in by_name(block).items():
        if name in (error.names or (name,)):
            choices[name] = Choice(False, text_of(error))
            trial_memory.remember(key_of(plan, block, settings), choices[name])


def again(block: Block, choices: Mapping[str, Choice]) -> list[Block]:
    """Return a block's parts with the kernels that are still used, and without the others."""
    groups: dict[str, list[Setting]] = {}
    for setting in block.settings:
        choice = choices.get(name_of(block.chunk, setting))
        batching = "kernel" if choice is not None and choice.uses_kernel else "vmapped"
        groups.setdefault(batching, []).append(setting)
    return [part(k, block, tuple(settings), block.seeds) for k, settings in groups.items()]


def is_given_up(block: Block, choices: Mapping[str, Choice]) -> bool:
    """Return whether a kernel of a block has failed since the block was made."""
    if not family_of(block.chunk.model).uses_kernel(block.static):
        return False
    found = (choices.get(name) for name in by_name(block))
    return any(choice is not None and not choice.uses_kernel for choice in found)


def functions_of(block: Block) -> programs.Batched:
    """Return the functions of a block's program."""
    train = family_of(block.chunk.model).train.make_train(block.static, False)
    return programs.batched(train, not block.chunk.static["unpaired"])


def advance_of(
    functions: programs.Batched,
    arguments: tuple[PyTree, ...],
    steps: int = STEPS,
    start: int = 0,
) -> Callable:
    """Return some compiled steps of (state, settings, keys)."""
    advance = jax.jit(lambda s, p, k: functions.advance(s, p, k, np.int32(start), steps))
    return advance.lower(*arguments).compile()


def seconds_of(advance: Callable, arguments: tuple[PyTree, ...]) -> float:
    """Return the best time of ROUNDS."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        jax.block_until_ready(advance(*arguments))
        times.append(time.perf_counter() - began)
    return min(times)


def difference(found: PyTree, wanted: PyTree) -> str:
    """Return in what two states of (seeds, settings, ...) differ; "" if they agree.

    Whole numbers are equal in all models. Parameters agree to TOLERANCE of the largest of them
    all, and other numbers to OTHERS of the largest of their array, in all but the share RARE of the
    models, none of fewer than 50: a sum that is rounded differently may put a number on the other
    side of an activation's kink. These agree to OUTLIER.
    """
    leaves = jax.tree_util.tree_leaves_with_path(found)
    largest = max(np.abs(a).max(initial=0.0) for a in jax.tree.leaves(wanted.params))
    for (path, own), other in zip(leaves, jax.tree.leaves(wanted), strict=True):
        name = jax.tree_util.keystr(path)
        if other.size == 0:
            continue
        if not np.issubdtype(other.dtype, np.floating):
            if not np.array_equal(own, other):
                return f"{name} is not the same"
            continue
        fine = np.isfinite(other)
        if not np.array_equal(np.isfinite(own), fine):
            return f"{name} is finite in other places"
        is_parameter = name.startswith(".params")
        scale = largest if is_parameter else np.abs(other[fine]).max(initial=0.0)
        away = np.abs(np.where(fine, own, 0) - np.where(fine, other, 0))
        away = np.sort(away.reshape(other.shape[0] * other.shape[1], -1).max(-1))
        usual = away[-1 - int(RARE * away.size)]
        if usual > (TOLERANCE if is_parameter else OTHERS) * scale or away.max() > OUTLIER * scale:
            return f"{name} differs by {usual:.1e}, at most {away.max():.1e} of {scale:.1e}"
    return ""
