"""Notes under verdicts, made of the judged readings, and readings for every combination of axes."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from jsuper.core.text import format_number
from jsuper.findings.finding import Reading

Note = Callable[[Sequence[Reading]], str]


def crossed(words: str, **axes: Sequence) -> dict[str, dict[str, Any]]:
    """Return a reading, with words such as "S {sparsity:g}", for every combination of values."""
    every = [dict(zip(axes, at, strict=True)) for at in itertools.product(*axes.values())]
    return {words.format(**at): at for at in every}


def numbers(words: str, form: str = ".2f", label: str = "", having: str = "") -> Note:
    """Return the note with means, reading by reading.

    Parameters
    ----------
    words
        What the numbers are.
    form
        Format of a number.
    label, having
        Texts in the label of a part, and in that of a reading; others are left out.
    """

    def note(readings: Sequence[Reading]) -> str:
        parts = [(r, p) for r in readings if having in r.label for p in r.parts if label in p.label]
        names = (p.label if len(readings) == 1 else r.label for r, p in parts)
        values = (f"{round(p.value, 6) + 0:{form}}" for _, p in parts)  # no -0
        return f"{words}: {'; '.join(map(', '.join, zip(names, values, strict=True)))}."

    return note


def spans(readings: Sequence[Reading]) -> str:
    """Return the note with the least and largest mean of every part over the readings."""
    return spans_by(lambda label: "")(readings)


def spans_by(group: Callable[[str], str]) -> Note:
    """Return the note with the least and largest mean of every part, by group of readings.

    Parameters
    ----------
    group
        group(label of a reading) -> the words of its group; "" for none.
    """

    def note(readings: Sequence[Reading]) -> str:
        means = defaultdict(lambda: defaultdict(list))
        for reading, part in ((r, p) for r in readings for p in r.parts):
            means[part.label][group(reading.label)].append(part.value)
        return f"{'; '.join(f'{k}: {_spans(of)}' for k, of in means.items())}."

    return note


def _spans(by_words: dict[str, list[float]]) -> str:
    found = []
    for words, values in by_words.items():
        known = sorted(v for v in values if v == v)
        ends = dict.fromkeys(format_number(v, 2) for v in (*known[:1], *known[-1:]))
        found.append(f"{' to '.join(ends) or 'no value'}{f' ({words})' if words else ''}")
    return ", ".join(found)
