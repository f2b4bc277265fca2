"""Blocks that are left, and programs that are compiled before their blocks are reached."""

import threading
import time

import jax
import pytest

import jsuper
from jsuper.core.grid import expand
from jsuper.engine import ahead, blocks, counters, programs
from jsuper.engine.devices import Plan, chunks_of

CPU = jax.devices("cpu")[0]
SWEEP = jsuper.Sweep(
    activation="relu",
    optimizer=("adamw", "sgd", "adam", "lion", "rmsprop"),  # a program each
    weight_decay=0.0,
    sparsity=0.9,
    seeds=2,
    steps=3,
    n_features=6,
    n_hidden=2,
    batch_size=32,
)


def plan_of(*devices):
    return Plan("cpu", devices, "vmapped")


def blocks_of(plan):
    chunks = chunks_of(plan, SWEEP, expand(SWEEP))
    return blocks.split(plan, chunks, chunks)


def test_a_device_takes_its_own_blocks_first_and_then_those_of_others():
    made = blocks_of(plan_of(CPU))
    todo = ahead.Todo(made, plan_of("a", "b"))
    assert [device for _, device in todo.owners()] == ["a", "b", "a", "b", "a"]
    order = [made.index(todo.take(device)) for device in "bbbaa"]
    assert order == [1, 3, 0, 2, 4]
    assert todo.take("a") is None


def test_workers_that_share_a_device_take_blocks_in_order():
    made = blocks_of(plan_of(CPU))
    todo = ahead.Todo(made, plan_of(CPU, CPU))
    assert [made.index(todo.take(CPU)) for _ in made] == list(range(len(made)))


@pytest.mark.parametrize("batching", ["vmapped", "auto"])
def test_an_accelerator_s_programs_are_compiled_while_none_is_trained(batching, monkeypatch):
    plan, progress, compiled = Plan("cpu", (CPU,), batching), counters.Progress(), []
    monkeypatch.setattr(programs, "compiled", lambda key, _: compiled.append(key))
    todo = ahead.Todo(blocks_of(plan), plan)
    keys = [programs.key_of(block, plan, device) for block, device in todo.owners()]
    with ahead.compiling(todo, plan, progress):
        for _ in range(100):
            if len(compiled) >= len(keys):
                break
            time.sleep(0.05 if batching == "vmapped" else 0)
    assert compiled == [] if batching == "auto" else set(compiled) == set(keys)


@pytest.mark.slow
def test_a_program_that_fails_ahead_is_reported_by_its_own_block(monkeypatch):
    real, refused = programs.compile_program, []

    def compile_program(functions, arguments, key, progress):
        if "lion" in str(key.static.optimizer):
            refused.append(threading.current_thread().name)
            raise programs.ProgramError("no lion today")
        return real(functions, arguments, key, progress)

    monkeypatch.setattr(programs, "_programs", {})
    monkeypatch.setattr(programs, "compile_program", compile_program)
    with pytest.warns(jsuper.core.errors.NonFiniteWarning, match="no lion today"):
        ds = jsuper.run(SWEEP, progress=False, plan=plan_of(CPU))
    assert any(name.startswith("jsuper-ahead") for name in refused)
    assert (ds.status.sel(optimizer="lion") == 3).all()
    assert (ds.status.drop_sel(optimizer="lion") == 1).all()
