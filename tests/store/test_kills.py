"""Processes that are killed while they write or train, and processes that begin at once."""

import dataclasses
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import killed
import numpy as np
import pytest
from killed import AFTER, BEFORE, CHUNK, OTHER
from running import assert_same_content, chunk_files, ended, forks, slow, started, state
from tiny_sweeps import GRID, SIZE

import jsuper
from jsuper.cli import sweeping
from jsuper.jobs import job
from jsuper.store import chunk_files as store
from jsuper.store import status as states
from jsuper.store.manifest import read_manifest, write_manifest

pytestmark = pytest.mark.usefixtures("signals_are_as_before")


# --------------------------------------------------------------------------- SIGKILL, at any point


def kill(folder, file, point, size=0):
    """Write the file in a process that is killed at that point; what it left under other names."""
    process = forks().Process(target=killed.write, args=(folder, file, point, size))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return [p for p in folder.rglob("*.tmp") if p.name.startswith(".")]


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


OLD, NEW = (killed.arrays_of(CHUNK, seed) for seed in (0, 1))


@pytest.fixture(scope="module")
def size(tmp_path_factory):
    """Bytes of the chunk's file."""
    folder = tmp_path_factory.mktemp("whole")
    store.write_chunk(folder, CHUNK, NEW)
    return store.chunk_path(folder, CHUNK.name).stat().st_size


SHARES = (0, 0.001, 0.01, 0.2, 0.5, 0.8, 0.95, 0.999)  # of the bytes that are written


@pytest.mark.parametrize("older", [slow(False), True], ids=["no older file", "an older file"])
@pytest.mark.parametrize(
    "point, share",
    [("write", s) for s in SHARES] + [(p, 0) for p in (*BEFORE, *AFTER) if p != "write"],
)
def test_a_chunk_is_whole_or_absent_wherever_its_writer_is_killed(
    tmp_path, tried, size, point, share, older
):
    write_manifest(tmp_path, killed.SWEEP, [CHUNK, OTHER], [])
    if older:
        store.write_chunk(tmp_path, CHUNK, OLD)
    left = kill(tmp_path, "chunk", point, int(share * size))
    expected = NEW if point in AFTER else OLD if older else None
    found = store.read_chunk(tmp_path, CHUNK)
    assert found is expected or same(found, expected)
    assert len(left) == (point not in ("open", *AFTER))
    if point == "write":
        assert 0.9 * share * size - 1 <= left[0].stat().st_size <= share * size  # headers: twice
    whole, damaged = store.done(tmp_path, [CHUNK, OTHER])
    there = 0 if expected is None else 1
    assert (len(whole), damaged) == (there, [])
    assert states.status_of(tmp_path).chunks_done == there
    assert list(states.problems(tmp_path)) == []
    assert (jsuper.load(tmp_path).status == 1).sum() == there * CHUNK.n_models
    store.write_chunk(tmp_path, CHUNK, NEW)
    assert same(store.read_chunk(tmp_path, CHUNK), NEW)
    tried(
        "SIGKILL around a chunk's write",
        "a writer killed before it opens the file, after 8 numbers of bytes, before the flush, the "
        "fsync, the rename, after it, and after the folder's fsync, with and without an older "
        "file: the chunk was the old one or absent before the rename and the new one after it, "
        "and what was left of it was taken for a chunk by nothing",
    )


@pytest.mark.parametrize("older", [False, slow(True)], ids=["no older run", "an older run"])
@pytest.mark.parametrize("point", [*BEFORE, *AFTER])
@pytest.mark.parametrize("file", ["manifest.json", "sweep.toml"])
@pytest.mark.slow
def test_a_manifest_is_old_or_new_wherever_its_writer_is_killed(
    tmp_path, tried, file, point, older
):
    run = tmp_path / "run"
    run.mkdir()
    if older:
        part = dataclasses.replace(killed.SWEEP, seeds=4)
        write_manifest(run, part, [CHUNK], [])
    kill(run, file, point, 100)
    manifest = read_manifest(run)
    if file == "manifest.json" and point in BEFORE:
        assert [c.name for c in manifest.chunks] == [CHUNK.name] if older else not manifest
    else:
        assert [c.name for c in manifest.chunks] == [CHUNK.name, OTHER.name]
    ds = jsuper.run(killed.SWEEP, run, progress=False)
    assert ds.status.size == 16 and (ds.status == 1).all()
    assert (run / "sweep.toml").read_text() == killed.SWEEP.to_toml()
    tried(
        "SIGKILL around the manifest's write",
        "a process killed at 7 points of the writing of manifest.json and of sweep.toml, in a new "
        "folder and in one that is extended: the manifest was the old one or the new one, and the "
        "next run made both files and all models",
    )


# --------------------------------------------------------------------------- SIGKILL, at any time


MANY = "--activation relu gelu --sparsity 0.9 --seeds 1024 --steps 100 --no-report"  # eight chunks
MANY = (MANY + SIZE).split()


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Start a run of `MANY` in a new process; after the first, programs are compiled already."""
    cache = tmp_path_factory.mktemp("cache")

    def start(folder):
        return started(*MANY, "--out", folder, JSUPER_CACHE=str(cache), XLA_FLAGS="")

    return start


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, start):
    """A finished run of `MANY`, and the seconds that it took, with compilation."""
    run, began = tmp_path_factory.mktemp("uninterrupted") / "run", time.monotonic()
    assert ended(start(run))[0] == 0
    assert len(chunk_files(run)) == 8
    return run, time.monotonic() - began


@pytest.mark.slow
def test_kills_at_random_times_cost_no_chunk(tmp_path, tried, how_often, start, uninterrupted):
    """In few kills, each is soon after a new chunk: at any time, most are before the first."""
    whole, seconds = uninterrupted
    number, more = how_often(3, 20), how_often(1, 0)
    latest = how_often(0.1, 0.8) * seconds
    folders, rng, kills = [tmp_path / "0"], random.Random(0), Counter()
    while kills.total() < number:
        run = folders[-1]
        before = state(run / "chunks")
        process, chunks = start(run), len(chunk_files(run))
        while len(chunk_files(run)) < min(chunks + more, 8) and process.poll() is None:
            time.sleep(0.01)
        try:
            output = process.output(timeout=rng.uniform(0, latest))
        except subprocess.TimeoutExpired:
            process.kill()
            output = process.output()
        kept = {k: v for k, v in state(run / "chunks").items() if k.endswith(".npz")}
        assert {k: v for k, v in before.items() if k.endswith(".npz")}.items() <= kept.items()
        assert not (run / "manifest.json").exists() or list(states.problems(run)) == []
        if process.returncode == 0:
            folders.append(tmp_path / str(len(folders)))
            continue
        assert process.returncode == -signal.SIGKILL, output
        kills["first" if not kept else "last" if len(kept) == 8 else "between"] += 1
    before = state(folders[-1] / "chunks")
    code, output = ended(start(folders[-1]))
    assert code == 0, output
    assert before.items() <= state(folders[-1] / "chunks").items()
    for run in folders:
        assert_same_content(run, whole)
        assert (run / "sweep.toml").read_text() == (whole / "sweep.toml").read_text()
    assert kills["between"] > 0
    when = {
        "first": "before the first of its eight chunks was there",
        "between": "while some of its eight chunks were there",
        "last": "when all of its eight chunks were there",
    }
    for moment, words in when.items():
        if kills[moment]:
            tried(
                f"SIGKILL at random times, {number} in a row",
                f"the sweep's command killed {words}: every chunk that was there verified and was "
                "never written again, and the run went on to the content of an uninterrupted one",
                kills[moment],
            )


ASK = """
import sys
from pathlib import Path
from jsuper.cli import main, process, sweeping
for _ in range(int(sys.argv[2])):
    process.check_writable(Path(sys.argv[1]))
"""


def test_processes_that_try_a_new_folder_at_once_do_not_refuse_it(tmp_path, tried):
    times, out = 300, tmp_path / "new" / "run"
    command = [sys.executable, "-c", ASK, str(out), str(times)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    errors = [p.communicate()[1].decode() for p in processes]
    assert errors == [""] * 4
    assert list(tmp_path.iterdir()) == []
    tried(
        "Several processes on one folder",
        "four that find out at the same time whether a new folder can be written: it could, and "
        "nothing was left",
        4 * times,
    )


def test_a_run_that_another_process_makes_meanwhile_is_taken(tmp_path, tried, monkeypatch, whole):
    """It is made between the look for a manifest and whatever follows."""
    run, read = tmp_path / "run", read_manifest

    def read_and_wait(folder):
        found = read(folder)
        if not run.exists():
            shutil.copytree(whole, run)
        return found

    monkeypatch.setattr(job, "read_manifest", read_and_wait)
    assert sweeping.sweep([*GRID, "--out", str(run)]) == 0
    monkeypatch.undo()
    assert {p.name: p.stat().st_mtime_ns for p in chunk_files(run)} == {
        p.name: p.stat().st_mtime_ns for p in chunk_files(whole)
    }
    tried(
        "Several processes on one folder",
        "a folder that another process fills between the look for its manifest and the next step: "
        "taken as it was, nothing trained twice",
    )


@pytest.mark.slow
def test_one_of_two_processes_is_killed_and_the_other_does_all(
    tmp_path, tried, start, uninterrupted
):
    run = tmp_path / "run"
    one, other = start(run), start(run)
    deadline = time.monotonic() + 60
    while not chunk_files(run) and time.monotonic() < deadline:
        time.sleep(0.01)
    one.kill()
    assert ended(one)[0] == -signal.SIGKILL
    assert len(chunk_files(run)) < 8
    code, output = ended(other)
    assert code == 0, output
    assert_same_content(run, uninterrupted[0])
    tried(
        "Several processes on one folder",
        "one of two that share all work killed after the first chunk: the other did all of it, "
        "with the content of a single uninterrupted process",
    )
