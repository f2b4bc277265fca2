"""How a statement on an activation is judged: the sentence, its numbers, and their verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from scipy.optimize import root_scalar

from jsuper.analysis.gating import Profile
from jsuper.analysis.scalar import Activation, Derivatives, grid

Verdict = Literal["right", "right, with a limit", "misleading", "wrong"]


@dataclasses.dataclass(frozen=True)
class Statement:
    """A source's sentence, the numbers that decide it, and the verdict they give.

    Attributes
    ----------
    source
        "000" or "001".
    sentence
        What it says, in our own words.
    computed
        What was computed for it, by what it is a number of; NaN where there is none.
    verdict
        "right"; "right, with a limit": as far as it goes, but less far than it sounds;
        "misleading": its numbers hold, what it concludes does not; "wrong".
    """

    source: str
    sentence: str
    computed: dict[str, float]
    verdict: Verdict


class On(NamedTuple):
    """The activation that the sentences on GELU are asked of."""

    f: Derivatives
    profile: Profile
    activation: Activation

    def __call__(self, z: float) -> float:
        """f(z)."""
        return float(self.f(z))

    def slope(self, z: float) -> float:
        """f'(z)."""
        return float(self.f(z, 1))

    def kept(self, z: float) -> float:
        """f(z)/z, the share of an input that passes: Φ(z) for GELU."""
        return self(z) / z


def verdict(right: object, limit: object = False) -> Verdict:
    """Wrong unless right, and with a limit where there is one."""
    if not right:
        return "wrong"
    return "right, with a limit" if limit else "right"


def negative() -> np.ndarray:
    """Inputs from -12 to 0, 0 excluded."""
    points = grid()
    return points[points < 0]


def solve(function: Callable[[float], float], low: float, high: float) -> float:
    """Return a root in [low, high]; NaN where the signs at the ends do not show one."""
    if not function(low) * function(high) < 0:
        return math.nan
    return root_scalar(function, bracket=(low, high), method="brentq").root
