"""Closed forms against integration, enumeration and published numbers."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad_vec
from scipy.optimize import brentq, minimize

from jsuper.analysis import theory
from jsuper.analysis.evaluation import evaluate_sparse

RNG = np.random.default_rng(0)
W, B = RNG.normal(size=(3, 2, 5)), RNG.normal(size=(3, 5)) * 0.4  # three models
P, IMPORTANCE = RNG.uniform(0.1, 1, (3, 5)), 0.7 ** np.arange(5)


def cube(n):
    """Nodes (n, N) and weights of a quadrature on [0, 1]^n, exact if split where x_i = x_j.

    x_(1) = s, x_(2) = s t, ... are Gauss's nodes in each order of the coordinates.
    """
    t, w = np.polynomial.legendre.leggauss(7)
    grid = np.stack(np.meshgrid(*[(t + 1) / 2] * n)).reshape(n, -1)
    weight = np.stack(np.meshgrid(*[w / 2] * n)).reshape(n, -1).prod(axis=0)
    weight = weight * np.prod([grid[i] ** (n - 1 - i) for i in range(n)], axis=0)
    orders = list(itertools.permutations(range(n)))
    nodes = np.concatenate([np.cumprod(grid, axis=0)[list(o)] for o in orders], axis=1)
    return nodes, np.tile(weight, len(orders))


def expected_loss(predict, p, importance):
    """Mean over features of I_i E (x_i - x̂_i)², over all sets of active features."""
    x, weight = cube(len(p))
    total = 0.0
    for active in itertools.product([0, 1], repeat=len(p)):
        chance = np.prod(np.where(active, p, 1 - p))
        own = x * np.array(active)[:, None]
        total += chance * np.mean(importance * ((predict(own) - own) ** 2 @ weight))
    return total


def relu_model(W, b):
    W, b = np.array(W, float), np.array(b, float)[:, None]
    return lambda x: np.maximum(W.T @ (W @ x) + b, 0)


# ---- reference losses ----


@pytest.mark.parametrize("n", [3, 5, 8])
def test_tight_frames_meet_the_welch_bound_and_others_do_not(n):
    def mean_squared_cosine(frame):
        unit = frame / np.linalg.norm(frame, axis=0)
        return (((unit.T @ unit) ** 2).sum() - n) / (n * (n - 1))

    angles = 2 * np.pi * np.arange(n) / n
    simplex = np.linalg.svd(np.eye(n) - 1 / n)[2][: n - 1]
    for frame in (np.stack([np.cos(angles), np.sin(angles)]), simplex):
        bound = theory.welch_bound(n, len(frame))
        assert mean_squared_cosine(frame) == pytest.approx(bound, rel=1e-12)
        assert mean_squared_cosine(RNG.normal(size=frame.shape)) > 1.01 * bound
    assert theory.welch_bound(n, n) == theory.welch_bound(n, n + 2) == 0


def test_no_constant_is_better_than_constant_loss_and_zero_loss_is_that_of_zero():
    p, importance = np.array([1.0, 0.3, 0.02]), np.array([1.0, 2.0, 0.5])

    def loss(b):
        return expected_loss(lambda x: np.array(b)[:, None] + 0 * x, p, importance)

    best = theory.constant_loss(p, importance)
    assert best == pytest.approx(loss(p / 2), abs=1e-14)
    assert min(loss(p / 2 + e * np.eye(3)[i]) for i in range(3) for e in (-0.01, 0.01)) > best
    assert theory.zero_loss(p, importance) == pytest.approx(loss([0, 0, 0]), abs=1e-14)


def test_top_features_are_the_best_ones_to_keep():
    p, importance = np.array([0.1, 1.0, 0.5, 0.9]), np.array([3.0, 0.5, 1.0, 0.2])
    for m in (1, 2, 3):
        kept = [np.isin(range(4), k) for k in itertools.combinations(range(4), m)]
        least = theory.constant_loss(p, np.where(kept, 0, importance)).min()
        assert theory.top_features_loss(p, importance, m) == pytest.approx(least)
    assert theory.top_features_loss(p, importance, 4) == 0


@pytest.mark.parametrize(
    ("density", "constant", "top"),
    [(1, 0.2776, 0.0465), (0.3, 0.2581, 0.0432), (0.03, 0.0326, 0.00545), (0.001, 0.0011, 0.00019)],
)
def test_reference_losses_have_their_known_sums(density, constant, top):
    importance = 0.7 ** np.arange(20)
    assert 20 * theory.constant_loss(density, importance) == pytest.approx(constant, rel=0.03)
    assert 20 * theory.top_features_loss(density, importance, 5) == pytest.approx(top, rel=0.03)


# ---- by how many features are active ----


def test_active_weights_are_the_chances_of_each_count():
    p, masks = 0.3, np.array(list(itertools.product([0, 1], repeat=5)))
    chance = np.where(masks, p, 1 - p).prod(axis=1)
    expected = np.bincount(masks.sum(axis=1), chance)
    assert theory.active_weights(5, p) == pytest.approx(expected, abs=1e-12)
    many = theory.active_weights(5, np.array([[0.0, 0.3, 1.0]]))
    assert many.shape == (1, 3, 6)
    assert many[0] == pytest.approx(np.array([np.eye(6)[0], expected, np.eye(6)[5]]), abs=1e-12)


@pytest.mark.parametrize("activation", ["relu", "softmax"])
def test_losses_by_count_add_up_to_the_loss(activation):
    counts, loss, stderr = theory.loss_by_active(W[0], B[0], activation, IMPORTANCE, samples=8192)
    for p in (0.05, 0.6):
        weight = theory.active_weights(5, p)
        sparse = evaluate_sparse(W[0], B[0], activation, 1 - p, IMPORTANCE)
        error = math.hypot(sparse.stderr, np.sqrt(weight**2 @ stderr**2))
        assert weight @ loss == pytest.approx(float(sparse.loss), abs=4 * error)
        assert error < 0.02 * sparse.loss
    assert (counts == np.arange(6)).all() and stderr[0] == 0


def test_losses_by_count_hold_the_exact_ones():
    _, loss, stderr = theory.loss_by_active(W[0], B[0], "relu", IMPORTANCE)
    assert loss[0] == pytest.approx(np.mean(IMPORTANCE * np.maximum(B[0], 0) ** 2), rel=1e-6)
    one = theory.one_sparse_relu_loss(W[0], B[0], IMPORTANCE)
    assert loss[1] == pytest.approx(one, abs=4 * stderr[1])
    k, loss, stderr = theory.loss_by_active(0 * W[0], 0 * B[0], "identity", IMPORTANCE)
    assert (np.abs(loss - k / 5 / 3 * IMPORTANCE.mean()) <= 4 * stderr).all()


# ---- one active feature, ReLU ----

CORNERS = [(0.0, 0.0), (0.0, 0.3), (0.0, -0.3), (1.0, -1.0), (1.0, 0.0), (0.5, -0.9), (0.5, 2.0)]


def numeric_one_sparse(W, b, importance):
    """The definition, integrated between the kinks."""
    n, total = len(b), 0.0
    for j, column in enumerate(W.T @ W):

        def loss(size, j=j, column=column):
            return importance @ (size * np.eye(n)[j] - np.maximum(column * size + b, 0)) ** 2

        kinks = [-c / w for c, w in zip(b, column, strict=True) if 0 < -c * w < w * w]
        total += quad_vec(loss, 0, 1, points=kinks, epsabs=1e-13)[0]
    return total / n**2


@pytest.mark.parametrize("shift", [-1.0, 0.0, 1.0])
def test_one_sparse_loss_is_its_integral(shift):
    expected = [numeric_one_sparse(W[k], B[k] + shift, IMPORTANCE) for k in range(3)]
    found = theory.one_sparse_relu_loss(W, B + shift, IMPORTANCE)
    assert found == pytest.approx(np.array(expected), abs=1e-10)


@pytest.mark.parametrize(("size", "bias"), CORNERS)
def test_one_sparse_loss_holds_where_the_relu_never_or_just_opens(size, bias):
    W, b = size * np.array([[1.0, -1.0, 1.0, 0.0]]), np.full(4, bias)
    expected = numeric_one_sparse(W, b, np.ones(4))
    assert theory.one_sparse_relu_loss(W, b) == pytest.approx(expected, abs=1e-10)
    assert theory.one_sparse_relu_loss(W, bias) == theory.one_sparse_relu_loss(W, b)


def test_one_sparse_gradient_is_that_of_autodiff():
    def loss(W, b):
        return theory.one_sparse_relu_loss(W, b, IMPORTANCE).sum()

    with jax.enable_x64(True):
        expected = jax.jit(jax.grad(loss, argnums=(0, 1)))(W, B)
    for a, b in zip(theory.one_sparse_relu_gradient(W, B, IMPORTANCE), expected, strict=True):
        assert a == pytest.approx(np.asarray(b), abs=1e-10)


def test_one_sparse_loss_is_the_limit_of_independent_features():
    p, b = 1e-4, -np.abs(B[0])
    limit = evaluate_sparse(W[0], b, "relu", 1 - p)
    expected = 5 * p * theory.one_sparse_relu_loss(W[0], b)
    assert limit.loss == pytest.approx(expected, abs=4 * limit.stderr + 1e-3 * expected)


@pytest.mark.parametrize(
    ("k", "loss", "norm", "bias"),
    [(2, 0, 1, 0), (4, 0, 1, 0), (5, 0.01583, 1.1705, -0.2823), (6, 0.04819, 1.3205, -0.6181)]
    + [(7, 0.0833, 1.448, -0.967), (8, 0.1155, 1.550, -1.291), (9, 0.1434, 1.617, -1.542)],
)
def test_kgons_are_critical_points_with_the_known_losses(k, loss, norm, bias):
    found = theory.kgon(k)
    assert k * found.loss == pytest.approx(loss, abs=5e-5)
    assert np.linalg.norm(found.W, axis=0) == pytest.approx(np.full(k, norm), abs=1e-3)
    assert found.b == pytest.approx(np.full(k, bias), abs=1e-3)
    dW, db = theory.one_sparse_relu_gradient(found.W, found.b)
    assert max(np.abs(dW).max(), np.abs(db).max()) < 1e-8


@pytest.mark.parametrize(  # published values of 5 and 6 features, sums over them
    ("k", "n", "positive", "loss"),
    [(4, 5, 0, 0.06667), (4, 5, 1, 0.05667), (4, 6, 0, 0.11111), (4, 6, 1, 0.10417)]
    + [(4, 6, 2, 0.09722), (5, 6, 0, 0.06874), (5, 6, 1, 0.06180), (6, 6, 0, 0.04819)],
)
def test_kgons_with_features_that_are_left_out(k, n, positive, loss):
    found = theory.kgon(k, n, positive)
    assert n * found.loss == pytest.approx(loss, abs=6e-6)
    assert (np.linalg.norm(found.W, axis=0) > 0).sum() == k and (found.b > 0).sum() == positive
    dW, db = theory.one_sparse_relu_gradient(found.W, found.b)
    assert max(np.abs(dW).max(), np.abs(db).max()) < 1e-8
    lower = found.b - np.where(found.b == -1, 1, 0)  # of those with a negative bias
    assert theory.one_sparse_relu_loss(found.W, lower) == pytest.approx(found.loss, rel=1e-12)


def test_kgons_need_as_many_features_as_corners():
    with pytest.raises(ValueError, match="n_features=4"):
        theory.kgon(5, 4)
    with pytest.raises(ValueError, match="positive=2 is more than the 1 features without"):
        theory.kgon(5, 6, 2)


# ---- phase diagrams ----


@pytest.mark.parametrize("p", [0.05, 0.6, 1.0])
@pytest.mark.parametrize("r", [0.3, 1.0, 4.0])
def test_phase_losses_are_those_of_their_solutions(p, r):
    half = p / 2
    two = [([[0, 1]], [half, 0]), ([[1, 0]], [0, half]), ([[1, -1]], [0, 0])]
    three = [
        ([[0, 1, 0], [0, 0, 1]], [half, 0, 0]),
        ([[1, 0, 0], [0, 1, 0]], [0, 0, half]),
        ([[1, -1, 0], [0, 0, 1]], [0, 0, 0]),
        ([[1, 0, 0], [0, 1, -1]], [0, 0, 0]),
    ]
    for n, models, found in [(2, two, theory.two_to_one), (3, three, theory.three_to_two)]:
        importance = np.array([*[1.0] * (n - 1), r])
        each = [n * expected_loss(relu_model(*m), np.full(n, p), importance) for m in models]
        assert found(p, r) == pytest.approx(tuple(each), abs=1e-12)


@pytest.mark.parametrize("r", [0.3, 1.0, 4.0])
def test_phase_boundaries_are_where_the_losses_cross(r):
    def crossing(other):
        def gain(p):
            losses = theory.three_to_two(p, r)
            return (getattr(losses, other) - losses.last_two_antipodal) / p

        return brentq(gain, 1e-3, 1)

    boundary = theory.construction_boundary(r)
    assert boundary.over_drop_last == pytest.approx(crossing("drop_last"), abs=1e-10)
    assert boundary.over_drop_first == pytest.approx(crossing("drop_first"), abs=1e-10)
    assert r != 1 or boundary == pytest.approx((4 / 7, 4 / 7))


@pytest.mark.parametrize("seed", range(4))
def test_pair_loss_is_the_expected_loss_with_its_gradient(seed):
    rng = np.random.default_rng(seed)
    w, b, p, r = rng.normal(size=2), rng.normal(size=2) / 2, rng.random(), 2 * rng.random()
    y = (np.arange(2000) + 0.5) / 2000
    inside = np.stack(np.meshgrid(y, y)).reshape(2, -1)

    def mean(active):
        x = inside * np.array(active)[:, None]
        error = np.maximum(np.outer(w, w) @ x + b[:, None], 0) - x
        return np.array([1, r]) @ (error**2).mean(axis=1)

    chance = {0: 1 - p, 1: p}
    sets = itertools.product([0, 1], repeat=2)
    expected = sum(chance[i] * chance[j] * mean((i, j)) for i, j in sets)
    loss, gradient = theory.pair_loss(w, b, p, r)
    assert loss == pytest.approx(expected, rel=1e-5)
    at = np.concatenate([w, b])
    for i, slope in enumerate(gradient):
        step = 1e-5 * np.eye(4)[i]
        ends = [theory.pair_loss((at + s)[:2], (at + s)[2:], p, r)[0] for s in (step, -step)]
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-6)


@pytest.mark.parametrize("w", [(1.0, 0.0), (0.0, 0.0), (1.0, -1.0)])
def test_pair_loss_holds_where_a_column_is_zero(w):
    importance, p = np.array([1.0, 0.7]), 0.6
    b = np.array([0.0, p / 2]) if 0 in w else np.zeros(2)
    expected = 2 * expected_loss(relu_model([w], b), np.full(2, p), importance)
    assert theory.pair_loss(np.array(w), b, p, 0.7)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("r", "p"), [(0.3, 0.37), (0.3, 0.38), (0.6, 0.5), (0.95, 0.91), (0.95, 0.92), (1.0, 0.9)]
)
def test_no_start_leads_below_the_pair_model(r, p):
    best = theory.pair_model(p, r)
    assert best.loss == pytest.approx(theory.pair_loss(best.W[0], best.b, p, r)[0], abs=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(8):
        start = np.concatenate([rng.normal(size=2), rng.normal(size=2) / 2])
        found = minimize(lambda v: theory.pair_loss(v[:2], v[2:], p, r), start, jac=True)
        assert found.fun > best.loss - 1e-9
    swapped = theory.pair_model(p, 1 / r)
    assert swapped.loss == pytest.approx(best.loss / r, rel=1e-9)
    norms = [np.abs(m.W[0]) for m in (swapped, best)]  # at r = 1 the columns may be exchanged
    assert np.sort(norms[0]) == pytest.approx(np.sort(norms[1]), abs=1e-6)


def test_the_boundary_is_where_the_second_column_vanishes_at_the_global_minimum():
    """Against independent minimizations; above about .5 it depends on the threshold."""
    r = np.array([0.3, 0.5, 0.7, 0.9])
    found = theory.two_to_one_boundary(r)
    assert found.over_drop_last == pytest.approx([0.376, 0.485, 0.629, 0.840], abs=2e-3)
    assert (found.over_drop_first == 1).all()
    assert (found.over_drop_last > theory.construction_boundary(r).over_drop_last).all()
    larger = theory.two_to_one_boundary(r[:3], threshold=0.2).over_drop_last
    assert larger[:2] == pytest.approx(found.over_drop_last[:2], abs=1e-5)
    assert larger[2] < found.over_drop_last[2] - 0.02
    swapped = theory.two_to_one_boundary(1 / r[1])
    assert swapped.over_drop_first == pytest.approx(found.over_drop_last[1], abs=1e-5)
    assert swapped.over_drop_last == 1 and theory.two_to_one_boundary(0).over_drop_last == 0


def test_best_solution_names_the_phase():
    density, r = np.array([0.5, 0.65, 0.65, 0.3]), np.array([1.0, 0.8, 1.25, 9.0])
    two, three = theory.two_to_one(density, r), theory.three_to_two(density, r)
    names = [two._fields[i] for i in theory.best_solution(two)]
    assert names == ["antipodal", "drop_last", "drop_first", "drop_first"]
    names = [three._fields[i] for i in theory.best_solution(three)]
    assert names == ["first_two_antipodal", "drop_last", "drop_first", "first_two_antipodal"]
    grid = theory.best_solution(theory.two_to_one(jnp.asarray(density)[:, None], jnp.asarray(r)))
    assert isinstance(grid, jax.Array) and (np.diag(grid) == [2, 1, 0, 0]).all()


# ---- dropout ----


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_dropout_loss_is_the_mean_over_all_masks(rate):
    p, b, importance = P[0, :3], B[0, :3], np.array([1.0, 0.5, 2.0])
    W, expected = np.random.default_rng(1).normal(size=(4, 3)), 0.0
    for mask in itertools.product([0, 1], repeat=4):
        decoder = W.T * (np.array(mask) / (1 - rate))
        loss = expected_loss(lambda x, D=decoder: D @ W @ x + b[:, None], p, importance)
        expected += np.prod(np.where(mask, 1 - rate, rate)) * loss
    found = theory.dropout_linear_loss(W, b, rate, p, importance)
    assert found == pytest.approx(expected, rel=1e-10)
    assert theory.dropout_linear_loss(W, b, np.array([rate, 0.9]), p, importance).shape == (2,)


# ---- arrays and errors ----

OF_ARRAYS = {
    "constant_loss": lambda W, b, p: theory.constant_loss(p, IMPORTANCE),
    "zero_loss": lambda W, b, p: theory.zero_loss(p, IMPORTANCE),
    "top_features_loss": lambda W, b, p: theory.top_features_loss(p, IMPORTANCE, 2),
    "one_sparse_relu_loss": lambda W, b, p: theory.one_sparse_relu_loss(W, b, IMPORTANCE),
    "gradient": lambda W, b, p: theory.one_sparse_relu_gradient(W, b)[0],
    "two_to_one": lambda W, b, p: theory.two_to_one(p, 0.5).antipodal,
    "three_to_two": lambda W, b, p: theory.three_to_two(p, 0.5).first_two_antipodal,
    "boundary": lambda W, b, p: theory.construction_boundary(p).over_drop_last,
    "dropout_linear_loss": lambda W, b, p: theory.dropout_linear_loss(W, b, 0.3, p, IMPORTANCE),
}


@pytest.mark.parametrize("name", OF_ARRAYS)
def test_leading_axes_jit_and_vmap_give_what_single_models_do(name):
    function = OF_ARRAYS[name]
    each = np.stack([function(*one) for one in zip(W, B, P, strict=True)])
    stacked = function(W, B, P)
    assert stacked.dtype == np.float64 and stacked == pytest.approx(each, rel=1e-12)
    single = [jnp.asarray(a, jnp.float32) for a in (W, B, P)]
    mapped = jax.jit(jax.vmap(function))(*single)
    assert isinstance(mapped, jax.Array) and mapped.dtype == jnp.float32
    assert np.asarray(mapped) == pytest.approx(each, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", ["one_sparse_relu_loss", "gradient", "dropout_linear_loss"])
def test_a_model_that_is_not_finite_is_nan_and_only_itself(name):
    bad_W, bad_b = W.copy(), B.copy()
    bad_W[0, 1, 2], bad_b[2, 0] = np.inf, -np.inf
    good, found = OF_ARRAYS[name](W, B, P), OF_ARRAYS[name](bad_W, bad_b, P)
    assert np.isnan(found[[0, 2]]).all() and (found[1] == good[1]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.welch_bound(0, 2), "n_features=0"),
        (lambda: theory.welch_bound(3, 1.5), "n_hidden=1.5"),
        (lambda: theory.kgon(1), "k=1"),
        (lambda: theory.constant_loss(1.5, IMPORTANCE), "density holds 1.5"),
        (lambda: theory.zero_loss(0.5, -IMPORTANCE), "importance holds -1.0"),
        (lambda: theory.constant_loss([0.5, 0.5], IMPORTANCE), r"density has shape \(2,\)"),
        (lambda: theory.constant_loss(0.5, 1.0), r"importance \(\)"),
        (lambda: theory.top_features_loss(0.5, IMPORTANCE, 0), "n_hidden=0"),
        (lambda: theory.active_weights(5, np.nan), "density holds nan"),
        (lambda: theory.loss_by_active(W[0], B[0], "softmax_batch", IMPORTANCE), "couples"),
        (lambda: theory.loss_by_active(W[0], B[0], "rleu", IMPORTANCE), "did you mean 'relu'"),
        (lambda: theory.loss_by_active(W[0], B[0], "relu", IMPORTANCE, 1), "samples=1"),
        (lambda: theory.one_sparse_relu_loss(W, B[:, :3]), r"b has shape \(3, 3\)"),
        (lambda: theory.one_sparse_relu_loss(B[0], B[0]), r"W has shape \(5,\)"),
        (lambda: theory.two_to_one(0.5, -1), "relative_importance holds -1"),
        (lambda: theory.pair_model(1.5, 1), "density holds 1.5"),
        (lambda: theory.pair_model(0.5, -1), "relative_importance holds -1"),
        (lambda: theory.two_to_one_boundary(-1), "relative_importance holds -1"),
        (lambda: theory.two_to_one_boundary(0.5, threshold=0), "threshold=0: give a norm above 0"),
        (lambda: jax.jit(theory.two_to_one_boundary)(0.5), "cannot be traced"),
        (lambda: theory.dropout_linear_loss(W, B, 1.0, 0.5), "rate holds 1.0"),
    ],
)
def test_arguments_out_of_range_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
