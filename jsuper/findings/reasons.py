"""Why a finding has its verdict, in one line: the part that decided it, or what would."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from jsuper.core.text import counted, format_number
from jsuper.findings.finding import Finding, Part, Reading, Verdict
from jsuper.findings.rules import Rule

LEVEL = 0.05
POWER = 0.8  # share of repetitions that would decide, at the number of seeds that is named
LEAST_P = 1e-6  # smaller ones are written as less than this
MOST_NAMED = 3  # readings
CLOSE = 0.02  # of the spread: a mean this near to a margin lies on it


def p_text(p: float) -> str:
    """Return a p as text, at least as 1e-6; '' where nothing was tested."""
    if math.isnan(p):
        return ""
    return "p < 1e-6" if p < LEAST_P else f"p = {format_number(p, 2)}"


def reason(
    finding: Finding, verdict: Verdict | None, readings: Sequence[Reading], still_open: int
) -> str:
    """Return the numbers that a verdict rests on.

    Parameters
    ----------
    finding, verdict, readings
        What was judged, and how.
    still_open
        Findings of the table that are undecided with it, which the correction counts.
    """
    if verdict == "supported":
        label, part = weakest(readings, lambda p: p.p_for)
        return f"{stated(part)}{under(readings, label)}: it holds."
    if verdict == "contradicted":
        worst = [(r.label, min(r.parts, key=lambda p: p.p_against)) for r in readings]
        label, part = max(worst, key=lambda one: one[1].p_against)
        return f"{stated(part)}{under(readings, label)}: it does not hold."
    if verdict != "undecided":
        return divided(readings)
    label, part = weakest(readings, lambda p: p.p_for)
    tests = sum(len(r.parts) for r in readings) * max(still_open, 1)
    more = what_would_decide(part, finding.rules[part.label], tests)
    return f"{stated(part)}{under(readings, label)}: {more}."


def divided(readings: Sequence[Reading]) -> str:
    """Return under which readings a finding holds, and under which it does not."""
    open_ = [r for r in readings if min(r.p_for, r.p_against) >= LEVEL / 2]
    clear = [r for r in readings if r not in open_]
    sides = {
        "It holds": [r.label for r in clear if r.leans == "supported"],
        "it does not": [r.label for r in clear if r.leans == "contradicted"],
        "it is open": [r.label for r in open_],
    }
    parts = []
    for word, labels in sides.items():
        number = f"under {len(labels)} of {len(readings)} readings"
        named = "; ".join(labels[:MOST_NAMED]) + "; ..." * (len(labels) > MOST_NAMED)
        few = len(readings) <= MOST_NAMED
        parts += [f"{word} {f'for {named}' if few else f'{number} ({named})'}"] if labels else []
    return f"{'; '.join(parts)}."


def weakest(readings: Sequence[Reading], p_of) -> tuple[str, Part]:  # noqa: ANN001 - Part -> float
    """Return the reading and the part with the largest p."""
    return max(((r.label, p) for r in readings for p in r.parts), key=lambda one: p_of(one[1]))


def under(readings: Sequence[Reading], label: str) -> str:
    """Return ' (label)' where there are several readings."""
    return f" ({label})" if len(readings) > 1 else ""


def stated(part: Part) -> str:
    """Return a part's value, interval and rule: 'gap: 0.4 (0.1 to 0.7), claimed above 0'."""
    if math.isnan(part.value):
        return f"{part.label}: no value"
    interval = f" ({format_number(part.low)} to {format_number(part.high)})"
    same = part.low == part.high or math.isnan(part.low)
    without = f", {counted(part.left_out, 'seed')} without a value left out"
    return (
        f"{part.label}: {format_number(part.value)}{'' if same else interval}"
        f"{without * bool(part.left_out)}, claimed {part.rule}"
    )


def what_would_decide(part: Part, rule: Rule, tests: int = 1) -> str:
    """Return how many seeds would decide a part, if its mean and spread stay as they are.

    (z(α/2 tests) + z(1 - power))² (spread/distance to the margin)², where tests are all parts,
    readings and findings that the correction counts.
    """
    known = np.array(part.values)
    if math.isnan(part.value):
        return "too few seeds have a value"
    distance = min(abs(part.value - margin) for margin in rule.margins)
    spread = float(known.std(ddof=1))
    if not spread and rule.bounds is None:
        return "all seeds are equal, and the statistic has no bounds"
    if distance <= CLOSE * spread or not distance:
        return "it lies on the margin, which no number of seeds would decide"
    if not spread:
        return "all seeds are equal; more of them would decide it"
    errors = float(norm.isf(LEVEL / (2 * tests)) - norm.isf(POWER))
    seeds = math.ceil((errors * spread / distance) ** 2)
    if seeds <= known.size:
        return "clear by itself, but not with the other readings, or after the correction"
    unit = 10 ** max(math.floor(math.log10(seeds)) - 1, 0)
    return f"about {math.ceil(seeds / unit) * unit:,} seeds would decide it, if all else stays"
