"""Clocks that are set back or ahead before a run, in it and while it stops."""

import json
import os
import re
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from running import assert_same_content, chunk_files
from tiny_sweeps import GRID, assert_nothing_is_left

from jsuper.cli import sweeping
from jsuper.engine.stopping import Stop
from jsuper.jobs import session
from jsuper.store import status as states

pytestmark = pytest.mark.usefixtures("signals_are_as_before")


DAY = 86400.0


class Clock:
    """This machine's clock, which can be set: what programs ask, and the times of new files."""

    def __init__(self, monkeypatch):
        self.ahead = 0.0
        self.on_file = lambda name: None
        real, replace = time.time, os.replace

        def now():
            return real() + self.ahead

        def renamed(source, target):
            replace(source, target)
            os.utime(target, (now(), now()))
            self.on_file(Path(target).name)

        class Calendar(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.fromtimestamp(now(), tz)

        monkeypatch.setattr(time, "time", now)
        monkeypatch.setattr(os, "replace", renamed)
        monkeypatch.setattr(session, "datetime", Calendar)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def assert_sensible(run):
    """No time before zero, and no rate but one that models of this size can have, or none."""
    found = states.status_of(run)
    assert found.seconds_since_last is None or found.seconds_since_last >= 0
    assert found.models_per_second is None or 0.01 < found.models_per_second < 1e5
    assert found.seconds_left is None or 0 <= found.seconds_left < 1e4
    assert not re.search(r" -\d", states.words(found).replace(str(run), ""))


@pytest.mark.parametrize("back", [60.0, 3600.0, DAY, 3650 * DAY], ids="{:.0f} s".format)
def test_a_clock_that_is_set_back_in_a_run_changes_nothing(
    tmp_path, tried, capsys, clock, whole, back
):
    run, seen = tmp_path / "run", []

    def look(name):
        if name.endswith(".npz"):
            assert_sensible(run)
            seen.append(name)
            clock.ahead = -back

    clock.on_file = look
    assert sweeping.sweep([*GRID, "--out", str(run)]) == 0
    assert len(seen) == 2
    assert_sensible(run)
    assert_same_content(run, whole)
    assert_nothing_is_left(run, capsys)
    tried(
        "A clock that goes backwards",
        "a run whose clock was set back by a minute, an hour, a day and ten years after its first "
        "chunk: the same content, nothing trained twice, and a status without times below zero",
    )


@pytest.mark.parametrize("ahead", [3600.0, DAY], ids="{:.0f} s".format)
@pytest.mark.parametrize("what", ["chunks", "session", "both"])
def test_a_run_from_the_future_goes_on(tmp_path, tried, capsys, whole, what, ahead):
    """Written before the clock was set back, or by a machine whose clock is wrong."""
    run = shutil.copytree(whole, tmp_path / "run")
    (path,) = (run / "sessions").iterdir()
    session = json.loads(path.read_text())
    started_at = time.time() + (0 if what == "chunks" else ahead)
    session["started"] = datetime.fromtimestamp(started_at - 5, UTC).isoformat()
    del session["ended"]  # as a killed one
    path.write_text(json.dumps(session))
    lost, kept = chunk_files(run)
    lost.unlink()
    if what != "session":
        os.utime(kept, (time.time() + ahead,) * 2)
    assert_sensible(run)
    found = states.status_of(run)
    assert found.models_per_second is None and (found.seconds_since_last == 0) == (
        what != "session"
    )
    times = kept.stat().st_mtime_ns
    assert sweeping.sweep([*GRID, "--out", str(run)]) == 0
    assert kept.stat().st_mtime_ns == times
    assert_same_content(run, whole)
    assert_nothing_is_left(run, capsys)
    tried(
        "A clock that goes backwards",
        "a folder whose chunks, session or both are from an hour or a day ahead: what was there "
        "stayed, the rest was trained to the same content, and the status had no rate rather than "
        "a wrong one",
    )


@pytest.mark.parametrize("by", [-DAY, DAY], ids="{:+.0f} s".format)
def test_the_grace_of_a_stop_does_not_follow_the_clock(tried, clock, by):
    stop = Stop()
    stop.set(60)
    clock.ahead = by
    assert stop.allows(50) and not stop.allows(70)
    tried(
        "A clock that goes backwards",
        "the clock set a day back and a day ahead in the grace of a stop: the grace stayed as long",
    )
