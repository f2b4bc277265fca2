"""A number of a sweep next to what theory or a publication says."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from jsuper.core.text import format_number


class Checked(NamedTuple):
    """A measured number, its interval if there is one, and what it is compared with."""

    quantity: str
    found: float
    expected: str
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        """Return one line: "share of agreeing cells: 0.98 [0.97, 0.99]; theory: 1"."""
        ends = "" if math.isnan(self.low) else f" [{self.low:.3g}, {self.high:.3g}]"
        return f"{self.quantity}: {format_number(self.found)}{ends}; {self.expected}"


def wilson(count: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's interval of a share, 95 % unless z says otherwise; NaN if total is 0.

    References
    ----------
    Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    if not total:
        return math.nan, math.nan
    share, scale = count / total, 1 + z * z / total
    middle = (share + z * z / (2 * total)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)


def mean_of(quantity: str, values: ArrayLike, expected: str) -> Checked:
    """Return the mean of one value per seed with its 95 % t interval; NaN are left out."""
    values = np.asarray(values, float).ravel()
    values = values[np.isfinite(values)]
    if values.size < 2:
        return Checked(quantity, float(values.mean()) if values.size else math.nan, expected)
    mean = float(values.mean())
    stderr = values.std(ddof=1) / math.sqrt(values.size)
    half = float(stderr * stdtrit(values.size - 1, 0.975))
    return Checked(quantity, mean, expected, mean - half, mean + half)


def share_of(quantity: str, cases: ArrayLike, expected: str) -> Checked:
    """Return the share of cases that are true, with Wilson's interval."""
    cases = np.asarray(cases, bool).ravel()
    share = float(cases.mean()) if cases.size else math.nan
    return Checked(quantity, share, expected, *wilson(int(cases.sum()), cases.size))
