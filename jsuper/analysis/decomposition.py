"""The toy models of parameter decomposition: their loss, compared with the same in PyTorch.

References
----------
Bushnaq et al. (2025), "Stochastic Parameter Decomposition", <https://arxiv.org/abs/2506.20790>.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.checked import Checked
from jsuper.analysis.reading import finished_values

if TYPE_CHECKING:
    import xarray

TORCH = {(5, 2): 0.001794, (40, 10): 0.003948}
"""(n_features, n_hidden) -> lowest final loss of five seeds in PyTorch, with an identity or without
(benchmarks/decomposition.py)"""


def against_torch(ds: xarray.Dataset) -> list[Checked]:
    """Return the lowest loss of the seeds over that of PyTorch in the same configuration."""
    losses = finished_values(ds, "loss").values.ravel()
    n, m = int(ds["n_features"]), int(ds["n_hidden"])
    lowest = float(np.nanmin(losses))
    quantity = f"lowest loss of {losses.size} seeds, {lowest:.4g}, over PyTorch's"
    expected = f"published configuration, as many seeds in PyTorch: {TORCH[n, m]:.4g}, so 1"
    return [Checked(quantity, lowest / TORCH[n, m], expected)]
