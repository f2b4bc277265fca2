"""A user's function is identified by what it computes, and what was traced is trained.

`CHANGES` has a row for each way in which a function can change without a change of its source.
"""

import copy
import dataclasses
import functools
import json
import shutil
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import DATA, REPO, slow

import jsuper
from jsuper.analysis import evaluation, gating
from jsuper.core.errors import SpecError
from jsuper.models.toy import matching
from jsuper.models.toy.functions import Traced
from jsuper.models.toy.widths import couples_batch
from jsuper.store.manifest import existing, read_manifest

SMALL = dict(sparsity=0.5, seeds=2, steps=20, batch_size=48, n_features=6, n_hidden=2)
SIZES = [(6, "float32")]


class Leaky:
    def __init__(self, slope):
        self.slope = slope

    def act(self, z):
        return jnp.where(z > 0, z, self.slope * z)

    __call__ = act


def named(function, name="act"):
    function.__name__ = name
    return function


def reads_a_global(slope):
    space = {"jnp": jnp, "SLOPE": slope}
    exec("def act(z):\n    return jnp.where(z > 0, z, SLOPE * z)", space)
    return space["act"]


def calls_a_helper(slope):
    space = {"jnp": jnp, "helper": lambda z: slope * z}
    exec("def act(z):\n    return jnp.where(z > 0, z, helper(z))", space)
    return space["act"]


def partial(slope):
    def act(slope, z):
        return jnp.where(z > 0, z, slope * z)

    return functools.partial(act, slope)


def decorated(slope):
    def doubled(function):
        @functools.wraps(function)
        def inner(z):
            return function(z) * slope

        return inner

    @doubled
    def act(z):
        return jnp.maximum(z, 0)

    return act


def closed_over_array(slope):
    weights = np.ones((6, 1), np.float32)
    weights[3] = slope

    def act(z):
        return jnp.maximum(weights * z, 0)

    return act


def straight_through(slope):
    """One value, another derivative."""

    @jax.custom_vjp
    def act(z):
        return jnp.round(z)

    act.defvjp(lambda z: (jnp.round(z), z), lambda z, g: (g * slope,))
    return act


def custom_jvp(slope):
    @jax.custom_jvp
    def act(z):
        return jnp.maximum(z, 0)

    act.defjvp(lambda z, t: (act(z[0]), slope * t[0]))
    return act


def default_argument(slope):
    def act(z, slope=slope):
        return jnp.where(z > 0, z, slope * z)

    return act


def jitted(slope):
    return named(jax.jit(named(lambda z: jnp.where(z > 0, z, slope * z))))


def share_of_samples(slope):
    def act(z):  # the largest of the batch
        least = jax.lax.top_k(z, max(1, int(slope / 10 * z.shape[1])))[0][:, -1:]
        return jnp.where(z >= least, z, 0.0)

    return act


def number_of_samples(slope):
    return named(lambda z: jnp.maximum(z, 0) * (slope if z.shape[1] > 40 else 1.0))


CHANGES = {
    "a bound method": lambda slope: Leaky(slope).act,
    "a callable object": Leaky,
    "a global": reads_a_global,
    "a helper": calls_a_helper,
    "a partial": partial,
    "a decorated function": decorated,
    "an array that is closed over": closed_over_array,
    "a custom derivative alone": straight_through,
    "a custom jvp": custom_jvp,
    "a default argument": default_argument,
    "a jitted function": jitted,
    "a share of the samples": share_of_samples,
    "the number of samples": number_of_samples,
}


def label_of(function):
    return Traced(function, SIZES, ()).label


@pytest.mark.parametrize("make", CHANGES.values(), ids=CHANGES)
def test_a_function_is_what_it_computes(make):
    one, same, other = (Traced(make(slope), SIZES, [48]) for slope in (0.25, 0.25, 0.75))
    assert one.label == same.label and one == same and hash(one) == hash(same)
    assert one.label != other.label and one != other
    assert one.__name__ == ("Leaky" if make is Leaky else "act")


@pytest.mark.slow
def test_a_run_never_returns_the_results_of_another_function(tmp_path, tried):
    leaky = Leaky(0.25)
    first = jsuper.run(jsuper.Sweep(activation=leaky, **SMALL), tmp_path / "run", progress=False)
    leaky.slope = 0.75
    sweep = jsuper.Sweep(activation=leaky, **SMALL)
    second = jsuper.run(sweep, progress=False)
    assert not np.allclose(first.W, second.W, atol=1e-3)
    with pytest.raises(SpecError, match="function 'Leaky' that computes something else"):
        jsuper.run(sweep, tmp_path / "run", progress=False)
    more = jsuper.Sweep(activation=Leaky(0.25), **SMALL | {"seeds": 3})
    third = jsuper.run(more, tmp_path / "run", progress=False)
    assert np.array_equal(third.W.values[:, :, :2], first.W.values)
    tried(
        "Functions of the user's",
        "an object that was changed after it was trained: trained by itself in memory, refused in "
        "the first one's folder, which went on with an equal object",
    )


PROCESS = """
import functools, jax.numpy as jnp, jsuper
from jsuper.models.toy.functions import Traced

def twice(function):
    @functools.wraps(function)
    def inner(z):
        return 2 * function(z)
    return inner

@twice
def act(z):
    return jnp.maximum(z, 0)

print(Traced(act, [(6, "float32")], ()).label)
"""


@pytest.mark.slow
def test_a_decorated_function_has_one_identity_in_every_process():
    code = textwrap.dedent(PROCESS)
    found = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    ]
    assert found[0] == found[1] and found[0].startswith("act@")


def top(z):
    return jnp.where(z >= jax.lax.top_k(z.T, 6)[0][:, -1], z, 0.0)


def thresholds(z):
    return jnp.where(z > jnp.linspace(-1, 1, 6)[:, None], z, 0.0)


def mixes(z):
    return jnp.asarray(np.eye(6, dtype=np.float32)) @ z


@pytest.mark.slow
def test_a_function_sees_the_real_number_of_features():
    sweep = jsuper.Sweep(activation=(top, thresholds, mixes), **SMALL)
    ds = jsuper.run(sweep, progress=False)
    assert (ds.status == 1).all()
    W, b = ds.W.values[1, 0, 0], ds.b.values[1, 0, 0]
    found = evaluation.evaluate_sparse(W, b, thresholds, 0.5, 0.7 ** np.arange(6))
    assert found.loss == pytest.approx(ds.loss.values[1, 0, 0], rel=0.05)


def calls_python(z):
    return jax.pure_callback(np.sin, z, z)


def prints(z):
    jax.debug.print("{}", z.sum())
    return z


def loops(z):
    return jax.lax.while_loop(lambda c: c.sum() < 5, lambda c: c + 1.0, z)


def branches(z):
    return z if z.sum() > 0 else -z


def numpy_only(z):
    return np.maximum(z, 0)


@jax.custom_jvp
def fails(z):
    """Identity, by a call that no library provides: it can be traced, but not executed."""
    return jax.ffi.ffi_call("no_such_function", jax.ShapeDtypeStruct(z.shape, z.dtype))(z)


fails.defjvp(lambda primals, tangents: (fails(primals[0]), tangents[0]))
fails.__name__ = "fails"


REFUSED = {
    fails: "it fails when it is executed: .*no_such_function",
    calls_python: "calls Python while it runs",
    prints: "side effects .DebugEffect., such as jax.debug.print",
    loops: "has no derivative",
    branches: "use only jax.numpy",
    numpy_only: "use only jax.numpy",
    named(lambda z: z.sum(axis=0), "sums"): r"returns \(48,\) float32; return one array of z's",
    named(lambda z: z > 0, "steps"): "returns .* bool",
    named(lambda z: (z, z), "pair"): "returns .*, .* float32",
    named(lambda z, u: z, "two"): "missing 1 required",
    named(lambda z: z + np.ones((6, 40), np.float32), "fixed"): "TypeError: add got incompatible",
}


@pytest.mark.parametrize("function", REFUSED, ids=lambda f: f.__name__)
def test_a_function_that_cannot_be_trained_is_refused_by_name(tmp_path, function):
    sweep = jsuper.Sweep(activation=("relu", function), **SMALL)
    with pytest.raises(SpecError, match=f"activation '{function.__name__}'.*{REFUSED[function]}"):
        jsuper.run(sweep, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_what_was_traced_has_the_function_s_value_and_derivative(dtype):
    with jax.enable_x64(dtype == "float64"):
        z = jnp.asarray(np.random.default_rng(1).normal(size=(6, 40)), dtype)
        for make in (Leaky, straight_through, custom_jvp):
            plain, traced = make(0.3), Traced(make(0.3), [(6, dtype)], [40])

            def total(function, z=z):
                return jax.value_and_grad(lambda z: jnp.sum(function(z) * z))(z)

            for a, b in zip(total(plain), total(traced), strict=True):
                assert np.allclose(a, b, rtol=1e-6)


@pytest.mark.slow
def test_a_function_that_needs_a_whole_batch_gets_one():
    fixed = named(lambda z: z + np.ones((6, 48), np.float32), "fixed")
    assert (jsuper.run(jsuper.Sweep(activation=fixed, **SMALL), progress=False).status == 1).all()


def test_a_function_that_couples_samples_is_seen_to():
    assert couples_batch(lambda z: z - z.mean(axis=1, keepdims=True), 6)
    assert not couples_batch(lambda z: z - z.mean(axis=0), 6)
    wide = Traced(lambda z: z * (2.0 if z.shape[1] > 64 else 1.0), SIZES, [128], [32])
    assert wide.coupled  # the widths that training uses are tried


@pytest.mark.slow
def test_a_function_with_the_name_of_a_registered_activation_is_not_taken_for_it():
    sweep = jsuper.Sweep(activation=named(lambda z: jnp.maximum(z, 0) ** 2, "relu"), **SMALL)
    ds = jsuper.analyze(jsuper.run(sweep, progress=False))
    assert list(ds.activation.values) == ["relu"] and ds.feature_error.isnull().all()
    assert jsuper.scrub_all(ds).scrub_recovered.isnull().all()


@pytest.mark.parametrize("full", [slow(False), True])
def test_a_function_is_trained_and_measured_on_a_dataset(full):
    sweep = jsuper.Sweep(activation=Leaky(0.25), dataset_size=100, full_batch=full, **SMALL)
    ds = jsuper.run(sweep, progress=False)
    assert (ds.status == 1).all() and ds.train_loss.notnull().all()


# ------------------------------------------------------------------------------ what a folder knows


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder of `Leaky(0.25)`."""
    folder = tmp_path_factory.mktemp("functions") / "run"
    sweep = jsuper.Sweep(activation=Leaky(0.25), **SMALL)
    jsuper.run(sweep, folder, progress=False)
    return folder


KEY = "6 48 float32"
OTHER_VERSION = {"jax": "0.9", "identities": {KEY: "0" * 32}}
# What the manifest says of its function -> whether Leaky(0.25) and Leaky(0.75) are taken for it.
# Where it says nothing that can be used, the training of a stored model decides.
RECORDS = {
    "as it was written": ({}, True, False),
    "another version of JAX": (OTHER_VERSION, True, False),
    "another version, other slopes": (OTHER_VERSION | {"probes": "moved"}, False, False),
    "this version, other steps": ({"identities": {KEY: "0" * 32}}, False, False),
    "no sizes in common": ({"identities": {"7 48 float32": "0" * 32}, "probes": {}}, True, False),
    "no record": (None, True, False),
    "a damaged record": ({"identities": [1]}, True, False),
    "damaged probes": (OTHER_VERSION | {"probes": {KEY: {"values": "x"}}}, True, False),
}


@pytest.mark.parametrize("record, same, other", RECORDS.values(), ids=RECORDS)
def test_a_folder_knows_its_function(trained, monkeypatch, tried, record, same, other):
    own = Traced(Leaky(0.25), SIZES, [48]).identities
    monkeypatch.setattr(
        matching, "_reproduces", lambda known, *_: [f.identities for f in known.values()] == [own]
    )
    manifest = read_manifest(trained)
    ((label, written),) = manifest.functions.items()
    changed = {} if record is None else copy.deepcopy(written) | record
    if changed.get("probes") == "moved":
        changed["probes"] = copy.deepcopy(written["probes"])
        changed["probes"][KEY]["slopes"][5] += 1e-3
    manifest = dataclasses.replace(manifest, functions={label: changed} if changed else {})
    for slope, expected in ((0.25, same), (0.75, other)):
        function = Traced(Leaky(slope), SIZES, [48]).labelled(label)
        assert matching.is_same(function, existing(manifest, trained)) == expected
    tried(
        "Functions of the user's",
        "a folder of another version of JAX, or one that does not say what its function computes: "
        "the same function was taken for it, and another one was not",
        2,
    )


@pytest.mark.slow
def test_a_folder_of_version_0_1_goes_on_with_its_function(tmp_path):
    """Made by 0.1 with Leaky(0.1).act, which it identified by its source text."""
    shutil.copytree(DATA / "run-0.1-function", tmp_path / "run")
    size = SMALL | {"sparsity": (0.5, 0.9), "steps": 300, "batch_size": 64, "seeds": 3}
    with pytest.raises(SpecError, match="computes something else"):
        jsuper.run(
            jsuper.Sweep(activation=Leaky(0.9).act, **size), tmp_path / "run", progress=False
        )
    before = jsuper.load(tmp_path / "run")
    sweep = jsuper.Sweep(activation=Leaky(0.1).act, **size)
    ds = jsuper.run(sweep, tmp_path / "run", progress=False)
    assert np.array_equal(ds.W.values[:, :, :2], before.W.values) and (ds.status == 1).all()
    assert json.loads(ds.attrs["timing"])["models"] == 2


# ------------------------------------------------------------------------------- what is not finite


def root(z):
    return jnp.where(z > 0, jnp.sqrt(z), 0.0)


def late(z):
    return jnp.where(z > 0.9, jnp.nan, z)


@pytest.mark.slow
def test_models_that_are_not_finite_are_named_with_the_usual_reason():
    rates = {"learning_rate": (1e-3, 1e30), "steps": 400}
    sweep = jsuper.Sweep(activation=(root, late, "relu"), **SMALL | rates)
    with pytest.warns(RuntimeWarning) as caught:
        ds = jsuper.run(sweep, progress=False)
    (text,) = [str(w.message) for w in caught]
    lost = int((ds.status == 2).sum())
    assert f"{lost} of 12 models are not finite" in text
    assert "root: 4 of 4 from step 0 on" in text and "relu: 2 of 4 from step 1 on" in text
    assert "The loss of root is finite at step 0 but its gradient is not. jnp.where also" in text
    assert (ds.status.sel(activation="relu", learning_rate=1e-3) == 1).all()


# --------------------------------------------------------------------------------- in the analysis


def test_the_analysis_sees_a_function_that_changes():
    leaky, W = Leaky(0.0), np.random.default_rng(0).normal(size=(2, 6)).astype("f")
    b, x = np.zeros(6, "f"), np.random.default_rng(1).uniform(size=(6, 50)).astype("f")
    losses, slopes = [], []
    for leaky.slope in (0.0, 0.5, 0.0):
        losses.append(float(evaluation.evaluate(W, b, leaky, x).loss))
        slopes.append(gating.profile(leaky).smallest_slope.value)
    assert losses[0] == losses[2] != losses[1]
    assert slopes == [0.0, 0.5, 0.0]
