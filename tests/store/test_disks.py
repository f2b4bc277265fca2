"""Folders that cannot be written, and disks that are full."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from running import REPO, assert_same_content, chunk_files, state
from tiny_sweeps import GRID

from jsuper.cli import main, options, sweeping
from jsuper.store import status as states

pytestmark = pytest.mark.usefixtures("signals_are_as_before")


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
