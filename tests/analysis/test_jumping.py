"""Jumps of curves: hand-made steps, and the rate of false ones on smooth curves."""

import numpy as np
import pytest
from running import slow

from jsuper import analysis

T = np.arange(60)
SMOOTH = {
    "constant": 0.0 * T,
    "exponential": np.exp(-T / 10),
    "sigmoid": 1 / (1 + np.exp((30 - T) / 4)),
}


def test_steps_made_by_hand_are_found_where_they_are_with_their_size():
    rng = np.random.default_rng(0)
    curve = np.exp(-T / 15) + 0.5 * (T >= 23) - 0.3 * (T >= 40)
    found = analysis.jumps(10 * T, curve + 0.01 * rng.normal(size=60))
    assert found.before.tolist() == [220, 390] and found.after.tolist() == [230, 400]
    np.testing.assert_allclose(found.size, [0.5, -0.3], atol=0.03)
    assert (found.p < 1e-4).all()


def test_a_step_without_noise():
    found = analysis.jumps(T, np.where(T >= 30, 2.0, 1.0))
    assert (found.before.tolist(), found.after.tolist()) == ([29], [30])
    assert found.size == pytest.approx([1])


@pytest.mark.parametrize("scale", [2, 3, 5, 10, 30, 100])
def test_smooth_curves_without_noise_do_not_jump(scale):
    for curve in (np.exp(-T / scale), 1 / (1 + np.exp((30 - T) / scale)), (T / 60) ** 3):
        assert analysis.jumps(T, curve).size.size == 0


@pytest.mark.parametrize(
    ("name", "noise"),
    [
        ("exponential", 0.02),
        *(slow(name, noise) for name in ("constant", "sigmoid") for noise in (0.02, 1e-4)),
        slow("exponential", 1e-4),
    ],
)
def test_noisy_smooth_curves_jump_at_most_at_the_nominal_rate(name, noise):
    rng, rounds = np.random.default_rng(1), 200
    curves = SMOOTH[name] + noise * rng.normal(size=(rounds, 60))
    rate = np.mean([analysis.jumps(T, curve).size.size > 0 for curve in curves])
    assert rate <= 0.05 + 2 * (0.05 * 0.95 / rounds) ** 0.5


def test_small_and_short_curves_and_gaps():
    assert analysis.jumps([0, 1], [0.0, 5.0]).size.size == 0
    assert analysis.jumps([], []).p.size == 0
    curve = np.where(T >= 30, 2.0, 1.0)
    curve[[3, 30]] = np.nan
    found = analysis.jumps(T, curve)
    assert (found.before.tolist(), found.after.tolist()) == ([29], [31])
    tiny = np.linspace(0, 1, 60) + 0.01 * (T >= 30)
    assert analysis.jumps(T, tiny).size.size == 0


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="both are"):
        analysis.jumps([0, 1], [1.0])
    with pytest.raises(ValueError, match="ascend"):
        analysis.jumps([1, 0], [1.0, 2.0])
    with pytest.raises(ValueError, match="alpha=1"):
        analysis.jumps(T, T, alpha=1)
    with pytest.raises(ValueError, match="side=2"):
        analysis.jumps(T, T, side=2)
