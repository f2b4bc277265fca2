"""Figures of points: one per model, or one per feature of every model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis.reading import finished_values
from jsuper.core.expecting import expect_array
from jsuper.plots.reading import check, padded_with_zeros, said
from jsuper.plots.style import (
    TITLE,
    WIDE,
    activation_order,
    activation_style,
    density_axis,
    guides,
    legend,
    log_axis,
    own,
    wide,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

GEOMETRY = {
    1.0: "1  its own dimension",
    3 / 4: "3/4  tetrahedron",
    2 / 3: "2/3  triangle",
    1 / 2: "1/2  digon",
    2 / 5: "2/5  pentagon",
    3 / 8: "3/8  square antiprism",
    0.0: "0  not represented",
}
GOLDEN = (5**0.5 - 1) / 2  # its multiples modulo 1 spread evenly, without a random number


def loss_against_superposition(
    ds: xarray.Dataset,
    *,
    loss: str = "loss_over_constant",
    superposition: str = "mean_interference",
    ax: Axes | None = None,
) -> Axes:
    """Every model as a point: its loss against a measure of its superposition, by activation.

    All dimensions are pooled. The y axis is logarithmic where its numbers are positive and lie more
    than a factor of 30 apart. The x axis is linear up to 0.01 and logarithmic beyond, where no
    number is negative and the largest is more than 30 times the median.

    Parameters
    ----------
    ds
        Of `jsuper.analyze`.
    loss
        The variable along y, one value per model.
    superposition
        The one along x.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the title says how many models are left out.

    Raises
    ------
    ValueError
        A variable or the activation is not there, or a variable has several values
        per model.
    """
    x, y, fine, names = _models(ds, superposition, loss)
    ax = own(ax)
    kinds = list(dict.fromkeys(names))
    for i in activation_order(kinds):
        mine = names == kinds[i]
        style = activation_style(kinds[i])
        kept = mine & fine
        label = kinds[i] if kept.any() else f"{kinds[i]} (none left)"
        dots: dict[str, Any] = {"s": 18, "linewidths": 0, "alpha": 0.75, "label": label}
        ax.scatter(x[kept], y[kept], c=style["color"], marker=style["marker"], **dots)
    if fine.any() and x[fine].min() >= 0 and x[fine].max() > WIDE * np.median(x[fine]):
        ax.set_xscale("symlog", linthresh=0.01)
    if wide(y[fine]):
        log_axis(ax.yaxis, y[fine])
    ax.set_xlabel(superposition)
    ax.set_ylabel(loss)
    ax.set_title(said(int((~fine).sum()), fine.size), fontsize=TITLE)
    legend(ax)
    return ax


def _models(ds: xarray.Dataset, *variables: str) -> tuple[np.ndarray, ...]:
    """Two variables, whether both can be shown, and the activation: each (models,)."""
    import xarray as xr

    check(ds, *variables, "status")
    if "activation" not in ds.coords:
        raise ValueError("ds has no coordinate 'activation'; keep it, so that points have a style")
    dims = ds["status"].dims
    for name in variables:
        further = [str(d) for d in ds[name].dims if d not in dims]
        if further:
            raise ValueError(
                f"{name!r} has the dimension {', '.join(further)} beside those of models; "
                f"give one value per model, e.g. ds[{name!r}].mean({further[0]!r})"
            )
    pooled = xr.broadcast(*(finished_values(ds, v) for v in variables), ds["activation"])
    x, y, names = (a.values.ravel() for a in pooled)
    return x, y, np.isfinite(x) & np.isfinite(y), names.astype(str)


def dimensionality(
    data: xarray.Dataset | np.ndarray, sparsity: Any = None, *, ax: Axes | None = None
) -> Axes:
    """Return the dimensionality D_i of every feature of every model against 1/(1 - S).

    Lines mark the values of regular arrangements. Points of one sparsity are moved sideways by
    less than half the way to the next, always in the same manner, so that they do not hide each
    other.

    Parameters
    ----------
    data
        A Dataset of `jsuper.run` or `jsuper.load`, whose dimensions are all pooled; or W,
        (..., hidden, feature).
    sparsity
        With W, a number or an array of W's leading shape.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the title says how many models are left out.

    Raises
    ------
    ValueError
        A variable or the sparsity is missing, given twice, not in [0, 1) or of
        another shape than W.

    Source: Elhage et al. 2022, "The geometry of superposition".
    """
    shares, sparse = _shares(data, sparsity)
    fine = np.isfinite(shares).any(axis=1)
    ax = own(ax)
    x = density_axis(ax, sparse[fine])
    x = np.repeat(x, shares.shape[1])
    y = shares[fine].ravel()
    there = np.isfinite(y)  # a smaller model has fewer features
    x, y = x[there], y[there]
    dots: dict[str, Any] = {"s": 5, "linewidths": 0, "alpha": 0.5, "c": "#0072B2"}
    ax.scatter(_jittered(x), y, rasterized=y.size > 10_000, **dots)
    ax.set_ylim(-0.04, 1.04)
    guides(ax, GEOMETRY)
    ax.set_ylabel("dimensionality of a feature (spread sideways)")
    title = f"{y.size:,} features; {said(int((~fine).sum()), fine.size)}"
    ax.set_title(title, fontsize=TITLE)
    return ax


def _shares(data: xarray.Dataset | np.ndarray, sparsity: Any) -> tuple[np.ndarray, np.ndarray]:
    """D_i, (models, features) with NaN for what is left out, and the sparsity, (models,)."""
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
    """W, NaN where the status is not 1, and the sparsity of every model."""
    check(ds, "W", "status")
    if sparsity is not None:
        raise ValueError(f"sparsity={sparsity!r} is given, but a Dataset has its own; leave it out")
    if "sparsity" not in ds.coords:
        raise ValueError("data has no coordinate 'sparsity'; select without drop=True to keep it")
    lead = ds["status"].dims
    W = finished_values(ds, "W", *lead, "hidden", "feature")
    return W.values, ds["sparsity"].broadcast_like(ds["status"]).transpose(*lead).values


def _of_weights(W: np.ndarray, sparsity: Any) -> tuple[np.ndarray, np.ndarray]:
    """W, and the sparsity of every model."""
    expect_array("data", W, "ds.W.values, or ds itself")
    W = np.asarray(W, dtype=float)
    if W.ndim < 2 or 0 in W.shape:
        raise ValueError(f"W has shape {W.shape}; it is (..., hidden, feature)")
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
    """Positions on a logarithmic axis, each moved by less than half of the smallest gap."""
    places = np.log10(np.unique(x))
    room = np.diff(places).min() if places.size > 1 else 0.3
    offsets = (np.arange(1, x.size + 1) * GOLDEN) % 1 - 0.5
    return x * 10 ** (min(room, 0.3) * 0.8 * offsets)
