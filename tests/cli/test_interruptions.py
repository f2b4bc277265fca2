"""Interrupted runs and a full disk: what is left, and how a run goes on."""

import re
import resource
import shutil
import signal
import time

import pytest
from running import assert_same_content, chunk_files, ended, started
from tiny_sweeps import SIZE, TINY, end

import jsuper
from jsuper.store import chunk_files as store
from jsuper.store.manifest import read_manifest

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


LONG = ("--activation gelu --sparsity 0.9 --seeds 6 --steps 8000 --no-report" + SIZE).split()
ONE_BY_ONE = "from jsuper.engine import devices; devices.CPU_MODELS = (1, 1)"  # six chunks, not two


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A run of six chunks that take some time each."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    code, said = ended(started(*LONG, "--out", folder, code=ONE_BY_ONE))
    assert code == 0, said
    assert len(chunk_files(folder)) == 6
    return folder


@pytest.mark.slow
def test_compiled_programs_are_kept_in_a_folder_of_the_user(script):
    code, _, error = end(script(*TINY, "--out", "run"))
    assert code == 0, error
    assert any(p.is_file() for p in (script.caches / "jsuper").rglob("*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "number, grace, code",
    [
        (signal.SIGTERM, 0, 75),
        (signal.SIGUSR1, 30, 75),
        (signal.SIGKILL, 0, -signal.SIGKILL),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_content(
    tmp_path, tried, uninterrupted, number, grace, code
):
    run = tmp_path / "run"
    flags = (*LONG, "--workers", 1, "--grace", grace)
    process = started(*flags, "--out", run, code=ONE_BY_ONE)
    deadline = time.monotonic() + 60
    while not chunk_files(run) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    for _ in range(2):  # as `timeout` does: the process, then its group
        process.send_signal(number)
    stopped, said = ended(process)
    assert stopped == code, said
    assert code < 0 or "run again to continue" in said
    kept = {p: p.stat().st_mtime_ns for p in chunk_files(run)}
    assert 0 < len(kept) < 6
    assert (jsuper.load(run).status > 0).sum() == len(kept)
    code, said = ended(started(*LONG, "--out", run))
    assert code == 0, said
    assert kept.items() <= {p: p.stat().st_mtime_ns for p in chunk_files(run)}.items()
    assert_same_content(run, uninterrupted)
    tried(
        "A signal",
        "SIGTERM without grace, SIGUSR1 with it and SIGKILL after the first of six chunks: exit "
        "code 75 where it can be, chunks kept and not written again, and the run went on to the "
        "content of an uninterrupted one",
    )


@pytest.mark.slow
def test_what_is_left_may_be_a_single_activation(sweep, tmp_path):
    """Whatever is left of a run, it is trained by the same program."""
    command = ("--activation relu gelu --sparsity 0.9 --seeds 1 --steps 200" + SIZE).split()
    assert sweep(*command, "--out", "whole")[0] == 0
    run = shutil.copytree("whole", tmp_path / "run")
    chunks = read_manifest(run).chunks
    (gelu,) = [c for c in chunks if c.settings[0]["activation"] == "gelu"]
    assert gelu.n_models == 1
    store.chunk_path(run, gelu.name).unlink()
    code, _, error = sweep(*command, "--out", run)
    assert code == 0, error
    assert_same_content(run, "whole")


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_leaves_whole_chunks(sweep, tried, whole, finished):
    """Files are limited to 10 kB. Existing chunks are smaller than that, new ones are larger."""
    more = [*TINY, "--seeds", 40, "--out", finished]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        code, _, error = sweep(*more)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    last = error.strip().splitlines()[-1]
    assert code == 1 and last.startswith("error: "), error
    (need,) = re.findall(r"needs about ([\d,]+) bytes", last)
    assert 20_000 < int(need.replace(",", "")) < 200_000
    left = {p.name for p in (finished / "chunks").iterdir()}
    assert left == {p.name for p in chunk_files(whole)}
    assert (jsuper.load(finished).status == 1).sum() == 8
    assert sweep(*more)[0] == 0
    assert (jsuper.load(finished).status == 1).all()
    tried(
        "A full disk",
        "a run that is extended where no file may grow beyond 10 kB: exit code 1, a line with the "
        "bytes that are needed, no half file, older chunks untouched, and the run went on",
    )
