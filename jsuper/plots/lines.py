"""Figures of lines: the median over seeds of a group of models, and every seed faint behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.plots.reading import Taken, check, padded_with_zeros, take
from jsuper.plots.style import (
    GUIDE,
    TITLE,
    activation_style,
    density_axis,
    legend,
    log_axis,
    own,
    ramp,
    tick,
    wide,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes


def curve(
    ds: xarray.Dataset, variable: str, *, across: str = "sparsity", ax: Axes | None = None
) -> Axes:
    """A variable along an axis: a line per activation, the median over seeds; each seed faint.

    An axis is logarithmic where its numbers are positive and lie more than a factor of 30 apart.

    Parameters
    ----------
    ds
        Of `jsuper.run`, `jsuper.load` or `jsuper.analyze`, with no dimensions of several
        values but activation, `across` and seed.
    variable
        One value per model, e.g. "loss_over_constant".
    across
        The dimension along x; "sparsity" becomes 1/(1 - S), as in the paper.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the title says how many models are left out.

    Raises
    ------
    ValueError
        A name is not there, `ds` has further dimensions, or a sparsity is not in
        [0, 1).

    Source: Elhage et al., "Toy Models of Superposition" (2022), for the axis.
    """
    if across in ("activation", "seed"):
        raise ValueError(f"across={across!r} cannot be the x axis; name another, e.g. 'sparsity'")
    taken = take(ds, variable, ("activation", across))
    ax = own(ax)
    x, taken = _along(ax, taken, across)
    _lines(ax, x, taken, _activations(taken))
    _finish(ax, taken, variable)
    return ax


def dimensions_per_feature(ds: xarray.Dataset, *, ax: Axes | None = None) -> Axes:
    """D* = m/‖W‖², hidden dimensions per feature represented, against 1/(1 - S), by activation.

    Parameters
    ----------
    ds
        Of `jsuper.run` or `jsuper.load`, with no dimensions of several values but activation,
        sparsity and seed.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the title says how many models are left out, those with W = 0 among them.

    Raises
    ------
    ValueError
        `ds` has further dimensions, no W or no status.

    Source: Elhage et al. 2022, "The geometry of superposition", first figure.
    """
    taken = _per_feature(take(ds, "W", ("activation", "sparsity"), inner=("hidden", "feature")))
    ax = own(ax)
    x, taken = _along(ax, taken, "sparsity")
    _lines(ax, x, taken, _activations(taken))
    ax.axhline(1, **GUIDE, label="1: orthogonal features")
    ax.axhline(0.5, **GUIDE, linestyle=":", label="1/2: antipodal pairs")
    _finish(ax, taken, "dimensions per feature, m/‖W‖²")
    return ax


def _per_feature(taken: Taken) -> Taken:
    """m/‖W‖² of W (..., hidden, feature); a smaller model's m is that of its rows."""
    from jsuper.analysis import superposition

    W = taken.values
    rows = np.isfinite(W.values).any(axis=-1).reshape(-1, W.sizes["hidden"]).any(axis=0)
    ratio = superposition.dimensions_per_feature(padded_with_zeros(W.values))
    values = taken.left_out.copy(data=ratio * (max(rows.sum(), 1) / rows.size))
    left_out = taken.left_out | ~np.isfinite(values)
    return Taken(values.where(~left_out), left_out)


def kurtosis_against_dropout(
    ds: xarray.Dataset,
    variable: str = "basis_kurtosis",
    *,
    null: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A variable against dropout: a line per sparsity, the median over seeds; each seed faint.

    Parameters
    ----------
    ds
        Of `jsuper.analyze`, with several values of dropout, and no dimensions of several
        values but dropout, sparsity and seed.
    variable
        One value per model.
    null
        What the variable would be without a privileged basis, a dashed line; by default the
        Dataset's `basis_kurtosis_null` of that variable where all models share it.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the title says how many models are left out.

    Raises
    ------
    ValueError
        There is no axis of dropout, a name is not there, or `ds` has further
        dimensions.
    """
    check(ds, variable)
    if ds.sizes.get("dropout", 1) < 2:
        raise ValueError(
            "ds has no dimension 'dropout' of several values; sweep it, e.g. "
            "jsuper.Sweep(dropout=(0.0, 0.1, 0.2))"
        )
    taken = take(ds, variable, ("sparsity", "dropout"))
    taken = Taken(*(a.sortby("sparsity") for a in taken))
    ax = own(ax)
    x, taken = _along(ax, taken, "dropout")
    _lines(ax, x, taken, _sparsities(taken))
    if null is None and f"{variable}_null" in ds:
        nulls = np.unique(ds[f"{variable}_null"].values)
        nulls = nulls[np.isfinite(nulls)]
        null = float(nulls[0]) if nulls.size == 1 else None
    if null is not None:
        ax.axhline(null, color="0.4", linestyle=(0, (4, 3)), linewidth=1, label=f"null {null:.3g}")
    _finish(ax, taken, variable)
    return ax


def loss_curves(ds: xarray.Dataset, *, ax: Axes | None = None) -> Axes:
    """The loss along training: a line per activation, the median over seeds; each seed faint.

    Parameters
    ----------
    ds
        Of `jsuper.run` or `jsuper.load`, with no dimensions of several values but activation
        and seed (and step).
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the title says how many models are left out. The y axis is logarithmic where all
        losses are positive.

    Raises
    ------
    ValueError
        `ds` has further dimensions, no loss_curve or no status.
    """
    taken = take(ds, "loss_curve", ("activation",), inner=("step",))
    # Models of fewer steps have no value at most steps of the others.
    taken = taken._replace(values=taken.values.dropna("step", how="all"))
    ax = own(ax)
    shown = taken.values.values
    if np.isfinite(shown).any() and np.nanmin(shown) > 0:
        log_axis(ax.yaxis, shown)
    values = taken.values.transpose("activation", "step", "seed")
    _lines(ax, values["step"].values, taken._replace(values=values), _activations(taken), marks=0)
    ax.set_xlabel("step")
    _finish(ax, taken, "loss of the training batch", scale=False)
    return ax


Style = dict[str, Any]


def _activations(taken: Taken) -> list[tuple[str, Style]]:
    return [(str(a), activation_style(str(a))) for a in taken.values["activation"].values]


def _sparsities(taken: Taken) -> list[tuple[str, Style]]:
    labels = [f"sparsity {tick(s)}" for s in taken.values["sparsity"].values]
    return list(zip(labels, ramp(len(labels)), strict=True))


def _along(ax: Axes, taken: Taken, across: str) -> tuple[np.ndarray, Taken]:
    """Return the positions on x, and the values in their order, (lines, x, seed)."""
    taken = Taken(*(a.sortby(across) for a in taken))
    x = taken.values[across].values
    if across == "sparsity":
        return density_axis(ax, x), taken
    ax.set_xlabel(across)
    if np.issubdtype(x.dtype, np.number) and wide(x):
        log_axis(ax.xaxis, x)
    return x, taken


def _lines(
    ax: Axes, x: np.ndarray, taken: Taken, lines: list[tuple[str, Style]], marks: float = 3.5
) -> None:
    """Return a line for every first index of the values (lines, x, seed)."""
    medians = taken.values.median("seed").values
    for (label, style), values, median in zip(lines, taken.values.values, medians, strict=True):
        faint: Style = {"color": style["color"], "linewidth": 0.6, "alpha": 0.3, "zorder": 1}
        dot = "." if marks else ""  # a seed alone at its x has no line
        ax.plot(x, values, marker=dot, markersize=2, **faint)
        label += "" if np.isfinite(median).any() else " (none left)"
        clear: Style = style if marks else style | {"marker": ""}
        ax.plot(x, median, **clear, label=label, linewidth=1.3, markersize=marks, zorder=2)


def _finish(ax: Axes, taken: Taken, name: str, scale: bool = True) -> None:
    """Title, name and scale of y, and legend."""
    ax.set_ylabel(name)
    if scale and wide(taken.values.values):
        log_axis(ax.yaxis, taken.values.values)
    several = taken.values.sizes["seed"] > 1
    what = f"median of {taken.seeds}, each seed faint" if several else taken.seeds
    ax.set_title(f"{what}; {taken.said}", fontsize=TITLE)
    legend(ax)
