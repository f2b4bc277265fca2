"""Jermyn and Shlegeris (2022) on S-curves: plateaus, weight decay, Adam and cross-entropy.

A matrix Σ_r s u_r v_rᵀ of rank R is learned as Σ_k a_k b_kᵀ with K pairs by gradient descent on
½ Σ (C - Z)². Models of one seed have the same target and start. Time is steps times learning rate,
in units of 1/s. The loss of Z = 0 is that of the zero model; that of the start is larger.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import curves
from jsuper.analysis.plateaus import decay_ratio, exponential_ratio, of, s_ratio
from jsuper.analysis.reading import finished_values
from jsuper.findings.finding import Data, Finding
from jsuper.findings.notes import crossed, numbers
from jsuper.findings.placebo import shuffled
from jsuper.findings.rules import above, below, between

if TYPE_CHECKING:
    import xarray

TWICE = 2  # times the ratio of an exponential, from which a curve counts as an S-curve
SHARE = 0.1  # of a time, the least by which it counts as longer or shorter
CLOSE = 0.05  # of a rate, exponent or time, the error of a law; the window alone takes 1 % off
LEARNED = 0.01  # of s, below which nothing is learned
SAME = 0.02  # of plateau_ratio, within which two curves are the same
GONE = 0.5  # of the squared error's decay, below which that of another objective is gone
WINDOW = (0.001, 0.02)  # shares of the asymptote where u is far above its start, and small

SLOWER, TOO_MUCH = (0.25, 0.5), 1.25  # weight decays in units of s
CASES = ((1, 1), (1, 4), (1, 8), (1, 16), (4, 4), (4, 8), (4, 16))  # rank, pairs
STRENGTHS = {1: "scurves_softmax", 100: "scurves_softmax_100", 1000: "scurves_softmax_1000"}
RATES = ("low", "middle", "high")
AXES = ("rank", "pairs", "optimizer", "objective", "weight_decay", "seed")

RATIO = "t(90 %)/t(10 %) over that of the exponential"
LONGER = {f"half time, λ = {r:g} s over λ = 0": r for r in SLOWER}
GROWTH = {f"growth over 2 (s - λ), λ = {r:g} s": r for r in SLOWER}
NOTHING = f"learned in the end, λ = {TOO_MUCH:g} s"
CHANGE = "t(90 %)/t(10 %), AdamW less SGD"
LEFT = {f"decay over that of the squared error, rank {r}": r for r in (1, 4)}


def per_seed(ds: xarray.Dataset, name: str, rank: int = 1, pairs: int = 1) -> np.ndarray:
    """Return a variable of one optimizer, rank and number of pairs: (seeds, ...)."""
    return finished_values(ds.sel(rank=rank, pairs=pairs), name, "seed").values


def s_curve(data: Data, rank: int, pairs: int) -> dict[str, np.ndarray]:
    """Return plateau_ratio of plain descent over that of an exponential from the same start."""
    return {RATIO: s_ratio(of(data["scurves"], "sgd")).sel(rank=rank, pairs=pairs).values}


def exponentials(data: Data, rng: np.random.Generator, kind: str = "sgd") -> Data:
    """Return the data with plateaus of exponentials from the same starts, with noise of 10 %."""
    found = {}
    for name, ds in data.items():
        ratio = exponential_ratio(ds).transpose(*ds["status"].dims)
        ratio = ratio * rng.lognormal(0, 0.1, ratio.shape)
        chosen = ds["optimizer"].str.startswith(f"{kind}(")
        found[name] = ds.assign(plateau_ratio=ds["plateau_ratio"].where(~chosen, ratio))
    return found


def decayed(data: Data) -> dict[str, np.ndarray]:
    """Return times to half of what is learned in the end, s - λ, rates of growth, and the rest."""
    ds = data["scurves_decay"].squeeze(("rank", "pairs", "component", "pair"))
    u = finished_values(ds, "alignment", "weight_decay", "seed", "step").values
    time = ds["time"].isel(weight_decay=0, seed=0).values.astype(float)
    at = dict(zip(ds["weight_decay"].values.tolist(), u, strict=True))
    half = {r: curves.half_time(at[r], time, 1 - r) for r in (0.0, *SLOWER)}
    half = {r: np.where(np.isfinite(t), t, np.nan) for r, t in half.items()}
    found = {label: half[r] / half[0.0] for label, r in LONGER.items()}
    for label, r in GROWTH.items():
        found[label] = curves.log_slope(at[r], time, 1 - r, *WINDOW) / (2 * (1 - r))
    return found | {NOTHING: at[TOO_MUCH][:, -1]}


def accelerated(data: Data, pairs: int, rate: str) -> dict[str, np.ndarray]:
    """Return plateau_ratio of AdamW less that of plain descent at rank 1."""
    ds = data["scurves_adamw"]
    both = of(ds, "adamw", RATES.index(rate)), of(ds, "sgd")
    adamw, plain = (per_seed(one, "plateau_ratio", 1, pairs) for one in both)
    return {CHANGE: adamw - plain}


def entropy(data: Data, strength: int) -> dict[str, np.ndarray]:
    """Return the decay under cross-entropy, over that of the squared error when half is left."""
    ratio = decay_ratio(data[STRENGTHS[strength]])
    return {label: ratio.sel(rank=r).values for label, r in LEFT.items()}


def swapped(among: str, *names: str) -> Callable[[Data, np.random.Generator], Data]:
    """Return the placebo that shuffles the labels of an axis; only some variables are kept."""
    shuffle = shuffled(*(axis for axis in AXES if axis != among), among=among)
    return lambda data, rng: shuffle({k: ds[[*names, "status"]] for k, ds in data.items()}, rng)


PLACES = {f"rank {r}, {k} pair{'s' * (k > 1)}": {"rank": r, "pairs": k} for r, k in CASES}
said = partial(Finding, source="jermyn-2022", place="comment")

FINDINGS: tuple[Finding, ...] = (
    said(
        "factors-give-an-s-curve",
        "Does a low-rank target that is learned as factors give an S-curve?",
        place="post",
        sentence="Where several components have to be right at once, the loss waits on a plateau "
        "before it suddenly drops, while a single vector is learned exponentially.",
        sweeps=("scurves",),
        effect=s_curve,
        rules={RATIO: above(TWICE)},
        readings=PLACES,
        placebo=exponentials,
        unit="ratio of ratios of times",
        note=numbers("An exponential from the same start has 1. Ratio"),
    ),
    said(
        "decay-extends-the-exponential-phase",
        "Does weight decay extend the exponential phase?",
        sentence="Weight decay in effect extends the exponential phase.",
        sweeps=("scurves_decay",),
        effect=decayed,
        rules={
            **dict.fromkeys(LONGER, above(1 + SHARE, kind="skewed")),
            **dict.fromkeys(GROWTH, between(1 - CLOSE, 1 + CLOSE)),
            NOTHING: between(-LEARNED, LEARNED),
        },
        placebo=swapped("weight_decay", "alignment", "time"),
        unit="ratio, or part of the target",
        note=numbers("One pair"),
    ),
    said(
        "adamw-only-accelerates",
        "Does AdamW only accelerate the learning of a target of rank 1?",
        sentence="At rank 1 it looks as if AdamW just accelerated things.",
        sweeps=("scurves_adamw",),
        effect=accelerated,
        rules={CHANGE: between(-SAME, SAME)},
        readings=crossed("pairs {pairs}, {rate} rate", pairs=(1, 4), rate=RATES),
        placebo=partial(exponentials, kind="adamw"),
        unit="difference of ratios of times",
        note=numbers("A curve that is only faster keeps t(90 %)/t(10 %). AdamW less SGD", "+.3f"),
    ),
    said(
        "no-decay-under-cross-entropy",
        "Is the exponential decay term absent under cross-entropy?",
        sentence="With a cross-entropy the exponential decay term is probably just not there.",
        sweeps=tuple(STRENGTHS.values()),
        effect=entropy,
        rules=dict.fromkeys(LEFT, below(GONE)),
        readings=crossed("strength {strength}", strength=tuple(STRENGTHS)),
        placebo=swapped("objective", "norm_outside"),
        unit="ratio of ln of the share that is left",
        note=numbers("The decay of the squared error has 1, none has 0. Rank 1", ".3f", "rank 1"),
    ),
)
