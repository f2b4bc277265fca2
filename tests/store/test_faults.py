"""Faults on purpose: what was finished stays as it is, and a run goes on to the same content.

Faults that belong to one module are tried in its own tests; docs/reliability.md counts all of them.
"""

import dataclasses
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import killed
import numpy as np
import pytest
import reliability
from killed import AFTER, BEFORE, CHUNK, OTHER
from running import REPO, assert_same_content, chunk_files, ended, forks, slow, started, state

import jsuper
from jsuper.cli import main, options, sweeping
from jsuper.engine.stopping import Stop
from jsuper.jobs import job, session
from jsuper.store import chunk_files as store
from jsuper.store import status as states
from jsuper.store.manifest import read_manifest, write_manifest

SIZE = "--batch-size 64 --n-features 6 --n-hidden 2 --platform cpu --workers 2 --no-report"
GRID = f"--activation relu gelu --sparsity 0 0.9 --seeds 4 --steps 30 {SIZE}".split()


pytestmark = pytest.mark.usefixtures("signals_are_as_before")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run of `GRID`, of two chunks."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert sweeping.sweep([*GRID, "--out", str(folder)]) == 0
    assert len(chunk_files(folder)) == 2
    return folder


def assert_nothing_is_left(run, capsys):
    """The same command again changes nothing."""
    capsys.readouterr()
    before = state(run)
    assert sweeping.sweep([*GRID, "--out", str(run)]) == 0
    assert "All 16 models are done" in capsys.readouterr().out and state(run) == before


@pytest.fixture
def mounted(tmp_path):
    """A function that mounts an empty file system of so many bytes, where that is permitted."""
    places = []

    def mount(size):
        place = tmp_path / "mounted"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no file system can be mounted here")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", str(place)], check=True)


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

MANY = "--activation relu gelu --sparsity 0.9 --seeds 1024 --steps 200"  # eight chunks
MANY = [*MANY.split(), *SIZE.split()]


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


# ------------------------------------------------------------------------ a clock that is set back

DAY = 86400.0


class Clock:
    """This machine's clock, which can be set: what programs ask, and the times of new files."""

    def __init__(self, monkeypatch):
        self.ahead = 0.0
        self.on_file = lambda name: None
        real, replace = time.time, os.replace

        def now():
            return real() + self.ahead

        def renamed(source, target):
            replace(source, target)
            os.utime(target, (now(), now()))
            self.on_file(Path(target).name)

        class Calendar(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.fromtimestamp(now(), tz)

        monkeypatch.setattr(time, "time", now)
        monkeypatch.setattr(os, "replace", renamed)
        monkeypatch.setattr(session, "datetime", Calendar)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def assert_sensible(run):
    """No time before zero, and no rate but one that models of this size can have, or none."""
    found = states.status_of(run)
    assert found.seconds_since_last is None or found.seconds_since_last >= 0
    assert found.models_per_second is None or 0.01 < found.models_per_second < 1e5
    assert found.seconds_left is None or 0 <= found.seconds_left < 1e4
    assert not re.search(r" -\d", states.words(found).replace(str(run), ""))


@pytest.mark.parametrize("back", [60.0, 3600.0, DAY, 3650 * DAY], ids="{:.0f} s".format)
def test_a_clock_that_is_set_back_in_a_run_changes_nothing(
    tmp_path, tried, capsys, clock, whole, back
):
    run, seen = tmp_path / "run", []

    def look(name):
        if name.endswith(".npz"):
            assert_sensible(run)
            seen.append(name)
            clock.ahead = -back

    clock.on_file = look
    assert sweeping.sweep([*GRID, "--out", str(run)]) == 0
    assert len(seen) == 2
    assert_sensible(run)
    assert_same_content(run, whole)
    assert_nothing_is_left(run, capsys)
    tried(
        "A clock that goes backwards",
        "a run whose clock was set back by a minute, an hour, a day and ten years after its first "
        "chunk: the same content, nothing trained twice, and a status without times below zero",
    )


@pytest.mark.parametrize("ahead", [3600.0, DAY], ids="{:.0f} s".format)
@pytest.mark.parametrize("what", ["chunks", "session", "both"])
def test_a_run_from_the_future_goes_on(tmp_path, tried, capsys, whole, what, ahead):
    """Written before the clock was set back, or by a machine whose clock is wrong."""
    run = shutil.copytree(whole, tmp_path / "run")
    (path,) = (run / "sessions").iterdir()
    session = json.loads(path.read_text())
    started_at = time.time() + (0 if what == "chunks" else ahead)
    session["started"] = datetime.fromtimestamp(started_at - 5, UTC).isoformat()
    del session["ended"]  # as a killed one
    path.write_text(json.dumps(session))
    lost, kept = chunk_files(run)
    lost.unlink()
    if what != "session":
        os.utime(kept, (time.time() + ahead,) * 2)
    assert_sensible(run)
    found = states.status_of(run)
    assert found.models_per_second is None and (found.seconds_since_last == 0) == (
        what != "session"
    )
    times = kept.stat().st_mtime_ns
    assert sweeping.sweep([*GRID, "--out", str(run)]) == 0
    assert kept.stat().st_mtime_ns == times
    assert_same_content(run, whole)
    assert_nothing_is_left(run, capsys)
    tried(
        "A clock that goes backwards",
        "a folder whose chunks, session or both are from an hour or a day ahead: what was there "
        "stayed, the rest was trained to the same content, and the status had no rate rather than "
        "a wrong one",
    )


@pytest.mark.parametrize("by", [-DAY, DAY], ids="{:+.0f} s".format)
def test_the_grace_of_a_stop_does_not_follow_the_clock(tried, clock, by):
    stop = Stop()
    stop.set(60)
    clock.ahead = by
    assert stop.allows(50) and not stop.allows(70)
    tried(
        "A clock that goes backwards",
        "the clock set a day back and a day ahead in the grace of a stop: the grace stayed as long",
    )


# ------------------------------------------------------------------------------ a read-only folder

# Root may write anywhere; without CAP_DAC_OVERRIDE it obeys permissions as everybody does.
AS_EVERYBODY = """
import ctypes, os, sys
if os.geteuid() == 0:
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
READ = """
import sys
import jsuper
from jsuper.cli import main, process, sweeping
ds = jsuper.load(sys.argv[1])
print((ds.status == 1).sum().item(), "loaded")
sys.exit(main.main(["status", sys.argv[1]]) or main.main(["verify", sys.argv[1]]))
"""


def as_everybody(*command):
    """(exit code, standard output, standard error) of Python with these arguments."""
    whole = [sys.executable, "-c", AS_EVERYBODY, *map(str, command)]
    done = subprocess.run(whole, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(params=["by its permissions", "by its mount"])
def read_only(request, tmp_path, whole):
    """A run of which one chunk is missing, in a folder that cannot be written."""
    by_mount = request.param == "by its mount"
    place = request.getfixturevalue("mounted")(2**22) if by_mount else tmp_path / "place"
    run = shutil.copytree(whole, place / "run")
    chunk_files(run)[0].unlink()
    folders = [place, *(p for p in place.rglob("*") if p.is_dir())]
    if by_mount:
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    else:
        for folder in folders:
            folder.chmod(0o555)
    if as_everybody("-c", "import sys; open(sys.argv[1] + '/a', 'w')", run)[0] == 0:
        pytest.skip("this user can write anywhere")
    yield run
    if not by_mount:
        for folder in folders:
            folder.chmod(0o755)


def test_a_read_only_folder_is_refused_and_can_be_read(tmp_path, tried, read_only, whole):
    before = state(read_only)
    script = REPO / "scripts" / "sweep.py"
    asked = {"to go on": (), "for more seeds": ("--seeds", 5), "for a new run": ()}
    for what, more in asked.items():
        out = read_only.parent / "new" if what == "for a new run" else read_only
        code, _, error = as_everybody(script, *GRID, *more, "--out", out)
        (line,) = error.splitlines()
        assert code == 2, what
        assert re.fullmatch(r"error: out='.*' cannot be written \(.*\); give another folder", line)
    code, out, error = as_everybody("-c", READ, read_only)
    assert code == 0, error
    for said in ("8 loaded", "8 of 16 models (50%)", "8 missing", "no problems"):
        assert said in out, out
    assert state(read_only) == before and not (read_only.parent / "new").exists()
    tried(
        "A read-only folder",
        "a sweep that goes on, one with more seeds and a new one in a folder read-only by its "
        "permissions or its mount: exit code 2, one line and nothing changed",
        len(asked),
    )
    tried("A read-only folder", "its run loaded, shown and verified", 3)


# ------------------------------------------------------------------------------------ a full disk

PAGE = os.sysconf("SC_PAGE_SIZE")


def fill(place, pages):
    """Leave room for so many pages on a file system."""
    ballast = place / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(place).free - pages * PAGE))
    assert shutil.disk_usage(place).free == pages * PAGE
    return ballast


def assert_no_half_file(run):
    """Every file of a run is whole; none has another's name."""
    assert list(run.rglob("*.tmp")) == []
    for path in run.rglob("*.json"):
        json.loads(path.read_text())
    for path in run.glob("sweep.toml"):
        options.parse(["--config", str(path)])
    for path in run.rglob("*.png"):
        assert path.read_bytes().endswith(b"IEND\xaeB`\x82"), path
    assert not (run / "manifest.json").exists() or list(states.problems(run)) == []


@pytest.mark.slow
def test_a_disk_that_is_full_at_any_moment_stops_a_run_that_then_goes_on(
    tried, mounted, capsys, whole
):
    """Room for nothing, for a page, for two ... until there is room for the whole run."""
    place = mounted(256 * PAGE)
    run, full = place / "run", 0
    while True:
        ballast = fill(place, full)
        capsys.readouterr()
        code = sweeping.sweep([*GRID, "--force", "--out", str(run)])
        lines = capsys.readouterr().err.splitlines()
        if code == 0:
            break
        assert code == 1 and lines[-1].startswith("error: [Errno 28] No space left on device: ")
        assert str(run) in lines[-1]
        assert [line for line in lines if not line.startswith("jsuper")] == lines[-1:]
        assert_no_half_file(run)
        kept = state(run / "chunks")
        ballast.unlink()
        assert sweeping.sweep([*GRID, "--out", str(run)]) == 0
        assert kept.items() <= state(run / "chunks").items()
        assert_same_content(run, whole)
        shutil.rmtree(run)
        full += 1
    assert full > 6  # manifest, sweep.toml, session, two chunks, figure
    tried(
        "A full disk",
        "a small file system with room for nothing, for one page, for two ... until all of a run "
        "fitted, so that every file of it failed once: exit code 1, a line that names the place, "
        "no half file, and with more room the run went on to the same content",
        full,
    )


@pytest.mark.parametrize("older", [False, True], ids=["no older file", "an older file"])
@pytest.mark.parametrize("format", ["csv", "netcdf", "parquet"])
def test_a_disk_that_is_full_leaves_no_half_export(tried, mounted, capsys, whole, format, older):
    """Room for nothing, for one page, two, four ... until there is room for the whole file."""
    pytest.importorskip("h5netcdf" if format == "netcdf" else "pyarrow")
    place = mounted(512 * PAGE)
    run, full = shutil.copytree(whole, place / "run"), 0
    path = run / f"results.{'nc' if format == 'netcdf' else format}"
    command = ["export", str(run), "--format", format, "--force"]
    while True:
        if older:
            path.write_text("an older one")
        before = state(run)
        ballast = fill(place, 2**full - 1)
        capsys.readouterr()
        code = main.main(command)
        ballast.unlink()
        if code == 0:
            break
        (line,) = capsys.readouterr().err.splitlines()
        assert code == 1 and line.startswith("error: [Errno 28] No space left on device: ")
        after = state(run)
        for measures in (before, after):
            measures.pop("analysis.npz", None)  # kept as soon as there is room
        assert str(path) in line and after == before
        full += 1
    assert full >= (1 if format == "csv" else 2) and list(run.rglob("*.tmp")) == []
    tried(
        "A full disk",
        "an export to csv, netCDF and parquet with room for nothing, one page, three ... until the "
        "file fitted: exit code 1, a line that names the file, no half file, and an older file as "
        "it was",
        full,
    )


# ------------------------------------------------------------------------------ compiled programs


@pytest.mark.slow
def test_compiled_programs_that_are_damaged_do_no_harm(tmp_path, tried):
    cache = tmp_path / "cache"
    own = {"JSUPER_CACHE": str(cache)}
    assert ended(started(*GRID, "--out", tmp_path / "first", **own))[0] == 0
    programs = [p for p in cache.rglob("*") if p.is_file() and p.stat().st_size]  # no markers
    assert programs

    def flipped(content):
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]

    def cut(content):
        return content[: len(content) // 2]

    damages = cut, flipped
    for i, damage in enumerate(damages):
        for path in programs:
            path.write_bytes(damage(path.read_bytes()))
        run = tmp_path / str(i)
        code, output = ended(started(*GRID, "--out", run, **own))
        assert code == 0 and output.count("compilation cache: ") == 1, output
        assert_same_content(run, tmp_path / "first")
        assert all(p.with_name(f"{p.name}.corrupt").exists() for p in programs)
    tried(
        "A damaged cache of compiled programs",
        "every program that is kept between runs cut to its half, and with a flipped bit: a line "
        "said so, they were compiled again, and the same content",
        len(damages),
    )


# --------------------------------------------------------------------------------------- the page


def test_the_page_says_what_the_tests_have_counted():
    words = [("b", 2, "two"), ("a", 1, "one"), ("b", 3, "more"), ("b", 2, "two")]
    lines = [{"fault": fault, "tried": times, "what": what} for fault, times, what in words]
    faults = reliability.summed(lines)
    assert faults == {"a": {"one": 1}, "b": {"two": 4, "more": 3}} and list(faults) == ["a", "b"]
    text = reliability.page({"about": {"JAX": 1}, "tests": 9, "skipped": 2, "faults": faults})
    assert "9 tests, 2 of them skipped, with\nJAX 1" in text
    assert text.endswith(
        "| **a** | **1** | one |\n| **b** | **7** | |\n| | 4 | two |\n| | 3 | more |\n"
    )


def test_the_page_in_the_repository_is_that_of_its_counts():
    docs = REPO / "docs"
    data = json.loads((docs / "reliability.json").read_text())
    assert (docs / "reliability.md").read_text() == reliability.page(data)
