"""Runs that are disturbed: deleted folders, locks, interruptions, forks."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from running import slow

import jsuper
from jsuper.cli import main, process
from jsuper.core.files import LONGEST_NAME, shortened
from jsuper.jobs import runner
from jsuper.store import sharing
from jsuper.training import jax_config

SWEEP = jsuper.Sweep(
    activation="relu",
    sparsity=0.9,
    seeds=2,
    steps=20,
    n_features=5,
    n_hidden=(2, 3),  # two chunks
    batch_size=16,
    records=2,
)
FLAGS = ["--activation", "relu", "--sparsity", "0.9", "--seeds", "2", "--steps", "20"]
FLAGS += ["--n-features", "5", "--n-hidden", "2", "3", "--batch-size", "16", "--records", "2"]
FLAGS += ["--workers", "1", "--no-report"]


def deleted_after_a_chunk(monkeypatch, folder, again):
    """Delete the folder once, after its first chunk; `again`: and make an empty one."""
    write, written = runner.write, []

    def write_and_delete(job, chunk, arrays):
        write(job, chunk, arrays)
        written.append(chunk)
        if len(written) == 1:
            shutil.rmtree(folder)
            if again:
                folder.mkdir()

    monkeypatch.setattr(runner, "write", write_and_delete)


@pytest.mark.slow
@pytest.mark.parametrize(
    "again, words", [(False, "was deleted"), slow(True, "1 of 2 finished chunks")]
)
def test_a_folder_that_is_deleted_meanwhile_is_an_error(tmp_path, monkeypatch, tried, again, words):
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        deleted_after_a_chunk(patched, folder, again)
        with pytest.raises(jsuper.RunError, match=words):
            jsuper.run(SWEEP, folder, workers=1, progress=False)
    assert folder.exists() == again
    ds = jsuper.run(SWEEP, folder, workers=1, progress=False)
    assert (ds.status == 1).all()
    tried(
        "A run folder that is deleted",
        "during the run, and made again or not: an error says so, and the next run trained all",
    )


@pytest.mark.slow
def test_the_command_ends_with_an_error_too(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    deleted_after_a_chunk(monkeypatch, folder, False)
    assert main.main(["sweep", *FLAGS, "--out", str(folder)]) == process.ERROR
    assert "was deleted during the run" in capsys.readouterr().err


def test_who_waits_for_the_lock_says_for_whom_and_can_be_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sharing, "PATIENCE_SECONDS", 0.0)
    asked = []

    def stopped():
        asked.append(1)
        return len(asked) > 3

    holder = f"locked by process {os.getpid()} on .* since 20"
    with (
        sharing.locked(tmp_path),
        pytest.raises(sharing.WaitEndedError, match=holder),
        sharing.locked(tmp_path, stopped),
    ):
        pass
    assert capsys.readouterr().err.count("waiting for") == 1
    with sharing.locked(tmp_path):  # it is free again
        pass


def test_the_lock_is_taken_as_soon_as_it_is_free(tmp_path):
    held, taken = threading.Event(), threading.Event()

    def wait():
        held.wait()
        with sharing.locked(tmp_path):
            taken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    with sharing.locked(tmp_path):
        held.set()
        assert not taken.wait(0.2)
    thread.join(timeout=30)
    assert taken.is_set()


def test_a_run_that_waits_for_the_lock_stops_when_asked(tmp_path, monkeypatch):
    jsuper.run(SWEEP, tmp_path / "run", workers=1, progress=False)
    (min((tmp_path / "run" / "chunks").glob("*.npz"))).unlink()
    monkeypatch.setattr("jsuper.engine.stopping.Stop.is_set", lambda self: True)
    with sharing.locked(tmp_path / "run"), pytest.raises(runner.StoppedError, match="locked by"):
        jsuper.run(SWEEP, tmp_path / "run", workers=1, progress=False)


def test_an_interrupted_run_in_memory_returns_what_is_finished(monkeypatch):
    @contextlib.contextmanager
    def impatient(chunks, counters, *, quiet=False):
        def tick():
            if counters.models:
                raise KeyboardInterrupt

        yield tick

    monkeypatch.setattr("jsuper.jobs.progress_bar.reporter", impatient)
    many = jsuper.Sweep(**(SWEEP.__dict__ | {"steps": (20, 30, 40, 50, 60, 70)}))
    with pytest.warns(UserWarning, match=r"interrupted: \d+ of 12 chunks are finished"):
        ds = jsuper.run(many, workers=1)
    assert (ds.status == 1).any() and (ds.status == 0).any()
    assert ds.loss.notnull().equals(ds.status == 1)


def test_a_process_that_was_forked_is_told_to_spawn(monkeypatch):
    monkeypatch.setattr(jax_config, "_process", os.getpid() + 1)
    with pytest.raises(RuntimeError, match="forked from one that has used JAX.*'spawn'"):
        jsuper.run(SWEEP, progress=False)


def test_measures_and_models_are_refused_in_a_fork_too(monkeypatch):
    monkeypatch.setattr(jax_config, "_process", os.getpid() + 1)
    W = np.eye(2, 3, dtype=np.float32)
    with pytest.raises(RuntimeError, match="'spawn'"):
        jsuper.analyze(W)
    with pytest.raises(RuntimeError, match="'spawn'"):
        jsuper.model(W, activation="relu")(np.ones(3))


@pytest.mark.slow
def test_a_fork_is_refused_and_does_not_hang(tmp_path):
    code = """
import os, sys, jsuper
sweep = jsuper.Sweep(activation="relu", sparsity=0.9, seeds=1, steps=10, n_features=5, n_hidden=2)
jsuper.run(sweep, progress=False)
if not os.fork():
    try:
        jsuper.run(sweep, progress=False)
    except RuntimeError as error:
        os._exit(7 if "spawn" in str(error) else 8)
    os._exit(9)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=120, cwd=tmp_path)
    assert done.returncode == 7


@pytest.mark.parametrize("name", ["loss", "é" * 100, "x" * 1000])
def test_long_names_of_files_are_shortened_and_stay_different(name):
    found = shortened(name, ".png")
    assert found.endswith(".png") and len(found.encode()) <= LONGEST_NAME
    assert (found == name + ".png") == (len(name) < 20)
    assert shortened(name + "y", ".png") != found
