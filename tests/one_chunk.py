"""A small sweep of one chunk, and results of the right shapes: for several files of tests."""

import numpy as np

from jsuper import Sweep
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk, expand

SWEEP = Sweep(
    activation=("relu", "gelu"),
    sparsity=0.5,
    seeds=3,
    steps=4,
    n_features=3,
    n_hidden=2,
    snapshots=(0, 4),
)
(GROUP,) = expand(SWEEP)
CHUNK = Chunk("toy", GROUP.static, GROUP.settings, GROUP.seeds)


def arrays_of(chunk, seed=0):
    """Random results of the right shapes."""
    rng = np.random.default_rng(seed)
    lead = (len(chunk.settings), len(chunk.seeds))
    layout = family_of(chunk.model).spec.layout(chunk.static, chunk.settings)
    arrays = {k: rng.normal(size=lead + shape).astype("f4") for k, (_, shape) in layout.items()}
    return arrays | {"status": np.ones(lead, "i1"), "first_bad_step": np.full(lead, -1, "i4")}


ARRAYS = arrays_of(CHUNK)
