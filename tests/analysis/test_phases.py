"""Phase diagrams of two features, and of three: outcomes by hand, theory by minimization."""

import json

import numpy as np
import pytest
import xarray as xr

import jsuper
from jsuper.analysis import answers, phases, theory
from jsuper.plots.phases import phase_diagram, phase_diagrams

DENSITY, IMPORTANCE = np.array([0.1, 0.4, 0.9]), np.array([0.2, 0.5, 2.0])


def about(**fields):
    return {"sweep": json.dumps(jsuper.Sweep(**fields).to_dict())}


def made_up(models, activation="relu", **fields):
    """Results with one seed that has the models and a worse one with zeros."""
    W = np.zeros((1, len(DENSITY), len(IMPORTANCE), 2, 1, 2), np.float32)
    W[0, :, :, 1, 0] = models
    dims = ("activation", "sparsity", "importance_decay", "seed")
    loss = np.broadcast_to([1.0, 0.5], W.shape[:4])
    return xr.Dataset(
        {
            "W": ((*dims, "hidden", "feature"), W),
            "loss": (dims, loss),
            "status": (dims, np.ones(W.shape[:4], np.int8)),
        },
        {"activation": [activation], "sparsity": 1 - DENSITY, "importance_decay": IMPORTANCE}
        | {"seed": [0, 1]},
        about(**fields),
    )


@pytest.mark.parametrize(
    ("W", "expected"),
    [
        ([[1.0, 0.1]], 0),
        ([[0.1, 1.0]], 1),
        ([[1.0, -0.9]], 2),
        ([[0.0, 0.0]], 0),
        ([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]], 1),
        ([[1.0, 0.0, 0.0], [0.0, 1.0, -1.0]], 2),
        ([[1.0, np.nan]], phases.NO_MODEL),
    ],
)
def test_the_outcome_of_the_last_feature(W, expected):
    assert phases.outcome(np.array(W)) == expected


@pytest.mark.slow
def test_models_at_the_global_minimum_agree_with_theory():
    models = [[theory.pair_model(p, r).W[0] for r in IMPORTANCE] for p in DENSITY]
    ds = made_up(models)
    assert phases.phase_map(ds).values.tolist() == [[2, 2, 2], [0, 2, 2], [0, 0, 1]]
    (checked,) = phases.agreement(ds)
    assert checked.found == 1 and "9 cells" in checked.quantity
    models[0][0] = [1.0, 0.0]
    assert phases.agreement(made_up(models))[0].found == pytest.approx(8 / 9)
    ax = phase_diagram(ds)
    assert "100.0% of 9 cells" in ax.get_title()
    drawn = ax.collections[0].get_array().reshape(3, 3)  # importance x ascending density
    assert drawn.tolist() == [[2, 0, 0], [2, 2, 0], [2, 2, 1]]


def test_theory_is_not_drawn_for_models_that_it_is_not_about():
    shared = np.full((3, 3, 2), 1.0)
    for ds in (made_up(shared, "gelu"), made_up(shared, values="signed")):
        assert phase_diagram(ds).get_title() == "best of 2 seeds"
        with pytest.raises(ValueError, match="theory is about relu, with tied weights"):
            phases.agreement(ds)


def test_the_answer_says_what_the_diagram_shows():
    models = np.array([[theory.pair_model(p, r).W[0] for r in IMPORTANCE] for p in DENSITY])
    ds = made_up(models)
    how = "best of 2 seeds; norm threshold 0.2"
    expected = f"The last feature ({how}) in 9 cells: 3 not represented, 1 dedicated dimension, "
    assert expected + "5 superposed." in answers(ds)
    ds["status"][0, 0, 0] = 2
    expected = f"The last feature ({how}) in 9 cells: 3 not represented, 1 dedicated dimension, "
    assert expected + "4 superposed, 1 without a model." in answers(ds)
    assert not any("more features than hidden units" in sentence for sentence in answers(ds))
    assert "Whether fits failed is unknown: ds has no loss_over_constant." in answers(ds)


def test_the_answer_of_several_activations_is_their_share_of_superposition():
    models = np.array([[theory.pair_model(p, r).W[0] for r in IMPORTANCE] for p in DENSITY])
    both = xr.concat([made_up(np.zeros((3, 3, 2)), "tanh"), made_up(models)], "activation")
    assert (
        "Share of 9 cells in which the last feature is superposed (best of 2 seeds; norm "
        "threshold 0.2): relu 56%, tanh 0%."
    ) in answers(both)
    both["status"][0] = 2  # no model of tanh
    both["status"][1, 2, 2] = 2  # a cell of relu
    assert (
        "Share of 9 cells in which the last feature is superposed (best of 2 seeds; norm "
        "threshold 0.2; cells without a model left out): relu 62%, tanh unknown."
    ) in answers(both)


def test_the_answer_of_three_features_is_of_the_third():
    shared, alone = [[1, 0, 0], [0, 1, -1]], [[1, -1, 0], [0, 0, 1]]
    expected = "in 9 cells: 3 dedicated dimension, 6 superposed."
    assert any(expected in text for text in answers(of_three([[shared, shared, alone]] * 3)))


def test_a_sweep_without_a_diagram_has_the_general_answer():
    for ds in (
        made_up(np.zeros((3, 3, 2))).isel(sparsity=[0]),
        of_three([[np.eye(3)[:2]] * 3] * 3),
    ):
        assert phases.has_diagram(ds) == (ds.sizes["feature"] == 3)
    assert not phases.has_diagram(made_up(np.zeros((3, 3, 2))).drop_vars("W"))


@pytest.mark.slow
def test_several_activations_have_a_panel_each_by_their_share_of_superposition():
    models = np.array([[theory.pair_model(p, r).W[0] for r in IMPORTANCE] for p in DENSITY])
    never, half = np.zeros((3, 3, 2)), models.copy()
    never[..., 0] = 1
    half[0] = [np.nan, 1.0]
    given = {"gelu": never, "relu": models, "tanh": half}
    ds = xr.concat([made_up(W, name) for name, W in given.items()], "activation")
    shares = phases.outcome_shares(ds)
    assert shares.sel(activation="relu").values.tolist() == pytest.approx([3 / 9, 1 / 9, 5 / 9])
    assert shares.sel(activation="gelu").values.tolist() == [1, 0, 0]
    assert shares.sel(activation="tanh").values.tolist() == pytest.approx([3 / 6, 1 / 6, 2 / 6])
    (checked,) = phases.agreement(ds)
    assert checked.found == 1 and "9 cells of relu" in checked.quantity
    figure = phase_diagrams(ds)
    assert [ax.get_title() for ax in figure.axes] == ["relu, 56%", "tanh, 33%", "gelu, 0%"]
    assert [len(ax.lines) for ax in figure.axes] == [2, 0, 0]  # theory's boundary
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [*phases.OUTCOMES, "no model", "boundary of theory"]


def of_three(models):
    """Results of three features in two units with these models, (densities, importances, 2, 3)."""
    W = np.asarray(models, float)[None, :, :, None]
    dims = ("activation", "sparsity", "importances", "seed")
    return xr.Dataset(
        {
            "W": ((*dims, "hidden", "feature"), W),
            "loss": (dims, np.ones(W.shape[:4])),
            "status": (dims, np.ones(W.shape[:4], np.int8)),
        },
        {"activation": ["relu"], "sparsity": 1 - DENSITY, "importances": IMPORTANCE, "seed": [0]},
        about(),
    )


@pytest.mark.slow
def test_the_third_feature_shares_a_unit_or_has_the_last_one():
    shared, alone = [[1, 0, 0], [0, 1, -1]], [[1, -1, 0], [0, 0, 1]]
    absent = [[1, 0, 0], [0, 1, 0]]
    ds = of_three([[shared, shared, alone], [absent, shared, alone], [absent, absent, alone]])
    assert phases.phase_map(ds).values.tolist() == [[2, 2, 1], [0, 2, 1], [0, 0, 1]]
    assert phases.agreement(ds)[0].found == 1
    ax = phase_diagram(ds)
    assert "100.0% of 9 cells" in ax.get_title()


@pytest.mark.parametrize("p", [0.1, 0.6, 0.95])
@pytest.mark.parametrize("r", [0.4, 0.9, 1.2, 3.0])
def test_three_features_take_the_least_of_the_solutions(p, r):
    last_two, first_two = theory.pair_model(p, r), theory.pair_model(p, 1.0)
    if first_two.loss < last_two.loss:
        expected = 1
    else:
        norms = np.abs(last_two.W[0]) > phases.THRESHOLD
        expected = 2 if norms.all() else int(norms[1])
    found = phases.expected_outcome([p], [r], hidden=2)
    assert found.tolist() == [[expected]]


def test_the_line_between_its_points_is_the_boundary():
    r, held = phases.boundary_line()
    between = np.array([0.3, 0.8, 0.97])
    exact = theory.two_to_one_boundary(between, threshold=phases.THRESHOLD).over_drop_last
    assert np.interp(np.log(between), np.log(r), held) == pytest.approx(exact, abs=3e-3)


def test_other_sweeps_are_refused():
    ds = made_up(np.zeros((3, 3, 2)))
    with pytest.raises(ValueError, match="needs n_features=2 and n_hidden=1"):
        phases.phase_map(ds.isel(feature=[0]))
    with pytest.raises(ValueError, match="needs several of sparsity and importance_decay"):
        phases.phase_map(ds.isel(sparsity=[0]))
    three = of_three(np.zeros((3, 3, 2, 3)))
    names = three.assign_coords(importances=["a", "b", "c"])
    with pytest.raises(ValueError, match="the labels of importances are not numbers"):
        phases.phase_map(names)
    listed = about(n_features=3, n_hidden=2, importance={0.5: (1, 1, 0.4), 2: (1, 1, 2)})
    with pytest.raises(ValueError, match=r"importances 0.5 is \(1.*give \(1, 1, 0.5\)"):
        phases.phase_map(three.assign_attrs(listed))
