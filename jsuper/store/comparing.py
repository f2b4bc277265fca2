"""Comparison of two run folders: the models with the same coordinates, variable by variable."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.errors import SpecError
from jsuper.core.json_data import JSON
from jsuper.core.status import MISSING, OK
from jsuper.store.chunk_files import FOR_ALL
from jsuper.store.dataset import load
from jsuper.store.groups import groups_of

if TYPE_CHECKING:
    import xarray

Array = np.ndarray

STDERR = "_stderr"  # ends the name of a standard error
SHARES = ("improvement",)  # differences of nearly equal numbers, as shares of them


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far a variable of the models of two runs is apart."""

    largest: float
    """largest relative difference of a model"""
    beyond: int
    """number of models whose difference is above the tolerance"""
    where: str
    """coordinates of the model with the largest difference"""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two runs compared model by model."""

    shared: int
    """number of models that are trained in both runs"""
    only: tuple[int, int]
    """number of models that are trained in the first, or in the second run, alone"""
    other_status: int
    """number of shared models with another status in the second run"""
    variables: dict[str, Difference]
    """of the shared models that are finite in both runs"""

    @property
    def equal(self) -> bool:
        """Whether every shared model is the same within the tolerance."""
        return not self.other_status and not any(d.beyond for d in self.variables.values())


def compare(first: str | Path, second: str | Path, tolerance: float) -> Comparison:
    """Return how far the models of two run folders are apart.

    Models are matched by their coordinates. The relative difference of a variable of one model is
    max |a - b| / max(|a|, |b|), each maximum over the elements of the variable. It is infinite if
    an element is NaN in one run alone. A standard error is divided by its estimate if that is
    larger, and `improvement`, a share of the loss, by 1: their own sizes are rounding errors where
    a model no longer changes.

    Parameters
    ----------
    first, second
        Run folders, finished or not.
    tolerance
        Relative difference above which a model counts as different.

    Raises
    ------
    SpecError
        The runs are of different model families, use different functions of one name, or share no
        trained model.
    FileNotFoundError, RunError
        As `jsuper.load`.
    """
    one, other = load(first), load(second)
    sweeps = [json.loads(ds.attrs["sweep"]) for ds in (one, other)]
    _check_comparable(sweeps[0], sweeps[1], first, second)
    a, b = _shared_points(_with_all_axes(one), _with_all_axes(other))
    trained = (a["status"].values != MISSING) & (b["status"].values != MISSING)
    shared = int(trained.sum())
    if not shared:
        raise SpecError(f"{first} and {second} share no trained model; compare runs of one sweep")
    finite = (a["status"].values == OK) & (b["status"].values == OK)
    return Comparison(
        shared,
        (_trained(one) - shared, _trained(other) - shared),
        int((trained & (a["status"].values != b["status"].values)).sum()),
        {
            name: _difference(a["status"], *_same_shape(a[name], b[name]), finite, tolerance, size)
            for name, size in ((str(name), least_size(a, str(name))) for name in a.data_vars)
            if name in b and name not in FOR_ALL and finite.any()
        },
    )


def _trained(ds: xarray.Dataset) -> int:
    return int((ds["status"] != MISSING).sum())


def _check_comparable(one: dict, other: dict, first: str | Path, second: str | Path) -> None:
    """Raise SpecError for different families, or different functions of the same name."""
    if one["model"] != other["model"]:
        raise SpecError(
            f"model is {one['model']!r} in {first} and {other['model']!r} in {second}; compare "
            "runs of one model family"
        )
    fields = [{dim: list(c) for dim, c in groups_of(sweep).items()} for sweep in (one, other)]
    if fields[0] != fields[1]:
        raise SpecError(
            f"zipped has the groups {fields[0]} in {first} and {fields[1]} in {second}; compare "
            "runs with the same groups, or ds.swap_dims(size='n_hidden') of each in Python"
        )
    for name, a, b in different_functions(one, other):
        raise SpecError(
            f"{name} is {a} in {first} and {b} in {second}: two functions of the same name; "
            "compare runs of the same function"
        )


def different_functions(one: dict, other: dict) -> list[tuple[str, str, str]]:
    """Return (field, label, label) of functions with the same name and another digest."""

    def texts(value: JSON) -> list[str]:
        return list(map(str, value)) if isinstance(value, list) else [str(value)]

    return [
        (name, a, b)
        for name in one.keys() & other.keys()
        for a in texts(one[name])
        for b in texts(other[name])
        if a != b and "@" in a and a.split("@")[0] == b.split("@")[0]
    ]


def _with_all_axes(ds: xarray.Dataset) -> xarray.Dataset:
    """Return a Dataset whose single-valued axes are dimensions of length one."""
    return ds.expand_dims([str(k) for k, v in ds.coords.items() if not v.ndim])


def _shared_points(a: xarray.Dataset, b: xarray.Dataset) -> tuple[xarray.Dataset, xarray.Dataset]:
    """Return both Datasets at the coordinates that they share, dimensions in the same order."""
    for dim in a.indexes.keys() & b.indexes.keys():
        places = {v: i for i, v in enumerate(b[dim].values.tolist())}  # False is no mask
        both = [(i, places[v]) for i, v in enumerate(a[dim].values.tolist()) if v in places]
        a, b = a.isel({dim: [i for i, _ in both]}), b.isel({dim: [j for _, j in both]})
    return a, b.transpose(*a["status"].dims, ...)


def _same_shape(a: xarray.DataArray, b: xarray.DataArray) -> tuple[Array, Array]:
    """Return two variables padded with NaN to the larger size of every dimension."""
    sizes = {d: max(a.sizes[d], b.sizes[d]) for d in a.dims}
    padded = (v.pad({d: (0, n - v.sizes[d]) for d, n in sizes.items()}) for v in (a, b))
    one, other = (v.transpose(*a.dims).values for v in padded)
    return one, other


def least_size(ds: xarray.Dataset, name: str) -> Array:
    """Return the size, of every model, that a variable's difference is divided by at least."""
    estimate = name.removesuffix(STDERR)
    if estimate in SHARES:
        return np.ones(ds["status"].shape)
    if estimate != name and ds[estimate].dims == ds["status"].dims:
        return np.abs(ds[estimate].values)
    return np.zeros(ds["status"].shape)


def _difference(
    models: xarray.DataArray, a: Array, b: Array, finite: Array, tolerance: float, size: Array
) -> Difference:
    found = np.where(finite, relative_difference(a, b, models.ndim, size), 0.0)
    place = np.unravel_index(found.argmax(), found.shape)
    point = models[place].coords
    where = ", ".join(f"{k} {v.item()}" for k, v in point.items() if models.sizes.get(k, 1) > 1)
    return Difference(float(found.max()), int((found > tolerance).sum()), where)


def relative_difference(a: Array, b: Array, n_axes: int, least: Array | float = 0.0) -> Array:
    """Return max |a - b| / max(|a|, |b|, least) of every model; infinite if NaNs differ.

    Parameters
    ----------
    a, b
        Arrays of the same shape, whose first `n_axes` axes are those of models.
    least
        A number, or one of every model.
    """
    lead = a.shape[:n_axes]
    a, b = (v.reshape(*lead, -1).astype(float) for v in (a, b))
    with np.errstate(invalid="ignore"):
        apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    apart = np.where(np.isnan(apart), np.inf, apart).max(-1, initial=0.0)
    size = np.fmax(np.abs(np.nan_to_num(a)), np.abs(np.nan_to_num(b))).max(-1, initial=0.0)
    size = np.fmax(size, least)
    return np.divide(apart, size, out=np.where(apart > 0, np.inf, 0.0), where=size > 0)
