"""Whether the main verdicts on activations hold under other conditions than the source's.

X is divided by the number of hidden units m, so that one margin serves models of any size; at the
usual m = 5 it is a quarter of a feature.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from jsuper.core.json_data import JSONObject
from jsuper.findings.baron_general import noted
from jsuper.findings.counts import COUNTS
from jsuper.findings.finding import Data, Finding
from jsuper.findings.placebo import ACTIVATIONS as SHUFFLED
from jsuper.findings.rules import Rule, below, share
from jsuper.findings.sweeps import FEW
from jsuper.findings.values import mean_of, measure, sparsity_text

SOME = 0.05  # features per hidden unit, the least difference in X that counts
MOST = 0.5  # of the seeds: what "tanh does not superpose" says at the least; X is often 0 in all
SPAN = (-5.0, 5.0)  # n_features / n_hidden is at most 5, which bounds differences of X / m

CONDITIONS = {
    "correlated": "features come in sets of four",
    "signed": "features have either sign",
    "large": "100 features share 20 hidden units",
    "untied": "the decoder is trained by itself",
}
"""Condition, whose sweep is general_CONDITION -> what differs, in words."""


class Asked(NamedTuple):
    """A verdict that is asked again: a statement, its activations and its rule."""

    statement: str
    more: str
    less: str  # "": compared with no other, but with no superposition
    rule: Rule


VERDICTS = {
    "gelu-less": Asked("GELU superposes less than ReLU", "gelu", "relu", below(-SOME, bounds=SPAN)),
    "elu-less": Asked(
        "ELU, which lets negative values through, superposes less than GELU",
        "elu",
        "gelu",
        below(-SOME, bounds=SPAN),
    ),
    "tanh-none": Asked(
        "Tanh represents no more features than hidden units", "tanh", "", share(MOST)
    ),
}
READINGS = {
    f"{sparsity_text((s,))}, {count}": {"sparsity": s, "count": count}
    for s in FEW["sparsity"]
    for count in COUNTS
}


def excess(data: Data, sweep: str, asked: Asked, sparsity: float, count: str) -> dict[str, Any]:
    """Return X / m of one activation less that of another; of one alone, 1 where X <= 0, else 0."""
    ds = data[sweep]
    values = measure(ds, count) / ds["n_hidden"]
    x = mean_of(values, asked.more, sparsity)
    if not asked.less:
        return {label(asked): np.where(np.isnan(x), x, x <= 0)}
    return {label(asked): x - mean_of(values, asked.less, sparsity)}


def label(asked: Asked) -> str:
    """Return the label of the only part."""
    return f"X / m, {asked.more} less {asked.less}" if asked.less else f"X <= 0, {asked.more}"


def finding(name: str, condition: str) -> Finding:
    """Return one of VERDICTS under one of CONDITIONS."""
    asked, sweep = VERDICTS[name], f"general_{condition}"
    return Finding(
        f"{name}-{condition}",
        f"{asked.statement}: also if {CONDITIONS[condition]}?",
        place="generality",
        sentence=f"{asked.statement} also if {CONDITIONS[condition]}.",
        sweeps=(sweep,),
        effect=lambda data, **reading: excess(data, sweep, asked, **reading),
        rules={label(asked): asked.rule},
        readings=READINGS,
        placebo=SHUFFLED,
        unit="features beyond m, per hidden unit" if asked.less else "share of seeds",
        note=noted(f"At {next(iter(READINGS))}, it is {{{label(asked)}:.2f}}."),
    )


def pivot(found: Iterable[JSONObject]) -> JSONObject:
    """Return the table of verdicts, a row per statement and a column per condition.

    Parameters
    ----------
    found
        Findings from `results.as_data`; those that are not FINDINGS here are left out.
    """
    verdicts = {one["name"]: one["verdict"] for one in found}
    rows = [
        [asked.statement, *(verdicts.get(f"{name}-{c}", "") for c in CONDITIONS)]
        for name, asked in VERDICTS.items()
    ]
    return {"columns": list(CONDITIONS.values()), "rows": rows}


FINDINGS: tuple[Finding, ...] = tuple(finding(k, c) for k in VERDICTS for c in CONDITIONS)
