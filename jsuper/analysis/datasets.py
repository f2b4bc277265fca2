"""Models that were trained on a fixed dataset: what they store of its examples and of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.checked import Checked, mean_of
from jsuper.analysis.superposition import dimensionality
from jsuper.core.errors import SpecError

if TYPE_CHECKING:
    import xarray


def example_dimensionality(ds: xarray.Dataset) -> xarray.DataArray:
    """Return the dimensionality of every example's hidden vector, D_i = |h_i|² / Σ_j (ĥ_i · h_j)².

    It is the share of a dimension that an example has for itself, as `dimensionality` is that of a
    feature. The sum is over the examples of the dataset.

    Parameters
    ----------
    ds
        A sweep with `dataset_size` and `hidden_vectors`.

    Returns
    -------
    xarray.DataArray
        With the dimension `example`, in [0, 1]; NaN beyond the dataset, and for missing models.

    Raises
    ------
    SpecError
        The sweep has no hidden vectors.

    References
    ----------
    Henighan et al. (2023), "Superposition, Memorization, and Double Descent",
    <https://transformer-circuits.pub/2023/toy-double-descent/index.html>
    """
    if "hidden_vectors" not in ds:
        raise SpecError("the sweep has no hidden_vectors: train it with hidden_vectors=True")
    import xarray as xr

    return xr.apply_ufunc(
        _with_missing,
        ds["hidden_vectors"],
        input_core_dims=[["hidden", "example"]],
        output_core_dims=[["example"]],
        vectorize=True,
        output_dtypes=[np.float64],
    )


def feature_dimensionality(ds: xarray.Dataset) -> xarray.DataArray:
    """Return the dimensionality of every feature; see `jsuper.analysis.dimensionality`."""
    import xarray as xr

    return xr.apply_ufunc(
        _with_missing,
        ds["W"],
        input_core_dims=[["hidden", "feature"]],
        output_core_dims=[["feature"]],
        vectorize=True,
        output_dtypes=[np.float64],
    )


def sizes_of(ds: xarray.Dataset) -> xarray.DataArray:
    """Return the sizes of the datasets, a dimension of the sweep.

    Raises
    ------
    SpecError
        The sweep has fewer than two sizes, or another dimension with several values.
    """
    others = [d for d in ds["status"].dims if d not in ("dataset_size", "seed") and ds.sizes[d] > 1]
    if "dataset_size" not in ds.dims or others:
        named = ", ".join(map(str, others)) or "no dataset_size"
        raise SpecError(
            f"the sweep has {named} as a dimension; give one with several dataset_size, and select "
            "a value of every other dimension: ds.sel(...)"
        )
    return ds["dataset_size"]


def test_loss(ds: xarray.Dataset) -> xarray.DataArray:
    """Return the loss on new samples over that of the best constant: (dataset_size, seed)."""
    sizes_of(ds)
    others = [d for d in ds["status"].dims if d not in ("dataset_size", "seed")]
    return ds["loss_over_constant"].squeeze(others, drop=True)


def peak(ds: xarray.Dataset) -> xarray.DataArray:
    """Return the size of the dataset with the largest loss on new samples, for every seed."""
    return test_loss(ds).idxmax("dataset_size")


def descent(ds: xarray.Dataset) -> list[Checked]:
    """Return where the loss on new samples peaks, how high, and how few examples are stored."""
    loss, few = test_loss(ds), int(ds["dataset_size"].min())
    ends = loss.isel(dataset_size=[0, -1]).max("dataset_size")
    m = ds.sizes["hidden"]
    stored = example_dimensionality(ds.sel(dataset_size=few)).mean("example")
    published = "published: a peak between few examples and many"
    return [
        mean_of("examples at the largest loss on new samples", peak(ds), published),
        mean_of(
            "this loss over the larger of both ends'",
            loss.max("dataset_size") / ends,
            "published: above 1, double descent",
        ),
        mean_of(
            f"mean dimensionality of {few} examples",
            stored,
            f"theory: {min(1, m / few):.3g} if all are stored alike",
        ),
    ]


def _with_missing(vectors: np.ndarray) -> np.ndarray:
    """Return the dimensionality of columns, (m, k), of which some may be NaN."""
    found = np.full(vectors.shape[1], np.nan)
    there = np.isfinite(vectors).all(axis=0)
    if there.any():
        found[there] = np.asarray(dimensionality(vectors[:, there]))
    return found
