"""Phase diagrams: which of the features get a dimension, share one, or are not represented."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.phases import OUTCOMES, THRESHOLD, compared, of_relu, outcome_shares
from jsuper.plots.phases import phase_diagram, phase_diagrams
from jsuper.studies.answer import Answer, Drawing, Row, Runs, sweeps_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PRESETS = ("phase_2_1", "phase_3_2", "phase_activations")
TITLE = "Phase diagrams"
TEXT = f"""\
Two features compete for one hidden unit, or three for two (Elhage et al. 2022). All have the same
density, and the last one has a relative importance. It is *{OUTCOMES[0]}* if its column of W has
a norm of at most {THRESHOLD:g}, *{OUTCOMES[2]}* if it is longer and the other columns have a
length above {THRESHOLD:g} along its direction, and has a *{OUTCOMES[1]}* otherwise. A cell of a
diagram is the outcome of the seed with the lowest loss, after 3,000 steps.

For ReLU the expected loss has a closed form. For two features its global minimum is exact. For
three it is the least of four solutions, in which one feature has a unit and the others share one,
or one of them is dropped.
"""
NAMES = {"phase_2_1": "two features in one unit", "phase_3_2": "three features in two units"}


def answers(runs: Runs) -> list[Answer]:
    """Return the study's answers, from the Datasets of its presets.

    Raises
    ------
    ValueError
        A preset, a variable or an axis is missing.
    """
    sweeps_of(runs, PRESETS)  # or one is missing
    return [minima(runs), sharing(runs)]


def minima(runs: Runs) -> Answer:
    """Return how often the best seed has the outcome of the global minimum."""
    rows, apart, near = [], 0, 0
    for preset in PRESETS:
        found, expected = compared(of_relu(runs[preset]))
        other = found != expected
        name = f"{NAMES.get(preset, NAMES['phase_2_1'])}, {found.size:,} cells"
        rows.append(Row(name, float(1 - other.mean()), seeds=runs[preset].sizes["seed"]))
        apart, near = apart + int(other.sum()), near + int((other & at_boundary(expected)).sum())
    said = "; ".join(f"{r.case}: {r.value:.1%}, best of {r.seeds} seeds" for r in rows)
    others = f"Of the {apart:,} other cells, {near:,} are next to a boundary of theory."
    return Answer(
        "Does training find the global minimum?",
        "share of cells in which the best seed of ReLU has the outcome of the global minimum of "
        "the expected loss",
        f"{said[0].upper()}{said[1:]}. {others}",
        tuple(rows),
    )


def at_boundary(expected: np.ndarray) -> np.ndarray:
    """Return the cells that have a neighbour with another outcome; shapes (rows, columns)."""
    padded = np.pad(expected, 1, mode="edge")
    around = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    return np.any([expected != cells for cells in around], axis=0)


def sharing(runs: Runs) -> Answer:
    """Return the share of cells with superposition, by activation."""
    shares = outcome_shares(runs["phase_activations"]).sel(outcome="superposed")
    shares = shares.sortby("activation")
    shares = shares.sortby(-shares)
    seeds = runs["phase_activations"].sizes["seed"]
    names = [*map(str, shares["activation"].values)]
    rows = [Row(a, float(v), seeds=seeds) for a, v in zip(names, shares.values, strict=True)]
    most, least = rows[0], rows[-1]
    never = sum(r.value == 0 for r in rows)
    return Answer(
        "With which activations do two features share a hidden unit?",
        "share of cells with superposition, of the best seed",
        f"In {most.value:.0%} of the cells with {most.case}, and in {least.value:.0%} with "
        f"{least.case}; {never} of {len(rows)} activations have it in no cell.",
        tuple(rows),
    )


def figures(runs: Runs) -> list[Drawing]:
    """Return the study's figures."""
    drawings = [
        Drawing(
            preset.removeprefix("phase_").replace("_", "-"),
            f"ReLU, {NAMES[preset]}: the outcome of the last feature.",
            _figure(phase_diagram(runs[preset])),
        )
        for preset in NAMES
    ]
    caption = (
        "Two features in one hidden unit with every activation, from the largest share of cells "
        "with superposition to the smallest."
    )
    figure = phase_diagrams(runs["phase_activations"])
    return [*drawings, Drawing("activations", caption, figure)]


def _figure(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure
