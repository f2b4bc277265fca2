"""Findings as JSON data: what findings.json has, from which every verdict can be computed again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsuper.core.files import write_text
from jsuper.core.json_data import JSONObject
from jsuper.findings.finding import Finding, Judged, Part
from jsuper.findings.reasons import LEVEL, p_text
from jsuper.findings.sweeps import SWEEPS

if TYPE_CHECKING:
    import xarray

DIGITS = 10  # of every number; the p of equal seeds needs no more


def as_data(judged: Judged) -> JSONObject:
    """Return a judged finding as JSON data; NaN becomes None. The placebos are not counted yet."""
    finding = judged.finding
    return {
        "name": finding.name,
        "source": finding.source,
        "place": finding.place,
        "question": finding.question,
        "sentence": finding.sentence,
        "verdict": judged.verdict,
        "mixed": finding.mixed,
        "p": number(judged.p),
        "p_text": p_text(judged.p),
        "why": judged.why,
        "note": judged.note,
        "unit": finding.unit,
        "sweeps": list(finding.sweeps),
        "placebos": None,
        "readings": [
            {"label": r.label, "parts": [part_data(finding, p) for p in r.parts]}
            for r in judged.readings
        ],
    }


def part_data(finding: Finding, part: Part) -> JSONObject:
    """Return a part with its rule, its numbers and its values."""
    rule = finding.rules.get(part.label)
    return {
        "label": part.label,
        "rule": part.rule,
        "kind": rule.kind if rule else "mean",
        "margins": [number(rule.low), number(rule.high)] if rule else [None, None],
        "bounds": list(rule.bounds) if rule and rule.bounds else None,
        "value": number(near(part.value)),
        "low": number(near(part.low)),
        "high": number(near(part.high)),
        "left_out": part.left_out,
        "p_for": number(part.p_for),
        "p_against": number(part.p_against),
        "values": [number(v) for v in part.values],
    }


def tally(readings: Sequence[JSONObject]) -> tuple[int, int, int]:
    """Return how many readings hold, how many do not, and how many are open, one by one."""
    worst = [max(p["p_for"] for p in r["parts"]) for r in readings]
    against = [len(r["parts"]) * min(p["p_against"] for p in r["parts"]) for r in readings]
    holds, fails = (sum(2 * p < LEVEL for p in of) for of in (worst, against))
    return holds, fails, len(readings) - holds - fails


def near(value: float) -> float:
    """Return a number, and 0 for what rounding leaves of 0."""
    return 0.0 if abs(value) < 1e-12 else value


def number(value: float) -> float | None:
    """Return a number with 10 digits; None if it is not finite."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def about(name: str, ds: xarray.Dataset) -> JSONObject:
    """Return what a sweep's numbers come from: models, seeds, failed fits, versions, devices."""
    sessions = json.loads(ds.attrs.get("sessions", "[]") or "[]")
    last = sessions[-1] if sessions else {}
    versions = last.get("versions", {})
    failed = int((ds["failed_fit"] == 1).sum()) if "failed_fit" in ds else 0
    return {
        "sweep": name,
        "models": int(ds["status"].size),
        "seeds": int(ds.sizes["seed"]),
        "not_finished": int((ds["status"] != 1).sum()),
        "failed_fits": failed,
        "jsuper": versions.get("jsuper", "unknown"),
        "jax": versions.get("jax", "unknown"),
        "devices": ", ".join(sorted(set(map(str, last.get("devices", ["unknown"]))))),
    }


def failed_cells(ds: xarray.Dataset) -> list[str]:
    """Return which fits failed: 'softplus at S .99: 20 of 20'; none for other families."""
    if "failed_fit" not in ds or "activation" not in ds.dims:
        return []
    number = (ds["failed_fit"] == 1).sum("seed")
    number = number.sum([d for d in number.dims if d not in ("activation", "sparsity")])
    total = ds["status"].size // number.size
    return [
        f"{activation} at S {float(sparsity):g}: {int(count)} of {total}"
        for activation, row in zip(ds["activation"].values, number.values, strict=True)
        for sparsity, count in zip(ds["sparsity"].values, row, strict=True)
        if count
    ]


def write(
    path: Path,
    found: Sequence[JSONObject],
    data: Mapping[str, xarray.Dataset],
    seeds: int,
) -> None:
    """Write findings.json."""
    content = {
        "seeds": seeds,
        "sweeps": [about(name, ds) for name, ds in data.items() if name in SWEEPS],
        "findings": list(found),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text)
