"""What `jsuper sweep` prepares for the page while it trains, and that nothing waits for it."""

import time

import pytest

import jsuper
from jsuper.analysis.metrics import toy
from jsuper.cli import process, sweeping
from jsuper.report import ahead

TINY = "--activation relu gelu --sparsity 0 0.9 --seeds 2 --batch-size 64 --n-features 6"
TINY = f"{TINY} --n-hidden 2 --platform cpu --workers 2".split()


@pytest.fixture(autouse=True)
def signals_stay(signals_are_as_before):
    """Signals are as they were afterwards."""


def sweep(folder, steps):
    """Train in this process; each test needs its own steps, as it waits for a compilation."""
    return sweeping.sweep([*TINY, "--steps", str(steps), "--out", str(folder)])


@pytest.mark.slow
def test_the_page_of_a_run_is_prepared(monkeypatch, tmp_path):
    ended, real = [], ahead.prepare_page

    def prepare_page(sweep, chunks, stopped):
        try:
            real(sweep, chunks)
            ended.append("well")
        except BaseException as error:
            ended.append(repr(error))
            raise

    monkeypatch.setattr(ahead, "prepare_page", prepare_page)
    assert sweep(tmp_path / "run", 31) == process.DONE
    assert ended == ["well"]


def test_the_end_of_the_training_ends_the_preparation(monkeypatch, tmp_path):
    asked = []

    def prepare_page(sweep, chunks, stopped):
        while not stopped():
            asked.append(time.monotonic())
            time.sleep(0.01)

    monkeypatch.setattr(ahead, "prepare_page", prepare_page)
    monkeypatch.setattr(sweeping, "conclude", lambda *_: None)
    assert sweep(tmp_path / "run", 32) == process.DONE
    assert asked


def test_the_preparation_asks_before_each_part_of_the_measures(monkeypatch):
    asked = []

    def stopped():
        asked.append(len(measured))
        return len(asked) == 3

    measured = []
    monkeypatch.setattr(ahead, "to_dataset", lambda *_: None)
    monkeypatch.setattr(ahead, "analyze", lambda ds, metrics: measured.append(metrics))
    ahead.prepare_page(jsuper.Sweep(activation="relu", sparsity=0.5, seeds=1), [], stopped)
    assert asked == [0, 1, 2] and measured == list(toy.PARTS[:2])
    assert sorted(name for part in toy.PARTS for name in part) == sorted(toy.MEASURES)


@pytest.mark.slow
def test_an_error_of_the_preparation_does_not_end_the_run(monkeypatch, tmp_path):
    called = []

    def prepare_page(sweep, chunks, stopped):
        called.append(chunks)
        raise RuntimeError("no page today")

    monkeypatch.setattr(ahead, "prepare_page", prepare_page)
    monkeypatch.setattr(sweeping, "conclude", lambda *_: None)
    assert sweep(tmp_path / "run", 33) == process.DONE
    assert called


def test_a_large_run_is_not_prepared(monkeypatch):
    def to_dataset(*_):
        raise AssertionError("it is made")

    monkeypatch.setattr(ahead, "to_dataset", to_dataset)
    monkeypatch.setattr(ahead, "_numbers", lambda _: ahead.MOST_NUMBERS)
    ahead.prepare_page(None, [None, None])
    with pytest.raises(AttributeError):  # of no sweep: a small run is
        ahead.prepare_page(None, [None])
