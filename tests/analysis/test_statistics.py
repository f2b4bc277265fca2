"""Comparisons over seeds, against SciPy, enumeration by hand and simulated nulls."""

import itertools
import math

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jsuper.analysis.statistics import (
    compare,
    concordance,
    equivalent,
    holm,
    rank_agreement,
    spearman,
    summarize,
)

A = np.array([3.1, 2.4, 5.0, 4.2, 3.9])
B = np.array([2.0, 2.6, 3.5, 4.0, 2.2])


def sign_flip_p(difference):
    """Share of all sign patterns with a mean at least as far from 0."""
    signs = np.array(list(itertools.product([-1, 1], repeat=len(difference))))
    means = np.abs((signs * difference).mean(axis=1))
    return np.mean(means >= abs(difference.mean()) - 1e-12)


# ---- compare ----


def test_five_pairs_are_compared_over_all_their_sign_flips():
    found = compare(A, B)
    assert (found.pairs, found.dropped) == (5, 0)
    assert found.p == pytest.approx(sign_flip_p(A - B), abs=1e-12) == 0.1875
    assert found.difference == pytest.approx(0.86)
    assert found.effect == pytest.approx((A - B).mean() / (A - B).std(ddof=1))
    assert compare(A, B + 0.86).p == pytest.approx(sign_flip_p(A - B - 0.86))
    mirrored = compare(B, A)
    assert (mirrored.difference, mirrored.p) == (-found.difference, found.p)


def test_many_pairs_are_compared_over_random_sign_flips():
    d = np.random.default_rng(0).normal(0.5, 1, 14)  # 2^14 patterns, more than the resamples
    exact, found = sign_flip_p(d), compare(d, np.zeros(14)).p
    assert exact != found
    assert found == pytest.approx(exact, abs=4 * 2 * math.sqrt(exact / 2 / 9999))


def test_null_comparisons_are_rarely_significant_and_their_intervals_cover():
    rng, runs = np.random.default_rng(1), 400
    found = [
        compare(*rng.normal(size=(2, 20)), resamples=299, confidence=0.9, seed=i)
        for i in range(runs)
    ]
    p = np.array([c.p for c in found])
    for level in (0.05, 0.5):
        assert np.mean(p < level) == pytest.approx(level, abs=4 * (level / runs) ** 0.5)
    covered = np.mean([c.low <= 0 <= c.high for c in found])
    assert covered == pytest.approx(0.9, abs=4 * (0.09 / runs) ** 0.5)


def test_a_true_difference_is_found():
    noise = np.random.default_rng(2).normal(size=(2, 20))
    found = compare(noise[0] + 2, noise[1])
    assert found.p < 0.001 and 1 < found.low < found.difference < found.high < 3
    wider = compare(noise[0] + 2, noise[1], confidence=0.99)
    assert wider.low < found.low and found.high < wider.high


def test_the_interval_of_skewed_differences_is_skewed():
    d = np.exp(np.random.default_rng(3).normal(size=30))
    found = compare(d, np.zeros(30))
    assert found.high - found.difference > 1.2 * (found.difference - found.low)


def test_an_interval_that_bca_does_not_define_is_the_percentiles():
    tiny = compare(A * 1e-120, B * 1e-120)  # third powers underflow
    means = np.random.default_rng(0).choice(A - B, (20_000, 5)).mean(axis=1)
    expected = np.percentile(means, [2.5, 97.5])
    assert np.array([tiny.low, tiny.high]) * 1e120 == pytest.approx(expected, abs=0.05)
    assert compare(A, B).low != pytest.approx(tiny.low * 1e120, rel=1e-6)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    d = np.random.default_rng(4).normal(size=(2, 20))
    first, again, other = (compare(*d, resamples=500, seed=s) for s in (3, 3, 4))
    assert first == again and first.low != other.low and first.p != other.p
    many = np.random.default_rng(5).normal(size=(2, 12))
    assert rank_agreement(*many, seed=3) == rank_agreement(*many, seed=3)
    assert rank_agreement(*many, seed=3) != rank_agreement(*many, seed=4)


@pytest.mark.parametrize("sign", [1, -1])
def test_constant_differences_are_known_exactly(sign):
    b = np.array([0.1, 0.7, 1.3, 2.9])
    found = compare(b + sign * 0.2, b)  # alike up to rounding only
    assert found.low == found.high == found.difference == pytest.approx(sign * 0.2)
    assert found.effect == sign * np.inf
    assert found.p == 2**-3


def test_results_that_agree_up_to_rounding_do_not_differ():
    found = compare([0.1 + 0.2, 0.7, 1.0], [0.3, 0.1 * 7, 1.0])
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert math.isnan(found.effect)


# ---- equivalent ----


def test_equivalence_is_two_one_sided_t_tests():
    d, margin = A - B, 1.7
    lower = stats.ttest_1samp(d, -margin, alternative="greater").pvalue
    upper = stats.ttest_1samp(d, margin, alternative="less").pvalue
    found = equivalent(A, B, margin)
    assert found.p == pytest.approx(max(lower, upper), rel=1e-12)
    assert equivalent(B, A, margin).p == pytest.approx(found.p, rel=1e-12)
    half = stats.t.ppf(0.95, 4) * d.std(ddof=1) / math.sqrt(5)
    assert (found.low, found.high) == pytest.approx((d.mean() - half, d.mean() + half), rel=1e-12)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("shift", [0.0, -2.0])
def test_models_are_equivalent_where_the_interval_lies_within_the_margin(confidence, shift):
    found = equivalent(A + shift, B, 9.0, confidence=confidence)
    needed = max(abs(found.low), abs(found.high))
    assert equivalent(A + shift, B, needed * 1.001, confidence=confidence).equivalent is True
    assert equivalent(A + shift, B, needed * 0.999, confidence=confidence).equivalent is False


def test_models_that_differ_by_the_margin_are_rarely_called_equivalent():
    rng, runs = np.random.default_rng(6), 2000
    wrong = [equivalent(rng.normal(1, 0.3, 8), np.zeros(8), 1.0).equivalent for _ in range(runs)]
    assert np.mean(wrong) == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / runs) ** 0.5)


@pytest.mark.parametrize(("margin", "p"), [(0.3, 0.0), (0.25, 1.0), (0.1, 1.0)])
def test_constant_differences_are_compared_with_the_margin_itself(margin, p):
    found = equivalent([1.25, 2.25, 3.25], [1, 2, 3], margin)
    assert (found.p, found.equivalent, found.low, found.high) == (p, p == 0, 0.25, 0.25)


# ---- rankings ----


def test_five_items_are_ranked_over_all_their_orders():
    found = rank_agreement(A, B)
    expected = stats.spearmanr(A, B).statistic
    assert found.rho == pytest.approx(expected)
    all_rho = [stats.spearmanr(A, list(b)).statistic for b in itertools.permutations(B)]
    assert found.p == pytest.approx(np.mean(np.abs(all_rho) >= abs(expected) - 1e-12))
    assert rank_agreement(np.exp(A), B) == found


def test_many_items_are_ranked_over_random_orders():
    a, b = np.random.default_rng(7).normal(size=(2, 60)) + np.linspace(0, 1, 60)
    expected = stats.spearmanr(a, b)
    found = rank_agreement(a, b)
    assert found.rho == pytest.approx(expected.statistic)
    error = 2 * math.sqrt(expected.pvalue / 2 / 9999)  # of twice the share in one tail
    assert found.p == pytest.approx(expected.pvalue, abs=4 * error)


def test_equal_and_reversed_rankings_and_ties():
    items = np.arange(6.0)
    assert rank_agreement(items, items**3).rho == pytest.approx(1)
    reverse = rank_agreement(items, -items)
    assert reverse.rho == pytest.approx(-1) and reverse.p == pytest.approx(2 / math.factorial(6))
    tied = np.array([0, 0, 1, 1, 1, 2.0])
    assert rank_agreement(items, tied).rho == pytest.approx(stats.spearmanr(items, tied).statistic)
    flat = rank_agreement(items, np.ones(6))
    assert math.isnan(flat.rho) and math.isnan(flat.p)


def test_concordance_is_1_of_identical_and_0_of_balanced_rankings():
    order = np.array([3.0, 1.0, 4.0, 2.0])
    same = concordance([order, order**2, np.exp(order)])
    assert (same.raters, same.dropped, same.W) == (3, 0, pytest.approx(1))
    assert same.p == pytest.approx(stats.chi2.sf(9, 3))
    for balanced in ([order, -order], [np.roll(order, k) for k in range(4)]):
        assert abs(concordance(balanced).W) < 1e-12


def test_concordance_is_the_mean_correlation_of_the_raters():
    table = np.random.default_rng(8).normal(size=(6, 5)) + np.arange(5) / 2
    pairs = itertools.combinations(table, 2)
    rho = np.mean([stats.spearmanr(a, b).statistic for a, b in pairs])
    expected = (1 + 5 * rho) / 6
    assert concordance(table)[2:] == pytest.approx((expected, stats.chi2.sf(24 * expected, 4)))


def test_concordance_corrects_for_ties():
    assert concordance([[1, 1, 2, 3]] * 3)[2:] == pytest.approx((1, stats.chi2.sf(9, 3)))
    assert np.isnan(concordance(np.ones((3, 4)))[2:]).all()


# ---- several tests ----


def test_holm_steps_down():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9, 0.5]) == pytest.approx([1, 1, 1])
    assert holm([0.02, 0.02]) == pytest.approx([0.04, 0.04])
    assert holm([0.3]) == pytest.approx([0.3]) and holm([]).shape == (0,)


# ---- values that diverged, and errors ----

TWO = {
    "compare": compare,
    "equivalent": lambda a, b: equivalent(a, b, 1.0),
    "rank_agreement": rank_agreement,
}


@pytest.mark.parametrize("name", TWO)
def test_pairs_with_a_nan_are_dropped_and_counted(name):
    gaps = np.array([0, 1, 2, 3, 3, 4, 4])
    a, b = A[gaps], B[gaps]
    a[3], b[5] = np.nan, np.nan
    found = TWO[name](a, b)
    assert found.dropped == 2
    assert found[2:] == TWO[name](A, B)[2:] and found[0] == 5


@pytest.mark.parametrize("name", TWO)
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1, np.nan, 2], [1, 1, np.nan], "1 of 3 pairs without a NaN"),
        ([], [], "0 of 0 pairs"),
        ([1, 2, np.inf], [1, 2, 3], "a holds an infinite value"),
        ([1, 2, 3], [1, -np.inf, 3], "b holds an infinite value"),
        ([1, 2, 3], [1, 2], r"a has shape \(3,\) and b \(2,\)"),
        (np.ones((2, 2)), np.ones((2, 2)), "one value per seed"),
    ],
)
def test_pairs_that_cannot_be_compared_are_refused(name, a, b, message):
    with pytest.raises(ValueError, match=message):
        TWO[name](a, b)


def test_rows_with_a_nan_are_dropped_and_counted():
    rows = np.array([[1.0, 2, 3], [1, 3, 2], [np.nan, 2, 1], [2, 1, 3]])
    found = concordance(rows)
    assert (found.raters, found.dropped) == (3, 1)
    assert found.W == concordance(rows[[0, 1, 3]]).W


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare(A, B, confidence=1.0), "confidence=1.0"),
        (lambda: compare(A, B, resamples=98), "resamples=98"),
        (lambda: equivalent(A, B, 0.0), "margin=0.0"),
        (lambda: equivalent(A, B, 1.0, confidence=0.5), "confidence=0.5"),
        (lambda: rank_agreement(A, B, resamples=10), "resamples=10"),
        (lambda: concordance(np.ones((3, 2))), "3 items or more"),
        (lambda: concordance([[1, 2, np.nan], [2, 1, np.nan]]), r"columns \[2\] have no value"),
        (lambda: concordance([[1, 2, np.inf], [2, 1, 3]]), "infinite"),
        (lambda: holm([0.1, np.nan]), "holds nan"),
        (lambda: holm([[0.1]]), r"shape \(1, 1\)"),
    ],
)
def test_arguments_out_of_range_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- in cells ----


def test_cells_are_summarized_like_single_ones():
    rng = np.random.default_rng(4)
    values = xr.DataArray(rng.normal(size=(2, 3, 9)), dims=("activation", "seed", "sparsity"))
    values[0, 1, 4] = np.nan
    found = summarize(values, "seed")
    assert found["mean"].dims == ("activation", "sparsity")
    one = values[1, :, 2].values
    cell = found.isel(activation=1, sparsity=2)
    assert float(cell["mean"]) == pytest.approx(one.mean())
    assert float(cell["median"]) == pytest.approx(np.median(one))
    alone = compare(one, np.zeros(3))
    assert (float(cell.low), float(cell.high)) == pytest.approx((alone.low, alone.high))
    assert int(found["count"][0, 4]) == 2 and int(found["count"].sum()) == 2 * 27 - 1


def test_a_cell_of_one_value_or_none_has_no_interval():
    values = xr.DataArray([[1.0, np.nan], [np.nan, np.nan], [2.0, 2.0]], dims=("cell", "seed"))
    found = summarize(values)
    assert found["count"].values.tolist() == [1, 0, 2]
    np.testing.assert_array_equal(found["mean"], [1, np.nan, 2])
    np.testing.assert_array_equal(found.low, [np.nan, np.nan, 2])
    np.testing.assert_array_equal(found.high, [np.nan, np.nan, 2])


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda v: summarize(v.values), TypeError, "a variable of a Dataset"),
        (lambda v: summarize(v, "run"), ValueError, "over='run' is not a dimension.* seed"),
        (lambda v: summarize(v, confidence=1), ValueError, "confidence=1"),
        (lambda v: summarize(v / 0), ValueError, "infinite"),
    ],
)
def test_what_cannot_be_summarized_is_refused(call, error, words):
    with np.errstate(divide="ignore"), pytest.raises(error, match=words):
        call(xr.DataArray([1.0, 2.0], dims="seed"))


def test_dimensions_of_length_one_are_left_out_and_the_smallest_p_is_said():
    a, b = np.random.default_rng(5).normal(size=(2, 1, 5))
    assert compare(a, b) == compare(a[0], b[0])
    assert compare(a, b).smallest_p == 2**-4
    everywhere = compare(a[0] + 10, b[0])
    assert everywhere.p == pytest.approx(everywhere.smallest_p)
    many = compare(np.arange(30) + 1.0, np.zeros(30), resamples=999)
    assert many.p == pytest.approx(many.smallest_p) and many.smallest_p == 2 / 1000
    with pytest.raises(ValueError, match=r"shape \(2, 5\)"):
        compare(np.ones((2, 5)), np.ones((2, 5)))


# ---- rank correlation along an axis ----


def test_spearman_is_that_of_scipy_along_the_last_axis():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (2, 5, 3, 9)).astype(float)
    rows = zip(a.reshape(-1, 9), b.reshape(-1, 9), strict=True)
    expected = [stats.spearmanr(x, y).statistic for x, y in rows]
    np.testing.assert_allclose(spearman(a, b).ravel(), expected, rtol=1e-12, atol=1e-15)
    one = spearman(a, b[0, 0])
    assert one.shape == (5, 3) and one[0, 0] == spearman(a[0, 0], b[0, 0])


def test_spearman_leaves_out_pairs_that_are_not_finite():
    a = np.array([1.0, 2.0, np.nan, 4.0, 5.0, 6.0])
    b = np.array([3.0, 1.0, 0.0, np.inf, 2.0, 9.0])
    known = [0, 1, 4, 5]
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a[known], b[known]).statistic)


def test_spearman_is_nan_without_a_ranking():
    assert np.isnan(spearman([1.0, 2.0, np.nan], [1.0, 2.0, 3.0]))
    assert np.isnan(spearman([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="broadcast"):
        spearman([1.0, 2.0, 3.0], [1.0, 2.0])
