"""Several processes on one run folder, and what other terminals see of it."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from running import REPO, ended, kept_programs, same_models, started

import jsuper
from jsuper.cli import main, sweeping
from jsuper.core.errors import SpecError
from jsuper.store import sharing
from jsuper.store import status as states
from jsuper.store.manifest import manifest_of

SIZE = "--batch-size 64 --n-features 6 --n-hidden 2 --platform cpu --workers 1 --no-report"
GRID = f"--activation relu gelu --sparsity 0 0.9 --seeds 3 --steps 30 {SIZE}".split()


pytestmark = pytest.mark.usefixtures("signals_are_as_before")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert sweeping.sweep([*GRID, "--workers", "2", "--out", str(folder)]) == 0  # of two chunks
    return folder


# ------------------------------------------------------------------------------------------ shares


def test_shares_are_all_of_it_and_disjoint():
    chunks = list(range(11))
    shares = [sharing.share(chunks, (i, 4)) for i in (1, 2, 3, 4)]
    assert sorted(sum(shares, [])) == chunks and max(map(len, shares)) == 3
    assert sharing.share(chunks, None) == chunks
    assert sharing.share(chunks[:2], (3, 4)) == []
    assert sharing.shard_of("3/8") == (3, 8)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "-1/2", "1/2/3", "1.0/2", ""])
def test_other_shares_are_refused(text, capsys):
    with pytest.raises(SpecError, match="number a job array from 1"):
        sharing.shard_of(text)
    assert sweeping.sweep([*GRID, f"--shard={text}", "--out", "never"]) == 2
    assert "is not i/N" in capsys.readouterr().err


@pytest.mark.slow
def test_shares_make_the_run_that_one_process_makes(tmp_path, whole, capsys):
    run = tmp_path / "run"
    for i in (2, 3, 1):
        before = {p: p.stat().st_mtime_ns for p in run.glob("chunks/*.npz")}
        assert sweeping.sweep([*GRID, "--out", str(run), "--shard", f"{i}/3"]) == 0
        out = capsys.readouterr().out
        assert ("chunks of others are left" in out) == (i != 1)
        now = {p: p.stat().st_mtime_ns for p in run.glob("chunks/*.npz")}
        assert before.items() < now.items()
        # the same share again has nothing to do
        assert sweeping.sweep([*GRID, "--out", str(run), "--shard", f"{i}/3"]) == 0
        assert now == {p: p.stat().st_mtime_ns for p in run.glob("chunks/*.npz")}
        capsys.readouterr()
    same_models(run, whole)
    assert len({s["id"] for s in json.loads(jsuper.load(run).attrs["sessions"])}) >= 3


# -------------------------------------------------------------------------------------- processes


@pytest.mark.slow
@pytest.mark.parametrize("shards", [("1/2", "2/2"), ("1/1", "1/1", "1/1"), (None, None)])
def test_processes_that_start_together_on_one_folder(tmp_path, tried, whole, shards):
    """Whoever is first fixes the partition; nothing is lost, and nothing is counted twice."""
    run = tmp_path / "run"
    share = [("--shard", shard) if shard else () for shard in shards]
    processes = [started(*GRID, "--out", run, *flags) for flags in share]
    outputs = [ended(process) for process in processes]
    assert [code for code, _ in outputs] == [0] * len(shards), outputs
    chunks = manifest_of(run).chunks
    points = [(json.dumps(s), seed) for c in chunks for s, seed in c.points]
    assert len(points) == len(set(points)) == 12
    assert {p.stem for p in run.glob("chunks/*.npz")} == {c.name for c in chunks}
    same_models(run, whole)
    tried(
        "Several processes on one folder",
        "two with a share each, three with all of it each, and two without --shard, started at the "
        "same time on a new folder: all ended with exit code 0, no model was there twice, and the "
        "models were those of a single process",
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1])
def test_the_job_arrays_script_ends_with_its_task(tmp_path, number):
    """Also where a signal kills the task, by memory or before it can catch any."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "python").write_text(f"#!/bin/sh\nkill -{int(number)} $$\nsleep 100\n")
    (tools / "python").chmod(0o755)
    own = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "1", "JSUPER_ROOT": str(REPO)}
    done = subprocess.run(
        ["bash", str(REPO / "scripts" / "slurm.sh")],
        env=os.environ | own | {"PATH": f"{tools}:{os.environ['PATH']}"},
        timeout=20,
    )
    assert done.returncode == 128 + number


@pytest.mark.slow
def test_the_job_arrays_script(tmp_path, whole):
    """scripts/slurm.sh with the scheduler's variables and a stand-in for `scontrol`."""
    run, asked = tmp_path / "run", tmp_path / "requeued"
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    (tools / "scontrol").chmod(0o755)
    places = {"PATH": f"{Path(sys.executable).parent}:{tools}:{os.environ['PATH']}"}
    places |= {"SLURM_SUBMIT_DIR": str(REPO), "SLURM_ARRAY_JOB_ID": "7"}

    def task(number, *arguments):
        own = {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_COUNT": "2"}
        return subprocess.Popen(
            ["bash", str(REPO / "scripts" / "slurm.sh"), *arguments, "--out", str(run)],
            env=os.environ | kept_programs() | places | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    for number in (1, 2):
        process = task(number, *GRID)
        output = process.communicate(timeout=120)[0].decode()
        assert process.returncode == 0, output
    same_models(run, whole)
    assert not asked.exists()
    long = ["--steps", "20000000", *SIZE.split()]
    run = tmp_path / "long"
    process = task(1, *long, "--activation", "relu", "--sparsity", "0.9", "--seeds", "2")
    deadline = time.monotonic() + 60
    while not list(run.glob("sessions/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)  # to the script alone, as --signal=B:USR1 does
    output = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 75, output
    assert "run again to continue" in output
    assert asked.read_text() == "requeue 7_1\n"


# ------------------------------------------------------------------------------- temporary files

NAME = ".0123456789abcdef.npz.host.7.89abcdef.tmp"


def left_by_kills(folder, age):
    """Temporary files of that age in seconds wherever a run has some."""
    paths = [folder / p / NAME for p in (".", "chunks", "sessions", "figures")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half of it")
        then = path.stat().st_mtime - age
        os.utime(path, (then, then))
    return paths


@pytest.mark.parametrize("error", [0.0, -1e9, -7200.0, 7200.0, 1e9], ids="{:+.0f} s".format)
@pytest.mark.parametrize(
    "age, goes", [(0.0, False), (3500.0, False), (-1e6, False), (3700.0, True)]
)
def test_temporary_files_go_when_they_are_old(tmp_path, tried, monkeypatch, age, goes, error):
    """By the file system's clock: this machine's may be wrong by any `error`."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + error)
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * (now + error)))
    paths = left_by_kills(tmp_path, age)
    others = [tmp_path / "chunks" / "a.npz", tmp_path / "chunks" / "a.tmp", tmp_path / ".hidden"]
    for path in others:
        path.touch()
        os.utime(path, (0, 0))
    with sharing.locked(tmp_path):
        sharing.sweep_stale(tmp_path)
    assert [p.exists() for p in paths] == [not goes] * 4
    assert all(p.exists() for p in others)
    tried(
        "Temporary files of killed processes",
        "files in every folder of a run from before, now and the future, and this machine's clock "
        "right or wrong by 2 hours or 30 years: those of more than an hour ago by the file "
        "system's clock went, others stayed",
        len(paths),
    )


def test_a_run_that_goes_on_removes_what_kills_have_left(tmp_path, whole):
    run = shutil.copytree(whole, tmp_path / "run")
    min(run.glob("chunks/*.npz")).unlink()
    old = left_by_kills(run, 4000.0)
    assert sweeping.sweep([*GRID, "--out", str(run)]) == 0
    assert not any(p.exists() for p in old)
    same_models(run, whole)


def test_a_folder_that_cannot_be_swept_is_left_alone(tmp_path):
    sharing.sweep_stale(tmp_path / "none")
    (tmp_path / ".a.tmp").mkdir()
    os.utime(tmp_path / ".a.tmp", (0, 0))
    with sharing.locked(tmp_path):
        sharing.sweep_stale(tmp_path)
    assert (tmp_path / ".a.tmp").is_dir()


# ----------------------------------------------------------------------------- status and verify


def test_status_counts_what_is_there(tmp_path, whole, capsys):
    run = tmp_path / "run"
    sweeping.sweep([*GRID, "--out", str(run), "--shard", "1/3"])
    capsys.readouterr()
    found = states.status_of(run)
    assert 0 < found.ok < found.models == 12 and found.missing == 12 - found.ok
    assert found.diverged == found.failed == found.chunks_damaged == 0
    assert 0 <= found.seconds_since_last < 120
    assert main.main(["status", str(run)]) == 0
    out = capsys.readouterr().out
    assert f"{found.ok} of 12 models" in out and f"{found.missing} missing" in out
    assert main.main(["status", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == found.missing
    assert states.status_of(whole).missing == 0 and states.status_of(whole).resume is None
    assert main.main(["status", str(tmp_path / "none")]) == 2
    assert found.resume and f"resume   {found.resume}" in out
    assert main.main(shlex.split(found.resume)[1:]) == 0
    assert states.status_of(run).ok == 12
    shutil.rmtree(run / "chunks")
    (run / "sweep.toml").unlink()
    assert "resume   by the command, or the call" in states.words(states.status_of(run))


def test_the_rate_is_that_of_the_session_that_is_open(monkeypatch):
    """Unless it has written nothing for long, and was killed."""
    began = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: began + 500)
    started = {"started": "2023-11-14T22:13:20+00:00"}
    written = [(began - 50, 100), (began + 10, 3), (began + 20, 5)]
    assert states._rate([started], written) == pytest.approx(8 / 20)
    assert states._rate([started | {"ended": "later"}], written) is None
    assert states._rate([{"started": "nonsense"}], written) is None
    assert states._rate([], written) is None
    both = [started, started | {"started": "2023-11-14T22:13:25+00:00", "ended": "later"}]
    assert states._rate(both, written) == pytest.approx(8 / 20)
    monkeypatch.setattr("time.time", lambda: began + 700)
    assert states._rate([started], written) is None
    assert states._rate([started], written[:1]) is None


@pytest.mark.parametrize("damage", ["flipped bit", "truncated", "renamed"])
def test_verify_finds_what_a_resume_mends(tmp_path, tried, whole, capsys, damage):
    run = shutil.copytree(whole, tmp_path / "run")
    assert main.main(["verify", str(run)]) == 0
    assert "no problems" in capsys.readouterr().out
    path, other = sorted(run.glob("chunks/*.npz"))[:2]
    content = path.read_bytes()
    if damage == "flipped bit":
        with np.load(path) as file:
            at = content.index(file["W"].tobytes())
        content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    elif damage == "truncated":
        content = content[: len(content) // 2]
    else:
        content = other.read_bytes()
    path.write_bytes(content)
    assert main.main(["verify", str(run)]) == 1
    out = capsys.readouterr().out
    assert path.name in out and "1 problem\n" in out
    assert sweeping.sweep([*GRID, "--out", str(run)]) == 0
    assert main.main(["verify", str(run)]) == 0
    same_models(run, whole)
    tried(
        "A damaged chunk file",
        "a flipped bit, a file cut in half and one under the name of another: `jsuper verify` "
        "named the file, the sweep's command mended it, and the models were the same",
    )


def test_status_and_verify_need_no_jax(whole):
    run = str(whole)
    program = (
        "import sys; from jsuper.cli import main\n"
        f"assert main.main(['status', {run!r}]) == main.main(['verify', {run!r}]) == 0\n"
        "assert 'jax' not in sys.modules and 'xarray' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
