"""What the weights show: pure array functions of any W, and `analyze` for whole sweeps.

from jsuper.analysis import superposition
superposition.dimensionality(W)  # W: (..., n_hidden, n_features), NumPy or JAX
"""

from jsuper.analysis import (
    evaluation,
    geometry,
    hypotheses,
    kurtosis,
    samplers,
    scrubbing,
    statistics,
    superposition,
    theory,
)
from jsuper.analysis.sweep import analyze, best, scrub_all

__all__ = ["analyze", "best", "evaluation", "geometry", "hypotheses", "kurtosis", "samplers"]
__all__ += ["scrub_all", "scrubbing", "statistics", "superposition", "theory"]
