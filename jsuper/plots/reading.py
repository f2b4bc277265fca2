"""What the figures take from a Dataset: one variable, in order, and which models it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jsuper.analysis.reading import finished_values
from jsuper.core.expecting import expect, expect_dataset
from jsuper.core.suggestions import not_one_of
from jsuper.plots.style import activation_order

if TYPE_CHECKING:
    import xarray


class Taken(NamedTuple):
    """A variable's values, NaN where left out, and the models left out, without `inner`."""

    values: xarray.DataArray
    left_out: xarray.DataArray

    @property
    def said(self) -> str:
        """How many models are left out, in words."""
        return said(int(self.left_out.sum()), self.left_out.size)

    @property
    def seeds(self) -> str:
        """How many seeds there are, in words."""
        count = self.values.sizes["seed"]
        return f"{count} seed{'s' * (count != 1)}"


def said(left: int, total: int) -> str:
    """Return how many models of a figure are left out, in words."""
    if left:
        return f"{left:,} of {total:,} models left out"
    return f"all {total:,} models" if total > 1 else "1 model"


def take(
    ds: xarray.Dataset, variable: str, dims: Sequence[str], inner: tuple[str, ...] = ()
) -> Taken:
    """One variable over `dims`, seed and then `inner`, activations in the order of the table.

    A model is left out where its status is not 1 or where none of its values is finite.

    Raises
    ------
    ValueError
        A variable or dimension is not there, or there are more dimensions of several
        values than these.
    """
    dims = (*dims, "seed")
    ds = _only(ds, variable, dims, inner)
    values = finished_values(ds, variable).transpose(*dims, *inner)
    if "activation" in dims:
        values = values.isel(activation=activation_order(values["activation"].values))
    return Taken(values, values.isnull().all(inner))


def _only(
    ds: xarray.Dataset, variable: str, dims: tuple[str, ...], inner: tuple[str, ...]
) -> xarray.Dataset:
    """Return the Dataset with `dims`, also where one is a scalar, and no others but `inner`."""
    check(ds, variable, "status")
    for dim in dims:
        if dim not in ds.dims and dim not in ds.coords:
            has = [str(d) for d in ds["status"].dims] or ["none"]
            subject = f"ds has no dimension {dim!r}, which the figure needs"
            raise ValueError(not_one_of(subject, dim, has, "it has"))
        if dim not in ds.dims:
            ds = (ds.drop_vars(dim) if ds[dim].ndim else ds).expand_dims(dim)  # seed, after `best`
    found = dict.fromkeys([*ds["status"].dims, *ds[variable].dims])
    further = [str(d) for d in found if d not in (*dims, *inner)]
    many = [d for d in further if ds.sizes[d] > 1]
    if many:
        raise ValueError(f"{variable!r} has further dimensions: {_selection(ds, many)}")
    return ds.isel(dict.fromkeys(further, 0))


def _selection(ds: xarray.Dataset, dims: list[str]) -> str:
    """Return which dimensions there are, and how to select one value of each."""
    listed = []
    for dim in dims:
        values = [v.item() for v in ds[dim].values[:6]]
        more = ", ..." * (ds.sizes[dim] > 6)
        listed.append(f"{dim} ({', '.join(map(str, values))}{more})")
    example = ", ".join(f"{d}={ds[d].values[0].item()!r}" for d in dims if d in ds.coords)
    calls = [f".sel({example})"] if example else []
    calls += [f".isel({d}=0)" for d in dims if d not in ds.coords]
    return f"{', '.join(listed)}; select one value of each, e.g. ds{''.join(calls)}"


def check(ds: xarray.Dataset, *variables: str) -> None:
    """Return the variables are there, and so is a model.

    Raises
    ------
    TypeError
        ds is not a Dataset.
    ValueError
        A variable is not there; it names those that are.
    """
    expect_dataset(ds, "jsuper.plots.heatmap(jsuper.load('runs/activations'), 'loss')")
    for name in variables:
        expect("variable", name, str, "the name of one variable", "'loss_over_constant'")
        if name not in ds.data_vars:
            has = [str(v) for v in ds.data_vars]
            message = not_one_of(f"ds has no variable {name!r}", name, has, "it has")
            raise ValueError(f"{message}. jsuper.analyze(ds) adds the metrics")
        if not ds[name].size:
            raise ValueError(f"ds has no models left: its sizes are {dict(ds[name].sizes)}")


def padded_with_zeros(W: np.ndarray) -> np.ndarray:
    """W where the rows and columns that a smaller model does not have are 0 instead of NaN."""
    missing = np.isnan(W)
    padding = missing.all(axis=-1, keepdims=True) | missing.all(axis=-2, keepdims=True)
    return np.where(padding, 0, W)
