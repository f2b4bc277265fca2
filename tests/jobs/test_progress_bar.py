"""The progress line: no time before the speed is known, never done before the page is."""

import sys

import pytest

from jsuper.core.text import format_duration
from jsuper.engine.counters import Progress
from jsuper.engine.estimates import Estimate
from jsuper.jobs import progress_bar


def expected(**fields):
    values = dict(chunks=4, models=40, workers=2, programs=1, work=100.0, evaluation=4.0)
    seconds = dict(compiling=5.0, training=50.0, evaluating=2.0, results=3.0)
    return Estimate(**values | seconds | fields)


@pytest.fixture
def half():
    """Half of the steps in 25 s of two workers."""
    progress = Progress(models=20, compiles=1)
    progress.segment_done(20_000, 50.0, 50.0)
    progress.began -= 25.0
    progress.trained_s = 25.0
    return progress


def test_before_the_speed_is_known_no_time_and_no_share_is_said():
    line = progress_bar.line(expected(), Progress(compiling=1))
    assert line.split() == ["0/40", "models,", "compiling,", "time", "left", "not", "known", "yet"]


def test_the_line_has_models_speed_and_the_time_to_the_page(half):
    line = progress_bar.line(expected(), half)
    assert line.startswith(" 46%  20/40 models, 8") and line.endswith(" model-steps/s, 29 s left")


def test_it_is_not_done_while_blocks_are_evaluated_or_the_page_is_left(half):
    half.add(work=50.0, train_s=50.0, measuring=2)
    line = progress_bar.line(expected(), half)
    assert "measuring the final loss" in line and "100%" not in line and " 0 s" not in line
    half.add(models=20, measuring=-2, non_finite=3)
    line = progress_bar.line(expected(), half)
    assert "3 non-finite" in line and "100%" not in line and line.endswith(" 3 s left")
    assert progress_bar.share_done(expected(results=0.0), half) == 0.99


@pytest.mark.parametrize("terminal", [True, False])
def test_both_kinds_of_line(half, monkeypatch, capsys, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(progress_bar, "PLAIN_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress_bar.reporter(expected(), half) as tick:
        tick()
    assert "20/40 models" in capsys.readouterr().err
    with progress_bar.reporter(expected(), half, quiet=True) as tick:
        tick()
    with progress_bar.reporter(expected(chunks=0), half) as tick:
        tick()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "1 s"),
        (0.4, "1 s"),
        (12.3, "12 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h"),
        (7500, "2 h 5 min"),
        (86_399, "1 d"),
        (100_800, "1 d 4 h"),
        (1e8, "1,157 d 10 h"),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text
