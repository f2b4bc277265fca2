"""`jsuper.analyze` of plain weights: what W shows without the sweep that it was trained in."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis.metrics import toy
from jsuper.core.expecting import described
from jsuper.core.suggestions import not_one_of
from jsuper.models.toy.callable_model import Model
from jsuper.models.toy.weights import params_of
from jsuper.training.jax_config import shielded

if TYPE_CHECKING:
    import xarray


@shielded()
def analyze_weights(
    source: Any, b: Any, metrics: Collection[str] | None, features_last: bool | None
) -> xarray.Dataset:
    """Return the measures of one model's weights; see `jsuper.analyze`."""
    import xarray as xr

    if isinstance(source, Model):
        if b is not None or features_last is not None:
            raise ValueError("b and features_last cannot be combined with a model; leave them out")
        params = source.params
    else:
        _expect_weights(source)
        params = params_of(source, b, None, None, None, features_last)
    W = np.asarray(params.W)
    read = W if params.W_dec is None else np.asarray(params.W_dec)
    if not (np.isfinite(W).all() and np.isfinite(read).all()):
        raise ValueError("W is not finite: it contains NaN or inf, so it has no measures")
    found = toy.of_matrices(W[None], read[None])
    for name in metrics or ():
        if name in toy.MEASURES and name not in found:
            raise ValueError(
                f"metrics={name!r} depends on the data and the loss of a sweep; give the Dataset "
                "of jsuper.run or jsuper.load instead of weights"
            )
        if name not in found:
            subject = f"metrics={name!r} is not known"
            raise ValueError(not_one_of(subject, name, sorted(found), "of weights there are"))
    data = {
        name: (toy.MEASURES[name][0], values[0], {"description": toy.MEASURES[name][1]})
        for name, values in found.items()
        if metrics is None or name in metrics
    }
    return xr.Dataset(data, coords=toy.COORDINATES if "figures" in data else None)


def _expect_weights(source: Any) -> None:
    """Raise TypeError unless an argument can be the matrix W of a model."""
    if not (hasattr(source, "__array__") or hasattr(source, "detach") or isinstance(source, list)):
        raise TypeError(
            f"ds is {described(source)}, not the Dataset of jsuper.run or jsuper.load, an object "
            "of jsuper.model, or an array W; for example "
            "jsuper.analyze(jsuper.load('runs/activations'))"
        )
