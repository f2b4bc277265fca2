"""What the figures of all families share: slices of a sweep, captions and grids of panels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

MAX_FIGURES = 6  # of one kind; the caption gives the number of the others
Captioned = tuple[str, "Figure"]
Slice = tuple[str, "xarray.Dataset"]


def slices(ds: xarray.Dataset, dims: Sequence[str]) -> Iterator[Slice]:
    """Yield a description and the Dataset at every combination of coordinates of `dims`."""
    for values in itertools.product(*(ds[d].values for d in dims)):
        at = dict(zip(dims, values, strict=True))
        yield ", ".join(f"{k} {v}" for k, v in at.items()), ds.sel(at)


def slices_over(ds: xarray.Dataset, dims: Sequence[str]) -> list[Slice]:
    """Return the slices in which only `dims` and seed vary."""
    return list(slices(ds, [str(d) for d in ds["status"].dims if d not in (*dims, "seed")]))


def captioned_figures(
    caption: str, parts: Sequence[Slice], draw: Callable[[xarray.Dataset], Figure | None]
) -> list[Captioned]:
    """Draw the first `MAX_FIGURES` slices, and leave out those for which `draw` returns None."""
    more = len(parts) - MAX_FIGURES
    note = f" ({more} more figures are not shown.)" if more > 0 else ""
    drawn = [(at, draw(part)) for at, part in parts[:MAX_FIGURES]]
    return [
        (f"{at}{'. ' if at else ''}{caption}.{note}", figure)
        for at, figure in drawn
        if figure is not None
    ]


def panels(
    count: int, columns: int = 2, width: float = 5.6, height: float = 3.4
) -> tuple[Figure, np.ndarray]:
    """Return a figure of panels of a size in inches, and their Axes, (count,)."""
    import matplotlib.pyplot as plt

    rows = -(-count // columns)
    size = (width * columns, height * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for ax in axes.flat[count:]:
        ax.axis("off")
    return figure, axes.ravel()[:count]
