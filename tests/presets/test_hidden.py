"""The checks and figures of the presets with ReLU in the hidden layer, on made-up runs."""

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from jsuper.analysis import hidden_checks, motif_checks
from jsuper.plots import hidden, motifs


def made_up(W, W_dec, sparsity, **coords):
    """Return a finished run, in which W has the shape (sparsity, seed, hidden, feature)."""
    W, W_dec = np.asarray(W, float), np.asarray(W_dec, float)
    dims = "sparsity", "seed"
    loss = np.tile(np.arange(W.shape[1], 0, -1.0), (W.shape[0], 1))  # the last seed is the best
    return xr.Dataset(
        {
            "W": ((*dims, "hidden", "feature"), W),
            "W_dec": ((*dims, "hidden", "feature"), W_dec),
            "loss": (dims, loss),
            "loss_stderr": (dims, loss / 100),
            "status": (dims, np.ones(W.shape[:2], np.int8)),
        },
        coords={"sparsity": list(sparsity), "seed": range(W.shape[1])}
        | {"n_hidden": W.shape[2], "n_features": W.shape[3]}
        | coords,
    )


def test_the_check_of_the_privileged_basis_compares_the_best_model_with_its_regime():
    dense, binary = np.eye(5, 10), np.zeros((5, 10))
    binary[:3, :3] = np.eye(3)
    binary[3:, 3:6] = [[1, 1, -1], [1, -1, 1]]
    pairs = np.zeros((5, 10))
    for i, (a, b) in enumerate(itertools.combinations(range(5), 2)):
        pairs[[a, b], i] = 1
    W = np.array([[binary, dense], [dense, binary], [binary, dense], [dense, pairs]])
    ds = made_up(W, W, (0.25, 0.65, 0.7, 0.99))
    found = {one.quantity: one.found for one in hidden_checks.privileged(ds)}
    assert [v for k, v in found.items() if k.startswith("monosemantic")] == [5, 3, 5, 0]
    assert [v for k, v in found.items() if k.startswith("features in poly")] == [0, 3, 0, 10]
    assert found["share of features in two neurons at density 0.01, best seed"] == 1
    quantity = "lowest loss with the published numbers over the lowest of all, at density 0.3"
    assert found[quantity] == 2
    assert len(found) == 10


def test_the_check_of_absolute_values_counts_monosemantic_neurons():
    alone, mixed = np.eye(2, 3), np.array([[1, 0, 0], [0, 0.5, 1]])
    ds = made_up([[alone, alone], [alone, mixed]], np.ones((2, 2, 2, 3)), (0.0, 0.999))
    dense, sparse, order = hidden_checks.absolute(ds)
    assert (dense.found, sparse.found, order.found) == (1, 0.75, -2)
    assert dense.expected == "published: 1, all neurons are monosemantic"


def test_the_check_of_small_models_needs_both_sides_of_each_feature():
    both = np.array([[1.0], [-1.0]])
    assert motif_checks.two_sides(both, np.abs(both))
    assert not motif_checks.two_sides(both, np.array([[1.0], [0.0]]))
    assert not motif_checks.two_sides(np.ones((2, 1)), np.ones((2, 1)))
    with pytest.raises(ValueError, match="no dimension size"):
        motif_checks.absolute_small(made_up([[both]], [[both]], (0.5,)))


def test_figures_have_a_panel_for_every_density():
    mpl.use("Agg")
    rng = np.random.default_rng(0)
    W, W_dec = rng.normal(size=(2, 3, 2, 4, 6))
    ds = made_up(W, W_dec, (0.0, 0.5, 0.9))
    figure = hidden.privileged(ds)
    assert [ax.get_title()[:9] for ax in figure.axes[:3]] == ["density 1", "density 0", "density 0"]
    assert len(hidden.absolute(ds).axes) == 3 + 2
    unfinished = ds.assign(status=0 * ds.status)
    assert hidden.privileged(unfinished).axes[0].get_title() == "density 1: no model"
    assert len(hidden.absolute(unfinished).axes) == 5
    plt.close("all")


def test_the_figure_of_small_models_names_the_asymmetric_neurons():
    mpl.use("Agg")
    one = made_up([[np.eye(2)]], [[np.eye(2)]], (0.7,))
    motif = np.array([[2, -0.5], [1, 0.0]]), np.array([[0.5, 2], [0.5, -4.0]])
    two = made_up([[motif[0]]], [[motif[1]]], (0.7,), n_features=3)  # padded in a sweep
    pad = {"feature": (0, 1)}
    ds = xr.concat([one.pad(pad), two.pad(pad, constant_values=0.0)], "size")
    ds = ds.assign_coords(size=["few", "many"], n_features=("size", [2, 3]))
    axes = motifs.absolute_small(ds.assign(status=ds.status.astype(np.int8))).axes
    assert axes[0].get_title() == "few, density 0.3\n2 of 2 neurons monosemantic"
    assert axes[1].get_title().endswith("; asymmetric: 0")
    assert axes[3].get_title() == "1 motifs at density 0.3"
    plt.close("all")
