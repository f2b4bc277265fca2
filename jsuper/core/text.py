"""Text from files and command lines, made safe to print."""

from __future__ import annotations

LONGEST = 2000  # characters of a message


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
