"""What the weights show: pure array functions of any W, and `analyze` for whole sweeps.

from jsuper.analysis import superposition
superposition.dimensionality(W)  # W: (..., n_hidden, n_features), NumPy or JAX
"""

from jsuper.analysis import (
    evaluation,
    geometry,
    kurtosis,
    statistics,
    superposition,
    theory,
)
from jsuper.analysis.sweep import analyze, best

__all__ = ["analyze", "best", "evaluation", "geometry", "kurtosis"]
__all__ += ["statistics", "superposition", "theory"]
