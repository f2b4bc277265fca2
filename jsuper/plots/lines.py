"""Line plots: the median over seeds, with every seed faint behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.plots.selection import (
    Selection,
    check_dropout,
    check_variables,
    padded_with_zeros,
    select,
)
from jsuper.plots.style import (
    GUIDE_STYLE,
    TITLE_FONT,
    Style,
    activation_style,
    add_legend,
    draw_null,
    get_axes,
    needs_log_scale,
    ramp_styles,
    set_density_axis,
    set_log_scale,
    tick_label,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes


def curve(
    ds: xarray.Dataset, variable: str, *, across: str = "sparsity", ax: Axes | None = None
) -> Axes:
    """Draw a variable along a dimension: a line per activation, with each seed faint.

    An axis is logarithmic if its values are positive and span more than a factor of 30.

    Parameters
    ----------
    ds
        Result of `jsuper.run`, `jsuper.load` or `jsuper.analyze`. Dimensions other than activation,
        `across` and seed have length one.
    variable
        Name of a variable with one value per model, e.g. "loss_over_constant".
    across
        Dimension along x; "sparsity" is shown as 1/(1 - S), as in the reference.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        A variable or dimension is missing, `ds` has further dimensions, or a sparsity is not in
        [0, 1).

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>.
    """
    if across in ("activation", "seed"):
        raise ValueError(
            f"across={across!r} cannot be the x axis; give another dimension, e.g. 'sparsity'"
        )
    selection = select(ds, variable, ("activation", across))
    ax = get_axes(ax)
    x, selection = _along(ax, selection, across)
    _lines(ax, x, selection, _activations(selection))
    _finish(ax, selection, variable)
    return ax


def dimensions_per_feature(ds: xarray.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw D* = m/‖W‖², the hidden dimensions per represented feature, against 1/(1 - S).

    Parameters
    ----------
    ds
        Result of `jsuper.run` or `jsuper.load`. Dimensions other than activation, sparsity and seed
        have length one.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out, including those with W = 0.

    Raises
    ------
    ValueError
        `ds` has further dimensions, no W or no status.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, "The geometry of superposition".
    """
    selection = _per_feature(
        select(ds, "W", ("activation", "sparsity"), inner=("hidden", "feature"))
    )
    ax = get_axes(ax)
    x, selection = _along(ax, selection, "sparsity")
    _lines(ax, x, selection, _activations(selection))
    ax.axhline(1, **GUIDE_STYLE, label="1: orthogonal features")
    ax.axhline(0.5, **GUIDE_STYLE, linestyle=":", label="1/2: antipodal pairs")
    _finish(ax, selection, "dimensions per feature, m/‖W‖²")
    return ax


def _per_feature(selection: Selection) -> Selection:
    """Return m/‖W‖² of W (..., hidden, feature), where m counts the model's own rows."""
    from jsuper.analysis import superposition

    W = selection.values
    rows = np.isfinite(W.values).any(axis=-1).reshape(-1, W.sizes["hidden"]).any(axis=0)
    ratio = superposition.dimensions_per_feature(padded_with_zeros(W.values))
    values = selection.left_out.copy(data=ratio * (max(rows.sum(), 1) / rows.size))
    left_out = selection.left_out | ~np.isfinite(values)
    return Selection(values.where(~left_out), left_out)


def kurtosis_against_dropout(
    ds: xarray.Dataset,
    variable: str = "basis_kurtosis",
    *,
    null: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a variable against dropout: a line per sparsity, with each seed faint.

    Parameters
    ----------
    ds
        Result of `jsuper.analyze`, with several values of dropout. Dimensions other than dropout,
        sparsity and seed have length one.
    variable
        Name of a variable with one value per model.
    null
        Value without a privileged basis, drawn as a dashed line. Default: the variable
        "<variable>_null" of `ds`, if all models share one value.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        `ds` has only one value of dropout, lacks the variable or has further dimensions.
    """
    check_variables(ds, variable)
    check_dropout(ds)
    selection = select(ds, variable, ("sparsity", "dropout")).sortby("sparsity")
    ax = get_axes(ax)
    x, selection = _along(ax, selection, "dropout")
    _lines(ax, x, selection, _sparsities(selection))
    if null is None and f"{variable}_null" in ds:
        nulls = np.unique(ds[f"{variable}_null"].values)
        nulls = nulls[np.isfinite(nulls)]
        null = float(nulls[0]) if nulls.size == 1 else None
    if null is not None:
        draw_null(ax, null)
    _finish(ax, selection, variable)
    return ax


def loss_curves(ds: xarray.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the training loss against the step: a line per activation, with each seed faint.

    The y axis is logarithmic if all losses are positive.

    Parameters
    ----------
    ds
        Result of `jsuper.run` or `jsuper.load`. Dimensions other than activation, seed and step
        have length one.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        `ds` has further dimensions, no loss_curve or no status.
    """
    selection = select(ds, "loss_curve", ("activation",), inner=("step",))
    # Shorter training has no values at most steps of longer training.
    selection = selection._replace(values=selection.values.dropna("step", how="all"))
    ax = get_axes(ax)
    shown = selection.values.values
    if np.isfinite(shown).any() and np.nanmin(shown) > 0:
        set_log_scale(ax.yaxis, shown)
    values = selection.values.transpose("activation", "step", "seed")
    _lines(
        ax,
        values["step"].values,
        selection._replace(values=values),
        _activations(selection),
        marks=0,
    )
    ax.set_xlabel("step")
    _finish(ax, selection, "loss of the training batch", scale=False)
    return ax


def _activations(selection: Selection) -> list[tuple[str, Style]]:
    return [(str(a), activation_style(str(a))) for a in selection.values["activation"].values]


def _sparsities(selection: Selection) -> list[tuple[str, Style]]:
    labels = [f"sparsity {tick_label(s)}" for s in selection.values["sparsity"].values]
    return list(zip(labels, ramp_styles(len(labels)), strict=True))


def _along(ax: Axes, selection: Selection, across: str) -> tuple[np.ndarray, Selection]:
    """Set up the x axis; return positions on it and the selection in their order."""
    selection = selection.sortby(across)
    x = selection.values[across].values
    if across == "sparsity":
        return set_density_axis(ax, x), selection
    ax.set_xlabel(across)
    if np.issubdtype(x.dtype, np.number) and needs_log_scale(x):
        set_log_scale(ax.xaxis, x)
    return x, selection


def _lines(
    ax: Axes,
    x: np.ndarray,
    selection: Selection,
    lines: list[tuple[str, Style]],
    marks: float = 3.5,
) -> None:
    """Draw a line for every first index of values (lines, x, seed)."""
    medians = selection.values.median("seed").values
    for (label, style), values, median in zip(lines, selection.values.values, medians, strict=True):
        faint: Style = {"color": style["color"], "linewidth": 0.6, "alpha": 0.3, "zorder": 1}
        dot = "." if marks else ""  # shows a seed with a single value
        ax.plot(x, values, marker=dot, markersize=2, **faint)
        label += "" if np.isfinite(median).any() else " (all left out)"
        clear: Style = style if marks else style | {"marker": ""}
        ax.plot(x, median, **clear, label=label, linewidth=1.3, markersize=marks, zorder=2)


def _finish(ax: Axes, selection: Selection, name: str, scale: bool = True) -> None:
    """Add the title, the legend, and the label and scale of the y axis."""
    ax.set_ylabel(name)
    if scale and needs_log_scale(selection.values.values):
        set_log_scale(ax.yaxis, selection.values.values)
    ax.set_title(selection.median_title, fontsize=TITLE_FONT)
    add_legend(ax)
