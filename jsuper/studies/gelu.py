"""GELU as a gate: what it passes back, units that come back, random gates and gated decoders."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.gating import profiles
from jsuper.analysis.statements import statements
from jsuper.core.sources import citation
from jsuper.core.text import format_number
from jsuper.studies import _gated, _normality, _revival, _stochastic
from jsuper.studies.answer import Answer, Drawing, Runs, Table, sweeps_of

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

PRESETS = ("revival", "stochastic", "gated")
TITLE = "GELU as a gate"
TEXT = """\
GELU(z) = z Φ(z) is the mean of z m, m ~ Bernoulli(Φ(z)): a gate that lets an input through with a
chance that grows with the input (Hendrycks & Gimpel 2016). A post on Claude 3 Opus says that ReLU,
"and, very nearly", GELU clip negative pre-activations to zero and let no gradient pass; a
correction of it and a tutorial on GELU disagree. Here each of their statements is computed, units
are pushed below zero to see which come back, and models are trained with the random gate itself,
and with decoders that multiply a gate with a linear map (Shazeer 2020).

Models of one seed see the same data, so each effect is computed within a seed. Intervals are 95 %,
of the mean over seeds; p is of a sign-flip test, adjusted by Holm within an answer.
"""

_digits = partial(format_number, digits=4, missing="none")


def answers(runs: Runs) -> list[Answer]:
    """Return the study's answers, from the analysed Datasets of its presets.

    Raises
    ------
    ValueError
        A preset, a variable or an axis is missing.
    """
    revival, stochastic, gated = sweeps_of(runs, PRESETS)
    return [
        *_revival.answers(revival),
        *_stochastic.answers(stochastic),
        _normality.normal(stochastic),
        *_gated.answers(gated),
    ]


def tables(runs: Runs) -> list[Table]:
    """Return the sources' statements, the profiles, and who recovers."""
    return [of_statements(), of_profiles(), *_revival.tables(sweeps_of(runs, PRESETS)[0])]


def of_statements() -> Table:
    """Each statement with its numbers and its verdict."""
    rows = []
    for s in statements():
        numbers = "; ".join(f"{k}: {_digits(v)}" for k, v in s.computed.items())
        rows.append((citation(s.source), s.sentence, numbers, s.verdict))
    columns = ("source", "statement", "computed", "verdict")
    return Table("What the sources say of GELU, ReLU and ELU", columns, tuple(rows))


def of_profiles() -> Table:
    """Return the profiles of the elementwise activations."""
    columns = (
        "activation",
        "range",
        "minimum at",
        "monotone",
        "injective",
        "f(0)",
        "f'(0)",
        "slopes",
        "inactive share of squared gradient",
        "reversed slope, z < 0",
        "odd share",
        "continuous derivatives",
    )
    rows = []
    for name, p in profiles().items():
        rows.append(
            (
                name,
                f"{_digits(p.infimum.value)} to {_digits(p.supremum.value)}",
                _digits(p.infimum.at) if math.isfinite(p.infimum.at) else "none",
                "yes" if p.monotone else "no",
                "yes" if p.injective else "no",
                _digits(p.value_at_zero),
                _digits(p.slope_at_zero),
                f"{_digits(p.smallest_slope.value)} to {_digits(p.largest_slope.value)}",
                _digits(p.gate.gradient_share),
                _digits(p.gate.reversed),
                _digits(p.odd_share),
                {-1: "none: it jumps", math.inf: "all"}.get(
                    p.continuous_derivatives, _digits(p.continuous_derivatives)
                ),
            )
        )
    return Table("Activations as gates, shares under z ~ N(0, 1)", columns, tuple(rows))


def figures(runs: Runs) -> list[Drawing]:
    """Return the study's figures."""
    revival = sweeps_of(runs, PRESETS)[0]
    return [
        Drawing(
            "profiles",
            "Value and slope of every elementwise activation; inputs with a negative slope are "
            "shaded.",
            _profiles(),
        ),
        Drawing(
            "gating",
            "Share of back-propagated squared gradient that inactive units carry, and of negative "
            "inputs with a reversed slope, under N(0, 1).",
            _gating(),
        ),
        Drawing(
            "revival",
            "Share of seeds in which a unit recovers whose bias was set to -B.",
            _recovered(revival),
        ),
        Drawing(
            "bias",
            "The pushed bias during training, median over seeds, of a fresh model with B = 1.",
            _biases(revival),
        ),
    ]


def _profiles() -> Figure:
    import matplotlib.pyplot as plt

    from jsuper.plots.profiles import profiles as draw

    figure = plt.figure(figsize=(12, 7), layout="constrained")
    draw(figure=figure)
    return figure


def _gating() -> Figure:
    import matplotlib.pyplot as plt

    from jsuper.plots.profiles import gating

    figure, ax = plt.subplots(figsize=(8.5, 7), layout="constrained")
    gating(ax=ax)
    return figure


def _recovered(ds: xarray.Dataset) -> Figure:
    import matplotlib.pyplot as plt

    from jsuper.plots.reviving import recovered

    steps = _revival.recovery(ds)
    optimizers, times = steps["optimizer"].values, steps["push_step"].values
    size = (5.6 * len(times), 3.4 * len(optimizers))
    figure, axes = plt.subplots(
        len(optimizers), len(times), figsize=size, layout="constrained", squeeze=False
    )
    for i, optimizer in enumerate(optimizers):
        for j, at in enumerate(times):
            ax = recovered(steps.sel(optimizer=optimizer, push_step=at), ax=axes[i, j])
            when = "fresh model" if at == 0 else f"after {at:,} steps"
            ax.set_title(f"{optimizer}, {when}; {ax.get_title()}", fontsize="small")
    return figure


def _biases(ds: xarray.Dataset) -> Figure:
    import matplotlib.pyplot as plt

    from jsuper.plots.reviving import biases

    here = ds["unit_bias"].isel(sparsity=0).sel(push_step=0, push=1.0)
    optimizers = here["optimizer"].values
    size = (5.6 * len(optimizers), 3.4)
    figure, axes = plt.subplots(1, len(optimizers), figsize=size, layout="constrained")
    for ax, optimizer in zip(np.atleast_1d(axes), optimizers, strict=True):
        biases(here.sel(optimizer=optimizer), ax=ax)
        ax.set_title(f"{optimizer}; {ax.get_title()}", fontsize="small")
    return figure
