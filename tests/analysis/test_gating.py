"""Profiles, gates and revival of activations, against closed forms, SciPy and hand-made cases."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import erfc, ndtr

from jsuper.analysis import gating, reviving, scalar
from jsuper.analysis.gating import gate_under, normality, preactivations, profile
from jsuper.models.toy.activations.names import ACTIVATIONS

SMOOTH = math.inf
# name -> infimum, where, smallest slope, largest slope, continuous derivatives
KNOWN = {
    "relu": (0, 0, 0, 1, 0),
    "leaky_relu": (-math.inf, -math.inf, 0.01, 1, 0),
    "selu": (-1.7580993408473766, -math.inf, 0, 1.7580993408473766, 0),
    "celu": (-1, -math.inf, 0, 1, 1),
    "elu": (-1, -math.inf, 0, 1, 1),
    "elu(0.25)": (-0.25, -math.inf, 0, 1, 0),
    "gelu": (-0.16997120747990369, -0.7517915246935645, -0.12890414, 1.12890414, SMOOTH),
    "silu": (-0.2784645427610738, -1.2784645427610738, -0.0998393201, 1.0998393201, SMOOTH),
    "mish": (-0.3088434130, -1.1924312145, None, None, SMOOTH),
    "hardswish": (-0.375, -1.5, -0.5, 1.5, 0),
    "exp_linear": (-1 / math.e, -1, -math.exp(-2), math.inf, SMOOTH),
    "exp": (0, -math.inf, 0, math.inf, SMOOTH),
    "sigmoid": (0, -math.inf, 0, 0.25, SMOOTH),
    "hardsigmoid": (0, -3, 0, 1 / 6, 0),
    "softplus": (0, -math.inf, 0, 1, SMOOTH),
    "tanh": (-1, -math.inf, 0, 1, SMOOTH),
    "hardtanh": (-1, -1, 0, 1, 0),
    "softsign": (-1, -math.inf, 0, 1, 1),
    "hardshrink(0.3)": (-math.inf, -math.inf, 0, 1, -1),
    "softshrink": (-math.inf, -math.inf, 0, 1, 0),
    "tanhshrink": (-math.inf, -math.inf, 0, 1, SMOOTH),
    "relu_squared": (0, 0, 0, math.inf, 1),
    "log_sigmoid": (-math.inf, -math.inf, 0, 1, SMOOTH),
    "identity": (-math.inf, -math.inf, 1, 1, SMOOTH),
}
SUPREMA = {  # and where; inf at inf for the others
    "sigmoid": (1, math.inf),
    "hardsigmoid": (1, 3),
    "tanh": (1, math.inf),
    "hardtanh": (1, 1),
    "softsign": (1, math.inf),
    "log_sigmoid": (0, math.inf),
}
FALLING = {"gelu", "silu", "mish", "hardswish", "exp_linear"}
FLAT = {"relu", "hardsigmoid", "hardtanh", "hardshrink(0.3)", "softshrink", "relu_squared"}


def gelu(z):
    return z * erfc(-z / math.sqrt(2)) / 2


def gelu_slope(z):
    return ndtr(z) + z * stats.norm.pdf(z)


# ---- profiles ----


@pytest.mark.parametrize("name", KNOWN)
def test_extrema_slopes_and_smoothness_are_the_known_ones(name):
    found = profile(name)
    least, where, smallest, largest, smooth = KNOWN[name]
    assert found.infimum.value == pytest.approx(least, abs=1e-7)
    assert found.infimum.at == pytest.approx(where, abs=1e-9)
    assert found.supremum == pytest.approx(SUPREMA.get(name, (math.inf, math.inf)), abs=1e-12)
    if smallest is not None:
        assert found.smallest_slope.value == pytest.approx(smallest, abs=1e-8)
        assert found.largest_slope.value == pytest.approx(largest, abs=1e-8)
    assert found.continuous_derivatives == smooth
    assert found.monotone == (name not in FALLING)
    assert found.injective == (name not in FALLING | FLAT)
    assert found.separatrix == (pytest.approx(where, abs=1e-9) if name in FALLING else None)


@pytest.mark.parametrize("z", [-5.0, -2.0, -0.5, 0.1, 3.0])
def test_float64_values_and_slopes_are_scipys_and_identities_hold(z):
    f = scalar.derivatives("gelu")
    assert f(z) == pytest.approx(gelu(z), rel=1e-9)
    assert f(z, 1) == pytest.approx(gelu_slope(z), rel=1e-9)
    assert f(z, 2) == pytest.approx((2 - z * z) * stats.norm.pdf(z), rel=1e-9)
    assert f(z, 1) + f(-z, 1) == pytest.approx(1, abs=1e-15)


def test_gelu_has_its_closed_forms():
    found = profile("gelu")
    assert found.largest_slope.at == pytest.approx(math.sqrt(2), abs=1e-9)
    assert found.smallest_slope.at == pytest.approx(-math.sqrt(2), abs=1e-9)
    assert (found.value_at_zero, found.slope_at_zero) == (0, 0.5)
    assert found.mean == pytest.approx(1 / (2 * math.sqrt(math.pi)), abs=1e-14)
    second = 1 / 3 + 1 / (2 * math.pi * math.sqrt(3))
    assert found.mean_square == pytest.approx(second, abs=1e-14)
    assert found.mean_slope == pytest.approx(0.5, abs=1e-14)
    assert found.mean_square_slope == pytest.approx(0.455851, abs=1e-6)
    assert found.odd_share == pytest.approx(0.25 / second, abs=1e-14)
    assert found.gate.gradient_share == pytest.approx(0.0512, abs=5e-5)
    assert found.gate.reversed == pytest.approx(2 * ndtr(-0.7517915246935645), abs=1e-12)
    assert found.gate.mean_magnitude == pytest.approx(0.1695, abs=5e-5)
    assert found.gate.rms_slope == pytest.approx(0.216, abs=5e-4)
    assert found.gate.mean_slope == pytest.approx(0.0908, abs=5e-5)


def test_gelu_means_are_those_of_adaptive_quadrature():
    def mean(g, low, high):
        return quad(lambda z: g(z) * stats.norm.pdf(z), low, high, epsabs=1e-13)[0]

    square = mean(lambda z: gelu_slope(z) ** 2, -12, 12)
    inactive = mean(lambda z: gelu_slope(z) ** 2, -12, 0)
    found = profile("gelu")
    assert found.mean_square_slope == pytest.approx(square, abs=1e-11)
    assert found.gate.gradient_share == pytest.approx(inactive / square, abs=1e-11)


def test_means_of_others_are_exact_at_kinks_off_the_grid_too():
    relu, shrink, square = profile("relu"), profile("hardshrink(0.3)"), profile("relu_squared")
    assert relu.gate == (0.5, 0, 0, 1, 0, 0, 0)
    assert relu.odd_share == pytest.approx(0.5, abs=1e-14)
    assert shrink.kinks == pytest.approx((-0.3, 0.3), abs=1e-7)  # the parameter is a float32
    assert shrink.gate.blocked == pytest.approx(1 - 2 * ndtr(-0.3), abs=1e-7)
    assert shrink.mean_slope == pytest.approx(2 * ndtr(-0.3), abs=1e-7)
    assert (square.mean_square, square.odd_share) == pytest.approx((1.5, 0.5), abs=1e-13)
    assert profile("exp").mean_square == pytest.approx(math.e**2, rel=1e-13)
    assert profile("exp_linear").gate.reversed == pytest.approx(2 * ndtr(-1), abs=1e-12)
    assert profile("hardswish").gate.reversed == pytest.approx(
        2 * (ndtr(-1.5) - ndtr(-3)), abs=1e-12
    )
    assert profile("selu").mean_square == pytest.approx(1, abs=1e-6)  # what it was made for


def test_a_function_of_the_users_own():
    def bump(z):
        return jnp.exp(-z * z)

    def step(z):
        return jnp.where(z > 1 / 3, 1.0 + z, z)

    def valley(z):
        return jnp.abs(z + 1)

    found = profile(bump)
    assert found.name == "bump" and not found.monotone
    assert found.supremum == (1, 0) and found.infimum == (0, -math.inf)
    assert found.odd_share == 0 and found.mean == pytest.approx(1 / math.sqrt(3), abs=1e-13)
    assert profile(step).kinks == pytest.approx((1 / 3,), abs=1e-12)
    assert profile(step).continuous_derivatives == -1 and profile(step).injective
    assert profile(valley).infimum.at == profile(valley).separatrix == -1
    nothing = profile(lambda z: 0 * z)
    assert math.isnan(nothing.gate.gradient_share) and math.isnan(nothing.odd_share)


def test_a_jump_against_its_direction_is_not_monotone():
    found = profile(lambda z: jnp.where(z > 0.2, z - 1, z))
    assert not found.monotone and found.smallest_slope.value == 1


def test_the_normalised_ones_of_the_study_are_left_out_and_refused():
    left_out = {"softmax", "solu", "log_softmax", "softmin"}
    assert set(ACTIVATIONS) - set(gating.ELEMENTWISE) == left_out
    for name in left_out:
        with pytest.raises(ValueError, match=f"'{name}' is not elementwise"):
            profile(name)


@pytest.mark.parametrize(
    ("activation", "said"),
    [
        ("softmax_batch", "not elementwise"),
        ("geglu", "two numbers"),
        ("relu_stochastic(0.2)", "random"),
        ("gelu_stochastic", "random"),
        (lambda z: z - z.mean(), "not elementwise"),
        (lambda z: z[:1], "not elementwise"),
        ("gelu2", "did you mean 'gelu'"),
        ("relu(2)", "takes no parameter"),
        (3, "neither a name nor a function"),
    ],
)
def test_what_is_no_function_of_one_number_is_refused(activation, said):
    with pytest.raises(ValueError, match=said):
        profile(activation) if isinstance(activation, str) else scalar.derivatives(activation)


def test_the_table_holds_the_profiles():
    table = gating.profile_table(["relu", "gelu", "elu( 0.250 )"])
    assert list(table["activation"].values) == ["relu", "gelu", "elu(0.25)"]
    assert table["infimum"].values == pytest.approx([0, -0.16997120748, -0.25])
    assert table["infimum_at"].values == pytest.approx([0, -0.75179152469, -math.inf])
    assert table["inactive_reversed"].values == pytest.approx([0, 0.4521764396, 0])
    assert np.isnan(table["separatrix"].values).tolist() == [True, False, True]
    assert table["monotone"].values.tolist() == [True, False, True]
    assert {v.dims for v in table.data_vars.values()} == {("activation",)}


def test_names_must_be_a_list_and_differ():
    with pytest.raises(ValueError, match=r"give a list, e.g. \['gelu'\]"):
        gating.profiles("gelu")
    with pytest.raises(ValueError, match="two activations are named '<lambda>'"):
        gating.profiles([lambda z: z, lambda z: 2 * z])


def test_float32_loses_the_slope_far_below_zero(monkeypatch):
    """Where, depends on XLA's optimizations: they are those of users."""
    as_for_users = functools.partial(
        jax.jit, compiler_options={"xla_backend_optimization_level": 3}
    )
    monkeypatch.setattr(scalar.jax, "jit", as_for_users)
    assert scalar.float32_zero_below("relu") == 0
    assert scalar.float32_zero_below("identity") == -math.inf
    exact, naive = scalar.float32_zero_below("gelu"), scalar.float32_zero_below(jax.nn.gelu)
    assert -15 < exact < -12 and -6 < naive < -4


# ---- gates under given pre-activations ----


def test_a_gate_by_hand():
    z = np.array([[-2.0, -1.0, 1.0], [-1.0, 2.0, 3.0]])
    delta = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]])
    slope = gelu_slope(z)
    found = gate_under("gelu", z, delta)
    carried = (delta * slope) ** 2
    assert found.inactive == 0.5
    assert found.gradient_share == pytest.approx(carried[z < 0].sum() / carried.sum(), rel=1e-12)
    assert (found.reversed, found.blocked) == (1, 0)
    assert found.mean_slope == pytest.approx(slope[z < 0].mean(), rel=1e-12)
    assert found.rms_slope == pytest.approx(np.sqrt((slope[z < 0] ** 2).mean()), rel=1e-12)
    rows = gate_under("gelu", z, axis=1)
    assert rows.inactive == pytest.approx([2 / 3, 1 / 3])
    assert rows.gradient_share[1] == pytest.approx(slope[1, 0] ** 2 / (slope[1] ** 2).sum())


def test_a_large_normal_sample_has_the_gate_of_the_profile():
    z = np.random.default_rng(0).normal(size=200_000)
    found, exact = gate_under("gelu", z), profile("gelu").gate
    np.testing.assert_allclose(found, exact, atol=0.006)
    assert gate_under("relu", jnp.asarray(z[:100])).gradient_share == 0


def test_a_gate_without_inactive_units_or_with_a_nan_is_nan():
    assert math.isnan(gate_under("gelu", [1.0, 2.0]).reversed)
    assert gate_under("gelu", [1.0, 2.0]).gradient_share == 0
    rows = gate_under("relu", [[-1.0, np.nan], [-1.0, 1.0]], axis=-1)
    assert np.isnan(rows.inactive).tolist() == [True, False]
    assert np.isnan(rows.gradient_share).tolist() == [True, False]
    with pytest.raises(ValueError, match=r"\(0,\)"):
        gate_under("relu", [])
    with pytest.raises(ValueError, match=r"delta has shape \(3,\); it must broadcast to \(2,\)"):
        gate_under("relu", [1.0, 2.0], [1.0, 2.0, 3.0])


def test_preactivations_are_those_of_the_model():
    rng = np.random.default_rng(0)
    W, b, x = rng.normal(size=(3, 2, 5)), rng.normal(size=(3, 5)), rng.uniform(size=(5, 7))
    z = preactivations(W, b, x)
    assert z.shape == (3, 5, 7)
    np.testing.assert_allclose(z[1], W[1].T @ (W[1] @ x) + b[1][:, None], rtol=1e-13)
    single = preactivations(jnp.asarray(W[1], "float32"), jnp.asarray(b[1]), x)
    np.testing.assert_allclose(single, z[1], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"x has shape \(4, 7\) but W has 5 features"):
        preactivations(W, b, x[:4])


def test_normality_is_scipys():
    rng = np.random.default_rng(1)
    z = np.stack([rng.normal(3, 2, 400), rng.exponential(size=400), rng.uniform(size=400)])
    found = normality(z)
    np.testing.assert_allclose(found.skewness, stats.skew(z, axis=-1))
    np.testing.assert_allclose(found.excess_kurtosis, stats.kurtosis(z, axis=-1))
    for i, row in enumerate(z):
        distance = stats.kstest((row - row.mean()) / row.std(), "norm").statistic
        assert found.ks_distance[i] == pytest.approx(distance, abs=1e-13)
    assert found.ks_distance[0] < 0.05 < found.ks_distance[1]


def test_normality_of_a_constant_or_broken_feature_is_nan():
    found = normality([[2.0, 2.0, 2.0], [1.0, np.inf, 2.0], [1.0, 2.0, 4.0]])
    assert found.mean[0] == 2 and found.sd[0] == 0
    assert np.isnan(found.ks_distance).tolist() == [True, True, False]
    assert np.isnan(found.mean).tolist() == [False, True, False]
    with pytest.raises(ValueError, match="samples >= 2"):
        normality([[1.0], [2.0]])


# ---- revival ----


@pytest.mark.parametrize(
    ("name", "threshold"),
    [("gelu", -0.7517916), ("silu", -1.278465), ("mish", -1.192431), ("hardswish", -1.5)],
)
def test_units_recover_above_the_separatrix_and_drift_away_below(name, threshold):
    found = reviving.separatrix(name)
    assert found == pytest.approx(threshold, abs=1e-6)
    above, below = reviving.descend(name, [found + 1e-4, found - 1e-4])
    assert float(scalar.derivatives(name)(above)) == pytest.approx(0.5, abs=1e-9)
    assert below < found - 1


def test_gelu_recovers_from_7517_and_not_from_7519():
    last = reviving.descend("gelu", [[-0.7517], [-0.7519]], steps=30_000)
    assert last.shape == (2, 1)
    assert last[0, 0] == pytest.approx(0.668396, abs=1e-6)
    assert -4.5 < last[1, 0] < -4


def test_relu_is_dead_from_zero_down_and_monotone_ones_come_back():
    start = np.array([-3.0, -1e-9, 0.0])
    assert (reviving.descend("relu", start) == start).all()
    assert reviving.descend("relu", 1e-3) == pytest.approx(0.5)
    assert reviving.descend("elu", -3.0) == pytest.approx(0.5)
    for name in ("relu", "elu", "leaky_relu", "softplus", "tanh"):
        assert reviving.separatrix(name) is None


def test_descent_is_the_step_that_it_says():
    z, slope = -0.4, gelu_slope(-0.4)
    expected = z - 0.3 * (gelu(z) - 0.2) * slope
    found = reviving.descend("gelu", z, target=0.2, rate=0.3, steps=1)
    assert found.shape == () and found == pytest.approx(expected, abs=1e-15)
    assert reviving.descend("gelu", z, steps=0) == z
    with pytest.raises(ValueError, match="steps=-1"):
        reviving.descend("gelu", z, steps=-1)
    with pytest.raises(ValueError, match="rate holds -1"):
        reviving.descend("gelu", z, rate=-1)
    with pytest.raises(ValueError, match="not elementwise"):
        reviving.descend("softmax", z)


SMALL = {"n_inputs": 6, "n_hidden": 8, "samples": 64, "seeds": 3}


def differentiated(W1, W2, x, dead):
    """dL/dW1 and dL/dx behind the first layer, for B = 0.5."""
    b1 = jnp.where(dead, -(W1 @ x).max(axis=1) - 0.5, 0)[:, None]

    def loss(W1, before):
        h = jax.nn.gelu(W1 @ before + b1, approximate=False)
        return ((W2 @ h - x) ** 2).sum(axis=0).mean() / 2

    return jax.grad(loss, argnums=(0, 1))(W1, x)


def test_the_gradient_that_reaches_is_that_of_automatic_differentiation():
    found = reviving.gradient_reaching("gelu", 0.25, 0.5, **SMALL)
    dead = np.arange(8) < 2
    with jax.enable_x64(True):
        rows, back = jax.jit(differentiated)(*reviving._network(1, 6, 8, 64), dead)
    norms = (np.asarray(rows) ** 2).sum(axis=1)
    assert found.dead_rows[1] == pytest.approx(np.sqrt(norms[dead].mean()), rel=1e-9)
    assert found.live_rows[1] == pytest.approx(np.sqrt(norms[~dead].mean()), rel=1e-9)
    signal = np.sqrt(((64 * np.asarray(back)) ** 2).sum(axis=0).mean())
    assert found.inputs[1] == pytest.approx(signal, rel=1e-9)
    assert (found.inactive == 1).all()


def test_dead_relu_units_pass_nothing_and_dead_gelu_units_less_the_further_they_are_off():
    relu = reviving.gradient_reaching("relu", 0.5, 1.0, **SMALL)
    assert (relu.dead_rows == 0).all() and (relu.through_dead == 0).all()
    assert (relu.live_rows > 0).all() and (relu.inputs > 0).all()
    near, far = (reviving.gradient_reaching("gelu", 0.5, B, **SMALL) for B in (0.5, 3.0))
    assert (near.dead_rows > far.dead_rows).all() and (far.dead_rows > 0).all()
    assert (near.through_dead > far.through_dead).all() and (far.through_dead > 0).all()


def test_shares_of_none_and_of_all():
    none = reviving.gradient_reaching("relu", 0.0, **SMALL)
    every = reviving.gradient_reaching("relu", 1.0, **SMALL)
    assert np.isnan(none.dead_rows).all() and (none.through_dead == 0).all()
    assert np.isnan(every.live_rows).all() and (every.inputs == 0).all()
    with pytest.raises(ValueError, match="dead_share holds 1.5"):
        reviving.gradient_reaching("relu", 1.5)
    with pytest.raises(ValueError, match="seeds=0"):
        reviving.gradient_reaching("relu", 0.5, seeds=0)
