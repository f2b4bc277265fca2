"""The figures of "Toy Models of Superposition", one call each for a Dataset of `run` or `load`.

    ds = jsuper.run(jsuper.Sweep(activation="relu", seeds=4))
    jsuper.plots.paper.superposition_grid(ds)

Of several seeds each figure shows the one with the lowest loss, and says so. Sizes and fonts follow
matplotlib's style. Reference: Elhage et al. (2022), "Toy Models of Superposition",
<https://transformer-circuits.pub/2022/toy_model/index.html>; `stack_plot` is from its section on
computation, and `bumps` shows the learning curves of factorizations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.core.expecting import expect_dataset
from jsuper.plots.paper_parts import (
    add_scales,
    best_of,
    cells_over,
    draw_polygon,
    figure_of,
    without_model,
)
from jsuper.plots.style import get_axes, verbatim

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

EXAMPLE = "jsuper.plots.paper.superposition_grid(jsuper.load('runs/relu'))"
# Corners of the regular arrangements in the plane, or their shadow, joined in order.
POLYGONS = {3 / 4: 4, 2 / 3: 3, 1 / 2: 2, 2 / 5: 5, 3 / 8: 8}


def superposition_grid(ds: xarray.Dataset) -> Figure:
    """Draw WᵀW, b and the norms ‖W_i‖ of every model over sparsities, their rows aligned.

    A bar is coloured by the interference √Σ_{j≠i} (Ŵ_i·W_j)² of its feature: dark features have a
    dimension for themselves, light ones are in superposition.

    Parameters
    ----------
    ds
        Toy models with a dimension sparsity, and possibly activation and seed; at most MOST_CELLS
        cells. Other dimensions have length one.

    Returns
    -------
    Figure
        A column for each sparsity and a row for each activation.

    Raises
    ------
    ValueError
        ds has further dimensions, no W, or too many cells.
    """
    import matplotlib.pyplot as plt

    from jsuper.plots.models import features, weights

    cells, title = cells_over(ds, ("activation", "sparsity"))
    rows, columns = cells.sizes["activation"], cells.sizes["sparsity"]
    figure = plt.figure(figsize=(2.3 * columns + 0.9, 2.0 * rows + 0.7), layout="constrained")
    ratios = [5, 1.6] * columns
    axes: Any = figure.subplots(rows, 2 * columns, squeeze=False, width_ratios=ratios)
    for row, column in np.ndindex(rows, columns):
        one = cells.isel(activation=row, sparsity=column)
        matrix, bars = axes[row, 2 * column : 2 * column + 2]
        if not np.isfinite(one["W"]).any():
            without_model(matrix, bars)
            continue
        b = one["b"].values if "b" in one else None
        weights(one["W"].values, b, colorbar=False, ax=matrix)
        features(one["W"].values, colorbar=False, ax=bars)
        bars.set(ylim=matrix.get_ylim(), yticks=[], xticks=[0, 1], xlabel="", ylabel="", title="")
        matrix.set(title="", xlabel="", ylabel="", xticks=[], yticks=[], aspect="auto")
        if row == 0:
            matrix.set_title(f"S = {float(one['sparsity']):g}", fontsize="medium")
        if column == 0:
            matrix.set_ylabel(verbatim(str(one["activation"].values)))
        if row == rows - 1:
            bars.set_xlabel("‖W_i‖")
            matrix.set_xlabel("WᵀW, b" if b is not None else "WᵀW")
    add_scales(figure, axes)
    figure.suptitle(title, fontsize="medium")
    return figure


def phase_diagram(ds: xarray.Dataset) -> Figure:
    """Draw which outcome the last feature has at every density and relative importance.

    Parameters
    ----------
    ds
        As in `jsuper.plots.phases.phase_diagram`: two features in one unit or three in two, over
        sparsity and importance_decay; of several activations each has a panel.

    Returns
    -------
    Figure
        With the boundary of theory where there is one.

    Raises
    ------
    ValueError
        An axis is missing, or there are further ones.
    """
    from jsuper.plots import phases

    expect_dataset(ds, EXAMPLE)
    if ds.sizes.get("activation", 1) > 1:
        return phases.phase_diagrams(ds)
    return figure_of(phases.phase_diagram(ds))


def dimensions_per_feature(ds: xarray.Dataset) -> Figure:
    """Draw D* = m / ‖W‖²_F against 1/(1 - S), with its plateaus at 1 and 1/2.

    Parameters
    ----------
    ds
        As in `jsuper.plots.dimensions_per_feature`.

    Returns
    -------
    Figure
        A line for each activation.

    Raises
    ------
    ValueError
        ds has further dimensions, no W or no status.
    """
    from jsuper.plots import lines

    return figure_of(lines.dimensions_per_feature(ds))


def dimensionality(ds: xarray.Dataset) -> Figure:
    """Draw D_i of every feature against 1/(1 - S), with the arrangements of the plateaus.

    Parameters
    ----------
    ds
        As in `jsuper.plots.dimensionality`.

    Returns
    -------
    Figure
        The insets at the right are the digon, triangle, tetrahedron, pentagon and square antiprism.

    Raises
    ------
    ValueError
        ds has no W, no status or no sparsity.
    """
    from jsuper.plots import points

    ax = points.dimensionality(ds)
    for value, corners in POLYGONS.items():
        draw_polygon(ax, value, corners)
    return figure_of(ax)


def features_2d(ds: xarray.Dataset) -> Figure:
    """Draw the embeddings of all features in the plane, for models with two hidden units.

    All panels have the same limits, and a label that would overlap another is left out.

    Parameters
    ----------
    ds
        Toy models with n_hidden 2 and a dimension sparsity, and possibly activation and seed; at
        most MOST_CELLS cells. Other dimensions have length one.

    Returns
    -------
    Figure
        A column for each sparsity and a row for each activation.

    Raises
    ------
    ValueError
        ds has further dimensions, no W, another n_hidden, or too many cells.
    """
    import matplotlib.pyplot as plt

    from jsuper.plots.models import arrows

    cells, title = cells_over(ds, ("activation", "sparsity"))
    if cells.sizes["hidden"] != 2:
        raise ValueError(
            f"ds has n_hidden {cells.sizes['hidden']}, and features_2d needs 2; "
            "superposition_grid draws every size"
        )
    rows, columns = cells.sizes["activation"], cells.sizes["sparsity"]
    figure = plt.figure(figsize=(1.9 * columns + 0.6, 1.9 * rows + 0.8), layout="constrained")
    axes: Any = figure.subplots(rows, columns, squeeze=False)
    longest = float(np.nanmax(np.hypot(*cells["W"].transpose("hidden", ...).values), initial=1.0))
    edge = 1.35 * longest
    for row, column in np.ndindex(rows, columns):
        one, ax = cells.isel(activation=row, sparsity=column), axes[row, column]
        if not np.isfinite(one["W"]).any():
            without_model(ax)
            continue
        arrows(one["W"].values, label_distance=0.2, ax=ax)
        ax.set(xlim=(-edge, edge), ylim=(-edge, edge))
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="", title="")
        if row == 0:
            ax.set_title(f"S = {float(one['sparsity']):g}", fontsize="medium")
        if column == 0:
            ax.set_ylabel(verbatim(str(one["activation"].values)))
    figure.suptitle(f"{title}; the circle has radius 1", fontsize="medium")
    return figure


def development(ds: xarray.Dataset) -> Figure:
    """Draw the loss, the norms and the dimensionalities of the best model over its snapshots.

    Parameters
    ----------
    ds
        Toy models with snapshots; dimensions other than seed have length one.

    Returns
    -------
    Figure
        As of `jsuper.plots.development`.

    Raises
    ------
    ValueError
        ds has further dimensions, or no snapshots.
    """
    import jsuper
    from jsuper.plots import developing

    expect_dataset(ds, EXAMPLE)
    figure = developing.development(jsuper.best(ds) if "seed" in ds.dims else ds)
    figure.suptitle(best_of(ds), fontsize="medium")
    return figure


def stack_plot(model: Any, **options: Any) -> Figure:
    """Draw a bar for every neuron of one model, in which the weight of a feature is a segment.

    Parameters
    ----------
    model
        W (hidden, feature); a Dataset of one cell, of whose seeds the best is drawn; or an object
        with `params`, as `jsuper.model` returns it.
    options
        As of `jsuper.plots.stack_plot`.

    Returns
    -------
    Figure
        Its Axes are those of `jsuper.plots.stack_plot`.

    Raises
    ------
    ValueError
        The Dataset has several cells.
    """
    import xarray as xr

    from jsuper.plots import stacks

    title = ""
    if isinstance(model, xr.Dataset):
        cells, title = cells_over(model, ())
        W, decoder = cells["W"].values, cells["W_dec"].values if "W_dec" in cells else None
    else:
        params = getattr(model, "params", None)
        W = np.asarray(model if params is None else params.W)
        decoder = getattr(params, "W_dec", None)
    width = max(5.0, 0.3 * W.shape[-2] + 2.0)  # of the legend at least
    options = {"ax": get_axes(None, width, 3.8)} | options
    ax = stacks.stack_plot(W, None if decoder is None else np.asarray(decoder), **options)
    if title:
        ax.set_title(title, fontsize="medium")
    return figure_of(ax)


def bumps(ds: xarray.Dataset) -> Figure:
    """Draw how many bumps the learning curves of factorizations have.

    Parameters
    ----------
    ds
        As in `jsuper.plots.learning.bump_counts`.

    Returns
    -------
    Figure
        With the mean and the Fano factor of each group.

    Raises
    ------
    ValueError
        ds has further dimensions, or no bumps.
    """
    from jsuper.plots import learning

    return figure_of(learning.bump_counts(ds))
