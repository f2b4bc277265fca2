"""Figures of a factorization sweep's page: losses, alignments of two models, numbers of bumps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.status import Status
from jsuper.models.factorization.spec import Sweep
from jsuper.plots import learning
from jsuper.plots.style import TITLE_FONT
from jsuper.report.panels import Captioned, captioned_figures, panels, slices, slices_over

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

MAX_PANELS = 24
SETTLED = 0.01  # share of the loss of Z = 0 within which a loss counts as settled
LOSSES = (
    "Loss relative to that of Z = 0 against time: median over seeds, with each seed faint. Values "
    "above the frame, and times after all losses have settled, are not shown"
)
PAIRS = (
    "Alignment of every pair with every component in the cell with the most bumps (circles): the "
    "model whose number of bumps is closest to the mean, and the one with the most"
)
BUMPS = "Number of bumps per model, for every rank with bumps; triangles are means"


def figures(ds: xarray.Dataset) -> list[Captioned]:
    """Return captions and figures of losses, alignments of two models and numbers of bumps.

    There is one figure of each kind per combination of coordinates other than rank and pairs, at
    most `MAX_FIGURES`. If rank and pairs have length one, all losses share a figure. Alignments and
    numbers of bumps are drawn where there are bumps; without any bumps, alignments are drawn once.

    Parameters
    ----------
    ds
        Result of `jsuper.analyze`.
    """
    parts = slices_over(ds, Sweep.main_axes)
    single_cell = all(ds.sizes[d] == 1 for d in Sweep.main_axes)
    with_bumps = [(at, part) for at, part in parts if np.nansum(_bump_counts(part)) > 0]
    return [
        *captioned_figures(LOSSES, [("", ds)] if single_cell else parts, losses),
        *captioned_figures(PAIRS, with_bumps or parts[:1], pairs),
        *captioned_figures(BUMPS, with_bumps, bumps),
    ]


def losses(ds: xarray.Dataset) -> Figure:
    """Draw loss curves in a panel per cell, with ranks down and pairs across."""
    others = [str(d) for d in ds["status"].dims if d not in (*Sweep.main_axes, "seed")]
    cells = list(slices(ds, [*others, *Sweep.main_axes]))
    columns = ds.sizes["pairs"] if 3 <= ds.sizes["pairs"] <= 5 else min(4, len(cells))
    shown, end = cells[:MAX_PANELS], _settled(ds)
    figure, axes = panels(len(shown), columns, 2.8, 2.1)
    if len(cells) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(cells)} cells", fontsize=TITLE_FONT)
    for i, ((at, part), ax) in enumerate(zip(shown, axes, strict=True)):
        learning.losses(part, ax=ax)
        left, right = ax.get_xlim()
        if left < end < right:
            ax.set_xlim(right=end)
        models_left_out = ax.get_title().rsplit("; ", 1)[-1]
        ax.set_title(f"{at}\n{models_left_out}", fontsize=TITLE_FONT - 1)
        if i % columns:
            ax.set_ylabel("")
        if i + columns < len(shown):
            ax.set_xlabel("")
    return figure


def _settled(ds: xarray.Dataset) -> float:
    """Return 1.25 times the time at which all losses have settled; NaN without models."""
    loss = (ds["loss_curve"] / ds["zero_loss"]).where(ds["status"] == Status.OK)
    return 1.25 * float(ds["time"].where(loss > loss.min("step") + SETTLED).max())


def pairs(ds: xarray.Dataset) -> Figure | None:
    """Draw alignments of a typical model and of the one with most bumps; None without models."""
    cells = [(at, part, _bump_counts(part)) for at, part in slices(ds, Sweep.main_axes)]
    cells = [cell for cell in cells if np.isfinite(cell[2]).any()]
    if not cells:
        return None

    def interest(cell: tuple[str, xarray.Dataset, np.ndarray]) -> tuple[float, ...]:
        rank, k = (int(cell[1][d]) for d in Sweep.main_axes)
        return float(np.nanmean(cell[2])), k >= rank, rank, -k

    at, part, counts = max(cells, key=interest)
    typical = int(np.nanargmin(np.abs(counts - np.nanmean(counts))))
    most = int(np.nanargmax(counts))
    chosen = {"typical": typical} | ({"most bumps": most} if most != typical else {})
    figure, axes = panels(len(chosen), len(chosen))
    for (kind, i), ax in zip(chosen.items(), axes, strict=True):
        one = part.isel(seed=i)
        learning.alignments(one, ax=ax)
        ax.set_title(
            f"{at}; seed {int(one['seed'])}, {kind}: {ax.get_title()}", fontsize=TITLE_FONT
        )
    return figure


def bumps(ds: xarray.Dataset) -> Figure:
    """Draw the numbers of bumps in a panel per rank with bumps."""
    ranks = [part for _, part in slices(ds, ["rank"]) if np.nansum(_bump_counts(part)) > 0]
    figure, axes = panels(len(ranks), min(2, len(ranks)))
    for part, ax in zip(ranks, axes, strict=True):
        learning.bump_counts(part, ax=ax)
        ax.set_title(f"rank {int(part['rank'])}; {ax.get_title()}", fontsize=TITLE_FONT)
    return figure


def _bump_counts(ds: xarray.Dataset) -> np.ndarray:
    """Return the number of bumps of every model, NaN if left out."""
    return ds["bumps"].where(ds["status"] == Status.OK).values.astype(float)
