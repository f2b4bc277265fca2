"""Baron (2025) on sigmoids, bounded activations, softplus and the shrinks."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.findings import baron_shapes as shapes
from jsuper.findings import values
from jsuper.findings.baron_shapes import CORRELATION, SOME, asks, less
from jsuper.findings.finding import Data, Finding
from jsuper.findings.rules import above, below, between, share
from jsuper.findings.values import SPARSE, SPARSER, asked, differences

if TYPE_CHECKING:
    import xarray

MUCH = 0.5  # features, the least that is much where ReLU has only begun
NONE = 0.5  # features, below which no whole one is in superposition
REVERSED = -0.2  # correlation of 20 ranks from which one sees the order as reversed
WORSE = 0.1  # in a correlation, half of that: the least difference that counts
HEALED = 0.2  # in a correlation, what has to go where an error of rounding is the cause
TOUCHED = 0.1  # |W_i| from which a feature is seen in a picture of WᵀW
NO_ORDER = 0.3  # correlation of 20 ranks within which one sees no order
FAINTER = 0.05  # of a feature's squared length, the least difference in |W_i . W_j| seen

ROUNDED = "{}, {}, float64 less float32"
SIGMOIDS, WORST = ("sigmoid", "hardsigmoid"), ("softsign", "log_sigmoid")
SHRINKS = ("hardshrink", "softshrink", "tanhshrink")


def each(names: Collection[str], readings: Mapping[str, Mapping]) -> dict[str, Mapping]:
    """Return the readings of each activation by itself, where a text speaks of several alike."""
    return {f"{n}, {label}": {**some, "name": n} for n in names for label, some in readings.items()}


def more(data: Data, name: str, **reading: Any) -> Mapping[str, Any]:
    """Return X of one activation less that of ReLU."""
    return differences({"X less relu's": (name, "relu")})(data, **reading)


def both(data: Data, names: tuple[str, str], variable: str, failed: bool, **at: Any) -> list:
    """Return a measure of the same models in two sweeps: (seeds,) each."""
    return [values.measure(data[name], variable, failed).sel(at).values for name in names]


def by_precision(data: Data, sparsity: Sequence[float], count: str, **_: Any) -> dict[str, Any]:
    """Compare float64 with float32; both fits may have failed, as rounding is in question."""
    found = {}
    for word, variable in (("correlation", CORRELATION), ("X", count)):
        for name in SIGMOIDS:
            at = {"activation": name, "sparsity": sparsity[0]}
            double, single = both(data, ("precision", "activations"), variable, True, **at)
            found[ROUNDED.format(word, name)] = double - single
    return found


def swapped(first: str, second: str) -> Callable[[Data, np.random.Generator], Data]:
    """Return the placebo in which two sweeps exchange their models, in seeds drawn by lot."""
    names = ["status", "failed_fit", "feature_norm", "r_squared", CORRELATION, "loss"]

    def placebo(data: Data, rng: np.random.Generator) -> Data:
        import xarray as xr

        one, other = xr.align(data[first][names], data[second][names], join="inner")
        lot = xr.DataArray(rng.random(one.sizes["seed"]) < 0.5, {"seed": one["seed"]})
        return {first: xr.where(lot, other, one), second: xr.where(lot, one, other)}

    return placebo


def touched(ds: xarray.Dataset) -> xarray.DataArray:
    """Return the number of features with |W_i| > 0.1."""
    norm = values.measure(ds, "feature_norm")
    return (norm > TOUCHED).where(norm.notnull()).sum("feature", skipna=False)


def overlap(ds: xarray.Dataset) -> xarray.DataArray:
    """Return the mean |W_i . W_j| of touched features; NaN where there are fewer than two."""
    W = values.measure(ds, "W").transpose(..., "hidden", "feature")
    products = np.abs(W.values.swapaxes(-1, -2) @ W.values)
    seen = np.diagonal(products, axis1=-2, axis2=-1) > TOUCHED**2
    pairs = seen[..., None] & seen[..., None, :] & ~np.eye(W.sizes["feature"], dtype=bool)
    number = pairs.sum(axis=(-1, -2))
    total = np.where(pairs, products, 0).sum(axis=(-1, -2))
    return W[..., 0, 0].copy(data=total / np.where(number, number, np.nan))


def every(data: Data, training: str, sparsity: Sequence[float]) -> dict[str, Any]:
    """Return whether softplus touches every feature, and in which order of importance."""
    ds = data[values.TRAININGS[training]].sel(activation=["softplus"], sparsity=list(sparsity))
    number = touched(ds)[0].mean("sparsity", skipna=False)
    all_of_them = (number == ds.sizes["feature"]).where(number.notnull())
    order = values.measure(ds, CORRELATION)[0].mean("sparsity", skipna=False)
    return {"seeds, all touched": all_of_them.values, "correlation": order.values}


MANY, SMALL = (less(label, SHRINKS) for label in ("touched, {} less relu", "overlap, {} less relu"))
OF_NOTEBOOK = asked(SPARSER, trainings=(values.NOTEBOOK,))
# Quick: at the least sparsity above 0. Enormous: over all of them.
QUICK = asked((0.7, SPARSER), trainings=(values.NOTEBOOK,))
QUICK |= asked((0.9, SPARSER), trainings=(values.ROE,))
UNIMPORTANT = {f"correlation with importance, {name}": name for name in SIGMOIDS}
WORSE_X = less("X, {} less sigmoid", WORST, "sigmoid")
WORSE_ORDER = less("correlation, {} less sigmoid", WORST, "sigmoid")
LIMITED = {f"seeds with no feature beyond m, {name}": name for name in ("tanh", "hardtanh", "selu")}

FINDINGS: tuple[Finding, ...] = (
    asks(
        "sigmoids-quick",
        "Do sigmoid and hardsigmoid superpose much more than ReLU, and at once?",
        sentence="Sigmoid and hardsigmoid show enormous, quick superposition.",
        effect=more,
        rules={"X less relu's": above(MUCH)},
        readings=each(SIGMOIDS, QUICK),
    ),
    asks(
        "sigmoids-unimportant",
        "Do sigmoid and hardsigmoid superpose unimportant features?",
        sentence="The superposition of sigmoid and hardsigmoid is of unimportant features.",
        effect=values.levels(UNIMPORTANT, CORRELATION),
        rules=dict.fromkeys(UNIMPORTANT, below(REVERSED)),
        readings=asked(SPARSER, count=False),
        unit="Spearman's correlation",
    ),
    asks(
        "softsign-log-sigmoid-worse",
        "Do softsign and log-sigmoid superpose still more, and less important features?",
        sentence="Softsign and log-sigmoid are even worse in this regard than the sigmoids.",
        effect=values.together(differences(WORSE_X), differences(WORSE_ORDER, CORRELATION)),
        rules=dict.fromkeys(WORSE_X, above(SOME)) | dict.fromkeys(WORSE_ORDER, below(-WORSE)),
    ),
    asks(
        "sigmoids-floating-point",
        "Is the pattern of the sigmoids a floating point error?",
        sentence="The superposition of the sigmoids may be a bug or a floating point error.",
        sweeps=("activations", "precision"),
        effect=by_precision,
        rules={ROUNDED.format("correlation", name): above(HEALED) for name in SIGMOIDS}
        | {ROUNDED.format("X", name): below(-MUCH) for name in SIGMOIDS},
        readings=OF_NOTEBOOK,
        placebo=swapped("activations", "precision"),
    ),
    asks(
        "bounded-limited",
        "Do tanh, hardtanh and SELU hardly superpose?",
        sentence="Tanh, hardtanh and SELU show very limited superposition; tanh eliminates it.",
        **shapes.seeds_with(values.levels(LIMITED), LIMITED, -math.inf, NONE),
        readings=asked(SPARSE),
    ),
    asks(
        "softplus-touches-all",
        "Does softplus touch every feature, regardless of importance?",
        sentence="Softplus touches every single feature, regardless of importance.",
        effect=every,
        rules={"seeds, all touched": share(), "correlation": between(-NO_ORDER, NO_ORDER)},
        readings=asked(SPARSE, count=False),
    ),
    asks(
        "shrinks-many-and-small",
        "Do the shrinks touch more features than ReLU, with smaller overlaps |W_i . W_j|?",
        sentence="The shrinks show lots of superposition, though of small amplitude.",
        effect=values.together(differences(MANY, touched), differences(SMALL, overlap)),
        rules=dict.fromkeys(MANY, above(SOME)) | dict.fromkeys(SMALL, below(-FAINTER)),
        readings=asked(SPARSE, count=False),
    ),
)
