"""Bad flags, files and folders are refused with a reason, and nothing is written."""

import pytest
from running import state
from tiny_sweeps import TINY, assert_refused

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--activation relu geluu", r"activation='geluu' is not known; did you mean 'gelu'"),
        ("--sparsity 0 1", r"sparsity=1 is not in \[0, 1\).*try 0\.999"),
        ("--sparsity -0.1", r"sparsity=-0\.1 is not in \[0, 1\)"),
        ("--sparsity nan", r"sparsity=nan is not in \[0, 1\)"),
        ("--sparsity 0.5 0.9 0.5", r"sparsity contains 0\.5 twice"),
        ("--activation relu relu", r"activation contains 'relu' twice"),
        ("--sparsity", r"sparsity=\[\] is empty"),
        ("--seeds 0", r"seeds=0 is not >= 1.*at least one seed"),
        ("--seeds -2", r"seeds=-2 is not >= 1"),
        ("--seeds 4 4", r"seeds contains 4 twice"),
        ("--dropout 1", r"dropout=1 is not in \[0, 1\).*try 0\.5"),
        ("--steps -5", r"steps=-5 is not >= 1"),
        ("--steps 0", r"steps=0 is not >= 1"),
        ("--learning-rate inf", r"learning_rate=inf is not a finite number > 0"),
        ("--weight-decay nan", r"weight_decay=nan is not a finite number"),
        ("--importance 1 0.5", r"importance has 2 values but n_features is 20; give one value per"),
        ("--feature-sparsity 0.5", r"feature_sparsity has 1 values but n_features is 20"),
        ("--optimizer adamx", r"optimizer='adamx' is not known; did you mean 'adamax'"),
        ("--dtype float16", r"dtype='float16' is not known.*float32, float64"),
        ("--snapshots 5 --steps 3", r"snapshots.* 5.*steps=3"),
        ("--preset activation", r"preset='activation' is not known.*activations"),
        ("--preset", r"--preset.*expected one argument"),
        ("--preset activations --config x.toml", r"--config.*not allowed with.*--preset"),
        ("--config none.toml", r"config 'none\.toml' cannot be read: No such file"),
        ("--platform tpu", r"platform='tpu' is not available.*cpu"),
        ("--platform quantum", r"platform='quantum' is not one of auto, cpu, gpu, tpu"),
        ("--workers 0", r"workers=0 is not >= 1"),
        ("--rank 2", r"--rank is a field of the model 'factorization'.*--model factorization"),
        ("--preset scurves --activation relu", r"--activation is a field of the model 'toy'"),
        ("--model factorization --rank 0", r"rank=0 is not >= 1"),
        ("--model factorization --size 3 --rank 4", r"rank=4 is above size=3"),
    ],
)
def test_bad_input_is_refused_and_nothing_written(sweep, tmp_path, flags, said):
    assert_refused(sweep(*flags.split()), said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--spasity 0.5", "--spasity"),
        ("--spars 0.5", "--spars"),
        ("--steps many", "steps='many' is not a whole number"),
        ("--steps 10.5", "steps=10.5 is not a whole number"),
        ("--out", "--out"),
    ],
)
def test_a_flag_that_cannot_be_read_is_refused_and_nothing_written(sweep, tmp_path, flags, said):
    code, _, error = sweep(*flags.split())
    assert code == 2 and said in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text, said",
    [
        ("steps = = 3", r"config 'sweep\.toml' is not valid TOML.*line 1"),
        ("sparsty = 0.5", r"'sparsty' is not a field.*did you mean 'sparsity'"),
        ("model = 'toi'", r"model='toi' is not known; did you mean 'toy'"),
        ("activation = 'rellu'", r"activation='rellu' is not known; did you mean 'relu'"),
        ("activation = 3", r"activation=3 "),
        ("sparsity = [0.5, 1.0]", r"sparsity=1 is not in \[0, 1\)"),
        ("sparsity = '0.5'", r"sparsity='0\.5' is not a number"),
        ("sparsity = []", r"sparsity=\[\] is empty"),
        ("steps = true", r"steps=True is not a whole number"),
        ("learning_rate = 1" + 400 * "0", r"learning_rate.* is not a finite number"),
        ("seeds = []", r"seeds=\[\] is empty"),
        ("learning_rate = inf", r"learning_rate=inf is not a finite number"),
        ("n_features = 3\nimportance = [1, 2]", r"importance has 2 values but n_features is 3"),
    ],
)
def test_a_bad_file_is_refused_and_nothing_written(sweep, tmp_path, text, said):
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    assert_refused(sweep("--config", "sweep.toml"), said)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("out", ["file", "file/run", "file/a/b", "/proc/jsuper/run", 300 * "a"])
def test_a_folder_that_cannot_be_written_is_refused(sweep, tmp_path, out):
    (tmp_path / "file").write_text("mine")
    assert_refused(sweep(*TINY, "--out", out), f"out='{out}'")
    assert (tmp_path / "file").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_of_something_else_is_refused(sweep, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    before = state(tmp_path)
    assert_refused(sweep(*TINY, "--out", "notes"), "out='notes'.*is not a run folder")
    assert state(tmp_path) == before


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--steps 40", r"steps is \[30\] there and \[40\] here"),
        ("--sparsity 0", r"sparsity is \[0\.0, 0\.9\] there and \[0\.0\] here"),
        ("--seeds 1", r"seeds is 2 there and 1 here"),
        ("--schedule linear", r"schedule is constant there and linear here"),
    ],
)
def test_another_sweep_is_refused_in_a_folder_that_holds_one(sweep, finished, flags, said):
    before = state(finished)
    assert_refused(sweep(*TINY, *flags.split(), "--out", finished), said)
    assert state(finished) == before
