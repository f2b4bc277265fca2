"""A finished run, and the command in this process and in another."""

import os
import shutil
import subprocess
import sys

import matplotlib as mpl
import pytest
from running import REPO
from tiny_sweeps import TINY

from jsuper.cli import sweeping


@pytest.fixture
def in_an_empty_folder(tmp_path, monkeypatch, signals_are_as_before):
    """Relative folders are below `tmp_path`; signals are as they were afterwards."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sweep(capsys):
    """`jsuper sweep` in this process: (exit code, standard output, standard error)."""

    def call(*arguments):
        try:
            code = sweeping.sweep([str(a) for a in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture(scope="package")
def whole(tmp_path_factory):
    """A finished run of `TINY`: look at it, or copy it."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert sweeping.sweep([*TINY, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def finished(whole, tmp_path):
    """One's own copy of a finished run."""
    return shutil.copytree(whole, tmp_path / "run")


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """scripts/sweep.py in a new process; it says whether jax was imported.

    Compiled programs are kept as they are by default, but below another home.
    """
    caches = tmp_path_factory.mktemp("caches")
    environment = os.environ | {"XDG_CACHE_HOME": str(caches), "MPLCONFIGDIR": mpl.get_cachedir()}
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"  # all of them, on any machine
    del environment["JSUPER_CACHE"]

    def start(*arguments):
        program = (
            "import runpy, sys\nscript = sys.argv.pop(1)\n"
            "try:\n    runpy.run_path(script, run_name='__main__')\n"
            "finally:\n    print('jax imported:', 'jax' in sys.modules)\n"
        )
        command = [sys.executable, "-c", program, REPO / "scripts" / "sweep.py", *arguments]
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return subprocess.Popen([str(c) for c in command], env=environment, **pipes)

    start.caches = caches
    return start
