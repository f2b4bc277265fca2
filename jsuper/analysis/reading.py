"""Read one variable of a sweep, without the models that cannot be used."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.status import OK

if TYPE_CHECKING:
    import xarray


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
