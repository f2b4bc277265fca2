"""Features in a plane, of which the first one has another density than the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.checked import Checked
from jsuper.analysis.reading import finished_values
from jsuper.analysis.superposition import REPRESENTED, dimensionality, feature_norms
from jsuper.analysis.sweep import best

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
    published = "published: about 1/2.5, the pentagon becomes two digons"
    return [Checked(quantity, found, published, low, high)]
