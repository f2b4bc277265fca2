"""`jsuper.run(on_progress=...)`: what the function is told, and what happens if it raises."""

import dataclasses
import functools
import json
import math
import re
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest
from running import REPO, summary_writer

import jsuper
from jsuper.core.grid import Chunk, expand
from jsuper.engine.counters import Progress
from jsuper.engine.estimates import Estimate
from jsuper.jobs import listening

SWEEP = jsuper.Sweep(
    activation="relu",
    sparsity=(0.9, 0.99),
    seeds=2,
    steps=20,
    n_features=5,
    n_hidden=(2, 3),  # two chunks
    batch_size=16,
    records=2,
)


def run(out=None, listener=None, sweep=SWEEP):
    return jsuper.run(sweep, out, workers=1, progress=False, on_progress=listener)


@pytest.mark.slow
def test_the_function_is_told_of_every_chunk_in_this_thread(tmp_path):
    told, threads = [], set()

    def listener(state):
        told.append(state)
        threads.add(threading.get_ident())

    ds = run(tmp_path / "run", listener)
    ends = [state for state in told if state.chunk is not None]
    assert threads == {threading.get_ident()}
    assert [state.chunks for state in ends] == [1, 2]
    hidden = {state.chunk["n_hidden"] for state in ends}
    assert hidden == {(2,), (3,)} and (ds.status == 1).all()
    assert ends[0].chunk | {"n_hidden": 0} == {
        "activation": ("relu",),
        "sparsity": (0.9, 0.99),
        "n_hidden": 0,
        "seed": (0, 1),
    }
    last = ends[-1]
    assert (last.models, last.models_total, last.non_finite) == (8, 8, 0)
    assert (last.model_steps, last.model_steps_total) == (160, 160)
    assert last.chunks_total == 2 and last.seconds_left == 0.0
    assert 0 < last.seconds < 1000 and last.model_steps_per_second > 0
    assert all(type(number) in (int, float) for number in last.numbers().values())
    assert last.numbers().keys() == {f.name for f in dataclasses.fields(last)} - {"chunk"}
    json.dumps(dataclasses.asdict(last))

    told.clear()
    run(tmp_path / "run", listener)
    (state,) = told  # nothing was left
    assert (state.models, state.models_total, state.chunks_total) == (0, 0, 0)
    assert state.chunk is None and state.seconds_left == 0.0


@pytest.mark.slow
def test_an_error_stops_the_run_and_keeps_its_chunks(tmp_path):
    def broken(state):
        if state.chunk:
            raise LookupError("no connection")

    before = threading.active_count()
    with pytest.raises(LookupError, match="no connection"):
        run(tmp_path / "run", broken)
    assert threading.active_count() < before + 10 and jsuper.load(tmp_path / "run").status.any()
    more = []
    assert (run(tmp_path / "run", more.append).status == 1).all()
    assert more[-1].models_total < 8


def test_in_memory_an_error_says_what_keeps_the_chunks():
    def broken(state):
        raise LookupError("no connection")

    def enough(state):
        if state.chunks:
            raise KeyboardInterrupt

    with pytest.raises(LookupError, match="no connection") as error:
        run(None, broken)
    assert re.search(r"chunks were finished; a run with a folder", error.value.__notes__[0])
    with pytest.warns(UserWarning, match="interrupted: . of 2 chunks"):
        ds = run(None, enough)
    assert (ds.status == 1).any()


def test_something_else_than_a_function_is_refused():
    with pytest.raises(TypeError, match="on_progress is 5, not a function; .*on_progress=print"):
        run(None, 5)


def expected(**fields):
    values = dict(chunks=1, models=2, workers=2, programs=1, work=100.0, evaluation=4.0)
    seconds = dict(compiling=5.0, training=50.0, evaluating=2.0, results=0.0)
    return Estimate(**values | seconds | fields)


def test_between_chunks_a_second_passes_from_call_to_call(monkeypatch):
    sweep = dataclasses.replace(SWEEP, n_hidden=2)
    (group,) = expand(sweep)
    chunk = Chunk("toy", group.static, group.settings, group.seeds)
    now, told = [100.0], []
    monkeypatch.setattr(listening, "time", SimpleNamespace(monotonic=lambda: now[0]))
    listens = listening.Listening(told.append, expected(), Progress(), sweep, [chunk])
    for _ in range(25):
        now[0] += 0.125
        listens.tick()
    assert len(told) == 3 and math.isnan(told[0].seconds_left)
    assert "seconds_left" not in told[0].numbers() and told[0].numbers()["models_total"] == 2
    listens.finished(chunk)
    listens.tick()
    listens.end()
    assert len(told) == 4 and told[-1].chunk["seed"] == (0, 1) and told[-1].seconds_left == 0.0


def test_axes_are_told_by_name():
    def squared(z):
        return z * z

    sweep = jsuper.Sweep(
        activation=(squared, "relu"),
        sparsity=0.9,
        zipped={"size": {"n_hidden": (2, 3), "learning_rate": (0.1, 0.2)}},
    )
    group = expand(sweep)[0]
    chunk = Chunk("toy", group.static, group.settings, group.seeds)
    assert listening.coordinates_of(sweep, chunk) == {
        "activation": ("squared", "relu"),
        "sparsity": (0.9,),
        "learning_rate": (0.1,),
        "n_hidden": (2,),
        "seed": (0, 1, 2),
    }


@pytest.mark.parametrize("library", ["wandb", "torch.utils.tensorboard"])
def test_the_recipes_of_the_page_log_numbers(library, tmp_path, monkeypatch):
    text = (REPO / "docs" / "guide" / "runs.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(rf"```python\n([^`]*?{re.escape(library)}[^`]*?)```", text)
    logged = {}
    fake = ModuleType(library)
    fake.init = lambda **fields: SimpleNamespace(log=logged.update, finish=lambda: None)
    fake.SummaryWriter = functools.partial(summary_writer, logged=logged)
    for i in range(len(parts := library.split("."))):
        monkeypatch.setitem(sys.modules, ".".join(parts[: i + 1]), ModuleType(parts[i]))
    monkeypatch.setitem(sys.modules, library, fake)
    small = functools.partial(jsuper.run, SWEEP, workers=1, progress=False)
    monkeypatch.setattr(jsuper, "run", lambda sweep, out, **more: small(out, **more))
    monkeypatch.chdir(tmp_path)
    exec(recipe, {"sweep": SWEEP})
    assert logged["models"] == 8 and logged["chunks_total"] == 2
