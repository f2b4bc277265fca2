"""The plan that is printed before a run counts what this share trains."""

import shutil

import pytest
from messages import assert_says
from running import chunk_files

from jsuper.cli import main, summary
from jsuper.cli import options as flags
from jsuper.engine import devices, estimates
from jsuper.jobs import room
from jsuper.jobs.job import prepare
from jsuper.jobs.ray_driver import ClusterPlan, RemoteDevice

pytestmark = pytest.mark.usefixtures("signals_are_as_before")


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


GRID = "--activation relu gelu --sparsity 0 0.9 --seeds 12 --steps 30 --batch-size 64"
GRID = f"{GRID} --n-features 6 --n-hidden 2 --platform cpu --workers 2 --no-report".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 4 chunks of 12 models, of which share 1/2 (chunks 0 and 2) is done."""
    folder = tmp_path_factory.mktemp("plan") / "run"
    assert main.main(["sweep", *GRID, "--out", str(folder), "--shard", "1/2"]) == 0
    assert len(chunk_files(folder)) == 2
    return folder


def planned(folder, shard=None, damage=0, delete=0, workers=2, kind=None):
    """The lines of the plan by their first word."""
    asked = flags.parse(GRID)[0]
    made = devices.make_plan("cpu", workers) if kind is None else kind
    job = prepare(asked, folder, made, shard)
    expected = estimates.estimate(made, job.todo)
    plan = summary.plan_text(job, made, expected)
    lines = [line.split(maxsplit=1) for line in plan.splitlines()]
    return dict(lines), job


ALL, TIME = r"= 48 models, 30 steps each", r"about \d s: compilation \d s"
PLANS = [
    # share, done before, damaged, lines of the plan
    (None, False, 0, dict(model=ALL + "$", chunks=r"^2 to do, of up to 24 models", time=TIME)),
    (
        (1, 2),
        False,
        0,
        dict(
            model=ALL + "$",
            share=r"^1/2: 24 models; the other shares: 24 models$",
            chunks=r"^2 to do, of up to 12 models",
        ),
    ),
    (
        (1, 2),
        True,
        0,
        dict(
            model=ALL + r", 24 done already$",
            share=r"^1/2: 24 models, 24 done; the other shares: 24 models$",
            chunks=r"^none to do$",
            time=r"^nothing to train$",
        ),
    ),
    (
        (2, 2),
        True,
        0,
        dict(
            share=r"^2/2: 24 models; the other shares: 24 models, 24 done$",
            chunks=r"^2 to do, of up to 12 models",
        ),
    ),
    ((1, 3), True, 0, dict(share=r"^1/3: 24 models, 12 done; .*: 24 models, 12 done$")),
    ((9, 9), True, 0, dict(share=r"^9/9: 0 models; .*: 48 models, 24 done$", chunks=r"^none to")),
    (None, True, 0, dict(model=ALL + r", 24 done already$", chunks=r"^2 to do, of up to 12")),
    (
        None,
        True,
        1,
        dict(
            model=ALL + r", 12 done already$",
            chunks=r"^3 to do \(1 of them damaged\), of up to 12 models",
        ),
    ),
    (
        (1, 2),
        True,
        2,
        dict(
            model=ALL + "$",
            share=r"^1/2: 24 models; the other shares: 24 models$",
            chunks=r"^2 to do \(2 of them damaged\)",
        ),
    ),
    ((2, 2), True, 1, dict(share=r"the other shares: 24 models, 12 done$", chunks=r"^2 to do, of")),
]


@pytest.mark.parametrize("shard, started, damaged, lines", PLANS)
def test_the_plan_counts_what_this_share_trains(
    run, tmp_path, monkeypatch, shard, started, damaged, lines
):
    folder = run if started else tmp_path / "run"
    if damaged:
        folder = shutil.copytree(run, tmp_path / "run")
        for path in chunk_files(folder)[:damaged]:
            path.write_bytes(b"damaged")
    found, _ = planned(folder, shard)
    assert ("share" in found) == (shard is not None)
    for name, pattern in lines.items():
        assert_says(found[name], pattern)


def test_memory_and_time_are_those_of_the_share(tmp_path):
    """Half of the chunks take half of the time; a cluster's task is a process with one worker."""
    whole, job = planned(tmp_path / "run", (1, 1))
    half, part = planned(tmp_path / "run", (1, 2))
    two, one = devices.make_plan("cpu", 2), devices.make_plan("cpu", 1)
    assert 2 * len(part.todo) == len(part.chunks)
    share, run = (estimates.estimate(two, chunks) for chunks in (part.todo, part.chunks))
    assert share.work == run.work / 2 and share.training == run.training / 2
    assert room.memory_bytes(job.todo, one) < room.memory_bytes(job.todo, two)
    ray = ClusterPlan("cpu", tuple(RemoteDevice("cpu", i) for i in range(8)), "auto", nodes=2)
    assert room.memory_bytes(job.todo, ray) == room.memory_bytes(job.todo, one)
    found, _ = planned(tmp_path / "run", kind=ray)
    assert_says(found["device"], r"Ray, 2 nodes, 8 tasks")
    assert_says(found["memory"], r"^about [0-9.]+ [GM]B a task, results")
    assert whole["memory"] == half["memory"]


def test_a_dry_run_of_a_share_of_an_empty_folder(empty, capsys):
    assert main.main(["sweep", *GRID, "--shard", "1/2", "--dry-run", "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert_says(out, r"= 48 models", r"share    1/2: 24 models; the other shares: 24 models\n")
    assert "done" not in out and list(empty.iterdir()) == []


def test_a_damaged_chunk_of_another_share_is_left_to_it(run, tmp_path, capsys):
    folder = shutil.copytree(run, tmp_path / "run")
    chunk_files(folder)[0].write_bytes(b"damaged")
    assert main.main(["sweep", *GRID, "--shard", "2/2", "--out", str(folder)]) == 0
    out, error = capsys.readouterr()
    assert_says(error, r"chunk \w+ is damaged: set aside and left to another share")
    assert_says(out, r"share 2/2 is done; 1 chunks of others are left")
