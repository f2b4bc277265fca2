"""Blocks that memory does not hold, programs that a compiler refuses, workers that fail."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from plans import TINY, VMAPPED, agree
from running import slow

import jsuper
from jsuper.core.errors import NonFiniteWarning
from jsuper.engine import counters, programs
from jsuper.engine import workers as engine


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
