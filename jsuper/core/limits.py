"""Values of a sweep that floating-point numbers turn into something else, for every family.

`check_representable` raises SpecError if a new sweep would silently train other values than the
given ones; `rounding_notes` returns what is allowed but surprising.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jsuper.core.errors import SpecError
from jsuper.core.sweep import BaseSweep


def check_representable(name: str, value: float, dtype: str, *, drawn: bool = False) -> None:
    """Raise SpecError if a nonzero number becomes 0 or infinite in a dtype.

    Numbers below the smallest normal one count as 0: compiled programs flush them.

    Parameters
    ----------
    name
        Name of the field.
    value
        The number.
    dtype
        Dtype of the model, or of its draws.
    drawn
        Whether `dtype` is that of draws, which does not depend on the sweep's dtype.
    """
    info = np.finfo(dtype)
    if value != 0 and not float(info.tiny) <= abs(value) <= float(info.max):
        becomes = "0" if abs(value) < 1 else "infinite"
        larger = "" if dtype == "float64" or drawn else ", or use dtype=float64"
        raise SpecError(
            f"{name}={value:g} is {becomes} in {dtype}, whose numbers are {info.tiny:.3g} to "
            f"{info.max:.3g} in size; give a value in this range{larger}"
        )


def rounding_notes(sweep: BaseSweep, name: str, stored: Callable[[float], float]) -> list[str]:
    """Return notes on values that are equal once rounded, or that look like rounded ones.

    Parameters
    ----------
    sweep
        The sweep.
    name
        Name of a field of numbers.
    stored
        Value -> the number that is rounded to the model's dtype, such as a density.
    """
    values, notes = sweep.values_of(name), []
    for dtype in sweep.values_of("dtype"):
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
    """Return the names of the fields that are a number per model."""
    return [n for n in sweep.names("setting") if isinstance(sweep.values_of(n)[0], float)]
