"""Causal scrubbing against plain loops in float64, closed forms and cases made by hand."""

import runpy
import sys

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from running import REPO, slow
from scipy.linalg import block_diag
from scipy.special import erf

import jsuper
from jsuper.analysis import hypotheses, samplers, scrubbed
from jsuper.analysis.metrics import toy_scrubbing as of_sweeps
from jsuper.analysis.samplers import Samples
from jsuper.analysis.scrubbing import scrub
from jsuper.cli import commands, main, sweeping
from jsuper.core.family import family_of
from jsuper.plots.scrubbing import missed
from jsuper.store import chunk_files, derived
from jsuper.store.manifest import manifest_of

RNG = np.random.default_rng(0)
M, N = 3, 6
W = RNG.normal(size=(M, N)) / 2
B = RNG.normal(size=N) / 5
IMPORTANCE = 0.8 ** np.arange(N)
HYPOTHESIS = RNG.random((N, N)) < 0.5


def features(p, n, count, seed):
    rng = np.random.default_rng(seed)
    return np.where(rng.random((n, count)) < p, rng.random((n, count)), 0)


X, OTHER = features(0.4, N, 300, 1), features(0.4, N, 300, 2)


def softmax(z):
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


PLAIN = {
    "relu": lambda z: np.maximum(z, 0),
    "gelu": lambda z: z * (1 + erf(z / 2**0.5)) / 2,
    "gelu_stochastic": lambda z: z * (1 + erf(z / 2**0.5)) / 2,  # its mean
    "identity": lambda z: z,
    "softmax": softmax,
}


def scrubbed_by_hand(model, x, other, inputs, read=None):
    """Every output computed by itself from its own mixture of inputs; read: its projector of h."""
    n = len(x)
    found = np.empty_like(x)
    for i in range(n):
        mixed = np.where(inputs[i][:, None], x, other)
        h = W @ mixed
        if read is not None:
            h = read[i] @ h + (np.eye(M) - read[i]) @ (W @ other)
        found[i] = model(h)[i]
    return found


def of_activation(name):
    if name == "geglu":
        V, c = RNG.normal(size=(M, N)), RNG.normal(size=N)
        act = PLAIN["gelu"]
        return {"V": V, "c": c}, lambda h: act(W.T @ h + B[:, None]) * (V.T @ h + c[:, None])
    if name == "untied":
        own = RNG.normal(size=(M, N))
        return {"W_dec": own}, lambda h: PLAIN["gelu"](own.T @ h + B[:, None])
    return {}, lambda h: PLAIN[name](W.T @ h + B[:, None])


# ------------------------------------------------------------------------- against plain loops


@pytest.mark.parametrize(
    ("activation", "deep"),
    [
        ("relu", False),
        ("softmax", True),
        *(slow(a, True) for a in ("gelu_stochastic", "geglu", "untied")),
    ],
)
def test_scrubbing_is_its_definition(activation, deep):
    gate, model = of_activation(activation)
    subspaces = read = None
    if deep:
        subspaces = hypotheses.subspaces(W, np.array([0, 0, 1, 1, 2, 2]))
        E, reads = subspaces
        read = [E.T @ np.diag(reads[i].astype(float)) @ E for i in range(N)]
    out, shuffled = model(W @ X), model(W @ OTHER)
    done = scrubbed_by_hand(model, X, OTHER, HYPOTHESIS, read)
    name = "gelu" if activation == "untied" else activation
    found = scrub(
        W, B, name, Samples(X, OTHER), HYPOTHESIS, IMPORTANCE, subspaces=subspaces, **gate
    )
    variance = np.concatenate([out, shuffled], axis=1).var(axis=1)
    gap = ((out - done) ** 2).mean(axis=1)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-9)
    np.testing.assert_allclose(found.recovered_output, 1 - gap / (2 * variance), rtol=1e-9)
    total = 1 - (IMPORTANCE * gap).sum() / (2 * (IMPORTANCE * variance).sum())
    assert found.recovered == pytest.approx(total, rel=1e-9)
    weights = IMPORTANCE[:, None]
    losses = {
        "loss": (weights * (X - out) ** 2).mean(),
        "loss_scrubbed": (weights * (X - done) ** 2).mean(),
        "loss_shuffled": (weights * (X - shuffled) ** 2).mean(),
        "loss_constant": (IMPORTANCE * X.var(axis=1)).mean(),
    }
    for name, value in losses.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-9)
    up = losses["loss_shuffled"] - losses["loss_scrubbed"]
    expected = up / (losses["loss_shuffled"] - losses["loss"])
    if losses["loss_shuffled"] > losses["loss"]:
        assert found.loss_recovered == pytest.approx(expected, rel=1e-9)
    else:
        assert np.isnan(found.loss_recovered)
    np.testing.assert_allclose(found.change_output, abs(out - done).mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.change_largest, abs(out - done).max(axis=1), rtol=1e-9)
    high = np.quantile(abs(out - done), 0.99, axis=1)
    np.testing.assert_allclose(found.change_high, high, rtol=1e-9)
    spread = (IMPORTANCE * abs(out - shuffled).mean(axis=1)).sum()
    change = (IMPORTANCE * abs(out - done).mean(axis=1)).sum() / spread
    assert found.change == pytest.approx(change, rel=1e-9)
    assert found.recovered.dtype == np.float64 and found.constant == 0


@pytest.mark.parametrize("sparsity", [0.0, 0.9, 0.999])
def test_pairs_with_an_active_feature_stand_for_all_pairs(sparsity):
    """At sparsity .999 brute force needs half a million samples for what 16,384 pairs give."""
    count = 500_000 if sparsity > 0.99 else 50_000
    x, other = (features(1 - sparsity, N, count, seed) for seed in (3, 4))
    _, model = of_activation("relu")
    out, shuffled = model(W @ x), model(W @ other)
    change = ((out - scrubbed_by_hand(model, x, other, HYPOTHESIS)) ** 2).mean(axis=1)
    variance = np.concatenate([out, shuffled], axis=1).var(axis=1)
    expected = 1 - (IMPORTANCE * change).sum() / (2 * (IMPORTANCE * variance).sum())
    samples = samplers.sparse(sparsity, N)
    found = scrub(W, B, "relu", samples, HYPOTHESIS, IMPORTANCE)
    assert found.recovered == pytest.approx(expected, abs=0.02)
    assert found.low < found.recovered < found.high < found.low + 0.05
    np.testing.assert_allclose(found.variance, variance, rtol=0.1)
    loss = (IMPORTANCE[:, None] * (x - out) ** 2).mean()
    assert found.loss == pytest.approx(loss, rel=0.05)
    constant = (IMPORTANCE * x.var(axis=1)).mean()
    assert found.loss_constant == pytest.approx(constant, rel=0.05)


# ------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("sparsity", [0.0, 0.9, 0.999, np.linspace(0.5, 0.999, N)])
def test_a_linear_model_meets_its_closed_form(sparsity):
    p = np.broadcast_to(1 - np.asarray(sparsity), (N,))
    variance = p / 3 - p**2 / 4
    parts = (W.T @ W) ** 2 * variance
    expected = (parts * HYPOTHESIS).sum(axis=1) / parts.sum(axis=1)
    found = scrub(W, B, "identity", samplers.sparse(sparsity, N), HYPOTHESIS)
    np.testing.assert_allclose(found.recovered_output, expected, atol=0.04)
    total = (parts * HYPOTHESIS).sum() / parts.sum()
    assert found.recovered == pytest.approx(total, abs=0.02)
    assert found.low - 0.005 < total < found.high + 0.005


def test_positive_interference_by_hand():
    """out_0 = x_0 + x_1/2 without a kink: the own input has 1/(1 + 1/4) of the variance."""
    V = block_diag([[1.0, 0.5]], [[1.0, 0.5]])
    for S in (0.0, 0.999):
        found = scrub(V, np.zeros(4), "relu", samplers.sparse(S, 4), np.eye(4))
        np.testing.assert_allclose(found.recovered_output, [0.8, 0.2] * 2, atol=0.03)


def test_orthogonal_clusters_recover_everything():
    """Two figures in spaces of their own: the clusters have all, what is less has less."""
    triangle = np.array([[1, -0.5, -0.5], [0, 3**0.5 / 2, -(3**0.5) / 2]])
    V = block_diag(triangle, [[1.0, -1.0, 0.0]])  # feature 5 is not represented
    ready, group = hypotheses.standard_hypotheses(V), hypotheses.groups(V)
    assert group.tolist() == [0, 0, 0, 3, 3, 5]
    samples, bias = samplers.sparse(0.5, 6), np.zeros(6) - 0.05
    found = {k: scrub(V, bias, "relu", samples, v) for k, v in ready.items()}
    value = {k: v.recovered for k, v in found.items()}
    assert value["all"] == value["cluster"] == 1 == found["cluster"].low
    assert value["self"] < value["antipodal"] < 0.99 and value["random"] < 0.99
    assert abs(value["none"]) < 0.03 and found["none"].change == pytest.approx(1)
    spaces = hypotheses.subspaces(V, group)
    deep = scrub(V, bias, "relu", samples, ready["cluster"], subspaces=spaces)
    assert deep.recovered == pytest.approx(1, abs=1e-12)


ANTIPODAL = block_diag([[1.0, -1.0]], [[1.0, -1.0]])
OWN, PAIRS = np.eye(4), block_diag(np.ones((2, 2)), np.ones((2, 2)))


def test_the_loss_trap():
    """With independent features self has all of the loss, whatever the interference."""
    strong = np.array([[1.0, 0.8, 0.6, 0.0], [0.0, 0.6, 0.8, 1.0]])
    found = scrub(strong, np.zeros(4), "relu", samplers.sparse(0.6, 4), OWN)
    assert found.recovered < 0.8 and found.change > 0.2
    assert found.loss_low < 1 < found.loss_high
    assert found.loss_recovered == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(samplers.exactly(1, 4), 12 / 13), (samplers.correlated_pairs(0.6, 4, exclusive=True), 6 / 7)],
)
def test_inputs_where_loss_tells(samples, expected):
    """Antipodal pairs that are never active together lose nothing, until they are scrubbed.

    out_i = (x_i - x'_j)+ then misses x_i by min(x_i, x'_j), whose mean square is 1/6 where both are
    active: self loses p² / 6 of 2 Var x_i.
    """
    found = scrub(ANTIPODAL, np.zeros(4), "relu", samples, OWN)
    assert found.loss == 0 and found.loss_recovered == pytest.approx(expected, abs=0.015)
    assert found.loss_low < found.loss_recovered < found.loss_high < 1
    pairs = scrub(ANTIPODAL, np.zeros(4), "relu", samples, PAIRS)
    assert pairs.loss_recovered == pairs.recovered == 1


def test_a_constant_prediction_beats_the_shuffled_baseline():
    """For a model that is right, L_shuffled is twice L_constant: that baseline is easy to beat."""
    samples = samplers.sparse(0.6, 4)
    found = scrub(OWN, np.zeros(4), "relu", samples, 0 * OWN)
    assert found.loss == 0 and found.loss_shuffled / found.loss_constant == pytest.approx(2, 0.03)
    assert found.loss_recovered == pytest.approx(0, abs=0.02)
    assert found.loss_recovered_over_constant == pytest.approx(-1, abs=0.05)


def test_softmax_is_the_negative_control():
    """Features without any overlap: self explains a ReLU wholly, but no output of softmax."""
    samples = samplers.sparse(0.6, 4)
    assert scrub(2 * OWN, np.zeros(4), "relu", samples, OWN).recovered == 1
    assert scrub(2 * OWN, np.zeros(4), "softmax", samples, OWN).recovered < 0.9
    assert scrub(2 * OWN, np.zeros(4), "softmax", samples, OWN >= 0).recovered == 1


# ----------------------------------------------------------------------------------- behaviour


def test_outputs_without_variance_are_left_out_and_counted():
    bias = np.array([0, 0, 0, -9.0, 0, -9])  # ReLU never fires
    found = scrub(W, bias, "relu", Samples(X, OTHER), HYPOTHESIS)
    assert found.constant == 2
    assert np.isnan(found.recovered_output).tolist() == [0, 0, 0, 1, 0, 1]
    some = scrub(W, bias, "relu", Samples(X, OTHER), HYPOTHESIS, bias == 0)
    assert found.recovered == pytest.approx(some.recovered)
    nothing = scrub(W, bias - 9, "relu", Samples(X, OTHER), HYPOTHESIS)
    assert nothing.constant == N and np.isnan(nothing.recovered) and np.isnan(nothing.low)


def test_changes_that_cancel_in_a_mean_show_per_sample():
    """Rare and large: one sample in fifty changes, by ten times the usual spread."""
    x = np.zeros((4, 16_384))
    x[0] = np.linspace(0, 1, 16_384)
    x[1, ::100] = 1.0
    V = block_diag([[1.0, 3.0]], [[1.0, 3.0]])
    found = scrub(V, np.zeros(4), "relu", Samples(x, x[:, ::-1]), np.eye(4))
    assert found.change_output[0] < 0.1 < 2.9 < found.change_largest[0]
    assert found.change_high[0] == pytest.approx(3)


def test_models_of_any_shape_numpy_or_jax_jit_and_vmap():
    many = np.stack([W, 2 * W, np.full_like(W, np.nan)]).astype(np.float32)
    bias = np.stack([B, B, B]).astype(np.float32)
    both = np.stack([HYPOTHESIS, ~HYPOTHESIS])[:, None]
    samples = Samples(X.astype(np.float32), OTHER.astype(np.float32))
    found = scrub(many, bias, "relu", samples, both)
    assert found.recovered.shape == (2, 3) and found.change_output.shape == (2, 3, N)
    assert all(isinstance(a, np.ndarray) and a.dtype == np.float32 for a in found)
    assert all(np.isnan(a[:, 2]).all() for a in found[:3])
    same = scrub(jnp.asarray(many), bias, "relu", samples, both)
    assert all(isinstance(a, jax.Array) for a in same)

    def value(w, b):
        return scrub(w, b, "relu", samples, ~HYPOTHESIS)

    two = jax.jit(jax.vmap(value))(many[:2], bias[:2])
    for a, b, c in zip(found, same, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
        np.testing.assert_allclose(a[1, :2], c, rtol=2e-4, atol=1e-6)


def test_the_interval_covers_and_shrinks():
    parts = (W.T @ W) ** 2
    truth = (parts * HYPOTHESIS).sum() / parts.sum()
    within, width = [], []
    for seed in range(20):
        x = features(1.0, N, 300, 100 + seed)  # all of one variance
        found = scrub(W, B, "identity", x, HYPOTHESIS, seed=seed)
        width.append(found.high - found.low)
        within.append(found.low <= truth <= found.high)
    assert np.mean(within) > 0.8
    many = scrub(W, B, "identity", samplers.sparse(0.0, N), HYPOTHESIS)
    assert many.high - many.low < np.mean(width) / 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hypothesis": HYPOTHESIS[:, :3]}, r"hypothesis has shape \(6, 3\)"),
        ({"hypothesis": HYPOTHESIS * 0.3}, "hypothesis holds 0.3; give booleans"),
        ({"hypothesis": np.ones((2, N, N)), "W": np.ones((3, M, N)), "b": np.ones((3, N))}, "axes"),
        ({"activation": "softmax_batch"}, "couples the samples of a batch"),
        ({"activation": "rely"}, "did you mean 'relu'"),
        ({"activation": "geglu"}, "which needs V and c"),
        ({"V": W, "c": B}, "is not a gate"),
        ({"b": B[:3]}, "b has shape"),
        ({"x": X[:3]}, r"x has shape \(3, 300\)"),
        ({"x": X[:, :1]}, "two samples or more"),
        ({"x": Samples(X, OTHER[:, :9])}, "other"),
        ({"x": Samples(X, OTHER, 1.0, 7)}, "multiple of block"),
        ({"importance": -1}, "importance holds -1"),
        ({"resamples": 1}, "resamples=1"),
        ({"confidence": 1}, "confidence=1 is not in"),
        ({"seed": -1}, "seed=-1"),
        ({"subspaces": hypotheses.Subspaces(np.eye(2), np.ones((N, M)))}, "directions has shape"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    given = {"W": W, "b": B, "activation": "relu", "x": Samples(X, OTHER), "hypothesis": HYPOTHESIS}
    with pytest.raises(ValueError, match=words):
        scrub(**given | change)


def test_which_activations_couple_features():
    for name in ("softmax", "softmin", "log_softmax", "solu"):
        assert scrubbed.couples_features(name)
    for name in ("relu", "elu(0.25)", "gelu_stochastic", "swiglu"):
        assert not scrubbed.couples_features(name)
    assert not scrubbed.couples_features("relu_stochastic(0.5)")
    assert scrubbed.couples_features(lambda z: z - z.mean(axis=0))


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


# -------------------------------------------------------------------------------- whole sweeps


def own_function(z):
    return z


SWEEP = jsuper.Sweep(
    activation=("relu", own_function),
    sparsity=(0.0, 0.9),
    n_features=5,
    n_hidden=3,
    seeds=2,
    steps=150,
    learning_rate=1e-2,
    batch_size=128,
    records=2,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    jsuper.run(SWEEP, out=folder, progress=False)
    return folder


@pytest.fixture(scope="module")
def ds(run):
    """The weights of the run under other activations' names, one of them not finite."""
    relu = jsuper.load(run).isel(activation=[0])
    names = ["relu", "softmax", "geglu", "softmax_batch", "own_function"]
    several = xr.concat([relu.assign_coords(activation=[k]) for k in names], "activation")
    gated = several.activation == "geglu"
    several = several.assign(V=several.W.where(gated) / 2, c=several.b.where(gated) + 0.3)
    several.status[0, 0, 0] = 2
    return jsuper.scrub_all(several)


@pytest.mark.parametrize("activation", ["relu", *map(slow, ("softmax", "geglu"))])
def test_a_sweep_has_what_scrub_finds_of_each_model(ds, activation):
    one = ds.sel(activation=activation, sparsity=0.9, seed=1)
    gate = {k: one[k].values for k in ("V", "c") if activation == "geglu"}
    ready = hypotheses.standard_hypotheses(one.W.values)
    random = [hypotheses.random_like(ready["cluster"], s) for s in range(of_sweeps.RANDOM)]
    tried = np.stack([*ready.values(), *random])
    samples = samplers.sparse(0.9, 5, of_sweeps.BLOCKS * samplers.BLOCK)
    importance = 0.7 ** np.arange(5)
    weights, bias = one.W.values, one.b.values
    found = scrub(weights, bias, activation, samples, tried, importance, **gate)
    close = {"rtol": 2e-4, "atol": 2e-5}
    for i, name in enumerate(ready):
        mine = one.sel(hypothesis=name)
        if name == "random":
            expected = found.recovered[-of_sweeps.RANDOM :].mean()
            np.testing.assert_allclose(mine.scrub_recovered, expected, **close)
            continue
        for field in ("recovered", "low", "high", "change", "loss_recovered", "recovered_output"):
            np.testing.assert_allclose(mine[f"scrub_{field}"], getattr(found, field)[i], **close)
    recovered = {k: float(one.scrub_recovered.sel(hypothesis=k)) for k in one.hypothesis.values}
    gain = recovered["cluster"] - recovered["random"]
    assert one.scrub_useful == pytest.approx(gain, abs=1e-6)
    share = (recovered["cluster"] - recovered["self"]) / (1 - recovered["self"])
    assert recovered["self"] < 0.999
    assert one.scrub_interference.sel(hypothesis="cluster") == pytest.approx(share, abs=1e-3)
    size = one.scrub_inputs.sel(hypothesis=["all", "self", "none"])
    np.testing.assert_allclose(size, [5, 1, 0], atol=1e-5)
    assert recovered["subspaces"] <= recovered["cluster"] + 1e-4


def test_what_cannot_be_scrubbed_has_no_value_and_spoils_none(ds):
    for name, (dims, words) in of_sweeps.VARIABLES.items():
        assert ds[name].dims == (*ds.status.dims, *dims) and ds[name].description == words
        assert ds[name][0, 0, 0].isnull().all()
        assert ds[name].sel(activation=["softmax_batch", "own_function"]).isnull().all()
    scrubs = ds.scrub_recovered.isel(activation=slice(3))
    assert int(scrubs.isnull().sum()) == len(of_sweeps.HYPOTHESES)
    assert (scrubs.sel(hypothesis="all").fillna(1) == 1).all()
    assert of_sweeps.left_out(ds) == ["softmax_batch", "own_function"]


@pytest.mark.slow
def test_untied_models_are_read_by_their_own_decoder():
    tied = {"activation": "relu", "sparsity": 0.9, "n_features": 5, "n_hidden": 3, "steps": 50}
    trained = jsuper.run(jsuper.Sweep(**tied, tied=(True, False), seeds=1), progress=False)
    ds = jsuper.scrub_all(trained).squeeze()
    one = ds.sel(tied=False)
    own = one.W_dec.values
    assert abs(own - one.W.values).max() > 0.1
    samples = samplers.sparse(0.9, 5, of_sweeps.BLOCKS * samplers.BLOCK)
    importance = 0.7 ** np.arange(5)
    tried = hypotheses.standard_hypotheses(one.W.values)["self"]
    weights, bias = one.W.values, one.b.values
    found = scrub(weights, bias, "relu", samples, tried, importance, W_dec=own)
    mine = one.scrub_recovered.sel(hypothesis="self")
    np.testing.assert_allclose(mine, found.recovered, rtol=2e-4, atol=2e-5)
    assert abs(mine - scrub(weights, bias, "relu", samples, tried, importance).recovered) > 0.01


@pytest.mark.slow
def test_models_of_several_shapes(ds):
    """A smaller model has no values beyond its own features, and the larger one is its own."""
    small = ds.isel(activation=[0]).drop_vars([*of_sweeps.VARIABLES, "hypothesis", "V", "c"])
    padded = {k: small[k].pad(feature=(0, 1), constant_values=np.nan) for k in ("W", "b")}
    drawn = {
        k: (v.dims, RNG.normal(size=v.shape).astype(np.float32) / 2) for k, v in padded.items()
    }
    small, large = (small.drop_vars(["W", "b"]).assign(k) for k in (padded, drawn))
    both = xr.concat([small.drop_vars("n_features"), large.drop_vars("n_features")], "n_features")
    both = both.assign_coords(n_features=[5, 6]).transpose("activation", "sparsity", "seed", ...)
    found = jsuper.scrub_all(both)
    first = found.sel(n_features=5).transpose(..., "hypothesis", "feature")
    assert first.scrub_recovered_output.isel(feature=5).isnull().all()
    before = ds.isel(activation=[0]).scrub_recovered_output
    after = first.scrub_recovered_output.isel(feature=slice(5))
    np.testing.assert_allclose(after, before.transpose(*after.dims), rtol=1e-4, atol=1e-5)
    assert found.sel(n_features=6).scrub_recovered.isel(seed=1).notnull().all()
    assert found.scrub_recovered_output.isel(feature=5, seed=1).sel(n_features=6).notnull().any()


def test_words_by_hand(ds):
    cell = ds.isel(activation=[0], sparsity=[0], seed=[1]).copy(deep=True)
    names = list(of_sweeps.HYPOTHESES)

    def word(**recovered):
        values = np.array([{"all": 1.0, "none": 0.0, "subspaces": 1.0}.get(k, 0) for k in names])
        for k, v in recovered.items():
            values[names.index(k)] = v
        missed = 1 - recovered["self"]
        cell.scrub_recovered[:] = values
        cell.scrub_interference[:] = 1 - (1 - values) / (missed if missed >= 0.001 else np.nan)
        return of_sweeps.explanation(cell).word.item()

    assert word(self=0.9999, antipodal=1, cluster=1, random=1) == "self"
    assert word(self=0.9, antipodal=0.999, cluster=1, random=0.9) == "pairs"
    assert word(self=0.9, antipodal=0.95, cluster=1, random=0.95) == "cluster"
    assert word(self=0.9, antipodal=0.95, cluster=1, random=1) == "number"
    assert word(self=0.9, antipodal=0.9, cluster=0.9, random=0.9) == "neither"
    cell.status[:] = 2
    assert word(self=0.9, antipodal=0.9, cluster=0.9, random=0.9) == ""


def test_the_page_shows_it(ds):
    found = family_of("toy").figures(ds.drop_vars(["V", "c"]))
    assert [caption[:16] for caption, _ in found] == ["Causal scrubbing"]
    axes = found[0][1].axes
    assert [ax.get_title() for ax in axes[:2]] == ["relu\n1 of 4 models left out", "softmax"]
    assert "own_function\n4 of 4 models left out" in [ax.get_title() for ax in axes]
    own = ds.sel(activation="softmax", hypothesis="self")
    lines = {line.get_label(): line for line in axes[1].lines}
    np.testing.assert_allclose(
        lines["self"].get_ydata(), 1 - own.scrub_recovered.median("seed"), rtol=1e-5
    )
    ax = missed(ds.sel(activation="relu"))
    assert ax.get_title() == "relu, 1 of 4 models left out"
    with pytest.raises(ValueError, match="select one"):
        missed(ds)
    plt.close("all")


def test_the_script_keeps_its_numbers_and_remakes_them_when_stale(run, capsys, monkeypatch):
    reports = []
    monkeypatch.setattr(sweeping, "write_report", lambda *folder: reports.append(folder[0]))
    monkeypatch.setattr(sys, "argv", ["scrub.py", str(run)])
    script = REPO / "scripts" / "scrub.py"
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(script), run_name="__main__")
    shown = capsys.readouterr()
    assert "scrubbing 8 models" in shown.err and reports == [run]
    assert "recovered by antipodal, median over 2 seeds" in shown.out
    assert "of 4 cells" in shown.out and "not scrubbed: own_function" in shown.out
    kept = jsuper.load(run)
    fresh = jsuper.scrub_all(kept.drop_vars([*of_sweeps.VARIABLES, "hypothesis"]))
    for name, (_, words) in of_sweeps.VARIABLES.items():
        np.testing.assert_array_equal(kept[name], fresh[name])
        assert kept[name].description == words

    assert main.main(["scrub", str(run), "--no-report"]) == 0  # nothing is computed again
    assert "scrubbing 8" not in capsys.readouterr().err
    path = derived.path_of(run, "scrubbing")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])  # a damaged file is as none
    with pytest.warns(UserWarning, match="damaged or.*jsuper scrub"):
        assert "scrub_recovered" not in jsuper.load(run)
    path.write_bytes(whole)
    chunk = chunk_files.chunk_path(run, manifest_of(run).chunks[0].name)
    chunk.rename(chunk.with_suffix(".away"))  # other chunks than it was made from
    with pytest.warns(UserWarning, match="other chunks.*jsuper scrub"):
        assert "scrub_recovered" not in jsuper.load(run)
    chunk.with_suffix(".away").rename(chunk)
    assert "scrub_recovered" in jsuper.load(run)
    monkeypatch.setattr("jsuper.cli.scrub.__version__", "0.0.9")  # made by another jsuper
    assert commands.scrub([str(run), "--no-report"]) == 0
    assert "from other chunks or settings" in capsys.readouterr().err


def test_the_command_refuses(tmp_path, run, capsys):
    assert commands.scrub([str(tmp_path)]) == 2
    assert "not a run folder" in capsys.readouterr().err
    assert commands.scrub([str(run), "--overlap", "2"]) == 2
    assert "overlap=2 is not in (0, 1]: try 0.1" in capsys.readouterr().err
    with pytest.raises(ValueError, match="cannot be scrubbed"):
        _ = family_of("factorization").scrubbing
