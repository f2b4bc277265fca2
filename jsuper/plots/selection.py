"""Selection of one variable of a Dataset for a figure, and of the models to leave out."""

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


class Selection(NamedTuple):
    """A variable's values, NaN where a model is left out, and a mask of the models left out."""

    values: xarray.DataArray
    left_out: xarray.DataArray

    def sortby(self, dims: str | list[str]) -> Selection:
        """Return the selection with coordinates in ascending order."""
        return Selection(self.values.sortby(dims), self.left_out.sortby(dims))

    @property
    def left_out_text(self) -> str:
        """Number of models left out, for a title."""
        return left_out_text(int(self.left_out.sum()), self.left_out.size)

    @property
    def seeds_text(self) -> str:
        """Number of seeds, for a title."""
        count = self.values.sizes["seed"]
        return f"{count} seed{'s' * (count != 1)}"

    @property
    def median_title(self) -> str:
        """Title of a figure of medians with each seed behind them."""
        one = self.values.sizes["seed"] == 1
        text = self.seeds_text if one else f"median of {self.seeds_text}, each seed faint"
        return f"{text}; {self.left_out_text}"


def left_out_text(left: int, total: int) -> str:
    """Return the number of models that a figure leaves out, for its title."""
    if left:
        return f"{left:,} of {total:,} models left out"
    return f"all {total:,} models" if total > 1 else "1 model"


def select(
    ds: xarray.Dataset, variable: str, dims: Sequence[str], inner: tuple[str, ...] = ()
) -> Selection:
    """Return one variable over `dims`, seed and `inner`, activations in order of registration.

    A model is left out if its status is not `Status.OK` or none of its values is finite.

    Raises
    ------
    ValueError
        A variable or dimension is missing, or another dimension has more than one value.
    """
    dims = (*dims, "seed")
    ds = _only(ds, variable, dims, inner)
    values = finished_values(ds, variable).transpose(*dims, *inner)
    if "activation" in dims:
        values = values.isel(activation=activation_order(values["activation"].values))
    return Selection(values, values.isnull().all(inner))


def _only(
    ds: xarray.Dataset, variable: str, dims: tuple[str, ...], inner: tuple[str, ...]
) -> xarray.Dataset:
    """Return the Dataset with only `dims` and `inner`; a scalar coordinate becomes a dimension."""
    check_variables(ds, variable, "status")
    for dim in dims:
        if dim not in ds.dims and dim not in ds.coords:
            has = [str(d) for d in ds["status"].dims] or ["none"]
            subject = f"ds has no dimension {dim!r}, which the figure needs"
            raise ValueError(not_one_of(subject, dim, has, "it has"))
        if dim not in ds.dims:
            ds = (ds.drop_vars(dim) if ds[dim].ndim else ds).expand_dims(
                dim
            )  # a seed per cell, after `jsuper.best`
    found = dict.fromkeys([*ds["status"].dims, *ds[variable].dims])
    further = [str(d) for d in found if d not in (*dims, *inner)]
    many = [d for d in further if ds.sizes[d] > 1]
    if many:
        raise ValueError(f"{variable!r} has further dimensions: {_select_advice(ds, many)}")
    return ds.isel(dict.fromkeys(further, 0))


def _select_advice(ds: xarray.Dataset, dims: list[str]) -> str:
    """Return the dimensions with their values, and how to select one of each."""
    listed = []
    for dim in dims:
        values = [v.item() for v in ds[dim].values[:6]]
        more = ", ..." * (ds.sizes[dim] > 6)
        listed.append(f"{dim} ({', '.join(map(str, values))}{more})")
    example = ", ".join(f"{d}={ds[d].values[0].item()!r}" for d in dims if d in ds.coords)
    calls = [f".sel({example})"] if example else []
    calls += [f".isel({d}=0)" for d in dims if d not in ds.coords]
    return f"{', '.join(listed)}; select one value of each, e.g. ds{''.join(calls)}"


def check_variables(ds: xarray.Dataset, *variables: str) -> None:
    """Raise unless `ds` is a Dataset with these variables and at least one model.

    Raises
    ------
    TypeError
        `ds` is not a Dataset.
    ValueError
        A variable is missing or empty.
    """
    expect_dataset(ds, "jsuper.plots.heatmap(jsuper.load('runs/activations'), 'loss')")
    for name in variables:
        expect("variable", name, str, "the name of one variable", "'loss_over_constant'")
        if name not in ds.data_vars:
            has = [str(v) for v in ds.data_vars]
            message = not_one_of(f"ds has no variable {name!r}", name, has, "it has")
            raise ValueError(f"{message}. jsuper.analyze(ds) adds the metrics")
        if not ds[name].size:
            raise ValueError(f"ds has no models: its sizes are {dict(ds[name].sizes)}")


def check_dropout(ds: xarray.Dataset) -> None:
    """Raise ValueError unless `ds` has several values of dropout."""
    if ds.sizes.get("dropout", 1) < 2:
        raise ValueError(
            "ds has no dimension 'dropout' of several values; sweep it, e.g. "
            "jsuper.Sweep(dropout=(0.0, 0.1, 0.2))"
        )


def padded_with_zeros(W: np.ndarray) -> np.ndarray:
    """Return W with 0 instead of NaN in the rows and columns that a smaller model lacks."""
    missing = np.isnan(W)
    padding = missing.all(axis=-1, keepdims=True) | missing.all(axis=-2, keepdims=True)
    return np.where(padding, 0, W)
