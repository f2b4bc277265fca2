"""Baron (2025) in general: losses, and what superposition does to them.

Statistics are of the activations that have a value at a sparsity, within each seed, and are then
averaged over the sparsities of a reading.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis import counts
from jsuper.findings.finding import Data, Finding
from jsuper.findings.placebo import ACTIVATIONS as SHUFFLED
from jsuper.findings.rules import above, below, between
from jsuper.findings.values import SPARSER, SWEEPS, asked, selected
from jsuper.models.toy.activations.names import ACTIVATIONS

if TYPE_CHECKING:
    import xarray

LOSS = "loss_over_constant"  # comparable between sparsities
UNREACHABLE = ("log_sigmoid", "log_softmax")  # never positive, so that no target can be met
REACHABLE = tuple(a for a in ACTIVATIONS if a not in UNREACHABLE)

ALIKE = math.log10(2)  # best and worst within a factor of 2
SEEN = math.log10(1.1)  # a tenth: less would not be seen on a loss curve
SAME = math.log10(1.25)  # a quarter: what passes as no change of a loss
ORDER = 1.0  # of magnitude, the source's own
DECILE = 0.1
LEAST = 3  # activations on either side of a threshold, for a line to have a slope

READINGS = asked((SPARSER, *SPARSER))
EVERY = asked(((0.0, *SPARSER), 0.0, *SPARSER), count=False)
COSTS = {
    f"{allowed}, {label}": reading | {"allowed": most}
    for allowed, most in {"at most tenfold": ORDER, "at most a quarter": SAME}.items()
    for label, reading in READINGS.items()
}


def models(
    data: Data, training: str, sparsity: tuple, count: str = LOSS, names: tuple = REACHABLE
) -> list[xarray.DataArray]:
    """Return X and log10 of the loss, both (activation, sparsity, seed); NaN for failed fits."""
    x, loss = (selected(data, name, names, training, sparsity) for name in (count, LOSS))
    return [x, loss.copy(data=np.log10(loss.values))]


def mean(values: Any) -> np.ndarray:
    """Return the mean along the first axis of the values there are; NaN where there is none."""
    fine = np.isfinite(values)
    total = np.where(fine, values, 0).sum(axis=0)
    return np.where(fine.any(axis=0), total / np.maximum(fine.sum(axis=0), 1), np.nan)


# ---- losses ----


def spread(data: Data, **reading: Any) -> dict[str, Any]:
    """Return log10 of the largest over the smallest loss."""
    loss = models(data, **reading)[1]
    return {
        "largest over smallest": (loss.max("activation") - loss.min("activation")).mean("sparsity")
    }


def gain(data: Data, **reading: Any) -> dict[str, Any]:
    """Return how much lower the loss is in X's highest decile of activations than in its lowest.

    There is no value where both deciles have the same X.
    """
    x, loss = models(data, **reading)
    low, high = x.quantile(DECILE, "activation"), x.quantile(1 - DECILE, "activation")
    least, most = (loss.where(part).median("activation") for part in (x <= low, x >= high))
    return {"least X over most": (least - most).where(high > low).mean("sparsity")}


def cost(data: Data, allowed: float, **reading: Any) -> dict[str, Any]:
    """Return log10 of the best loss with X <= 0 over the best of all, over what is allowed.

    The linear model counts, so that some model has no superposition.
    """
    x, loss = models(data, **reading, names=(*REACHABLE, "identity"))
    found = loss.where(x <= 0).min("activation") - loss.min("activation")
    return {"best without over best": found.mean("sparsity") / allowed}


def threshold(data: Data, **reading: Any) -> dict[str, Any]:
    """Return the mean slopes of `broken_line`."""
    x, loss = (v.transpose("sparsity", "seed", ...).values for v in models(data, **reading))
    found = [list(map(broken_line, *of)) for of in zip(x, loss, strict=True)]
    labels = ("log10 loss per feature before the bend", "log10 loss per sd of X after the bend")
    return dict(zip(labels, mean(found).T, strict=True))


def broken_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return b, and c in sd of x, of the best y = a + b min(x, t) + c max(x - t, 0).

    The bend t is a value of x with at least LEAST points on either side; NaN if there is none.
    """
    fine = np.isfinite(x) & np.isfinite(y)
    x, y = x[fine], y[fine]
    best = (math.inf, math.nan, math.nan)
    for t in np.unique(x):
        if min((x < t).sum(), (x > t).sum()) >= LEAST:
            basis = np.stack([np.ones_like(x), np.minimum(x, t), np.maximum(x - t, 0)], axis=1)
            line, *_ = np.linalg.lstsq(basis, y)
            best = min(best, (((basis @ line - y) ** 2).sum(), line[1], line[2] * x.std()))
    return best[1], best[2]


# ---- placebos and notes ----


def losses_shuffled(data: Data, rng: np.random.Generator) -> Data:
    """Shuffle losses among activations, and leave X where it is."""
    return {k: data[k].assign({LOSS: ds[LOSS]}) for k, ds in SHUFFLED(data, rng).items()}


def bought(data: Data, rng: np.random.Generator) -> Data:
    """Shuffle activations, and let every feature beyond the hidden units divide the loss by 10."""
    shuffled = SHUFFLED(data, rng)
    x = {k: counts.excess(ds, next(iter(counts.COUNTS)), True) for k, ds in shuffled.items()}
    return {
        k: ds.assign({LOSS: 10.0 ** -x[k], "loss": 10.0 ** -x[k]}) for k, ds in shuffled.items()
    }


def asked_of(
    name: str, place: str, sentence: str, question: str, note: str, **more: Any
) -> Finding:
    """Return a finding of the source, under READINGS unless it says otherwise."""
    more = {"source": "baron-2025", "readings": READINGS, "unit": "log10 of a ratio"} | more
    more |= {"place": place, "sentence": sentence, "sweeps": SWEEPS, "note": note}
    return Finding(name, question, **more)


FINDINGS: tuple[Finding, ...] = (
    asked_of("losses-alike", "TL;DR", "Losses hardly differ between activations.",
        "Do losses hardly differ between activations?",
        effect=spread, rules={"largest over smallest": below(ALIKE)},
        readings=EVERY, placebo=bought,
        note="The text has 'not marginally different', read here as not even marginally. The "
        "largest is {largest over smallest:.2f} orders of magnitude above the smallest, among "
        "activations that can meet their targets and that fit."),
    asked_of("more-superposition-less-loss", "TL;DR", "More superposition goes with less loss.",
        "Do activations with more superposition have smaller losses?",
        effect=gain, rules={"least X over most": above(SEEN)}, placebo=losses_shuffled,
        note="From the tenth of activations with least X to that with most, the loss falls by "
        "{least X over most:.2f} orders of magnitude."),
    asked_of("at-most-one-order", "TL;DR", "Superposition lowers losses by at most one order.",
        "Does superposition lower the loss by at most one order of magnitude?",
        effect=lambda data, **reading: gain(data, **reading) | cost(data, ORDER, **reading),
        rules={"least X over most": below(ORDER), "best without over best": below(ORDER)},
        placebo=bought,
        note="The best model without superposition is {best without over best:.2f} orders of "
        "magnitude above the best of all."),
    asked_of("no-gain-beyond-threshold", "TL;DR",
        "Beyond a threshold, more superposition does not go with less loss.",
        "Is superposition unrelated to the loss beyond a threshold, and related to it below?",
        effect=threshold,
        rules={"log10 loss per feature before the bend": below(0),
               "log10 loss per sd of X after the bend": between(-SAME, SAME)},
        placebo=bought,
        note="Of the best broken line through a sparsity's activations, the slope beyond the bend "
        "is {log10 loss per sd of X after the bend:.2f}."),
    asked_of("superposition-dispensable", "Conclusion",
        "Some superposition can be removed without losing much performance.",
        "Can superposition be done without, at little cost in loss?",
        effect=cost, rules={"best without over best": below(1)},
        readings=COSTS, mixed="right within limits", placebo=bought,
        unit="log10 of a ratio, over what is allowed",
        note="Here all of it is removed, which is more than the text says. The best model without "
        "any, which may be linear, loses {best without over best:.2f} orders of magnitude."),
)  # fmt: skip
