"""The figures of a sweep's page: dropout, pushed units, gated decoders, causal scrubbing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis.reading import finished_values
from jsuper.core.status import OK

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

MOST = 6  # figures of one kind: of further cells the caption says how many there are
ALONG_DROPOUT = {
    "features_represented": "features represented",
    "mean_dimensionality": "mean dimensionality",
    "mean_interference": "mean interference",
    "basis_kurtosis_z": "kurtosis across units, z",
}
SCRUBBED = (
    "Causal scrubbing: the share of the outputs' variance that each hypothesis about their inputs "
    "misses, medians over seeds and the range of the seeds. Grey line: 0.1 %, below which the own "
    "input explains the output. Where antipodal lies on cluster pairs are enough; where random "
    "does, the number of inputs is what counts"
)
Captioned = tuple[str, "Figure"]


def figures(ds: xarray.Dataset) -> list[Captioned]:
    """(caption, figure) of everything that the sweep has an axis for, or that was scrubbed.

    Parameters
    ----------
    ds
        Of `jsuper.analyze`.
    """
    found: list[Captioned] = []
    if ds.sizes.get("dropout", 1) > 2:
        found += _drawn(ds, ("sparsity", "dropout"), _dropout, "Along dropout, without failed fits")
    if ds.sizes.get("push", 1) > 1 and "unit_error" in ds:
        found += _drawn(ds, ("activation", "push"), _pushed, "Units pushed below zero")
    if "V" in ds:
        found += _drawn(ds, ("activation", "sparsity"), _gates, "Crosstalk of gate and value")
    if "scrub_recovered" in ds:
        found += _drawn(ds, ("activation", "sparsity"), _scrubbed, SCRUBBED)
    return found


def _drawn(ds: xarray.Dataset, own: tuple[str, ...], draw: Any, words: str) -> list[Captioned]:
    """Return a figure for each value of the other axes, the first MOST of them."""
    cells = list(_cells(ds, own))
    found = []
    for where in cells[:MOST]:
        at = ", ".join(f"{k} {v}" for k, v in where.items())
        left = f" ({len(cells) - MOST} more of these are not drawn)" if len(cells) > MOST else ""
        found.append((f"{words}{': ' if at else ''}{at}.{left}", draw(ds.sel(where))))
    return found


def _cells(ds: xarray.Dataset, own: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Values of all axes of the sweep but `own` and the seed; those of one value are selected."""
    axes = [str(d) for d in ds["status"].dims if d not in (*own, "seed")]
    for values in itertools.product(*(ds[a].values for a in axes)):
        yield dict(zip(axes, values, strict=True))


def _panels(count: int) -> tuple[Figure, np.ndarray]:
    import matplotlib.pyplot as plt

    rows = -(-count // 2)
    size = (11.2, 3.4 * rows)
    figure, axes = plt.subplots(rows, 2, figsize=size, layout="constrained", squeeze=False)
    return figure, axes.ravel()


def _dropout(ds: xarray.Dataset) -> Figure:
    from jsuper.plots.dropout import against_dropout

    fine = ds["failed_fit"] != 1
    ds = ds.assign({name: ds[name].where(fine) for name in ALONG_DROPOUT})
    figure, axes = _panels(len(ALONG_DROPOUT))
    for ax, (name, label) in zip(axes, ALONG_DROPOUT.items(), strict=True):
        null = 0.0 if name.endswith("_z") else None
        against_dropout(ds, name, label=label, null=null, ax=ax)
    return figure


def _pushed(ds: xarray.Dataset) -> Figure:
    from jsuper.analysis.reviving import recovery
    from jsuper.plots import reviving

    one = {d: [ds[d].item()] for d in ("sparsity", "optimizer", "push_step") if d not in ds.dims}
    steps = recovery(ds.expand_dims(one)).squeeze(["optimizer", "push_step"], drop=True)
    furthest = ds["push"].max()
    bias = finished_values(ds, "unit_bias").sel(push=furthest)
    figure, axes = _panels(2)
    reviving.recovered(steps, ax=axes[0])
    reviving.biases(bias, ax=axes[1])
    axes[1].set_title(f"B = {float(furthest):g}; {axes[1].get_title()}", fontsize="small")
    return figure


def _gates(ds: xarray.Dataset) -> Figure:
    from jsuper.analysis.superposition import crosstalk
    from jsuper.plots.style import activation_style, add_legend, set_density_axis, verbatim

    own = ds["W_dec"].fillna(ds["W"]) if "W_dec" in ds else ds["W"]  # W_dec: of untied models
    W, V, own = (
        a.where(ds["status"] == OK).transpose("activation", "sparsity", "seed", ...)
        for a in (ds["W"], ds["V"], own)
    )
    gated = V.notnull().any(["sparsity", "seed", "hidden", "feature"]).values
    W, V, own = (np.nan_to_num(a.isel(activation=gated).values, nan=0.0) for a in (W, V, own))
    figure, axes = _panels(2)
    for ax, read, words in ((axes[0], own, "gate, W"), (axes[1], V, "value, V")):
        x = set_density_axis(ax, ds["sparsity"].values)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.nanmedian(crosstalk(W, read), axis=-1)
        for name, line in zip(ds["activation"].values[gated], values, strict=True):
            ax.plot(x, line, label=verbatim(str(name)), **activation_style(str(name)))
        if (values > 0).any():  # one feature has no crosstalk
            ax.set_yscale("log")
        ax.set_ylabel(f"crosstalk of the {words}")
        add_legend(ax)
    return figure


def _scrubbed(ds: xarray.Dataset) -> Figure:
    from jsuper.plots.scrubbing import explained

    return explained(ds)
