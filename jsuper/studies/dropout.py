"""Whether dropout on the hidden units reduces superposition and makes them a privileged basis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.reading import finished_values
from jsuper.studies import (
    _dropout_basis,
    _dropout_losses,
    _dropout_noise,
    _dropout_superposition,
)
from jsuper.studies.answer import Answer, Drawing, Runs, sweeps_of

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

PRESETS = ("dropout", "dropout_basis")
TITLE = "Dropout, superposition and the privileged basis"
TEXT = """\
Pona (2023) trains toy models with dropout on the hidden units and reports that it mostly inhibits
superposition, except where importance decays and features are dense. He explains it: a
feature on n units escapes dropout at rate p with chance (1-p)^n, so that spreading it costs; and it
offers as evidence that the kurtosis of the hidden activations rises with dropout. Smith (2023)
reports that dropout makes the hidden units of the ReLU model a privileged basis.

These are two claims. Whether features share dimensions says nothing of whether they lie along the
hidden units, nor the other way round: rotating the hidden space changes the second alone. So
superposition is measured by WᵀW, and the basis against random rotations of the same weights.

Traps that the measures take out:

- Dropout shrinks W: WWᵀ = (1-q) 1 in the best linear model of equal features. A count of norms
  above 1/2, interference and m/|W|² change with that where no feature moves; the count beside the
  longest feature, dimensionality and cosines do not.
- Across m hidden units the kurtosis of no basis at all is not 3 but 3(m-1)/(m+1), and at m <= 3
  every model has that.
- Across samples kurtosis is 3 + γ(p) times a unit's participation ratio: sparsity first, and γ is
  negative for densities p above 0.413.
- Adam treats each weight on its own and can align a basis without dropout (Elhage et al. 2023), and
  so can the noise of large steps of SGD. The controls are SGD at two rates, and the identity
  output, where the expected loss of the best models under dropout does not depend on the basis:
  there slow SGD should stay at the null, and ReLU should leave it.

Models of one seed see the same data and the same masks, so each effect is computed within a seed.
Its interval is 95 %, of the mean over seeds; p is of a sign-flip test, by Holm within an answer.
"""

PANEL = (5.6, 3.4)  # inches, with its legend


def answers(runs: Runs) -> list[Answer]:
    """Return the study's answers, from the analysed Datasets of its presets.

    Raises
    ------
    ValueError
        A preset, a variable or an axis is missing.
    """
    plane, basis = datasets(runs)
    return [
        *_dropout_superposition.answers(plane),
        *_dropout_basis.answers(plane, basis),
        *_dropout_noise.answers(plane, basis),
        *_dropout_losses.answers(plane, basis),
    ]


def figures(runs: Runs) -> list[Drawing]:
    """Return the study's figures, from the same."""
    plane, basis = datasets(runs)
    return [
        Drawing(
            "superposition",
            "Measures of superposition against the rate of dropout, at uniform and at decaying "
            "importance. Dimensionality does not change with the length of W.",
            _superposition(plane),
        ),
        Drawing(
            "kurtosis",
            "Kurtosis across samples, which sparsity sets, what is left of it without sparsity's "
            "part, and kurtosis across hidden units beside its null.",
            _kurtosis(plane),
        ),
        Drawing(
            "basis",
            "Alignment of the features with the hidden units against random rotations of the same "
            "weights, for ReLU and identity output and every optimizer.",
            _basis(basis),
        ),
        Drawing(
            "untouched",
            "The share of masks that leave a feature alone against (1-q)^n, n the units that it "
            "uses, or all.",
            _untouched(plane),
        ),
        Drawing(
            "losses",
            "Loss over the best constant's, at uniform importance: with dropout off, on, and on in "
            "models that were trained without it.",
            _losses(plane),
        ),
    ]


def datasets(runs: Runs) -> tuple[xarray.Dataset, xarray.Dataset]:
    """Return the two sweeps, with the variables that the study adds.

    Raises
    ------
    ValueError
        One is missing, or lacks a variable.
    """
    plane, basis = map(_with_own, sweeps_of(runs, PRESETS))
    return plane.isel(activation=0), basis


def _with_own(ds: xarray.Dataset) -> xarray.Dataset:
    norms = finished_values(ds, "feature_norm", "feature")
    above = (norms > 0.5 * norms.max("feature")).sum("feature")
    kurtosis = finished_values(ds, "neuron_kurtosis", "hidden")
    return ds.assign(
        represented_relative=above.where(norms.notnull().all("feature")),
        mean_neuron_kurtosis=kurtosis.mean("hidden"),
    )


# ---- figures ----


def _panels(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    import matplotlib.pyplot as plt

    size = (PANEL[0] * columns, PANEL[1] * rows)
    return plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)


def _superposition(ds: xarray.Dataset) -> Figure:
    from jsuper.plots import dropout

    names = {
        "represented_relative": "features above half of the longest",
        "mean_dimensionality": "mean dimensionality",
        "mean_interference": "mean interference",
    }
    decays = ds["importance_decay"].values
    figure, axes = _panels(len(decays), len(names))
    for i, decay in enumerate(decays):
        for ax, (name, label) in zip(axes[i], names.items(), strict=True):
            dropout.against_dropout(ds.sel(importance_decay=decay), name, label=label, ax=ax)
            _importance(ax, decay)
    return figure


def _kurtosis(ds: xarray.Dataset) -> Figure:
    from jsuper.plots import dropout

    here = ds.sel(importance_decay=ds["importance_decay"].max())
    null = float(here["basis_kurtosis_null"].median())
    figure, axes = _panels(1, 3)
    dropout.against_dropout(
        here, "mean_neuron_kurtosis", label="kurtosis across samples", ax=axes[0, 0]
    )
    dropout.against_dropout(
        here, "mean_participation_ratio", label="(K-3)/γ(p), participation ratio", ax=axes[0, 1]
    )
    dropout.against_dropout(
        here, "basis_kurtosis", label="kurtosis across hidden units", null=null, ax=axes[0, 2]
    )
    return figure


def _basis(ds: xarray.Dataset) -> Figure:
    from jsuper.plots import dropout

    activations, optimizers = ds["activation"].values, ds["optimizer"].values
    figure, axes = _panels(len(activations), len(optimizers))
    for i, activation in enumerate(activations):
        for ax, optimizer in zip(axes[i], optimizers, strict=True):
            here = ds.sel(activation=activation, optimizer=optimizer)
            dropout.against_dropout(here, "alignment_z", null=0.0, label="alignment, z", ax=ax)
            ax.set_title(f"{activation}, {optimizer}; {ax.get_title()}", fontsize="small")
        _one_scale(axes[i])
    return figure


def _untouched(ds: xarray.Dataset) -> Figure:
    from jsuper.plots import dropout

    found = {k: np.nanmean(v, axis=2) for k, v in _dropout_noise.chances(ds).items()}
    measured = found.pop("measured")
    figure, axes = _panels(1, 1)
    figure.set_size_inches(7.6, 4.6)
    dropout.untouched(measured, {f"n = {k}": v for k, v in found.items()}, ax=axes[0, 0])
    return figure


def _losses(ds: xarray.Dataset) -> Figure:
    from jsuper.plots import dropout

    found = _dropout_losses.measured(ds).assign(status=ds["status"])
    here = found.sel(importance_decay=found["importance_decay"].max())
    labels = {
        "clean": "loss, dropout off",
        "dropped": "loss, dropout on",
        "without": "loss, dropout on, trained without",
    }
    figure, axes = _panels(1, 3)
    for ax, (name, label) in zip(axes[0], labels.items(), strict=True):
        dropout.against_dropout(here, name, label=label, ax=ax)
    _one_scale(axes[0, :2])
    return figure


def _one_scale(axes: np.ndarray) -> None:
    low, high = np.array([ax.get_ylim() for ax in axes]).T
    for ax in axes:
        ax.set_ylim(low.min(), high.max())


def _importance(ax, decay: float) -> None:
    words = "uniform importance" if decay == 1 else f"importance {decay:g}^i"
    ax.set_title(f"{words}; {ax.get_title()}", fontsize="small")
