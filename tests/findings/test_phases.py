"""Findings on phase diagrams: made-up models with the outcome of theory, or another one."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from made_up_findings import check
from running import slow

import jsuper
from jsuper.analysis.phases import expected_outcome
from jsuper.findings import phases
from jsuper.plots import findings_scurves

FINDINGS = {f.name: f for f in phases.FINDINGS}
DENSITY, RATIOS = np.array([0.01, 0.05, 0.1, 0.3, 0.5, 1.0]), np.array([0.1, 0.2, 0.5, 2, 5, 10])
MODELS = np.array([[[1, 0]], [[0, 1]], [[1, -1]]], float)  # absent, alone, superposed
SEEDS = 20


def sweep(features, right):
    """Models of which a share is right; the losses of the others are higher if most are right."""
    rng = np.random.default_rng(features)
    expected = expected_outcome(DENSITY, RATIOS, hidden=features - 1)
    fine = rng.random((*expected.shape, SEEDS)) < right
    outcome = (expected[..., None] + ~fine * rng.integers(1, 3, fine.shape)) % 3
    W = MODELS[outcome]
    if features == 3:  # the first one has a unit for itself
        wide = np.zeros((*W.shape[:-2], 2, 3))
        wide[..., :1, 1:], wide[..., 1, 0] = W, 1
        W = wide
    relative = "importance_decay" if features == 2 else "importances"
    dims = ("activation", "sparsity", relative, "seed")
    loss = np.where(fine == (right > 0.5), 1.0, 2.0)
    data = {"W": ((*dims, "hidden", "feature"), W[None]), "loss": (dims, loss[None])}
    data["status"] = (dims, np.ones((1, *fine.shape), np.int8))
    axes = {"activation": ["relu"], "sparsity": 1 - DENSITY, relative: RATIOS}
    attrs = {"sweep": json.dumps(jsuper.Sweep().to_dict())}
    return xr.Dataset(data, axes | {"seed": np.arange(SEEDS)}, attrs), fine, expected


def sweeps(right):
    return {name: sweep(i, right)[0] for i, name in ((2, "phase_2_1"), (3, "phase_3_2"))}


SLOWEST = "training-finds-the-phase-diagram"


@pytest.mark.parametrize("name", [slow(n) if n == SLOWEST else n for n in FINDINGS])
def test_verdicts_and_placebos_are_those_of_the_construction(name):
    check(FINDINGS[name], sweeps(0.8), sweeps(0.1))


def test_shares_of_cells_by_loops():
    ds, fine, expected = sweep(2, 0.8)
    inner = ~phases.at_boundary(expected)
    found = phases.minimum({"phase_2_1": ds}, "2 features", "inner")
    cells = [place for place in np.ndindex(expected.shape) if inner[place]]
    assert 0 < len(cells) < expected.size
    for seed in range(SEEDS):
        share = sum(fine[place][seed] for place in cells) / len(cells)
        assert found[phases.FOUND][seed] == pytest.approx(share)
    assert found[phases.BEST].tolist() == [1]


def test_a_seed_with_an_unfinished_model_is_left_out():
    ds = sweep(2, 0.8)[0].copy(deep=True)
    ds["status"][0, 2, 3, 7] = 0
    found = phases.minimum({"phase_2_1": ds}, "2 features", "all")[phases.FOUND]
    assert np.flatnonzero(np.isnan(found)).tolist() == [7]


def test_a_boundary_has_cells_on_both_sides():
    expected = np.array([[0, 0, 2], [0, 0, 2], [0, 0, 0]])
    assert phases.at_boundary(expected).astype(int).tolist() == [[0, 1, 1], [0, 1, 1], [0, 0, 1]]


def test_the_picture_has_both_diagrams():
    figure = findings_scurves.phases(sweeps(0.8))
    titles = [ax.get_title() for ax in figure.axes]
    assert [t[:10] for t in titles] == ["2 features", "3 features"]
    assert all("100.0% of 36 cells" in t for t in titles)
    plt.close(figure)
