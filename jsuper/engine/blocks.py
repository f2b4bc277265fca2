"""Blocks: the settings x seeds of a chunk that one call trains, and the arrays that they fill."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jsuper.core.family import family_of
from jsuper.core.grid import Chunk, Setting
from jsuper.core.json_data import digest, plain
from jsuper.core.protocols import ProgramStatic, PyTree
from jsuper.core.status import ERROR, ERROR_BYTES, FAILED
from jsuper.engine.devices import Plan
from jsuper.training import jax_config
from jsuper.training.keys import seed_key, unpaired_key

Arrays = dict[str, np.ndarray]
Branches = Callable[[Chunk, Setting], tuple[str, Hashable]]


@dataclass(frozen=True)
class Block:
    """Settings x seeds that one call trains, and the rows of the chunk that they fill."""

    chunk: Chunk
    static: ProgramStatic
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    shape: tuple[int, int]  # (settings, seeds) of the compiled program: the rest is padding

    @property
    def n_models(self) -> int:
        """Number of models, without padding."""
        return len(self.settings) * len(self.seeds)


@jax_config.shielded()
def split(
    plan: Plan,
    chunks: list[Chunk],
    all_chunks: list[Chunk],
    branches: Branches | None = None,
) -> list[Block]:
    """Return the blocks of chunks, one for each program that a chunk needs.

    `branches` says of a chunk and a setting how its models are batched, and a value that is equal
    for settings that one program trains; by default as the family says.

    The program of a block is made for the settings of all chunks of its group, and for one shape,
    to which smaller blocks are padded. A block of less than half that size gets a separate shape,
    unless the places that it lacks cost next to nothing.
    """
    branches = branches or default_branches(plan)
    blocks = _split(plan, chunks, all_chunks, branches)
    if all(family_of(b.chunk.model).shares_program(b.static) for b in blocks):
        return blocks

    def alone(chunk: Chunk, setting: Setting) -> tuple[str, Hashable]:
        field = family_of(chunk.model).spec.Sweep.branch
        batching, branch = branches(chunk, setting)
        return batching, (branch, field and setting[field])

    return _split(plan, chunks, all_chunks, alone)


def default_branches(plan: Plan) -> Branches:
    """Return how the models of a plan are batched, and what one program trains."""

    def branches(chunk: Chunk, setting: Setting) -> tuple[str, Hashable]:
        branch = family_of(chunk.model).branch_of(setting, not plan.sequential)
        return plan.batching, branch

    return branches


def _split(
    plan: Plan, chunks: list[Chunk], all_chunks: list[Chunk], branches: Branches
) -> list[Block]:
    groups: dict[Hashable, list[Chunk]] = {}
    for chunk in all_chunks:
        groups.setdefault(_group(plan, chunk), []).append(chunk)
    made: dict[Hashable, tuple[ProgramStatic, tuple[int, int]]] = {}
    blocks = []
    for chunk in chunks:
        name = _group(plan, chunk)
        for branch, mine in _branches(chunk, branches).items():
            if (name, branch) not in made:
                parts = [_branches(c, branches).get(branch, ()) for c in groups[name]]
                parts = [part for part in parts if part]
                made[name, branch] = _program_of(branch[0], groups[name], parts)
            static, shape = made[name, branch]
            if 2 * len(mine) < shape[0] - _n_empty(static, chunk.model, mine):
                shape = (len(mine), shape[1])
            if 2 * len(chunk.seeds) < shape[1]:
                shape = (shape[0], len(chunk.seeds))
            blocks.append(Block(chunk, static, mine, chunk.seeds, shape))
    return blocks


def _n_empty(static: ProgramStatic, model: str, settings: tuple[Setting, ...]) -> int:
    """Return how many places of a program stay empty, and cost next to nothing."""
    return sum(place is None for place in family_of(model).arrange(static, settings))


def _group(plan: Plan, chunk: Chunk) -> Hashable:
    """Return what chunks have in common if one program can train them: static values, branches."""
    name = family_of(chunk.model).spec.Sweep.branch
    branches = None
    if plan.sequential and name is not None:
        branches = frozenset(s[name] for s in chunk.settings)
    return digest({k: plain(v) for k, v in chunk.static.items()}), branches


def _branches(chunk: Chunk, branches: Branches) -> dict[tuple[str, Hashable], tuple[Setting, ...]]:
    """Return the settings of a chunk by their batching and the branch that they need."""
    found: dict[tuple[str, Hashable], list[Setting]] = {}
    for setting in chunk.settings:
        found.setdefault(branches(chunk, setting), []).append(setting)
    return {branch: tuple(settings) for branch, settings in found.items()}


def _program_of(
    batching: str, group: list[Chunk], parts: list[tuple[Setting, ...]]
) -> tuple[ProgramStatic, tuple[int, int]]:
    """Return what to compile for a branch of a group: its static values and the shape of a block.

    `parts` are the settings of that branch, chunk by chunk.
    """
    family = family_of(group[0].model)
    static = family.train.make_static(group[0].static, parts, batching)
    rows = max(len(family.arrange(static, part)) for part in parts)
    return static, (rows, max(len(c.seeds) for c in group))


def tiles(block: Block) -> list[Block]:
    """Return a block cut into blocks of at most its program's shape."""
    rows, columns = block.shape
    return [
        dataclasses.replace(
            block, settings=block.settings[i : i + rows], seeds=block.seeds[j : j + columns]
        )
        for i in range(0, len(block.settings), rows)
        for j in range(0, len(block.seeds), columns)
    ]


def fill(arrays: Arrays, block: Block, result: Arrays) -> None:
    """Write a block's results into the rows and columns of its chunk's arrays."""
    chunk = block.chunk
    row_of = {id(s): row for row, s in enumerate(chunk.settings)}
    rows = [row_of[id(s)] for s in block.settings]
    column_of = {seed: column for column, seed in enumerate(chunk.seeds)}
    columns = [column_of[s] for s in block.seeds]
    for name, value in result.items():
        shape = (len(chunk.settings), len(chunk.seeds), *value.shape[2:])
        if name not in arrays:  # other blocks may have no such variable
            arrays[name] = np.zeros(shape, value.dtype)
            if value.dtype.kind == "f":
                arrays[name].fill(np.nan)
        whole = arrays[name]
        whole[np.ix_(rows, columns)] = value


def places(block: Block) -> tuple[int | None, ...]:
    """Return the setting that each row of a block's program trains, as the family arranges them.

    In a block that was cut smaller they are in order. ~i repeats setting i as padding, and None
    stays empty.
    """
    family = family_of(block.chunk.model)
    arranged = family.arrange(block.static, block.settings)
    if len(arranged) == block.shape[0]:
        return arranged
    in_order = tuple(range(len(block.settings)))
    return in_order + (~in_order[-1],) * (block.shape[0] - len(in_order))


def inputs(block: Block) -> tuple[PyTree, PyTree]:
    """Return (settings, keys) of a block; its last seed is repeated as padding."""
    columns = block.shape[1]
    points = [None if i is None else block.settings[max(i, ~i)] for i in places(block)]
    seeds = [*block.seeds, *[block.seeds[-1]] * (columns - len(block.seeds))]
    made = [_numbers(block, p) for p in points]
    settings = jax.tree.map(lambda *leaves: np.stack(leaves), *made)
    if not block.chunk.static["unpaired"]:
        return settings, jax.vmap(seed_key)(np.array(seeds, np.uint32))
    identity = family_of(block.chunk.model).spec.Sweep.identity
    identities = [identity(block.chunk.static | (p or block.settings[0])) for p in points]
    keys = [jnp.stack([unpaired_key(seed, i) for i in identities]) for seed in seeds]
    return settings, jnp.stack(keys)


def _numbers(block: Block, point: Setting | None) -> PyTree:
    """Return the traced numbers of a setting, or of an empty place."""
    family = family_of(block.chunk.model)
    if point is None:
        return family.empty_setting(block.static)
    return family.train.make_setting(block.static, block.chunk.static | point)


def halve(block: Block) -> list[Block]:
    """Return the two halves of a block, by seeds if there are several; [] for a single model."""
    rows, columns = block.shape
    if columns > 1:
        shape = (rows, -(-columns // 2))
    elif rows > 1:
        shape = (-(-rows // 2), columns)
    else:
        return []
    return tiles(dataclasses.replace(block, shape=shape))


def suspects(plan: Plan, block: Block) -> list[Block]:
    """Return parts of a block to find its failing models; [] for a single model.

    The parts are the values of the branch, then halves of the settings, then of the seeds. Each
    part has its own program, since the settings of other models may be what fails, and none a
    kernel.
    """
    family = family_of(block.chunk.model)
    branch, uses_kernel = family.spec.Sweep.branch, family.uses_kernel(block.static)
    settings, seeds = block.settings, block.seeds
    batching = "vmapped" if plan.batching == "kernel" else plan.batching
    by_branch: dict[Hashable, list[Setting]] = {}
    for setting in settings:
        by_branch.setdefault(branch and setting[branch], []).append(setting)
    if len(by_branch) > 1 or uses_kernel:
        return [part(batching, block, tuple(some), seeds) for some in by_branch.values()]
    if (half := len(settings) // 2) > 0:
        return [part(batching, block, some, seeds) for some in (settings[:half], settings[half:])]
    if (half := len(seeds) // 2) > 0:
        return [part(batching, block, settings, some) for some in (seeds[:half], seeds[half:])]
    alone = part(batching, block, settings, seeds)
    return [] if (alone.static, alone.shape) == (block.static, block.shape) else [alone]


def part(
    batching: str, block: Block, settings: tuple[Setting, ...], seeds: tuple[int, ...]
) -> Block:
    """Return a part of a block with a program for it."""
    family = family_of(block.chunk.model)
    static = family.train.make_static(block.chunk.static, [settings], batching)
    shape = (len(family.arrange(static, settings)), len(seeds))
    return Block(block.chunk, static, settings, seeds, shape)


def failed(
    chunk: Chunk, settings: tuple[Setting, ...], seeds: tuple[int, ...], message: str
) -> Arrays:
    """Return the arrays of models of a chunk that could not be trained: NaN, status 3, and why."""
    spec = family_of(chunk.model).spec
    lead = (len(settings), len(seeds))
    arrays = {
        name: np.full(lead + shape, np.nan, chunk.static["dtype"])
        for name, (_, shape) in spec.layout(chunk.static, settings).items()
    }
    return arrays | {
        "status": np.full(lead, FAILED, np.int8),
        "first_bad_step": np.full(lead, -1, np.int32),
        ERROR: np.full(lead, " ".join(message.split()).encode(), f"S{ERROR_BYTES}"),
    }
