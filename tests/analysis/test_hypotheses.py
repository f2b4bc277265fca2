"""Ready hypotheses of scrubbing, and the samplers that draw its inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import block_diag

from jsuper.analysis import hypotheses, samplers
from jsuper.analysis.scrubbing import scrub

M, N = 3, 6
W = np.random.default_rng(0).normal(size=(M, N)) / 2


# ---------------------------------------------------------------------------- ready hypotheses


def test_ready_hypotheses_by_hand():
    """Features 0 and 1 are opposed, 2 leans on 0, 3 is orthogonal to all, 4 is too short."""
    V = np.array([[1, -1, 0.5, 0, 0.1], [0, 0, 0.8, 0, 0], [0, 0, 0, 1, 0.1]])
    ready = hypotheses.standard_hypotheses(V)
    assert tuple(ready) == hypotheses.NAMES
    pairs = [[0, 1], [0, 1], [1, 2], [3], [4]]
    assert [np.flatnonzero(r).tolist() for r in ready["antipodal"]] == pairs
    clusters = [[0, 1, 2]] * 3 + [[3], [4]]
    assert [np.flatnonzero(r).tolist() for r in ready["cluster"]] == clusters
    assert ready["all"].all() and not ready["none"].any()
    assert (ready["self"] == np.eye(5)).all()
    random = ready["random"]
    assert (random.sum(axis=1) == [3, 3, 3, 1, 1]).all() and random.diagonal().all()
    loose = hypotheses.standard_hypotheses(V, overlap=0.9)
    assert [np.flatnonzero(r).tolist() for r in loose["cluster"]][:3] == [[0, 1], [0, 1], [2]]
    many = hypotheses.standard_hypotheses(np.stack([V, np.full_like(V, np.nan)]))
    assert all((many[k][0] == ready[k]).all() for k in ready)
    assert (many["cluster"][1] == np.eye(5)).all()
    traced = jax.jit(hypotheses.standard_hypotheses)(V)
    assert all((np.asarray(traced[k]) == ready[k]).all() for k in ready)
    with pytest.raises(ValueError, match="overlap"):
        hypotheses.standard_hypotheses(V, overlap=0)


def test_random_hypotheses_differ_by_seed_and_keep_what_is_their_own():
    without = ~np.eye(8, dtype=bool)
    assert not hypotheses.random_like(without & (np.arange(8) < 4)).diagonal().any()
    three = np.eye(8, dtype=bool) | (np.arange(8) < 2)
    drawn = np.stack([hypotheses.random_like(three, seed) for seed in range(100)])
    assert (drawn.sum(axis=2) == three.sum(axis=1)).all()
    others = drawn.mean(axis=0)[~np.eye(8, dtype=bool)].reshape(8, 7)
    np.testing.assert_allclose(others, (three.sum(axis=1) - 1)[:, None] / 7 + 0 * others, atol=0.2)


def test_subspaces_are_orthogonal_and_belong_to_their_groups():
    group = np.array([0, 0, 2, 2, 4, 4])
    E, reads = hypotheses.subspaces(W, group)
    np.testing.assert_allclose(E @ E.T, np.eye(M), atol=1e-10)
    assert (reads[::2] == reads[1::2]).all() and (reads[::2].sum(axis=0) == 1).all()
    strongest = [np.linalg.svd(W[:, group == g])[1][0] for g in (0, 2, 4)]
    first = 2 * int(np.argmax(strongest))  # takes the direction of its largest singular value
    u = np.linalg.svd(W[:, group == first])[0][:, 0]
    assert abs(E[0] @ u) == pytest.approx(1) and reads[first, 0]
    short = np.zeros((3, 2), np.float32)
    short[0] = 1, -1
    E, reads = hypotheses.subspaces(short, np.array([0, 0]))
    np.testing.assert_allclose(E @ E.T, np.eye(3), atol=1e-6)
    assert reads.sum(axis=1).tolist() == [1, 1] and abs(E[0]).tolist() == [1, 0, 0]
    jitted = jax.jit(hypotheses.subspaces)(jnp.asarray(short), np.array([0, 0]))
    assert (np.asarray(jitted.reads) == reads).all()
    with pytest.raises(ValueError, match="label per feature"):
        hypotheses.subspaces(W, group[:3])


def test_groups_whose_spaces_overlap_cannot_all_have_their_own():
    """Column 1 leans on column 0's direction, which the longer column 0 takes for itself."""
    V = block_diag([[2.0, 0.6], [0.0, 0.8]], [[1.0, 0, 0, 0]])
    spaces = hypotheses.subspaces(V, np.arange(6))
    found = scrub(V, np.zeros(6), "relu", samplers.sparse(0.0, 6), np.eye(6), subspaces=spaces)
    # out_0 keeps 4 x_0 of 4 x_0 + 1.2 x_1; out_1 reads .64 x_1 of x_1 + 1.2 x_0
    gap = np.array([1.2**2, 0.36**2 + 1.2**2])
    expected = 1 - gap / np.array([16 + 1.44, 1 + 1.44])
    np.testing.assert_allclose(found.recovered_output[:3], [*expected, 1], atol=0.02)
    assert found.constant == 3


# ------------------------------------------------------------------------------------ samplers


def test_samplers_have_their_laws():
    for x in samplers.exactly(2, 6, 3000)[:2]:
        x = np.asarray(x)
        assert ((x > 0).sum(axis=0) == 2).all()
        np.testing.assert_allclose((x > 0).mean(axis=1), 1 / 3, atol=0.04)
        assert x[x > 0].mean() == pytest.approx(0.5, abs=0.02)
    for exclusive in (False, True):
        x, other, chance, _ = samplers.correlated_pairs(0.6, 6, 5000, exclusive=exclusive)
        active = np.asarray(x) > 0
        np.testing.assert_allclose(active.mean(axis=1), 0.4, atol=0.03)
        assert (active[::2] & active[1::2]).mean() == pytest.approx(0 if exclusive else 0.4, 0.1)
        assert (active[0] & active[2]).mean() == pytest.approx(0.16, abs=0.03)
        assert abs(np.corrcoef(x[0], other[0])[0, 1]) < 0.05 and chance == 1
    x, other, chance, block = samplers.sparse(0.99, 5, 1000)
    assert x.shape == (5, 1024) and block == 512
    assert chance == pytest.approx(1 - 0.99**10, rel=1e-4)
    assert (np.concatenate([x, other]) > 0).any(axis=0).all()
    np.testing.assert_allclose(chance * np.mean(x > 0, axis=1), 0.01, atol=0.002)
    x = np.arange(20.0).reshape(1, 20)
    assert (samplers.shuffled(x).other != x).all()
    assert sorted(samplers.shuffled(x).other[0]) == list(range(20))


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: samplers.exactly(7, 6), "k=7 is more than n_features=6"),
        (lambda: samplers.correlated_pairs(0.5, 5), "n_features=5 is odd"),
        (lambda: samplers.correlated_pairs(0.2, 4, exclusive=True), "sparsity=0.2 is below 0.5"),
        (lambda: samplers.sparse(1.0, 5), "sparsity holds 1.0"),
        (lambda: samplers.sparse(0.5, 0), "n_features=0"),
    ],
)
def test_samplers_refuse(draw, words):
    with pytest.raises(ValueError, match=words):
        draw()
