"""Scatter plots: a point per model, or per feature of every model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis.reading import finished_values
from jsuper.core.expecting import expect_array
from jsuper.plots.selection import check_variables, left_out_text, padded_with_zeros
from jsuper.plots.style import (
    LOG_RANGE,
    TITLE_FONT,
    Style,
    activation_order,
    activation_style,
    add_legend,
    draw_guides,
    get_axes,
    needs_log_scale,
    set_density_axis,
    set_log_scale,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

GEOMETRY = {
    1.0: "1  dedicated dimension",
    3 / 4: "3/4  tetrahedron",
    2 / 3: "2/3  triangle",
    1 / 2: "1/2  digon",
    2 / 5: "2/5  pentagon",
    3 / 8: "3/8  square antiprism",
    0.0: "0  not represented",
}
GOLDEN = (5**0.5 - 1) / 2  # multiples modulo 1 are spread evenly


def loss_against_superposition(
    ds: xarray.Dataset,
    *,
    loss: str = "loss_over_constant",
    superposition: str = "mean_interference",
    ax: Axes | None = None,
) -> Axes:
    """Draw each model's loss against a measure of its superposition, coloured by activation.

    All dimensions are pooled. The y axis is logarithmic if its values are positive and span more
    than a factor of 30. The x axis is linear up to 0.01 and logarithmic above, if no value is
    negative and the largest is more than 30 times the median.

    Parameters
    ----------
    ds
        Result of `jsuper.analyze`.
    loss
        Name of the variable along y, with one value per model.
    superposition
        Name of the variable along x, with one value per model.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        A variable or the activation is missing, or a variable has several values per model.
    """
    x, y, valid, names = _models(ds, superposition, loss)
    ax = get_axes(ax)
    kinds = list(dict.fromkeys(names))
    for i in activation_order(kinds):
        mine = names == kinds[i]
        style = activation_style(kinds[i])
        kept = mine & valid
        label = kinds[i] if kept.any() else f"{kinds[i]} (all left out)"
        dots: Style = {"s": 18, "linewidths": 0, "alpha": 0.75, "label": label}
        ax.scatter(x[kept], y[kept], c=style["color"], marker=style["marker"], **dots)
    if valid.any() and x[valid].min() >= 0 and x[valid].max() > LOG_RANGE * np.median(x[valid]):
        ax.set_xscale("symlog", linthresh=0.01)
    if needs_log_scale(y[valid]):
        set_log_scale(ax.yaxis, y[valid])
    ax.set_xlabel(superposition)
    ax.set_ylabel(loss)
    ax.set_title(left_out_text(int((~valid).sum()), valid.size), fontsize=TITLE_FONT)
    add_legend(ax)
    return ax


def _models(ds: xarray.Dataset, *variables: str) -> tuple[np.ndarray, ...]:
    """Return two variables, whether both are valid, and the activation, each of shape (models,)."""
    import xarray as xr

    check_variables(ds, *variables, "status")
    if "activation" not in ds.coords:
        raise ValueError("ds has no coordinate 'activation'; select with drop=False")
    dims = ds["status"].dims
    for name in variables:
        further = [str(d) for d in ds[name].dims if d not in dims]
        if further:
            raise ValueError(
                f"{name!r} has the dimension {', '.join(further)} in addition to those of models; "
                f"give one value per model, e.g. ds[{name!r}].mean({further[0]!r})"
            )
    pooled = xr.broadcast(*(finished_values(ds, v) for v in variables), ds["activation"])
    x, y, names = (a.values.ravel() for a in pooled)
    return x, y, np.isfinite(x) & np.isfinite(y), names.astype(str)


def dimensionality(
    data: xarray.Dataset | np.ndarray, sparsity: Any = None, *, ax: Axes | None = None
) -> Axes:
    """Draw the dimensionality D_i of every feature of every model against 1/(1 - S).

    Horizontal lines mark the values of regular arrangements. Points of one sparsity are spread
    sideways, deterministically, by less than half of the gap to the next sparsity.

    Parameters
    ----------
    data
        Result of `jsuper.run` or `jsuper.load`, whose dimensions are all pooled; or W of shape
        (..., hidden, feature).
    sparsity
        For W: a number, or an array of W's leading shape.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        A variable or the sparsity is missing, given twice, not in [0, 1) or does not match the
        shape of W.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, "The geometry of superposition".
    """
    shares, sparse = _shares(data, sparsity)
    valid = np.isfinite(shares).any(axis=1)
    ax = get_axes(ax)
    x = set_density_axis(ax, sparse[valid])
    x = np.repeat(x, shares.shape[1])
    y = shares[valid].ravel()
    existing = np.isfinite(y)  # smaller models have fewer features
    x, y = x[existing], y[existing]
    dots: Style = {"s": 5, "linewidths": 0, "alpha": 0.5, "c": "#0072B2"}
    ax.scatter(_jittered(x), y, rasterized=y.size > 10_000, **dots)
    ax.set_ylim(-0.04, 1.04)
    draw_guides(ax, GEOMETRY)
    ax.set_ylabel("dimensionality of a feature")
    title = f"{y.size:,} features; {left_out_text(int((~valid).sum()), valid.size)}"
    ax.set_title(title, fontsize=TITLE_FONT)
    return ax


def _shares(data: xarray.Dataset | np.ndarray, sparsity: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return D_i, (models, features), NaN if left out, and the sparsity, (models,)."""
    import xarray as xr

    from jsuper.analysis import superposition

    if isinstance(data, xr.Dataset):
        W, sparse = _of_dataset(data, sparsity)
    else:
        W, sparse = _of_weights(data, sparsity)
    W = W.reshape(-1, *W.shape[-2:])
    shares = superposition.dimensionality(padded_with_zeros(W))
    return np.where(np.isnan(W).all(axis=-2), np.nan, shares), sparse.ravel()


def _of_dataset(ds: xarray.Dataset, sparsity: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return W, NaN unless the status is `Status.OK`, and the sparsity of every model."""
    check_variables(ds, "W", "status")
    if sparsity is not None:
        raise ValueError(f"sparsity={sparsity!r} is given, but is a coordinate of the Dataset")
    if "sparsity" not in ds.coords:
        raise ValueError("data has no coordinate 'sparsity'; select with drop=False")
    lead = ds["status"].dims
    W = finished_values(ds, "W", *lead, "hidden", "feature")
    return W.values, ds["sparsity"].broadcast_like(ds["status"]).transpose(*lead).values


def _of_weights(W: np.ndarray, sparsity: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return W and the sparsity of every model."""
    expect_array("data", W, "ds.W.values, or ds itself")
    W = np.asarray(W, dtype=float)
    if W.ndim < 2 or 0 in W.shape:
        raise ValueError(f"W has shape {W.shape}; give (..., hidden, feature)")
    if sparsity is None:
        raise ValueError("sparsity is missing: with W, give a number or one per model")
    sparse = np.asarray(sparsity, dtype=float)
    if sparse.ndim and sparse.shape != W.shape[:-2]:
        raise ValueError(
            f"sparsity has shape {sparse.shape}, but W has models of shape {W.shape[:-2]}; "
            "give a number or one per model"
        )
    return W, np.broadcast_to(sparse, W.shape[:-2])


def _jittered(x: np.ndarray) -> np.ndarray:
    """Spread positions on a logarithmic axis by less than half of the smallest gap."""
    places = np.log10(np.unique(x))
    room = np.diff(places).min() if places.size > 1 else 0.3
    offsets = (np.arange(1, x.size + 1) * GOLDEN) % 1 - 0.5
    return x * 10 ** (min(room, 0.3) * 0.8 * offsets)
