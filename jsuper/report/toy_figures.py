"""Figures of a toy sweep's page: dropout, pushed units, gated decoders, causal scrubbing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.reading import finished_values
from jsuper.core.status import Status
from jsuper.report.panels import Captioned, captioned_figures, panels, slices_over

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

ALONG_DROPOUT = {
    "features_represented": "features represented",
    "mean_dimensionality": "mean dimensionality",
    "mean_interference": "mean interference",
    "basis_kurtosis_z": "kurtosis across units, z",
}
SCRUBBED = (
    "Causal scrubbing: share of the outputs' variance that each hypothesis about their inputs "
    "misses, median and range over seeds. Below the grey line, 0.1 %, an output depends on its own "
    "input alone. Where antipodal coincides with cluster, pairs suffice; where random does, only "
    "the number of inputs matters"
)


def figures(ds: xarray.Dataset) -> list[Captioned]:
    """Return captions and figures of the dimensions that the sweep varies, and of scrubbing.

    Parameters
    ----------
    ds
        Result of `jsuper.analyze`.
    """
    found: list[Captioned] = []
    if ds.sizes.get("dropout", 1) > 2:
        parts = slices_over(ds, ("sparsity", "dropout"))
        found += captioned_figures("Effect of dropout, without failed fits", parts, _dropout)
    if ds.sizes.get("push", 1) > 1 and "unit_error" in ds:
        parts = slices_over(ds, ("activation", "push"))
        found += captioned_figures("Recovery of units pushed below zero", parts, _pushed)
    if "V" in ds:
        parts = slices_over(ds, ("activation", "sparsity"))
        found += captioned_figures("Crosstalk of gate and value", parts, _gates)
    if "scrub_recovered" in ds:
        parts = slices_over(ds, ("activation", "sparsity"))
        found += captioned_figures(SCRUBBED, parts, _scrubbed)
    return found


def _dropout(ds: xarray.Dataset) -> Figure:
    from jsuper.plots.dropout import against_dropout

    fitted = ds["failed_fit"] != 1
    ds = ds.assign({name: ds[name].where(fitted) for name in ALONG_DROPOUT})
    figure, axes = panels(len(ALONG_DROPOUT))
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
    figure, axes = panels(2)
    reviving.recovered(steps, ax=axes[0])
    reviving.biases(bias, ax=axes[1])
    axes[1].set_title(f"B = {float(furthest):g}; {axes[1].get_title()}", fontsize="small")
    return figure


def _gates(ds: xarray.Dataset) -> Figure:
    from jsuper.analysis.superposition import crosstalk
    from jsuper.plots.style import activation_style, add_legend, set_density_axis, verbatim

    decoder = ds["W_dec"].fillna(ds["W"]) if "W_dec" in ds else ds["W"]  # W_dec if untied
    W, V, decoder = (
        a.where(ds["status"] == Status.OK).transpose("activation", "sparsity", "seed", ...)
        for a in (ds["W"], ds["V"], decoder)
    )
    gated = V.notnull().any(["sparsity", "seed", "hidden", "feature"]).values
    selected = (a.isel(activation=gated).values for a in (W, V, decoder))
    W, V, decoder = (np.nan_to_num(a, nan=0.0) for a in selected)
    figure, axes = panels(2)
    for ax, matrix, label in ((axes[0], decoder, "gate, W"), (axes[1], V, "value, V")):
        x = set_density_axis(ax, ds["sparsity"].values)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.nanmedian(crosstalk(W, matrix), axis=-1)
        for name, line in zip(ds["activation"].values[gated], values, strict=True):
            ax.plot(x, line, label=verbatim(str(name)), **activation_style(str(name)))
        if (values > 0).any():  # a single feature has no crosstalk
            ax.set_yscale("log")
        ax.set_ylabel(f"crosstalk of the {label}")
        add_legend(ax)
    return figure


def _scrubbed(ds: xarray.Dataset) -> Figure:
    from jsuper.plots.scrubbing import explained

    return explained(ds)
