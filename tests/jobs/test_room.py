"""Runs that do not fit are refused before anything is compiled."""

import dataclasses
import shutil

import pytest

import jsuper
from jsuper.cli import main, process
from jsuper.core.errors import SpecError
from jsuper.engine import programs
from jsuper.engine.devices import make_plan
from jsuper.jobs import room
from jsuper.jobs.job import prepare

SWEEP = jsuper.Sweep(activation="relu", sparsity=0.9, seeds=20, steps=10, n_features=5, n_hidden=2)
FLAGS = ["sweep", "--activation", "relu", "--sparsity", "0.9", "--seeds", "20", "--steps", "10"]
GB = 1e9


@pytest.fixture(autouse=True)
def nothing_is_compiled(monkeypatch):
    def refuse(*_):
        raise AssertionError("it is compiled")

    monkeypatch.setattr(programs, "compiled", refuse)


def job_of(sweep, folder, workers=2):
    plan = make_plan("cpu", workers)
    return prepare(sweep, folder, plan), plan


def test_workers_that_fit_are_named(tmp_path, monkeypatch):
    sweep = dataclasses.replace(SWEEP, batch_size=2**22)
    job, plan = job_of(sweep, tmp_path / "run", workers=8)
    each = (room.memory_bytes(job.todo, plan) - room.PROCESS_BYTES) / 8
    monkeypatch.setattr(room, "free_bytes", lambda: int(room.PROCESS_BYTES + 3.5 * each))
    needed = room.memory_bytes(job.todo, plan) / GB
    with pytest.raises(SpecError, match=rf"about {needed:.1f} GB of memory.* workers=3 would fit"):
        room.check_room(job, plan)
    room.check_room(*job_of(sweep, tmp_path / "run", workers=3))
    monkeypatch.setattr(room, "free_bytes", lambda: int(room.PROCESS_BYTES + 0.5 * each))
    with pytest.raises(SpecError, match="not even one worker would fit.*batch_size"):
        room.check_room(job, plan)


def test_models_that_fit_on_the_disk_are_counted(tmp_path, monkeypatch):
    job, plan = job_of(SWEEP, tmp_path / "runs" / "run")
    usage = shutil.disk_usage(tmp_path)._replace(free=int(room.result_bytes(job.todo) / 4))
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    with pytest.raises(SpecError, match=r"enough for (4|5) of 20 models"):
        room.check_room(job, plan)


def test_in_memory_the_results_count_too(monkeypatch):
    job, plan = job_of(SWEEP, None)
    enough = room.memory_bytes(job.todo, plan) + 2 * room.result_bytes(job.chunks)
    monkeypatch.setattr(room, "free_bytes", lambda: int(enough) + 1)
    room.check_room(job, plan)
    monkeypatch.setattr(room, "free_bytes", lambda: int(enough) - 1)
    with pytest.raises(SpecError, match="MB of memory"):
        room.check_room(job, plan)


def test_every_worker_has_the_datasets_of_its_seeds():
    plain = dataclasses.replace(SWEEP, batch_size=100, seeds=4)
    few, many = (dataclasses.replace(plain, dataset_size=size) for size in (100, 10**6))
    needed = [
        room.memory_bytes(job.todo, plan) for job, plan in (job_of(s, None) for s in (few, many))
    ]
    seeds = max(len(chunk.seeds) for chunk in job_of(many, None)[0].todo)
    assert needed[1] - needed[0] == pytest.approx(2 * seeds * 4 * 5 * 10**6, rel=0.01)


def test_the_command_and_run_refuse_and_can_be_forced(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(room, "free_bytes", lambda: 10**6)
    out = ["--out", str(tmp_path / "run")]
    assert main.main([*FLAGS, *out]) == process.BAD_INPUT
    assert "--force trains it anyway" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main.main([*FLAGS, *out, "--dry-run"]) == process.DONE
    with pytest.raises(SpecError, match="force=True trains it anyway"):
        jsuper.run(SWEEP, progress=False)
    with pytest.raises(AssertionError, match="it is compiled"):
        jsuper.run(SWEEP, progress=False, force=True)


def test_a_very_large_run_needs_a_yes(tmp_path, capsys):
    out = ["--out", str(tmp_path / "run"), "--no-report"]
    large = [*FLAGS[:6], "2000000", *FLAGS[7:]]
    assert main.main([*large, *out]) == process.BAD_INPUT
    assert "a run of 2,000,000 models; add --yes" in capsys.readouterr().err
    long = [*FLAGS[:6], "400", "--steps", "1000000000"]
    assert main.main([*long, *out]) == process.BAD_INPUT
    assert "days; add --yes to train it" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_is_done_does_not_count_as_large(tmp_path, monkeypatch):
    job, _ = job_of(SWEEP, tmp_path / "run")
    monkeypatch.setattr(room, "MANY_MODELS", 10)
    assert "20 models" in room.unusually_large(job, float("nan"))
    finished = dataclasses.replace(job, done=dict.fromkeys((c.name for c in job.chunks), 0))
    assert room.unusually_large(finished, float("nan")) is None


def test_python_refuses_a_run_of_more_than_a_million_models(monkeypatch):
    monkeypatch.setattr(room, "MANY_MODELS", 10)
    with pytest.raises(SpecError, match="this is a run of 20 models; force=True trains it anyway"):
        jsuper.run(SWEEP, progress=False)


def test_what_no_flag_allows_is_refused_first(tmp_path, capsys):
    words = ["--activation", "relu", "--sparsity", "0.9", "--seeds", "1e9", "--out"]
    assert main.main(["sweep", *words, str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "at most 20,000,000" in error and "--yes" not in error
