"""Baron (2025) on losses: their range, how alike they are, and what superposition does to them."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from jsuper.claims.claim import Claim, Runs
from jsuper.claims.rules import Above, Below, Between
from jsuper.claims.values import Where, at, everywhere, index, sparser, table
from jsuper.models.toy.activations.names import ACTIVATIONS

X = "excess"  # features represented beyond the hidden units
LOSS = "loss_over_constant"  # comparable between sparsities

UNREACHABLE = ("log_sigmoid", "log_softmax")  # never positive, so no target can be met
REACHABLE = tuple(a for a in ACTIVATIONS if a not in UNREACHABLE)

RANGE = (1e-4, 1e-3)  # the source's own
MOST = 0.5  # of the cells: what "the losses are in a range" says at the least
ALIKE = math.log10(2)  # best and worst of 25 activations within a factor of 2
SEEN = math.log10(1.1)  # a tenth: less would not be seen on a loss curve
ORDER = 1.0  # of magnitude, the source's own
SAME = math.log10(1.25)  # a quarter: what passes as no change of a loss
DECILE = 0.1
LEAST = 3  # activations on either side of a threshold, for a line to have a slope

GAIN = "log10 of the loss with least over that with most X"
COST = "log10 of the best loss with X <= 0 over the best of all"
LARGEST_COST = f"{COST}, largest of all sparsities"


def _in_range(runs: Runs) -> dict[str, np.ndarray]:
    """Models without a finite loss are not in the range."""
    ds = runs["study"]
    raw = table(ds, "loss")[index(ds, ACTIVATIONS)]
    inside = (raw >= RANGE[0]) & (raw <= RANGE[1])
    return {"share of activations and sparsities": inside.mean(axis=(0, 1))}


def _spread(runs: Runs) -> dict[str, np.ndarray]:
    """Largest over smallest loss of a sparsity, among the activations that have one."""
    _, logs = _models(runs, everywhere)
    span = _quantile(logs, 1) - _quantile(logs, 0)
    return {"log10 of the largest loss over the smallest": span.mean(axis=0)}


def _deciles(runs: Runs) -> dict[str, np.ndarray]:
    """Return how much lower the loss is in X's highest decile of activations than in its lowest.

    No value of a sparsity at which both deciles have the same X.
    """
    excess, logs = _models(runs, sparser)
    low, high = _quantile(excess, DECILE), _quantile(excess, 1 - DECILE)
    least = _quantile(np.where(excess <= low, logs, np.nan), 0.5)
    most = _quantile(np.where(excess >= high, logs, np.nan), 0.5)
    return {GAIN: _known_mean(np.where(high > low, least - most, np.nan))}


def _at_most(runs: Runs) -> dict[str, np.ndarray]:
    """Return the same, and the sparsity at which superposition lowers the best loss most."""
    return _deciles(runs) | {LARGEST_COST: _quantile(_costs(runs), 1)}


def _threshold(runs: Runs) -> dict[str, np.ndarray]:
    """Slopes of a broken line in X, of every sparsity and seed by itself."""
    excess, logs = _models(runs, sparser)
    below, above = broken_line(np.moveaxis(excess, 0, -1), np.moveaxis(logs, 0, -1))
    spread = _known_mean((excess - _known_mean(excess)) ** 2) ** 0.5
    return {
        "log10 loss per feature below the threshold": _known_mean(below),
        "log10 loss per sd of X beyond the threshold": _known_mean(above * spread),
    }


def _without(runs: Runs) -> dict[str, np.ndarray]:
    return {COST: _known_mean(_costs(runs))}


def _costs(runs: Runs) -> np.ndarray:
    """log10 of the best loss without superposition over the best of all: (sparsity, seed).

    The linear model counts, so that some model has none at every sparsity.
    """
    excess, logs = _models(runs, sparser, (*REACHABLE, "identity"))
    return _quantile(np.where(excess <= 0, logs, np.nan), 0) - _quantile(logs, 0)


def broken_line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the slopes b and c of y = a + b min(x, τ) + c max(x - τ, 0), each (...,).

    Parameters
    ----------
    x, y
        (..., points). τ is the x of the smallest squared error that has at least LEAST
        points below and as many above it; both slopes are NaN where there is none.
    """
    fine = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(fine, x, 0), np.where(fine, y, 0)
    tau, points = x[..., :, None], x[..., None, :]  # a candidate is every point's x
    basis = np.stack([np.ones_like(tau + points), *_pieces(points, tau)], axis=-1)
    basis = basis * fine[..., None, :, None]
    beside = [(side & fine[..., None, :]).sum(axis=-1) for side in (points < tau, points > tau)]
    valid = fine & (beside[0] >= LEAST) & (beside[1] >= LEAST)
    turned = np.swapaxes(basis, -1, -2)
    gram = np.where(valid[..., None, None], turned @ basis, np.eye(3))
    right = turned @ y[..., None, :, None]
    found = np.linalg.solve(gram, right)
    explained = np.where(valid, (found * right).sum(axis=(-2, -1)), -np.inf)
    best = explained.argmax(axis=-1)[..., None]
    slopes = (np.take_along_axis(found[..., k, 0], best, axis=-1)[..., 0] for k in (1, 2))
    below, above = (np.where(valid.any(axis=-1), s, np.nan) for s in slopes)
    return below, above


def _pieces(x: np.ndarray, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(x, tau), np.maximum(x - tau, 0)


def _models(
    runs: Runs, where: Where, names: Iterable[str] = REACHABLE
) -> tuple[np.ndarray, np.ndarray]:
    """X and log10 of the loss, both (activation, sparsity, seed)."""
    ds = runs["study"]
    rows, columns = index(ds, names), at(ds, where)
    excess, loss = (table(ds, k)[rows][:, columns] for k in (X, LOSS))
    return excess, np.log10(np.where(loss > 0, loss, np.nan))


def _quantile(values: np.ndarray, share: float) -> np.ndarray:
    """Return a quantile along the first axis of the values there are; NaN where there is none."""
    count = np.isfinite(values).sum(axis=0)
    place = share * np.maximum(count - 1, 0)
    low, high = np.floor(place).astype(int)[None], np.ceil(place).astype(int)[None]
    values = np.sort(values, axis=0)  # NaN last
    below, above = (np.take_along_axis(values, k, axis=0)[0] for k in (low, high))
    return below + (place - low[0]) * (above - below)


def _known_mean(values: np.ndarray) -> np.ndarray:
    """Mean along the first axis of the values there are; NaN where there is none."""
    fine = np.isfinite(values)
    count = fine.sum(axis=0)
    total = np.where(fine, values, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


CLAIMS = (
    Claim(
        name="losses-in-range",
        source="002",
        sentence="Losses lie between 1e-4 and 1e-3.",
        sweeps=("study",),
        statistic=_in_range,
        rules={"share of activations and sparsities": Above(MOST)},
        unit="share",
        note="Raw losses: how sparse the features are, and the mean over 20 of them, set the "
        "scale. The text also says that two activations did not converge.",
    ),
    Claim(
        name="losses-alike",
        source="002",
        sentence="Losses hardly differ between activations.",
        sweeps=("study",),
        statistic=_spread,
        rules={"log10 of the largest loss over the smallest": Below(ALIKE)},
        unit="log10 of a ratio",
        protocol=True,
        note="Of the 25 activations that can meet their targets; log-sigmoid and log-softmax are "
        "never positive. The conclusion says that some have the lowest losses.",
    ),
    Claim(
        name="more-superposition-less-loss",
        source="002",
        sentence="Activations with more superposition have smaller losses.",
        sweeps=("study",),
        statistic=_deciles,
        rules={GAIN: Above(SEEN)},
        unit="log10 of a ratio",
        protocol=True,
        note="Softplus, exp, sigmoid and softmin, whose outputs are never 0, count: sparse "
        "targets cost them dear, and they may keep every feature.",
    ),
    Claim(
        name="at-most-one-order",
        source="002",
        sentence="Superposition lowers the loss by at most one order of magnitude.",
        sweeps=("study",),
        statistic=_at_most,
        rules={GAIN: Below(ORDER), LARGEST_COST: Below(ORDER)},
        unit="log10 of a ratio",
        protocol=True,
    ),
    Claim(
        name="no-gain-beyond-threshold",
        source="002",
        sentence="Up to a threshold more superposition goes with less loss; beyond it the two are "
        "unrelated.",
        sweeps=("study",),
        statistic=_threshold,
        rules={
            "log10 loss per feature below the threshold": Below(0),
            "log10 loss per sd of X beyond the threshold": Between(-SAME, SAME),
        },
        unit="log10 of a ratio",
        protocol=True,
        note="Between activations, within each sparsity; the threshold is the best-fitting one.",
    ),
    Claim(
        name="cheap-without-superposition",
        source="002",
        sentence="Doing without superposition costs less than an order of magnitude of loss.",
        sweeps=("study",),
        statistic=_without,
        rules={COST: Below(ORDER)},
        unit="log10 of a ratio",
        protocol=True,
        note="The best of the activations that can meet their targets and the linear model.",
    ),
    Claim(
        name="free-without-superposition",
        source="002",
        sentence="Superposition can be done without at next to no cost in loss.",
        sweeps=("study",),
        statistic=_without,
        rules={COST: Below(SAME)},
        unit="log10 of a ratio",
        protocol=True,
        note="The text speaks of removing some of it, which is weaker.",
    ),
)
