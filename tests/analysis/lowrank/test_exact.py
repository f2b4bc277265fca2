"""Exact learning curves against ODE solvers, gradient descent, each other and known numbers."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jsuper.analysis import curves
from jsuper.analysis.lowrank import exact, riccati

RNG = np.random.default_rng(0)
T = np.linspace(0, 12, 25)


def integrate(rates, times, start):
    """The solution, (*start.shape, times), of an ODE by scipy, to about 1e-12."""
    start = np.asarray(start, float)

    def flat(t, y):
        return np.ravel(rates(y.reshape(start.shape)))

    span = (0, times[-1])
    found = solve_ivp(flat, span, start.ravel(), "DOP853", times, rtol=1e-12, atol=1e-14)
    return found.y.reshape(*start.shape, -1)


def matrix_rates(target, decay=0.0):
    """d/dt of A (m, K) above B (n, K)."""
    m = target.shape[0]

    def rates(Q):
        A, B = Q[:m], Q[m:]
        gap = target - A @ B.T
        return np.concatenate([gap @ B, gap.T @ A]) - decay * Q

    return rates


def balanced(m, n, K, size):
    A = size * RNG.normal(size=(m, K))
    O = np.linalg.qr(RNG.normal(size=(max(m, n), m)))[0]  # noqa: E741
    return A, O[:n] @ A


# ---- one component ----


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_regression_is_its_flow(decay):
    target, start = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))
    found = exact.regression(T, target, start, decay)
    flow = integrate(lambda a: target - a - decay * a, T, start).swapaxes(-1, -2)
    assert found.a == pytest.approx(flow, abs=1e-10)
    assert found.loss == pytest.approx(((target[:, None] - flow) ** 2).sum(-1) / 2, abs=1e-10)


# ---- rank 1 ----

CASES = [
    # u0, rho0, s, decay
    (1e-4, 0.0, 1.0, 0.0),
    (1e-3, 0.7, 1.0, 0.0),
    (1e-2, 1.5, 2.0, 0.3),
    (0.05, 0.4, 1.0, 1.0),  # kappa = 0
    (0.30, 0.2, 0.5, 0.8),  # kappa < 0
    (3.00, 0.1, 1.0, 0.2),  # from above
]


@pytest.mark.parametrize(("u0", "rho0", "s", "decay"), CASES)
def test_rank_one_is_its_flow(u0, rho0, s, decay):
    def rates(y):
        u, rho = y
        return np.stack([2 * u * (s - u - rho - decay), -2 * rho * (u + rho + decay)])

    u, rho = integrate(rates, T, [u0, rho0])
    found = exact.rank_one(T, u0, rho0, s, decay)
    assert found.u == pytest.approx(u, abs=1e-10) and found.rho == pytest.approx(rho, abs=1e-10)
    loss = (s * s - 2 * s * u + (u + rho) ** 2) / 2
    assert found.loss == pytest.approx(loss, abs=1e-10)


def test_rank_one_of_many_runs_is_that_of_each():
    u0, rho0, s, decay = np.array(CASES).T
    many = exact.rank_one(T, u0, rho0, s, decay)
    for i, case in enumerate(CASES):
        one = exact.rank_one(T, *case)
        assert all((a[i] == b).all() for a, b in zip(many, one, strict=True))
    assert exact.rank_one(3.0, u0[:, None], rho0).u.shape == (6, 6, 1)


def test_rank_one_holds_at_any_time_and_at_the_edges_of_its_parameters():
    u0, rho0, s, decay = np.array([*CASES, (0, 0.5, 1, 0.0), (0, 0.0, 0, 0.0)]).T
    last = exact.rank_one([1e3, 1e8, 1e300], u0, rho0, s, decay)
    rest = np.where(u0 > 0, np.maximum(s - decay, 0), 0)
    assert last.u[:, 1:] == pytest.approx(np.repeat(rest[:, None], 2, axis=1), abs=1e-8)
    assert np.isfinite(last.loss).all() and last.rho[:, 1:].max() < 1e-8
    near = [exact.rank_one(T, 0.05, 0.4, 1.0, decay).u for decay in (1 - 1e-9, 1.0, 1 + 1e-9)]
    assert near[0] == pytest.approx(near[1], abs=1e-7) and near[2] == pytest.approx(
        near[1], abs=1e-7
    )
    assert (near[0] > near[1])[1:].all() and (near[1] > near[2])[1:].all()


def test_an_orthogonal_part_decays_as_a_power_of_time():
    times = np.append(T, [1e3, 1e6])
    found = exact.rank_one(times, 0, 2.0)
    assert found.rho == pytest.approx(2 / (1 + 4 * times), rel=1e-14, abs=0)


@pytest.mark.parametrize("decay", [0.0, 0.4])
def test_four_variables_are_those_of_the_matrix_flow(decay):
    a, b = RNG.normal(size=5), RNG.normal(size=4)
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    starts = RNG.normal(size=(2, 9)) * 0.4
    parts = [(y[:5] @ a, y[5:] @ b) for y in starts]
    rho = [
        (y[:5] @ y[:5] - alpha**2, y[5:] @ y[5:] - beta**2)
        for y, (alpha, beta) in zip(starts, parts, strict=True)
    ]
    found = exact.rank_one_flow(T, *np.transpose(parts), *np.transpose(rho), 1.5, decay)
    for i, start in enumerate(starts):
        target = 1.5 * np.outer(a, b)
        Q = integrate(matrix_rates(target, decay), T, start[:, None])[:, 0]
        A, B = Q[:5], Q[5:]
        Z = np.einsum("it,jt->tij", A, B)
        assert found.alpha[i] == pytest.approx(a @ A, abs=1e-9)
        assert found.beta[i] == pytest.approx(b @ B, abs=1e-9)
        assert found.rho_a[i] == pytest.approx((A**2).sum(0) - (a @ A) ** 2, abs=1e-9)
        assert found.rho_b[i] == pytest.approx((B**2).sum(0) - (b @ B) ** 2, abs=1e-9)
        assert found.loss[i] == pytest.approx(((target - Z) ** 2).sum((1, 2)) / 2, abs=1e-9)


def test_four_variables_from_a_balanced_start_are_the_exact_solution():
    u0, rho0, s, decay = np.array(CASES).T
    found = exact.rank_one_flow(T, u0**0.5, u0**0.5, rho0, rho0, s, decay)
    closed = exact.rank_one(T, u0, rho0, s, decay)
    assert found.alpha * found.beta == pytest.approx(closed.u, abs=1e-10)
    assert found.rho_a == pytest.approx(closed.rho, abs=1e-10)
    assert found.loss == pytest.approx(closed.loss, abs=1e-10)


# ---- half time ----


@pytest.mark.parametrize(
    ("u0", "rho0", "s", "decay"), [*CASES[:3], (1e-12, 100.0, 1.0, 0.0), (1e-3, 1.0, 1.0, 0.49)]
)
def test_at_the_half_time_u_is_half(u0, rho0, s, decay):
    t = float(exact.half_time(u0, rho0, s, decay))
    before, at, after = exact.rank_one(t * np.array([0.99, 1, 1.01]), u0, rho0, s, decay).u
    assert at == pytest.approx(s / 2, rel=1e-9) and before < s / 2 < after
    if decay == 0:
        left, right = u0 * (np.exp(2 * s * t) + 1), s * (1 + 2 * rho0 * t)
        assert left == pytest.approx(right, rel=1e-9)


def test_half_time_is_that_of_the_integrated_flow_with_weight_decay():
    u0, rho0, s, decay = 0.01, 0.6, 1.3, 0.4
    flow = integrate(
        lambda y: np.stack([2 * y[0] * (s - y.sum() - decay), -2 * y[1] * (y.sum() + decay)]),
        [0.0, float(exact.half_time(u0, rho0, s, decay))],
        [u0, rho0],
    )
    assert flow[0, -1] == pytest.approx(s / 2, abs=1e-9) and flow[0, 0] < s / 2


def test_half_times_close_to_the_largest_weight_decay_are_finite_and_late():
    found = exact.half_time(1e-3, 0.1, 1.0, [0.49, 0.4999, np.nextafter(0.5, 0)])
    assert np.isfinite(found).all() and (np.diff(found) > 0).all()


def test_half_times_that_are_zero_or_never_come():
    found = exact.half_time([0.0, 0.5, 0.6, 1e-3, 1e-3], 0.1, 1.0, [0, 0, 0.9, 0.5, 2.0])
    assert found.tolist() == [np.inf, 0, 0, np.inf, np.inf]


def test_a_random_start_learns_like_its_mean_start():
    alpha, beta, rho = 0.03, -0.01, 0.02
    curve = exact.rank_one_flow(np.linspace(0, 20, 2001), alpha, beta, rho, rho)
    t = curves.half_time(curve.alpha * curve.beta, np.linspace(0, 20, 2001), 1.0)
    u0 = exact.mean_start(alpha, beta)
    assert u0 == pytest.approx(1e-4) and exact.half_time(u0, rho) == pytest.approx(t, abs=0.02)
    assert abs(exact.half_time(abs(alpha * beta), rho) - t) > 0.4


# ---- matrices ----


@pytest.mark.parametrize("decay", [0.0, 0.25])
@pytest.mark.parametrize(("R", "K"), [(1, 1), (1, 4), (3, 1), (3, 2), (3, 3), (3, 7)])
def test_matrix_solution_is_the_flow_of_its_factors(R, K, decay):
    m, n = (5, 6) if K % 2 else (5, 5)
    target = RNG.normal(size=(m, R)) @ RNG.normal(size=(R, n)) / 2
    A, B = balanced(m, n, K, 0.1)
    Q = integrate(matrix_rates(target, decay), T, np.concatenate([A, B]))
    Z = np.einsum("ikt,jkt->tij", Q[:m], Q[m:])
    found = riccati.balanced_flow(T, A, B, target, decay)
    assert np.abs(found.Z - Z).max() < 1e-9
    assert found.loss == pytest.approx(((target - Z) ** 2).sum((1, 2)) / 2, abs=1e-9)


def test_matrix_solution_at_rank_one_is_the_closed_form():
    a, A = np.eye(4)[0], np.array([[0.02, 0.3, 0.1, -0.2]]).T
    found = riccati.balanced_flow(T, A, A, 1.5 * np.outer(a, a), 0.2)
    closed = exact.rank_one(T, 0.02**2, 0.14, 1.5, 0.2)
    assert found.Z[:, 0, 0] == pytest.approx(closed.u, abs=1e-12)
    assert found.loss == pytest.approx(closed.loss, abs=1e-12)


def test_matrix_solutions_of_many_runs_are_those_of_each():
    pairs = [balanced(4, 5, 2, 0.1) for _ in range(3)]
    A, B = (np.stack(part) for part in zip(*pairs, strict=True))
    targets, decay = RNG.normal(size=(3, 4, 5)), np.array([0.0, 0.1, 0.5])
    many = riccati.balanced_flow(T, A, B, targets, decay)
    for i in range(3):
        one = riccati.balanced_flow(T, A[i], B[i], targets[i], decay[i])
        assert many.Z[i] == pytest.approx(one.Z, abs=1e-11)
        assert many.loss[i] == pytest.approx(one.loss, abs=1e-11)
    shared = riccati.balanced_flow(T, A, B, targets[0])
    assert shared.Z[0] == pytest.approx(many.Z[0], abs=1e-11) and shared.loss.shape == (3, 25)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 6), (6, 2)])
def test_matrix_solution_of_any_shape_from_large_starts(m, n):
    B, A = balanced(n, m, 3, 1.5) if m > n else balanced(m, n, 3, 1.5)[::-1]
    target, times = RNG.normal(size=(m, n)), np.array([0.3, 0.31, 5.0])
    Q = integrate(matrix_rates(target), np.append(0, times), np.concatenate([A, B]))[..., 1:]
    Z = np.einsum("ikt,jkt->tij", Q[:m], Q[m:])
    assert np.abs(riccati.balanced_flow(times, A, B, target).Z - Z).max() < 1e-9
    nothing = riccati.balanced_flow(times, 0 * A, 0 * B, target)
    assert (nothing.Z == 0).all() and nothing.loss == pytest.approx([(target**2).sum() / 2] * 3)


def test_a_start_that_was_balanced_in_float32_is_accepted():
    A, B = (side.astype(np.float32) for side in balanced(100, 100, 16, 0.1))
    target = np.outer(np.eye(100)[0], np.eye(100)[0])
    found = riccati.balanced_flow([0.0], A, B, target).Z[0]
    assert found == pytest.approx(A.astype(float) @ B.T, abs=1e-6)
    with pytest.raises(ValueError, match="differ by"):
        riccati.balanced_flow([0.0], A, B * np.float32(1 + 1e-5), target)


@pytest.mark.parametrize(("K", "decay"), [(4, 0.0), (2, 0.0), (4, 0.5), (4, 50.0)])
def test_matrix_solution_ends_at_the_shrunk_target_however_long_it_takes(K, decay):
    """Strengths 20, 5 and 1: e^{2 · 20 · 500} is no number, and its square would hide the rest."""
    s = np.array([20.0, 5.0, 1.0, 0.0])
    A, B = balanced(4, 4, K, 0.01)
    learned = np.where(np.arange(4) < K, np.maximum(s - decay, 0), 0)
    for times in ([500.0], [0.0, 0.5, 60.0, 500.0]):
        found = riccati.balanced_flow(times, A, B, np.diag(s), decay)
        assert found.Z[-1] == pytest.approx(np.diag(learned), abs=2e-2 if decay == 0 else 1e-8)
        assert found.Z[-1][:3, :3] == pytest.approx(np.diag(learned)[:3, :3], abs=1e-8)
    assert found.Z[0] == pytest.approx(A @ B.T, abs=1e-15)


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_the_invariant_is_conserved_and_shrinks_with_weight_decay(decay):
    target, Q0 = RNG.normal(size=(4, 5)), 0.5 * RNG.normal(size=(9, 3))
    Q = np.moveaxis(integrate(matrix_rates(target, decay), T, Q0), -1, 0)
    found = riccati.invariant(Q[:, :4], Q[:, 4:])
    predicted = riccati.invariant_at(T, Q0[:4], Q0[4:], decay)
    assert np.abs(found[0]).max() > 0.3 and found == pytest.approx(predicted, abs=1e-10)
    A, B = balanced(4, 5, 3, 1.0)
    assert riccati.invariant(A, B) == pytest.approx(np.zeros((3, 3)), abs=1e-14)


def test_gradient_descent_comes_to_the_solution_at_first_order():
    target = np.diag([1.5, 1.0, 0.5])
    A, B = balanced(3, 3, 2, 0.2)
    times = np.array([2.0, 4.0, 8.0])
    flow, rates = riccati.balanced_flow(times, A, B, target, 0.1).Z, matrix_rates(target, 0.1)
    errors = []
    for rate in (0.02, 0.01, 0.005):
        Q, seen = np.concatenate([A, B]), []
        for step in range(1, round(8 / rate) + 1):
            Q = Q + rate * rates(Q)
            if np.isclose(step * rate, times).any():
                seen.append(Q[:3] @ Q[3:].T)
        errors.append(np.abs(np.array(seen) - flow).max(axis=(1, 2)))
    errors = np.array(errors)
    assert errors[:-1] / errors[1:] == pytest.approx(2 * np.ones((2, 3)), rel=0.1)


# ---- Saxe et al. ----


def test_saxe_strength_is_rank_one_and_its_time_is_the_inverse():
    u0, s = np.array([1e-8, 1e-3, 0.4]), np.array([1.0, 2.0, 0.5])
    found = exact.saxe_strength(T, u0, s, 2.0)
    assert found == pytest.approx(exact.rank_one(T / 2, u0, 0.0, s).u, rel=1e-12)
    assert exact.saxe_time(found[:, 5], u0, s, 2.0) == pytest.approx(np.full(3, T[5]), rel=1e-9)
    half = exact.half_time(u0[:2], 0.0, s[:2])
    assert exact.saxe_time(s / 2, u0, s)[:2] == pytest.approx(half, rel=1e-9)
    assert exact.saxe_strength(1e300, u0, s)[:, 0] == pytest.approx(s)


def test_saxe_learning_time_is_that_between_epsilon_and_all_but_epsilon():
    for epsilon in (1e-3, 1e-6):
        between = exact.saxe_time(2 - epsilon, epsilon, 2.0, 3.0)
        assert exact.saxe_learning_time(epsilon, 2.0, 3.0) == pytest.approx(between, rel=epsilon)


@pytest.mark.parametrize("layers", [2, 3, 5])
def test_saxe_depth_rate_is_that_of_a_chain_of_scalars(layers):
    """N - 1 equal scalar weights w, u = w^(N-1), each with dw/dt = w^(N-2) (s - u)."""
    deep, s = layers - 1, 1.5
    times = np.linspace(0, 4, 9)
    w = integrate(lambda w: w ** (deep - 1) * (s - w**deep), times, [0.6])[0]
    u = integrate(lambda u: exact.saxe_depth_rate(u, layers, s), times, [0.6**deep])[0]
    assert u == pytest.approx(w**deep, abs=1e-10) and u[-1] > 1.2
    if layers == 3:
        assert u == pytest.approx(exact.saxe_strength(times, 0.36, s), abs=1e-10)


# ---- random starts, and known numbers ----


def test_random_starts_spread_and_shift_as_predicted():
    assert exact.half_time_sd() == pytest.approx(np.pi / 8**0.5) == pytest.approx(1.11, abs=5e-3)
    assert exact.half_time_shift(4) == pytest.approx(-1.19, abs=5e-3)
    assert exact.half_time_shift(16) == pytest.approx(-1.99, abs=5e-3)
    assert exact.half_time_shift(1) == 0
    s, mean = 2.0, {}
    for K in (1, 4, 16):
        t = np.log(1e6 / np.random.default_rng(K).chisquare(K, 40_000)) / (2 * s)
        mean[K] = t.mean()
        assert t.std() == pytest.approx(exact.half_time_sd(K, s), rel=0.03)
        assert mean[K] - mean[1] == pytest.approx(exact.half_time_shift(K, s), abs=0.02)


def test_more_pairs_come_earlier_by_the_predicted_shift():
    rng, times, mean = np.random.default_rng(3), np.linspace(0, 20, 81), {}
    target = np.diag([1.0, *np.zeros(9)])
    for K in (1, 4):
        A = 1e-3 * rng.normal(size=(300, 10, K))  # so small that ρ does nothing
        u = riccati.balanced_flow(times, A, A, target).Z[..., 0, 0]
        mean[K] = curves.half_time(u, times, 1.0)
        assert mean[K].std() == pytest.approx(exact.half_time_sd(K), rel=0.15)
    assert mean[4].mean() - mean[1].mean() == pytest.approx(exact.half_time_shift(4), abs=0.2)


@pytest.mark.parametrize(("u0", "share"), [(1e-2, 0.31), (1e-4, 0.63), (1e-8, 0.81)])
def test_share_of_the_time_that_rank_one_spends_on_its_plateau(u0, share):
    times = np.linspace(0, 20, 20_001)
    curve = exact.rank_one(times, u0)
    assert curves.plateau(curve.loss, times, 0.5).ratio == pytest.approx(share, abs=5e-3)


def test_a_vector_has_no_plateau():
    times = np.linspace(0, 20, 20_001)
    found = curves.plateau(exact.regression(times, [3.0, 4.0]).loss, times, 12.5)
    assert found.ratio == pytest.approx(0.046, abs=5e-4)


def test_weight_decay_slows_the_rise_and_lowers_its_end():
    times, decay = np.linspace(0, 60, 6001), np.array([0.0, 0.2, 0.4])
    curve = exact.rank_one(times, 1e-6, 0.0, 1.0, decay)
    slope = curves.log_slope(curve.u, times, 1.0, 1e-4, 1e-3)
    assert slope == pytest.approx(2 * (1 - decay), rel=2e-3)
    assert curve.u[:, -1] == pytest.approx(1 - decay, abs=1e-6)
    assert curves.half_time(curve.u, times, 1.0) == pytest.approx(
        exact.half_time(1e-6, 0.0, 1.0, decay), abs=1e-4
    )


# ---- errors ----

A0, B0 = balanced(3, 4, 2, 0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact.regression(-1.0, [1.0]), "times holds -1.0"),
        (lambda: exact.regression(T, [np.nan]), "target holds nan"),
        (lambda: exact.rank_one(T, -0.1), "u0 holds -0.1"),
        (lambda: exact.rank_one(T, 0.1, np.inf), "rho0 holds inf"),
        (lambda: exact.rank_one(T, 0.1, 0.0, -1.0), "s holds -1.0"),
        (lambda: exact.rank_one(T, 0.1, weight_decay=-0.5), "weight_decay holds -0.5"),
        (lambda: exact.half_time(0.1, 0.0, 0.0), "s holds 0.0"),
        (lambda: exact.mean_start(np.inf, 0.0), "alpha holds inf"),
        (lambda: exact.rank_one_flow(T, 0.1, np.nan), "beta holds nan"),
        (lambda: exact.rank_one_flow(T[::-1], 0.1, 0.1), "ascending"),
        (lambda: exact.rank_one_flow([0.0, 1.0, 1.0], 0.1, 0.1), "ascending"),
        (lambda: exact.rank_one_flow([], 0.1, 0.1), "ascending"),
        (lambda: riccati.balanced_flow(T, A0, 2 * B0, np.ones((3, 4))), "balanced start"),
        (lambda: riccati.balanced_flow(T, A0, B0, np.ones((4, 3))), r"target \(4, 3\)"),
        (lambda: riccati.balanced_flow(T, A0, B0[:, :1], np.ones((3, 4))), r"B \(4, 1\)"),
        (lambda: riccati.balanced_flow([2.0, 1.0], A0, B0, np.ones((3, 4))), "ascending"),
        (lambda: riccati.invariant(A0[0], B0), r"A has shape \(2,\)"),
        (lambda: exact.saxe_strength(T, 0.0), "u0 holds 0.0"),
        (lambda: exact.saxe_time(1.0, 0.1), "u holds 1.0"),
        (lambda: exact.saxe_depth_rate(0.1, 1), "layers=1"),
        (lambda: exact.half_time_sd(1, 0.0), "s holds 0.0"),
        (lambda: exact.half_time_shift(0), "pairs=0"),
    ],
)
def test_arguments_out_of_range_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
