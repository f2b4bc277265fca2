"""Why a finding has its verdict, in one line: the part that decided it, or what would."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy

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


def reason(verdict: Verdict | None, readings: Sequence[Reading]) -> str:
    """Return the numbers that a verdict rests on."""
    if verdict == "supported":
        reading, part = weakest(readings)
        return f"{stated(part)}{under(readings, reading)}: it holds."
    if verdict == "contradicted":
        reading, part = weakest(readings, against=True)
        return f"{stated(part)}{under(readings, reading)}: it does not hold."
    return divided(readings)


def what_is_missing(finding: Finding, readings: Sequence[Reading], still_open: int) -> str:
    """Return what keeps a finding undecided, and how many seeds would decide it.

    Parameters
    ----------
    finding, readings
        What was judged.
    still_open
        Findings of the table that are undecided with it, which the correction counts.
    """
    leaning = {r.leans for r in readings}
    verdict, among = leaning.pop(), readings
    if leaning:  # readings differ, so that one on either side is enough
        for_, against = (min(readings, key=p) for p in (lambda r: r.p_for, lambda r: r.p_against))
        verdict, among = (
            finding.mixed,
            [max(for_, against, key=lambda r: min(r.p_for, r.p_against))],
        )
    reading, part = weakest(among, among[0].leans == "contradicted")
    tests = sum(len(r.parts) for r in readings) * max(still_open, 1)
    more = what_would_decide(part, finding.rules[part.label], tests)
    return f"It leans to '{verdict}', but {stated(part)}{under(readings, reading)}: {more}."


def divided(readings: Sequence[Reading]) -> str:
    """Return under which readings a finding holds, and under which it does not."""
    open_ = [r for r in readings if min(r.p_for, r.p_against) >= LEVEL / 2]
    clear = [r for r in readings if r not in open_]
    holds, fails = ([r.label for r in clear if r.leans == k] for k in ("supported", "contradicted"))
    if len(readings) <= MOST_NAMED:
        sides = {"It holds for": holds, "it does not for": fails}
        sides |= {"it is open for": [r.label for r in open_]}
        return "; ".join(f"{k} {', '.join(v)}" for k, v in sides.items() if v) + "."
    counts = count_text(len(holds), len(fails), len(open_))
    return f"{counts} For it: {by_words(clear)}."


def count_text(holds: int, fails: int, still_open: int) -> str:
    """Return how many readings are for a finding, against it, and open."""
    parts = {"for it": holds, "against it": fails, "open": still_open}
    return f"Readings: {', '.join(f'{n} {word}' for word, n in parts.items() if n)}."


def by_words(readings: Sequence[Reading]) -> str:
    """Return how many readings hold, by the part of their labels that divides them best.

    That is the one whose words predict most readings, less a half for each of them.
    """
    labels = [r.label.split(", ") for r in readings]
    tables: list[dict[str, list[bool]]] = []
    for place in range(max(map(len, labels))):
        groups: dict[str, list[bool]] = {}
        for words, reading in zip(labels, readings, strict=True):
            word = words[place] if place < len(words) else "others"
            groups.setdefault(word, []).append(reading.leans == "supported")
        tables.append(groups)

    def predicted(groups: dict[str, list[bool]]) -> float:
        return sum(max(sum(g), len(g) - sum(g)) - 0.5 for g in groups.values())

    best = max(tables, key=predicted)
    return "; ".join(f"{word}, {sum(of)} of {len(of)}" for word, of in best.items())


def weakest(readings: Sequence[Reading], against: bool = False) -> tuple[Reading, Part]:
    """Return the reading with the largest p, and the part that it has it from."""
    if against:
        reading = max(readings, key=lambda r: r.p_against)
        return reading, min(reading.parts, key=lambda p: p.p_against)
    reading = max(readings, key=lambda r: r.p_for)
    return reading, max(reading.parts, key=lambda p: p.p_for)


def under(readings: Sequence[Reading], reading: Reading) -> str:
    """Return ' (label)' where there are several readings."""
    return f" ({reading.label})" if len(readings) > 1 else ""


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
    errors = float(scipy.stats.norm.isf(LEVEL / (2 * tests)) - scipy.stats.norm.isf(POWER))
    seeds = math.ceil((errors * spread / distance) ** 2)
    if seeds <= known.size:
        return "clear by itself, but not with the other readings, or after the correction"
    unit = 10 ** max(math.floor(math.log10(seeds)) - 1, 0)
    return f"about {math.ceil(seeds / unit) * unit:,} seeds would decide it, if all else stays"
