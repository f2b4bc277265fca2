"""Adjust the p-values of several tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    pass


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted by Holm's method: (tests,), in the order given.

    p_(k) becomes max_{j <= k} min(1, (tests - j + 1) p_(j)), with p sorted ascending. Rejecting
    where the adjusted p is below a level keeps the chance of any false rejection below that level.

    Parameters
    ----------
    p_values
        One p-value per test, (tests,), in [0, 1]; may be empty.

    Raises
    ------
    ValueError
        `p_values` is not 1-D, or holds NaN or a value outside [0, 1].

    References
    ----------
    Holm (1979), "A simple sequentially rejective multiple test procedure".
    """
    p = np.asarray(p_values, float)
    if p.ndim != 1:
        raise ValueError(f"p_values has shape {p.shape}; give one axis, (tests,)")
    wrong = p[~((p >= 0) & (p <= 1))]
    if wrong.size:
        raise ValueError(f"p_values holds {wrong[0]}; leave out tests without a p in [0, 1]")
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted
