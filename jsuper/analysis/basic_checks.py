"""What the first two figures on toy models of superposition say, as numbers.

References
----------
Elhage et al. (2022), "Toy Models of Superposition",
<https://transformer-circuits.pub/2022/toy_model/index.html>, introduction and section
"Demonstrating Superposition".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.checked import Checked, mean_of, share_of
from jsuper.analysis.preset_checks import at, represented
from jsuper.analysis.reading import finished_values

if TYPE_CHECKING:
    import xarray

IN_THE_PLANE = {0.0: "2, orthogonal", 0.8: "4, antipodal pairs", 0.9: "5, a pentagon"}
"""Sparsity -> the features of the published model."""


def superposition(ds: xarray.Dataset) -> list[Checked]:
    """Return the features of linear models at all sparsities, and of ReLU at both ends of them.

    A feature is represented if ‖W_i‖ > 1/2.
    """
    m, low, high = ds.sizes["hidden"], float(ds["sparsity"].min()), float(ds["sparsity"].max())
    linear = np.concatenate(
        [represented(at(ds, activation="identity", sparsity=S)) for S in ds["sparsity"].values]
    )
    dense, sparse = (represented(at(ds, activation="relu", sparsity=S)) for S in (low, high))
    return [
        share_of(
            f"share of linear models with {m} features", linear == m, "theory: 1, as many as units"
        ),
        mean_of(f"features of relu at sparsity {low:g}", dense, f"published: {m}, as linear"),
        mean_of(f"features of relu at sparsity {high:g}", sparse, f"published: more than {m}"),
    ]


def in_the_plane(ds: xarray.Dataset) -> list[Checked]:
    """Return the features that the model with the lowest loss represents, at each sparsity."""
    found = []
    for S in ds["sparsity"].values:
        one = at(ds, sparsity=S)
        best = int(np.nanargmin(finished_values(one, "loss", "seed").values))
        count = float(represented(one)[best])
        expected = f"published: {IN_THE_PLANE.get(float(S), 'more as sparsity rises')}"
        seeds = one.sizes["seed"]
        found.append(Checked(f"features at sparsity {S:g}, best of {seeds} seeds", count, expected))
    return found
