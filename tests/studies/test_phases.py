"""The study of phase diagrams, on made-up models and on a small run."""

import json

import numpy as np
import pytest
import xarray as xr

import jsuper
from jsuper.studies import page, phases

DENSITY, IMPORTANCE = np.array([0.05, 0.3, 0.9]), np.array([0.1, 0.5, 2.0])
SHARED, ABSENT, ALONE = [[1, -1]], [[1, 0]], [[0, 1]]
THEORY = [[SHARED, SHARED, SHARED], [ABSENT, SHARED, SHARED], [ABSENT, ABSENT, ALONE]]


def sweep_of(models, relative, activations=("relu",)):
    """Results with the same models, (densities, importances, m, n), for every activation."""
    W = np.broadcast_to(
        np.asarray(models, float)[None, :, :, None], (len(activations), *SHAPE)
    ).copy()
    W = W if relative == "importance_decay" else in_three(W)
    dims = ("activation", "sparsity", relative, "seed")
    data = {"W": ((*dims, "hidden", "feature"), W)}
    data["loss"] = (dims, np.ones(W.shape[:4]))
    data["status"] = (dims, np.ones(W.shape[:4], np.int8))
    axes = {"activation": list(activations), "sparsity": 1 - DENSITY, relative: IMPORTANCE}
    return xr.Dataset(data, axes | {"seed": [0]}, {"sweep": json.dumps(jsuper.Sweep().to_dict())})


SHAPE = (3, 3, 1, 1, 2)


def in_three(W):
    """Add a first feature, which has a hidden unit for itself."""
    wide = np.zeros((*W.shape[:-2], 2, 3))
    wide[..., :1, 1:], wide[..., 1, 0] = W, 1
    return wide


def test_answers_compare_with_theory_and_rank_the_activations():
    wrong = [[ABSENT, SHARED, SHARED], *THEORY[1:]]
    runs = {
        "phase_2_1": sweep_of(wrong, "importance_decay"),
        "phase_3_2": sweep_of(THEORY, "importances"),
        "phase_activations": sweep_of(THEORY, "importance_decay", ("gelu", "relu")),
    }
    runs["phase_activations"]["W"].loc[{"activation": "gelu"}] = [[1.0, 0.0]]
    minima, sharing = phases.answers(runs)
    # three in two: the last feature has a unit for itself where it is the most important
    assert [r.value for r in minima.rows] == pytest.approx([8 / 9, 7 / 9, 1])
    assert "Of the 3 other cells, 3 are next to a boundary of theory." in minima.finding
    assert [(r.case, r.value) for r in sharing.rows] == [
        ("relu", pytest.approx(5 / 9)),
        ("gelu", 0),
    ]
    assert "1 of 2 activations have it in no cell" in sharing.finding
    with pytest.raises(ValueError, match="runs has no phase_3_2, phase_activations; give the"):
        phases.answers({"phase_2_1": runs["phase_2_1"]})


def test_a_boundary_has_cells_on_both_sides():
    expected = np.array([[0, 0, 2], [0, 0, 2], [0, 0, 0]])
    assert phases.at_boundary(expected).astype(int).tolist() == [[0, 1, 1], [0, 1, 1], [0, 0, 1]]


@pytest.mark.slow
def test_the_page_of_a_small_run(tmp_path):
    fields = {"steps": 20, "batch_size": 16, "seeds": 2, "sparsity": (0.0, 0.9), "records": 2}
    two = {"n_features": 2, "n_hidden": 1, "importance_decay": (0.5, 2.0)}
    three = {"n_features": 3, "n_hidden": 2, "importance": {0.5: (1, 1, 0.5), 2.0: (1, 1, 2)}}
    given = {"phase_2_1": ("relu", two), "phase_3_2": ("relu", three)}
    given["phase_activations"] = (("relu", "gelu"), two)
    runs = {
        preset: jsuper.run(jsuper.Sweep(activation=a, **fields, **sizes), progress=False)
        for preset, (a, sizes) in given.items()
    }
    path = page.write("phases", runs, tmp_path)
    text = path.read_text()
    assert "# Phase diagrams" in text and "preset `phase_activations`: 16 models" in text
    pictures = sorted(p.name for p in tmp_path.glob("*.png"))
    assert pictures == ["phases-2-1.png", "phases-3-2.png", "phases-activations.png"]
