"""The engine: the same models however they are batched; compiles, other devices."""

import dataclasses
import json
import os

import jax
import numpy as np
import pytest
from plans import TINY, VMAPPED, agree
from running import python

import jsuper
from jsuper.core.grid import Chunk, expand
from jsuper.engine import counters, programs
from jsuper.engine import devices as plan
from jsuper.engine import workers as engine
from jsuper.engine.stopping import Stop
from jsuper.models.toy import rows
from jsuper.models.toy import train as toy
from jsuper.models.toy.kernels import launching

SWEEP = jsuper.Sweep(
    activation=("relu", "gelu", "softmax"), sparsity=(0.0, 0.9, 0.99), seeds=3, steps=60,
    batch_size=256,
)  # fmt: skip


@pytest.fixture(scope="module")
def reference():
    return jsuper.run(SWEEP, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize(("chunk_models", "workers"), [(1, 3), (4, 1)])
def test_chunks_and_workers_do_not_matter(reference, monkeypatch, chunk_models, workers):
    monkeypatch.setattr(plan, "max_models", lambda *_: chunk_models)
    agree(jsuper.run(SWEEP, progress=False, workers=workers), reference)


@pytest.mark.slow
def test_order_of_axes_and_company_do_not_matter(reference):
    other = dataclasses.replace(
        SWEEP, activation=("softmax", "mish", "relu"), sparsity=(0.99, 0.0, 0.5), seeds=(2, 9, 0)
    )
    ds = jsuper.run(other, progress=False)
    common = {"activation": ["relu", "softmax"], "sparsity": [0.0, 0.99], "seed": [0, 2]}
    agree(ds.sel(common), reference.sel(common))


@pytest.mark.parametrize(
    "batching",
    [
        pytest.param(b, marks=pytest.mark.slow) if b in ("rows", "sequential", *plan.AT_ONCE) else b
        for b in plan.BATCHINGS
        if b != "kernel"  # of GPUs; see test_trials.py
    ],
)
def test_every_plan_gives_the_same_models(reference, batching):
    used = plan.make_plan("cpu", batching=batching)
    agree(jsuper.run(SWEEP, plan=used, progress=False), reference)


@pytest.mark.slow
def test_the_fast_plan_trains_every_activation_as_the_plain_one_does(monkeypatch):
    more = {"xla_backend_optimization_level": 1}  # pays for so many steps
    if os.environ["XLA_FLAGS"]:  # .ci/run compiles this test as for users
        monkeypatch.setattr(programs, "compile_for", lambda _, lowered: lowered.compile(more))
    sweep = jsuper.Sweep(sparsity=(0.5, 0.97, 0.999), seeds=1, steps=50, dropout=(0.0, 0.2))
    assert len(sweep.activation) == 27
    plain, fast = (
        jsuper.run(sweep, plan=plan.make_plan("cpu", batching=b), progress=False)
        for b in ("reference", "auto")
    )
    assert fast.loss.values == pytest.approx(plain.loss.values, rel=1e-4)
    assert fast.loss_curve.values == pytest.approx(plain.loss_curve.values, rel=1e-4)


@pytest.mark.slow
def test_sparsities_of_features_train_alike_in_narrow_and_whole_batches():
    sweep = jsuper.Sweep(
        activation=("relu", "gelu", "softmax"),
        feature_sparsity=tuple(float(s) for s in np.linspace(0.99, 0.9999, 20)),
        dropout=(0.0, 0.2),
        seeds=2,
        steps=200,
    )
    settings = expand(sweep)[0]
    assert toy.make_static(settings.static, [settings.settings], "rows").widths
    whole, narrow = (
        jsuper.run(sweep, plan=plan.make_plan("cpu", batching=b), progress=False)
        for b in ("reference", "rows")
    )
    assert narrow.loss_curve.values == pytest.approx(whole.loss_curve.values, rel=1e-4)
    assert narrow.W.values == pytest.approx(whole.W.values, rel=1e-4, abs=1e-5)


@pytest.mark.filterwarnings("ignore:.* models are not finite:RuntimeWarning")
def test_a_model_that_diverges_leaves_the_others_of_its_row_as_they_are(tried):
    sweep = jsuper.Sweep(
        activation=("relu", "exp"), sparsity=0.5, learning_rate=(1e-3, 1e-2), seeds=1, steps=50
    )
    fine = jsuper.run(sweep, progress=False)
    wild = jsuper.run(dataclasses.replace(sweep, learning_rate=(1e-3, 1e4)), progress=False)
    assert (wild.sel(learning_rate=1e4).status == 2).all()
    assert (wild.W.sel(learning_rate=1e-3) == fine.W.sel(learning_rate=1e-3)).all()
    neighbours = int(wild.status.sel(learning_rate=1e4).size)
    tried(
        "Models that diverge",
        "models beside others that are trained together with them: the others are bit by bit what "
        "they are without",
        neighbours,
    )


def trained(*chunks):
    used, progress, stop = plan.make_plan("cpu"), counters.Progress(), Stop()
    return dict(
        (chunk.name, arrays)
        for chunk, arrays in engine.train_chunks(used, list(chunks), list(chunks), progress, stop)
    )


@pytest.mark.slow
def test_blocks_may_lack_models_of_others(reference):
    """Slots that stay empty: in the first row, in a later one, a whole row."""
    group = expand(SWEEP)[0]
    whole = Chunk("toy", group.static, group.settings, (0,))
    parts = [
        Chunk("toy", group.static, tuple(s for s in group.settings if keep(s)), (1,))
        for keep in (
            lambda s: (s["activation"], s["sparsity"]) != ("relu", 0.0),
            lambda s: (s["activation"], s["sparsity"]) not in (("relu", 0.9), ("gelu", 0.99)),
            lambda s: s["sparsity"] != 0.9,
        )
    ]
    results = trained(whole, *parts)
    for chunk in (whole, *parts):
        for row, setting in enumerate(chunk.settings):
            expected = reference.sel(seed=chunk.seeds[0]).sel(
                {k: setting[k] for k in ("activation", "sparsity")}
            )
            got = results[chunk.name]["W"][row, 0]
            W = expected.W.transpose("hidden", "feature").values
            assert np.abs(got - W).max() <= 1e-5 * np.abs(W).max(), setting


@pytest.mark.slow
def test_unpaired_models_have_their_own_draws():
    sweep = jsuper.Sweep(
        activation=("silu", "swish"), sparsity=0.5, seeds=2, steps=20, unpaired=True, **TINY
    )
    ds = jsuper.run(sweep, progress=False)
    silu, swish = ds.sel(activation="silu"), ds.sel(activation="swish")
    assert abs(silu.W - swish.W).max() > 0.01
    alone = jsuper.run(dataclasses.replace(sweep, activation="swish"), progress=False)
    agree(alone.sel(activation=["swish"]), ds.sel(activation=["swish"]))
    vmapped = jsuper.run(sweep, progress=False, plan=VMAPPED)
    agree(vmapped, ds)


@pytest.mark.slow
def test_shapes_may_be_odd():
    sweep = jsuper.Sweep(
        activation=("relu", "tanh"),
        sparsity=(0.5, 0.99),
        seeds=3,
        steps=7,
        n_features=1,
        n_hidden=2,
        batch_size=(1, 130),
        records=3,
    )
    ds = jsuper.run(sweep, progress=False)
    assert (ds.status == 1).all() and np.isfinite(ds.loss).all()
    assert ds.W.sizes["hidden"] == 2 and ds.W.sizes["feature"] == 1


def compiles(ds):
    return json.loads(ds.attrs["timing"])["compiles"]


@pytest.mark.slow
def test_one_compile_serves_every_block(monkeypatch):
    monkeypatch.setattr(plan, "max_models", lambda *_: 2)
    sweep = jsuper.Sweep(
        activation=("relu", "selu"),
        sparsity=0.5,
        learning_rate=(0.1, 0.2),
        seeds=5,
        steps=3,
        **TINY,
    )
    first = jsuper.run(sweep, progress=False)
    assert compiles(first) == 1
    assert compiles(jsuper.run(sweep, progress=False)) == 0
    monkeypatch.setattr(plan, "max_models", lambda *_: 4)
    assert compiles(jsuper.run(sweep, progress=False, plan=VMAPPED)) == 1  # for both activations


def test_no_function_is_traced_again_for_a_second_block(monkeypatch):
    monkeypatch.setattr(plan, "max_models", lambda *_: 1)
    traced = []
    make_gradient = rows.make_gradient

    def counting(*args):
        gradient = make_gradient(*args)
        return lambda *args: (traced.append(1), gradient(*args))[1]

    monkeypatch.setattr(rows, "make_gradient", counting)
    sweep = jsuper.Sweep(activation="relu6", sparsity=(0.1, 0.3), seeds=1, steps=3, **TINY)
    jsuper.run(sweep, progress=False)
    once = len(traced)
    jsuper.run(dataclasses.replace(sweep, seeds=(5, 6, 7)), progress=False)
    assert once > 0 and len(traced) == once


@pytest.mark.parametrize(
    "platform, batching", [("cuda", "vmapped"), ("tpu", "vmapped"), ("cuda", "kernel")]
)
def test_the_accelerator_plan_lowers_without_the_accelerator(platform, batching, monkeypatch):
    monkeypatch.setattr(launching, "ptx_of", lambda kernel: "")  # no compiler is needed
    group = expand(jsuper.Sweep(seeds=4))[0]
    gelus = [s for s in group.settings if s["activation"] == "gelu"]
    static = toy.make_static(group.static, [gelus], batching)
    functions = programs.batched(toy.make_train(static), paired=True)
    settings, keys = programs.example_arguments(toy, static, (7, 4), paired=True)
    state = jax.eval_shape(functions.init, settings, keys)
    step = jax.ShapeDtypeStruct((), np.int32)
    fixed = programs.fixed_steps(functions.train, sequential=False)
    assert fixed == 100
    advance = jax.jit(lambda s, p, k, start: functions.advance(s, p, k, start, fixed))
    text = (
        advance.trace(state, settings, keys, step).lower(lowering_platforms=(platform,)).as_text()
    )
    assert "HIGHEST" in text and "DEFAULT" not in text  # no TF32, no bfloat16
    assert "case" not in text  # no switch over activations under vmap
    jax.jit(functions.finish).trace(state, settings, keys).lower(lowering_platforms=(platform,))


SEVERAL_DEVICES = """
import jax, jsuper
from jsuper.engine.devices import Plan
devices = jax.devices()
assert len(devices) == 2
sweep = jsuper.Sweep(activation=("relu", "tanh"), sparsity=0.5, seeds=2, steps=5, n_features=6,
                     n_hidden=2, batch_size=64)
several = jsuper.run(sweep, progress=False, plan=Plan("cpu", tuple(devices), "vmapped"))
one = jsuper.run(sweep, progress=False, plan=Plan("cpu", (devices[0],), "vmapped"))
assert (several.W == one.W).all() and (several.status == 1).all()
from jsuper.engine.programs import _programs
assert {key.device for key in _programs} == set(devices)
"""


@pytest.mark.slow
def test_several_accelerators_share_the_blocks():
    """Two CPU devices stand for two accelerators: each compiles for itself and does its part."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    code, said = python(SEVERAL_DEVICES, XLA_FLAGS=flags)
    assert code == 0, said


def test_a_platform_that_is_not_there_is_refused():
    with pytest.raises(jsuper.SpecError, match="platform='tpu' is not available.*cpu"):
        jsuper.run(jsuper.Sweep(steps=1), platform="tpu")


@pytest.mark.slow
def test_a_jax_that_is_configured_otherwise_does_not_change_a_result(reference):
    sweep = dataclasses.replace(SWEEP, activation="relu")
    with jax.enable_x64(True), jax.threefry_partitionable(False):
        jax.numpy.zeros(3).block_until_ready()
        ds = jsuper.run(sweep, progress=False)
    assert ds.W.dtype == np.float32
    agree(ds, reference.sel(activation=["relu"]))


@pytest.mark.slow
def test_a_function_can_be_an_activation(reference):
    def my_gelu(z):
        return jax.nn.gelu(z, approximate=False)

    ds = jsuper.run(dataclasses.replace(SWEEP, activation=(my_gelu, "relu")), progress=False)
    assert list(ds.activation.values) == ["my_gelu", "relu"]
    same = ds.sel(activation=["my_gelu"]).assign_coords(activation=["gelu"])
    agree(same, reference.sel(activation=["gelu"]))
