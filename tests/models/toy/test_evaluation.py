"""The final loss: which rounds measure it, and that shared samples give what separate ones do."""

import jax
import numpy as np
import pytest
from sparse_features import nonzero_features

import jsuper
from jsuper.models.toy.evaluation import MIN_ROUNDS, RELATIVE_ERROR
from jsuper.models.toy.inputs.features import importance
from jsuper.models.toy.layout import COLUMNS
from jsuper.training import keys

ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "identity": lambda z: z,
}
DENSITIES = (1.0, 0.1, 0.02)
SEEDS = (3, 4)
MOST = 200  # rounds that this test replays


@pytest.fixture(scope="module")
def trained():
    sweep = jsuper.Sweep(
        activation=tuple(ACTIVATIONS),
        sparsity=tuple(1 - p for p in DENSITIES),
        seeds=SEEDS,
        n_features=6,
        n_hidden=2,
        batch_size=64,
        steps=60,
        check_fit=True,
    )
    return {plan: jsuper.run(sweep, progress=False, plan=plan) for plan in ("auto", "reference")}


@jax.jit
def columns(key, i, density):
    return nonzero_features(keys.stream(key, keys.EVALUATION, i), density, COLUMNS)


def replayed(one, act, seed, density):
    """Return loss, standard error and number of rounds by the stopping rule, in float64 NumPy."""
    W, b = one.W.values.astype(float), one.b.values.astype(float)
    key, weights, losses = jsuper.seed_key(seed), importance(0.7, len(b)), []
    while len(losses) < MOST:
        x, chance = columns(key, np.int32(len(losses)), np.full(len(b), density, np.float32))
        x, chance = np.asarray(x, np.float64), float(chance)
        errors = ((act(W.T @ (W @ x) + b[:, None]) - x) ** 2).mean(axis=1)
        losses.append((weights * (chance * errors + (1 - chance) * act(b) ** 2)).mean())
        k = len(losses)
        if k < MIN_ROUNDS:
            continue
        stderr = np.std(losses, ddof=1) / np.sqrt(k)
        if stderr * (1 + 1 / np.sqrt(2 * (k - 1))) <= RELATIVE_ERROR * np.mean(losses):
            break
    return np.mean(losses), stderr, k


def test_the_loss_is_the_mean_of_the_first_rounds_that_suffice(trained):
    counts = set()
    for name, act in ACTIVATIONS.items():
        for density in DENSITIES:
            for seed in SEEDS:
                one = trained["auto"].sel(activation=name, seed=seed).squeeze()
                one = one.sel(sparsity=1 - density)
                loss, stderr, k = replayed(one, act, seed, density)
                counts.add(k)
                assert float(one.loss) == pytest.approx(loss, rel=2e-5), (name, density)
                assert float(one.loss_stderr) == pytest.approx(stderr, rel=2e-3), (name, density)
    assert min(counts) == MIN_ROUNDS and len(counts) > 1 and max(counts) < MOST


def test_models_that_share_samples_are_measured_as_if_alone(trained):
    auto, reference = trained["auto"], trained["reference"]
    for name in ("loss", "loss_stderr", "improvement", "improvement_stderr"):
        np.testing.assert_allclose(auto[name], reference[name], rtol=2e-3, atol=1e-7, err_msg=name)


def test_the_error_is_at_most_half_a_percent(trained):
    for ds in trained.values():
        assert float((ds.loss_stderr / ds.loss).max()) < RELATIVE_ERROR
