"""Phase diagrams of Elhage et al. (2022): features that get a unit, share one, or get none.

Two features compete for one hidden unit, or three for two. All have the same density, and the last
one has a relative importance. Its outcome is compared with that at the global minimum of the
expected loss, which is known for ReLU.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from jsuper.analysis import phases
from jsuper.analysis.reading import finished_values
from jsuper.findings.finding import Data, Finding
from jsuper.findings.notes import crossed, spans
from jsuper.findings.placebo import shuffled
from jsuper.findings.rules import Rule, above

MOST, NEARLY_ALL = 0.5, 0.9  # of cells
SUPERPOSED = phases.OUTCOMES.index("superposed")
AXES = ("sparsity", "importance_decay", "importances")
SWEEPS = {"2 features": "phase_2_1", "3 features": "phase_3_2"}
FOUND, BEST = "cells with theory's outcome, single runs", "the same, best of these runs"
MORE = "cells that share, where theory does less elsewhere, single runs"
SHARED, ELSEWHERE = (f"cells that share {where}, best runs" for where in ("there", "elsewhere"))


def outcomes(data: Data, features: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return outcomes, (seeds, rows, columns), the best run's, and theory's, (rows, columns).

    Outcomes are positions in `jsuper.analysis.phases.OUTCOMES`, -1 without a model.
    """
    ds = phases.of_relu(data[SWEEPS[features]])
    relative = phases.RELATIVE[ds.sizes["feature"], ds.sizes["hidden"]]
    one = ds.squeeze("activation", drop=True)
    W = finished_values(one, "W", "seed", "sparsity", relative, "hidden", "feature").values
    return phases.outcome(W), *phases.compared(ds)


def at_boundary(expected: np.ndarray) -> np.ndarray:
    """Return the cells with a neighbour that has another outcome: (rows, columns)."""
    padded = np.pad(expected, 1, mode="edge")
    around = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    return np.any([expected != cells for cells in around], axis=0)


def share_of(found: np.ndarray, is_so: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return the share of some cells in which something is so: (seeds,); NaN without a model."""
    known = (found != phases.NO_MODEL)[:, among].all(axis=1)
    return np.where(known, is_so[:, among].mean(axis=1), np.nan)


def minimum(data: Data, features: str, cells: str) -> dict[str, np.ndarray]:
    """Return the share of cells with the outcome of the global minimum."""
    found, best, expected = outcomes(data, features)
    among = (cells == "all") | ~at_boundary(expected)
    alone = share_of(found, found == expected, among)
    return {FOUND: alone, BEST: (best == expected)[among].mean(keepdims=True)}


def sharing(data: Data, features: str) -> dict[str, np.ndarray]:
    """Return the share of cells with superposition where theory has it, less that elsewhere."""
    found, best, expected = outcomes(data, features)
    cells = expected == SUPERPOSED, expected != SUPERPOSED
    theirs, elsewhere = (share_of(found, found == SUPERPOSED, among) for among in cells)
    shares = [(best == SUPERPOSED)[among].mean(keepdims=True) for among in cells]
    return {MORE: theirs - elsewhere, **dict(zip((SHARED, ELSEWHERE), shares, strict=True))}


def other_cells(data: Data, rng: np.random.Generator) -> Data:
    """Return the data with the models of every seed in random cells."""
    data = {name: ds[["W", "loss", "status"]] for name, ds in data.items()}
    for among in AXES:
        data = shuffled("seed", *(axis for axis in AXES if axis != among), among=among)(data, rng)
    return data


said = partial(
    Finding,
    place="Superposition as a Phase Change",
    source="elhage-2022",
    sweeps=tuple(SWEEPS.values()),
    placebo=other_cells,
    unit="share of cells",
)

FINDINGS: tuple[Finding, ...] = (
    said(
        "training-finds-the-phase-diagram",
        "Does training find the phase of the global minimum in most cells?",
        sentence="Trained models show the phases that the loss of ideal solutions predicts.",
        effect=minimum,
        rules={FOUND: above(MOST, bounds=(0, 1)), BEST: Rule(NEARLY_ALL, 1, "exact")},
        readings=crossed(
            "{features}, {cells} cells", cells=("all", "inner"), features=tuple(SWEEPS)
        ),
        note=spans,
    ),
    said(
        "relu-shares-where-it-pays",
        "Do two features share a unit where the least loss says so, and only there?",
        sentence="Whether a feature is in superposition depends on its sparsity and its relative "
        "importance, with a sharp change between the phases.",
        effect=sharing,
        rules={
            MORE: above(0, bounds=(-1, 1)),
            SHARED: Rule(NEARLY_ALL, 1, "exact"),
            ELSEWHERE: Rule(0, 1 - NEARLY_ALL, "exact"),
        },
        readings=crossed("{features}", features=tuple(SWEEPS)),
        note=spans,
    ),
)
