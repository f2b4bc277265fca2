"""The names of the functions that are learned, and of the activations; imports no jax."""

from __future__ import annotations

from collections.abc import Sequence

from jsuper.core.checks import Check
from jsuper.core.errors import SpecError
from jsuper.core.suggestions import not_one_of
from jsuper.models.toy.activations.names import (
    ACTIVATIONS,
    BATCH_COUPLED,
    EXTRA_ACTIVATIONS,
    canonical_activation,
)

NORMALISED = ("softmax", "solu", "log_softmax", "softmin", *BATCH_COUPLED)
"""Activations whose output for one unit depends on other units or samples."""
ELEMENTWISE = tuple(a for a in ACTIVATIONS + EXTRA_ACTIVATIONS if a not in NORMALISED)
PAIRS = "and_pairs"
TARGETS = ("abs", "square", PAIRS, *ELEMENTWISE)


def _named(known: Sequence[str], plain: Sequence[str]) -> Check[str]:
    """Return the check of a name among `known`; those that are not `plain` may have a parameter."""

    def check(name: str, value: object) -> str:
        if not isinstance(value, str):
            raise SpecError(f"{name}={value!r} is not a name; write for example 'relu'")
        if value in plain:
            return value
        own = value.partition("(")[0].strip()
        if own not in known:
            raise SpecError(not_one_of(f"{name}={value!r} is not known", own, known, "known are"))
        try:
            return canonical_activation(value)
        except ValueError as error:
            raise SpecError(str(error).replace("activation=", f"{name}=", 1)) from error

    return Check(check, "NAME")


check_activation = _named(ELEMENTWISE, ())
"""The check of an elementwise activation, `relu` or `elu(0.25)`."""

check_target = _named(TARGETS, ("abs", "square", PAIRS))
"""The check of a function to learn: `abs`, `square`, `and_pairs` or an elementwise activation."""


def functions_of(target: str, n_features: int) -> int:
    """Return how many different functions a target consists of: one a feature, or one a pair."""
    return n_features // 2 if target == PAIRS else n_features
