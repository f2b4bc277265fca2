"""Of the study of GELU: does training with the random gate change what is learned?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.gating import gate_under, normality, preactivations, profile
from jsuper.studies._paired import adjusted, clear, counted, largest, models, row, take
from jsuper.studies.answer import Answer

if TYPE_CHECKING:
    import xarray

# A model with a random gate, and the one without that it is compared with.
PAIRS = (
    ("gelu_stochastic", "gelu"),
    ("gelu_stochastic_expected", "gelu"),
    ("silu_stochastic", "silu"),
    ("silu_stochastic_expected", "silu"),
    ("relu_stochastic(0.1)", "relu"),
    ("relu_stochastic(0.5)", "relu"),
)
MEASURES = {
    "features_represented": "features represented, |W_i| > 1/2",
    "mean_interference": "mean interference of represented features",
    "mean_dimensionality": "mean dimensionality of represented features",
    "alignment_z": "alignment with the hidden units, z against rotations",
    "basis_kurtosis_z": "kurtosis across hidden units, z against rotations",
    "loss_over_constant": "loss over the best constant's, gate off",
}
DIMS = ("activation", "sparsity", "dropout", "seed")
COLUMNS = 4096  # samples of the pre-activations


def answers(ds: xarray.Dataset) -> list[Answer]:
    """A question per measure, the two conventions, and the pre-activations."""
    return [*(change(ds, *m) for m in MEASURES.items()), conventions(ds), normal(ds)]


def change(ds: xarray.Dataset, name: str, words: str) -> Answer:
    """What the gate changes in a measure, beside what dropout on h changes."""
    values = take(ds, name, *DIMS)
    rows = []
    for sparsity in values["sparsity"].values:
        at = values.sel(sparsity=sparsity)
        plain = at.sel(dropout=0.0)
        for noisy, base in PAIRS:
            difference = plain.sel(activation=noisy) - plain.sel(activation=base)
            rows.append(row(f"{noisy}, density {1 - sparsity:.3g}", difference))
        for rate in at["dropout"].values[at["dropout"].values > 0]:
            difference = at.sel(dropout=rate) - plain
            case = f"gelu with dropout {rate:g}, density {1 - sparsity:.3g}"
            rows.append(row(case, difference.sel(activation="gelu")))
    rows = adjusted(rows)
    gates = [r for r in rows if "dropout" not in r.case and not r.case.startswith("relu")]
    dropped = [r for r in rows if "dropout" in r.case]
    return Answer(
        f"Does training with a random gate change the {words.split(',')[0]}?",
        f"{words}: with the gate, less that of the model without it, both evaluated without a "
        "gate, same seed; likewise with dropout on the hidden units",
        f"GELU's and SiLU's gate: {counted(gates)}. Dropout: {counted(dropped)}. {largest(gates)} "
        f"{models((values, ds))}",
        rows,
    )


def conventions(ds: xarray.Dataset) -> Answer:
    """The gradient of a constant mask against that of the mean."""
    rows = []
    for name, words in MEASURES.items():
        values = take(ds, name, *DIMS).sel(dropout=0.0)
        for sparsity in values["sparsity"].values:
            at = values.sel(sparsity=sparsity)
            for gate in ("gelu", "silu"):
                expected, mask = (
                    at.sel(activation=f"{gate}_stochastic{end}") for end in ("_expected", "")
                )
                case = f"{words.split(',')[0]}, {gate}, density {1 - sparsity:.3g}"
                rows.append(row(case, expected - mask))
    rows = adjusted(rows)
    different = [r for r in rows if clear(r)]
    return Answer(
        "Does it matter which gradient the gate has?",
        "the measure with the mean's derivative, less that with the mask as a constant, same seed",
        f"In {len(different)} of {len(rows)} cases. {largest(different or rows)}",
        rows,
    )


def normal(ds: xarray.Dataset) -> Answer:
    """How normal the pre-activations of trained models are, and what GELU passes back there."""
    import jsuper

    rows = []
    ds = ds.sel(dropout=0.0)
    for sparsity in ds["sparsity"].values:
        cell = ds.sel(activation="gelu", sparsity=sparsity)
        distance, kurtosis, share, reverse = [], [], [], []
        for seed in cell["seed"].values:
            one = cell.sel(seed=seed)
            x = jsuper.sample(
                jsuper.seed_key(int(seed)),
                sparsity=float(sparsity),
                n_features=one.sizes["feature"],
                batch=COLUMNS,
            )
            z = np.asarray(preactivations(one["W"].values, one["b"].values, np.asarray(x)))
            found, gate = normality(z), gate_under("gelu", z)
            distance.append(np.mean(found.ks_distance))
            kurtosis.append(np.mean(found.excess_kurtosis))
            share.append(gate.gradient_share)
            reverse.append(gate.reversed)
        at = f"density {1 - sparsity:.3g}"
        under = profile("gelu").gate
        rows += [
            row(f"distance to the fitted normal, {at}", distance, null=0.0),
            row(f"excess kurtosis, {at}", kurtosis, null=0.0),
            row(f"squared gradient of inactive units, {at}", share, null=under.gradient_share),
            row(f"reversed slope among z < 0, {at}", reverse, null=under.reversed),
        ]
    rows = adjusted(rows)
    shares = [r for r in rows if r.case.startswith("squared")]
    distances = [r for r in rows if r.case.startswith("distance")]
    low, high = (f(r.value for r in distances) for f in (min, max))
    return Answer(
        "Are pre-activations of trained models roughly normal, as GELU's derivation has it?",
        "of the GELU models without gate and dropout: Kolmogorov and Smirnov's distance of a "
        f"feature's pre-activations to the fitted normal (a normal sample of {COLUMNS:,} has about "
        f"{0.6 / COLUMNS**0.5:.2g}) and their excess kurtosis, means over features; and the shares "
        "that follow, whose null is their value under N(0, 1)",
        f"No: the distance is {low:.2g} to {high:.2g}. Inactive units carry "
        f"{min(r.value for r in shares):.2g} to {max(r.value for r in shares):.2g} of the squared "
        f"gradient, {profile('gelu').gate.gradient_share:.2g} under N(0, 1)."
        if low > 0.05
        else f"Roughly: the distance is {low:.2g} to {high:.2g}.",
        rows,
    )
