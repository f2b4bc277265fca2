"""The engine: the same models however they are batched; memory, faults, compiles, other devices."""

import dataclasses
import json
import os
import queue
import signal
import threading
import time

import jax
import numpy as np
import pytest
from running import python, slow

import jsuper
from jsuper.core.errors import NonFiniteWarning
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
TINY = {"n_features": 6, "n_hidden": 2, "batch_size": 64}
CPU = jax.devices("cpu")[0]
VMAPPED = plan.Plan("cpu", (CPU,), "vmapped")


@pytest.fixture(scope="module")
def reference():
    return jsuper.run(SWEEP, progress=False)


def agree(a, b):
    """Weights to 1e-5 of the largest, loss to 1e-3: what is promised of any batching."""
    a, b = a.transpose(*b.dims), b
    assert float(abs(a.W - b.W).max()) <= 1e-5 * float(abs(b.W).max())
    assert a.loss.values == pytest.approx(b.loss.values, rel=1e-3)
    assert (a.status == b.status).all()


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


@dataclasses.dataclass(frozen=True)
class Memory:
    """A device of which all that is known is how much memory it has, and how much is taken."""

    bytes_limit: int
    bytes_in_use: int

    def memory_stats(self):
        return dataclasses.asdict(self)


@pytest.mark.parametrize(
    ("in_use", "shape"),
    [(0, (4, 100)), (300_000, (4, 87)), (900_000, (4, 12)), (999_000, (1, 1)), (10**6, (1, 1))],
)
def test_a_block_is_as_large_as_the_free_memory_holds(monkeypatch, in_use, shape):
    def compiled(key, progress):
        rows, columns = key.shape
        return dataclasses.make_dataclass("P", [("memory", int)])(1400 * rows * columns)

    monkeypatch.setattr(programs, "compiled", compiled)
    key = programs.Key("toy", None, False, True, (4, 100), Memory(10**6, in_use))
    assert programs.fitting_key(key, counters.Progress()).shape == shape


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


class Scarce:
    """Stands for a device whose memory holds only so many models."""

    def __init__(self, monkeypatch, most):
        compiled = programs.compiled

        def limited(key, progress):
            program = compiled(key, progress)
            if key.shape[0] * key.shape[1] <= most:
                return program

            def advance(*_):
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating")

            return dataclasses.replace(program, advance=advance)

        monkeypatch.setattr(programs, "compiled", limited)


@pytest.mark.slow
@pytest.mark.parametrize("used", [None, VMAPPED], ids=["sequential", "vmapped"])
def test_out_of_memory_halves_the_block_and_goes_on(monkeypatch, tried, used):
    sweep = jsuper.Sweep(activation="relu", sparsity=(0.1, 0.5, 0.9), seeds=3, steps=5, **TINY)
    expected = jsuper.run(sweep, progress=False)
    Scarce(monkeypatch, most=5)
    agree(jsuper.run(sweep, progress=False, plan=used, workers=1), expected)
    tried(
        "Out of memory, simulated",
        "a device that holds 5 of 9 models, one after another and all at once: the block was "
        "halved until it fitted, and the models were the same",
    )


@pytest.mark.slow
def test_a_model_that_memory_never_holds_is_marked_failed(monkeypatch, tried):
    Scarce(monkeypatch, most=0)
    ds = jsuper.run(jsuper.Sweep(activation="relu", steps=5, seeds=2, **TINY), progress=False)
    assert (ds.status == 3).all() and np.isnan(ds.loss).all()
    tried(
        "Out of memory, simulated",
        "a device that does not hold a single model: marked as failed, and the run ended",
    )


SMALL = jsuper.Sweep(activation=("relu", "tanh"), sparsity=(0.1, 0.9), seeds=2, steps=5, **TINY)


def refuses_tanh(monkeypatch, error):
    """Let the compiler refuse every program with a tanh; returns the refused ones."""
    compile_for, refused = programs.compile_for, []

    def compile_or_refuse(device, lowered):
        if "tanh" in (text := lowered.as_text()):
            refused.append(text)
            raise error
        return compile_for(device, lowered)

    monkeypatch.setattr(programs, "compile_for", compile_or_refuse)
    return refused


@pytest.fixture(scope="module")
def small_relu():
    return jsuper.run(dataclasses.replace(SMALL, activation="relu"), progress=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "error",
    [
        jax.errors.JaxRuntimeError("INTERNAL: no\ntanh " + 500 * "x"),
        NotImplementedError("no lowering of tanh"),
    ],
)
def test_models_that_cannot_be_compiled_fail_and_the_others_are_trained(
    monkeypatch, tried, error, small_relu
):
    monkeypatch.setattr(programs, "_programs", {})
    refused = refuses_tanh(monkeypatch, error)
    with pytest.warns(NonFiniteWarning, match="4 of them could not be trained.*no.*tanh"):
        ds = jsuper.run(SMALL, progress=False, workers=1)
    assert (ds.status.sel(activation="tanh") == 3).all()
    agree(ds.sel(activation=["relu"]), small_relu)
    ((message, n),) = json.loads(ds.attrs["errors"]).items()
    assert message.startswith(type(error).__name__) and "tanh" in message and n == 4
    assert len(message) <= 300 and len(set(refused)) == len(refused)  # none is tried twice
    tried(
        "Models that cannot be trained",
        "a compiler that refuses one activation: its models failed, with the message, and the "
        "others were trained",
        4,
    )


@pytest.mark.parametrize("used", [None, slow(VMAPPED)], ids=["sequential", "vmapped"])
def test_only_the_models_whose_program_stops_fail(monkeypatch, tried, used):
    """A model of one sparsity and seed stops its program wherever it is trained."""
    train, seen = engine._train, []

    def stops(plan, device, block, progress, stop):
        seen.append(block)
        if 1 in block.seeds and any(s["sparsity"] == 0.9 for s in block.settings):
            raise jax.errors.JaxRuntimeError("INTERNAL: illegal address")
        return train(plan, device, block, progress, stop)

    monkeypatch.setattr(engine, "_train", stops)
    sweep = dataclasses.replace(SMALL, activation="relu")
    ds = jsuper.run(sweep, progress=False, plan=used, workers=1)
    failed = (ds.sparsity == 0.9) & (ds.seed == 1)
    assert ((ds.status == 3) == failed).all() and (np.isnan(ds.loss) == failed).all()
    assert [b.n_models for b in seen] == [4, 2, 2, 1, 1]
    assert json.loads(ds.attrs["timing"])["model_steps"] == 3 * 5
    tried(
        "Models that cannot be trained",
        "a model that stops its program, among others of the same block: only this one failed",
    )


def test_an_error_of_writing_is_not_a_failed_model(monkeypatch, tmp_path):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jsuper.store.chunk_files.write_chunk", full)
    with pytest.raises(OSError, match="No space left"):
        jsuper.run(SMALL, out=tmp_path / "run", progress=False)


def test_a_workers_error_reaches_the_caller(monkeypatch, tried):
    def broken(key, progress):
        raise RuntimeError("no such program")

    monkeypatch.setattr(programs, "compiled", broken)
    with pytest.raises(RuntimeError, match="no such program"):
        jsuper.run(jsuper.Sweep(activation="relu", steps=5, seeds=2, **TINY), progress=False)
    tried("A worker that fails", "an error in a worker's thread: the caller got it, and no hang")


def chunks_of_one(seeds, steps):
    """Chunks of a single model each."""
    sweep = jsuper.Sweep(activation="relu", sparsity=0.5, seeds=seeds, steps=steps, **TINY)
    (group,) = expand(sweep)
    return [Chunk("toy", group.static, group.settings, (s,)) for s in group.seeds]


def test_stopping_yields_whole_chunks_only():
    chunks, stop, finished = chunks_of_one(seeds=40, steps=300), Stop(), []
    begun = threading.Semaphore(5)  # workers wait for the caller, however slow it is

    def is_done(chunk):
        assert begun.acquire(timeout=60)
        return False

    used, progress = plan.Plan("cpu", (CPU, CPU)), counters.Progress()
    for chunk, arrays in engine.train_chunks(used, chunks, chunks, progress, stop, is_done=is_done):
        finished.append(chunk)
        assert arrays["status"].all() and np.isfinite(arrays["loss"]).all()
        if len(finished) == 3:
            stop.set()
            begun.release(2)
    assert 3 <= len(finished) <= 5


@pytest.mark.parametrize("grace", [0.0, 1e6])
def test_a_block_ends_where_the_grace_holds_it(monkeypatch, grace):
    """The stop is asked for after the first steps of the first of four blocks."""
    monkeypatch.setattr(engine, "SEGMENT_SECONDS", 0.0)  # a step per call
    stop = Stop()

    class StopsSoon(counters.Progress):
        def segment_done(self, *amounts):
            super().segment_done(*amounts)
            if not stop.is_set():
                stop.set(grace)

    chunks, used, progress = chunks_of_one(4, 400), plan.Plan("cpu", (CPU,)), StopsSoon()
    finished = list(engine.train_chunks(used, chunks, chunks, progress, stop))
    assert len(finished) == (1 if grace else 0)
    assert progress.model_steps in ([400] if grace else range(1, 400))


@pytest.mark.parametrize("fixed", [None, 50])
def test_what_the_grace_does_not_hold_whole_is_not_trained_in_part(fixed):
    """The last 50 of 100 seconds would fit into a grace of 60, without the first."""
    nothing = [None] * 3
    program = programs.Program(*nothing, steps=100, stops=(0, 50), fixed=fixed, memory=0)
    program.observe(1.0)
    stop = Stop()
    assert sum(n for _, n in engine.segments(program, stop)) == 100
    stop.set(60)
    assert list(engine.segments(program, stop)) == []


def test_the_earliest_end_that_was_asked_for_holds():
    stop = Stop()
    assert not stop.is_set() and stop.allows(float("inf"))
    stop.set(60)
    assert stop.is_set() and stop.allows(50) and not stop.allows(70)
    stop.set(1)
    stop.set(60)
    assert stop.allows(0.5) and not stop.allows(2)


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


def test_a_slow_signal_handler_does_not_make_a_run_wait_forever(monkeypatch, signals_are_as_before):
    """It takes longer than the wait for results that it interrupts."""
    made, make = [], queue.Queue
    monkeypatch.setattr(engine.queue, "Queue", lambda: made.append(make()) or made[0])
    watchdog = threading.Timer(60, lambda: made[0].put((None, TimeoutError("waits forever"))))
    watchdog.daemon = True
    watchdog.start()
    signal.signal(signal.SIGALRM, lambda *_: time.sleep(0.3))
    interrupted = []

    def tick():
        if not interrupted:
            interrupted.append(signal.setitimer(signal.ITIMER_REAL, 0.03))

    def trained_elsewhere(chunk):
        time.sleep(0.2)
        return True  # nothing more comes, which would end the wait

    chunks, progress = chunks_of_one(seeds=1, steps=5), counters.Progress()
    arguments = VMAPPED, chunks, chunks, progress, Stop(), tick, trained_elsewhere
    try:
        assert list(engine.train_chunks(*arguments)) == [] and interrupted
    finally:
        watchdog.cancel()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
