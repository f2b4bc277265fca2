"""What a claim is, and what came out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from numpy.typing import ArrayLike

from jsuper.claims.rules import Rule

if TYPE_CHECKING:
    import xarray

Runs = Mapping[str, "xarray.Dataset"]
Statistic = Callable[[Runs], Mapping[str, ArrayLike]]
Verdict = Literal["supported", "contradicted", "undecided", "not testable"]


@dataclass(frozen=True)
class Claim:
    """A source's sentence with everything that decides it.

    Attributes
    ----------
    name
        Unique, words joined by hyphens.
    source
        Key of `jsuper.core.sources.SOURCES`.
    sentence
        What is claimed, in our own words; a full sentence.
    sweeps
        Names of `sweeps.SWEEPS`, the smallest that decide it; none for what is computed.
    statistic
        Analysed sweeps by name -> a value per seed for each part: label -> (seeds,).
        NaN where a seed has no such value. What is computed exactly has one value.
    rules
        Label -> the rule of that part. All parts have to hold.
    unit
        Of the values, in words.
    between
        Whether it is directional and compares activations, so that under shuffled labels
        of activations it must not come out as supported.
    protocol
        Whether it is asked of the other protocol's sweep as well, which then stands in
        for "study".
    note
        What qualifies the verdict, or where the text contradicts itself.
    untestable
        Why no toy model can decide it; "" where one can.
    """

    name: str
    source: str
    sentence: str
    sweeps: tuple[str, ...] = ()
    statistic: Statistic | None = None
    rules: Mapping[str, Rule] = field(default_factory=dict)
    unit: str = ""
    between: bool = False
    protocol: bool = False
    note: str = ""
    untestable: str = ""


@dataclass(frozen=True)
class Part:
    """One number that a claim rests on.

    Attributes
    ----------
    label
        What it is.
    rule
        What it has to be, in words.
    value, low, high
        Mean over seeds and its 95 % interval; the range for what is exact.
    values
        Of every seed that has one.
    left_out
        Seeds without one.
    p_for, p_against
        Of the rule, not adjusted.
    verdict
        Of this part alone, not adjusted.
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
    verdict: Verdict


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Attributes
    ----------
    claim
        What was claimed.
    verdict
        Supported, contradicted, undecided or not testable.
    p
        two-sided, after Holm over the table; NaN where nothing was tested.
    parts
        Its numbers.
    why
        The numbers that decided it in one line, or what would decide it.
    """

    claim: Claim
    verdict: Verdict
    p: float
    parts: tuple[Part, ...]
    why: str
