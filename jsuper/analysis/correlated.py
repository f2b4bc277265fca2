"""Where models put features that are active together, or never together.

Sets are pairs of consecutive features, those of `support="pairs(c)"` and `"exclusive(2)"`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.checked import Checked, share_of
from jsuper.analysis.geometry import cosines
from jsuper.analysis.reading import finished_values

if TYPE_CHECKING:
    import xarray

OPPOSED, ANTIPODAL, COLLAPSED = -0.3, -0.9, 0.95
"""Cosines of two features: below OPPOSED they are opposed, below ANTIPODAL an antipodal pair, and
above COLLAPSED they have one direction, that of their sum, the first principal component."""

PAIRS, EXCLUSIVE, INDEPENDENT = "pairs(1)", "exclusive(2)", "independent"
ARRANGEMENTS = {
    "correlated, 2 pairs: none opposed": (PAIRS, 4, "not opposed"),
    "correlated, 3 pairs: none opposed": (PAIRS, 6, "not opposed"),
    "anticorrelated, 2 pairs: all antipodal": (EXCLUSIVE, 4, "antipodal"),
}
"""Name -> support, number of features, and what the pairs of a model are."""


def pair_cosines(W: np.ndarray) -> np.ndarray:
    """Return the cosine of the two features of each pair: (..., n_features / 2).

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features), with an even number of features. A zero column has
        the cosine 0.
    """
    first = np.arange(0, np.shape(W)[-1], 2)
    return cosines(W)[..., first, first + 1]


def cell_cosines(ds: xarray.Dataset, support: str, n_features: int, sparsity: float) -> np.ndarray:
    """Return `pair_cosines` of the seeds of a cell, (seeds, pairs), NaN if not finished.

    Raises
    ------
    ValueError
        The sweep lacks the support or the number of features.
    """
    labels = {"support": support, "n_features": n_features, "sparsity": sparsity}
    for name, value in labels.items():
        if name not in ds.dims or value not in ds[name].values:
            raise ValueError(
                f"ds has no {name}={value!r} on an axis of several values, which the arrangement "
                "of pairs needs"
            )
    W = finished_values(ds.sel(labels), "W")
    W = W.squeeze([d for d in W.dims if d not in ("seed", "hidden", "feature")], drop=True)
    return pair_cosines(W.transpose("seed", "hidden", "feature").values[..., :n_features])


def arranged(cosine: np.ndarray, arrangement: str) -> np.ndarray:
    """Return whether all pairs of a model are "not opposed" or "antipodal": (models,).

    Models that are not finished are left out.
    """
    cosine = cosine[np.isfinite(cosine).all(axis=-1)]
    wanted = cosine > OPPOSED if arrangement == "not opposed" else cosine < ANTIPODAL
    return np.asarray(wanted.all(axis=-1))


def collapsed_pairs(cosine: np.ndarray) -> np.ndarray:
    """Return how many pairs of each model have one direction: (models,)."""
    return (cosine[np.isfinite(cosine).all(axis=-1)] > COLLAPSED).sum(axis=-1)


def shares(ds: xarray.Dataset) -> list[Checked]:
    """Return the shares of models with the published arrangements, and of collapsed pairs.

    Correlated pairs are judged at the lowest density, where they are not collapsed, anticorrelated
    ones and the collapse at the highest.

    Parameters
    ----------
    ds
        Result of `jsuper.run` or `jsuper.load` with the axes support, n_features and sparsity.
    """
    dense, sparse = (float(f) for f in (ds["sparsity"].min(), ds["sparsity"].max()))
    found = []
    for name, (support, n, arrangement) in ARRANGEMENTS.items():
        S = sparse if support == PAIRS else dense
        cases = arranged(cell_cosines(ds, support, n, S), arrangement)
        found.append(share_of(f"{name}, share at density {1 - S:.3g}", cases, "published: 1"))
    for S, expected in (
        (dense, "published: 1, the principal components"),
        (sparse, "published: 0"),
    ):
        collapsed = cell_cosines(ds, PAIRS, 6, S) > COLLAPSED
        name = f"correlated, 3 pairs: collapsed ones, share at density {1 - S:.3g}"
        found.append(share_of(name, collapsed, expected))
    return found
