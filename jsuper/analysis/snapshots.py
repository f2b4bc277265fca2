"""The models of a sweep at the steps of its snapshots, as a sweep of as many models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.metrics.toy_models import per_model
from jsuper.core.errors import SpecError
from jsuper.core.status import MISSING

if TYPE_CHECKING:
    import xarray

MATRICES, VECTORS = ("W", "W_dec", "V", "M"), ("b", "c", "b_hidden")
STEP = "snapshot_step"


def of_snapshots(ds: xarray.Dataset, *, need_bias: bool = True) -> xarray.Dataset:
    """Return a Dataset in which every snapshot is a model: `snapshot_step` is a dimension of it.

    W, b and the other parameters are those after the step, and `status` has the dimension too.
    Losses and other results stay those of the trained models.

    Parameters
    ----------
    ds
        Dataset of `jsuper.run` or `jsuper.load`, of toy models with `snapshots`.
    need_bias
        Whether snapshots without their biases are refused. If not, b is NaN where it is unknown.

    Raises
    ------
    SpecError
        The run has no snapshots, or it has only those of W, and models with a bias.
    """
    if "W_snapshots" not in ds:
        raise SpecError(
            "the run has no snapshots; train it with snapshots=(100, 200, ...), or give "
            "snapshots=False for the trained models"
        )
    found = {"W": ds["W_snapshots"]}
    lead = (STEP, *ds["status"].dims)
    for name in (*MATRICES[1:], *VECTORS):
        if name not in ds:
            continue
        if f"{name}_snapshots" in ds:
            found[name] = ds[f"{name}_snapshots"]
        elif name == "b":
            found[name] = _known_bias(ds, need_bias)
        else:
            raise SpecError(
                f"the run has no {name}_snapshots, and snapshots of W alone are not whole models; "
                "train it with snapshots of all parameters, or give snapshots=False for the "
                "trained models"
            )
    for name, values in found.items():
        inner = [d for d in ("hidden", "hidden_in", "feature") if d in values.dims]
        found[name] = values.transpose(*lead, *inner) if STEP in values.dims else values
    whole = found["W"].notnull().any(("hidden", "feature"))
    status = ds["status"].where(whole, MISSING).astype(ds["status"].dtype).transpose(*lead)
    return ds.assign(found | {"status": status})


def has_bias(ds: xarray.Dataset) -> np.ndarray:
    """Return whether every model has an output bias that is trained, (models,)."""
    if "bias" in ds.coords:
        return per_model(ds, "bias")
    sweep = json.loads(ds.attrs["sweep"])
    return np.full(ds["status"].size, sweep.get("bias", [True])[0])


def _known_bias(ds: xarray.Dataset, needed: bool) -> xarray.DataArray:
    """Return b of every model without b_snapshots: 0 where there is no bias."""
    biased = ds["status"].copy(data=has_bias(ds).reshape(ds["status"].shape))
    if needed and bool(biased.any()):
        raise SpecError(
            "the run has no b_snapshots, without which the loss of a snapshot is unknown; train it "
            "with snapshot_parameters=True, or give snapshots=False for the trained models"
        )
    return (ds["b"] * 0).where(~biased, np.nan).transpose(*ds["b"].dims)
