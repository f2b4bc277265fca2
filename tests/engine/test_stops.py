"""A stop between chunks, within a block, and while a worker is waited for."""

import queue
import signal
import threading
import time

import numpy as np
import pytest
from plans import CPU, TINY, VMAPPED

import jsuper
from jsuper.core.grid import Chunk, expand
from jsuper.engine import counters, programs
from jsuper.engine import devices as plan
from jsuper.engine import workers as engine
from jsuper.engine.stopping import Stop


def chunks_of_one(seeds, steps):
    """Chunks of a single model each."""
    sweep = jsuper.Sweep(activation="relu", sparsity=0.5, seeds=seeds, steps=steps, **TINY)
    (group,) = expand(sweep)
    return [Chunk("toy", group.static, group.settings, (s,)) for s in group.seeds]


def test_stopping_yields_whole_chunks_only():
    chunks, stop, finished = chunks_of_one(seeds=40, steps=300), Stop(), []
    begun = threading.Semaphore(5)  # workers wait for the caller, however slow it is

    def is_done(chunk):
        assert begun.acquire(timeout=60)
        return False

    used, progress = plan.Plan("cpu", (CPU, CPU)), counters.Progress()
    for chunk, arrays in engine.train_chunks(used, chunks, chunks, progress, stop, is_done=is_done):
        finished.append(chunk)
        assert arrays["status"].all() and np.isfinite(arrays["loss"]).all()
        if len(finished) == 3:
            stop.set()
            begun.release(2)
    assert 3 <= len(finished) <= 5


@pytest.mark.parametrize("grace", [0.0, 1e6])
def test_a_block_ends_where_the_grace_holds_it(monkeypatch, grace):
    """The stop is asked for after the first steps of the first of four blocks."""
    monkeypatch.setattr(engine, "SEGMENT_SECONDS", 0.0)  # a step per call
    stop = Stop()

    class StopsSoon(counters.Progress):
        def segment_done(self, *amounts):
            super().segment_done(*amounts)
            if not stop.is_set():
                stop.set(grace)

    chunks, used, progress = chunks_of_one(4, 400), plan.Plan("cpu", (CPU,)), StopsSoon()
    finished = list(engine.train_chunks(used, chunks, chunks, progress, stop))
    assert len(finished) == (1 if grace else 0)
    assert progress.model_steps in ([400] if grace else range(1, 400))


@pytest.mark.parametrize("fixed", [None, 50])
def test_what_the_grace_does_not_hold_whole_is_not_trained_in_part(fixed):
    """The last 50 of 100 seconds would fit into a grace of 60, without the first."""
    nothing = [None] * 3
    program = programs.Program(*nothing, steps=100, stops=(0, 50), fixed=fixed, memory=0)
    program.observe(1.0)
    stop = Stop()
    assert sum(n for _, n in engine.segments(program, stop)) == 100
    stop.set(60)
    assert list(engine.segments(program, stop)) == []


def test_the_earliest_end_that_was_asked_for_holds():
    stop = Stop()
    assert not stop.is_set() and stop.allows(float("inf"))
    stop.set(60)
    assert stop.is_set() and stop.allows(50) and not stop.allows(70)
    stop.set(1)
    stop.set(60)
    assert stop.allows(0.5) and not stop.allows(2)


def test_a_slow_signal_handler_does_not_make_a_run_wait_forever(monkeypatch, signals_are_as_before):
    """It takes longer than the wait for results that it interrupts."""
    made, make = [], queue.Queue
    monkeypatch.setattr(engine.queue, "Queue", lambda: made.append(make()) or made[0])
    watchdog = threading.Timer(60, lambda: made[0].put((None, TimeoutError("waits forever"))))
    watchdog.daemon = True
    watchdog.start()
    signal.signal(signal.SIGALRM, lambda *_: time.sleep(0.3))
    interrupted = []

    def tick():
        if not interrupted:
            interrupted.append(signal.setitimer(signal.ITIMER_REAL, 0.03))

    def trained_elsewhere(chunk):
        time.sleep(0.2)
        return True  # nothing more comes, which would end the wait

    chunks, progress = chunks_of_one(seeds=1, steps=5), counters.Progress()
    arguments = VMAPPED, chunks, chunks, progress, Stop(), tick, trained_elsewhere
    try:
        assert list(engine.train_chunks(*arguments)) == [] and interrupted
    finally:
        watchdog.cancel()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
