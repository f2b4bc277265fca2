"""Mean max cosine similarity, against plain loops."""

import jax.numpy as jnp
import numpy as np
import pytest

from jsuper import analysis


def by_loops(W, D, absolute=False):
    best = []
    for w in W.T:
        cosines = [w @ d / np.linalg.norm(w) / np.linalg.norm(d) for d in D.T]
        best.append(max(abs(c) if absolute else c for c in cosines))
    return np.mean(best)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("module", [np, jnp])
def test_it_is_the_mean_over_columns_of_the_largest_cosine(module, absolute):
    rng = np.random.default_rng(0)
    W, D = rng.normal(size=(3, 7)), rng.normal(size=(3, 5))
    found = analysis.mmcs(module.asarray(W), module.asarray(D), absolute=absolute)
    assert float(found) == pytest.approx(by_loops(W, D, absolute), rel=1e-6)
    swapped = analysis.mmcs(module.asarray(D), module.asarray(W), absolute=absolute)
    assert float(swapped) == pytest.approx(by_loops(D, W, absolute), rel=1e-6)


def test_order_and_lengths_do_not_count_and_signs_do():
    rng = np.random.default_rng(1)
    W = rng.normal(size=(3, 6))
    D = (W * rng.uniform(0.1, 9, 6))[:, rng.permutation(6)]
    assert analysis.mmcs(W, D) == pytest.approx(1)
    eye = np.eye(3)
    assert analysis.mmcs(eye, -eye) == 0
    assert analysis.mmcs(eye, -eye, absolute=True) == 1
    assert analysis.mmcs(eye[:, :1], -eye[:, :1]) == -1


def test_leading_axes_broadcast_and_columns_that_are_not_represented_are_left_out():
    rng = np.random.default_rng(2)
    W, D = rng.normal(size=(4, 2, 3, 6)), rng.normal(size=(3, 5))
    found = analysis.mmcs(W, D)
    assert found.shape == (4, 2)
    assert found[1, 1] == pytest.approx(by_loops(W[1, 1], D))
    some = W[0, 0] * [1, 1, 0, 1, 1e-3, 1]
    expected = by_loops(some[:, [0, 1, 3, 4, 5]], D)
    assert analysis.mmcs(some, np.pad(D, ((0, 0), (0, 1)))) == pytest.approx(expected)
    expected = by_loops(some[:, [0, 1, 3, 5]], D)
    assert analysis.mmcs(some, D, threshold=0.1) == pytest.approx(expected)


def test_nothing_to_compare_is_nan_and_other_sizes_are_refused():
    D = np.ones((3, 2))
    assert np.isnan(analysis.mmcs(np.zeros((3, 4)), D))
    assert np.isnan(analysis.mmcs(D, np.zeros((3, 4))))
    assert np.isnan(analysis.mmcs(np.full((3, 4), np.inf), D))
    with pytest.raises(ValueError, match="same n_hidden"):
        analysis.mmcs(np.ones((2, 4)), D)


def test_a_negative_threshold_is_refused():
    with pytest.raises(ValueError, match="threshold=-1 is not >= 0"):
        analysis.mmcs(np.eye(2), np.eye(2), threshold=-1)
