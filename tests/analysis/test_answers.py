"""Sentences on what a sweep found, from Datasets whose answers are known."""

import numpy as np
import pytest
from scipy import stats

import jsuper
from jsuper.analysis import answers

SMALL = dict(n_features=4, n_hidden=2, batch_size=16, steps=3, records=3, check_fit=False)
GRID = dict(activation=("relu", "tanh", "gelu"), sparsity=(0.0, 0.7, 0.9), seeds=4)


@pytest.fixture(scope="module")
def trained():
    return jsuper.run(jsuper.Sweep(**GRID, **SMALL), progress=False)


@pytest.fixture
def ds(trained):
    """Losses of .2, .1 and .4, with half of them in the second seed; W = 0."""
    found = trained.copy(deep=True)
    loss = np.array([0.2, 0.1, 0.4])[:, None, None] * np.array([1.0, 2.0, 3.0])[None, :, None]
    found["loss_over_constant"][:] = loss * np.array([1, 0.5, 1, 1])
    found["W"][:] = 0
    return found


def starting(ds, word):
    (found,) = [s for s in answers(ds) if s.startswith(word)]
    return found


def test_the_best_value_its_distance_and_its_interval(ds):
    factors = np.array([1.0, 1.1, 0.9, 1.0])
    ds["loss_over_constant"][0] *= factors
    difference = np.log(2 * factors)
    low, high = stats.t.interval(0.95, 3, difference.mean(), difference.std(ddof=1) / 2)
    ratio = [f"{np.exp(-v):.3g}" for v in (difference.mean(), high, low)]
    assert starting(ds, "tanh has") == (
        f"tanh has the lowest loss of 3 activations: {ratio[0]} times that of relu (95 % "
        f"interval {ratio[1]} to {ratio[2]}; geometric mean over 3 sparsities and 4 seeds)."
    )


def test_values_that_are_not_told_apart_are_said_to_be(ds):
    ds["loss_over_constant"][0] = ds["loss_over_constant"][1] * [1.5, 0.5, 1.2, 1.1]
    text = starting(ds, "relu and tanh" if "relu and tanh" in str(answers(ds)) else "tanh and relu")
    assert "have the lowest losses of 3 activations and cannot be told apart" in text


def test_equal_losses_are_the_same_and_have_no_interval(ds):
    ds["loss_over_constant"][0] = ds["loss_over_constant"][1]
    assert starting(ds, "relu and tanh") == (
        "relu and tanh share the lowest loss of 3 activations (geometric mean over 3 sparsities "
        "and 4 seeds)."
    )


def test_one_seed_has_no_interval(ds):
    assert "one seed gives no interval" in starting(ds.isel(seed=[0]), "tanh has")


def test_models_without_a_loss_drop_their_seed(ds):
    ds["status"][0, 0, 3] = 2
    assert "3 seeds" in starting(ds.isel(sparsity=[0]), "tanh has")
    assert "diverged, all at relu" in starting(ds, "1 of 36 models")


def test_superposition_is_where_most_seeds_have_more_features_than_units(ds):
    W = ds["W"].values
    W[0, 1:, :, 0, :] = 1.0  # four features of length 1 in two units
    W[2, 2, :3, 1, :3] = 0.6
    W[1, 2, :2] = 1.0  # in half of the seeds, which are not most
    assert starting(ds, "Superposition") == (
        "Superposition (most seeds represent more features than hidden units) from S = 0.7 on: "
        "relu; at no sparsity: tanh; at S = 0.9: gelu."
    )
    ds["failed_fit"] = ds["status"] * 0
    ds["failed_fit"][0, 1] = 1
    assert "at S = 0.9 (no fit at 0.7): relu" in starting(ds, "Superposition")
    ds["failed_fit"][1] = 1
    assert "unknown (no fit at 0, 0.7, 0.9): tanh" in starting(ds, "Superposition")


def test_superposition_that_ends_again_does_not_go_on_from_its_start(ds):
    ds["W"].values[1, 0] = 1.0
    ds["W"].values[2] = 1.0
    text = starting(ds, "Superposition")
    assert "at S = 0: tanh" in text and "at every sparsity: gelu" in text


def test_superposition_over_further_axes_is_a_share_of_the_cells(ds):
    more = ds.expand_dims(dropout=[0.0, 0.1]).copy(deep=True)
    more["W"].values[0, 0] = 1.0
    text = starting(more, "Superposition")
    assert "in 3 of 6 cells: relu; in 0 of 6 cells: tanh, gelu" in text
    more["failed_fit"] = more["status"] * 0
    more["failed_fit"][0, 0, 0] = more["failed_fit"][:, 2] = 1
    text = starting(more, "Superposition")
    assert "in 2 of 5 cells (1 without a fit left out): relu" in text
    assert "in 0 of 6 cells: tanh" in text and "unknown, no fit: gelu" in text
    text = starting(ds.isel(sparsity=[2]), "Superposition")
    assert text.endswith("in 0 of 1 cell: relu, tanh, gelu.")


def test_failed_fits_are_named_with_their_place(ds):
    ds["loss_over_constant"][2] = 1.5
    assert "12 of 36 fits failed" in (text := starting(ds, "12 of 36")) and "all at gelu" in text


def test_a_numeric_choice_is_compared_and_a_task_is_not():
    sweep = jsuper.Sweep(
        **SMALL, learning_rate=(1e-3, 1e-2), activation="relu", sparsity=(0.5, 0.9), seeds=2
    )
    found = jsuper.run(sweep, progress=False)
    found["loss_over_constant"][:] = 0.5
    found["loss_over_constant"].loc[dict(learning_rate=1e-2)] = 0.25
    sentences = answers(found)
    assert starting(found, "learning rate").startswith("learning rate = 0.01 has the lowest loss")
    assert "0.5 times that of learning rate = 0.001" in sentences[0]
    assert not any("S = 0.9 has" in s for s in sentences)


def test_every_family_has_answers():
    sweep = jsuper.factorization.Sweep(size=8, rank=2, pairs=(2, 3), steps=20, seeds=2)
    assert answers(jsuper.run(sweep, progress=False))[-1] == "loss_over_zero: lower is better."


def test_what_is_no_result_is_refused(ds):
    with pytest.raises(TypeError, match="answers"):
        answers("runs/relu")
    with pytest.raises(ValueError, match="no status or no attribute sweep"):
        answers(ds.drop_vars("status"))
