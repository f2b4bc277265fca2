"""From effects to verdicts: rules, readings that have to agree, Holm over a source's table."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from jsuper.analysis.statistics import holm
from jsuper.findings import rules
from jsuper.findings.finding import Data, Finding, Judged, Part, Reading, Verdict
from jsuper.findings.reasons import LEVEL, reason, what_is_missing
from jsuper.findings.rules import Rule

ONLY = "as asked"  # the reading of a finding that states none


def judge(findings: Iterable[Finding], data: Data) -> list[Judged]:
    """Return the verdicts of findings, in their order.

    A reading holds if all parts of a finding hold under it. Supported and contradicted require that
    every reading holds, or that none does: p is the largest over the readings. Where one holds and
    another does not, the verdict is the finding's `mixed`; p is then the larger of the smallest on
    either side, times the number of readings. All are two-sided, and corrected by Holm over the
    findings of a source. What is computed exactly is decided without p.

    Parameters
    ----------
    findings
        Of one or several sources.
    data
        Every sweep that they name -> its Dataset of `jsuper.analyze`.

    Raises
    ------
    ValueError
        A sweep is missing, or an effect and its rules do not have the same parts.
    """
    found = [(finding, readings_of(finding, data)) for finding in findings]
    verdicts = [decide(*one) for one in found]
    tables = defaultdict(list)
    for i, ((finding, _), (_, p)) in enumerate(zip(found, verdicts, strict=True)):
        if not math.isnan(p) and not is_exact(finding):
            tables[finding.source].append(i)
    adjusted, still_open = [p for _, p in verdicts], [0] * len(found)
    for table in tables.values():
        corrected = [float(p) for p in holm([verdicts[i][1] for i in table])]
        count = sum(not p < LEVEL for p in corrected)
        for i, p in zip(table, corrected, strict=True):
            adjusted[i], still_open[i] = p, count
    return [
        judged(finding, readings, verdict, p, count)
        for (finding, readings), (verdict, _), p, count in zip(
            found, verdicts, adjusted, still_open, strict=True
        )
    ]


def readings_of(finding: Finding, data: Data) -> tuple[Reading, ...]:
    """Return a finding's numbers under each reading; none if it cannot be tested.

    Raises
    ------
    ValueError
        A sweep is missing, or labels differ from those of the rules.
    """
    if finding.effect is None:
        return ()
    if lacking := [name for name in finding.sweeps if name not in data]:
        raise ValueError(f"finding {finding.name!r} needs the sweeps {', '.join(lacking)}")
    found, own = [], {name: data[name] for name in finding.sweeps}
    for label, arguments in (finding.readings or {ONLY: {}}).items():
        values = finding.effect(own, **arguments)
        if finding.rules and list(values) != list(finding.rules):
            raise ValueError(
                f"finding {finding.name!r} has the parts {list(values)} and the rules "
                f"{list(finding.rules)}; give every part a rule"
            )
        parts = tuple(part(k, v, finding.rules.get(k)) for k, v in values.items())
        p_against = min(1.0, len(parts) * min(p.p_against for p in parts))
        found.append(Reading(label, parts, max(p.p_for for p in parts), p_against))
    return tuple(found)


def holds(finding: Finding, data: Data) -> bool:
    """Return whether a finding by itself is supported, without intervals: for many placebos."""
    assert finding.effect is not None
    for arguments in (finding.readings or {ONLY: {}}).values():
        for label, values in finding.effect(data, **arguments).items():
            known = np.asarray(values, float).ravel()
            p_for, _ = rules.p_values(known[np.isfinite(known)], finding.rules[label])
            if not 2 * p_for < LEVEL:
                return False
    return True


def part(label: str, values: object, rule: Rule | None) -> Part:
    """Return a rule applied to values per seed; without a rule, their mean and interval alone."""
    given = np.atleast_1d(np.asarray(values, float))
    known = given[~np.isnan(given)]
    of_share = rule is not None and rule.kind == "share"
    if given.ndim > 1 or np.isinf(known).any() or (of_share and not np.isin(known, (0, 1)).all()):
        wanted = "0, 1 or NaN" if of_share else "a finite number, or NaN"
        raise ValueError(f"{label!r} has the shape {given.shape}; give each seed {wanted}")
    tested = rules.test(known, rule or rules.above())
    if rule is None:
        tested = tested._replace(p_for=1.0, p_against=1.0)
    return Part(
        label=label,
        rule="" if rule is None else rule.text,
        value=tested.value,
        low=tested.low,
        high=tested.high,
        values=tuple(known.tolist()),
        left_out=given.size - known.size,
        p_for=tested.p_for,
        p_against=tested.p_against,
    )


def is_exact(finding: Finding) -> bool:
    """Return whether chance does not enter."""
    return bool(finding.rules) and all(rule.kind == "exact" for rule in finding.rules.values())


def decide(finding: Finding, readings: Sequence[Reading]) -> tuple[Verdict | None, float]:
    """Return what the readings lean to, and its p before the correction."""
    if finding.effect is None:
        return "not testable here", math.nan
    if not finding.rules:
        return None, math.nan
    all_hold = max(r.p_for for r in readings)
    none_holds = max(r.p_against for r in readings)
    one_each = max(min(r.p_for for r in readings), min(r.p_against for r in readings))
    options: dict[Verdict, float] = {
        "supported": 2 * all_hold,
        "contradicted": 2 * none_holds,
        finding.mixed: 2 * len(readings) * one_each if len(readings) > 1 else math.inf,
    }
    verdict = min(options, key=lambda name: options[name])
    return verdict, min(1.0, options[verdict])


def judged(
    finding: Finding,
    readings: tuple[Reading, ...],
    verdict: Verdict | None,
    p: float,
    still_open: int,
) -> Judged:
    """Return a finding with its verdict, which is undecided at or above 0.05."""
    if verdict in (None, "not testable here"):
        why = finding.untestable
        return Judged(finding, verdict, math.nan, readings, why, note_of(finding, readings))
    if p < LEVEL:
        why = reason(verdict, readings)
    else:
        why, verdict = what_is_missing(finding, readings, still_open), "undecided"
    p = math.nan if is_exact(finding) else p
    return Judged(finding, verdict, p, readings, why, note_of(finding, readings))


def note_of(finding: Finding, readings: tuple[Reading, ...]) -> str:
    """Return a finding's note, with the means of its main reading or with all readings."""
    if callable(finding.note):
        return finding.note(readings)
    values = {p.label: p.value for r in readings[:1] for p in r.parts}
    return finding.note.format(**values)
