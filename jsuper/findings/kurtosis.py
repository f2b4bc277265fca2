"""Pona (2023) on kurtosis: what it says of a privileged basis, and of superposition.

Across m hidden units its null is 3(m-1)/(m+1), the mean over random rotations. Across samples it is
3 + γ(p) IPR_j, with IPR_j unit j's participation ratio and γ(p) the excess kurtosis of a feature,
so that sparsity sets most of it; γ is below 0 above a density of .413.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import kurtosis
from jsuper.analysis.reading import finished_values
from jsuper.analysis.statistics import spearman
from jsuper.findings import dropout
from jsuper.findings.dropout import ALL, BASIS, DIMS, MEASURES, ORDERED, said
from jsuper.findings.finding import Data, Finding
from jsuper.findings.notes import crossed, numbers
from jsuper.findings.placebo import shuffled
from jsuper.findings.rules import above, exactly

if TYPE_CHECKING:
    import xarray

ABOUT = 0.3  # of kurtosis, within which it is about 3: a tenth
VARIABLES = {"across samples": "neuron_kurtosis", "across units": "basis_kurtosis"}
AXES = {"along dropout": ("dropout", "sparsity"), "along density": ("sparsity", "dropout")}
RISE, LESS = "rank correlation with the rate", "rank correlation with less superposition"
BEYOND, THREE = "z with dropout less z without", "kurtosis"
RELU, IDENTITY = f"ReLU, {BEYOND}", f"identity, {BEYOND}"


def measured(ds: xarray.Dataset, name: str) -> xarray.DataArray:
    """Return a kurtosis, (sparsity, seed, dropout), the mean over units if each has its own."""
    values = finished_values(ds, VARIABLES[name], *DIMS[1:])
    return values.mean("hidden", skipna=False) if "hidden" in values.dims else values


def rises(data: Data, importance: float, sparsity: float) -> dict[str, np.ndarray]:
    """Return Spearman's correlation of a unit's kurtosis with the rate, within a seed."""
    here = dropout.plane(data).sel(importance_decay=importance, sparsity=[sparsity])
    values = measured(here, "across samples")[0]
    return {RISE: spearman(values.values, values["dropout"].values)}


def added(ds: xarray.Dataset, name: str) -> np.ndarray:
    """Return a variable at dropout .3 less that without: (seeds,)."""
    values = finished_values(ds, name, "dropout", "seed")
    return (values.sel(dropout=dropout.HIGH) - values.sel(dropout=0.0)).values


def beyond(data: Data, sparsity: float, optimizer: str = "") -> dict[str, np.ndarray]:
    """Return what dropout adds to kurtosis across units, in its spread over random rotations."""
    ds = dropout.relu(data, optimizer).sel(sparsity=sparsity)
    return {BEYOND: added(ds, "basis_kurtosis_z")}


def evidence(data: Data, name: str, measure: str, along: str) -> dict[str, np.ndarray]:
    """Return Spearman's correlation of kurtosis with less superposition, within each seed.

    Along one axis at each place of the other, and then the mean; places where the measure does not
    change have no correlation.
    """
    ds = dropout.relu(data).sel(sparsity=sorted(ALL)[1:])
    axis, other = AXES[along]
    pairs = measured(ds, name), -dropout.features(ds, measure)
    values, less = (a.transpose("seed", other, axis) for a in pairs)
    each = values.isel({axis: 0}).copy(data=spearman(values.values, less.values))
    return {LESS: each.mean(other).values}


def privileged(data: Data, optimizer: str, sparsity: float) -> dict[str, np.ndarray]:
    """Return what dropout adds to the alignment of features with hidden units."""
    ds = data["dropout_basis"].sel(optimizer=optimizer, sparsity=sparsity)
    named = {RELU: "relu", IDENTITY: "identity"}
    return {label: added(ds.sel(activation=a), "alignment_z") for label, a in named.items()}


def other_kurtosis(data: Data, rng: np.random.Generator) -> Data:
    """Return the data with the kurtosis of another rate and sparsity of the same seed."""
    mixed = shuffled(*DIMS[:3], among="dropout")(data, rng)
    mixed = shuffled("importance_decay", "seed", "dropout", among="sparsity")(mixed, rng)
    return {k: ds.assign({v: mixed[k][v] for v in VARIABLES.values()}) for k, ds in data.items()}


RISES = crossed("importance {importance:g}, S {sparsity:g}", importance=(1.0, 0.9), sparsity=ALL)

FINDINGS: tuple[Finding, ...] = (
    said(
        name="dropout-raises-kurtosis-across-samples",
        question="Does dropout raise the kurtosis of a hidden unit across samples?",
        sentence="With a higher dropout the kurtosis of the activations is higher.",
        sweeps=("dropout",),
        effect=rises,
        rules={RISE: ORDERED},
        readings=RISES,
        note=numbers("γ(p) is above 0 but at S 0, where it is -1.2. Correlation"),
    ),
    said(
        name="dropout-raises-kurtosis-across-units",
        question="Does dropout raise the kurtosis across hidden units beyond that of rotations?",
        sentence="With a higher dropout the kurtosis of an activation vector is higher.",
        sweeps=("dropout", "dropout_basis"),
        effect=beyond,
        rules={BEYOND: above(dropout.ONE_OF_20)},
        readings=dropout.SMALL_AND_LARGE,
        note=numbers("Dropout .3 less 0, m = 5 where not said", ".1f"),
    ),
    said(
        name="kurtosis-three-without-basis",
        question="Is the kurtosis of activations about 3 if no basis is privileged?",
        sentence="Activations in a basis that is not privileged should have a kurtosis of about 3.",
        effect=lambda data, m: {THREE: [kurtosis.gaussian_null(int(m.split()[-1]))]},
        rules={THREE: exactly(3, ABOUT)},
        readings=crossed("{m}", m=("m = 512", "m = 20", "m = 10", "m = 5")),
        mixed="right within limits",
        placebo=None,
        note=numbers("Exact across m units, 3(m-1)/(m+1)"),
    ),
    said(
        name="kurtosis-shows-superposition",
        question="Is a higher kurtosis evidence of less superposition?",
        sentence="The kurtosis that rises with dropout is further evidence of what dropout does; "
        "read here as less superposition.",
        sweeps=("dropout",),
        effect=evidence,
        rules={LESS: ORDERED},
        readings=crossed(
            "{name}, {along}, {measure}",
            name=tuple(VARIABLES),
            along=tuple(AXES),
            measure=MEASURES[:2],
        ),
        placebo=other_kurtosis,
        note=numbers(
            "Rotations change kurtosis, not superposition. Correlations", having=MEASURES[0]
        ),
    ),
    said(
        name="dropout-privileged-basis",
        question="Does dropout make the hidden units of the ReLU model a privileged basis?",
        sentence="A kurtosis that rises with dropout shows a privileged basis.",
        sweeps=("dropout_basis",),
        effect=privileged,
        rules={RELU: above(dropout.ONE_OF_20), IDENTITY: dropout.AT_NULL},
        readings=BASIS,
        note=numbers("Alignment with dropout .3 less without, ReLU", ".1f", RELU),
    ),
)
