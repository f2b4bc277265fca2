"""Plateaus, S-curves and bumps of a low-rank target that is learned as a product of factors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.studies import (
    _scurves_bumps,
    _scurves_decay,
    _scurves_optimizers,
    _scurves_plateau,
    _scurves_softmax,
)
from jsuper.studies.answer import Answer, Drawing, Runs, Table, sweeps_of

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

SOFTMAX = ("scurves_softmax", "scurves_softmax_100", "scurves_softmax_1000")
PRESETS = ("scurves", "scurves_decay", "scurves_adamw", *SOFTMAX)
TITLE = "S-curves and bumps of multi-component learning"
TEXT = """\
Jermyn and Shlegeris (2022) learn a matrix C = Σ_r s_r u_r v_rᵀ as a product Z = Σ_k a_k b_kᵀ by
gradient descent on ½ Σ (C - Z)². The loss waits on a plateau and falls in an S-curve: a factor
grows in proportion to the other one, which has to grow first. At rank 1 everything is known in
closed form; at higher rank the alignment of a pair with a component can rise and fall again, a
bump, and their guess is that two pairs compete for one component until one lets go. The comments on
their post ask what weight decay, Adam, AdamW and a cross-entropy change, and warn that
a single run says little of bumps. They give no learning rate, scale or number of steps. Here d is
100, starts are normal with standard deviation 0.1, all strengths are equal, and time is steps times
learning rate, in units of 1/s: the time of the gradient flow for plain descent.

- The alignment of pair k with component r is (u_r · a_k)(v_r · b_k). Summed over k it is u_rᵀ Z
  v_r, which is s_r where the component is learned.
- A bump is an interior maximum of an alignment that stands out by at least 5 % of s_r. The
  threshold is absolute: relative to the curve's own maximum it would count noise around zero.
- A plateau is measured by the time at which the loss is 90 % of that of Z = 0 over the time at
  which it is 10 %. The loss of Z = 0 is ½ Σ s_r²; that of the start is larger, because the start
  has parts outside of the target's space, whose decay belongs to the waiting.
- Under cross-entropy Z's N = d² entries are the logits of one softmax and the target is
  softmax(C). Its gradient is 1/N of the squared error's where logits are small, so its learning
  rate is scaled by N and its time is reported over N. KL is reported, whose floor is 0.

Models of one seed have the same target and start, so each effect is computed within a seed. Its
interval is 95 %, of the mean over seeds; p is of a sign-flip test, by Holm within an answer.
"""

PANEL = (5.4, 3.4)  # inches, with its legend


def answers(runs: Runs) -> list[Answer]:
    """Return the study's answers, from the analysed Datasets of its presets.

    Raises
    ------
    ValueError
        A preset, a variable or an axis is missing.
    """
    sweeps_of(runs, PRESETS)  # or one is missing
    return [
        *_scurves_plateau.answers(runs["scurves"]),
        *_scurves_decay.answers(runs["scurves_decay"]),
        *_scurves_bumps.answers(runs["scurves"]),
        *_scurves_optimizers.answers(runs["scurves_adamw"]),
        *_scurves_softmax.answers([runs[name] for name in SOFTMAX]),
    ]


def tables(runs: Runs) -> list[Table]:
    """Count of bumps in every cell."""
    sweeps_of(runs, PRESETS)  # or one is missing
    return _scurves_bumps.tables(runs["scurves"])


# ---- figures ----


def figures(runs: Runs) -> list[Drawing]:
    """Return the study's figures, from the same."""
    sweeps_of(runs, PRESETS)  # or one is missing
    ds = runs["scurves"]
    flow = ds.sel(optimizer=_scurves_plateau.descent(ds))
    return [
        Drawing(
            "losses",
            "Loss over that of Z = 0, plain descent, every seed faint and their median: the "
            "plateau varies by seed, and more pairs shorten it.",
            _losses(flow),
        ),
        Drawing(
            "decay",
            "The same of one pair under weight decay: a slower exponential phase, to a smaller u.",
            _decay(runs["scurves_decay"]),
        ),
        Drawing(
            "alignments",
            "Alignments of single models at rank 4 with 4 pairs: the first seed without a bump, "
            "and the two with most. A colour is a component, a line a pair.",
            _alignments(flow),
        ),
        Drawing(
            "bumps",
            "Bumps per model over seeds, by number of pairs, for plain descent and Adam at rank 4.",
            _bumps(ds),
        ),
        Drawing(
            "optimizers",
            "Plain descent, Adam and AdamW with decay 0.1, one pair at rank 1.",
            _optimizers(runs["scurves_adamw"]),
        ),
        Drawing(
            "softmax",
            "Squared error (above) and cross-entropy (below) for targets of three strengths, "
            "rank 4, in time over N, on a logarithmic axis.",
            _softmax([runs[name] for name in SOFTMAX]),
        ),
    ]


def _panels(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    import matplotlib.pyplot as plt

    size = (PANEL[0] * columns, PANEL[1] * rows)
    return plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)


def _titled(ax, words: str) -> None:
    ax.set_title(f"{words}\n{ax.get_title()}", fontsize="small")


def _losses(flow: xarray.Dataset) -> Figure:
    from jsuper.plots import learning

    most = int(flow["pairs"].max())
    cases = [(1, 1), (1, 4), (1, most), (4, 4), (4, 8), (4, most)]
    figure, axes = _panels(2, 3)
    for ax, (rank, k) in zip(axes.flat, cases, strict=True):
        learning.losses(flow.sel(rank=rank, pairs=k), ax=ax)
        ax.set_ylim(0, 2)
        ax.set_xlim(0, 12)
        _titled(ax, f"rank {rank}, {_scurves_plateau.pairs(k)}")
    return figure


def _decay(ds: xarray.Dataset) -> Figure:
    from jsuper.plots import learning

    decays = [v for v in ds["weight_decay"].values if v in (0.0, 0.5, 0.9, 1.25)]
    figure, axes = _panels(1, len(decays))
    for ax, decay in zip(axes[0], decays, strict=True):
        learning.losses(ds.sel(weight_decay=decay), ax=ax)
        ax.set_xlim(0, 60)
        _titled(ax, f"λ = {decay:g} s")
    return figure


def _alignments(flow: xarray.Dataset) -> Figure:
    from jsuper.plots import learning

    here = flow.sel(rank=4, pairs=4)
    counts = here["bumps"].squeeze(drop=True)
    most = counts.values.argsort()[::-1]
    chosen = [int(counts.values.argmin()), *most[:2]]
    figure, axes = _panels(1, 3)
    figure.set_size_inches(3 * 6.2, 4.0)
    for ax, seed in zip(axes[0], chosen, strict=True):
        learning.alignments(here.isel(seed=seed), ax=ax)
        _titled(ax, f"seed {int(here['seed'][seed])}")
    return figure


def _bumps(ds: xarray.Dataset) -> Figure:
    from jsuper.plots import learning

    figure, axes = _panels(1, ds.sizes["optimizer"])
    reachable = [k for k in ds["pairs"].values if k >= 4]
    for ax, optimizer in zip(axes[0], ds["optimizer"].values, strict=True):
        learning.bump_counts(ds.sel(optimizer=optimizer, rank=4, pairs=reachable), ax=ax)
        _titled(ax, str(optimizer))
    return figure


def _optimizers(ds: xarray.Dataset) -> Figure:
    from jsuper.plots import learning

    names = [_scurves_plateau.descent(ds)]
    for name in ("adam", "adamw"):
        names.append(_scurves_optimizers.named(ds, name)[1])
    figure, axes = _panels(1, len(names))
    for ax, optimizer in zip(axes[0], names, strict=True):
        learning.losses(ds.sel(optimizer=optimizer, rank=1, pairs=1), ax=ax)
        ax.set_ylim(0, 2)
        _titled(ax, optimizer)
    return figure


def _softmax(runs: list[xarray.Dataset]) -> Figure:
    from jsuper.plots import learning

    objectives = ("squared", "cross_entropy")
    figure, axes = _panels(len(objectives), len(runs))
    for column, ds in zip(axes.T, runs, strict=True):
        for ax, objective in zip(column, objectives, strict=True):
            here = ds.sel(objective=objective, rank=4)
            learning.losses(here.assign(time=here["time"] * here["strength"]), ax=ax)
            ax.set_xlabel("time, in units of 1/s")
            ax.set_ylim(0, 2)
            _titled(ax, f"{objective}, s = {float(ds['strength']):g}")
    return figure
