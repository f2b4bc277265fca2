"""A finished run, and small file systems."""

import shutil
import subprocess

import pytest
from running import chunk_files
from tiny_sweeps import GRID

from jsuper.cli import sweeping


@pytest.fixture(scope="package")
def whole(tmp_path_factory):
    """A finished run of `GRID`, of two chunks."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert sweeping.sweep([*GRID, "--out", str(folder)]) == 0
    assert len(chunk_files(folder)) == 2
    return folder


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
