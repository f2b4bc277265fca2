"""Baron (2025) on what about an activation makes superposition: hardness, floors, who has most."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from jsuper.claims.claim import Claim, Runs
from jsuper.claims.rules import Above, Below, Between, Exactly
from jsuper.claims.values import at, difference, index, sparser, table
from jsuper.models.toy.activations.names import ACTIVATIONS

X = "excess"  # features represented beyond the hidden units
SOME = 0.25  # features, the least difference in X that counts
CLOSE = 0.5  # features: twice that, as for what is said to be no large difference
HALF = 0.5  # of the pairs: what chance gives
STEPS = 0.25  # of the sparsities: one pair in four a sparsity later
HIGHEST = 5.5  # a rank among 27: one of the first five
ROUNDING = 1e-3  # of a weight: what rounding can grow to in training
CAP = 6.0  # where ReLU6 bends

PAIRS = {  # hard -> soft
    "sigmoid": ("hardsigmoid", "sigmoid"),
    "tanh": ("hardtanh", "tanh"),
    "swish": ("hardswish", "silu"),
    "softplus": ("relu", "softplus"),
    "gelu": ("relu", "gelu"),
    "shrink": ("hardshrink", "softshrink"),
}
HARD, SOFT = zip(*PAIRS.values(), strict=True)
LESS = "share of pairs with less X in the hard one"
MOST = ("leaky_relu", "gelu", "softplus")


def _hard_less(runs: Runs) -> dict[str, np.ndarray]:
    """X of the hard one less that of the soft one, mean over sparsities, in each pair."""
    ds = runs["study"]
    values = table(ds, X)[:, at(ds, sparser)].mean(axis=1)
    gaps = values[index(ds, HARD)] - values[index(ds, SOFT)]
    less = np.where(np.isnan(gaps), np.nan, np.where(gaps == 0, HALF, gaps < 0))
    return {LESS: less.mean(axis=0), "X, hard less soft": gaps.mean(axis=0)}


def _hard_later(runs: Runs) -> dict[str, np.ndarray]:
    """Return the index of the first sparsity with X > 0, their number if there is none."""
    ds = runs["study"]
    values = table(ds, X)
    some = values > 0
    first = np.where(some.any(axis=1), some.argmax(axis=1), some.shape[1])
    first = np.where(np.isnan(values).any(axis=1), np.nan, first)
    gaps = first[index(ds, HARD)] - first[index(ds, SOFT)]
    return {"first sparsity with X > 0, hard less soft": gaps.mean(axis=0)}


def _swish(runs: Runs) -> dict[str, np.ndarray]:
    return {"X, hardswish less swish": difference(runs["study"], X, "hardswish", "silu", sparser)}


def _selu(runs: Runs) -> dict[str, np.ndarray]:
    gap = difference(runs["study"], X, "selu", ("celu", "elu"), sparser)
    return {"X, SELU less CELU and ELU": gap}


def _negative(runs: Runs) -> dict[str, np.ndarray]:
    gap = difference(runs["study"], X, ("celu", "elu"), ("gelu", "softplus"), sparser)
    return {"X, CELU and ELU less GELU and softplus": gap}


def _ranks(runs: Runs) -> dict[str, np.ndarray]:
    """Ranks in X among the 27, 1 the most; models that failed come last."""
    ds = runs["study"]
    values = table(ds, X)[index(ds, ACTIVATIONS)][:, at(ds, sparser)]
    ranks = rankdata(np.where(np.isnan(values), np.inf, -values), axis=0)
    means = np.where(np.isnan(values), np.nan, ranks).mean(axis=1)
    return {f"rank of {a}": means[ACTIVATIONS.index(a)] for a in MOST}


def _celu_elu(runs: Runs) -> dict[str, np.ndarray]:
    W = table(runs["study"], "W", "hidden", "feature")
    celu, elu = W[index(runs["study"], ("celu", "elu"))]
    return {"largest |difference| of a weight": np.abs(celu - elu).max(axis=(0, 2, 3))}


def _relu6(runs: Runs) -> dict[str, np.ndarray]:
    """Of the models whose outputs cannot reach the cap, at any input."""
    ds = runs["study"]
    rows = index(ds, ("relu6", "relu"))
    W, b = table(ds, "W", "hidden", "feature")[rows], table(ds, "b", "feature")[rows]
    largest = np.maximum(np.swapaxes(W, -1, -2) @ W, 0).sum(axis=-1) + b
    below = (largest < CAP).all(axis=(0, -1))  # (sparsity, seed)
    gaps = np.where(below, np.abs(W[0] - W[1]).max(axis=(-2, -1)), -1).max(axis=0)
    return {"largest |difference| of a weight": np.where(gaps < 0, np.nan, gaps)}


_EXACT = {"largest |difference| of a weight": Exactly(0, ROUNDING)}

CLAIMS = (
    Claim(
        name="hardness-reduces",
        source="002",
        sentence="The hard form of an activation superposes less than the soft one.",
        sweeps=("study",),
        statistic=_hard_less,
        rules={
            LESS: Above(HALF),
            "X, hard less soft": Below(-SOME),
        },
        unit="share; features beyond m",
        between=True,
        protocol=True,
        note="Six pairs; ReLU is the hard form of softplus and of GELU. The text also suggests "
        "that a sharper elbow helps.",
    ),
    Claim(
        name="hardness-delays",
        source="002",
        sentence="Superposition begins at sparser features in the hard form of an activation.",
        sweeps=("study",),
        statistic=_hard_later,
        rules={"first sparsity with X > 0, hard less soft": Above(STEPS)},
        unit="sparsities of the sweep",
        between=True,
        note="The six pairs of the claim on its amount.",
    ),
    Claim(
        name="swish-hardswish-alike",
        source="002",
        sentence="Swish and hardswish superpose about as much.",
        sweeps=("study",),
        statistic=_swish,
        rules={"X, hardswish less swish": Between(-CLOSE, CLOSE)},
        unit="features beyond m",
        protocol=True,
        note="The text's own evidence against a sharp elbow as the cause of superposition.",
    ),
    Claim(
        name="selu-least-of-its-group",
        source="002",
        sentence="SELU, with the deepest floor, superposes less than CELU and ELU.",
        sweeps=("study",),
        statistic=_selu,
        rules={"X, SELU less CELU and ELU": Below(-SOME)},
        unit="features beyond m",
        between=True,
        protocol=True,
        note="Its floor is -1.76, not -2 as the text has it.",
    ),
    Claim(
        name="negative-outputs-less",
        source="002",
        sentence="CELU and ELU, which let negative values through, superpose less than GELU and "
        "softplus.",
        sweeps=("study",),
        statistic=_negative,
        rules={"X, CELU and ELU less GELU and softplus": Below(-SOME)},
        unit="features beyond m",
        between=True,
        protocol=True,
    ),
    Claim(
        name="leaky-gelu-softplus-most",
        source="002",
        sentence="Leaky ReLU, GELU and softplus superpose most of all 27 activations.",
        sweeps=("study",),
        statistic=_ranks,
        rules={f"rank of {a}": Below(HIGHEST) for a in MOST},
        unit="rank, 1 the most",
        between=True,
        protocol=True,
        note="The text elsewhere has GELU below ReLU; leaky ReLU's outputs have no floor.",
    ),
    Claim(
        name="celu-is-elu",
        source="002",
        sentence="CELU and ELU, the same function at α = 1, give the same models.",
        sweeps=("study",),
        statistic=_celu_elu,
        rules=_EXACT,
        unit="weight",
        protocol=True,
        note="The source lists them as two activations.",
    ),
    Claim(
        name="relu6-is-relu",
        source="002",
        sentence="ReLU6 gives the models of ReLU while no output reaches 6.",
        sweeps=("study",),
        statistic=_relu6,
        rules=_EXACT,
        unit="weight",
        note="Of trained models whose outputs stay below 6 for every input.",
    ),
)
