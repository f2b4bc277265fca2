"""What `jsuper.run(on_progress=...)` tells a function of the user, and when."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jsuper.core.expecting import described
from jsuper.core.grid import Chunk
from jsuper.core.json_data import label
from jsuper.core.sweep import BaseSweep

if TYPE_CHECKING:
    from jsuper.engine.counters import Progress
    from jsuper.engine.estimates import Estimate

LEAST_SECONDS = 1.0  # between two calls, other than those at the end of a chunk


@dataclass(frozen=True)
class RunProgress:
    """How far a run is. Models that the folder had before the run are not counted."""

    models: int
    """models that are trained and measured"""
    models_total: int
    """models that this run trains"""
    non_finite: int
    """of `models`: those that diverged or failed"""
    chunks: int
    """chunks that are finished, and written if there is a folder"""
    chunks_total: int
    model_steps: int
    """steps so far, summed over the models"""
    model_steps_total: int
    model_steps_per_second: float
    seconds: float
    """seconds since the start of the run, compilation included"""
    seconds_left: float
    """expected seconds; NaN before the speed is known"""
    chunk: dict[str, tuple] | None
    """the chunk that has just ended, axis -> its values; None between the ends of chunks"""

    def numbers(self) -> dict[str, float]:
        """Return every field that is a finite number, by name: what a logger of metrics takes."""
        return {k: v for k, v in vars(self).items() if k != "chunk" and math.isfinite(v)}


Listener = Callable[[RunProgress], object]


def expect_listener(value: object) -> None:
    """Raise TypeError unless a value is a function or None."""
    if not (value is None or callable(value)):
        raise TypeError(
            f"on_progress is {described(value)}, not a function; for example jsuper.run(sweep, "
            "on_progress=print)"
        )


class Listening:
    """Calls a function at the ends of chunks, and at most every LEAST_SECONDS between them.

    Every call is made in the thread that trains the run, from `tick` or `end`. What the function
    raises there ends the training.

    Parameters
    ----------
    listener
        The function; None: nobody is told.
    expected
        What the run was expected to take.
    progress
        Its counters.
    sweep
        Whose axes the chunks' coordinates are.
    pending
        The chunks that are trained.
    """

    def __init__(
        self,
        listener: Listener | None,
        expected: Estimate,
        progress: Progress,
        sweep: BaseSweep,
        pending: list[Chunk],
    ) -> None:
        self._listener, self._expected, self._progress = listener, expected, progress
        self._sweep, self._pending = sweep, {c.name: c for c in pending}
        self._steps = sum(c.n_models * c.static["steps"] for c in pending)
        self._waiting: list[Chunk | None] = []
        self._finished, self._told = 0, time.monotonic()

    def finished(self, chunk: Chunk) -> None:
        """Note that a chunk is finished; the next `tick` or `end` tells it."""
        self._waiting.append(chunk)

    def tick(self) -> None:
        """Tell of finished chunks, or how far the run is if LEAST_SECONDS are over."""
        if self._listener is None:
            return
        if not self._waiting and time.monotonic() - self._told >= LEAST_SECONDS:
            self._waiting.append(None)
        while self._waiting:
            chunk = self._waiting.pop(0)
            self._finished += chunk is not None
            self._listener(self._state(chunk))
            self._told = time.monotonic()

    def end(self) -> None:
        """Tell of the last chunks, or that there was nothing to train."""
        if not self._pending:
            self._waiting.append(None)
        if self._waiting:
            self.tick()

    def _state(self, chunk: Chunk | None) -> RunProgress:
        progress, left = self._progress, self._expected.seconds_left(self._progress)
        if self._finished == len(self._pending):
            left = 0.0
        trained = progress.trained_s or progress.elapsed()
        return RunProgress(
            models=progress.models,
            models_total=self._expected.models,
            non_finite=progress.non_finite,
            chunks=self._finished,
            chunks_total=len(self._pending),
            model_steps=progress.model_steps,
            model_steps_total=self._steps,
            model_steps_per_second=progress.model_steps / max(trained, 1e-9),
            seconds=progress.elapsed(),
            seconds_left=math.nan if left is None else left,
            chunk=None if chunk is None else coordinates_of(self._sweep, chunk),
        )


def coordinates_of(sweep: BaseSweep, chunk: Chunk) -> dict[str, tuple]:
    """Return the values that a chunk has of every axis of its sweep, and its seeds.

    Zipped fields are given each by itself. A function is given by its name.
    """
    found = {}
    for f in dataclasses.fields(sweep):
        if not f.metadata["axis"]:
            continue
        if len(sweep.values_of(f.name)) > 1 or f.name in sweep.main_axes:
            found[f.name] = _values(chunk, f.name)
    return found | {"seed": chunk.seeds}


def _values(chunk: Chunk, name: str) -> tuple[Any, ...]:
    if name in chunk.static:
        return (label(chunk.static[name]),)
    return tuple(dict.fromkeys(label(setting[name]) for setting in chunk.settings))
