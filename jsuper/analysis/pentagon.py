"""Features in a plane, of which the first one has another density than the others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.checked import Checked
from jsuper.analysis.reading import finished_values, of_plain_relu
from jsuper.analysis.superposition import REPRESENTED, dimensionality, feature_norms
from jsuper.analysis.sweep import best
from jsuper.analysis.theory import pentagon_boundary
from jsuper.models.toy.labelled import lists_of

if TYPE_CHECKING:
    import xarray

AXIS = "feature_sparsities"


def best_models(ds: xarray.Dataset) -> xarray.Dataset:
    """Return W, the dimensionalities D_i and the loss of the best seed, by relative density.

    Parameters
    ----------
    ds
        A sweep over `feature_sparsity` whose labels are numbers: the density of the first feature
        over that of the others. Other dimensions than the seed have length one.

    Raises
    ------
    ValueError
        The labels are not numbers, or another dimension has several values.
    """
    others = [str(d) for d in ds["status"].dims if d not in (AXIS, "seed")]
    if AXIS not in ds.dims or ds[AXIS].dtype.kind != "f" or any(ds.sizes[d] > 1 for d in others):
        raise ValueError(
            "ds needs the single axis feature_sparsities, with numbers as labels: the density of "
            "the first feature over that of the others"
        )
    least = best(ds).squeeze(others, drop=True).sortby(AXIS)
    W = finished_values(least, "W").transpose(AXIS, "hidden", "feature")
    shares = W.isel(hidden=0, drop=True).copy(data=np.asarray(dimensionality(W.values)))
    return least[["loss_over_constant"]].assign(W=W, dimensionality=shares)


def boundary(ds: xarray.Dataset) -> float:
    """Return theory's relative density below which two digons are better than the pentagon.

    It is NaN if the models are not of ReLU and of five equally important features, of which four
    have one density up to 0.2.

    Parameters
    ----------
    ds
        As in `best_models`.
    """
    sweep = json.loads(ds.attrs["sweep"])
    others = {S for numbers in lists_of(sweep, AXIS).values() for S in (numbers or ())[1:]}
    of_five = (ds.sizes["feature"], ds.sizes["hidden"]) == (5, 2) and of_plain_relu(ds, but=AXIS)
    listed = sweep.get("importance") or any(lists_of(sweep, "importances").values())
    if not of_five or len(others) != 1 or listed or sweep["importance_decay"] != [1.0]:
        return float("nan")
    density = 1 - others.pop()
    return pentagon_boundary(density) if 0 < density <= 0.2 else float("nan")


def vanishing(ds: xarray.Dataset) -> list[Checked]:
    """Return the relative density at which the first feature is no longer represented.

    It is the middle between the largest relative density below 1 at which the best model does not
    represent the feature, and the next larger one.
    """
    models = best_models(ds)
    relative = models[AXIS].values
    represented = np.asarray(feature_norms(models["W"].values))[:, 0] > REPRESENTED
    absent = np.flatnonzero(~represented & (relative < 1))
    found, low, high = np.nan, np.nan, np.nan
    if absent.size and absent[-1] + 1 < relative.size:
        low, high = float(relative[absent[-1]]), float(relative[absent[-1] + 1])
        found = (low + high) / 2
    quantity = "relative density below which the best of all seeds drops the feature"
    expected = "published: about 1/2.5, the pentagon becomes two digons"
    if np.isfinite(equal := boundary(ds)):
        expected = f"theory: {equal:.3g}, where pentagon and digons have the same loss; {expected}"
    return [Checked(quantity, found, expected, low, high)]
