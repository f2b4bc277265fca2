"""Every support has the marginals and pairs of its closed form, whichever way it is drawn."""

import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jsuper
from jsuper.analysis.evaluation import evaluate_sparse
from jsuper.core.errors import SpecError
from jsuper.models.toy.inputs.law import Numbers, inputs_of
from jsuper.models.toy.inputs.names import SUPPORTS, support_of

KEY = jsuper.seed_key(11)
SAMPLES = 250_000
TREE = "hierarchy(2, 0.6)"


def ancestors(i, b):
    """The nodes from i up to the root, without the root."""
    return set() if i == 0 else {i} | ancestors((i - 1) // b, b)


def of_sets(k, c):
    def both(i, j, p):
        together = c * min(p[i], p[j]) if i // k == j // k else c * p[i] * p[j]
        return together + (1 - c) * p[i] * p[j]

    return both


@dataclass
class Case:
    """A support, the densities of its features, and P(i and j are active)."""

    support: str
    p: np.ndarray
    both: object
    sparsity: object = None


def equal(p, n=6):
    return np.full(n, p)


UNEQUAL = np.array([0.5, 0.1, 0.02, 0.3, 0.25, 0.4])
DEPTHS = np.array([0, 1, 1, 2, 2, 2])
CASES = {
    "independent": Case("independent", equal(0.3), lambda i, j, p: p[i] * p[j]),
    "shared": Case("shared", equal(0.3), lambda i, j, p: p[i] * p[j]),
    "sets": Case("sets(3, 0.4)", equal(0.2), of_sets(3, 0.4)),
    "sets, unequal": Case("sets(3, 0.4)", UNEQUAL, of_sets(3, 0.4)),
    "pairs": Case("pairs(1)", equal(0.1), of_sets(2, 1.0)),
    "exclusive": Case(
        "exclusive(2)", equal(0.5), lambda i, j, p: 0 if i // 2 == j // 2 else p[i] * p[j]
    ),
    "exclusive, unequal": Case(
        "exclusive(3)", UNEQUAL, lambda i, j, p: 0 if i // 3 == j // 3 else p[i] * p[j]
    ),
    "exactly": Case("exactly(2)", equal(1 / 3), lambda i, j, p: 2 * 1 / (6 * 5)),
    "in_turn": Case("in_turn", equal(1 / 6), lambda i, j, p: 0),
    "exactly, most": Case("exactly(5)", equal(5 / 6), lambda i, j, p: 5 * 4 / (6 * 5)),
    "hierarchy": Case(
        "hierarchy(2, 0.6)",
        0.5 * 0.6**DEPTHS,
        lambda i, j, p: 0.5 * 0.6 ** len(ancestors(i, 2) | ancestors(j, 2)),
        0.5,
    ),
}


def sparsity_of(case):
    return case.sparsity if case.sparsity is not None else (1 - case.p).tolist()


def law_of(case, dtype=np.float32):
    law = inputs_of({"support": case.support})
    return law, Numbers(dtype(case.p), dtype(law.support.numbers), dtype(law.values.numbers))


def check(active, p, both, count):
    """Compare shares with probabilities, five standard errors each, and 2^-23 of the draws."""
    for i, j in itertools.combinations_with_replacement(range(len(p)), 2):
        expected = p[i] if i == j else both(i, j)
        error = 5 * np.sqrt(expected * (1 - expected) / count) + 3e-7
        assert abs((active[i] & active[j]).mean() - expected) <= error, (i, j)


def test_every_support_has_a_case():
    assert {case.support.split("(")[0] for case in CASES.values()} == set(SUPPORTS)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_activities_have_their_marginals_and_pairs(case):
    x = jsuper.sample(KEY, sparsity_of(case), 6, SAMPLES, support=case.support, values="binary")
    check(np.asarray(x) > 0, case.p, lambda i, j: case.both(i, j, case.p), SAMPLES)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_values_are_uniform_and_independent_of_each_other(case):
    x = np.asarray(jsuper.sample(KEY, sparsity_of(case), 6, SAMPLES, support=case.support))
    for i, j in itertools.combinations(range(6), 2):
        one = x[i][x[i] > 0]
        assert abs(one.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / len(one))
        assert abs((one**2).mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / len(one)) + 1e-5
        both = (x[i] > 0) & (x[j] > 0)
        if both.sum() > 1000:
            assert abs(np.corrcoef(x[i][both], x[j][both])[0, 1]) < 5 / np.sqrt(both.sum())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_nonzero_columns_have_the_conditional_law(case):
    """Marginals and pairs of columns with an active feature, their chance and their values."""
    law, numbers = law_of(case)
    keys = jax.random.split(KEY, 30)
    draw = jax.vmap(lambda k: law.nonzero(law.nonzero_draws(k, 6, 4096), numbers))
    x, chance = jax.jit(draw)(keys)
    x, some = np.asarray(x).transpose(1, 0, 2).reshape(6, -1), law.support.some(case.p)
    assert np.asarray(chance)[0] == pytest.approx(some, rel=1e-5)
    assert (x > 0).any(axis=0).mean() > 1 - 1e-5
    p, count = case.p / some, x.shape[1]
    check(x > 0, p, lambda i, j: case.both(i, j, case.p) / some, count)
    assert x.mean(axis=1) == pytest.approx(p / 2, abs=5 / np.sqrt(count))
    assert (x**2).mean(axis=1) == pytest.approx(p / 3, abs=5 / np.sqrt(count))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_chance_of_a_nonzero_column_is_that_of_samples(case):
    x = np.asarray(jsuper.sample(KEY, sparsity_of(case), 6, SAMPLES, support=case.support))
    some = support_of(case.support).some(case.p)
    error = 5 * np.sqrt(some * (1 - some) / SAMPLES) + 1e-6
    assert abs((x != 0).any(axis=0).mean() - some) <= error


@pytest.mark.parametrize(
    "case", [c for c in CASES.values() if support_of(c.support).narrow], ids=lambda c: c.support
)
def test_a_column_has_an_active_feature_below_its_level_only(case):
    """Also at lower densities of the same shape, where activities are nested."""
    law, numbers = law_of(case)
    draws = law.draw(KEY, jnp.int32(3), 6, 4096)
    level = np.asarray(law.level(draws, numbers.density, numbers))
    before = np.zeros((6, 4096), bool)
    for share in (0.01, 0.3, 1.0):
        lower = numbers._replace(density=numbers.density * np.float32(share))
        found = law.support.in_batch(draws, lower.density, lower.support).active
        active = np.asarray(found)
        sure = abs(level / share - 1) > 1e-6
        assert (active.any(axis=0) == (level < share))[sure].all()
        assert (before <= active).all() and (share < 1 or active.any())
        before = active


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_float64_samples_are_the_float32_ones_with_more_digits(case):
    single, double = [], []
    for dtype, found in ((np.float32, single), (np.float64, double)):
        with jax.enable_x64(dtype == np.float64):
            law, numbers = law_of(case, dtype)

            @jax.jit
            def samples(numbers, law=law):
                batch = law.batch(law.draw(KEY, jnp.int32(0), 6, 1000), numbers)
                return batch, law.nonzero(law.nonzero_draws(KEY, 6, 1000), numbers)[0]

            found += [np.asarray(a) for a in samples(numbers)]
    for a, b in zip(single, double, strict=True):
        assert (a.dtype, b.dtype) == (np.float32, np.float64)
        assert a == pytest.approx(b, rel=1e-5)


def test_coupled_sets_are_nested_in_c_and_independent_at_0():
    alone = np.asarray(jsuper.sample(KEY, 0.8, 6, 10_000))
    coupled = []
    for c in (0.0, 0.3, 0.7, 1.0):
        x = np.asarray(jsuper.sample(KEY, 0.8, 6, 10_000, support=f"sets(3, {c})"))
        if c == 0:
            assert (x == alone).all()
        coupled.append((x != alone).reshape(2, 3, -1).any(axis=1))
    assert all((a <= b).all() for a, b in itertools.pairwise(coupled))
    assert coupled[1].mean() < coupled[2].mean() < coupled[3].mean()


def test_exactly_k_features_are_active_in_every_sample():
    for k in (1, 3, 20):
        x = jsuper.sample(KEY, round(1 - k / 20, 12), 20, 50_000, support=f"exactly({k})")
        u = np.asarray(jsuper.sample(KEY, 0.0, 20, 50_000))
        assert ((np.asarray(x) > 0).sum(axis=0) == k).mean() > 1 - 1e-5  # a value may be drawn as 0
        assert (np.asarray(x)[np.asarray(x) > 0] == u[np.asarray(x) > 0]).all()


def test_features_that_are_active_in_turn_are_the_identity_matrix():
    for samples in (6, 15):
        x = jsuper.sample(KEY, round(5 / 6, 12), 6, samples, support="in_turn", values="binary")
        assert (np.asarray(x) == np.eye(6)[:, np.arange(samples) % 6]).all()


def test_an_exclusive_choice_does_not_depend_on_the_density():
    few = np.asarray(jsuper.sample(KEY, 0.99, 6, 100_000, support="exclusive(3)"))
    many = np.asarray(jsuper.sample(KEY, 0.7, 6, 100_000, support="exclusive(3)"))
    assert ((few > 0) <= (many > 0)).all() and ((many > 0).reshape(2, 3, -1).sum(1) <= 1).all()


@pytest.mark.parametrize("support", ["pairs(0.5)", "exclusive(2)", "exactly(2)", TREE])
def test_a_loss_is_evaluated_on_the_law(support):
    """Of the model 0, whose error is E x_i², on a number and on one sparsity per model."""
    S = 0.8
    W, b = np.zeros((2, 2, 10), np.float32), np.zeros((2, 10), np.float32)
    p = np.broadcast_to(support_of(support).densities(1 - S, 10), 10)
    for sparsity in (S, np.full((2, 1), S)):
        found = evaluate_sparse(W, b, "relu", sparsity, support=support, values="signed")
        assert found.errors == pytest.approx(np.stack([p / 3] * 2), rel=0.05)
    with pytest.raises(SpecError, match="give"):
        evaluate_sparse(W, b, "relu", 0.1, support="exclusive(2)")
