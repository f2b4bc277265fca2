"""The figures of the presets of the findings: one function of the sweep's results for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsuper.analysis.preset_checks import at, keep
from jsuper.analysis.sweep import analyze
from jsuper.plots.cells import heatmap
from jsuper.plots.lines import kurtosis_against_dropout
from jsuper.plots.style import TITLE_FONT

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def represented(ds: xarray.Dataset) -> Axes:
    """Draw the features represented, activation x sparsity."""
    part = analyze(_slice(ds, "activation", "sparsity"), metrics=("features_represented",))
    return heatmap(part, "features_represented")


def represented_with_dropout(ds: xarray.Dataset) -> Axes:
    """Draw the features represented against dropout."""
    part = analyze(_slice(ds, "sparsity", "dropout"), metrics=("features_represented",))
    return kurtosis_against_dropout(part, "features_represented")


def kurtosis_with_dropout(ds: xarray.Dataset) -> Axes:
    """Draw the kurtosis across hidden units against dropout, for ReLU and plain descent."""
    ds = keep(ds, activation=["relu"], optimizer=["sgd(2)"])
    metrics = ("basis_kurtosis", "basis_kurtosis_null")
    return kurtosis_against_dropout(analyze(_slice(ds, "sparsity", "dropout"), metrics=metrics))


def crosstalk(ds: xarray.Dataset) -> Axes:
    """Draw the crosstalk of the gates and of activations without a gate."""
    part = analyze(_slice(ds, "activation", "sparsity"), metrics=("crosstalk",))
    return heatmap(part, "crosstalk")


def recovered(ds: xarray.Dataset) -> Axes:
    """Draw the share of units that recover from a push of a fresh model."""
    from jsuper.analysis.reviving import recovery
    from jsuper.plots import reviving

    steps = recovery(ds.isel(push_step=[0], optimizer=[0]))
    return reviving.recovered(steps.squeeze(["optimizer", "push_step"], drop=True))


def learning(ds: xarray.Dataset) -> Figure:
    """Draw the loss against time, a panel per value of the axis with the most values."""
    import matplotlib.pyplot as plt

    from jsuper.plots.learning import losses

    dims = [str(d) for d in ds["status"].dims if d != "seed"]
    along = max(dims, key=lambda d: ds.sizes[d])
    count = ds.sizes[along]
    columns = min(4, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.9 * columns, 2.4 * rows), layout="constrained", squeeze=False
    )
    for i, ax in enumerate(axes.flat):
        ax.axis("on" if i < count else "off")
    for value, ax in zip(ds[along].values, axes.flat, strict=False):
        part = at(ds, **{along: value})
        losses(part, ax=ax)
        ax.set_title(f"{along} {value}", fontsize=TITLE_FONT)
    first = at(ds)
    rest = ", ".join(f"{d} {first[d].item()}" for d in dims if d != along)
    figure.suptitle(f"{rest}; median of {ds.sizes['seed']} seeds, each seed faint", fontsize=9)
    return figure


def bumps(ds: xarray.Dataset) -> Figure:
    """Draw the alignments of one model, and the bumps of all seeds by the number of pairs.

    Both are of the highest rank and the first optimizer. The model is the first seed with bumps, if
    there is one, of the fewest pairs.
    """
    import matplotlib.pyplot as plt

    from jsuper.plots.learning import alignments, bump_counts

    part = ds.sel(rank=[ds["rank"].values.max()])
    part = analyze(_slice(part, "pairs"), metrics=("bumps",))
    part = part.sel(pairs=[k for k in part["pairs"].values if k > 1])  # one pair has no other
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.2), layout="constrained")
    few = part.isel(pairs=0)
    seed = int((few["bumps"] > 0).values.argmax())
    alignments(few.isel(seed=[seed]), ax=left)
    name = f"seed {few['seed'].values[seed]} of {few['pairs'].item()} pairs"
    left.set_title(f"{name}: {left.get_title()}", fontsize=TITLE_FONT)
    bump_counts(part, ax=right)
    return figure


def _slice(ds: xarray.Dataset, *dims: str) -> xarray.Dataset:
    """Return the models along some axes and the seed, at the first value of the other ones."""
    return ds.isel({d: 0 for d in ds["status"].dims if d not in (*dims, "seed")})
