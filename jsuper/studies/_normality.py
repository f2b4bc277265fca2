"""Of the study of GELU: the pre-activations of trained models, and what is passed back there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.gating import gate_under, normality, preactivations, profile
from jsuper.core.text import format_number
from jsuper.studies._paired import adjusted, row
from jsuper.studies.answer import Answer, Row

if TYPE_CHECKING:
    import xarray

ACTIVATIONS = ("gelu", "silu", "relu")
COLUMNS = 4096  # samples of the pre-activations
MARGIN = 0.05  # a distance above it is not roughly normal


def normal(ds: xarray.Dataset) -> Answer:
    """How normal the pre-activations of trained models are, and what their gates pass back."""
    ds = ds.sel(dropout=0.0)
    rows: list[Row] = []
    for activation in ACTIVATIONS:
        for sparsity in ds["sparsity"].values:
            rows += _cell(ds.sel(activation=activation, sparsity=sparsity))
    rows = list(adjusted(rows))
    distances = [r.value for r in rows if r.case.startswith("distance")]
    shares = [r.value for r in rows if r.case.startswith("squared") and "gelu" in r.case]
    low, high = format_number(min(distances)), format_number(max(distances))
    verdict = "No" if min(distances) > MARGIN else "Not all" if max(distances) > MARGIN else "Yes"
    return Answer(
        "Are pre-activations of trained models roughly normal, as GELU's derivation has it?",
        "of models without random gate and dropout: Kolmogorov and Smirnov's distance of a "
        f"feature's pre-activations to the fitted normal (a normal sample of {COLUMNS:,} has about "
        f"{format_number(0.6 / COLUMNS**0.5, 2)}; roughly normal is at most {MARGIN}) and their "
        "excess kurtosis, means over features; and what inactive units carry there, whose null is "
        "its value under N(0, 1)",
        f"{verdict}: the distance is {low} to {high}. GELU's inactive units carry "
        f"{format_number(min(shares))} to {format_number(max(shares))} of the squared gradient, "
        f"{format_number(profile('gelu').gate.gradient_share)} under N(0, 1).",
        tuple(rows),
    )


def _cell(cell: xarray.Dataset) -> list[Row]:
    """Return the rows of one activation and sparsity, from a Dataset over seeds."""
    import jsuper

    activation, sparsity = str(cell["activation"].item()), float(cell["sparsity"])
    found = []
    for seed in cell["seed"].values:
        one = cell.sel(seed=seed)
        x = jsuper.sample(
            jsuper.seed_key(int(seed)),
            sparsity=sparsity,
            n_features=one.sizes["feature"],
            batch=COLUMNS,
        )
        z = np.asarray(preactivations(one["W"].values, one["b"].values, np.asarray(x)))
        shape, gate = normality(z), gate_under(activation, z)
        numbers = (np.mean(shape.ks_distance), np.mean(shape.excess_kurtosis))
        found.append((*numbers, gate.gradient_share, gate.reversed))
    under = profile(activation).gate
    nulls = (0.0, 0.0, under.gradient_share, under.reversed)
    words = (
        "distance to the fitted normal",
        "excess kurtosis",
        "squared gradient of inactive units",
        "reversed slope among z < 0",
    )
    at = f"{activation}, density {1 - sparsity:.3g}"
    columns = np.array(found, float).T
    return [
        row(f"{w}, {at}", c, null=float(n))
        for w, c, n in zip(words, columns, nulls, strict=True)
        if not (activation == "relu" and w.startswith(("squared", "reversed")))  # 0 by definition
    ]
