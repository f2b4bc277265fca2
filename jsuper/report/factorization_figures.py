"""The figures of a sweep's page: losses, the pairs of two models, and how many bumps there are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.status import OK
from jsuper.models.factorization.spec import Sweep
from jsuper.plots import learning
from jsuper.plots.style import TITLE_FONT

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

MOST = 6  # figures of one kind: of further cells the caption says how many there are
MOST_PANELS = 24  # of a figure
NEAR = 0.01  # of the loss of Z = 0: a loss this close to its least has settled
LOSSES = (
    "Loss over that of Z = 0 against time: the median over seeds, and each seed faint. What lies "
    "above a frame is not shown, nor what follows once all losses have settled"
)
PAIRS = (
    "Alignment of every pair with every component, where bumps (circles) are most frequent: the "
    "first model whose number of them is nearest the mean, and the first with the most"
)
BUMPS = "Bumps of a model, for every rank that has any; triangles are means"
Captioned = tuple[str, "Figure"]


def figures(ds: xarray.Dataset) -> list[Captioned]:
    """(caption, figure) of losses, of the alignments of two models, and of numbers of bumps.

    A figure for each value of the axes other than rank and pairs, at most MOST of a kind; where
    rank and pairs have one value, all losses share a figure. Alignments and numbers of bumps are
    drawn where there are bumps; where there are none, the alignments of one model.

    Parameters
    ----------
    ds
        Of `jsuper.analyze`.
    """
    parts = list(_parts(ds, _further(ds)))
    together = all(ds.sizes[d] == 1 for d in Sweep.main_axes)
    bumpy = [(at, part) for at, part in parts if np.nansum(_counts(part)) > 0]
    return [
        *_drawn(LOSSES, [("", ds)] if together else parts, losses),
        *_drawn(PAIRS, bumpy or parts[:1], pairs),
        *_drawn(BUMPS, bumpy, bumps),
    ]


def _further(ds: xarray.Dataset) -> list[str]:
    """Return the axes of the sweep but rank, pairs and seed."""
    return [str(d) for d in ds["status"].dims if d not in (*Sweep.main_axes, "seed")]


def _parts(ds: xarray.Dataset, axes: list[str]) -> Iterator[tuple[str, xarray.Dataset]]:
    """Return the Dataset at every combination of some axes, with that combination in words."""
    for values in itertools.product(*(ds[a].values for a in axes)):
        at = dict(zip(axes, values, strict=True))
        yield ", ".join(f"{k} {v}" for k, v in at.items()), ds.sel(at)


def _drawn(
    words: str,
    parts: list[tuple[str, xarray.Dataset]],
    draw: Callable[[xarray.Dataset], Figure | None],
) -> list[Captioned]:
    """Return a figure of each part that has one, the first MOST of them."""
    left = f" ({len(parts) - MOST} more of these are not drawn)" if len(parts) > MOST else ""
    drawn = [(at, draw(part)) for at, part in parts[:MOST]]
    return [(f"{at}{'. ' if at else ''}{words}.{left}", f) for at, f in drawn if f is not None]


def _panels(count: int, columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """Return a figure of panels of a size in inches; those left over are off."""
    import matplotlib.pyplot as plt

    rows = -(-count // columns)
    size = (width * columns, height * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for ax in axes.flat[count:]:
        ax.axis("off")
    return figure, axes


def losses(ds: xarray.Dataset) -> Figure:
    """Loss curves in a panel for every cell, ranks down and pairs across."""
    cells = list(_parts(ds, [*_further(ds), *Sweep.main_axes]))
    columns = ds.sizes["pairs"] if 3 <= ds.sizes["pairs"] <= 5 else min(4, len(cells))
    shown, end = cells[:MOST_PANELS], _settled(ds)
    figure, axes = _panels(len(shown), columns, 2.8, 2.1)
    if len(cells) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(cells)} cells", fontsize=TITLE_FONT)
    for i, ((at, part), ax) in enumerate(zip(shown, axes.flat, strict=False)):
        learning.losses(part, ax=ax)
        left, right = ax.get_xlim()
        if left < end < right:
            ax.set_xlim(right=end)
        said = ax.get_title().rsplit("; ", 1)[-1]
        ax.set_title(f"{at}\n{said}", fontsize=TITLE_FONT - 1)
        if i % columns:
            ax.set_ylabel("")
        if i + columns < len(shown):
            ax.set_xlabel("")
    return figure


def _settled(ds: xarray.Dataset) -> float:
    """A quarter beyond the time when the last loss comes near its least; NaN without a model."""
    loss = (ds["loss_curve"] / ds["zero_loss"]).where(ds["status"] == OK)
    return 1.25 * float(ds["time"].where(loss > loss.min("step") + NEAR).max())


def pairs(ds: xarray.Dataset) -> Figure | None:
    """Alignments of a typical model and of that with most bumps; None where no model is left."""
    cells = [(at, part, _counts(part)) for at, part in _parts(ds, list(Sweep.main_axes))]
    cells = [cell for cell in cells if np.isfinite(cell[2]).any()]
    if not cells:
        return None

    def interest(cell: tuple[str, xarray.Dataset, np.ndarray]) -> tuple[float, ...]:
        rank, k = (int(cell[1][d]) for d in Sweep.main_axes)
        return float(np.nanmean(cell[2])), k >= rank, rank, -k

    at, part, counts = max(cells, key=interest)
    typical = int(np.nanargmin(np.abs(counts - np.nanmean(counts))))
    most = int(np.nanargmax(counts))
    chosen = {"typical": typical} | ({"the most": most} if most != typical else {})
    figure, axes = _panels(len(chosen), len(chosen), 5.6, 3.4)
    for (words, i), ax in zip(chosen.items(), axes.flat, strict=True):
        one = part.isel(seed=i)
        learning.alignments(one, ax=ax)
        ax.set_title(
            f"{at}; seed {int(one['seed'])}, {words}: {ax.get_title()}", fontsize=TITLE_FONT
        )
    return figure


def bumps(ds: xarray.Dataset) -> Figure:
    """Return the number of bumps in a panel for every rank that has any."""
    ranks = [part for _, part in _parts(ds, ["rank"]) if np.nansum(_counts(part)) > 0]
    figure, axes = _panels(len(ranks), min(2, len(ranks)), 5.6, 3.2)
    for part, ax in zip(ranks, axes.flat, strict=False):
        learning.bump_counts(part, ax=ax)
        ax.set_title(f"rank {int(part['rank'])}; {ax.get_title()}", fontsize=TITLE_FONT)
    return figure


def _counts(ds: xarray.Dataset) -> np.ndarray:
    """Bumps of every model, NaN where left out."""
    return ds["bumps"].where(ds["status"] == OK).values.astype(float)
