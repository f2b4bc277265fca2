"""The trial of a kernel: where it fails or differs, the plain steps run, with the reason."""

import dataclasses
import functools

import emulated
import jax
import numpy as np
import pytest
from running import slow

import jsuper
from jsuper.core.choices import Choice, as_data, chosen_before
from jsuper.core.errors import SpecError
from jsuper.core.grid import expand
from jsuper.engine import programs, trial_memory, trials, workers
from jsuper.engine.devices import Plan, make_plan
from jsuper.models.toy import train as toy
from jsuper.models.toy.kernels import launching
from jsuper.training.keys import seed_key

SWEEP = jsuper.Sweep(
    activation=("relu", "tanh"), sparsity=(0.5, 0.9), seeds=2, steps=40, n_features=5, n_hidden=2,
    batch_size=64,
)  # fmt: skip
RELU = dataclasses.replace(SWEEP, activation="relu")
ONE = dataclasses.replace(RELU, sparsity=0.5, steps=2)
KERNEL = Plan("cpu", (jax.devices("cpu")[0],), "kernel")
PLAIN = dataclasses.replace(KERNEL, batching="vmapped")
REFERENCE = dataclasses.replace(KERNEL, batching="reference")


def run(plan=KERNEL, sweep=SWEEP):
    return jsuper.run(sweep, plan=plan, progress=False)


@functools.cache
def plain_models():
    """The models of SWEEP by the plain steps."""
    return run(PLAIN)


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
    wanted = wanted.sel(activation=found.activation)
    np.testing.assert_allclose(found.W, wanted.W, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.loss, wanted.loss, rtol=0.02)
    assert (found.status == 1).all()


def test_a_kernel_that_agrees_trains_all_activations_in_one_program(monkeypatch, choices):
    monkeypatch.setattr(launching, "launch", emulated.launch)
    found = run()
    (program,) = choices.pop("programs")
    assert program.kernel and program.activations == ("relu", "tanh")
    assert all(c.uses_kernel for c in choices.values()) and len(choices) == 2
    same(found, plain_models())


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
    "launch, reason, sweep",
    [
        (wrong, "not those of the plain steps: .params.W differs by", SWEEP),
        slow(broken, "RuntimeError: CUDA_ERROR_NO_BINARY", RELU),
        slow(failing, "Error", RELU),
    ],
)
def test_a_kernel_that_fails_or_differs_is_not_used(launch, reason, sweep, monkeypatch, choices):
    monkeypatch.setattr(launching, "launch", launch)
    found = run(sweep=sweep)
    programs = choices.pop("programs")
    assert not any(p.kernel for p in programs) and len(programs) == 1
    for choice in choices.values():
        assert not choice.uses_kernel and reason in choice.reason
    same(found, plain_models())


def wrong_in_blocks(only=None):
    """A kernel that is right in a trial, of one seed, and not in a block of two."""

    def launch(kernel, grid, operands, state):
        found = list(emulated.launch(kernel, grid, operands, state))
        if grid[0] > 1 and only in (None, kernel.activation):
            mine = np.ravel(operands[2])
            found[0] = found[0].at[:, mine[mine >= 0]].multiply(1.05)
        return tuple(found)

    return launch


def failing_in_blocks(kernel, grid, operands, state):
    return (failing if grid[0] > 1 else emulated.launch)(kernel, grid, operands, state)


@pytest.fixture
def given_up(monkeypatch):
    """What is chosen after trials of one seed."""
    monkeypatch.setattr(trials, "MODELS", 1)
    give_up, found = trials.give_up, {}

    def kept(plan, block, error, choices):
        give_up(plan, block, error, choices)
        found.update(choices)

    monkeypatch.setattr(trials, "give_up", kept)
    return found


@pytest.mark.parametrize(
    "launch, reason, names",
    [
        (wrong_in_blocks("relu"), "KernelError: a model differs by", ["relu"]),
        (failing_in_blocks, "JaxRuntimeError", ["relu", "tanh"]),
    ],
)
@pytest.mark.slow
def test_a_kernel_that_goes_wrong_after_its_trial_is_given_up(
    launch, reason, names, monkeypatch, choices, given_up, tmp_path
):
    monkeypatch.setattr(launching, "launch", launch)
    monkeypatch.setenv("JSUPER_CACHE", str(tmp_path))
    monkeypatch.setattr("jsuper.engine.programs.use_compilation_cache", lambda: None)
    found = run()
    assert choices.pop("programs")[0].kernel and all(c.uses_kernel for c in choices.values())
    lost = {k.split(",")[0]: c.reason for k, c in given_up.items() if not c.uses_kernel}
    assert list(lost) == names and all(reason in text for text in lost.values())
    same(found, plain_models())
    trial_memory.forget()  # other processes do not try it either, with any number of seeds
    choices.clear()
    run(sweep=dataclasses.replace(SWEEP, seeds=1))
    choices.pop("programs")
    assert [k.split(",")[0] for k, c in choices.items() if not c.uses_kernel] == names


@pytest.mark.slow
def test_an_error_that_is_none_of_the_kernel_changes_no_choice(monkeypatch, choices, given_up):
    monkeypatch.setattr(launching, "launch", emulated.launch)
    measure, failed = workers._measure, []

    def failing_once(program, block, *rest):
        if not failed:
            failed.append(block)
            raise programs.ProgramError("made up, in finish")
        return measure(program, block, *rest)

    monkeypatch.setattr(workers, "_measure", failing_once)
    found = run(sweep=RELU)
    assert failed and not given_up
    same(found, plain_models())


def test_few_models_have_no_outliers():
    state = jax.tree.map(np.asarray, make_state())
    for seeds in (2, 10):
        wanted = jax.tree.map(lambda a, s=seeds: np.repeat(a, s, axis=0), state)
        W = wanted.params.W.copy()
        W[0, 0] *= 1.04
        found = dataclasses.replace(wanted, params=wanted.params._replace(W=W))
        assert "differs by" in trials.difference(found, wanted)
    many = jax.tree.map(lambda a: np.repeat(a, 60, axis=0), state)
    W = many.params.W.copy()
    W[:2, 0] *= 1.04  # 2 of 120
    found = dataclasses.replace(many, params=many.params._replace(W=W))
    assert trials.difference(found, many) == ""
    W[:3, 0] *= 1.04
    assert trials.difference(found, many)


def make_state():
    """The state of one seed and two settings."""
    group = expand(dataclasses.replace(SWEEP, activation="relu"))[0]
    static = toy.make_static(group.static, [group.settings], "vmapped")
    made = [toy.make_setting(static, point) for point in group.settings]
    settings = jax.tree.map(lambda *a: np.stack(a), *made)
    init = programs.batched(toy.make_train(static, False), True).init
    return jax.jit(init)(settings, jax.vmap(seed_key)(np.arange(1, dtype=np.uint32)))


@pytest.mark.slow
def test_units_of_several_activations_are_watched_by_every_plan(monkeypatch):
    monkeypatch.setattr(launching, "launch", emulated.launch)
    sweep = dataclasses.replace(SWEEP, watch=True, push=1.0, push_step=2, steps=5, seeds=1)
    wanted = jsuper.run(sweep, plan=REFERENCE, progress=False)
    for plan in (PLAIN, KERNEL):
        found = run(plan, sweep)
        for name in ("W", "unit_error", "unit_gradient", "unit_peak"):
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_run_is_continued_by_kernels(monkeypatch, choices):
    monkeypatch.setattr(launching, "launch", emulated.launch)
    sweep = dataclasses.replace(RELU, keep_state=True, steps=20)
    first = jsuper.run(sweep, plan=REFERENCE, progress=False)
    found = jsuper.continue_run(first, 20, plan=KERNEL)
    assert all(c.uses_kernel for k, c in choices.items() if k != "programs")
    same(found, plain_models())


@pytest.mark.slow
def test_a_run_of_another_plan_is_extended_by_kernels(tmp_path, monkeypatch):
    monkeypatch.setattr(launching, "launch", emulated.launch)
    one = dataclasses.replace(RELU, steps=5)
    jsuper.run(one, tmp_path / "run", plan=PLAIN, progress=False)
    more = dataclasses.replace(SWEEP, steps=5)
    found = jsuper.run(more, tmp_path / "run", plan=KERNEL, progress=False)
    same(found, run(PLAIN, more))


def test_models_that_draw_for_themselves_have_no_kernel(choices):
    run(sweep=dataclasses.replace(SWEEP, unpaired=True, activation="relu", steps=2))
    (choice,) = (c for k, c in choices.items() if k != "programs")
    assert choice == Choice(False, "not made for models that draw for themselves")


@pytest.mark.slow
def test_a_slower_kernel_is_used_only_if_it_was_asked_for(monkeypatch, choices):
    monkeypatch.setattr(launching, "launch", emulated.launch)  # emulation is slow
    monkeypatch.setattr(trials, "ROUNDS", 1)
    run(dataclasses.replace(KERNEL, chosen_by_speed=True), RELU)
    (choice,) = (c for k, c in choices.items() if k != "programs")
    assert not choice.uses_kernel and "times the speed" in choice.reason
    run(KERNEL, RELU)
    assert choices["programs"][0].kernel


@pytest.mark.parametrize(
    "given, reason",
    [
        (dict(dropout=0.3), "dropout"),
        (dict(tied=False), "untied decoders"),
        (dict(optimizer="sgd"), "optimizer sgd"),
        (dict(activation="gelu_stochastic"), "random gates"),
        (dict(hidden_activation="tanh"), "hidden layers"),
        (dict(dtype="float64"), "dtype float64"),
        (dict(until="converged(10)", steps=40), "until"),
        (dict(activation="geglu"), "gated decoders"),
    ],
)
def test_what_a_kernel_does_not_cover_has_a_reason(given, reason):
    (group,) = expand(dataclasses.replace(ONE, **given))
    static = toy.make_static(group.static, [group.settings], "kernel")
    assert reason in toy.kernel_reason(static)


def test_what_a_kernel_does_not_cover_is_trained_without(choices, monkeypatch):
    monkeypatch.setattr(launching, "launch", broken)
    run(sweep=dataclasses.replace(ONE, dropout=0.3))
    (choice,) = (c for k, c in choices.items() if k != "programs")
    assert not choice.uses_kernel and "dropout" in choice.reason


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
    one = dataclasses.replace(RELU, steps=5)
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


@pytest.mark.slow
def test_programs_with_other_static_values_have_trials_by_themselves(monkeypatch, choices):
    monkeypatch.setattr(launching, "launch", broken)
    two = dict(activation="relu", optimizer=("sgd", "adamw"), weight_decay=0.0, steps=2)
    run(sweep=dataclasses.replace(SWEEP, **two))
    reasons = [c.reason for k, c in choices.items() if k != "programs"]
    assert len(reasons) == 2 and "optimizer sgd" in reasons[0] and "CUDA" in reasons[1]
