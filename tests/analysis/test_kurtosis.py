"""Kurtosis and alignment: exact nulls, exact values against samples, and random rotations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jsuper.analysis import kurtosis, superposition

NULLS = {2: 1.0, 3: 1.5, 5: 2.0, 10: 2.4545, 20: 2.7143}


def standard_errors(sample, expected):
    """How many standard errors the mean of a sample, along its first axis, is from a value."""
    return (sample.mean(axis=0) - expected) / (sample.std(axis=0, ddof=1) / np.sqrt(len(sample)))


def drawn(density, n_features, samples, seed=0):
    """x_i = Bernoulli(p_i) U(0, 1), (n_features, samples)."""
    rng = np.random.default_rng(seed)
    active = rng.uniform(size=(n_features, samples)) < np.reshape(density, (-1, 1))
    return active * rng.uniform(size=(n_features, samples))


# ---- kurtosis of numbers ----


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("fisher", [False, True])
def test_kurtosis_is_scipys(axis, fisher):
    values = np.random.default_rng(0).exponential(size=(6, 7, 8)) - 3
    expected = stats.kurtosis(values, axis=axis, fisher=fisher)
    np.testing.assert_allclose(kurtosis.kurtosis(values, axis, fisher=fisher), expected)
    found = kurtosis.kurtosis(jnp.asarray(values, "float32"), axis, fisher=fisher)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_kurtosis_is_nan_where_values_are_the_same_or_not_finite():
    rounded = [0.1, 0.1 + 1e-9, 0.1 - 1e-8]
    values = np.array([rounded, [0, 0, 0], [1, np.inf, 2], [1, np.nan, 2], [1, 2, 4]])
    assert list(np.isnan(kurtosis.kurtosis(values))) == [True] * 4 + [False]
    assert list(np.isnan(kurtosis.kurtosis(values.astype("float32")))) == [True] * 4 + [False]


# ---- across hidden units ----


@pytest.mark.parametrize("m", NULLS)
def test_random_rotations_of_any_h_meet_the_null(m):
    assert kurtosis.gaussian_null(m) == pytest.approx(NULLS[m], abs=1e-4)
    assert kurtosis.gaussian_null(m, fisher=True) == pytest.approx(NULLS[m] - 3, abs=1e-4)
    h = np.eye(m, 1)
    value = kurtosis.basis_kurtosis(kurtosis.random_rotations(m, 3000) @ h).value
    if m == 2:
        assert value == pytest.approx(1)  # whatever h is
    else:
        assert abs(standard_errors(value, kurtosis.gaussian_null(m))) < 4
        assert kurtosis.basis_kurtosis(h).value == pytest.approx(m - 2 + 1 / (m - 1))


def test_gaussian_null_of_one_unit_is_nan_and_of_none_an_error():
    assert np.isnan(kurtosis.gaussian_null(1))
    with pytest.raises(ValueError, match="n_hidden=0"):
        kurtosis.gaussian_null(0)


def test_samples_without_spread_are_left_out_and_counted():
    h = np.random.default_rng(0).normal(size=(3, 5, 20))
    h[0, :, :6], h[0, :, 6], h[1] = 0, 2.5, 0
    h[2, 1, 1] = np.inf
    found = kurtosis.basis_kurtosis(h)
    assert list(found.samples) == [13, 0, 0]
    assert found.value[0] == pytest.approx(stats.kurtosis(h[0, :, 7:], fisher=False).mean())
    assert np.isnan(found.value[1:]).all()
    assert kurtosis.basis_kurtosis(h, fisher=True).value[0] == pytest.approx(found.value[0] - 3)


@pytest.mark.parametrize("shape", [(5,), (5, 0), (0, 5)])
@pytest.mark.parametrize("function", [kurtosis.basis_kurtosis, kurtosis.neuron_kurtosis])
def test_activations_need_units_and_samples(function, shape):
    with pytest.raises(ValueError, match="h has shape .* samples"):
        function(np.zeros(shape))


# ---- across samples ----


@pytest.mark.parametrize(
    ("p", "gamma"),
    [(1, -1.2), (0.5, -0.624), (0.3, 1.492), (0.1, 13.28), (0.05, 31.24), (0.01, 175.2)],
)
def test_sparsity_kurtosis_is_that_of_one_feature(p, gamma):
    assert kurtosis.sparsity_kurtosis(p) == pytest.approx(gamma, rel=1e-3)


def test_sparsity_kurtosis_changes_sign_and_grows_as_the_density_falls():
    assert kurtosis.sparsity_kurtosis(0.4125) > 0 > kurtosis.sparsity_kurtosis(0.4135)
    small = np.float32(1e-20)
    assert kurtosis.sparsity_kurtosis(small) * small == pytest.approx(9 / 5)


@pytest.mark.parametrize("density", [0.3, np.linspace(0.15, 1, 12)], ids=["one", "per feature"])
def test_exact_neuron_kurtosis_is_that_of_many_samples(density):
    W = np.random.default_rng(1).normal(size=(4, 12)) * 0.7 ** np.arange(12)
    h = W @ drawn(density, 12, 400_000)
    blocks = kurtosis.neuron_kurtosis(np.stack(np.split(h, 20, axis=1)))
    exact = kurtosis.exact_neuron_kurtosis(W, density)
    assert (abs(standard_errors(blocks, exact)) < 4).all()
    assert (abs(standard_errors(blocks, 3)) > 8).any()
    np.testing.assert_allclose(kurtosis.exact_neuron_kurtosis(W, density, fisher=True), exact - 3)
    np.testing.assert_allclose(kurtosis.neuron_kurtosis(h, fisher=True), exact - 3, rtol=0.1)


@pytest.mark.parametrize("p", [1.0, 0.6, 0.3, 0.01])
def test_without_sparsity_is_the_participation_ratio(p):
    W = np.random.default_rng(2).normal(size=(3, 4, 6))
    exact = kurtosis.exact_neuron_kurtosis(W, p)
    found = kurtosis.without_sparsity(exact, p)
    np.testing.assert_allclose(found, kurtosis.participation_ratio(W), rtol=1e-10)
    assert kurtosis.without_sparsity(exact.astype("float32"), p).dtype == "float32"


def test_without_sparsity_is_nan_where_kurtosis_says_nothing():
    p = np.array([0.4, 0.408, 0.413, 0.418, 0.42])
    found = kurtosis.without_sparsity(np.full(5, 3.1), p)
    assert list(np.isnan(found)) == [False, True, True, True, False]
    jitted = jax.jit(kurtosis.without_sparsity)(jnp.full(5, 3.1), p)
    np.testing.assert_allclose(jitted, found, rtol=1e-4)


def test_participation_is_one_for_a_single_feature_and_least_when_shared():
    W = [[0, -3, 0, 0], [2, 2, -2, 2], [0, 0, 0, 0]]
    assert kurtosis.participation_ratio(W)[:2] == pytest.approx([1, 1 / 4])
    assert np.isnan(kurtosis.participation_ratio(W)[2])
    assert np.isnan(kurtosis.exact_neuron_kurtosis(W, 0.1)[2])


# ---- against rotations ----


def test_features_on_hidden_units_are_aligned_far_beyond_the_rotations():
    one_hot = np.kron(np.eye(8), [[1, -0.6, 0]])
    found = kurtosis.against_rotations(kurtosis.alignment, one_hot)
    assert found.value == pytest.approx(1) and found.z > 10 and found.reason == ""
    assert kurtosis.alignment(np.ones((8, 3))) == pytest.approx(1 / 8)
    assert np.isnan(kurtosis.alignment(np.zeros((8, 3))))


def sampled_kurtosis(W):
    x = drawn(0.1, 20, 300)
    return kurtosis.basis_kurtosis(W @ x).value


@pytest.mark.parametrize("statistic", [kurtosis.alignment, sampled_kurtosis])
def test_random_weights_are_within_the_rotations(statistic):
    W = np.random.default_rng(4).normal(size=(6, 8, 20))
    z = kurtosis.against_rotations(statistic, W).z
    assert (abs(z) < 4).all() and z.std() > 0.1


@pytest.mark.parametrize(("m", "expected"), [(2, 0.818), (5, 0.555), (10, 0.380), (20, 0.246)])
def test_alignment_of_rotations_has_its_known_mean(m, expected):
    W = np.random.default_rng(0).normal(size=(m, 200))
    found = kurtosis.against_rotations(kurtosis.alignment, W)
    assert found.mean == pytest.approx(expected, abs=0.005)


def test_z_is_the_distance_from_the_mean_of_the_rotations():
    W = np.random.default_rng(5).normal(size=(5, 7))
    values = [kurtosis.alignment(Q @ W) for Q in kurtosis.random_rotations(5, 120, seed=9)]
    found = kurtosis.against_rotations(kurtosis.alignment, W, rotations=120, seed=9)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.std == pytest.approx(np.std(values, ddof=1))
    assert found.z == pytest.approx((kurtosis.alignment(W) - found.mean) / found.std)
    assert found.z != kurtosis.against_rotations(kurtosis.alignment, W, rotations=120, seed=8).z


@pytest.mark.slow
def test_rotations_are_the_same_in_jax_and_only_a_broken_model_is_nan():
    W = np.random.default_rng(6).normal(size=(3, 5, 7)).astype("float32")
    W[1, 2, 3] = np.nan
    against = functools.partial(kurtosis.against_rotations, kurtosis.alignment)
    found = against(W)
    assert list(np.isnan(found.z)) == [False, True, False]
    for in_jax in (jax.jit(against), jax.vmap(against)):
        traced = in_jax(jnp.asarray(W))
        for name in ("value", "mean", "std", "z"):
            a, b = getattr(traced, name), getattr(found, name)
            assert isinstance(a, jax.Array) and a.dtype == b.dtype == "float32"
            np.testing.assert_allclose(a, b, rtol=1e-3)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_few_hidden_units_have_no_z_but_a_reason(m):
    found = kurtosis.against_rotations(
        kurtosis.alignment, np.random.default_rng(0).normal(size=(m, 9))
    )
    assert np.isnan(found.z) and np.isfinite(found.mean)
    assert found.reason == f"n_hidden={m} <= 3 carries no information"


def test_a_statistic_that_no_rotation_changes_has_no_z():
    def total(W):
        return superposition.dimensionality(W).sum(axis=-1)

    W = np.random.default_rng(7).normal(size=(5, 7))
    assert np.isnan(kurtosis.against_rotations(total, W).z)
    assert np.isnan(kurtosis.against_rotations(total, W.astype("float32")).z)


def test_no_models_have_no_rotations():
    for W in (np.zeros((0, 5, 7)), jnp.zeros((0, 5, 7))):
        assert kurtosis.against_rotations(kurtosis.alignment, W).z.shape == (0,)


def test_fewer_than_a_hundred_rotations_are_refused():
    with pytest.raises(ValueError, match="rotations=99"):
        kurtosis.against_rotations(kurtosis.alignment, np.eye(5), rotations=99)


def test_random_rotations_are_orthogonal_and_follow_the_seed():
    Q = kurtosis.random_rotations(6, 50, seed=1)
    assert Q @ Q.swapaxes(-1, -2) == pytest.approx(np.broadcast_to(np.eye(6), (50, 6, 6)))
    assert np.array_equal(Q, kurtosis.random_rotations(6, 50, seed=1))
    assert not np.array_equal(Q, kurtosis.random_rotations(6, 50, seed=2))
    assert kurtosis.random_rotations(4, 1).shape == (1, 4, 4)
    same = stats.ortho_group.rvs(6, size=50, random_state=1)
    assert np.array_equal(Q, same)
