"""Measures of learning curves, on curves that are made so that the answer is known."""

import numpy as np
import pytest

from jsuper.analysis import curves
from jsuper.analysis.lowrank import exact, riccati

T = np.linspace(0, 20, 401)


def bell(centre, height=1.0, width=0.5):
    return height * np.exp(-(((T - centre) / width) ** 2))


def rise(centre, height=1.0, rate=4.0):
    return height / (1 + np.exp(-rate * (T - centre)))


# ---- when ----


def test_a_crossing_is_interpolated_between_records():
    time, curve = np.array([0.0, 1.0, 3.0, 4.0]), np.array([0.0, 0.2, 0.6, 0.1])
    found = curves.crossing_time(curve, time, np.array([0.2, 0.3, 0.6, 0.7, -1.0, 0.0]))
    assert found == pytest.approx(np.array([1, 1.5, 3, np.inf, 0, 0]))
    falling = curves.crossing_time(curve[1:], time[1:], np.array([0.35, 0.05, 0.2]), rising=False)
    assert falling == pytest.approx(np.array([1.0, np.inf, 1.0]))
    late = curves.crossing_time(curve[2:], time[2:], 0.35, rising=False)
    assert late == pytest.approx(3.5)
    assert np.isnan(curves.crossing_time(curve, time, [np.nan, 0.3])).tolist() == [True, False]


def test_half_time_and_width_of_straight_rises():
    strength = np.array([[1.0], [4.0]])
    curve = np.clip((T - 2) / np.array([4.0, 8.0])[:, None], 0, 1) * strength[..., None]
    assert curve.shape == (2, 2, 401)
    half = curves.half_time(curve, T, strength)
    assert half == pytest.approx(np.array([[4.0, 6.0]] * 2))
    assert curves.rise_width(curve, T, strength) == pytest.approx(np.array([[3.2, 6.4]] * 2))
    assert curves.rise_width(curve, T, strength, 0.25, 0.5) == pytest.approx(
        np.array([[1.0, 2.0]] * 2)
    )


def test_a_rise_that_does_not_end_has_no_finite_width():
    curve = np.stack([rise(5, 0.95), rise(5, 0.6), rise(5, 0.05)])
    width, half = curves.rise_width(curve, T, 1.0), curves.half_time(curve, T, 1.0)
    assert np.isfinite(width).tolist() == [True, False, False] and width[1] == width[2] == np.inf
    assert np.isfinite(half).tolist() == [True, True, False] and half[2] == np.inf


def test_width_of_a_sigmoid_is_ln_81_over_its_rate():
    time = np.linspace(0, 20, 20_001)
    width = curves.rise_width(exact.saxe_strength(time, 1e-6, 1.5), time, 1.5)
    assert width == pytest.approx(np.log(81) / 3, abs=1e-5)


def test_plateau_of_a_loss_that_waits_and_falls():
    loss = 2 * np.clip(1 - (T[:, None] - [4, 4, -1]) / 5, [0, 0.5, 0], 1).T
    found = curves.plateau(loss, T, 2.0)
    assert found.start == pytest.approx([4.5, 4.5, 0]) and found.end[[0, 2]] == pytest.approx(
        [8.5, 3.5]
    )
    assert found.ratio[[0, 2]] == pytest.approx([4.5 / 8.5, 0])
    assert found.width[[0, 2]] == pytest.approx([4.0, 3.5])
    assert found.end[1] == found.width[1] == np.inf and np.isnan(found.ratio[1])
    assert np.isnan(curves.plateau(0 * T, T, 2.0).ratio)


def test_a_loss_that_starts_above_the_zero_model_waits_from_there():
    loss = 1 - rise(10) + 4 * np.exp(-3 * T)
    plain = curves.plateau(1 - rise(10), T, 1.0)
    assert curves.plateau(loss, T, 1.0).ratio == pytest.approx(plain.ratio, rel=1e-6)


# ---- how fast ----


def test_slope_is_that_of_the_exponential_phase():
    rates = np.array([0.5, 1.0, 2.0])
    pure = 1e-5 * np.exp(rates[:, None] * T)
    assert curves.log_slope(pure, T, 1.0) == pytest.approx(rates, rel=1e-9)
    for low, high in ((0.01, 0.1), (1e-4, 1e-3)):
        slope = curves.log_slope(exact.saxe_strength(T, 1e-8, 2.0), T, 2.0, low, high)
        assert 4 * (1 - high) < slope < 4 * (1 - low)


def test_slope_leaves_out_a_fall_and_what_follows():
    down_and_up = 0.09 * np.exp(-T) + 1e-5 * np.exp(T)  # 2e-3 at its lowest
    again = np.where(T < 12, 1e-6 * np.exp(T), 0.05)
    found = curves.log_slope(np.stack([down_and_up, again]), T, 1.0)
    assert found == pytest.approx([1.0, 1.0], abs=0.02)


def test_slope_leaves_out_a_fall_that_stays_within_the_window():
    both = 0.08 * np.exp(-2 * T) + 0.02 * np.exp(np.maximum(T - 8, 0))  # 0.02 at its lowest
    assert curves.log_slope(both, T, 1.0) == pytest.approx(1.0, abs=0.02)


def test_slope_is_nan_without_a_window():
    curve = np.stack([0.05 * np.ones_like(T), (T > 5) * 1.0, rise(5, 0.08)])
    assert np.isnan(curves.log_slope(curve, T, 1.0)).all()


# ---- bumps ----


def test_bumps_are_interior_maxima_that_stand_out():
    curve = {
        0: [rise(5), 1 - rise(5), bell(0), bell(20), -bell(8), 0 * T, rise(5) + bell(7, 0.04)],
        1: [bell(8), bell(8, 0.06), rise(5) + bell(9, 0.3), -1 + bell(6, 0.2), rise(5) - bell(9)],
        2: [bell(5) + bell(9), bell(3, 0.2) + bell(12, 0.9), bell(5) + bell(9) + bell(13, 0.04)],
    }
    for count, made in curve.items():
        assert curves.count_bumps(np.stack(made), T, 1.0).tolist() == [count] * len(made)
        assert [int(curves.count_bumps(one, T, 1.0)) for one in made] == [count] * len(made)


def test_the_threshold_of_bumps_is_absolute_in_the_strength():
    curve = np.stack([bell(8, 0.3)] * 3)
    assert curves.count_bumps(curve, T, np.array([1.0, 5.0, 7.0])).tolist() == [1, 1, 0]
    assert curves.count_bumps(curve, T, 1.0, 0.31).tolist() == [0, 0, 0]
    noise = 0.005 * np.random.default_rng(0).normal(size=(2, 30, T.size))
    assert (curves.count_bumps(noise, T, 1.0) == 0).all()
    assert (curves.count_bumps(noise, T, 0.01) > 20).all()


def test_rank_one_has_no_bump_and_one_drop():
    u0, rho0 = np.array([1e-8, 1e-4, 1e-2]), np.array([0.0, 0.1, 1.0])
    time = np.linspace(0, 30, 1001)
    curve = exact.rank_one(time, u0, rho0)
    assert curves.count_bumps(curve.u, time, 1.0).tolist() == [0, 0, 0]
    assert curves.count_drops(curve.loss, time, 0.5).tolist() == [1, 1, 1]


# ---- several components ----


def test_components_are_ordered_by_when_they_pass_half():
    u = np.stack([
        np.stack([rise(9), 3 * rise(4), rise(12, 0.4)]),
        np.stack([rise(4), 3 * rise(12, 0.4), rise(4)]),
        np.stack([rise(12), 3 * rise(9), rise(6)]),
    ])  # fmt: skip
    u[1, 1] = np.nan
    found = curves.learning_order(u, T, np.array([1.0, 3.0, 1.0]))
    assert found.component.tolist() == [[1, 0, -1], [0, 2, -1], [2, 1, 0]]
    assert found.half_time[0] == pytest.approx([9, 4, np.inf], abs=1e-3)
    assert np.isnan(found.half_time[1, 1])


def test_strong_modes_are_learned_first_and_the_loss_is_a_staircase():
    time = np.linspace(0, 30, 1501)
    start = 1e-3 * np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    drops = []
    for s in ([1.0, 4.0, 2.0], [2.0, 2.0, 2.0], [0.0, 3.0, 0.0], [1.0, 0.0, 3.0]):
        flow = riccati.balanced_flow(time, start, start, np.diag([*s, 0.0]))
        drops.append(curves.count_drops(flow.loss, time, np.sum(np.square(s)) / 2, 0.04))
        if len(set(s)) == 3 and min(s):
            u = np.diagonal(flow.Z, axis1=-2, axis2=-1).T[:3]
            assert curves.learning_order(u, time, s).component.tolist() == [1, 2, 0]
    assert drops == [3, 1, 1, 2]


def test_drops_are_counted_where_the_loss_falls_apart_and_enough():
    loss = {
        0: [1 + 0 * T, 1 + 0.01 * T, 1 - rise(5, 0.03)],
        1: [
            1 - rise(5),
            np.exp(-T),
            1 - T / 20,
            1 - rise(5, 0.9) - rise(12, 0.03),
            4 - 4 * rise(5),
        ],
        2: [
            1 - rise(5, 0.5) - rise(12, 0.5),
            1 - rise(5, 0.85) - rise(12, 0.15),
            1 - rise(3, 0.2, 2) - rise(9, 0.6, 9),
        ],
        4: [1 - sum(rise(c, 0.25) for c in (3, 7, 11, 15))],
    }
    for count, made in loss.items():
        assert curves.count_drops(np.stack(made), T, 1.0).tolist() == [count] * len(made)
    above = 1 - rise(10) + 3 * np.exp(-T)
    assert curves.count_drops(above, T, 1.0) == 1 and curves.count_drops(above, T, 4.0) == 2


def test_a_little_noise_makes_no_drop():
    made = np.stack([1 - rise(5), 1 - rise(5, 0.5) - rise(12, 0.5)])
    noise = 1e-3 * np.random.default_rng(0).normal(size=(50, 2, T.size))
    assert (curves.count_drops(made + noise, T, 1.0) == [1, 2]).mean() > 0.95


# ---- arrays and errors ----

MEASURES = {
    "crossing_time": lambda c: curves.crossing_time(c, T, 0.3),
    "half_time": lambda c: curves.half_time(c, T, 1.0),
    "rise_width": lambda c: curves.rise_width(c, T, 1.0),
    "plateau": lambda c: np.stack(curves.plateau(1 - c, T, 1.0), axis=-1),
    "log_slope": lambda c: curves.log_slope(c, T, 1.0),
    "bumps": lambda c: curves.count_bumps(c, T, 1.0),
    "learning_order": lambda c: curves.learning_order(c, T, 1.0).half_time,
    "drops": lambda c: curves.count_drops(1 - c, T, 1.0),
}


@pytest.mark.parametrize("name", MEASURES)
def test_a_sweep_has_the_measures_of_its_curves_and_a_bad_curve_is_nan_alone(name):
    measure, made = MEASURES[name], np.stack([rise(4), rise(9, rate=2), rise(6) + bell(8, 0.2)])
    each = np.concatenate([measure(one[None]) for one in made])
    many = measure(np.stack([made, made[::-1]]))
    assert (many == np.stack([each, each[::-1]])).all() and np.isfinite(each).all()
    for bad in (np.nan, np.inf, -np.inf):
        made[1, -1] = bad
        found = measure(made)
        assert np.isnan(found[1]).all() and (found[[0, 2]] == each[[0, 2]]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: curves.half_time(T[:5], T, 1.0), r"curve has shape \(5,\)"),
        (lambda: curves.count_drops(T, np.stack([T, T]), 1.0), r"time \(2, 401\)"),
        (lambda: curves.count_bumps(T[:1], T[:1], 1.0), "at least 2 times"),
        (lambda: curves.half_time(T, T[::-1], 1.0), "time does not ascend"),
        (lambda: curves.half_time(T, np.where(T > 5, np.nan, T), 1.0), "time does not ascend"),
        (lambda: curves.half_time(T, T, 0.0), "full holds 0.0"),
        (lambda: curves.plateau(T, T, -1.0), "zero_loss holds -1.0"),
        (lambda: curves.rise_width(T, T, 1.0, 0.9, 0.1), "low=0.9 and high=0.1"),
        (lambda: curves.log_slope(T, T, 1.0, 0.0), "low=0.0"),
        (lambda: curves.count_bumps(T, T, 1.0, 0.0), "prominence holds 0.0"),
        (lambda: curves.count_drops(T, T, 1.0, 1.5), "share holds 1.5"),
        (lambda: curves.learning_order(T, T, 1.0), r"give \(..., R, times\)"),
    ],
)
def test_arguments_out_of_range_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
