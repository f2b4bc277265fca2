"""From statistics to verdicts: rules applied, parts combined, Holm over the table."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy.stats import norm

from jsuper.analysis.statistics import holm
from jsuper.claims.claim import Claim, Judged, Part, Runs, Verdict
from jsuper.claims.rules import Exactly, Rule, Tested
from jsuper.core.text import format_number

LEVEL = 0.05
POWER = 0.8  # share of repetitions that would decide, at the number of seeds that is named


def judge(claims: Iterable[Claim], runs: Runs) -> list[Judged]:
    """Return the verdicts of a table of claims.

    A claim with several parts is supported if all of them hold, so its p is the largest; it is
    contradicted if one does not, and that p is the smallest times the number of parts. The smaller
    of both, doubled, is corrected by Holm over the table, and decides below 0.05. Exact claims are
    decided without.

    Parameters
    ----------
    claims
        The table.
    runs
        Every sweep that they name -> its Dataset of `jsuper.analyze`.

    Raises
    ------
    ValueError
        A sweep, a variable or an activation is missing, or a statistic and its rules
        do not have the same parts.
    """
    found = [(claim, parts_of(claim, runs)) for claim in claims]
    tested = [i for i, (claim, parts) in enumerate(found) if _is_tested(claim, parts)]
    adjusted = dict(zip(tested, holm([_p(found[i][1])[0] for i in tested]), strict=True))
    still_open = sum(not p < LEVEL for p in adjusted.values())
    return [
        _judged(*one, float(adjusted.get(i, math.nan)), still_open) for i, one in enumerate(found)
    ]


def parts_of(claim: Claim, runs: Runs) -> tuple[Part, ...]:
    """Return the parts of one claim; none where it cannot be tested.

    Raises
    ------
    ValueError
        A sweep is missing, or labels differ from those of the rules.
    """
    if claim.statistic is None:
        return ()
    lacking = [name for name in claim.sweeps if name not in runs]
    if lacking:
        raise ValueError(f"claim {claim.name!r} needs the sweeps {', '.join(lacking)}")
    values = claim.statistic(runs)
    if list(values) != list(claim.rules):
        raise ValueError(
            f"claim {claim.name!r} has the parts {list(values)} and the rules {list(claim.rules)}"
        )
    return tuple(part(label, values[label], rule) for label, rule in claim.rules.items())


def part(label: str, values: object, rule: Rule) -> Part:
    """Return a rule applied to values per seed; undecided where fewer than two seeds have one."""
    given = np.atleast_1d(np.asarray(values, float)).ravel()
    known = given[np.isfinite(given)]
    least = 1 if isinstance(rule, Exactly) else 2
    if known.size < least:
        tested = Tested(math.nan, math.nan, math.nan, 1.0, 1.0, math.nan)
    else:
        tested = rule.test(known)
    return Part(
        label=label,
        rule=rule.words,
        value=tested.value,
        low=tested.low,
        high=tested.high,
        values=tuple(known.tolist()),
        left_out=given.size - known.size,
        p_for=tested.p_for,
        p_against=tested.p_against,
        verdict=_verdict(tested.p_for <= tested.p_against, 2 * min(tested[3:5])),
    )


def _verdict(favourable: bool, p: float) -> Verdict:
    if not p < LEVEL:
        return "undecided"
    return "supported" if favourable else "contradicted"


def _is_tested(claim: Claim, parts: tuple[Part, ...]) -> bool:
    """Return whether chance enters: not for what is exact, or not testable."""
    return bool(parts) and not all(isinstance(r, Exactly) for r in claim.rules.values())


def _p(parts: tuple[Part, ...]) -> tuple[float, bool]:
    """Return the p of a claim, two-sided, and whether it leans towards it."""
    p_for = max(p.p_for for p in parts)
    p_against = min(1.0, len(parts) * min(p.p_against for p in parts))
    return min(1.0, 2 * min(p_for, p_against)), p_for <= p_against


def _judged(claim: Claim, parts: tuple[Part, ...], p: float, still_open: int) -> Judged:
    if not parts:
        return Judged(claim, "not testable", math.nan, (), claim.untestable)
    own, favourable = _p(parts)
    verdict = _verdict(favourable, own if math.isnan(p) else p)
    return Judged(claim, verdict, p, parts, _why(claim, verdict, parts, still_open))


def _why(claim: Claim, verdict: Verdict, parts: tuple[Part, ...], still_open: int) -> str:
    """Return the part that a verdict rests on, in one line."""
    if verdict == "supported":
        decisive = max(parts, key=lambda p: p.p_for)
        others = f"; so do its {len(parts) - 1} other parts" * (len(parts) > 2)
        others = "; so does its other part" if len(parts) == 2 else others
        return f"{said(decisive)}: it holds{others}."
    if verdict == "contradicted":
        return f"{said(min(parts, key=lambda p: p.p_against))}: it does not hold."
    open_parts = [p for p in parts if p.p_for > LEVEL / 2] or list(parts)
    weakest = max(open_parts, key=lambda p: p.p_for)
    tests = len(parts) * max(still_open, 1)
    return f"{said(weakest)}: {what_would_decide(weakest, claim.rules[weakest.label], tests)}."


def said(part: Part) -> str:
    """Return a part's value, interval and rule, e.g. 'X: 0.4 (0.1 to 0.7), claimed above 0'."""
    if math.isnan(part.value):
        return f"{part.label}: no value"
    interval = f" ({format_number(part.low)} to {format_number(part.high)})"
    same = part.low == part.high
    without = f", {part.left_out} seeds without a value left out" * bool(part.left_out)
    return (
        f"{part.label}: {format_number(part.value)}{'' if same else interval}{without}, "
        f"claimed {part.rule}"
    )


def what_would_decide(part: Part, rule: Rule, tests: int = 1) -> str:
    """How many seeds would decide an undecided part, if its mean and spread stay as they are.

    (z(α/2 tests) + z(1 - power))² (spread/distance to the margin)², where tests are the parts and
    the claims that are open with it, which the correction counts.
    """
    known = np.array(part.values)
    if known.size < 2:
        return "too few models of it are finite; other settings are needed"
    margins = [
        m for m in (getattr(rule, k, None) for k in ("margin", "low", "high")) if m is not None
    ]
    distance = min(abs(part.value - m) for m in margins) if margins else 0.0
    spread = float(known.std(ddof=1))
    if distance <= 0.02 * spread or not spread:
        return "it lies on the margin, which no number of seeds would decide"
    errors = float(norm.isf(LEVEL / (2 * tests)) - norm.isf(POWER))
    seeds = math.ceil((errors * spread / distance) ** 2)
    if seeds <= known.size:
        leaning = "for" if part.p_for <= part.p_against else "against"
        return f"clear by itself, {leaning} it, but not after the correction over all claims"
    unit = 10 ** max(math.floor(math.log10(seeds)) - 1, 0)
    about = math.ceil(seeds / unit) * unit
    return f"about {about:,} seeds would decide it, if mean and spread stay"
