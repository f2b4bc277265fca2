"""Checks of single values: each returns the value in its one form, or raises SpecError.

A check is called with the field's name and the value, and its error contains both.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from jsuper.core.errors import SpecError
from jsuper.core.json_data import label
from jsuper.core.suggestions import not_one_of
from jsuper.core.text import shown

T = TypeVar("T")

MAX_SEED = 2**32 - 1
MAX_INTEGER = 2**31 - 1  # JAX counts in int32
MAX_RECORDS = 100_000  # points of a curve


@dataclass(frozen=True)
class Check(Generic[T]):
    """A function (field name, value) -> checked value, and what help texts call such a value."""

    function: Callable[[str, Any], T]
    metavar: str = "VALUE"
    takes_functions: bool = False
    """whether Python functions pass, so that run folders may contain their labels"""
    takes_tables: bool = False
    """whether a mapping, such as a Dataset, is one value"""

    def __call__(self, name: str, value: object) -> T:
        """Return the checked value."""
        return self.function(name, value)


def real(
    low: float = -math.inf, high: float = math.inf, *, closed: str = "both", hint: str = ""
) -> Check[float]:
    """Return the check of a finite number in an interval; it becomes a float, and -0.0 becomes 0.0.

    Parameters
    ----------
    low, high
        Ends of the interval.
    closed
        Which ends are allowed values: both, left, right or neither.
    hint
        Advice for the error message.
    """
    left, right = closed in ("both", "left"), closed in ("both", "right")

    def check(name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise SpecError(f"{name}={value!r} is not a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        above = number >= low if left else number > low
        below = number <= high if right else number < high
        if not (math.isfinite(number) and above and below):
            allowed = _interval(low, high, left, right)
            raise SpecError(
                f"{name}={_shortest(number)} is not {allowed}" + (f": {hint}" if hint else "")
            )
        return number + 0.0  # -0.0 becomes 0.0

    return Check(check, "FLOAT")


def _shortest(number: float) -> str:
    """Return a number's shortest exact text: 1 for 1.0, and 1.0000001 in full."""
    return f"{number:g}" if float(f"{number:g}") == number or math.isnan(number) else repr(number)


def _interval(low: float, high: float, left: bool, right: bool) -> str:
    if math.isinf(low) and math.isinf(high):
        return "a finite number"
    if math.isinf(high):
        return f"a finite number {'>=' if left else '>'} {low:g}"
    return f"in {'[' if left else '('}{low:g}, {high:g}{']' if right else ')'}"


def integer(low: int, high: int = MAX_INTEGER, *, hint: str = "") -> Check[int]:
    """Return the check of a whole number in [low, high]; 1e4 passes as 10000."""

    def check(name: str, value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise SpecError(f"{name}={value!r} is not a whole number")
        whole = int(value)
        if not low <= whole <= high:
            open_end = high == MAX_INTEGER and whole < low
            allowed = f">= {low}" if open_end else f"in [{low}, {high}]"
            why = f": {hint}" if hint else ""
            raise SpecError(f"{name}={shown(whole)} is not {allowed}{why}")
        return whole

    return Check(check, "INT")


def choice(*options: str) -> Check[str]:
    """Return the check of one of a few names."""

    def check(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in options:
            subject = f"{name}={value!r} is not known"
            raise SpecError(not_one_of(subject, value, options, "it is one of"))
        return value

    return Check(check, "{" + ",".join(options) + "}")


def _check_flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise SpecError(f"{name}={value!r} is not true or false")
    return value


flag = Check(_check_flag, "{true,false}")
"""The check of true or false."""


def several(check: Check[T], *, optional: bool = False) -> Check[tuple[T, ...] | None]:
    """Return the check of a list whose members pass `check`; None passes too if `optional`."""

    def check_all(name: str, value: object) -> tuple[T, ...] | None:
        if value is None and optional:
            return None
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise SpecError(f"{name}={value!r} is not a list")
        return tuple(check(f"{name}[{i}]", scalar(member)) for i, member in enumerate(value))

    return Check(check_all, f"{check.metavar} ...")


def _check_seeds(name: str, value: object) -> int | tuple[int, ...]:
    if isinstance(value, numbers.Real):
        return integer(1, hint="give a number of seeds, at least one seed, or a list of them")(
            name, value
        )
    listed = several(integer(0, MAX_SEED))(name, value) or ()
    if not listed:
        raise SpecError(f"{name}=[] is empty: a sweep needs at least one seed")
    refuse_duplicates(name, listed)
    return listed


seeds = Check(_check_seeds)
"""The check of a number of seeds, which are then 0, 1, ..., or of a list of different seeds."""


def refuse_duplicates(name: str, values: tuple) -> None:
    """Raise SpecError if a value occurs twice."""
    known = set()
    for value in values:
        if value in known:
            raise SpecError(f"{name} contains {label(value)!r} twice; give each value once")
        known.add(value)


def scalar(value: Any) -> Any:
    """Return the Python number in a zero-dimensional array or tensor; other values unchanged.

    The number is exact: `np.float32(0.9)` is 0.8999999761581421. Rounding it to 0.9 would change
    the sweeps that were made from such numbers before.
    """
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        return value.item()
    return value
