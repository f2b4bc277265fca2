"""Dropout: hits, noise and losses against closed forms, sampled masks and hand-made cases."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize

import jsuper
from jsuper.analysis import dropout, kurtosis, theory
from jsuper.plots import dropout as plots

RATE = 0.3
# columns: on one unit, evenly on two, evenly on all four, zero, on one with a trace of another
HAND = np.array(
    [
        [2.0, 1.0, 1.0, 0.0, 1.0],
        [0.0, -1.0, 1.0, 0.0, 0.05],
        [0.0, 0.0, -1.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0, 0.0],
    ]
)


def models(*lead, m=4, n=7, seed=0):
    return np.random.default_rng(seed).normal(size=(*lead, m, n))


def masks(m, samples=200_000, seed=1):
    """Inverted dropout, (samples, m)."""
    return (np.random.default_rng(seed).random((samples, m)) >= RATE) / (1 - RATE)


# ---- hits ----


def test_units_of_hand_made_features():
    np.testing.assert_array_equal(dropout.units_used(HAND), [1, 2, 4, np.nan, 1])
    np.testing.assert_array_equal(dropout.units_used(HAND, 0.01), [1, 2, 4, np.nan, 2])
    np.testing.assert_allclose(dropout.effective_units(HAND)[:4], [1, 2, 4, np.nan])
    np.testing.assert_allclose(
        dropout.untouched_chance(HAND, RATE), [0.7, 0.49, 0.7**4, np.nan, 0.7]
    )


def test_measured_chance_is_one_minus_q_to_the_units():
    found = dropout.untouched(HAND, RATE, samples=20_000)
    np.testing.assert_allclose(found, dropout.untouched_chance(HAND, RATE), atol=0.015)
    assert np.isnan(found[3])


def test_small_shares_dropped_together_touch_a_feature():
    W = np.full((65, 1), 0.09)
    W[0] = 1
    assert dropout.units_used(W)[0] == 1 and dropout.untouched_chance(W, 0.5)[0] == 0.5
    assert dropout.untouched(W, 0.5)[0] < 0.01


def test_rates_belong_to_models():
    W, rates = models(3, 2), np.array([[0.0, 0.1], [0.2, 0.3], [0.5, 0.7]])
    functions = (dropout.untouched_chance, dropout.untouched, dropout.readback_variance)
    for function in (*functions, dropout.leakage_variance, dropout.rotated_leakage_variance):
        found = function(W, rates)
        for place in np.ndindex(rates.shape):
            np.testing.assert_allclose(found[place], function(W[place], rates[place]), rtol=1e-9)
    assert (dropout.untouched(W, rates)[0, 0] == 1).all()


def test_numpy_and_jax_agree_and_a_broken_model_breaks_alone():
    W = models(2).astype(np.float32)
    W[1, 0, 0] = np.inf
    functions = (dropout.units_used, dropout.effective_units)
    rated = (dropout.untouched_chance, dropout.untouched, dropout.leakage_variance)
    for f in (*functions, *(lambda W, f=f: f(W, RATE) for f in rated)):
        found = f(W)
        assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()
        np.testing.assert_allclose(jax.jit(f)(jnp.asarray(W)), found, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dropout.untouched_chance(HAND, 1.0), r"rate holds 1.0; give values in \[0, 1\)"),
        (lambda: dropout.units_used(HAND, -0.1), "threshold holds -0.1"),
        (lambda: dropout.untouched(HAND, 0.1, tolerance=2), "tolerance holds 2"),
        (lambda: dropout.untouched(HAND, 0.1, samples=0), "samples=0"),
        (lambda: dropout.least_linear_loss(4, 4, 0.1, 0.5), "n_hidden=4 is not below"),
        (lambda: dropout.dropout_loss(HAND, 0, "softmax_batch", 0.1, 0.5), "softmax_batch"),
        (lambda: dropout.dropout_loss(HAND, 0, "geglu", 0.1, 0.5), "second matrix"),
        (lambda: dropout.dropout_loss(HAND, 0, "rleu", 0.1, 0.5), "rleu"),
        (lambda: dropout.dropout_loss(HAND, 0, "relu", 0.1, 0.0), "density holds 0.0"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- noise ----


def test_noise_of_reading_back_is_that_of_sampled_masks():
    W = models()
    u = W / np.linalg.norm(W, axis=0)
    read = np.einsum("ji,sj,jk->sik", u, masks(4), u)
    np.testing.assert_allclose(dropout.leakage_variance(W, RATE), read.var(axis=0), rtol=0.03)
    np.testing.assert_allclose(np.diagonal(read.mean(axis=0)), 1, atol=0.01)
    own = np.diagonal(dropout.leakage_variance(W, RATE))
    np.testing.assert_allclose(dropout.readback_variance(W, RATE), own)


def test_noise_over_rotations_is_the_closed_form():
    W = models(m=5)
    rotated = dropout.leakage_variance(kurtosis.random_rotations(5, 20_000) @ W, RATE)
    error = rotated.std(axis=0) / 20_000**0.5
    apart = (rotated.mean(axis=0) - dropout.rotated_leakage_variance(W, RATE)) / error
    assert abs(apart).max() < 4.5
    share = np.diagonal(dropout.rotated_leakage_variance(W, RATE)) * (1 - RATE) / RATE
    np.testing.assert_allclose(share, 3 / 7)


# ---- losses ----


def test_sampled_loss_of_linear_models_is_the_closed_form():
    W, b = 0.5 * models(3), 0.1 * models(3)[:, 0]
    rates, densities = np.array([0.0, 0.2, 0.5]), np.array([[0.05], [0.3], [1.0]])
    importance = 0.8 ** np.arange(7)
    given = (densities, importance)
    found = dropout.dropout_loss(W, b, "identity", rates, *given, samples=100_000)
    exact = theory.dropout_linear_loss(W, b, rates, *given)
    assert (abs(found.dropped - exact) < 4 * found.stderr + 1e-9).all()
    clean = theory.dropout_linear_loss(W, b, 0.0, *given)
    np.testing.assert_allclose(found.clean, clean, rtol=0.02)
    assert found.dropped[0] == pytest.approx(found.clean[0], rel=1e-12)
    assert (found.dropped > found.clean)[1:].all()


@pytest.mark.slow
def test_sampled_loss_takes_any_activation_and_keeps_broken_models_apart():
    W, b = 0.5 * models(2), np.zeros((2, 7))
    W[1, 0, 0] = np.nan
    relu = dropout.dropout_loss(W, b, "relu", RATE, 0.2)
    assert np.isfinite(relu.dropped[0]) and np.isnan(relu.dropped[1])
    twice = dropout.dropout_loss(W[0], b[0], lambda z: jnp.maximum(z, 0), RATE, 0.2)
    np.testing.assert_allclose(twice.dropped, relu.dropped[0])


@pytest.mark.parametrize(("q", "p"), [(0.0, 1.0), (0.3, 0.2), (0.7, 0.05)])
def test_no_descent_finds_less_than_the_least_linear_loss(q, p):
    n, m = 5, 2
    least = float(dropout.least_linear_loss(n, m, q, p))

    @jax.jit
    @jax.value_and_grad
    def loss(at):
        W, b = at[: m * n].reshape(m, n), at[m * n :]
        return theory.dropout_linear_loss(W, b, q, p) / least

    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        starts = rng.normal(size=(6, (m + 1) * n))
        found = [minimize(loss, start, jac=True).fun for start in starts]
    assert min(found) == pytest.approx(1, abs=1e-6) and min(found) > 1 - 1e-9


def test_the_least_linear_loss_is_that_of_its_solution():
    rows = np.array([[1, -1, 0, 0], [1, 1, -1, -1]]) / [[2**0.5], [2.0]]
    W, b = (1 - RATE) ** 0.5 * rows, np.full(4, 0.4 / 2)
    found = theory.dropout_linear_loss(W, b, RATE, 0.4)
    np.testing.assert_allclose(found, dropout.least_linear_loss(4, 2, RATE, 0.4))


@pytest.mark.slow
def test_trained_linear_model_reaches_the_least_loss_under_dropout():
    sweep = jsuper.Sweep(
        activation="identity",
        sparsity=0.7,
        dropout=(0.0, 0.3),
        importance_decay=1.0,
        n_features=6,
        n_hidden=2,
        learning_rate=5e-3,
        weight_decay=0.0,
        steps=1500,
        batch_size=512,
        seeds=3,
    )
    ds = jsuper.run(sweep).squeeze(["activation", "sparsity"]).transpose("seed", "dropout", ...)
    W, b, rates = ds.W.values, ds.b.values, np.broadcast_to([0.0, 0.3], (3, 2))
    exact = theory.dropout_linear_loss(W, b, rates, 0.3)
    ratio = exact / dropout.least_linear_loss(6, 2, rates, 0.3)
    assert (ratio > 1 - 1e-5).all() and (ratio < 1.02).all()
    last = ds.loss_curve.values[..., -30:].mean(axis=-1)
    np.testing.assert_allclose(last.mean(axis=0), exact.mean(axis=0), rtol=0.02)


# ---- figures ----


@pytest.fixture
def ds():
    shape, dims = (2, 3, 4), ("sparsity", "dropout", "seed")
    values = np.random.default_rng(0).random(shape)
    values[0, 1, 0] = np.nan
    return xr.Dataset(
        {"loss": (dims, values), "status": (dims, np.where(np.isnan(values), 2, 1))},
        coords={"sparsity": [0.9, 0.0], "dropout": [0.3, 0.0, 0.1], "seed": range(4)},
    )


def test_figure_has_a_line_per_density_and_says_what_it_leaves_out(ds):
    ax = plots.against_dropout(ds, "loss", null=0.5)
    assert [line.get_label() for line in ax.lines] == ["density 1", "density 0.1", "null 0.5"]
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0, 0.1, 0.3])
    assert "1 of 24 models left out" in ax.get_title()
    expected = ds.loss.sel(sparsity=0.0).sortby("dropout").mean("seed")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), expected)
    with pytest.raises(ValueError, match="no dimension 'dropout'"):
        plots.against_dropout(ds.isel(dropout=0), "loss")
    plt.close("all")


def test_intervals_are_students():
    mean, half = plots.mean_and_half(
        np.array([[1.0, 2.0, 3.0, np.nan], [5, np.nan, np.nan, np.nan]])
    )
    np.testing.assert_allclose(mean, [2, 5])
    np.testing.assert_allclose(half, [4.3027 / 3**0.5, 0], rtol=1e-4)


def test_chances_are_drawn_against_each_prediction():
    measured = np.array([[0.1, 0.5], [0.9, np.nan]])
    ax = plots.untouched(measured, {"a": measured, "b": 1 - measured})
    assert len(ax.collections) == 2 and "3 cells" in ax.get_title()
    with pytest.raises(ValueError, match="each of that shape"):
        plots.untouched(measured, {"a": measured[0]})
    plt.close("all")
