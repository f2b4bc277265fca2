"""Baron (2025) on sigmoids and other bounded activations, and the earlier findings it confirms."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jsuper.claims.claim import Claim, Runs
from jsuper.claims.rules import Above, Below, Between
from jsuper.claims.values import against, at, each, index, labelled, means, sparse, sparser, table

if TYPE_CHECKING:
    pass

X = "excess"  # features represented beyond the hidden units
CORR = "importance_rank_correlation"

SOME = 0.25  # features, the least difference in X that counts
MUCH = 0.5  # features, the least that is much where ReLU has only begun
LITTLE = 1.0  # features, within which X is as good as that of a linear model
NONE = 0.5  # features, below which no whole one is in superposition
SAME_X = 0.5  # features, within which precision makes no difference
REVERSED = -0.2  # correlation of 20 ranks from which one sees the order as reversed
WORSE = 0.1  # in a correlation, half of that: the least difference that counts
HEALED = 0.2  # in a correlation, what has to go where an error of rounding is the cause
DISTURBED = 0.05  # of a feature's own squared length, the least difference in interference
UNIT = 0.05  # of a unit's weights, the share of one of 20 equal features; the least that counts
ALIKE = float(np.log10(1.25))  # a quarter of a loss is below what the text calls a difference


def least(sparsity: np.ndarray) -> np.ndarray:
    """Return the smallest sparsity above 0."""
    return sparsity == sparsity[sparsity > 0].min()


SIGMOIDS = ("sigmoid", "hardsigmoid")
QUICK = labelled("X, {} less relu, the least S > 0", SIGMOIDS)
UNIMPORTANT = labelled("correlation of |W_i| and importance, {}, S > 0", SIGMOIDS)
EVEN_WORSE = labelled(
    "correlation of |W_i| and importance, {} less sigmoid, S > 0", ("softsign", "log_sigmoid")
)
ROUNDED = labelled("correlation of |W_i| and importance, {}, float64 less float32", SIGMOIDS)
PRECISE = labelled("X, {}, float64 less float32, S > 0", SIGMOIDS)
BOUNDED = labelled("X, {} less identity, S >= .9", ("tanh", "hardtanh", "selu"))
SMOOTH = labelled("X, {} less relu, S >= .9", ("gelu", "silu"))
CLEAN = labelled("interference, {} less relu, S >= .9", ("gelu", "silu"))

LAD = "Found before by Lad and Kostolansky, 2023."


def _by_precision(runs: Runs, variable: str, labels: dict[str, str]) -> dict[str, np.ndarray]:
    pairs = zip(
        *(means(runs[k], variable, labels, sparser) for k in ("double", "study")), strict=True
    )
    return {part: wide - own for part, (wide, own) in zip(labels.values(), pairs, strict=True)}


def _linear(runs: Runs) -> dict[str, np.ndarray]:
    """Mean over sparsities of the ratio's logarithm, so that dense models do not outweigh all."""
    ds = runs["study"]
    tanh, identity = np.log10(table(ds, "loss")[index(ds, ("tanh", "identity"))])
    return {"log10 of loss, tanh over identity": (tanh - identity).mean(axis=0)}


def _share_of_largest(runs: Runs, name: str) -> dict[str, np.ndarray]:
    """Return a unit's largest weight over their sum, mean over units, less that of ReLU."""
    ds = runs["study"]
    values = table(ds, "neuron_monosemanticity", "hidden")[index(ds, (name, "relu"))]
    values = values[:, at(ds, sparser)]
    one, relu = values.mean(axis=(1, 3))
    return {f"largest share of a unit, {name} less relu, S > 0": one - relu}


CLAIMS = (
    Claim(
        name="sigmoids-quick",
        source="002",
        sentence="Sigmoid and hardsigmoid superpose much, and as soon as features are absent.",
        sweeps=("study",),
        statistic=partial(against, labels=QUICK, variable=X, other="relu", where=least),
        rules=dict.fromkeys(QUICK.values(), Above(MUCH)),
        unit="features beyond m",
        between=True,
        protocol=True,
        note="The text adds that its author's next study found sigmoid unable to superpose.",
    ),
    Claim(
        name="sigmoids-unimportant",
        source="002",
        sentence="What sigmoid and hardsigmoid superpose are unimportant features.",
        sweeps=("study",),
        statistic=partial(each, labels=UNIMPORTANT, variable=CORR, where=sparser),
        rules=dict.fromkeys(UNIMPORTANT.values(), Below(REVERSED)),
        unit="Spearman's correlation",
        protocol=True,
    ),
    Claim(
        name="softsign-log-sigmoid-worse",
        source="002",
        sentence="Softsign and log-sigmoid follow the order of importance less than sigmoid.",
        sweeps=("study",),
        statistic=partial(
            against, labels=EVEN_WORSE, variable=CORR, other="sigmoid", where=sparser
        ),
        rules=dict.fromkeys(EVEN_WORSE.values(), Below(-WORSE)),
        unit="difference in Spearman's correlation",
        between=True,
        protocol=True,
        note="The text: even worse in preferring unimportant features. That is a comparison, so it "
        "may hold where none of the three prefers them.",
    ),
    Claim(
        name="sigmoids-floating-point",
        source="002",
        sentence="The sigmoids' preference for unimportant features is a floating point error.",
        sweeps=("study", "double"),
        statistic=partial(_by_precision, variable=CORR, labels=ROUNDED),
        rules=dict.fromkeys(ROUNDED.values(), Above(HEALED)),
        unit="difference in Spearman's correlation",
        note="The text says that it may be. An error of rounding would go in float64.",
    ),
    Claim(
        name="sigmoids-same-in-double",
        source="002",
        sentence="The sigmoids superpose as much in float64 as in float32.",
        sweeps=("study", "double"),
        statistic=partial(_by_precision, variable=X, labels=PRECISE),
        rules=dict.fromkeys(PRECISE.values(), Between(-SAME_X, SAME_X)),
        unit="features beyond m",
        note="The opposite of the text's guess that their superposition is a floating point error.",
    ),
    Claim(
        name="bounded-little",
        source="002",
        sentence="Tanh, hardtanh and SELU superpose hardly more than a linear model.",
        sweeps=("study",),
        statistic=partial(against, labels=BOUNDED, variable=X, other="identity", where=sparse),
        rules=dict.fromkeys(BOUNDED.values(), Between(-LITTLE, LITTLE)),
        unit="features beyond m",
        protocol=True,
        note="The text blames symmetry and a limited output; SELU has neither.",
    ),
    Claim(
        name="tanh-nearly-linear",
        source="002",
        sentence="Tanh is nearly linear: it loses as much as no activation at all.",
        sweeps=("study",),
        statistic=_linear,
        rules={"log10 of loss, tanh over identity": Between(-ALIKE, ALIKE)},
        unit="powers of ten",
        protocol=True,
    ),
    Claim(
        name="smooth-less-superposition",
        source="002",
        sentence="GELU and SiLU reduce superposition against ReLU.",
        sweeps=("study",),
        statistic=partial(against, labels=SMOOTH, variable=X, other="relu", where=sparse),
        rules=dict.fromkeys(SMOOTH.values(), Below(-SOME)),
        unit="features beyond m",
        between=True,
        protocol=True,
        note=LAD,
    ),
    Claim(
        name="smooth-less-interference",
        source="002",
        sentence="GELU and SiLU reduce polysemanticity against ReLU.",
        sweeps=("study",),
        statistic=partial(
            against, labels=CLEAN, variable="mean_interference", other="relu", where=sparse
        ),
        rules=dict.fromkeys(CLEAN.values(), Below(-DISTURBED)),
        unit="interference of a represented feature",
        between=True,
        protocol=True,
        note=LAD,
    ),
    Claim(
        name="sigmoid-more-neurons",
        source="002",
        sentence="Sigmoid extends superposition to many more neurons than ReLU.",
        sweeps=("study",),
        statistic=partial(_share_of_largest, name="sigmoid"),
        rules={"largest share of a unit, sigmoid less relu, S > 0": Below(-UNIT)},
        unit="share of a unit's weights",
        between=True,
        protocol=True,
        note=LAD,
    ),
    Claim(
        name="tanh-eliminates",
        source="002",
        sentence="Tanh eliminates superposition.",
        sweeps=("study",),
        statistic=partial(each, labels={"tanh": "X, tanh, S >= .9"}, variable=X, where=sparse),
        rules={"X, tanh, S >= .9": Below(NONE)},
        unit="features beyond m",
        protocol=True,
        note=LAD,
    ),
    Claim(
        name="solu-enforces-sparsity",
        source="002",
        sentence="SoLU enforces sparsity: its neurons are more of one feature than ReLU's.",
        sweeps=("study",),
        statistic=partial(_share_of_largest, name="solu"),
        rules={"largest share of a unit, solu less relu, S > 0": Above(UNIT)},
        unit="share of a unit's weights",
        between=True,
        protocol=True,
        note=LAD,
    ),
)
