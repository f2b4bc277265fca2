"""The figures that features form: weights made by hand, whose geometry is known."""

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.stats import ortho_group

from jsuper.analysis import geometry, superposition
from jsuper.analysis.geometry import FIGURES, OTHER
from jsuper.analysis.theory import welch_bound


def polygon(corners, turn=0.0):
    angle = 2 * np.pi * (np.arange(corners) + turn) / corners
    return np.stack([np.cos(angle), np.sin(angle)])


def square_antiprism():
    """Two squares at heights ±1/√3, at which WWᵀ is a multiple of the identity."""
    flat = np.concatenate([polygon(4), polygon(4, turn=0.5)], axis=1) * np.sqrt(2 / 3)
    return np.concatenate([flat, [[1 / np.sqrt(3)] * 4 + [-1 / np.sqrt(3)] * 4]])


WEIGHTS = {
    "alone": np.ones((1, 1)),
    "digon": np.array([[1.0, -1.0]]),
    "triangle": polygon(3),
    "tetrahedron": np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / np.sqrt(3),
    "pentagon": polygon(5),
    "square antiprism": square_antiprism(),
}
every_figure = pytest.mark.parametrize("name", FIGURES)


def counts(**numbers):
    """What `figures` returns for these numbers of figures."""
    return [numbers.get(name, 0) for name in [*FIGURES, "other"]]


@every_figure
def test_a_figure_is_found_in_any_orientation_and_size(name):
    W, (n_features, dimensionality) = WEIGHTS[name], FIGURES[name]
    assert W.shape[1] == n_features
    if len(W) > 1:
        W = ortho_group.rvs(len(W), random_state=1) @ W
    for size in (0.6, 1, 7):
        assert superposition.dimensionality(size * W) == pytest.approx(dimensionality)
        found = geometry.geometry(size * W)
        assert (found.component == 0).all()
        assert (found.figure == list(FIGURES).index(name)).all()
        assert list(geometry.figures(size * W)) == counts(**{name: 1})


@every_figure
def test_overlaps_of_a_tight_frame_meet_the_welch_bound(name):
    W = WEIGHTS[name]
    m, n = W.shape
    np.testing.assert_allclose(W @ W.T, n / m * np.eye(m), atol=1e-12)
    assert geometry.mean_squared_overlap(W) == pytest.approx(welch_bound(n, m))


@pytest.mark.parametrize(
    ("name", "cosine"),
    [("digon", 1), ("triangle", 1 / 2), ("tetrahedron", 1 / 3), ("pentagon", np.cos(np.pi / 5))],
)
def test_coherence_of_known_figures(name, cosine):
    assert geometry.coherence(WEIGHTS[name]) == pytest.approx(cosine)


def mixed_model():
    """Figures in orthogonal subspaces, two short columns, and features in random order."""
    parts = [WEIGHTS[name] for name in ("digon", "tetrahedron", "digon", "pentagon", "alone")]
    W = block_diag(*parts, [[0.4, 0.0]])
    labels = np.repeat([0, 1, 2, 3, 4, 5], [2, 4, 2, 5, 1, 2])
    order = np.random.default_rng(0).permutation(len(labels))
    return W[:, order], labels[order]


def test_figures_in_orthogonal_subspaces_are_told_apart():
    W, labels = mixed_model()
    component, figure = geometry.geometry(W)
    short = labels == 5
    first = np.array([np.flatnonzero(labels == own)[0] for own in labels])
    assert (component == np.where(short, -1, first)).all()
    expected = ["digon", "tetrahedron", "digon", "pentagon", "alone"]
    names = [*FIGURES, "other"]
    assert all(names[f] == expected[own] for f, own in zip(figure, labels, strict=True) if own < 5)
    assert (figure[short] == -1).all()
    assert list(geometry.figures(W)) == counts(digon=2, tetrahedron=1, pentagon=1, alone=1)
    assert geometry.antipodal_pairs(W) == 2
    assert geometry.coherence(W) == pytest.approx(1)


def test_a_long_chain_is_one_component_of_no_figure():
    """Each feature overlaps with its neighbours alone, so that n - 1 steps join the ends."""
    n = 14
    W = np.eye(n + 1, n) + 0.5 * np.eye(n + 1, n, k=-1)
    found = geometry.geometry(W)
    assert (found.component == 0).all() and (found.figure == OTHER).all()
    assert list(geometry.figures(W)) == counts(other=1)


def test_a_deformed_figure_counts_within_the_tolerance():
    W = np.array([[1.0, -0.8]])
    assert superposition.dimensionality(W) == pytest.approx([1 / 1.64, 0.64 / 1.64])
    assert list(geometry.figures(W)) == counts(other=1)
    assert list(geometry.figures(W, tolerance=0.1)) == counts(other=1)
    assert list(geometry.figures(W, tolerance=0.12)) == counts(digon=1)


def test_overlap_decides_what_is_joined():
    W = np.array([[1.0, 0.3], [0.0, np.sqrt(1 - 0.3**2)]])
    assert list(geometry.geometry(W, overlap=0.29).component) == [0, 0]
    assert list(geometry.geometry(W, overlap=0.31).component) == [0, 1]
    assert list(geometry.figures(W, overlap=0.31, tolerance=0.1)) == counts(alone=2)


def test_short_features_are_left_out():
    W = np.array([[1.0, -0.9, 0.4, 0.0]])
    c = geometry.cosines(W)
    assert c == pytest.approx(np.array([[0, -1, 1, 0], [-1, 0, -1, 0], [1, -1, 0, 0], [0] * 4]))
    assert list(geometry.cosines(W, threshold=0.5)[2]) == [0, 0, 0, 0]
    assert geometry.antipodal_pairs(W) == 1
    assert geometry.antipodal_pairs(W, threshold=0.3) == 2
    assert list(geometry.geometry(W).component) == [0, 0, -1, -1]
    assert geometry.mean_squared_overlap(np.diag([1, 0.4])) == 0
    assert geometry.coherence([[1.0, 0.4]]) == 0


def test_a_broken_model_has_no_component_and_no_count():
    W = np.stack([WEIGHTS["triangle"]] * 2)
    W[1, 0, 0] = np.nan
    found = geometry.geometry(W)
    assert (found.component[0] == 0).all()
    assert (found.component[1] == -1).all() and (found.figure[1] == -1).all()
    assert np.isnan(geometry.figures(W)[1]).all() and np.isnan(geometry.antipodal_pairs(W)[1])


def test_pairs_at_the_limit_are_counted_whole():
    """cos(i, j) and cos(j, i) may round differently; a pair is in or out, not half."""
    angle = np.arccos(-0.9)
    pair = np.array([[1, np.cos(angle)], [0, np.sin(angle)]])
    rotated = ortho_group.rvs(2, size=200, random_state=0) @ (pair * [0.7, 1.3])
    assert set(geometry.antipodal_pairs(rotated)) <= {0.0, 1.0}


@pytest.mark.parametrize("overlap", [0, -0.1, 1.1])
def test_an_overlap_outside_its_range_is_refused(overlap):
    with pytest.raises(ValueError, match="overlap"):
        geometry.figures(WEIGHTS["digon"], overlap=overlap)


def test_a_positive_cosine_is_not_antipodal():
    with pytest.raises(ValueError, match="cosine=0.2"):
        geometry.antipodal_pairs(WEIGHTS["digon"], cosine=0.2)


def test_bounds_that_mean_nothing_are_refused():
    W = np.eye(3)
    for wrong in (-2, 0.1, np.nan):
        with pytest.raises(ValueError, match="cosine="):
            geometry.antipodal_pairs(W, cosine=wrong)
    with pytest.raises(ValueError, match="tolerance holds -1"):
        geometry.geometry(W, tolerance=-1)
    with pytest.raises(ValueError, match="threshold holds nan"):
        superposition.features_represented(W, np.nan)
