"""Causal scrubbing against plain loops in float64, closed forms and cases made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import slow
from scipy.linalg import block_diag
from scipy.special import erf

from jsuper.analysis import hypotheses, samplers, scrubbed
from jsuper.analysis.samplers import Samples
from jsuper.analysis.scrubbing import scrub

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
