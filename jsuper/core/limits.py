"""What floating-point numbers do to a sweep's values, for every family. Imports no jax.

`check_*` raise SpecError where a new sweep would silently train something else than it says;
`*_notes` say what is allowed but surprising.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jsuper.core.errors import SpecError
from jsuper.core.sweep import BaseSweep


def check_representable(name: str, value: float, dtype: str, *, drawn: bool = False) -> None:
    """Raise SpecError where a number that is not 0 becomes 0, or infinite, in a dtype.

    Numbers below the smallest normal one count as 0: compiled programs flush them.

    Parameters
    ----------
    name
        Of the field.
    value
        The number.
    dtype
        Of the model, or of draws.
    drawn
        The dtype is that of draws, which the sweep's dtype does not change.
    """
    info = np.finfo(dtype)
    if value != 0 and not float(info.tiny) <= abs(value) <= float(info.max):
        becomes = "0" if abs(value) < 1 else "infinite"
        larger = "" if dtype == "float64" or drawn else ", or take dtype=float64"
        raise SpecError(
            f"{name}={value:g} is {becomes} in {dtype}, whose numbers are {info.tiny:.3g} to "
            f"{info.max:.3g} in size; give one of these{larger}"
        )


def rounding_notes(sweep: BaseSweep, name: str, stored: Callable[[float], float]) -> list[str]:
    """Values of an axis that are the same number in a model, or look like rounded ones.

    Parameters
    ----------
    sweep
        The sweep.
    name
        Of a field of numbers.
    stored
        The number that is rounded to the model's dtype, such as a density.
    """
    values, notes = sweep.values(name), []
    for dtype in sweep.values("dtype"):
        seen: dict[float, float] = {}
        for value in values:
            first = seen.setdefault(float(np.dtype(dtype).type(stored(value))), value)
            if first != value:
                notes.append(
                    f"{name}={first!r} and {value!r} are the same in {dtype}: the same models are "
                    "trained twice"
                )
    return notes + [note for value in values if (note := _short_in_float32(name, value))]


def _short_in_float32(name: str, value: float) -> str:
    """Return a note on a number that is a short decimal in float32 and a long one in float64."""
    with np.errstate(over="ignore"):
        single = np.float32(value)
    short = str(single)
    if float(single) != value or len(short) > 8 or float(short) == value:
        return ""
    return (
        f"{name}={value!r} is the float32 number that prints as {short}, and is selected as "
        f"{value!r}; give {short} as a Python float for exactly that"
    )


def settings_of_numbers(sweep: BaseSweep) -> list[str]:
    """Return the fields that have a number for each model."""
    return [n for n in sweep.names("setting") if isinstance(sweep.values(n)[0], float)]
