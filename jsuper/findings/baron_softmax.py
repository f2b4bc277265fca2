"""Baron (2025) on softmax and its relatives, on outputs in logarithms, and on exponentials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis.metrics.toy_fits import IMPROVING, failed_fits
from jsuper.analysis.reading import finished_values
from jsuper.core.status import MISSING, NON_FINITE
from jsuper.findings import baron_shapes as shapes
from jsuper.findings import values
from jsuper.findings.baron_shapes import CORRELATION, SOME, asks
from jsuper.findings.baron_sigmoids import REVERSED, each
from jsuper.findings.finding import Data, Finding
from jsuper.findings.rules import above, below, share
from jsuper.findings.values import SPARSE, SPARSER, asked, differences, levels, measure

if TYPE_CHECKING:
    import xarray

BY_TRAINING = {values.NOTEBOOK: "activations", values.ROE: "roe"}
"""Training -> its sweep as trained, with the source's number of steps."""
ALIKE = math.log10(1.25)  # a quarter of a loss is below what the text calls a difference
LOW, HIGH = 0.02, 0.2  # |cosine| that is faint: not none, and no overlap of represented features
MORE_FAINT = 0.05  # of all pairs of features, about 10 of 190
FAR = 10.0  # losses of the best constant, beyond which nothing was fitted
# Where all features are active, and at .999, all losses of softmin are above the best constant's.
OF_SOFTMIN = (0.7, 0.9, 0.97, 0.99, 0.997)


def unconverged(data: Data, name: str, training: str, sparsity: Sequence[float]) -> dict[str, Any]:
    """Return whether a loss is not finite, above 10 of the best constant's, or still falling."""
    ds = data[BY_TRAINING[training]].sel(activation=[name], sparsity=list(sparsity))
    far = finished_values(ds, "loss_over_constant") > FAR
    stuck = (ds["status"] == NON_FINITE) | far | failed_fits(ds)[IMPROVING]
    known = stuck.where(ds["status"] != MISSING).transpose("activation", "sparsity", ...)
    return {"seeds that do not converge": known[0].max("sparsity", skipna=False).values}


def log_loss(ds: xarray.Dataset) -> xarray.DataArray:
    """Return log10 of the loss."""
    loss = measure(ds, "loss")
    return loss.copy(data=np.log10(loss.values))


def faint(ds: xarray.Dataset) -> xarray.DataArray:
    """Return the share of pairs of features with |cosine| in (.02, .2)."""
    W = measure(ds, "W").transpose(..., "hidden", "feature")
    length = np.linalg.norm(W.values, axis=-2, keepdims=True)
    directions = W.values / np.where(length == 0, 1, length)
    cosines = np.abs(directions.swapaxes(-1, -2) @ directions)
    inside = ((cosines > LOW) & (cosines < HIGH)).sum(axis=(-1, -2))  # no 1 of the diagonal
    number = np.isfinite(cosines).sum(axis=(-1, -2)) - cosines.shape[-1]
    return W[..., 0, 0].copy(data=np.where(number > 0, inside / number, np.nan))


REVERSES = {"correlation with importance, softmin": "softmin"}
RATIO = "log10 of loss, solu over relu"
MORE = {"seeds with more features, solu than relu": ("solu", "relu")}
AS_TRAINED = tuple(BY_TRAINING.values())
STUCK: dict[str, Any] = {"effect": unconverged, "rules": {"seeds that do not converge": share()}}

FINDINGS: tuple[Finding, ...] = (
    asks(
        "softmin-reverses",
        "Does softmin reverse the order of importance?",
        sentence="Softmin shows an importance-reversing effect.",
        effect=levels(REVERSES, CORRELATION),
        rules=dict.fromkeys(REVERSES, below(REVERSED)),
        readings=asked(OF_SOFTMIN, count=False),
        unit="Spearman's correlation",
    ),
    asks(
        "log-softmax-fails",
        "Does log-softmax fail to converge?",
        sentence="LogSoftmax fails to converge, likely because it is unstable.",
        note="Its outputs are at most 0 and features at least 0, so that no output is better than "
        "0, which it never reaches.",
        **STUCK,
        sweeps=AS_TRAINED,
        readings=each(("log_softmax",), asked((0.0, *SPARSER), count=False)),
    ),
    asks(
        "exponentials-fail",
        "Do exp and exp linear fail to converge where features are hardly sparse?",
        sentence="Exp and exp linear, here z exp(z), fail to converge at low sparsities.",
        **STUCK,
        sweeps=AS_TRAINED,
        readings=each(("exp", "exp_linear"), asked((0.0, 0.7), count=False)),
    ),
    asks(
        "solu-more-when-dense",
        "Does SoLU superpose more than ReLU where no feature is ever absent?",
        # Nor can it be compared with softmax there, whose losses are above the best constant's.
        sentence="At first SoLU has superposition comparable to softmax, larger than ReLU.",
        **shapes.seeds_with(differences(MORE), MORE, shapes.CLOSE, math.inf),
        readings=asked((0.0,)),
    ),
    asks(
        "solu-less-when-sparse",
        "Does SoLU superpose less than ReLU as features become sparse?",
        sentence="SoLU has less superposition than ReLU as sparsity increases, as it was made to.",
        **shapes.gap({"X, solu less relu": ("solu", "relu")}, below(-SOME)),
        readings=asked(SPARSE),
    ),
    asks(
        "solu-more-low-level",
        "Has SoLU more faint overlaps than ReLU where features are sparse?",
        sentence="SoLU has a lot more low-level superposition as sparsity increases.",
        **shapes.gap(
            {"faint pairs, solu less relu": ("solu", "relu")},
            above(MORE_FAINT),
            faint,
            "share of pairs",
        ),
        readings=asked(SPARSE[1:], count=False),
    ),
    asks(
        "solu-keeps-performance",
        "Does SoLU keep the loss of ReLU?",
        place="Discussion",
        sentence="SoLU combats superposition while it keeps performance high.",
        **shapes.gap({RATIO: ("solu", "relu")}, below(ALIKE), log_loss, "log10 of a ratio"),
        readings=asked((0.0, *SPARSER), count=False),
    ),
)
