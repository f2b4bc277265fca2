"""How a statement about an activation is judged: the sentence, its numbers, and the verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from scipy.optimize import root_scalar

from jsuper.analysis.gating import Profile
from jsuper.analysis.scalar import Activation, Derivatives, core_points

Verdict = Literal["right", "right, with a limit", "misleading", "wrong"]


@dataclasses.dataclass(frozen=True)
class Statement:
    """A source's sentence, the numbers that decide it, and the verdict they give.

    Attributes
    ----------
    source
        Key of `jsuper.core.sources.SOURCES`.
    sentence
        The statement, in this project's words.
    computed
        What was computed for it, by description; NaN if there is no such number.
    verdict
        "right"; "right, with a limit": true, but less general than it sounds; "misleading": its
        numbers are right and its conclusion is not; "wrong".
    """

    source: str
    sentence: str
    computed: dict[str, float]
    verdict: Verdict


class Subject(NamedTuple):
    """The activation that the sentences on GELU are applied to."""

    f: Derivatives
    profile: Profile
    activation: Activation

    def __call__(self, z: float) -> float:
        """Return f(z)."""
        return float(self.f(z))

    def slope(self, z: float) -> float:
        """Return f'(z)."""
        return float(self.f(z, 1))

    def kept(self, z: float) -> float:
        """Return f(z)/z, the share of an input that passes: Φ(z) for GELU."""
        return self(z) / z


def verdict(right: object, limit: object = False) -> Verdict:
    """Return "right" or "wrong", or "right, with a limit"."""
    if not right:
        return "wrong"
    return "right, with a limit" if limit else "right"


def negative_inputs() -> np.ndarray:
    """Return inputs from -12 to 0, 0 excluded."""
    points = core_points()
    return points[points < 0]


def find_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return a root in [low, high]; NaN unless the signs at the ends differ."""
    if not function(low) * function(high) < 0:
        return math.nan
    return root_scalar(function, bracket=(low, high), method="brentq").root
