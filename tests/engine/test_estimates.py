"""Estimates of time: before the start, and what is left once models are trained."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest

import jsuper
from jsuper.core.grid import expand, partition
from jsuper.engine import counters, estimates
from jsuper.engine.counters import Progress
from jsuper.engine.devices import Plan
from jsuper.models.toy.activations.names import KNOWN

TWO = Plan("cpu", ("a core", "another"))
ALL_SPARSITIES = (0.0, 0.9, 0.999)


def chunks_of(largest=6, **fields):
    sweep = jsuper.Sweep(**dict(activation="relu", sparsity=0.9, seeds=4, steps=100) | fields)
    return [c for group in expand(sweep) for c in partition(sweep, group, largest, 2)]


@pytest.mark.parametrize(
    "seconds, workers, expected",
    [([], 2, 0), ([3], 2, 3), ([3, 3, 3], 2, 6), ([5, 1, 1, 1], 2, 5), ([1, 2, 3], 1, 6)],
)
def test_the_last_task_ends_the_run(seconds, workers, expected):
    assert estimates.makespan(seconds, workers) == expected


def test_sparse_batches_and_fewer_steps_cost_less():
    def seconds(**fields):
        return sum(estimates.chunk_seconds(TWO, c) for c in chunks_of(**fields))

    many = dict(activation=tuple(KNOWN[:20]), largest=100)
    assert seconds(**many, sparsity=0.999) < seconds(**many, sparsity=0.0) / 3
    assert seconds(steps=50) == pytest.approx(seconds(steps=100) / 2)
    assert seconds(seeds=8) == pytest.approx(2 * seconds(seeds=4))
    assert seconds(n_features=100) > 3 * seconds()
    assert seconds(unpaired=True, sparsity=(0, 0.5)) > seconds(sparsity=(0, 0.5))
    whole = dataclasses.replace(TWO, batching="reference")
    (chunk, *_) = chunks_of(**many, sparsity=0.999)
    assert estimates.step_seconds(whole, chunk) > 3 * estimates.step_seconds(TWO, chunk)


def test_the_parts_make_the_whole_and_a_slow_machine_takes_longer():
    chunks = chunks_of(sparsity=ALL_SPARSITIES)
    one = estimates.estimate(TWO, chunks, 100, figure=True, page=True)
    two = estimates.estimate(TWO, chunks, 100, slowness=2.0, figure=True, page=True)
    assert two.training == 2 * one.training and one.results < two.results < 2 * one.results
    assert one.seconds == one.compiling + one.training + one.evaluating + one.results
    assert estimates.estimate(TWO, chunks).results == 0 < one.results
    gpu = estimates.estimate(Plan("gpu", ("a device",)), chunks, slowness=1.0)
    assert math.isnan(gpu.seconds) and gpu.work > 0
    assert estimates.estimate(TWO, []).seconds == 0


def test_known_programs_are_expected_to_be_read(tmp_path, monkeypatch):
    chunks = chunks_of()
    monkeypatch.setattr(estimates, "_cache_folder", lambda: str(tmp_path))
    before = estimates.estimate(TWO, chunks)
    estimates.mark_cached(TWO, chunks)
    after = estimates.estimate(TWO, chunks)
    assert after.compiling < before.compiling / 2 and after.work == before.work
    other = chunks_of(activation="gelu")
    assert estimates.estimate(TWO, other).compiling == before.compiling
    monkeypatch.setattr(estimates, "_cache_folder", lambda: None)
    estimates.mark_cached(TWO, other)
    assert not estimates.is_cached(TWO, chunks)


@pytest.fixture
def training(monkeypatch):
    """A run of 4 chunks on 2 workers, whose first 2 have been trained for 8 s without a break."""
    chunks = chunks_of(seeds=8, sparsity=(0.5, 0.7, 0.9), largest=6)
    assert len(chunks) == 4
    found = estimates.estimate(TWO, chunks, page=True)
    monkeypatch.setattr(counters, "time", SimpleNamespace(perf_counter=lambda: 8.0))
    progress = Progress(compiles=1, compile_s=0.1, began=0.0)
    progress.segment_done(100, found.work / 4, 16.0)
    return found, progress


def test_no_time_is_left_before_the_speed_is_known():
    found = estimates.estimate(TWO, chunks_of())
    assert found.seconds_left(Progress(compiling=1)) is None
    progress = Progress()
    progress.segment_done(5, 1e-6, 0.1)
    assert found.seconds_left(progress) is None


def test_the_speed_is_that_of_the_latest_steps():
    progress = Progress()
    progress.segment_done(5, 1e-5, 0.1)  # the first call takes long, and counts for its work
    progress.segment_done(5, 1.0, 2.0)
    assert progress.slowness == pytest.approx(2.1, rel=0.02)
    for seconds in [10.0] * 3 + [2.0] * 30:  # at first a compiler needs the cores too
        progress.segment_done(5, 1.0, seconds)
    assert progress.slowness == pytest.approx(2.0, rel=0.05)
    assert progress.model_steps == 175


def test_the_time_left_has_training_evaluation_and_page(training):
    found, progress = training
    left = found.seconds_left(progress)
    assert left == pytest.approx(24 + 16 / progress.work * found.evaluation / 2 + found.results)
    progress.add(work=found.work - progress.work, train_s=48.0)
    at_the_end = found.seconds_left(progress)
    assert at_the_end > found.results > 0  # blocks are evaluated, and the page is written
    progress.add(models=found.models, evaluate_s=10.0)
    assert found.seconds_left(progress) == pytest.approx(found.results)


def test_evaluation_is_timed_once_there_is_any(training):
    found, progress = training
    progress.add(models=found.models // 2, evaluate_s=100.0)
    assert found.seconds_left(progress) == pytest.approx(24 + 50 + found.results)


def test_a_single_chunk_at_the_end_keeps_one_worker_busy(training):
    found, progress = training
    progress.add(work=found.work / 2, train_s=32.0, models=found.models * 3 // 4)
    assert found.seconds_left(progress) > 16


def test_of_a_cluster_only_finished_chunks_are_known(training):
    found, progress = training
    progress.train_s = progress.compile_s = progress.compiles = 0
    assert found.seconds_left(progress) is None  # none is finished
    progress.add(models=found.models // 4)
    assert found.seconds_left(progress) == pytest.approx(24 + found.results)


def test_the_probe_compares_this_machine_with_the_reference():
    slowness = estimates.probed_slowness(1)
    assert 0.05 < slowness < 1000 and np.isfinite(slowness)
