"""Outcomes of a feature for which there may be no room: phase diagrams of two or three features.

The last of two features in one hidden unit, or of three in two, has a relative importance. It is
not represented, has a dimension for itself, or shares one.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.checked import Checked
from jsuper.analysis.reading import finished_values, of_plain_relu
from jsuper.analysis.superposition import feature_norms, interference
from jsuper.analysis.sweep import best
from jsuper.analysis.theory import two_to_one_boundary
from jsuper.models.toy.labelled import lists_of

if TYPE_CHECKING:
    import xarray

OUTCOMES = ("not represented", "dedicated dimension", "superposed")
THRESHOLD = 0.2
"""Norm above which a column is represented, and above which another one shares its direction."""

NO_MODEL = -1
RELATIVE = {(2, 1): "importance_decay", (3, 2): "importances"}
"""(n_features, n_hidden) -> the axis of the last feature's relative importance."""
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
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, section "Superposition as a Phase
    Change".
    """
    W = np.asarray(W, float)
    norm, shared = feature_norms(W)[..., -1], interference(W, root=True)[..., -1]
    found = np.where(norm <= threshold, 0, np.where(shared > threshold, 2, 1))
    return np.where(np.isfinite(norm), found, NO_MODEL)


def expected_outcome(
    density: np.ndarray,
    relative_importance: np.ndarray,
    threshold: float = THRESHOLD,
    hidden: int = 1,
) -> np.ndarray:
    """Return the outcome at the global minimum of the expected loss.

    For two features in one unit it is exact. For three in two, one feature has a unit and the other
    two share the other one, or one of these is dropped: the least of these solutions is taken. The
    feature that is alone is the last one if it is the most important.

    Parameters
    ----------
    density, relative_importance
        Values of the rows and of the columns, 1-D; importances from 1/20 to 20.
    threshold
        As in `outcome`.
    hidden
        Hidden units, one fewer than features: 1 or 2.

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
    found = np.where(p <= held, 2, np.where(r < 1, 0, 1))
    return found if hidden == 1 else np.where(r > 1, 1, found)


@lru_cache(maxsize=8)
def boundary_line(threshold: float = THRESHOLD) -> tuple[np.ndarray, np.ndarray]:
    """Return relative importances up to 1, and the densities at which the feature vanishes.

    Between the points the density is within 0.002 of linear in the logarithm.
    """
    return POINTS, two_to_one_boundary(POINTS, threshold=threshold).over_drop_last


def phase_map(ds: xarray.Dataset, threshold: float = THRESHOLD) -> xarray.DataArray:
    """Return the outcome of the best seed of every cell: (sparsity, relative importance).

    Parameters
    ----------
    ds
        Result of `jsuper.run` or `jsuper.load`, of one activation. With n_features = 2 and
        n_hidden = 1 the relative importance is importance_decay; with n_features = 3 and
        n_hidden = 2 it is the label of importances such as {0.5: (1, 1, 0.5)}.
    threshold
        As in `outcome`.

    Raises
    ------
    ValueError
        `ds` has other numbers of features, or lacks an axis.
    """
    lead = _axes(ds)
    others = [d for d in ds["status"].dims if d not in (*lead, "seed")]
    W = finished_values(best(ds), "W").squeeze(others, drop=True)
    W = W.transpose(*lead, "hidden", "feature")
    found = outcome(W.values, threshold)
    return W.isel(feature=0, hidden=0, drop=True).copy(data=found).rename("outcome")


def has_diagram(ds: xarray.Dataset) -> bool:
    """Return whether `phase_maps` can read a phase diagram from `ds`."""
    if not {"W", "loss"} <= set(ds) or "activation" not in ds.dims:
        return False
    try:
        _axes(ds.isel(activation=[0]))
    except ValueError:
        return False
    return True


def _axes(ds: xarray.Dataset) -> tuple[str, str]:
    """Return the axes of a phase diagram of one activation, or say why `ds` has none."""
    sizes = ds.sizes.get("feature", 0), ds.sizes.get("hidden", 0)
    if sizes not in RELATIVE:
        raise ValueError(
            f"ds has {sizes[0]} features and {sizes[1]} hidden units; the phase diagram needs "
            "n_features=2 and n_hidden=1, or n_features=3 and n_hidden=2"
        )
    lead = ("sparsity", RELATIVE[sizes])
    given = [d for d in ds["status"].dims if d != "seed" and ds.sizes[d] > 1]
    if sorted(map(str, given)) != sorted(lead):
        raise ValueError(
            f"ds has several values of {', '.join(map(str, given)) or 'no axis'}; the phase "
            f"diagram needs several of {' and '.join(lead)}, and one of every other axis"
        )
    if ds[lead[1]].dtype.kind not in "fi":
        raise ValueError(
            "the labels of importances are not numbers; give the relative importance of the last "
            "feature as label, importance={0.5: (1, 1, 0.5)}"
        )
    for label, listed in lists_of(json.loads(ds.attrs["sweep"]), "importances").items():
        if listed and listed != (1, 1, float(label)):
            raise ValueError(
                f"importances {label} is {listed}, but the phase diagram reads the importance of "
                f"the last feature from the label: give (1, 1, {label})"
            )
    return lead


def phase_maps(ds: xarray.Dataset, threshold: float = THRESHOLD) -> xarray.DataArray:
    """Return `phase_map` of every activation: (activation, sparsity, relative importance)."""
    import xarray

    names = ds["activation"].values.ravel().tolist()
    maps = [phase_map(ds.sel(activation=[name]), threshold) for name in names]
    return xarray.concat(maps, xarray.Variable("activation", names))


def outcome_shares(ds: xarray.Dataset, threshold: float = THRESHOLD) -> xarray.DataArray:
    """Return the share of cells with each outcome, of cells with a model: (activation, outcome).

    Parameters
    ----------
    ds
        As in `phase_map`, of any number of activations.
    threshold
        As in `outcome`.
    """
    return shares_of(phase_maps(ds, threshold))


def shares_of(found: xarray.DataArray) -> xarray.DataArray:
    """Return `outcome_shares` from the maps of `phase_maps`."""
    import xarray

    cells = found.values.reshape(found.sizes["activation"], -1)
    counts = np.stack([(cells == place).sum(1) for place in range(len(OUTCOMES))], 1)
    with np.errstate(invalid="ignore"):  # an activation without a model has NaN
        shares = counts / counts.sum(1, keepdims=True)
    names = {"activation": found["activation"].values, "outcome": list(OUTCOMES)}
    return xarray.DataArray(shares, names, ("activation", "outcome"))


def of_relu(ds: xarray.Dataset) -> xarray.Dataset:
    """Return the models of ReLU, which theory is about.

    Raises
    ------
    ValueError
        There are none, or another setting is not that of theory.
    """
    if "relu" in ds["activation"].values:
        ds = ds.sel(activation=["relu"])
    if not of_plain_relu(ds):
        raise ValueError("theory is about relu, with tied weights and the default law of the data")
    return ds


def compared(ds: xarray.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the outcomes of the best seeds and those of theory: two (sparsity, importance)."""
    found = phase_map(ds)
    density, importance = 1 - found["sparsity"].values, found[found.dims[1]].values
    return found.values, expected_outcome(density, importance, hidden=ds.sizes["hidden"])


def agreement(ds: xarray.Dataset) -> list[Checked]:
    """Return the share of cells whose best model has the outcome of the global minimum.

    Parameters
    ----------
    ds
        As in `phase_map`; of several activations, relu counts.

    Raises
    ------
    ValueError
        `ds` has no models that theory is about.
    """
    found, expected = compared(of_relu(ds))
    share = float((found == expected).mean())
    several = "of relu " if ds.sizes.get("activation", 1) > 1 else ""
    quantity = f"share of {found.size:,} cells {several}with theory's outcome"
    return [Checked(quantity, share, "theory: 1, if every cell finds the global minimum")]
