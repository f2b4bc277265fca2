"""Baron (2025) on negative outputs: GELU and ReLU, ELU's floor, ReLU6 and squared ReLU."""

from __future__ import annotations

import numpy as np

from jsuper.claims.claim import Claim, Runs
from jsuper.claims.rules import Above, Below
from jsuper.claims.sweeps import ALPHAS
from jsuper.claims.values import at, dense, difference, index, sparse, sparser, table

X = "excess"  # features represented beyond the hidden units
SOME = 0.25  # features, the least difference in X that counts


def _gelu_sparse(runs: Runs) -> dict[str, np.ndarray]:
    return {"X, GELU less ReLU, S >= .9": difference(runs["study"], X, "gelu", "relu", sparse)}


def _gelu_dense(runs: Runs) -> dict[str, np.ndarray]:
    return {"X, GELU less ReLU, S = 0": difference(runs["study"], X, "gelu", "relu", dense)}


def _floor(runs: Runs) -> dict[str, np.ndarray]:
    """Least-squares slope of X on ELU's α within each seed, mean over sparsities."""
    ds = runs["study"]
    alphas = np.array(list(ALPHAS))
    values = table(ds, X)[index(ds, ALPHAS.values())][:, at(ds, sparser)].mean(axis=1)
    centred = alphas - alphas.mean()
    return {"slope of X on ELU's α": centred @ values / (centred @ centred)}


CLAIMS = (
    Claim(
        name="gelu-less-than-relu",
        source="002",
        sentence="GELU superposes less than ReLU as features become sparser.",
        sweeps=("study",),
        statistic=_gelu_sparse,
        rules={"X, GELU less ReLU, S >= .9": Below(-SOME)},
        unit="features beyond m",
        between=True,
        protocol=True,
        note="The text also counts GELU among those with most superposition.",
    ),
    Claim(
        name="gelu-more-when-dense",
        source="002",
        sentence="Where no feature is ever absent, GELU superposes more than ReLU.",
        sweeps=("study",),
        statistic=_gelu_dense,
        rules={"X, GELU less ReLU, S = 0": Above(SOME)},
        unit="features beyond m",
        between=True,
        protocol=True,
    ),
    Claim(
        name="deeper-floor-less",
        source="002",
        sentence="The deeper an activation's negative floor, the less superposition.",
        sweeps=("study",),
        statistic=_floor,
        rules={"slope of X on ELU's α": Below(-SOME)},
        unit="features beyond m, per unit of α",
        between=True,
        protocol=True,
        note="ELU(α) is a dose of negativity: only the floor changes.",
    ),
)
