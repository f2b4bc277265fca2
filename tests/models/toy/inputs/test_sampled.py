"""A user's sampler as the law of the data: training, moments, datasets, identity and refusals."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_training import adamw_training
from running import slow

import jsuper
from jsuper.analysis import evaluation
from jsuper.cli import scrub
from jsuper.core.errors import SpecError
from jsuper.models.toy.inputs.features import importance
from jsuper.models.toy.inputs.interface import Numbers
from jsuper.models.toy.inputs.law import inputs_of
from jsuper.models.toy.inputs.sampled import Sampled
from jsuper.models.toy.layout import COLUMNS
from jsuper.models.toy.samplers import TracedSampler
from jsuper.store.comparing import compare
from jsuper.training import keys

N, M, BATCH, P = 6, 2, 32, 0.3
KEY = jsuper.seed_key(4)
SMALL = dict(n_features=N, n_hidden=M, activation="relu", seeds=(4,), batch_size=BATCH)
SMALL |= dict(steps=40, records=4)


def sparse(key, batch, p=P):
    """The draws of the default law with density 0.3."""
    u = jax.random.uniform(key, (N, batch)).T
    return jnp.where(u < p, u / p, 0.0)


def correlated(key, batch):
    """Normal features with means 3 and i, in pairs with correlation 0.8."""
    noise = jax.random.normal(key, (batch, N))
    mixed = noise.at[:, 1::2].set(0.8 * noise[:, ::2] + 0.6 * noise[:, 1::2])
    return 3.0 + jnp.arange(N) * mixed


def named(function, name):
    function.__name__ = name
    return function


# ----------------------------------------------------------------------------------------- training


@pytest.mark.slow
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-6), slow("float32", 1e-4)])
def test_training_is_that_of_a_plain_loop_over_the_same_batches(dtype, tolerance):
    rates = dict(learning_rate=3e-3, weight_decay=0)
    sweep = jsuper.Sweep(inputs=sparse, dtype=dtype, **rates, **SMALL)
    ds = jsuper.run(sweep, progress=False).squeeze()
    W, b = adamw_training(
        lambda step: sparse(keys.stream(KEY, keys.DATA, step), BATCH).T, 40, KEY, (N, M)
    )
    assert ds.W.dtype == dtype and ds.sparsity == 0
    assert ds.W.values == pytest.approx(W, abs=tolerance)
    assert ds.b.values == pytest.approx(b, abs=tolerance)
    x = np.asarray(sparse(jsuper.seed_key(77), 400_000), np.float64).T
    error = importance(0.7, N)[:, None] * (np.maximum(W.T @ W @ x + b[:, None], 0) - x) ** 2
    assert float(ds.loss) == pytest.approx(error.mean(), rel=0.02)
    constant = (importance(0.7, N) * (P / 3 - P**2 / 4)).mean()
    assert float(ds.loss_over_constant) == pytest.approx(error.mean() / constant, rel=0.03)


@pytest.mark.slow
def test_a_sampler_with_the_draws_of_the_default_law_trains_its_models():
    sizes = SMALL | dict(activation=("relu", "gelu"), steps=100)
    sampled = jsuper.run(jsuper.Sweep(inputs=sparse, **sizes), progress=False)
    law = jsuper.run(jsuper.Sweep(sparsity=1 - P, **sizes), progress=False)
    assert np.allclose(sampled.W, law.W, atol=1e-5)
    assert np.allclose(sampled.loss_curve, law.loss_curve, rtol=1e-4)
    apart = abs(sampled.loss.values - law.loss.values)
    assert (apart < 4 * np.hypot(sampled.loss_stderr.values, law.loss_stderr.values)).all()
    assert np.allclose(sampled.loss_over_constant, law.loss_over_constant, rtol=0.04)


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["vmapped", "sequential", "reference"])
def test_every_plan_trains_alike(plan):
    sweep = jsuper.Sweep(
        inputs=sparse, **SMALL | dict(activation=("relu", "gelu", "softmax"), seeds=2)
    )
    rows, other = (jsuper.run(sweep, progress=False, plan=p) for p in ("auto", plan))
    assert np.allclose(rows.W, other.W, atol=1e-5) and np.allclose(rows.loss, other.loss, rtol=0.02)


@pytest.mark.slow
def test_unpaired_models_have_their_own_batches():
    sizes = SMALL | dict(learning_rate=(1e-3, 1.001e-3))
    paired, unpaired = (
        jsuper.run(jsuper.Sweep(inputs=sparse, unpaired=u, **sizes), progress=False)
        for u in (False, True)
    )
    first = [
        float(abs(np.diff(ds.loss_curve[..., 0].values.ravel())[0])) for ds in (paired, unpaired)
    ]
    assert first[0] < 1e-7 and first[1] > 1e-4


def test_a_sampler_reads_the_step_and_the_seed_alone():
    law = Sampled(TracedSampler(sparse, N, [BATCH]))
    draw = jax.jit(law.draw, static_argnums=(2, 3))
    for step in (0, 1, 77):
        found = np.asarray(draw(KEY, jnp.int32(step), N, BATCH))
        own = np.asarray(sparse(keys.stream(KEY, keys.DATA, step), BATCH)).T
        assert np.array_equal(found, own)


# ---------------------------------------------------------------------------- moments and datasets


@pytest.mark.slow
def test_moments_are_those_of_the_closed_form():
    mean, variance = evaluation.moments(correlated, N)
    sigma = np.arange(N)
    assert mean == pytest.approx(3, abs=5 * 5 / 131_072**0.5)
    assert variance == pytest.approx(sigma**2, rel=5 * (2 / 131_072) ** 0.5, abs=1e-9)
    law = Sampled(TracedSampler(correlated, N))
    weights = jnp.asarray(importance(0.7, N), jnp.float32)
    constant = float(law.constant_loss(Numbers(jnp.float32(1)), weights, KEY))
    assert constant == pytest.approx((np.asarray(weights) * sigma**2).mean(), rel=0.02)


def test_a_variance_loses_no_digits_to_a_large_mean():
    far = named(lambda key, batch: 1000 + 0.1 * jax.random.normal(key, (batch, N)), "far")
    assert evaluation.moments(far, N)[1] == pytest.approx(0.01, rel=0.02)


def test_a_dataset_is_the_beginning_of_a_larger_one():
    law = Sampled(TracedSampler(sparse, N))
    large = np.asarray(law.dataset(KEY, N, 1000))
    for count in (1, 7, 999):
        assert np.array_equal(law.dataset(KEY, N, count), large[:, :count])
    assert len(np.unique(large.T, axis=0)) > 850
    assert large.mean() == pytest.approx(P / 2, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "softmax_batch"])
def test_full_batches_of_a_dataset_are_trained_on(activation):
    law = Sampled(TracedSampler(sparse, N))
    x = np.asarray(law.dataset(KEY, N, 30))
    sizes = SMALL | dict(activation=activation)
    sweep = jsuper.Sweep(
        inputs=sparse,
        dataset_size=30,
        full_batch=True,
        hidden_vectors=True,
        learning_rate=3e-3,
        weight_decay=0,
        **sizes,
    )
    ds = jsuper.run(sweep, progress=False).squeeze()
    assert ds.hidden_vectors.values == pytest.approx(ds.W.values @ x, abs=1e-5)
    assert np.isfinite([ds.loss, ds.train_loss]).all()
    if activation == "relu":
        W, _ = adamw_training(lambda step: x, 40, KEY, (N, M))
        assert ds.W.values == pytest.approx(W, abs=1e-4)


@pytest.mark.slow
def test_mini_batches_of_a_dataset_are_trained_on():
    ds = jsuper.run(jsuper.Sweep(inputs=sparse, dataset_size=100, **SMALL), progress=False)
    assert (ds.status == 1).all() and ds.train_loss.notnull().all()


# ------------------------------------------------------------------------------ what a folder knows


def scaled(factor):
    return named(lambda key, batch: factor * sparse(key, batch), "scaled")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder of `scaled(2.0)`."""
    folder = tmp_path_factory.mktemp("sampled") / "run"
    jsuper.run(jsuper.Sweep(inputs=scaled(2.0), **SMALL), folder, progress=False)
    return folder


@pytest.mark.slow
def test_a_folder_goes_on_with_its_sampler_and_refuses_another(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    before = jsuper.load(tmp_path / "run")
    with pytest.raises(SpecError, match="function 'scaled' that computes something else; rename"):
        jsuper.run(jsuper.Sweep(inputs=scaled(3.0), **SMALL), tmp_path / "run", progress=False)
    with pytest.raises(SpecError, match="another sweep: inputs is scaled@.* there and None"):
        jsuper.run(jsuper.Sweep(sparsity=0, **SMALL), tmp_path / "run", progress=False)
    more = jsuper.Sweep(inputs=scaled(2.0), **SMALL | dict(seeds=(4, 5), batch_size=(BATCH, 48)))
    ds = jsuper.run(more, tmp_path / "run", progress=False)
    assert json.loads(ds.attrs["timing"])["models"] == 3
    assert np.array_equal(ds.W.sel(batch_size=BATCH, seed=[4]).squeeze(), before.W.squeeze())
    assert compare(trained, tmp_path / "run", 0.0).equal


@pytest.mark.slow
def test_a_folder_of_another_version_of_jax_or_without_a_record_is_compared(trained, tmp_path):
    manifest = json.loads((trained / "manifest.json").read_text())
    (label,) = manifest["functions"]
    record = manifest["functions"][label]
    assert set(record["identities"]) == {f"{N} {batch}" for batch in (1, BATCH, COLUMNS)}
    assert set(record["probes"]) == {f"{N} {COLUMNS}"}
    older = {k: "0" * 32 for k in manifest["functions"][label]["identities"]}
    for name, change in {"older": {"jax": "0.9", "identities": older}, "lost": None}.items():
        shutil.copytree(trained, tmp_path / name)
        changed = json.loads(json.dumps(manifest))
        changed["functions"] = {label: changed["functions"][label] | change} if change else {}
        (tmp_path / name / "manifest.json").write_text(json.dumps(changed))
        sizes = SMALL | dict(batch_size=(BATCH, 48))  # so that the label differs
        with pytest.raises(SpecError, match="computes something else"):
            jsuper.run(jsuper.Sweep(inputs=scaled(2.5), **sizes), tmp_path / name, progress=False)
        ds = jsuper.run(jsuper.Sweep(inputs=scaled(2.0), **sizes), tmp_path / name, progress=False)
        assert json.loads(ds.attrs["timing"])["models"] == 1, name


def test_a_lost_manifest_is_rebuilt(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "manifest.json").unlink()
    assert (jsuper.load(tmp_path / "run").W == jsuper.load(trained).W).all()
    ds = jsuper.run(jsuper.Sweep(inputs=scaled(2.0), **SMALL), tmp_path / "run", progress=False)
    assert json.loads(ds.attrs["timing"])["models"] == 0


def test_a_folder_is_analyzed_without_its_sampler(trained):
    ds = jsuper.analyze(jsuper.load(trained))
    assert ds.features_represented.notnull().all() and ds.loss_over_constant.notnull().all()
    assert ds.alignment.notnull().all() and ds.failed_fit.notnull().all()
    lacking = ("feature_error", "r_squared", "neuron_kurtosis", "interference_by_density", "gain")
    lacking += ("basis_kurtosis", "basis_kurtosis_samples", "basis_kurtosis_z", "loss_over_zero")
    for name in lacking:
        assert ds[name].isnull().all(), name
        assert "inputs is a function" in ds[name].description or name == "r_squared"
    assert jsuper.scrub_all(ds).scrub_recovered.isnull().all()


@pytest.mark.slow
def test_a_sampler_and_an_activation_of_the_user_s_are_matched_together(tmp_path):
    act = named(lambda z: jnp.maximum(z, 0.1 * z), "act")
    sweep = jsuper.Sweep(inputs=sparse, **SMALL | dict(activation=("relu", act)))
    first = jsuper.run(sweep, tmp_path / "run", progress=False)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest | {"functions": {}}))
    more = jsuper.Sweep(
        inputs=sparse, **SMALL | dict(activation=("relu", act), batch_size=(BATCH, 48))
    )
    ds = jsuper.run(more, tmp_path / "run", progress=False)
    assert np.array_equal(ds.W.sel(batch_size=BATCH).squeeze(), first.W.squeeze())
    assert json.loads(ds.attrs["timing"])["models"] == 2


# ----------------------------------------------------------------------------------------- refusals


def wrong(value):
    """Return a sampler that makes something of the right samples."""
    return lambda key, batch: value(sparse(key, batch))


REFUSED = {
    "transposed": (wrong(lambda x: x.T), r"returns \(6, 1\); it is transposed; return one array"),
    "wide": (wrong(lambda x: jnp.pad(x, ((0, 0), (0, 1)))), r"returns \(1, 7\); return one array"),
    "pair": (wrong(lambda x: (x, x)), r"returns \(1, 6\), \(1, 6\); return one array"),
    "nothing": (wrong(lambda x: None), "returns nothing"),
    "whole": (
        wrong(lambda x: (x > 0).astype(int)),
        "returns int32; return floating-point.*astype",
    ),
    "active": (wrong(lambda x: x > 0), "returns bool; return floating-point"),
    "complex": (wrong(lambda x: x * 1j), "returns complex64"),
    "infinite": (wrong(lambda x: 1 / x), "values that are not finite, in 30.. of 3072 samples"),
    "constant": (lambda key, batch: jnp.ones((batch, N)), "the same samples for every key.*table"),
    "numpy": (lambda key, batch: np.random.rand(batch, N), "the same samples for every key"),
    "branches": (wrong(lambda x: x if x.sum() > 0 else -x), "use only jax.numpy and jax.random"),
    "prints": (wrong(lambda x: jax.debug.print("{}", x[0]) or x), "side effects"),
    "calls": (wrong(lambda x: jax.pure_callback(np.sin, x, x)), "calls Python while it runs"),
    "tuple": (lambda key, batch: (jax.random.normal(key, (batch, N)),), "returns a tuple"),
    "jit": (jax.jit(lambda key, batch: jax.random.normal(key, (batch, N))), "static_argnums=1"),
    "fixed": (wrong(lambda x: x + np.ones((BATCH, N), "f")), r"batch=1: it returns \(32, 6\)"),
    "raises": (wrong(lambda x: x.no_such), "AttributeError.*no_such"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_sampler_that_cannot_be_used_is_refused_before_anything_is_compiled(tmp_path, name):
    function, message = REFUSED[name]
    sweep = jsuper.Sweep(inputs=named(function, name), **SMALL)
    with pytest.raises(SpecError, match=f"inputs={name} .*{message}"):
        jsuper.run(sweep, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_label_stands_for_no_samples():
    with pytest.raises(SpecError, match="inputs='sparse@0+' is the label of a Python function"):
        inputs_of({"inputs": f"sparse@{'0' * 12}"})


def test_half_precision_is_cast():
    half = TracedSampler(named(wrong(lambda x: x.astype(jnp.bfloat16)), "half"), N)
    assert half(KEY, 1).dtype == "float32"


def old_keys(key, batch):
    """A sampler that unwraps its key, as older code does."""
    return sparse(jax.random.wrap_key_data(jax.random.key_data(key)), batch)


def test_the_identity_is_what_a_sampler_computes():
    one, same, other = (TracedSampler(scaled(f), N, [BATCH]) for f in (2.0, 2.0, 3.0))
    assert one == same and hash(one) == hash(same) and one.label == same.label
    assert one != other and one.label != other.label
    assert TracedSampler(old_keys, N).label == TracedSampler(old_keys, N).label
    with pytest.raises(ValueError, match="was not traced for batch=7, but for 1, 32, 1024"):
        one(KEY, 7)


# --------------------------------------------------------------------------------------- evaluation


@pytest.mark.slow
def test_weights_are_evaluated_on_a_sampler():
    W = np.random.default_rng(0).normal(size=(3, M, N)).astype("f") / 2
    b = np.full((3, N), 0.05, "f")
    weights = importance(0.7, N)
    found = evaluation.evaluate_sparse(W, b, "relu", importance=weights, inputs=sparse)
    law = evaluation.evaluate_sparse(W, b, "relu", 1 - P, weights)
    x = np.asarray(sparse(jsuper.seed_key(5), 200_000)).T
    plain = evaluation.evaluate(W, b, "relu", x, weights)
    for other in (law, plain):
        spread = np.hypot(found.stderr, other.stderr)
        assert (abs(found.loss - other.loss) < 4 * spread).all()
        assert found.errors == pytest.approx(other.errors, rel=0.05)
    assert evaluation.r_squared(found.errors, inputs=sparse) == pytest.approx(
        evaluation.r_squared(law.errors, P), abs=0.08
    )
    relative = evaluation.relative_loss(found.loss, None, weights, M, inputs=sparse)
    expected = evaluation.relative_loss(law.loss, P, weights, M)
    for a, b in zip(relative, expected, strict=True):
        assert a == pytest.approx(b, abs=0.05, rel=0.05)


def test_an_activation_over_the_batch_is_evaluated_on_whole_batches():
    W, b = np.eye(N)[:M] * 0.9, np.zeros(N)
    found, law = (
        evaluation.evaluate_sparse(W, b, "softmax_batch", batch_size=50, **kind)
        for kind in (dict(inputs=sparse), dict(sparsity=1 - P))
    )
    assert found.loss == pytest.approx(law.loss, rel=0.05) and found.errors.dtype == np.float64


BAD = [
    (dict(), "sparsity is missing"),
    (dict(sparsity=0.5, inputs=sparse), "inputs is given with sparsity, support or values"),
    (dict(values="signed", inputs=sparse), "inputs is given with sparsity, support or values"),
    (dict(inputs=named(REFUSED["wide"][0], "wide")), r"returns \(1, 7\)"),
]


@pytest.mark.parametrize("given, message", BAD)
def test_an_evaluation_with_two_laws_or_none_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        evaluation.evaluate_sparse(np.ones((M, N)), np.zeros(N), "relu", **given)
    with pytest.raises(ValueError, match="density is missing"):
        evaluation.r_squared(np.ones(N))
    with pytest.raises(ValueError, match="inputs is given with density"):
        evaluation.relative_loss(1.0, 0.5, np.ones(N), M, inputs=sparse)


@pytest.mark.parametrize("weights", [None, tuple(0.5**i for i in range(N))])
def test_the_loss_of_a_stored_model_on_samples_is_the_plain_mean(trained, weights):
    one = jsuper.model(jsuper.load(trained).isel(activation=0, sparsity=0, seed=0))
    x = np.asarray(sparse(jsuper.seed_key(8), 500))
    if weights is not None:
        one = jsuper.model(one.params.W, one.params.b, activation="relu", importance=weights)
    own = importance(0.7, N) if weights is None else np.array(weights)
    W, b = np.asarray(one.params.W), np.asarray(one.params.b)
    plain = (own * (x - np.maximum(x @ W.T @ W + b, 0)) ** 2).mean()
    assert float(one.loss(x)) == pytest.approx(plain, rel=1e-5)


@pytest.mark.slow
def test_one_model_of_a_sampler_can_be_trained_as_a_function():
    sweep = jsuper.Sweep(inputs=sparse, **SMALL)
    result = jax.jit(jsuper.make_train(sweep))(jsuper.make_setting(sweep), KEY)
    ds = jsuper.run(sweep, progress=False).squeeze()
    assert np.asarray(result["W"]) == pytest.approx(ds.W.values, abs=1e-5)


def test_scrubbing_says_that_a_folder_does_not_hold_the_samples(trained):
    with pytest.raises(SpecError, match="does not hold the samples of inputs=scaled$"):
        scrub.kept_or_new(trained, 0.1)
    assert not (trained / "scrubbing.npz").exists()
