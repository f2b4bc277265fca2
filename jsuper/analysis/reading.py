"""Read one variable of a sweep, without the models that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.status import OK
from jsuper.models.toy.architecture import DEFAULTS as ARCHITECTURE
from jsuper.models.toy.spec import Sweep

if TYPE_CHECKING:
    import xarray

PLAIN = ("support", "values", "density_power", "shared_mask", "inputs", "dataset_size")
PLAIN += ("feature_sparsity", "feature_sparsities", "dropout", "tied", "bias", "hidden_l1")
PLAIN += tuple(ARCHITECTURE)
"""Fields that the expected loss depends on, besides sizes, importance and sparsity."""


def of_plain_relu(ds: xarray.Dataset, but: str = "") -> bool:
    """Say whether all models are of ReLU, on the default law and with tied weights.

    `jsuper.analysis.theory` is about these.

    Parameters
    ----------
    ds
        Dataset of `jsuper.run` or `jsuper.load`, of toy models.
    but
        A field that may differ.
    """
    sweep, default = json.loads(ds.attrs["sweep"]), Sweep().to_dict()
    fields = [f for f in PLAIN if f != but]  # older versions lack some, and None is left out
    named = set(ds["activation"].values.ravel().tolist())
    return named == {"relu"} and all(sweep.get(f, default.get(f)) == default.get(f) for f in fields)


def finished_values(ds: xarray.Dataset, variable: str, *dims: Hashable) -> xarray.DataArray:
    """Return a variable in float64, NaN for unfinished models and values that are not finite.

    Parameters
    ----------
    ds
        Dataset of `jsuper.run`, `jsuper.load` or `jsuper.analyze`.
    variable
        Name of a numeric variable. It is repeated along the dimensions of `ds.status` that it
        lacks.
    dims
        Dimensions that come first in the result, in this order.

    Raises
    ------
    ValueError
        The variable or one of its dimensions is missing.
    """
    if variable not in ds:
        raise ValueError(
            f"ds has no variable {variable!r}; give the Dataset of jsuper.analyze, of the whole "
            "sweep"
        )
    values = ds[variable].astype(float)
    values = values.where((ds["status"] == OK) & np.isfinite(values))
    missing = [d for d in dims if d not in values.dims]
    if missing:
        raise ValueError(
            f"ds.{variable} has the dimensions {', '.join(map(str, values.dims))}, and not "
            f"{', '.join(map(str, missing))}; give the whole sweep"
        )
    return values.transpose(*dims, ...)
