"""The trial of a kernel: where it fails or differs, the plain steps run, with the reason."""

import dataclasses

import emulated
import jax
import numpy as np
import pytest

import jsuper
from jsuper.core.choices import Choice, as_data, chosen_before
from jsuper.core.errors import SpecError
from jsuper.engine import programs, trial_memory, trials
from jsuper.engine.devices import Plan, make_plan
from jsuper.models.toy.kernels import launching

SWEEP = jsuper.Sweep(
    activation=("relu", "tanh"), sparsity=(0.5, 0.9), seeds=2, steps=40, n_features=5, n_hidden=2,
    batch_size=64,
)  # fmt: skip
KERNEL = Plan("cpu", (jax.devices("cpu")[0],), "kernel")
PLAIN = dataclasses.replace(KERNEL, batching="vmapped")


def run(plan=KERNEL, sweep=SWEEP):
    return jsuper.run(sweep, plan=plan, progress=False)


@pytest.fixture
def choices(monkeypatch):
    """What the trials of a run have chosen."""
    found = {}
    decided = trials.decided

    def kept(plan, chunks, everything, choices):
        blocks = decided(plan, chunks, everything, choices)
        found.update(choices)
        found["programs"] = [b.static for b in blocks]
        return blocks

    monkeypatch.setattr("jsuper.engine.workers.trials.decided", kept)
    return found


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    """Programs of earlier tests call their launches."""
    monkeypatch.setattr(programs, "_programs", {})
    trial_memory.forget()
    yield
    trial_memory.forget()


def same(found, wanted):
    np.testing.assert_allclose(found.W, wanted.W, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.loss, wanted.loss, rtol=0.02)
    assert (found.status == 1).all()


def test_a_kernel_that_agrees_trains_all_activations_in_one_program(monkeypatch, choices):
    monkeypatch.setattr(launching, "launch", emulated.launch)
    found = run()
    (program,) = choices.pop("programs")
    assert program.kernel and program.activations == ("relu", "tanh")
    assert all(c.uses_kernel for c in choices.values()) and len(choices) == 2
    same(found, run(PLAIN))


def wrong(kernel, grid, operands, state):
    found = list(emulated.launch(kernel, grid, operands, state))
    return (found[0] * (1 + 1e-3), *found[1:])


def broken(kernel, grid, operands, state):
    raise RuntimeError("CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image")


def failing(kernel, grid, operands, state):
    def call(*arrays):
        raise ValueError("the launch failed")

    shapes = tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in state)
    return jax.pure_callback(call, shapes, *operands, *state)


@pytest.mark.parametrize(
    "launch, reason",
    [
        (wrong, "not those of the plain steps: .params.W differs by"),
        (broken, "RuntimeError: CUDA_ERROR_NO_BINARY"),
        pytest.param(failing, "Error", marks=pytest.mark.slow),
    ],
)
def test_a_kernel_that_fails_or_differs_is_not_used(launch, reason, monkeypatch, choices):
    monkeypatch.setattr(launching, "launch", launch)
    found = run()
    programs = choices.pop("programs")
    assert not any(p.kernel for p in programs) and len(programs) == 1
    for choice in choices.values():
        assert not choice.uses_kernel and reason in choice.reason
    same(found, run(PLAIN))


def wrong_in_blocks(kernel, grid, operands, state):
    found = list(emulated.launch(kernel, grid, operands, state))
    return (found[0] * (1.05 if grid[0] > 1 else 1), *found[1:])


def failing_in_blocks(kernel, grid, operands, state):
    return (failing if grid[0] > 1 else emulated.launch)(kernel, grid, operands, state)


@pytest.mark.parametrize(
    "launch, reason",
    [
        (wrong_in_blocks, "KernelError: a model differs by"),
        pytest.param(failing_in_blocks, "the launch failed", marks=pytest.mark.slow),
    ],
)
def test_a_kernel_that_goes_wrong_after_its_trial_is_given_up(launch, reason, monkeypatch, choices):
    """A block with two seeds, of which the trial saw one."""
    monkeypatch.setattr(launching, "launch", launch)
    monkeypatch.setattr(trials, "MODELS", 1)
    give_up, given_up = trials.give_up, []

    def kept(block, error, choices):
        give_up(block, error, choices)
        given_up.extend(choices.values())

    monkeypatch.setattr(trials, "give_up", kept)
    found = run()
    assert choices.pop("programs")[0].kernel and all(c.uses_kernel for c in choices.values())
    assert len(given_up) == 2
    assert all(not c.uses_kernel and reason in c.reason for c in given_up)
    same(found, run(PLAIN))


def test_outcomes_of_trials_are_kept_for_other_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(launching, "launch", emulated.launch)
    monkeypatch.setenv("JSUPER_CACHE", str(tmp_path))
    sweep = dataclasses.replace(SWEEP, activation="relu", steps=2)
    run(sweep=sweep)
    trial_memory.forget()
    monkeypatch.setattr(trials, "outcomes", lambda *_: pytest.fail("tried again"))
    run(sweep=sweep)
    trial_memory.forget()
    (file,) = (tmp_path / "trials").iterdir()
    file.write_text("[true]")
    with pytest.raises(pytest.fail.Exception):
        run(sweep=sweep)


@pytest.mark.slow
def test_a_slower_kernel_is_used_only_if_it_was_asked_for(monkeypatch, choices):
    monkeypatch.setattr(launching, "launch", emulated.launch)  # emulation is slow
    sweep = dataclasses.replace(SWEEP, activation="relu")
    run(dataclasses.replace(KERNEL, chosen_by_speed=True), sweep)
    (choice,) = (c for k, c in choices.items() if k != "programs")
    assert not choice.uses_kernel and "times the speed" in choice.reason
    run(KERNEL, sweep)
    assert choices["programs"][0].kernel


@pytest.mark.parametrize(
    "given, reason",
    [
        (dict(dropout=0.3), "dropout"),
        pytest.param(dict(tied=False), "untied decoders", marks=pytest.mark.slow),
        pytest.param(dict(optimizer="sgd"), "optimizer sgd", marks=pytest.mark.slow),
        pytest.param(dict(activation="gelu_stochastic"), "random gates", marks=pytest.mark.slow),
        pytest.param(dict(hidden_activation="tanh"), "hidden layers", marks=pytest.mark.slow),
        pytest.param(dict(dtype="float64"), "dtype float64", marks=pytest.mark.slow),
        pytest.param(dict(until="converged(10)", steps=40), "until", marks=pytest.mark.slow),
        pytest.param(dict(activation="geglu"), "gated decoders", marks=pytest.mark.slow),
    ],
)
def test_what_a_kernel_does_not_cover_is_trained_without(given, reason, choices, monkeypatch):
    monkeypatch.setattr(launching, "launch", broken)
    run(
        sweep=dataclasses.replace(
            SWEEP, **{"activation": "relu", "steps": 2, "sparsity": 0.5} | given
        )
    )
    (choice,) = (c for k, c in choices.items() if k != "programs")
    assert not choice.uses_kernel and reason in choice.reason


@pytest.mark.slow
def test_a_function_with_an_operation_that_is_not_covered_is_trained_without(choices):
    def running(z):
        return jax.numpy.cumsum(z, axis=0)

    run(sweep=dataclasses.replace(SWEEP, activation=running, steps=2))
    (choice,) = (c for k, c in choices.items() if k != "programs")
    assert "the operation cumsum" in choice.reason


@pytest.mark.slow
def test_choices_are_kept_by_a_run_folder_and_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(launching, "launch", emulated.launch)
    out = tmp_path / "run"
    one = dataclasses.replace(SWEEP, activation="relu", steps=5)
    jsuper.run(one, out, plan=KERNEL, progress=False)
    from jsuper.store.manifest import manifest_of
    from jsuper.store.sharing import sessions_of

    kind = KERNEL.worker_devices[0].device_kind
    kept = chosen_before(sessions_of(out, manifest_of(out)), kind)
    assert [c.uses_kernel for c in kept.values()] == [True]
    monkeypatch.setattr(trials, "outcomes", lambda *_: pytest.fail("tried again"))
    jsuper.run(dataclasses.replace(one, seeds=4), out, plan=KERNEL, progress=False)


def test_damaged_choices_and_those_of_other_devices_are_left_out():
    good = {"kernels": as_data({"relu": Choice(True, "2.00 times")}, "A")}
    bad = [{}, {"kernels": 3}, {"kernels": {"device": "A", "programs": {"relu": [1, "x"], "b": 2}}}]
    other = {"kernels": as_data({"relu": Choice(False, "x")}, "B")}
    assert chosen_before([*bad, other, good], "A") == {"relu": Choice(True, "2.00 times")}


def test_the_kernel_is_for_gpus():
    with pytest.raises(SpecError, match="plan='kernel' is for GPUs and TPUs"):
        make_plan("cpu", batching="kernel")


def test_programs_with_other_static_values_have_trials_by_themselves(monkeypatch, choices):
    monkeypatch.setattr(launching, "launch", broken)
    two = dict(activation="relu", optimizer=("sgd", "adamw"), weight_decay=0.0, steps=2)
    run(sweep=dataclasses.replace(SWEEP, **two))
    reasons = [c.reason for k, c in choices.items() if k != "programs"]
    assert len(reasons) == 2 and "optimizer sgd" in reasons[0] and "CUDA" in reasons[1]
