"""Figures of models that were trained on fixed datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis.datasets import (
    example_dimensionality,
    feature_dimensionality,
    sizes_of,
    test_loss,
)
from jsuper.core.errors import SpecError
from jsuper.plots.style import COLORS, SMALL_FONT, TITLE_FONT, set_log_scale

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 6  # datasets whose vectors are drawn
EXAMPLE, FEATURE = COLORS[4], COLORS[5]


def double_descent(ds: xarray.Dataset) -> Figure:
    """Draw a sweep over `dataset_size`: losses, hidden vectors and dimensionalities.

    The upper panel has the loss on the dataset and on new samples, the median and range of all
    seeds. Then follow, for some sizes, the columns of W and the hidden vectors of the examples, and
    in the lower panel their dimensionalities, of the seed with the lowest training loss.

    Parameters
    ----------
    ds
        A sweep with two hidden units, several `dataset_size`, and `hidden_vectors`; one value along
        every other dimension but the seed.

    Raises
    ------
    SpecError
        The sweep has other dimensions, another number of hidden units, or no hidden vectors.

    References
    ----------
    Henighan et al. (2023), "Superposition, Memorization, and Double Descent",
    <https://transformer-circuits.pub/2023/toy-double-descent/index.html>.
    """
    import matplotlib.pyplot as plt

    sizes = sizes_of(ds)
    if ds.sizes["hidden"] != 2:
        raise SpecError(
            f"ds has n_hidden {ds.sizes['hidden']}, and double_descent, which draws hidden vectors "
            "in a plane, needs 2; losses and dimensionalities are drawn for every size by "
            "jsuper.plots.datasets.losses and jsuper.plots.datasets.dimensionalities"
        )
    figure = plt.figure(figsize=(9, 8.5), layout="constrained")
    parts: Any = figure.subfigures(3, 1, height_ratios=(1, 1.35, 1))
    top, middle, bottom = parts
    losses(ds, ax=top.subplots())
    shown = np.unique(np.linspace(0, sizes.size - 1, COLUMNS).round().astype(int))
    grid = middle.subplots(2, shown.size, squeeze=False)
    fits = _best_seeds(ds)
    for column, place in zip(grid.T, shown, strict=True):
        _vectors(ds.isel(dataset_size=place, seed=int(fits[place])), column)
    grid[0, 0].set_ylabel("features", fontsize=SMALL_FONT)
    grid[1, 0].set_ylabel("examples", fontsize=SMALL_FONT)
    dimensionalities(ds, ax=bottom.subplots())
    return figure


def losses(ds: xarray.Dataset, *, ax: Axes) -> Axes:
    """Draw the loss on the dataset and on new samples, over that of the best constant."""
    test, x = test_loss(ds), sizes_of(ds).values
    constant = ds["loss"].squeeze(drop=True) / ds["loss_over_constant"].squeeze(drop=True)
    train = ds["train_loss"].squeeze(drop=True) / constant
    for values, name, color in ((test, "new samples", FEATURE), (train, "the dataset", EXAMPLE)):
        _line(ax, x, values, name, color)
    ax.axhline(1, color="0.6", linewidth=0.8, zorder=0.5)
    set_log_scale(ax.yaxis, np.maximum(test.values, 0.1))
    ax.set_ylim(bottom=0.1)
    ax.set_ylabel("loss / best constant's")
    ax.set_title("Loss against the number of examples", fontsize=TITLE_FONT)
    return _finish(ax, x)


def dimensionalities(ds: xarray.Dataset, *, ax: Axes) -> Axes:
    """Draw the dimensionality of every feature and every example, of the seed that fits best."""
    found = {"features": feature_dimensionality(ds), "examples": example_dimensionality(ds)}
    x, fits = sizes_of(ds).values, _best_seeds(ds)
    for (name, values), shift in zip(found.items(), (0.97, 1.03), strict=True):
        values = values.isel(seed=fits).squeeze(drop=True).transpose("dataset_size", ...).values
        at = np.broadcast_to(shift * x[:, None], values.shape)
        color = FEATURE if name == "features" else EXAMPLE
        ax.scatter(at, values, s=9, color=color, alpha=0.35, linewidth=0, label=name)
    m = ds.sizes["hidden"]
    ax.plot(x, np.minimum(1, m / x), color="0.6", linewidth=0.8, label="m / number of examples")
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel("dimensionality")
    ax.set_title("Share of a dimension of each feature and example", fontsize=TITLE_FONT)
    return _finish(ax, x)


def _best_seeds(ds: xarray.Dataset) -> xarray.DataArray:
    """Return the place of the seed with the lowest loss on the dataset, for every size."""
    others = [d for d in ds["status"].dims if d not in ("dataset_size", "seed")]
    return ds["train_loss"].squeeze(others, drop=True).fillna(np.inf).argmin("seed")


def _line(ax: Axes, x: np.ndarray, values: xarray.DataArray, name: str, color: str) -> None:
    """Draw the median over seeds, and the range if there are several."""
    if "seed" in values.dims:
        low, high = values.min("seed").values, values.max("seed").values
        ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
        values = values.median("seed")
    ax.plot(x, values.values, "o-", color=color, markersize=3, label=name)


def _finish(ax: Axes, x: np.ndarray) -> Axes:
    set_log_scale(ax.xaxis, x)
    ax.set_xlabel("number of examples")
    ax.legend(fontsize=SMALL_FONT, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))
    return ax


def _vectors(ds: xarray.Dataset, axes: np.ndarray) -> None:
    """Draw the columns of W, and the hidden vectors of the examples, of one model."""
    from matplotlib.collections import LineCollection

    model = ds.squeeze([str(d) for d in ds["status"].dims], drop=True)
    for ax, name, color in zip(axes, ("W", "hidden_vectors"), (FEATURE, EXAMPLE), strict=True):
        vectors = model[name].values
        vectors = vectors[:, np.isfinite(vectors).all(axis=0)]
        lines = np.stack([np.zeros_like(vectors), vectors]).transpose(2, 0, 1)
        ax.add_collection(LineCollection([*lines], color=color, linewidth=0.4, alpha=0.5))
        ax.plot(*vectors, ".", color=color, markersize=2)
        reach = 1.1 * max(np.abs(vectors).max(initial=0), 1e-6)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    axes[0].set_title(f"{ds['dataset_size'].item()} examples", fontsize=SMALL_FONT)
