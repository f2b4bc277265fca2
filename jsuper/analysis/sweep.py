"""A whole sweep at once: every metric of every model as variables beside the results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.core.expecting import expect_dataset
from jsuper.core.family import family_of
from jsuper.core.protocols import Described
from jsuper.core.status import OK
from jsuper.core.suggestions import not_one_of

if TYPE_CHECKING:
    import xarray


def analyze(ds: xarray.Dataset) -> xarray.Dataset:
    """The Dataset with every metric of its family as a variable over the sweep's own dimensions.

    Variables per model have the sweep's axes and seed as dimensions, those per feature or per
    hidden unit one more; `ds[name].description` says what each is. A model that is missing or not
    finite has NaN in all of them: `(ds.status != 1).sum()` is how many.

    Parameters
    ----------
    ds
        Of `jsuper.run` or `jsuper.load`, or a selection of it (`ds.sel(activation="relu")`).

    Raises
    ------
    TypeError
        ds is not a Dataset.
    ValueError
        ds does not come from a sweep, or lacks variables that the metrics need.
    """
    expect_dataset(ds, "jsuper.analyze(jsuper.load('runs/activations'))")
    family = family_of(_model(ds)).measures
    _check(ds, ("status", *family.NEEDS))
    whole = ds.assign(family.measure(ds))
    return _described(whole, family.MEASURES, family.COORDINATES)


def scrub_all(ds: xarray.Dataset, overlap: float = 0.1) -> xarray.Dataset:
    """Return the Dataset with causal scrubbing of every model, by every ready hypothesis.

    The dimension hypothesis holds all, self, antipodal, cluster, subspaces, random and none; of the
    variables `ds[name].description` says what each is. A model that is missing or not finite has
    NaN, as has one whose activation couples the samples of a batch or was a function of your own.

    Parameters
    ----------
    ds
        Of `jsuper.run` or `jsuper.load`, or a selection of it.
    overlap
        Least |cos(W_i, W_j)| that joins two features in a cluster, in (0, 1].

    Raises
    ------
    TypeError
        ds is not a Dataset.
    ValueError
        ds does not come from a sweep, its family cannot be scrubbed, it lacks
        variables, or overlap is out of range.
    """
    expect_dataset(ds, "jsuper.scrub_all(jsuper.load('runs/activations'))")
    family = family_of(_model(ds)).scrubbing
    _check(ds, ("status", *family_of(_model(ds)).measures.NEEDS))
    whole = ds.assign(family.measure(ds, overlap=overlap))
    return _described(whole, family.VARIABLES, family.COORDINATES)


def best(ds: xarray.Dataset, by: str = "loss") -> xarray.Dataset:
    """Return the seed with the smallest `by` in every cell, without the dimension seed.

    The coordinate seed says which one it is. Only finished, finite models count; in a cell that
    has none, every variable is NaN and status is that of the first seed.

    Parameters
    ----------
    ds
        Of `jsuper.run`, `jsuper.load` or `jsuper.analyze`, with a dimension seed.
    by
        A variable with one value per model.

    Raises
    ------
    TypeError
        ds is not a Dataset.
    ValueError
        `by` is not such a variable, or ds has no dimension seed.
    """
    expect_dataset(ds, "jsuper.best(jsuper.load('runs/activations'), by='loss')")
    if "seed" not in ds.dims or "status" not in ds:
        raise ValueError("ds has no dimension seed or no status; give the Dataset of run or load")
    if not ds["status"].size:
        raise ValueError(f"ds has no models: its sizes are {dict(ds['status'].sizes)}")
    lead = set(ds["status"].dims)
    usable = [str(k) for k, v in ds.data_vars.items() if set(v.dims) == lead and k != "status"]
    if by not in usable:
        raise ValueError(
            not_one_of(f"by={by!r} is not a variable per model", by, usable, "it is one of")
        )
    ranked = ds[by].where(ds["status"] == OK).fillna(np.inf)
    chosen = ds.isel(seed=ranked.argmin("seed"))
    none = (ranked == np.inf).all("seed")
    fixed = ("status", "first_bad_step")
    masked = {k: v.where(~none) for k, v in chosen.data_vars.items() if k not in fixed}
    return chosen.assign(masked) if bool(none.any()) else chosen


def _check(ds: xarray.Dataset, needed: tuple[str, ...]) -> None:
    lacking = [k for k in needed if k not in ds]
    if lacking:
        raise ValueError(
            f"ds has no variable {', '.join(lacking)}; give all of the Dataset of run or load, "
            "or a selection along its dimensions that keeps the coordinates"
        )


def _described(
    whole: xarray.Dataset, variables: Described, coordinates: Mapping[str, Any]
) -> xarray.Dataset:
    for name, (_, text) in variables.items():
        whole[name].attrs.update(description=text, units="1")
    return whole.assign_coords(coordinates)


def _model(ds: xarray.Dataset) -> str:
    """Return the family that a Dataset is of."""
    try:
        return json.loads(ds.attrs["sweep"])["model"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "ds has no attrs['sweep'] that says what was trained; give the Dataset of run or load"
        ) from error
