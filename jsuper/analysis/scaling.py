"""How the loss and the geometry of models change with the number of hidden units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import geometry, superposition
from jsuper.analysis.checked import Checked, mean_of
from jsuper.core.errors import SpecError

if TYPE_CHECKING:
    import xarray


def exponent(values: xarray.DataArray) -> xarray.DataArray:
    """Return the exponent a of a power law, values ~ n_hidden^-a, for every seed.

    It is the slope of the least-squares line of ln(value) against ln(n_hidden), with its sign
    turned.

    Parameters
    ----------
    values
        Of every model, such as `ds["loss"]`, with the dimension `n_hidden`.

    Raises
    ------
    SpecError
        There are fewer than two sizes.
    """
    if "n_hidden" not in values.dims or values.sizes["n_hidden"] < 2:
        raise SpecError("an exponent needs several sizes: train a sweep with several n_hidden")
    sizes = np.log(values["n_hidden"].astype(float))
    logs = np.log(values.where(values > 0))
    centred = sizes - sizes.mean()
    slope = (centred * logs).sum("n_hidden", skipna=False) / (centred**2).sum()
    return -slope


def of_sizes(ds: xarray.Dataset) -> xarray.Dataset:
    """Return the share of represented features and the mean squared overlap of every model.

    Parameters
    ----------
    ds
        A sweep with the dimension `n_hidden`; the rows of W beyond a model's own are NaN.

    Returns
    -------
    xarray.Dataset
        `represented`, the share of features with |W_i| > 1/2, and `overlap`, the mean squared
        cosine of two of them.

    References
    ----------
    Liu et al. (2025), "Superposition Yields Robust Neural Scaling",
    <https://arxiv.org/abs/2505.10465>.
    """
    import xarray as xr

    def measured(weights: np.ndarray) -> tuple[float, float]:
        if np.isnan(weights).all():
            return np.nan, np.nan
        W = weights[~np.isnan(weights).all(axis=-1)]  # a smaller model has fewer rows
        represented = superposition.features_represented(W)
        return float(represented) / W.shape[-1], float(geometry.mean_squared_overlap(W))

    represented, overlap = xr.apply_ufunc(
        measured,
        ds["W"],
        input_core_dims=[["hidden", "feature"]],
        output_core_dims=[[], []],
        vectorize=True,
        output_dtypes=[float, float],
    )
    return xr.Dataset({"represented": represented, "overlap": overlap})


def exponents(ds: xarray.Dataset) -> list[Checked]:
    """Return the exponent of the loss, and the squared overlap times m, for every density_power."""
    found = []
    for power in np.atleast_1d(ds["density_power"].values):
        part = ds.sel(density_power=power) if "density_power" in ds.dims else ds
        quantity = f"loss ~ m^-a at density_power {power:g}: a"
        expected = "published: near 1 if all features are represented at every m"
        found.append(mean_of(quantity, exponent(part["loss"]), expected))
        last = part.isel(n_hidden=[-1])
        product = of_sizes(last)["overlap"] * last["n_hidden"]
        quantity = f"mean squared overlap x m at density_power {power:g}, m {int(last.n_hidden[0])}"
        found.append(mean_of(quantity, product, "theory: 1 for random directions"))
    return found
