"""Baron (2025) on softmax and its relatives: softmin's order, log-softmax's failure, SoLU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jsuper.claims._002_sigmoids import CORR, REVERSED, SOME, X
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
    table,
)
from jsuper.core.status import NON_FINITE, OK

if TYPE_CHECKING:
    import xarray

ORDER = 0.2  # difference in correlation that would turn a reversed order into none
BETTER = float(np.log10(1.1))  # a tenth of a loss, about what is seen on a plot
NOTHING = 0.95  # of the loss of predicting 0, from where hardly anything was learned
COMPARABLE = 1.0  # features, within which one calls two activations' superposition alike
LOW = (0.02, 0.2)  # |cosine| that is faint: not none, and no overlap of represented features
MORE_FAINT = 0.05  # of all pairs of features, about 10 of 190
FAR = 10.0  # losses of the best constant, beyond which nothing was fitted
FALLING = 0.1  # of the loss a tenth of training before; a batch's loss is too noisy for 0.01
NOISE = 2.0  # standard errors that a fall has to exceed
MOST = 0.5  # of sparsities, and of seeds: the rule where none is exceptional


def very_sparse(sparsity: np.ndarray) -> np.ndarray:
    """Sparsity .97 and above."""
    return sparsity >= 0.97


def unconverged(ds: xarray.Dataset, name: str, where: Where = everywhere) -> np.ndarray:
    """Return whether an activation did not converge at more than half of the sparsities: (seeds,).

    It did not where weights are not finite, where the loss is above 10 times that of the best
    constant, or where the loss still falls. 1 or 0; NaN where a model is missing.
    """
    index(ds, [name])
    chosen = at(ds, where)
    one = ds[["status", "loss_over_constant", "loss_curve"]].sel(activation=[name])
    status = one["status"].transpose("sparsity", "seed", ...).values
    status = status.reshape(status.shape[:2])[chosen]
    far = table(one, "loss_over_constant")[0, chosen] > FAR
    falls = still_falls(table(one, "loss_curve", "step")[0, chosen])
    failed = ((status == NON_FINITE) | far | falls).mean(axis=0) > MOST
    known = ((status == OK) | (status == NON_FINITE)).all(axis=0)
    return np.where(known, failed.astype(float), np.nan)


def still_falls(curve: np.ndarray) -> np.ndarray:
    """Return whether the last tenth of a curve (..., steps) is 10 % lower than the tenth before.

    By more than two standard errors of the difference as well: among sparse features the batches'
    losses are so noisy that curves which are level for good differ by 10 % in one case of four.
    """
    tenth = max(2, curve.shape[-1] // 10)
    last, before = curve[..., -tenth:], curve[..., -2 * tenth : -tenth]
    drop = before.mean(axis=-1) - last.mean(axis=-1)
    error = np.sqrt((before.var(axis=-1, ddof=1) + last.var(axis=-1, ddof=1)) / tenth)
    return (drop > FALLING * before.mean(axis=-1)) & (drop > NOISE * error)


SOFTMIN = labelled("correlation of |W_i| and importance, {}", ["softmin"])
OVER_BATCH = labelled("correlation of |W_i| and importance, {} less softmin", ["softmin_batch"])
FAINT = "share of pairs with |cosine| in (.02, .2), solu less relu, S >= .97"
UNREACHED = labelled(
    "least loss of {} over that of predicting 0, of all S", ("log_softmax", "log_sigmoid")
)


def _untied(runs: Runs) -> dict[str, np.ndarray]:
    """Two readings of softmin's own decoder: the order, and the loss at the same sparsities."""
    tied, untied = runs["study"], runs["untied"]
    there = untied["sparsity"].values

    def same(sparsity: np.ndarray) -> np.ndarray:
        return np.isin(sparsity, there)

    order = of(untied, CORR, "softmin") - of(tied, CORR, "softmin", same)
    losses = table(tied, "loss")[index(tied, ["softmin"])[0]][at(tied, same)]
    own = table(untied, "loss")[index(untied, ["softmin"])[0]]
    return {
        "correlation of |W_i| and importance, softmin, untied less tied": order,
        "log10 of loss, softmin, untied over tied": np.log10(own / losses).mean(axis=0),
    }


def _stuck(runs: Runs, name: str) -> dict[str, np.ndarray]:
    return {f"no convergence of {name}": unconverged(runs["study"], name)}


def _unreached(runs: Runs) -> dict[str, np.ndarray]:
    """At the sparsity where they do best: a mean over sparsities would be that of the sparsest."""
    ds = runs["study"]
    least = table(ds, "loss_over_zero")[index(ds, UNREACHED)].min(axis=1)
    return dict(zip(UNREACHED.values(), least, strict=True))


def faint(ds: xarray.Dataset, name: str, where: Where) -> np.ndarray:
    """Share of pairs of features whose |cosine| is in (.02, .2), mean over sparsities: (seeds,)."""
    index(ds, [name])
    one = ds[["W", "status"]].sel(activation=[name])
    W = table(one, "W", "hidden", "feature")[0, at(ds, where)]
    length = np.sqrt((W**2).sum(axis=-2, keepdims=True))
    units = W / np.where(length == 0, 1, length)
    cosines = np.abs(units.swapaxes(-1, -2) @ units)
    inside = ((cosines > LOW[0]) & (cosines < LOW[1])).sum(axis=(-1, -2))  # no 1 of the diagonal
    share = inside / (W.shape[-1] * (W.shape[-1] - 1))
    return np.where(np.isnan(W).any(axis=(-1, -2)), np.nan, share).mean(axis=0)


def _solu(runs: Runs, label: str, other: str, where: Where) -> dict[str, np.ndarray]:
    return against(runs, {"solu": label}, X, other, where)


def _low_level(runs: Runs) -> dict[str, np.ndarray]:
    ds = runs["study"]
    return {FAINT: faint(ds, "solu", very_sparse) - faint(ds, "relu", very_sparse)}


CLAIMS = (
    Claim(
        name="softmin-reverses",
        source="002",
        sentence="Softmin reverses the order of importance.",
        sweeps=("study",),
        statistic=partial(each, labels=SOFTMIN, variable=CORR, where=everywhere),
        rules=dict.fromkeys(SOFTMIN.values(), Below(REVERSED)),
        unit="Spearman's correlation",
        protocol=True,
        note="Softmax over the features; the text does not say which axis it took.",
    ),
    Claim(
        name="softmin-untied",
        source="002",
        sentence="Softmin reverses the order because the decoder is tied to the encoder.",
        sweeps=("study", "untied"),
        statistic=_untied,
        rules={
            "correlation of |W_i| and importance, softmin, untied less tied": Above(ORDER),
            "log10 of loss, softmin, untied over tied": Below(-BETTER),
        },
        unit="difference in Spearman's correlation, and powers of ten",
        note="An explanation of what the text leaves open: a feature's own weight |W_i|² >= 0 "
        "lowers its own output, and only an untied decoder could turn that round.",
    ),
    Claim(
        name="softmin-over-batch",
        source="002",
        sentence="Softmin reverses the order because it is normalised over the batch.",
        sweeps=("study",),
        statistic=partial(
            against, labels=OVER_BATCH, variable=CORR, other="softmin", where=everywhere
        ),
        rules=dict.fromkeys(OVER_BATCH.values(), Below(-ORDER)),
        unit="difference in Spearman's correlation",
        between=True,
        note="An explanation of what the text leaves open: where no axis is given, PyTorch takes "
        "that of the batch for an output of three axes.",
    ),
    Claim(
        name="log-softmax-fails",
        source="002",
        sentence="Log-softmax does not converge.",
        sweeps=("study",),
        statistic=partial(_stuck, name="log_softmax"),
        rules={"no convergence of log_softmax": Rate(MOST)},
        unit="share of seeds",
        protocol=True,
        note="No convergence: weights that are not finite, a loss above 10 times that of the best "
        "constant, or one that still falls by 10 % in a tenth of training, at most sparsities.",
    ),
    Claim(
        name="log-outputs-unreachable",
        source="002",
        sentence="Log-softmax and log-sigmoid fail because no output of theirs is positive.",
        sweeps=("study",),
        statistic=_unreached,
        rules=dict.fromkeys(UNREACHED.values(), Above(NOTHING)),
        unit="losses of predicting 0",
        protocol=True,
        note="An explanation; the text suspects instability. Features are never negative.",
    ),
    Claim(
        name="log-softmax-over-batch-fails",
        source="002",
        sentence="Log-softmax does not converge over the batch either: the axis is not the cause.",
        sweeps=("study",),
        statistic=partial(_stuck, name="log_softmax_batch"),
        rules={"no convergence of log_softmax_batch": Rate(MOST)},
        unit="share of seeds",
        note="An explanation; the text does not say which axis it took.",
    ),
    Claim(
        name="solu-more-when-dense",
        source="002",
        sentence="Where no feature is ever absent, SoLU superposes more than ReLU.",
        sweeps=("study",),
        statistic=partial(_solu, label="X, solu less relu, S = 0", other="relu", where=dense),
        rules={"X, solu less relu, S = 0": Above(SOME)},
        unit="features beyond m",
        between=True,
        protocol=True,
    ),
    Claim(
        name="solu-as-softmax-when-dense",
        source="002",
        sentence="Where no feature is ever absent, SoLU superposes about as much as softmax.",
        sweeps=("study",),
        statistic=partial(_solu, label="X, solu less softmax, S = 0", other="softmax", where=dense),
        rules={"X, solu less softmax, S = 0": Between(-COMPARABLE, COMPARABLE)},
        unit="features beyond m",
        protocol=True,
    ),
    Claim(
        name="solu-less-when-sparse",
        source="002",
        sentence="As features become sparse, SoLU superposes less than ReLU.",
        sweeps=("study",),
        statistic=partial(
            _solu, label="X, solu less relu, S >= .97", other="relu", where=very_sparse
        ),
        rules={"X, solu less relu, S >= .97": Below(-SOME)},
        unit="features beyond m",
        between=True,
        protocol=True,
    ),
    Claim(
        name="solu-low-level",
        source="002",
        sentence="SoLU has more faint overlaps of features than ReLU where they are sparse.",
        sweeps=("study",),
        statistic=_low_level,
        rules={FAINT: Above(MORE_FAINT)},
        unit="share of pairs",
        between=True,
        protocol=True,
    ),
)
