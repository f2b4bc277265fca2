"""Where the models of a seed stand in a block, and a switch over activations that knows it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_batching import custom_vmap

from jsuper.core.protocols import PyTree
from jsuper.models.toy.config import Static


class Layout(NamedTuple):
    """Where the models of a seed stand."""

    rows: int
    row: tuple[int, ...]  # of each place; models of a row share a batch
    places: dict[int, list[int]]  # index of an activation -> places


def layout_of(static: Static, places: int) -> Layout | None:
    """Return the rows and activations of a block's places; of one activation, a row for each.

    None if a block with several activations was cut, so that it is not known which is where.
    """
    width = len(static.slots)
    if width and places == static.rows * width:
        chosen = {a: [] for a in dict.fromkeys(static.slots)}
        for i in range(places):
            chosen[static.slots[i % width]].append(i)
        return Layout(static.rows, tuple(i // width for i in range(places)), chosen)
    if len(static.activations) > 1:
        return None
    return Layout(places, tuple(range(places)), {0: list(range(places))})


def switch(static: Static, branches: Sequence[Callable[..., PyTree]]) -> Callable[..., PyTree]:
    """Return f(activation, *arrays) = branches[activation](*arrays), one for each activation.

    Where models run at once, `lax.switch` under vmap would run every branch for every model. Here,
    each runs for the models of its activation alone, as far as the block has them in known places.
    Both vmaps, over settings and then seeds, are those of the engine.
    """

    def plain(activation: Any, *arrays: PyTree) -> PyTree:
        return jax.lax.switch(activation, branches, *arrays)

    if not static.at_once or len(branches) == 1:
        return plain
    chosen = custom_vmap(plain)

    @chosen.def_vmap
    def _(size, batched, activation, *arrays):  # noqa: ANN001, ANN202 - jax's
        if size == static.rows * len(static.slots):
            found = in_slots(static, branches, arrays, tuple(batched[1:]))
        else:
            axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, tuple(batched))
            found = jax.vmap(plain, axes)(activation, *arrays)
        return found, jax.tree.map(lambda _: True, found)

    return chosen


def in_slots(
    static: Static,
    branches: Sequence[Callable[..., PyTree]],
    arrays: tuple[PyTree, ...],
    batched: tuple[PyTree, ...],
) -> PyTree:
    """Return branches[activation](*arrays) for rows of models with an activation in each slot.

    Neighbouring slots of an activation are a slice, which XLA reads where it is, and what they
    become is written side by side.
    """
    rows, width = static.rows, len(static.slots)
    axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, batched)

    def in_rows(a: Array, is_batched: bool) -> Array:
        return a.reshape(rows, width, *a.shape[1:]) if is_batched else a

    def of_slots(a: Array, is_batched: bool) -> Array:
        return a[:, first:end] if is_batched else a

    arrays, parts, end = jax.tree.map(in_rows, arrays, batched), [], 0
    for activation, run in itertools.groupby(static.slots):
        first, end = end, end + len(list(run))
        mine = jax.tree.map(of_slots, arrays, batched)
        of_row = jax.vmap(branches[activation], axes, axis_size=end - first)
        parts.append(jax.vmap(of_row, axes, axis_size=rows)(*mine))
    together = jax.tree.map(lambda *some: jnp.concatenate(some, axis=1), *parts)
    return jax.tree.map(lambda a: a.reshape(rows * width, *a.shape[2:]), together)
