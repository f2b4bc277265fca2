"""Pona (2023) on dropout: whether it reduces superposition, why it might, and what it costs.

Dropout at rate q sets each hidden unit to 0 with probability q. Models of one seed see the same
data and masks, so effects are taken within a seed. W becomes shorter with q: the least linear loss
has WWᵀ = (1-q) 1. Counts beside the longest feature, and dimensionality, do not change with that.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis import counts, dropout, superposition
from jsuper.analysis.reading import finished_values
from jsuper.analysis.statistics import spearman
from jsuper.findings.finding import Data, Finding
from jsuper.findings.notes import crossed, numbers
from jsuper.findings.placebo import shuffled
from jsuper.findings.rules import above, below, between, exactly

if TYPE_CHECKING:
    import xarray

FEWER = 0.25 / 0.5  # features, or units, per unit of q: a fourth of one over rates to .5
ORDERED = above(0.2, bounds=(-1, 1))  # rank correlation from which an order is visible
ONE_OF_20 = 2.0  # standard deviations beyond which one of 20 random rotations lies
AT_NULL = between(-ONE_OF_20, ONE_OF_20)
ERROR = 0.02  # of a chance
HIGH, MOST_UNITS = 0.3, 8
DIMS = ("importance_decay", "sparsity", "seed", "dropout")
ALL = (0.9, 0.97, 0.99, 0.0, 0.7)  # sparsities, the source's first
SHARING = "m over mean dimensionality"
MEASURES = ("|W_i| > half of the longest", SHARING, "R² > 1/2", "|W_i| > 1/2")

SLOPE, MISSED = "slope", "distance from (1-q)^n"
HITS, BY_CHANCE = "rank correlation of hits and disturbance", "less that of Gaussian weights"
PLACEBO = shuffled("activation", "optimizer", *DIMS[:3], among="dropout")


def untrained(data: Data, rng: np.random.Generator) -> Data:
    """Return the data with Gaussian weights."""
    found = {}
    for name, ds in data.items():
        W = ds["W"].copy(data=rng.normal(size=ds["W"].shape))
        found[name] = ds.assign(W=W, feature_norm=(W**2).sum("hidden") ** 0.5)
    return found


def of_sparse(data: Data, rng: np.random.Generator) -> Data:
    """Return the data with the models of sparse features, of other seeds, at sparsity 0."""
    ds = data["dropout"].sel(sparsity=[0.97])
    ds = ds.isel(seed=rng.permutation(ds.sizes["seed"]))
    return {"dropout": ds.assign_coords(sparsity=[0.0], seed=data["dropout"]["seed"])}


def plane(data: Data) -> xarray.Dataset:
    """Return the sweep of rates, sparsities and importances, m = 5."""
    return data["dropout"].sel(activation="relu")


def relu(data: Data, optimizer: str = "") -> xarray.Dataset:
    """Return uniform importance: of an optimizer at m = 10, or of `plane`."""
    if optimizer:
        return data["dropout_basis"].sel(activation="relu", optimizer=optimizer)
    return plane(data).sel(importance_decay=1.0)


def slope(values: xarray.DataArray) -> np.ndarray:
    """Return the least-squares slope on the rate; values (..., dropout) give (...)."""
    away = (values["dropout"] - values["dropout"].mean()).values
    return values.transpose(..., "dropout").values @ away / (away @ away)


def features(ds: xarray.Dataset, measure: str) -> xarray.DataArray:
    """Return represented features by one of `MEASURES`, (sparsity, seed, dropout).

    `SHARING` is m/D, D the mean dimensionality of features above half of the longest: how many
    features the m dimensions hold if each has as much as these.
    """
    if measure != SHARING:
        return counts.represented(ds, measure).transpose(*DIMS[1:])
    each = finished_values(ds, "dimensionality").where(counts.near_longest(ds))
    mean = each.mean("feature").where(ds["failed_fit"] != 1)
    return (ds["n_hidden"] / mean).transpose(*DIMS[1:])


def reduction(
    data: Data, measure: str, sparsity: float, importance: float = 1.0
) -> dict[str, np.ndarray]:
    """Return the slope of a measure, at importance^i of feature i."""
    here = plane(data).sel(importance_decay=importance, sparsity=[sparsity])
    return {SLOPE: slope(features(here, measure))[0]}


def left_alone(share: np.ndarray, rate: np.ndarray | float, lost: float = 0.0) -> np.ndarray:
    """Return the chance, over all masks, that dropout takes at most a share of a feature.

    The parts W_ji²/|W_i|² are (..., m, n), rates broadcast to (...,), and chances are (..., n).
    """
    m = share.shape[-2]
    masks = np.arange(2**m)[:, None] >> np.arange(m) & 1  # 1 is dropped
    number, q = masks.sum(axis=1), np.asarray(rate, float)[..., None]
    chance = q**number * (1 - q) ** (m - number)
    return (chance[..., None] * (masks @ share <= lost + 1e-9)).sum(axis=-2)


def escape(data: Data, n: str) -> dict[str, Any]:
    """Return how far the chance is from (1-q)^n: of equal parts, or of trained features."""
    ds = plane(data)
    ds = ds.sel(dropout=ds["dropout"] > 0)
    rates = ds["dropout"].values
    if n == "equal parts":
        k = np.arange(1, MOST_UNITS + 1)
        found = [left_alone(np.full((m, 1), 1 / m), rates)[:, 0] for m in k]
        return {MISSED: np.abs(found - (1 - rates) ** k[:, None]).ravel()}
    W, counted = weights_of(ds, *DIMS)
    units = dropout.units_used(W) if n == "trained, n used" else W.shape[-2]
    chance = left_alone(superposition.directions(W) ** 2, rates, dropout.LOST)
    away = counted.copy(data=np.abs(chance - (1 - rates[:, None]) ** units)).where(counted)
    return {MISSED: away.mean(("feature", *DIMS[:2], DIMS[3])).values}


def weights_of(ds: xarray.Dataset, *dims: str) -> tuple[np.ndarray, xarray.DataArray]:
    """Return W (*dims, m, n), and which features count (*dims, n): others have no direction."""
    W = finished_values(ds, "W", *dims, "hidden", "feature").values
    return W, counts.near_longest(ds).transpose(*dims, "feature")


def exposure(data: Data, **at: float) -> dict[str, np.ndarray]:
    """Return Spearman's correlation over a model's features, mean over models of a seed.

    Of the chance of a hit, 1-(1-q)^k on k units above a tenth of its length, with the variance of
    reading it back, q/(1-q) Σ_j u_j⁴. That of Gaussian weights is what arithmetic alone gives.
    """
    found = []
    for trained in (data, untrained(data, np.random.default_rng(0))):
        ds = plane(trained)
        ds = ds.sel(dropout=ds["dropout"] > 0).sel({axis: [value] for axis, value in at.items()})
        W, counted = weights_of(ds, *DIMS)
        rates = np.broadcast_to(ds["dropout"].values, W.shape[:-2])
        hit = np.where(counted, 1 - dropout.untouched_chance(W, rates), np.nan)
        each = spearman(hit, dropout.readback_variance(W, rates))
        models = counted.isel(feature=0).astype(float).copy(data=each)
        found.append(models.mean((*DIMS[:2], DIMS[3])).values)
    return {HITS: found[0], BY_CHANCE: found[0] - found[1]}


BASIS = crossed(
    "m 10, {optimizer}, S {sparsity:g}", optimizer=("adamw", "sgd(2)"), sparsity=(0.7, 0.9, 0.97)
)
BY_SPARSITY = crossed("S {sparsity:g}", sparsity=ALL)
SMALL_AND_LARGE = BY_SPARSITY | BASIS
said = partial(Finding, source="pona-2023", place="comment", placebo=PLACEBO)

FINDINGS: tuple[Finding, ...] = (
    said(
        name="dropout-less-superposition",
        question="Does dropout reduce superposition?",
        sentence="Dropout makes each feature's direction vary, so that features cannot be as "
        "packed.",
        sweeps=("dropout",),
        effect=reduction,
        rules={SLOPE: below(-FEWER)},
        readings=crossed("{measure}, S {sparsity:g}", measure=MEASURES, sparsity=ALL),
        unit="features per unit of the rate",
        note=numbers(
            "R² and |W_i| fall also if W only becomes shorter. Slopes", ".1f", having=MEASURES[0]
        ),
    ),
    said(
        name="dropout-exception",
        question="Is dropout without effect on superposition of dense, unequal features?",
        place="post",
        sentence="Dropout does not inhibit superposition of dense features of decaying importance.",
        sweeps=("dropout",),
        effect=lambda data, measure: reduction(data, measure, 0.0, importance=0.9),
        rules={SLOPE: above(-FEWER)},
        readings=crossed("{measure}", measure=MEASURES),
        placebo=of_sparse,
        unit="features per unit of the rate",
        note=numbers("R² and |W_i| fall also if W only becomes shorter. Slopes", ".1f"),
    ),
    said(
        name="dropout-leaves-alone",
        question="Does dropout leave a feature on n units alone with chance (1-q)^n?",
        sentence="The chance that a feature on n neurons is not perturbed at all is (1-q)^n.",
        sweeps=("dropout",),
        effect=escape,
        rules={MISSED: exactly(0, ERROR)},
        readings=crossed("{n}", n=("equal parts", "trained, n used", "trained, n = m")),
        mixed="right within limits",
        placebo=None,
        note=numbers(
            "n used counts units above a tenth of a feature's length, and losing 1 % of its square "
            "is no loss. Mean distance over all masks",
            form=".3f",
        ),
    ),
    said(
        name="spreading-exposes",
        question="Does dropout disturb features more that it hits more often?",
        sentence="Dropout may inhibit superposition because spreading a feature over neurons "
        "exposes it to a higher chance of being perturbed.",
        sweeps=("dropout",),
        effect=exposure,
        rules={HITS: ORDERED, BY_CHANCE: above(0)},
        readings={
            "all trained": {},
            **crossed("q {dropout:g}", dropout=(0.05, 0.1, 0.2, 0.3, 0.5, 0.7)),
            **BY_SPARSITY,
        },
        placebo=untrained,
        note=numbers("More units are hit more often, and lose less by it. Correlation", label=HITS),
    ),
    said(
        name="dropout-in-transformers",
        question="Is the effect of dropout more complex in transformers of several layers?",
        sentence="In multilayer transformers the effect is suspected to be more complex.",
        untestable="It needs transformers, which the text has not explored either.",
        placebo=None,
    ),
)
