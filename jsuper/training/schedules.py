"""Learning-rate schedules by name, as the notebook of Elhage et al. (2022) defines them.

Names are checked before JAX is imported, so a schedule imports it when it is called. To add a
schedule, write its function and one entry of `SCHEDULES`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jax

    Number = float | jax.Array


def constant(step: jax.Array, steps: int) -> Number:
    """Return 1."""
    del step, steps
    return 1.0


def linear(step: jax.Array, steps: int) -> Number:
    """Return 1 - step/steps."""
    return 1.0 - step / steps


def cosine(step: jax.Array, steps: int) -> Number:
    """Return cos(π/2 · step/(steps - 1))."""
    import jax.numpy as jnp

    return jnp.cos(0.5 * math.pi * step / max(steps - 1, 1))


SCHEDULES = {"constant": constant, "linear": linear, "cosine": cosine}
"""Name -> function (step, steps) -> factor of the learning rate, for step = 0 ... steps - 1."""
