"""Every metric of W against its definition in plain loops, and the options of superposition.

The table of definitions has geometry and kurtosis too; what is their own is in their files.
"""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from definitions import CASES, M, N, random_models
from scipy.linalg import block_diag
from scipy.stats import ortho_group, spearmanr

from jsuper.analysis import geometry, kurtosis, superposition

IDS = [f"{f.__name__}({', '.join(options)})" for f, _, options in CASES]
METRICS = [functools.partial(f, **options) for f, _, options in CASES]
every_metric = pytest.mark.parametrize("metric", METRICS, ids=IDS)
NEURON_BASIS = {"directions", "neuron_monosemanticity"}
NEURON_BASIS |= {f.__name__ for f, _, _ in CASES if f.__module__ == kurtosis.__name__}
SCALE_FREE = NEURON_BASIS | {"crosstalk", "dimensionality", "cosines", "effective_rank"}
SCALE_FREE |= {"importance_rank_correlation"}


def of_each(definition, W, options):
    """The definition of every model, with W's leading axes."""
    flat = [definition(w, **options) for w in np.asarray(W, np.float64).reshape(-1, M, N)]
    return jax.tree.map(lambda *a: np.stack(a).reshape(*W.shape[:-2], *np.shape(a[0])), *flat)


def assert_same(found, expected, tolerance, dtype=None):
    """Equal leaf by leaf, NaN to NaN, and of the dtype where they are not counts."""
    found, expected = jax.tree.leaves(found), jax.tree.leaves(expected)
    for a, b in zip(found, expected, strict=True):
        assert dtype is None or a.dtype == dtype or a.dtype.kind == "i"
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance / 10)


@pytest.mark.parametrize("module", [superposition, geometry])
def test_the_table_has_every_public_function(module):
    public = {
        name
        for name, f in inspect.getmembers(module, inspect.isfunction)
        if f.__module__ == module.__name__ and not name.startswith("_")
    }
    assert public and public <= {f.__name__ for f, _, _ in CASES}


def in_both_dtypes():
    """Every case in float64; in float32 by default only the first case of a function."""
    seen = set()
    for (function, definition, options), name in zip(CASES, IDS, strict=True):
        yield pytest.param(function, definition, options, "float64", 1e-10, id=name)
        marks = [pytest.mark.slow] if function in seen else []
        yield pytest.param(
            function, definition, options, "float32", 1e-4, id=f"{name}-float32", marks=marks
        )
        seen.add(function)


@pytest.mark.parametrize("function, definition, options, dtype, tolerance", list(in_both_dtypes()))
def test_metric_is_its_definition(function, definition, options, dtype, tolerance):
    """In NumPy, under jit in float64, and under vmap in float32."""
    W, metric = random_models(dtype), functools.partial(function, **options)
    expected = of_each(definition, W, options)
    found = metric(W)
    assert all(isinstance(a, np.ndarray | np.generic) for a in jax.tree.leaves(found))
    assert_same(found, expected, tolerance, dtype)
    with jax.enable_x64(dtype == "float64"):
        mapped = metric if dtype == "float64" else jax.vmap(metric)
        traced = jax.jit(mapped)(jnp.asarray(W))
        assert all(isinstance(a, jax.Array) for a in jax.tree.leaves(traced))
        assert_same(traced, expected, tolerance, dtype)


@every_metric
def test_rotation_leaves_all_but_the_hidden_units_unchanged(metric):
    W = random_models()
    rotated = metric(ortho_group.rvs(M, random_state=0) @ W)
    if metric.func.__name__ not in NEURON_BASIS:
        assert_same(rotated, metric(W), 1e-9)
    else:
        first, before = jax.tree.leaves(rotated)[0], jax.tree.leaves(metric(W))[0]
        assert not np.allclose(first, before, atol=1e-3, equal_nan=True)


@every_metric
def test_only_a_broken_model_is_nan(metric):
    W = random_models()
    W[0, 1, 2, 7], W[1, 1, 0, 0] = np.inf, np.nan
    for found, healthy in zip(
        jax.tree.leaves(metric(W)), jax.tree.leaves(metric(random_models())), strict=True
    ):
        for broken in (found[0, 1], found[1, 1]):
            assert np.isnan(broken).all() if found.dtype.kind == "f" else (broken <= 0).all()
        assert np.array_equal(found[:, 0], healthy[:, 0], equal_nan=True)


@every_metric
def test_lists_integers_and_half_precision_are_accepted(metric):
    W = np.random.default_rng(1).integers(-2, 3, size=(M, N))
    expected = metric(W.astype(float))
    assert_same(metric(W.tolist()), expected, 1e-12, "float64")
    assert_same(metric(W), expected, 1e-12, "float64")
    assert_same(metric(W.astype("float16")), expected, 1e-4, "float32")


@every_metric
def test_metric_refuses_what_is_no_matrix(metric):
    for W in (np.ones(N), np.ones((M, 0)), np.ones((0, N)), [], 1.0):
        with pytest.raises(ValueError, match="has shape"):
            metric(W)
    for W in (np.ones((M, N), complex), [["a"] * N] * M):
        with pytest.raises(ValueError, match="real numbers"):
            metric(W)


@every_metric
def test_sizes_of_zero_and_one(metric):
    none = jax.tree.leaves(metric(np.zeros((0, M, N))))
    assert all(a.shape[0] == 0 for a in none)
    assert all(a.shape[0] == 3 for a in jax.tree.leaves(metric(np.ones((3, 1, N)))))


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e25])
def test_no_square_overflows_or_vanishes(scale):
    W, scale = random_models("float32"), np.float32(scale)
    norms = superposition.feature_norms
    assert_same(norms(W * scale) / scale, norms(W), 1e-4, "float32")
    for metric in METRICS:
        if metric.func.__name__ in SCALE_FREE and "threshold" not in metric.keywords:
            assert_same(metric(W * scale), metric(W), 1e-4, "float32")


# ---- superposition alone ----


def test_orthogonal_features_have_a_dimension_each_and_a_pair_shares_one():
    W = block_diag(2 * np.eye(3), [[0.5, -3]], np.zeros((1, 1)))
    assert superposition.dimensionality(W) == pytest.approx([1, 1, 1, 0.25 / 9.25, 9 / 9.25, 0])
    assert superposition.dimensionality([[1, -1]]) == pytest.approx([0.5, 0.5])
    assert superposition.interference(W) == pytest.approx([0, 0, 0, 9, 0.25, 0])
    assert superposition.features_represented(W) == 4
    assert superposition.excess(W) == 4 - 5
    assert superposition.neuron_monosemanticity(W) == pytest.approx([1, 1, 1, 3 / 3.5, 0])


def test_shares_of_dimensions_sum_to_at_most_the_hidden_units():
    total = superposition.dimensionality(random_models()).sum(axis=-1)
    assert (total <= M + 1e-12).all() and (total > M / 2).all()


def test_dimensions_per_feature_and_rank_of_known_weights():
    assert superposition.dimensions_per_feature(np.eye(3)) == pytest.approx(1)
    assert superposition.dimensions_per_feature([[1, -1]]) == pytest.approx(1 / 2)
    assert superposition.dimensions_per_feature(np.zeros((2, 3))) == np.inf
    assert superposition.effective_rank(np.diag([2, 2, 2, 0])) == pytest.approx(3)
    assert superposition.effective_rank(np.outer([1, 2], [3, 4, 5])) == pytest.approx(1)
    assert superposition.effective_rank(np.zeros((2, 3))) == 0


def test_zero_columns_have_zero_everywhere():
    zero = np.zeros((2, 3))
    for metric in ("feature_norms", "gram", "directions", "overlaps", "interference"):
        assert not getattr(superposition, metric)(zero).any()
    assert not superposition.dimensionality(zero).any()
    tiny = np.array([[1, 1e-13, 1e-11]])
    assert superposition.overlaps(tiny)[1] == pytest.approx([0, 0, 0])
    assert superposition.overlaps(tiny)[2, 0] == pytest.approx(1)


def test_density_may_differ_between_models():
    W = random_models()
    density = np.random.default_rng(2).uniform(size=(2, 2, N))
    each = [superposition.interference(W[i], density=density[i]) for i in np.ndindex(W.shape[:2])]
    found = superposition.interference(W, density=density)
    np.testing.assert_allclose(found.reshape(4, N), each)


def test_interference_refuses_other_words_and_densities_that_do_not_fit():
    W = random_models()
    with pytest.raises(ValueError, match="all, positive, negative"):
        superposition.interference(W, part="both")
    with pytest.raises(ValueError, match="density has shape"):
        superposition.interference(W, density=np.ones(N - 1))
    with pytest.raises(ValueError, match="real numbers"):
        superposition.interference(W, density=1j)


def test_rank_correlation_follows_importance():
    W = np.diag([4.0, 3, 2, 1])
    importance = 0.7 ** np.arange(4)
    assert superposition.importance_rank_correlation(W, importance) == pytest.approx(1)
    assert superposition.importance_rank_correlation(W[::-1, ::-1], importance) == pytest.approx(-1)


def test_rank_correlation_averages_ties():
    tied, importance = [3.0, 1, 1, 0, 0, 0, 2], [5, 4, 4, 3, 2, 2, 2]
    expected = spearmanr(tied, importance).statistic
    found = superposition.importance_rank_correlation(np.diag(tied), importance)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("W", "importance"), [(np.eye(3), [3, 2, 1]), (np.diag([3, 2, 1]), [1, 1, 1]), ([[2]], [1])]
)
def test_rank_correlation_of_equal_values_is_nan(W, importance):
    assert np.isnan(superposition.importance_rank_correlation(W, importance))


@pytest.mark.parametrize("importance", [1.0, [1.0], np.ones(N + 1)])
def test_rank_correlation_needs_an_importance_per_feature(importance):
    with pytest.raises(ValueError, match="importance has shape"):
        superposition.importance_rank_correlation(random_models(), importance)
