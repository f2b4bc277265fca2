"""What the preset abs_value_small checks against its publication: asymmetric superposition.

References
----------
Elhage et al. (2022), "Toy Models of Superposition",
<https://transformer-circuits.pub/2022/toy_model/index.html>, "The asymmetric superposition motif".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import neuron_features
from jsuper.analysis.checked import Checked, mean_of, share_of
from jsuper.analysis.hidden_checks import cell, density_of
from jsuper.analysis.neuron_features import Motif

if TYPE_CHECKING:
    import xarray

MODERATE = 0.7
"""Sparsity at which the asymmetric motifs are counted."""

SIDES = 0.8
"""A neuron carries one side of |x_i| if it writes at least this share of it."""

RATIOS = (
    ("input_ratio", "ratio of the two input weights", "published: 4, of (2, -1/2)"),
    ("output_ratio", "ratio of the two output weights", "published: 4, the reciprocal"),
    ("inhibition", "inhibition over interference", "published: at least 1, it turns negative"),
    (
        "inhibition_of_other_sign",
        "the same for the sign that does not interfere",
        "published: 0, inhibition where there is interference",
    ),
)
"""Attribute of a motif, what it is, and what the publication says."""


def motifs(ds: xarray.Dataset, **labels: object) -> list[list[Motif]]:
    """Return the asymmetric motifs of every finished seed of a cell."""
    W, W_dec = (cell(ds, name, **labels) for name in ("W", "W_dec"))
    finished = np.isfinite(W).all(axis=(1, 2))
    return [
        neuron_features.asymmetric_motifs(one, read)
        for one, read in zip(W[finished], W_dec[finished], strict=True)
    ]


def two_sides(W: np.ndarray, W_dec: np.ndarray) -> bool:
    """Return whether each feature has one neuron for x > 0 and another for x < 0, and no more."""
    own = W * W_dec
    positive, negative = (own >= SIDES).sum(axis=0), (own <= -SIDES).sum(axis=0)
    both = (np.abs(own) >= 1 - SIDES).sum(axis=0)
    return bool((positive == 1).all() and (negative == 1).all() and (both == 2).all())


def sizes(ds: xarray.Dataset) -> tuple[str, str]:
    """Return the labels of the sizes with the fewest and with the most features.

    Raises
    ------
    ValueError
        The sweep has no zipped dimension `size`.
    """
    if "size" not in ds.dims:
        raise ValueError("ds has no dimension size, which the preset abs_value_small zips")
    order = np.argsort(ds["n_features"].values)
    labels = ds["size"].values
    return str(labels[order[0]]), str(labels[order[-1]])


def moderate(ds: xarray.Dataset) -> float:
    """Return the sparsity nearest to `MODERATE`, where some neurons are in superposition."""
    values = ds["sparsity"].values
    return float(values[np.abs(values - MODERATE).argmin()])


def absolute_small(ds: xarray.Dataset) -> list[Checked]:
    """Return the models with a neuron for each side of each |x|, and the asymmetric motifs.

    Parameters
    ----------
    ds
        Result of the preset `abs_value_small`.
    """
    few, many = sizes(ds)
    dense, S = float(ds["sparsity"].min()), moderate(ds)
    W, W_dec = (cell(ds, name, size=few, sparsity=dense) for name in ("W", "W_dec"))
    cases = [two_sides(a, b) for a, b in zip(W, W_dec, strict=True) if np.isfinite(a).all()]
    n, m = (int(ds.sel(size=few)[name]) for name in ("n_features", "n_hidden"))
    by_model = motifs(ds, size=many, sparsity=S)
    every = [motif for model in by_model for motif in model]
    where = f"at density {density_of(S):g}"
    found = [
        share_of(
            f"n {n}, m {m}: models with a neuron for each side of each feature",
            cases,
            "published: 1, as in the model that is shown",
        ),
        mean_of(
            f"asymmetric motifs per model {where}",
            [len(model) for model in by_model],
            "published: 2 in the model that is shown, whose size is not stated",
        ),
    ]
    for name, text, expected in RATIOS:
        values = [getattr(motif, name) for motif in every]
        median = float(np.median(values)) if values else float("nan")
        ends = np.quantile(values, (0.25, 0.75)) if values else (float("nan"),) * 2
        quantity = f"{text}, median and quartiles of {len(values)} motifs {where}"
        found.append(Checked(quantity, median, expected, *map(float, ends)))
    return found
