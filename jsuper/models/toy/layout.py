"""Which models of a block are trained together: rows of models that share a batch.

A *row* has the models of one seed and one density; they see the same batch, whatever their
activation, dropout or learning rate. A block is rows with the same activations in the same *slots*,
so that the program knows which activation stands where. Nothing here imports jax.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

NARROWEST = 32  # columns of a batch: below it the cost of an operation hardly shrinks any more
COLUMNS = 1024  # of a round of the final loss
MOST_PADDING = 1.25  # slots per model, above which models are trained one after another

Setting = dict[str, Any]


def rows_of(settings: Sequence[Setting]) -> list[list[int]]:
    """Return indices of the settings of every row, in the order in which the sparsities appear."""
    rows: dict[float, list[int]] = {}
    for index, setting in enumerate(settings):
        rows.setdefault(setting["sparsity"], []).append(index)
    return list(rows.values())


def common_slots(
    parts: Sequence[Sequence[Setting]], activations: tuple[str | Callable, ...]
) -> tuple[int, tuple[int, ...]]:
    """(rows, slots) that hold every part; (0, ()) where models share no batch or most slots.

    Parameters
    ----------
    parts
        The settings of each block of a program.
    activations
        Of the program; a slot is an index into them.
    """
    most: Counter = Counter()
    rows = 0
    for part in parts:
        in_part = rows_of(part)
        rows = max(rows, len(in_part))
        for row in in_part:
            most |= Counter(activations.index(part[i]["activation"]) for i in row)
    slots = tuple(sorted(most.elements()))
    if len(slots) == 1 or rows * len(slots) > MOST_PADDING * max(map(len, parts)):
        return 0, ()
    return rows, slots


def fill(
    rows: int,
    slots: tuple[int, ...],
    activations: tuple[str | Callable, ...],
    settings: Sequence[Setting],
) -> tuple[int, ...]:
    """Return which of the settings stands in every slot of every row, row by row.

    An empty slot has ~i (below 0): it repeats setting i of its row, trained there and dropped. An
    empty row repeats the first.
    """
    places = []
    for row in rows_of(settings):
        waiting: dict[int, list[int]] = {}
        for index in row:
            of = activations.index(settings[index]["activation"])
            waiting.setdefault(of, []).append(index)
        places.append([waiting[a].pop(0) if waiting.get(a) else ~row[0] for a in slots])
    empty = [min(i, ~i) for i in places[0]]
    places += [empty] * (rows - len(places))
    return tuple(index for row in places for index in row)
