"""The arrangement of a block's models in rows that share a batch.

A *row* has the models of one seed and one density, which share a batch whatever their activation,
dropout or learning rate. The rows of a block have the same activations in the same *slots*, so that
each slot's activation is known when the program is compiled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

NARROWEST = 32  # columns of a batch, below which operations hardly get cheaper
COLUMNS = 1024  # samples in a round of the final loss
MOST_PADDING = 1.25  # slots per model, above which models are trained one after another

Setting = dict[str, Any]


def rows_of(settings: Sequence[Setting]) -> list[list[int]]:
    """Return the indices of the settings in each row, in the order of first appearance."""
    rows: dict[float, list[int]] = {}
    for index, setting in enumerate(settings):
        rows.setdefault(setting["sparsity"], []).append(index)
    return list(rows.values())


def common_slots(
    parts: Sequence[Sequence[Setting]], activations: tuple[str | Callable, ...]
) -> tuple[int, tuple[int, ...]]:
    """Return (rows, slots) that fit every block; (0, ()) if models would share little.

    Parameters
    ----------
    parts
        The settings of each block of a program.
    activations
        Activations of the program; a slot is an index into them.
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
) -> tuple[int | None, ...]:
    """Return the index of the setting in every slot, row by row.

    An empty slot has ~i (below 0): setting i of its row is trained again there, and dropped. The
    slots of an empty row, which come last, have None.
    """
    places: list[Sequence[int | None]] = []
    for row in rows_of(settings):
        waiting: dict[int, list[int]] = {}
        for index in row:
            of = activations.index(settings[index]["activation"])
            waiting.setdefault(of, []).append(index)
        places.append([waiting[a].pop(0) if waiting.get(a) else ~row[0] for a in slots])
    places += [(None,) * len(slots)] * (rows - len(places))
    return tuple(index for row in places for index in row)
