"""Whether the main verdicts on activations hold under other conditions than the source's.

X is divided by the number of hidden units m, so that one margin serves models of any size; at the
usual m = 5 it is a quarter of a feature.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jsuper.analysis.counts import COUNTS
from jsuper.core.json_data import JSONObject
from jsuper.findings.finding import Data, Finding
from jsuper.findings.notes import crossed, spans_by
from jsuper.findings.placebo import ACTIVATIONS as SHUFFLED
from jsuper.findings.results import tally
from jsuper.findings.rules import Rule, below, share
from jsuper.findings.sweeps import FEW
from jsuper.findings.values import mean_of, measure

SOME = 0.05  # features per hidden unit, the least difference in X that counts
MOST = 0.5  # of the seeds: what "tanh does not superpose" says at the least; X is often 0 in all
SPAN = (-5.0, 5.0)  # n_features / n_hidden is at most 5, which bounds differences of X / m

CONDITIONS = {
    "sets of four": "general_correlated",
    "either sign": "general_signed",
    "n 100, m 20": "general_large",
    "untied decoder": "general_untied",
}
"""Condition -> its sweep."""
READINGS = crossed(
    "{condition}, S {sparsity:g}, {count}",
    condition=tuple(CONDITIONS),
    sparsity=FEW["sparsity"],
    count=tuple(COUNTS),
)


class Asked(NamedTuple):
    """A verdict that is asked again: a statement, its activations and its rule."""

    name: str
    statement: str
    more: str
    less: str  # "": compared with no other, but with no superposition
    rule: Rule

    @property
    def label(self) -> str:
        """Of the only part."""
        return f"X / m, {self.more} less {self.less}" if self.less else f"X <= 0, {self.more}"


LESS = below(-SOME, bounds=SPAN)
VERDICTS = (
    Asked("gelu-less-elsewhere", "GELU superposes less than ReLU", "gelu", "relu", LESS),
    Asked("elu-less-elsewhere", "ELU superposes less than GELU", "elu", "gelu", LESS),
    Asked(
        "tanh-none-elsewhere",
        "Tanh represents no more features than hidden units",
        "tanh",
        "",
        share(MOST),
    ),
)


def excess(
    asked: Asked, data: Data, condition: str, sparsity: float, count: str
) -> dict[str, np.ndarray]:
    """Return X / m of one activation less that of another; of one alone, 1 where X <= 0, else 0."""
    ds = data[CONDITIONS[condition]]
    values = measure(ds, count) / ds["n_hidden"]
    x = mean_of(values, asked.more, sparsity)
    if not asked.less:
        return {asked.label: np.where(np.isnan(x), x, x <= 0)}
    return {asked.label: x - mean_of(values, asked.less, sparsity)}


def finding(asked: Asked) -> Finding:
    """Return one of VERDICTS under all CONDITIONS."""
    return Finding(
        asked.name,
        f"{asked.statement}: also of correlated or signed features, at n 100, and untied?",
        place="generality",
        sentence=f"{asked.statement} also if features come in sets of four or have either sign, "
        "if 100 of them share 20 hidden units, and if the decoder is trained by itself.",
        sweeps=tuple(CONDITIONS.values()),
        effect=partial(excess, asked),
        rules={asked.label: asked.rule},
        readings=READINGS,
        placebo=SHUFFLED,
        unit="features beyond m, per hidden unit" if asked.less else "share of seeds",
        note=spans_by(condition_of),
    )


def condition_of(label: str) -> str:
    """Return the condition of a reading's label."""
    return next(c for c in CONDITIONS if label.startswith(c))


def pivot(found: Iterable[JSONObject]) -> JSONObject:
    """Return the table of statements: of each condition's readings, how many hold or do not.

    Parameters
    ----------
    found
        Findings from `results.as_data`; those that are not FINDINGS here are left out.
    """
    statements = {asked.name: asked.statement for asked in VERDICTS}
    rows: list[list[Any]] = []
    for one in (f for f in found if f["name"] in statements):
        groups = {c: [r for r in one["readings"] if condition_of(r["label"]) == c]
                  for c in CONDITIONS}  # fmt: skip
        rows.append([statements[one["name"]], *(_cell(group) for group in groups.values())])
    return {"columns": list(CONDITIONS), "rows": rows}


def _cell(readings: list[JSONObject]) -> str:
    holds, fails, still_open = tally(readings)
    left = f", {still_open} open" if still_open else ""
    return f"holds in {holds}, not in {fails}{left}"


FINDINGS: tuple[Finding, ...] = tuple(map(finding, VERDICTS))
