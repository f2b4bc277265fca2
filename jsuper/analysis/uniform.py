"""The geometry of features of equal importance: where it sticks as sparsity grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.checked import Checked, mean_of
from jsuper.analysis.reading import finished_values
from jsuper.analysis.superposition import (
    REPRESENTED,
    dimensionality,
    dimensions_per_feature,
    feature_norms,
)

if TYPE_CHECKING:
    import xarray

NEAR = 0.05  # of 1/2


def plateaus(ds: xarray.Dataset) -> list[Checked]:
    """Return the dimensions per feature without sparsity, and how long they stay near 1/2.

    The second is the number of sparsities, as a share, with m/‖W‖² within 0.05 of 1/2; the third
    the share of represented features (‖W_i‖ > 1/2) with a dimensionality within 0.05 of 1/2, at
    the sparsity where m/‖W‖² is closest to 1/2.
    """
    others = {d: 0 for d in ds["status"].dims if d not in ("sparsity", "seed")}
    W = finished_values(ds.isel(others), "W", "seed", "sparsity", "hidden", "feature").values
    per_feature = np.asarray(dimensions_per_feature(W))
    dense = int(np.argmin(ds["sparsity"].values))
    mean = per_feature.mean(axis=0)
    at = int(np.abs(mean - 0.5).argmin())
    represented = np.asarray(feature_norms(W[:, at])) > REPRESENTED
    pairs = np.abs(np.asarray(dimensionality(W[:, at])) - 0.5) < NEAR
    share = (pairs & represented).sum(axis=-1) / np.maximum(represented.sum(axis=-1), 1)
    sparsity = float(ds["sparsity"].values[at])
    published = "published: the curve sticks at 1/2, antipodal pairs"
    near = (np.abs(per_feature - 0.5) < NEAR).mean(axis=1)
    S = float(ds["sparsity"].values[dense])
    return [
        mean_of(f"m/|W|^2 at sparsity {S:g}", per_feature[:, dense], "published: 1, orthogonal"),
        mean_of("share of sparsities with m/|W|^2 within 0.05 of 1/2", near, published),
        mean_of(
            f"share of represented features with D_i near 1/2, at sparsity {sparsity:.3g}",
            share,
            published,
        ),
    ]
