"""Baron (2025) on exponentials, softplus, shrinks, ReLU's relatives, and what it only supposes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jsuper.claims._002_sigmoids import CORR, SOME, X
from jsuper.claims._002_softmaxes import MOST, unconverged
from jsuper.claims.claim import Claim, Runs
from jsuper.claims.rules import Above, Below, Between, Rate
from jsuper.claims.values import (
    Where,
    against,
    at,
    dense,
    each,
    everywhere,
    index,
    labelled,
    of,
    sparse,
    table,
)

if TYPE_CHECKING:
    import xarray

TOUCHED = 0.1  # |W_i| from which a feature is seen in a picture of WᵀW
ALL = 0.95  # of the features: all but one of 20
NO_ORDER = 0.3  # correlation of 20 ranks within which one sees no order
FAINTER = 0.05  # of a feature's squared length, the least difference in |W_i . W_j| seen
MUCH = 0.5  # features, the least that is much where ReLU has none in superposition
LITTLE = 1.0  # features, within which a change of the activation is no large one
ORDER = 0.1  # the least difference in correlation that counts


def little_sparse(sparsity: np.ndarray) -> np.ndarray:
    """Sparsity .7 and below."""
    return sparsity <= 0.7


SHRINKS = ("hardshrink", "softshrink", "tanhshrink")
SWISHES = ("silu", "hardswish")
STUCK = labelled("no convergence of {}, S <= .7", ("exp", "exp_linear"))
MANY = labelled("features with |W_i| > .1, {} less relu, S >= .9", SHRINKS)
SMALL = labelled("mean |W_i . W_j| of such features, {} less relu, S >= .9", SHRINKS)
EARLY = labelled("X, {}, S = 0", SWISHES)
UNIMPORTANT = labelled("correlation of |W_i| and importance, {} less relu, S = 0", SWISHES)


def _stuck(runs: Runs) -> dict[str, np.ndarray]:
    return {part: unconverged(runs["study"], k, little_sparse) for k, part in STUCK.items()}


def touched(ds: xarray.Dataset, names: Iterable[str], where: Where) -> Iterator[np.ndarray]:
    """Yield the number of features with |W_i| > .1 of each activation, mean over sparsities."""
    norms = table(ds, "feature_norm", "feature")[index(ds, names)][:, at(ds, where)]
    seen = np.where(np.isnan(norms), np.nan, norms > TOUCHED)
    return iter(seen.sum(axis=-1).mean(axis=1))


def overlap(ds: xarray.Dataset, names: Iterable[str], where: Where) -> Iterator[np.ndarray]:
    """Mean |W_i . W_j| of pairs of features with |W_i| > .1, mean over sparsities: (seeds,).

    NaN where fewer than two features are touched.
    """
    W = table(ds, "W", "hidden", "feature")[index(ds, names)][:, at(ds, where)]
    products = np.abs(W.swapaxes(-1, -2) @ W)
    squares = np.diagonal(products, axis1=-2, axis2=-1)
    seen = (squares > TOUCHED**2).astype(float)
    total = (seen[..., None, :] @ products @ seen[..., None])[..., 0, 0] - (seen * squares).sum(-1)
    number = seen.sum(axis=-1) * (seen.sum(axis=-1) - 1)
    return iter(np.where(number == 0, np.nan, total / np.maximum(number, 1)).mean(axis=1))


def _shrinks(
    runs: Runs, measure: Callable[..., Iterator[np.ndarray]], labels: dict[str, str]
) -> dict[str, np.ndarray]:
    """Return a measure of the shrinks less that of ReLU, one part for each."""
    relu, *found = measure(runs["study"], ("relu", *labels), sparse)
    return {part: one - relu for part, one in zip(labels.values(), found, strict=True)}


def _softplus(runs: Runs) -> dict[str, np.ndarray]:
    ds = runs["study"]
    (number,) = touched(ds, ["softplus"], sparse)
    return {
        "share of features with |W_i| > .1, softplus, S >= .9": number / ds.sizes["feature"],
        "correlation of |W_i| and importance, softplus, S >= .9": of(ds, CORR, "softplus", sparse),
    }


def _silu(runs: Runs) -> dict[str, np.ndarray]:
    return against(runs, {"silu": "X, silu less relu, S >= .9"}, X, "relu", sparse) | against(
        runs, {"silu": "X, silu less relu, S = 0"}, X, "relu", dense
    )


def _as_relu(runs: Runs, name: str) -> dict[str, np.ndarray]:
    return against(runs, {name: f"X, {name} less relu"}, X, "relu", everywhere)


CLAIMS = (
    Claim(
        name="exponentials-fail",
        source="002",
        sentence="Exp and Exp linear do not converge where features are hardly sparse.",
        sweeps=("study",),
        statistic=_stuck,
        rules=dict.fromkeys(STUCK.values(), Rate(MOST)),
        unit="share of seeds",
        protocol=True,
        note="Exp linear is not defined in the text; here it is z exp(z).",
    ),
    Claim(
        name="softplus-touches-all",
        source="002",
        sentence="Softplus touches every feature, regardless of importance.",
        sweeps=("study",),
        statistic=_softplus,
        rules={
            "share of features with |W_i| > .1, softplus, S >= .9": Above(ALL),
            "correlation of |W_i| and importance, softplus, S >= .9": Between(-NO_ORDER, NO_ORDER),
        },
        unit="share of features, and Spearman's correlation",
        protocol=True,
    ),
    Claim(
        name="shrinks-many",
        source="002",
        sentence="The shrinks superpose lots of features: they touch more of them than ReLU.",
        sweeps=("study",),
        statistic=partial(_shrinks, measure=touched, labels=MANY),
        rules=dict.fromkeys(MANY.values(), Above(SOME)),
        unit="features",
        between=True,
        protocol=True,
        note="The text speaks of all shrinks alike, so each has to. It says 'lots' and 'a small "
        "amount': read as many features, and small overlaps.",
    ),
    Claim(
        name="shrinks-small",
        source="002",
        sentence="The shrinks' superposition is of small amplitude: features overlap less.",
        sweeps=("study",),
        statistic=partial(_shrinks, measure=overlap, labels=SMALL),
        rules=dict.fromkeys(SMALL.values(), Below(-FAINTER)),
        unit="|W_i . W_j|",
        between=True,
        protocol=True,
        note="The text speaks of all shrinks alike, so each has to. Tanhshrink needs large weights "
        "by its form, which adds to its overlaps.",
    ),
    Claim(
        name="relu6-as-relu",
        source="002",
        sentence="ReLU6 changes nothing in ReLU's superposition.",
        sweeps=("study",),
        statistic=partial(_as_relu, name="relu6"),
        rules={"X, relu6 less relu": Between(-SOME, SOME)},
        unit="features beyond m",
        protocol=True,
        note="The two are the same function below 6.",
    ),
    Claim(
        name="relu-squared-as-relu",
        source="002",
        sentence="Squared ReLU changes little in ReLU's superposition.",
        sweeps=("study",),
        statistic=partial(_as_relu, name="relu_squared"),
        rules={"X, relu_squared less relu": Between(-LITTLE, LITTLE)},
        unit="features beyond m",
        protocol=True,
    ),
    Claim(
        name="silu-as-gelu",
        source="002",
        sentence="SiLU is as GELU: less superposition than ReLU when sparse, more when dense.",
        sweeps=("study",),
        statistic=_silu,
        rules={"X, silu less relu, S >= .9": Below(-SOME), "X, silu less relu, S = 0": Above(SOME)},
        unit="features beyond m",
        between=True,
        protocol=True,
    ),
    Claim(
        name="swishes-early",
        source="002",
        sentence="Swish and hardswish superpose even where no feature is ever absent.",
        sweeps=("study",),
        statistic=partial(each, labels=EARLY, variable=X, where=dense),
        rules=dict.fromkeys(EARLY.values(), Above(MUCH)),
        unit="features beyond m",
        protocol=True,
        note="Swish is SiLU.",
    ),
    Claim(
        name="swishes-unimportant",
        source="002",
        sentence="Where no feature is ever absent, swish and hardswish prefer less important ones.",
        sweeps=("study",),
        statistic=partial(against, labels=UNIMPORTANT, variable=CORR, other="relu", where=dense),
        rules=dict.fromkeys(UNIMPORTANT.values(), Below(-ORDER)),
        unit="difference in Spearman's correlation",
        between=True,
        protocol=True,
        note="Swish is SiLU. Preference is measured against ReLU's order.",
    ),
    Claim(
        name="relu-stays",
        source="002",
        sentence="ReLU will not be replaced as the standard activation.",
        untestable="A forecast of what people will use; no model of any size decides it.",
    ),
    Claim(
        name="solu-layer-norm",
        source="002",
        sentence="A LayerNorm after SoLU would have mattered.",
        untestable="A LayerNorm acts on what reads SoLU, and nothing reads the toy model's output; "
        "a model with a layer after SoLU would decide it.",
        note="The text says only that it had none.",
    ),
)
