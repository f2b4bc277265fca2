"""What a finding is, and what came out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from jsuper.findings.rules import Rule

if TYPE_CHECKING:
    import xarray

Data = Mapping[str, "xarray.Dataset"]
"""Name of a sweep -> its Dataset of `jsuper.analyze`."""
Effect = Callable[..., Mapping[str, ArrayLike]]
Mixed = Literal["depends", "right within limits", "misleading"]
Verdict = Literal[
    "supported",
    "contradicted",
    "depends",
    "right within limits",
    "misleading",
    "undecided",
    "not testable here",
]


@dataclass(frozen=True)
class Finding:
    """A question with everything that decides it.

    Attributes
    ----------
    name
        Unique, words joined by hyphens.
    question
        What is asked; a full sentence.
    source, place
        Key of `jsuper.findings.sources.SOURCES`, and where the sentence stands; "" for our own.
    sentence
        What the source says, in our words; a full sentence.
    sweeps
        Names of the sweeps that it needs; none for what is computed.
    effect
        effect(data, **reading) -> a value per seed for each part, label -> (seeds,). NaN where a
        seed has none. None: it cannot be tested here.
    rules
        Label -> the rule of that part. All parts have to hold. Without rules the finding is a
        measurement.
    readings
        Label -> keyword arguments of `effect`. Under every one the question is asked again; the
        first is the main one, whose numbers are shown first. None: a single reading without
        arguments.
    mixed
        The verdict if readings disagree.
    placebo
        placebo(data, rng) -> data in which the effect cannot be, such as shuffled labels; the
        finding must not be supported on it. None: there is none, as for what is computed.
    unit
        Of the values, in words.
    note
        What qualifies the verdict: a format of the values' means by label, such as "{gain:.2f}",
        or a function from the judged readings to text.
    untestable
        Why no toy model can decide it; "" where one can.
    """

    name: str
    question: str
    source: str = ""
    place: str = ""
    sentence: str = ""
    sweeps: tuple[str, ...] = ()
    effect: Effect | None = None
    rules: Mapping[str, Rule] = field(default_factory=dict)
    readings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    mixed: Mixed = "depends"
    placebo: Callable[[Data, np.random.Generator], Data] | None = None
    unit: str = ""
    note: str | Callable[[tuple[Reading, ...]], str] = ""
    untestable: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError if it can be neither tested nor said why not."""
        if (self.effect is None) == (not self.untestable):
            raise ValueError(
                f"finding {self.name!r} needs an effect, or the reason in untestable; give one"
            )
        if self.mixed not in get_args(Mixed):
            raise ValueError(f"mixed={self.mixed!r} is not one of {', '.join(get_args(Mixed))}")


@dataclass(frozen=True)
class Part:
    """One number that a finding rests on, under one reading.

    Attributes
    ----------
    label, rule
        What it is, and what it has to be, in words.
    value, low, high
        Mean over seeds and its 95 % interval; the range for what is exact.
    values
        Of every seed that has one.
    left_out
        Number of seeds without one.
    p_for, p_against
        Of the rule, one-sided, not adjusted.
    """

    label: str
    rule: str
    value: float
    low: float
    high: float
    values: tuple[float, ...]
    left_out: int
    p_for: float
    p_against: float


@dataclass(frozen=True)
class Reading:
    """The parts of a finding under one reading.

    `p_for` is that of all parts together, the largest; `p_against` that of any part failing, the
    smallest times the number of parts.
    """

    label: str
    parts: tuple[Part, ...]
    p_for: float
    p_against: float

    @property
    def leans(self) -> str:
        """What this reading alone leans to."""
        return "supported" if self.p_for <= self.p_against else "contradicted"


@dataclass(frozen=True)
class Judged:
    """A finding with its verdict.

    Attributes
    ----------
    finding
        What was asked.
    verdict
        See `judging.judge`; None for a measurement.
    p
        Two-sided, the largest over the readings, after Holm over the table; NaN where nothing was
        tested.
    readings
        Its numbers, by reading.
    why
        The numbers that decided it, or what would decide it.
    note
        The finding's note, with its numbers.
    """

    finding: Finding
    verdict: Verdict | None
    p: float
    readings: tuple[Reading, ...]
    why: str
    note: str
