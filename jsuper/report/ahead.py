"""Prepare a run's page while the run is trained: measure made-up models of the same shapes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from jsuper.analysis import analyze
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk
from jsuper.core.status import OK
from jsuper.core.sweep import BaseSweep
from jsuper.store.chunk_files import Arrays
from jsuper.store.dataset import to_dataset

MOST_NUMBERS = 500_000  # weights, curves and so on of all models of a run that is prepared


def prepare_page(
    sweep: BaseSweep, chunks: list[Chunk], stopped: Callable[[], bool] = lambda: False
) -> None:
    """Measure made-up models of a run, so that its own are measured without compiling.

    Modules that the figure and the page need are imported too. Nothing is done for large runs,
    whose measures take far longer than their compilation.

    Parameters
    ----------
    sweep
        The run's sweep.
    chunks
        Its whole partition; the shapes of programs depend on the number of models.
    stopped
        Whether to give up; asked before each part of the measures.
    """
    if sum(map(_numbers, chunks)) > MOST_NUMBERS:
        return
    import jsuper.plots
    import jsuper.report.page  # noqa: F401

    ds = to_dataset(sweep.to_dict(), chunks, made_up)
    parts = getattr(family_of(sweep.model).measures, "PARTS", (None,))  # None: all at once
    for names in parts:
        if stopped():
            return
        analyze(ds, metrics=names)


def _numbers(chunk: Chunk) -> int:
    """Return how many numbers the models of a chunk have."""
    layout = family_of(chunk.model).spec.layout(chunk.static, chunk.settings)
    return chunk.n_models * sum(math.prod(shape) for _, shape in layout.values())


def made_up(chunk: Chunk) -> Arrays:
    """Return arrays of a chunk as if it were trained: random numbers, all models fine.

    They ascend along the last axis, as times must.
    """
    random = np.random.default_rng(0)
    lead = (len(chunk.settings), len(chunk.seeds))
    layout = family_of(chunk.model).spec.layout(chunk.static, chunk.settings)
    dtype = chunk.static.get("dtype", "float32")
    arrays = {
        name: np.sort(random.uniform(0.1, 1, lead + shape)).astype(dtype)
        for name, (_, shape) in layout.items()
    }
    return arrays | {
        "status": np.full(lead, OK, np.int8),
        "first_bad_step": np.full(lead, -1, np.int32),
    }
