"""CONTRIBUTING.md's additions, made as written in a copy of the package, and used there."""

import json
import math
import os
import re
import shutil
import subprocess
import sys

import pytest
from contributing import apply, changed_files, changes, quotes
from running import REPO

FILES = {
    "An activation": 2,
    "A data law": 2,
    "An optimizer": 1,
    "A metric": 1,
    "A figure": 1,
    "A preset": 1,
}
USE = """
import numpy as np

import jsuper
from jsuper.plots.norms import norms

sweep = jsuper.Sweep(
    activation=("relu", "arctan"), optimizer="signw", learning_rate=(0.01, 0.03), sparsity=0.5,
    n_features=3, n_hidden=2, batch_size=8, steps=1, seeds=2,
)
assert sweep.weight_decay == (0.0,)
ds = jsuper.run(sweep, progress=False).squeeze("sparsity")
assert (ds.status == 1).all()

one = ds.sel(activation="arctan", learning_rate=0.01, seed=1)
W, b = one.W.values, one.b.values
x = np.asarray(jsuper.sample(jsuper.seed_key(7), sparsity=0.5, n_features=3, batch=5))
found = jsuper.forward(W, b, "arctan", x)
np.testing.assert_allclose(found, np.arctan(W.T @ W @ x + b[:, None]), rtol=1e-5, atol=1e-6)

x = jsuper.sample(jsuper.seed_key(7), 0.3, 5, 10_000, support="together") > 0
assert 0.65 < x.all(0).mean() < 0.75 and (x.any(0) == x.all(0)).mean() > 0.999
law = dict(activation="relu", n_features=3, n_hidden=2, batch_size=8, steps=2)
laws = jsuper.run(jsuper.Sweep(support="together", values="signed", **law), progress=False)
assert (laws.status == 1).all()

step = ds.W.sel(learning_rate=0.01) - ds.W.sel(learning_rate=0.03)  # 0.02 times a sign
np.testing.assert_allclose(abs(step), 0.02, rtol=1e-4)

ds = jsuper.analyze(ds)
assert ds.largest_weight.equals(abs(ds.W).max(("hidden", "feature")))
assert ds.largest_weight.description == "largest |W_ki|"

drawn = norms(W).lines[0].get_ydata()
np.testing.assert_allclose(drawn, sorted(np.linalg.norm(W, axis=0), reverse=True))
"""


def python(folder, *arguments):
    """What a process prints that imports the copy."""
    variables = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package with all of the additions."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPO / "jsuper", folder / "jsuper", ignore=ignored)
    for title in FILES:
        for change in changes(title):
            apply(change, folder)
    return folder


@pytest.mark.parametrize("title, count", FILES.items(), ids=FILES)
def test_an_addition_touches_the_files_that_its_title_counts(title, count):
    assert len({change.file for change in changes(title)}) == count


def test_nothing_else_is_changed(copy):
    stated = {change.file for title in FILES for change in changes(title)}
    assert changed_files(copy) == stated


@pytest.mark.slow
def test_additions_work(copy):
    python(copy, "-c", USE)


def test_the_command_line_lists_a_new_preset(copy):
    assert "24 models" in python(copy, "-m", "jsuper", "sweep", "--preset", "small", "--dry-run")


def test_the_tests_cover_a_new_activation(copy):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPO / "tests", copy / "tests", ignore=ignored)
    shutil.copy(REPO / "pyproject.toml", copy)
    path = copy / "tests" / "data" / "activations.json"
    data = json.loads(path.read_text())
    data["values"]["arctan"] = [[math.atan(z) for z in row] for row in data["z"]]
    path.write_text(json.dumps(data))
    tests = "tests/models/toy/test_activations.py"
    out = python(copy, "-m", "pytest", "-q", "-n", "0", tests, "-k", "arctan")
    assert re.search(r"\b[1-9]\d* passed", out), out


@pytest.mark.parametrize("file, code", quotes(), ids=lambda value: value.split("\n")[0][:40])
def test_the_examples_of_style_are_in_the_code(file, code):
    assert code in (REPO / file).read_text(encoding="utf-8")


def test_there_are_three_examples_of_style():
    assert len(quotes()) == 3
