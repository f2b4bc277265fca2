"""The study of GELU, random gates: whether training with them changes what is learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsuper.analysis.reading import finished_values
from jsuper.studies._paired import adjusted, clear, counted, largest, models, row
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


def answers(ds: xarray.Dataset) -> list[Answer]:
    """Return a question per measure, and the two conventions."""
    return [*(change(ds, *m) for m in MEASURES.items()), conventions(ds)]


def change(ds: xarray.Dataset, name: str, words: str) -> Answer:
    """Return what the gate changes in a measure, beside what dropout on h changes."""
    values = finished_values(ds, name, *DIMS)
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
    """Return the gradient of a constant mask against that of the mean."""
    rows = []
    for name, words in MEASURES.items():
        values = finished_values(ds, name, *DIMS).sel(dropout=0.0)
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
