"""When the training of a model ends: after all steps, or as soon as its loss no longer falls.

`until="converged(n)"` checks the fit after about n, n/0.9, n/0.9², ... steps, so that every check
compares the loss with that after 90 % of the steps, as `check_fit` does at the end.
"""

from __future__ import annotations

import re
from typing import Any

from jsuper.core.checks import Check
from jsuper.core.errors import SpecError

STEPS = "steps"
LEAST = 10_000  # as published: after fewer steps the rule takes plateaus for the end
IMPROVEMENT, STANDARD_ERRORS = 0.1, 3.0  # of a loss that still falls
NEGLIGIBLE = 1e-4  # of the best constant's loss: what falls below it has nothing left to learn
_CONVERGED = re.compile(r"\s*converged\s*(?:\(\s*(\d{1,9})\s*\))?\s*")


def least_steps(until: str) -> int:
    """Return the number of steps before the first comparison's earlier loss."""
    match = _CONVERGED.fullmatch(until)
    return int(match[1] or LEAST) if match else 0


def earlier_step(steps: int) -> int:
    """Return the number of steps after which `check_fit` measures the loss: 90 %."""
    return 9 * steps // 10


def compared_steps(until: str, steps: int) -> tuple[int, ...]:
    """Return the steps at which the loss is measured during the training, at most 90 % of `steps`.

    At the first one nothing is compared yet. They do not depend on `steps` otherwise, so that a
    model that has converged is the same whatever the maximum is.
    """
    if until == STEPS:
        return ()
    found, step = [], least_steps(until)
    while step <= earlier_step(steps):
        found.append(step)
        step = -(-10 * step // 9)
    return tuple(found)


def _check_until(name: str, value: Any) -> str:
    text = str(value)
    if text.strip() == STEPS:
        return STEPS
    if not _CONVERGED.fullmatch(text) or least_steps(text) < 1:
        raise SpecError(
            f"{name}={value!r} is not known: write {STEPS}, converged, or converged(n) with the "
            "least number of steps n >= 1"
        )
    least = least_steps(text)
    return "converged" if least == LEAST else f"converged({least})"


check_until = Check(_check_until, "END")
"""The check of `steps`, `converged` or `converged(5000)`."""
