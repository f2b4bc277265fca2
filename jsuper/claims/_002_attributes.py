"""Baron (2025) on activations as functions: how alike they are, and which attributes superpose."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from jsuper.analysis.statistics import spearman
from jsuper.claims.claim import Claim, Runs
from jsuper.claims.rules import Above, Below, Exactly
from jsuper.claims.values import at, index, sparser, table
from jsuper.models.toy.activations.names import ACTIVATIONS

X = "excess"  # features represented beyond the hidden units
LOSS = "loss_over_constant"  # comparable between sparsities

NOT_ELEMENTWISE = ("softmax", "solu", "log_softmax", "softmin")
NAMES = tuple(a for a in ACTIVATIONS if a not in NOT_ELEMENTWISE)
UNREACHABLE = "log_sigmoid"  # never positive, so that its losses are of another kind

SOME = 0.25  # features, the least difference in X that counts
SEEN = math.log10(1.1)  # a tenth: less would not be seen on a loss curve
FIRST, LAST = 0.25, 0.75  # quarters of all pairs: the closest, and the most distant
WEAK = 0.3  # a correlation that explains less than a tenth of the variance
EVEN = 0.5  # the largest odd share of an asymmetric function: the even part weighs as much
ROUNDING = 1e-9
PAIR = ("celu", "gelu")

FUNCTION, SUPERPOSITION, LOSSES = (f"percentile of their distance in {k}"
                                   for k in ("function", "X", "log loss"))  # fmt: skip
ATTRIBUTES = ("non-negative", "asymmetric", "smooth")


class Functions(NamedTuple):
    """The elementwise activations as functions, in the order of NAMES.

    Attributes
    ----------
    attributes
        (names, 3): whether it is non-negative; the even part's share of E f²; whether
        its slope nowhere jumps.
    distances
        (pairs,), root of E (f - g)². Both under N(0, 1); pairs as `pairs()`.
    """

    attributes: np.ndarray
    distances: np.ndarray


@functools.cache
def functions() -> Functions:
    """Attributes and distances, computed from the registered functions once."""
    from jsuper.analysis.gating import profile
    from jsuper.analysis.scalar import derivatives, normal_nodes

    found = [profile(name) for name in NAMES]
    kinks = np.unique(np.concatenate([p.kinks for p in found]))
    z, weights = normal_nodes(kinks)
    values = np.array([derivatives(name)(z) for name in NAMES])
    one, other = pairs()
    return Functions(
        attributes=np.array(
            [
                (p.infimum.value >= -ROUNDING, 1 - p.odd_share, p.continuous_derivatives >= 1)
                for p in found
            ],
            float,
        ),
        distances=np.sqrt((values[one] - values[other]) ** 2 @ weights),
    )


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Places of both members of every pair of NAMES."""
    return np.triu_indices(len(NAMES), 1)


def group() -> np.ndarray:
    """Return which of NAMES are non-negative and asymmetric."""
    positive, even, _ = functions().attributes.T
    return (positive == 1) & (even >= 1 - EVEN - ROUNDING)


def _distances(runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """Root mean squares over sparsities of all pairs' differences in X and in log10 loss.

    Both (seeds, pairs); NaN for pairs with a model that failed.
    """
    one, other = pairs()
    gaps = ((v[one] - v[other]) ** 2 for v in _models(runs))
    in_x, in_loss = (np.sqrt(g.mean(axis=1)).T for g in gaps)
    return in_x, in_loss


def _celu_gelu(runs: Runs) -> dict[str, np.ndarray]:
    place = list(zip(*pairs(), strict=True)).index(tuple(sorted(map(NAMES.index, PAIR))))
    in_x, in_loss = _distances(runs)
    return {
        FUNCTION: _percentile(functions().distances[None], place),
        SUPERPOSITION: _percentile(in_x, place),
        LOSSES: _percentile(in_loss, place),
    }


def _percentile(distances: np.ndarray, place: int) -> np.ndarray:
    """Return the share of the other pairs that are closer than one pair, ties by half: (rows,)."""
    own = distances[:, [place]]
    others = np.isfinite(distances).sum(axis=1) - 1
    closer = (distances < own).sum(axis=1) + ((distances == own).sum(axis=1) - 1) / 2
    return np.where(np.isnan(own[:, 0]), np.nan, closer / np.maximum(others, 1))


def _related(runs: Runs) -> dict[str, np.ndarray]:
    """Spearman's correlations over all pairs, within each seed."""
    in_x, in_loss = _distances(runs)
    in_function = np.broadcast_to(functions().distances, in_x.shape)
    return {
        "rank correlation of distances in function and X": spearman(in_function, in_x),
        "rank correlation of distances in X and log loss": spearman(in_x, in_loss),
    }


def _best(runs: Runs) -> dict[str, np.ndarray]:
    """Return the non-negative and asymmetric ones less the others, mean over sparsities."""
    reachable = np.array([a != UNREACHABLE for a in NAMES])
    excess, logs = (v.mean(axis=1) for v in _models(runs))
    means = [(_over(v, group()), _over(v, ~group() & reachable)) for v in (excess, logs)]
    in_x, in_loss = (inside - outside for inside, outside in means)
    return {"X, they less the others": in_x, "log10 loss, they less the others": in_loss}


def _helps(runs: Runs) -> dict[str, np.ndarray]:
    """Least-squares coefficients of X on the attributes, in sd of each, within every seed."""
    excess = _models(runs)[0].mean(axis=1)
    given = functions().attributes
    scaled = (given - given.mean(axis=0)) / given.std(axis=0)
    basis = np.column_stack([np.ones(len(NAMES)), scaled])
    found = np.full((len(ATTRIBUTES), excess.shape[1]), np.nan)
    for seed, values in enumerate(excess.T):
        fine = np.isfinite(values)
        if fine.sum() > basis.shape[1]:
            found[:, seed] = np.linalg.lstsq(basis[fine], values[fine], rcond=None)[0][1:]
    return {f"X per sd of {k}": v for k, v in zip(ATTRIBUTES, found, strict=True)}


def _models(runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """X and log10 of the loss of NAMES, both (activation, sparsity, seed)."""
    ds = runs["study"]
    rows, columns = index(ds, NAMES), at(ds, sparser)
    excess, loss = (table(ds, k)[rows][:, columns] for k in (X, LOSS))
    return excess, np.log10(np.where(loss > 0, loss, np.nan))


def _over(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean over the chosen activations that have a value: (seeds,)."""
    rows = values[chosen]
    fine = np.isfinite(rows)
    count = fine.sum(axis=0)
    total = np.where(fine, rows, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _alone(attribute: str) -> Claim:
    """One attribute's coefficient as a separate claim."""
    label = f"X per sd of {attribute}"
    return Claim(
        name=f"{attribute}-helps",
        source="002",
        sentence=f"{attribute.capitalize()} activations superpose more, the other attributes "
        "being equal.",
        sweeps=("study",),
        statistic=lambda runs: {label: _helps(runs)[label]},
        rules={label: Above(SOME)},
        unit="features beyond m, per standard deviation of the attribute",
        between=True,
        protocol=True,
    )


CLAIMS = (
    Claim(
        name="celu-gelu",
        source="002",
        sentence="CELU and GELU are close as functions, far apart in superposition, and close in "
        "loss.",
        sweeps=("study",),
        statistic=_celu_gelu,
        rules={FUNCTION: Exactly(0, FIRST), SUPERPOSITION: Above(LAST), LOSSES: Below(FIRST)},
        unit="percentile among the 253 pairs of elementwise activations",
        between=True,
        protocol=True,
    ),
    Claim(
        name="distances-unrelated",
        source="002",
        sentence="How alike two functions are says little of their superposition, and that little "
        "of their losses.",
        sweeps=("study",),
        statistic=_related,
        rules={
            "rank correlation of distances in function and X": Below(WEAK),
            "rank correlation of distances in X and log loss": Below(WEAK),
        },
        unit="Spearman's correlation",
        protocol=True,
    ),
    Claim(
        name="non-negative-asymmetric-best",
        source="002",
        sentence="Non-negative, asymmetric activations superpose most and have the lowest losses.",
        sweeps=("study",),
        statistic=_best,
        rules={
            "X, they less the others": Above(SOME),
            "log10 loss, they less the others": Below(-SEEN),
        },
        unit="features beyond m; log10 of a ratio",
        between=True,
        protocol=True,
        note="Symmetry is that about 0: then whatever is non-negative is asymmetric, sigmoid too. "
        "GELU, which the text counts, dips below 0. Log-sigmoid is left out.",
    ),
    Claim(
        name="non-negative-asymmetric-smooth",
        source="002",
        sentence="Being non-negative, asymmetric and smooth each add to superposition.",
        sweeps=("study",),
        statistic=_helps,
        rules={f"X per sd of {k}": Above(SOME) for k in ATTRIBUTES},
        unit="features beyond m, per standard deviation of the attribute",
        between=True,
        protocol=True,
        note="Of the 23 activations that are functions of one number. Log-sigmoid counts: it is "
        "asymmetric, cannot meet any target, and keeps every feature.",
    ),
    *map(_alone, ATTRIBUTES),
)
