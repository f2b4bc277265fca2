"""Jermyn and Shlegeris (2022) on S-curves, weight decay, AdamW and cross-entropy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import curves
from jsuper.analysis.reading import finished_values
from jsuper.claims.claim import Claim, Runs
from jsuper.claims.rules import Above, Below, Between, Rule
from jsuper.studies._scurves_decay import SLOPE_WINDOW, u_of
from jsuper.studies._scurves_plateau import ABOVE, EXPONENTIAL, descent
from jsuper.studies._scurves_softmax import decayed_step

if TYPE_CHECKING:
    import xarray

SHARE = 0.1  # of a time, the least by which it counts as longer or shorter
RATE = 0.05  # of a rate of growth, within which theory's is met; the window alone takes 1 % off
LEARNED = 0.01  # of s, below which nothing is learned
SAME = 0.02  # of a time or of plateau_ratio, within which two curves are the same
GONE = 0.5  # of the squared error's decay, below which that of another objective is gone

S_CURVE = "t(90 % of the loss)/t(10 %)"
RATIO = f"{S_CURVE}, AdamW less plain descent"
STEPS = "half time, AdamW over Adam"
GROWING = (0.25, 0.5)  # decays at which there is something to learn, in units of s
TOO_MUCH = 1.25  # a decay above s
EXTENDED: dict[str, Rule] = {
    **{f"half time, λ = {r:g} s over λ = 0": Above(1 + SHARE) for r in GROWING},
    **{f"growth over 2 (s - λ), λ = {r:g} s": Between(1 - RATE, 1 + RATE) for r in GROWING},
    f"learned in the end, λ = {TOO_MUCH:g} s": Between(-LEARNED, LEARNED),
}
FEWER = ((4, 1), (8, 4))  # (pairs, and pairs that they are compared with)
SHORTER: dict[str, Rule] = {
    f"half time, {more} pairs over {less}": Below(1 - SHARE) for more, less in FEWER
}
LEFT: dict[str, Rule] = {
    f"decay under cross-entropy over squared error, rank {r}": Below(GONE) for r in (1, 4)
}


def one_pair(ds: xarray.Dataset, name: str) -> xarray.DataArray:
    """Return a variable per model at rank 1 with one pair: (..., seed)."""
    return finished_values(ds, name, "rank", "pairs", "seed").sel(rank=1, pairs=1)


def _s_curve(runs: Runs) -> dict[str, np.ndarray]:
    ds = runs["low_rank"]
    return {S_CURVE: one_pair(ds.sel(optimizer=descent(ds)), "plateau_ratio").values}


def _extended(runs: Runs) -> dict[str, np.ndarray]:
    """Half times and rates of growth from u itself, whose asymptote is s - λ."""
    u, time, decays = u_of(runs["low_rank_decay"])
    at = {float(rate): values for rate, values in zip(decays, u, strict=True)}
    half = {r: _finite(curves.half_time(at[r], time, 1 - r)) for r in (0.0, *GROWING)}
    slopes = [curves.log_slope(at[r], time, 1 - r, *SLOPE_WINDOW) / (2 * (1 - r)) for r in GROWING]
    values = [*(half[r] / half[0.0] for r in GROWING), *slopes, at[TOO_MUCH][:, -1]]
    return dict(zip(EXTENDED, values, strict=True))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _of(ds: xarray.Dataset, name: str, optimizer: str) -> np.ndarray:
    """Return a variable of one pair by the kind of optimizer: (seeds,)."""
    kind = next(str(o) for o in ds["optimizer"].values if str(o).startswith(f"{optimizer}("))
    return one_pair(ds.sel(optimizer=kind), name).values


def _accelerates(runs: Runs) -> dict[str, np.ndarray]:
    ds = runs["low_rank_adamw"]
    return {RATIO: _of(ds, "plateau_ratio", "adamw") - _of(ds, "plateau_ratio", "sgd")}


def _as_adam(runs: Runs) -> dict[str, np.ndarray]:
    ds = runs["low_rank_adamw"]
    return {STEPS: _of(ds, "loss_half_time", "adamw") / _of(ds, "loss_half_time", "adam")}


def _shorter(runs: Runs) -> dict[str, np.ndarray]:
    ds = runs["low_rank"]
    half = finished_values(ds.sel(optimizer=descent(ds)), "loss_half_time", "rank", "pairs", "seed")
    half = half.sel(rank=1)
    values = [(half.sel(pairs=more) / half.sel(pairs=less)).values for more, less in FEWER]
    return dict(zip(SHORTER, values, strict=True))


def _entropy(runs: Runs) -> dict[str, np.ndarray]:
    """ln of what is left outside the target's space, at the time when half is, on average."""
    ds = runs["low_rank_softmax"]
    left = finished_values(ds, "norm_outside", "objective", "rank", "seed", "step", "side")
    left = left.sum("side", skipna=False)
    share = left / left.isel(step=0)
    share = share.squeeze("pairs", drop=True).transpose("objective", "rank", "seed", "step")
    share = share.copy(data=np.log(share.values))
    at = decayed_step(share.sel(objective="squared").values)
    entropy, squared = (share.sel(objective=o).isel(step=at) for o in ("cross_entropy", "squared"))
    ratio = entropy / squared
    return {label: ratio.sel(rank=r).values for label, r in zip(LEFT, (1, 4), strict=True)}


_claim = partial(Claim, source="004")

CLAIMS = (
    _claim(
        name="factors-give-an-s-curve",
        sentence="A target of rank 1 that is learned as a product of factors gives an S-curve: a "
        "plateau, then a drop.",
        sweeps=("low_rank",),
        statistic=_s_curve,
        rules={S_CURVE: Above(ABOVE * EXPONENTIAL)},
        unit=f"ratio of times, {EXPONENTIAL:.3f} for a plain exponential",
        note=f"One pair, plain descent. The margin is {ABOVE} times an exponential's ratio.",
    ),
    _claim(
        name="decay-extends-the-exponential-phase",
        sentence="Weight decay extends the exponential phase.",
        sweeps=("low_rank_decay",),
        statistic=_extended,
        rules=EXTENDED,
        unit="ratio, or part of the target",
        note="One pair, plain descent; times until half of what is learned in the end, s - λ. The "
        "rate falls to 2 (s - λ), and a decay above s leaves nothing.",
    ),
    _claim(
        name="adamw-only-accelerates",
        sentence="AdamW only accelerates the learning of a target of rank 1.",
        sweeps=("low_rank_adamw",),
        statistic=_accelerates,
        rules={RATIO: Between(-SAME, SAME)},
        unit="ratio of times",
        note="A curve that is only faster keeps this ratio, whatever the unit of time. Decay 0.1.",
    ),
    _claim(
        name="adam-stands-in-for-adamw",
        sentence="To use AdamW it is enough to replace SGD by Adam.",
        sweeps=("low_rank_adamw",),
        statistic=_as_adam,
        rules={STEPS: Between(1 - SAME, 1 + SAME)},
        unit="ratio of times",
        note="Rank 1, one pair, decay 0.1: Adam has it in the gradient, AdamW apart. The text asks "
        "for AdamW and edits in Adam; without decay both are the same.",
    ),
    _claim(
        name="more-pairs-shorten-the-plateau",
        sentence="More learned pairs have more chances of a good start and shorten the plateau.",
        sweeps=("low_rank",),
        statistic=_shorter,
        rules=SHORTER,
        unit="ratio of times",
        note="Target of rank 1, plain descent.",
    ),
    _claim(
        name="no-decay-under-cross-entropy",
        sentence="Under a cross-entropy the term that decays what is off the target is not there.",
        sweeps=("low_rank_softmax",),
        statistic=_entropy,
        rules=LEFT,
        unit="ratio of ln of the share that is left; 1: the same decay, 0: none",
        note="At small logits, in time over their number, when half is left under squared error. "
        "Where the softmax saturates the term nearly goes.",
    ),
    _claim(
        name="explains-grokking-bumps",
        sentence="Pairs that compete explain the bumps in grokking modular addition.",
        untestable="The text doubts it itself. It needs transformers that learn modular addition, "
        "and a measure of competition in them.",
    ),
    _claim(
        name="causal-scrubbing",
        sentence="Four texts on causal scrubbing are listed.",
        untestable="Titles make no claim.",
    ),
)
