"""Text from files and command lines, made safe to print."""

from __future__ import annotations

import math
import re

LONGEST = 2000  # characters of a message
UNITS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def printable(text: object, most: int = LONGEST) -> str:
    """Return a text on one line without control characters: they are written as escapes.

    A terminal obeys escape sequences, and half a surrogate pair cannot be written at all.

    Parameters
    ----------
    text
        What to print.
    most
        Characters after which it is cut.
    """
    whole = str(text)
    cut = whole if len(whole) <= most else f"{whole[:most]}..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def shown(value: object, most: int = 100) -> str:
    """Return a value's `repr` for a message, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        text = f"a number of {value.bit_length()} bits"  # type: ignore[attr-defined]
    return printable(text, most)


def format_number(value: float, digits: int = 3, missing: str = "-") -> str:
    """Return a number as short text: '0.0512', '6,790', '1.3e-5', '-∞'.

    Parameters
    ----------
    value
        The number.
    digits
        Significant digits. Numbers below a million with more digits before the point keep all of
        them.
    missing
        Text for NaN.
    """
    if math.isnan(value):
        return missing
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if 10**digits - 0.5 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    mantissa, _, exponent = f"{value:,.{digits}g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def counted(count: int, noun: str) -> str:
    """Return a number and a noun: '2,000 models', '2 sparsities', '2 values of n_hidden'."""
    if noun.startswith("n "):  # as in n hidden, which has no plural
        return f"{count:,} value{'s' * (count != 1)} of {noun.replace(' ', '_')}"
    plural = noun if noun.endswith("s") else f"{noun}s"
    if re.search("[^aeiou]y$", noun):
        plural = f"{noun[:-1]}ies"
    return f"{count:,} {noun if count == 1 else plural}"


def format_size(n_bytes: float) -> str:
    """Return a size in decimal units, at least 0.1 MB: '0.1 MB', '80.0 GB'."""
    if n_bytes < 1e9:
        return f"{max(n_bytes / 1e6, 0.1):,.1f} MB"
    return f"{n_bytes / 1e9:,.1f} GB"


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units: '12 s', '3 min 20 s', '2 h 5 min', '1 d 4 h'."""
    whole = max(round(seconds), 1)
    for large, unit, small, part in UNITS:
        count, rest = divmod(round(whole / small) * small, large)
        if count:
            return f"{count:,} {unit} {rest // small} {part}" if rest else f"{count:,} {unit}"
    return f"{whole} s"
