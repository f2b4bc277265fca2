"""What a traced function of the user's is identified by, in a process and in run folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import jax
import numpy as np
from jax import Array

from jsuper.core.json_data import JSONObject

PROBES = 8  # samples of a batch, at which numbers are stored
TOLERANCE = 1e-5  # between two versions of JAX, relative to the largest value


class Identified:
    """A traced function. Two are equal if they have the same name and compute the same.

    Attributes
    ----------
    label
        name@digest, the function's name in run folders.
    identities
        Shape -> hash of what was traced for it.
    probes
        Shape -> what it returns at fixed points: name -> numbers.
    """

    __name__: str
    label: str
    identities: dict[str, str]
    probes: dict[str, dict[str, list]]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        return self.__name__, self.label, tuple(self.identities.items())

    def labelled(self, label: str) -> Self:
        """Return the same function under a run folder's label for it."""
        other: Any = object.__new__(type(self))
        other.__dict__.update(self.__dict__, label=label)
        return other

    def record(self) -> JSONObject:
        """Return what a manifest stores, for later processes to recognize the function."""
        return {"jax": jax.__version__, "identities": self.identities, "probes": self.probes}


def as_lists(values: Array | np.ndarray) -> list:
    """Return an array as a flat list for JSON, with 'nan' and 'inf' as strings."""
    return [v if np.isfinite(v) else str(v) for v in np.asarray(values, np.float64).ravel()]


def same_at_probes(mine: Mapping[str, list], theirs: Mapping[str, list]) -> bool:
    """Return whether the numbers of each name agree to `TOLERANCE` of the largest.

    Raises
    ------
    TypeError, KeyError, ValueError
        The stored probes are damaged.
    """
    for name in mine:
        a, b = (np.array([float(v) for v in of[name]]) for of in (mine, theirs))
        scale = np.abs(a[np.isfinite(a)]).max(initial=0.0)
        if a.shape != b.shape or not np.allclose(a, b, 0, TOLERANCE * scale, equal_nan=True):
            return False
    return True


def first_line(error: Exception) -> str:
    """Return the type of an error and the first line of its message."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
