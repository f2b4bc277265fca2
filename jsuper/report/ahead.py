"""Prepare a run's page while the run is trained: measure made-up models of the same shapes."""

from __future__ import annotations

import numpy as np

from jsuper.analysis import analyze
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk
from jsuper.core.status import OK
from jsuper.core.sweep import BaseSweep
from jsuper.store.chunk_files import Arrays
from jsuper.store.dataset import to_dataset


def prepare_page(sweep: BaseSweep, chunks: list[Chunk]) -> None:
    """Measure made-up models of a run, so that its own are measured without compiling.

    Modules that the figure and the page need are imported too.

    Parameters
    ----------
    sweep
        The run's sweep.
    chunks
        Its whole partition; the shapes of programs depend on the number of models.
    """
    import jsuper.plots
    import jsuper.report.page  # noqa: F401

    analyze(to_dataset(sweep.to_dict(), chunks, made_up))


def made_up(chunk: Chunk) -> Arrays:
    """Return arrays of a chunk as if it were trained: random numbers, all models fine.

    They ascend along the last axis, as times must.
    """
    random = np.random.default_rng(0)
    lead = (len(chunk.settings), len(chunk.seeds))
    layout = family_of(chunk.model).spec.layout(chunk.static, chunk.settings)
    arrays = {
        name: np.sort(random.uniform(0.1, 1, lead + shape)).astype(chunk.static["dtype"])
        for name, (_, shape) in layout.items()
    }
    return arrays | {
        "status": np.full(lead, OK, np.int8),
        "first_bad_step": np.full(lead, -1, np.int32),
    }
