"""Outcomes of a feature for which there may be no room: the phase diagram of two features.

The last of two features in one hidden unit has a relative importance. It is not represented, has
the dimension for itself, or shares it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.checked import Checked
from jsuper.analysis.reading import finished_values
from jsuper.analysis.superposition import feature_norms, interference
from jsuper.analysis.sweep import best
from jsuper.analysis.theory import two_to_one_boundary

if TYPE_CHECKING:
    import xarray

OUTCOMES = ("not represented", "dedicated dimension", "superposed")
THRESHOLD = 0.2
"""Norm above which a column is represented, and above which another one shares its direction."""

NO_MODEL = -1
# The relative importances at which the boundary is computed; it bends near 1.
POINTS = np.concatenate([np.geomspace(0.05, 0.55, 10), np.linspace(0.58, 1, 22)])


def outcome(W: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """Return the position in OUTCOMES of the last feature's outcome: (...,).

    It is not represented if ‖W_n‖ <= threshold. It is superposed if the other columns have a length
    above the threshold along its direction, Σ_{j<n} (Ŵ_n·W_j)² > threshold². Else it has a
    dedicated dimension. A model with a number that is not finite has NO_MODEL.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    threshold
        A norm > 0.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition", section "Superposition as a Phase Change".
    """
    W = np.asarray(W, float)
    norm, shared = feature_norms(W)[..., -1], interference(W, root=True)[..., -1]
    found = np.where(norm <= threshold, 0, np.where(shared > threshold, 2, 1))
    return np.where(np.isfinite(norm), found, NO_MODEL)


def expected_outcome(
    density: np.ndarray, relative_importance: np.ndarray, threshold: float = THRESHOLD
) -> np.ndarray:
    """Return the outcome at the global minimum of the expected loss, for two features in one unit.

    Parameters
    ----------
    density, relative_importance
        Values of the rows and of the columns, 1-D; importances from 1/20 to 20.
    threshold
        As in `outcome`.

    Returns
    -------
    numpy.ndarray
        Positions in OUTCOMES, (densities, importances).
    """
    r = np.asarray(relative_importance, float)
    least, density_of = boundary_line(threshold)
    less = np.minimum(r, 1 / r)  # of the less important feature to the other one
    held = np.interp(np.log(less), np.log(least), density_of)
    p = np.asarray(density)[:, None]
    return np.where(p <= held, 2, np.where(r < 1, 0, 1))


@lru_cache(maxsize=8)
def boundary_line(threshold: float = THRESHOLD) -> tuple[np.ndarray, np.ndarray]:
    """Return relative importances up to 1, and the densities at which the feature vanishes.

    Between the points the density is within 0.002 of linear in the logarithm.
    """
    return POINTS, two_to_one_boundary(POINTS, threshold=threshold).over_drop_last


def phase_map(ds: xarray.Dataset, threshold: float = THRESHOLD) -> xarray.DataArray:
    """Return the outcome of the best seed of every cell: (sparsity, importance_decay).

    Parameters
    ----------
    ds
        Result of `jsuper.run` or `jsuper.load`, of one activation and n_features = 2. The
        importance of the second feature is then importance_decay.
    threshold
        As in `outcome`.

    Raises
    ------
    ValueError
        `ds` has other numbers of features, or lacks an axis.
    """
    if ds.sizes.get("feature") != 2 or ds.sizes.get("hidden") != 1:
        raise ValueError(
            f"ds has {ds.sizes.get('feature')} features and {ds.sizes.get('hidden')} hidden units;"
            " the phase diagram needs n_features=2 and n_hidden=1"
        )
    lead = ("sparsity", "importance_decay")
    W = finished_values(best(ds), "W").squeeze(drop=True)
    lacking = [d for d in lead if d not in W.dims]
    if lacking or W.ndim != 3:
        raise ValueError(
            f"ds.W has the dimensions {', '.join(map(str, ds['W'].dims))}; the phase diagram needs "
            "several values of sparsity and importance_decay, and one of every other axis"
        )
    W = W.transpose(*lead, "feature")
    found = outcome(W.values[..., None, :], threshold)
    return W.isel(feature=0, drop=True).copy(data=found).rename("outcome")


def agreement(ds: xarray.Dataset) -> list[Checked]:
    """Return the share of cells whose best model has the outcome of the global minimum.

    Parameters
    ----------
    ds
        As in `phase_map`.
    """
    found = phase_map(ds)
    expected = expected_outcome(1 - found["sparsity"].values, found["importance_decay"].values)
    share = float((found.values == expected).mean())
    quantity = f"share of {found.size:,} cells with theory's outcome"
    return [Checked(quantity, share, "theory: 1, if every cell finds the global minimum")]
