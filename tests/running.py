"""Run folders, and the command in processes of its own: for several files of tests."""

import atexit
import base64
import functools
import json
import math
import multiprocessing
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import jsuper

REPO = Path(__file__).parents[1]
DATA = REPO / "tests" / "data"


def slow(*values):
    """A row of a test's table that `pytest -m slow` runs."""
    return pytest.param(*values, marks=pytest.mark.slow)


def summary_writer(folder, logged):
    """Stand in for torch's SummaryWriter, which makes its folder at once and warns of NaN."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / "events.out.tfevents").touch()

    def add_scalar(name, value, step):
        assert math.isfinite(value), "NaN or Inf found in input tensor"
        logged[name] = value

    return SimpleNamespace(add_scalar=add_scalar, close=lambda: None)


def mutated(content, rng):
    """Bytes with a few changes of the kinds that disks, transfers and people make."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        at, kind = rng.randrange(len(content)), rng.randrange(6)
        length = rng.choice((1, 4, 64))
        if kind == 0:
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            content[at] = rng.choice((0, 255, rng.randrange(256)))
        elif kind == 2:
            content = content[: max(at, 1)]
        elif kind == 3:
            content[at:at] = rng.randbytes(length)
        elif kind == 4:
            del content[at : min(at + length, at + len(content) - 1)]
            content = content or bytearray(b"P")
        else:
            to = rng.randrange(len(content))
            content[to : to + length] = content[at : at + length]
    return bytes(content)


@functools.cache
def kept_programs():
    """Return environment variables with which commands share a cache of compiled programs."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"JSUPER_CACHE": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


@functools.cache
def forks():
    """Return a multiprocessing context whose processes start with slow libraries imported."""
    context = multiprocessing.get_context("forkserver")
    libraries = ["xarray", "matplotlib.pyplot", "scipy.special", "tyro"]
    own = ["cli.sweeping", "cli.summary", "models.toy.train", "analysis.answering", "plots"]
    context.set_forkserver_preload([*libraries, *(f"jsuper.{module}" for module in own)])
    return context


class Command:
    """A function in a forked process, with a part of the interface of `subprocess.Popen`."""

    def __init__(self, function, *arguments):
        descriptor, self.said = tempfile.mkstemp()
        os.close(descriptor)
        self.process = forks().Process(target=_run, args=(self.said, function, *arguments))
        self.process.start()

    @property
    def returncode(self):
        return self.process.exitcode

    def poll(self):
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.process.pid, number)

    def kill(self):
        self.process.kill()

    def output(self, timeout=120):
        """Wait for the end and return the output; raise `subprocess.TimeoutExpired` if late."""
        self.process.join(timeout)
        if self.process.is_alive():
            raise subprocess.TimeoutExpired("a forked process", timeout)
        said = Path(self.said).read_text()
        os.unlink(self.said)
        return said


def _run(said, function, *arguments):
    """Call a function, and write the output of this process to the file `said`."""
    with open(said, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    function(*arguments)


def _run_script(arguments, variables, code):
    """Run `code` and scripts/sweep.py."""
    os.environ.update(variables)
    import jax

    for name, value in variables.items():
        if name.startswith("JAX_"):  # read when jax was imported
            jax.config.update(name.lower(), float(value))
    exec(code, {})
    script = str(REPO / "scripts" / "sweep.py")
    sys.argv[:] = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


def _run_code(code, arguments, variables):
    """Run code as `python -c` does."""
    os.environ.update(variables)
    sys.argv[:] = ["-c", *arguments]
    exec(code, {"__name__": "__main__"})


def started(*arguments, code="", **variables):
    """Start scripts/sweep.py in a new process, after some code."""
    return Command(_run_script, [*map(str, arguments)], kept_programs() | variables, code)


def python(code, *arguments, **variables):
    """Run code in a new process; return its exit code and its output."""
    return ended(Command(_run_code, code, [*map(str, arguments)], variables))


def ended(process):
    """Wait for a `Command`, and return its exit code and its output."""
    try:
        said = process.output()
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, said


def chunk_files(folder):
    return sorted((folder / "chunks").glob("*.npz"))


def state(folder):
    """Every file below a folder with its content and time of change."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def assert_same_content(one, other):
    """The same models, all of them trained, bit by bit."""
    one, other = jsuper.load(one), jsuper.load(other)
    assert (one.status > 0).all()
    for name in one:
        assert np.array_equal(one[name], other[name], equal_nan=True), name


def same_models(one, other):
    """The same models; a partition of its own may train them in another order of sums."""
    one, other = jsuper.load(one), jsuper.load(other)
    assert (one.status == 1).all() and (other.status == 1).all()
    np.testing.assert_allclose(one.W, other.W, atol=1e-5)


def data_of(page):
    """The data that a page embeds."""
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def array(text, dtype="<f4"):
    """An array of it."""
    return np.frombuffer(base64.b64decode(text), dtype)
