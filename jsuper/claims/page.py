"""What is written of the verdicts: claims.json, docs/claims.md with a figure for each source."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from jsuper.claims.claim import Claim, Judged, Runs
from jsuper.claims.judging import judge
from jsuper.core.files import write_atomically, write_text
from jsuper.core.json_data import JSON, JSONObject
from jsuper.core.sources import SOURCES
from jsuper.core.text import format_number
from jsuper.studies.page import about, cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VERDICTS = ("supported", "contradicted", "undecided", "not testable")
COLUMNS = 3  # of a source's figure
NAME = "claims"


def decided(claims: Sequence[Claim], runs: Runs) -> list[JSONObject]:
    """Every claim with its verdict as JSON data, also the verdict under the other protocol.

    Parameters
    ----------
    claims
        The table.
    runs
        Sweep -> its analysed Dataset. Claims that concern both protocols are also decided on
        "protocol" in place of "study".
    """
    found = judge(claims, runs)
    others: dict[str, Judged] = {}
    if "protocol" in runs:
        asked = [c for c in claims if c.protocol]
        again = judge(asked, {**runs, "study": runs["protocol"]})
        others = {j.claim.name: j for j in again}
    return [as_data(j, others.get(j.claim.name)) for j in found]


def as_data(judged: Judged, other: Judged | None = None) -> JSONObject:
    """Return a verdict as JSON data; NaN becomes None."""
    claim = judged.claim
    data = {
        "name": claim.name,
        "source": claim.source,
        "claim": claim.sentence,
        "verdict": judged.verdict,
        "why": judged.why,
        "p": _number(judged.p),
        "unit": claim.unit,
        "sweeps": list(claim.sweeps),
        "note": claim.note,
        "parts": [
            {
                "label": p.label,
                "rule": p.rule,
                "value": _number(p.value),
                "low": _number(p.low),
                "high": _number(p.high),
                "margins": [_number(m) for m in claim.rules[p.label].margins],
                "verdict": p.verdict,
                "left_out": p.left_out,
                "values": list(p.values),
            }
            for p in judged.parts
        ],
    }
    if other is not None:
        data["protocol"] = {"verdict": other.verdict, "why": other.why, "p": _number(other.p)}
    return data


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def write_json(path: Path, table: Sequence[Mapping[str, JSON]], runs: Runs) -> None:
    """Write the verdicts with the sweeps that they come from."""
    data = {"sweeps": [about(name, ds) for name, ds in runs.items()], "claims": list(table)}
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text)


def write(table: Sequence[Mapping[str, JSON]], runs: Runs, folder: Path) -> Path:
    """Write FOLDER/claims.md, claims.json and claims-SOURCE.png; the page's path.

    Raises
    ------
    OSError
        A file cannot be written.
    """
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{NAME}.json", table, runs)
    drawn = []
    for source, mine in by_source(table).items():
        figure = figure_of(mine)
        if figure is not None:
            path = folder / f"{NAME}-{source}.png"
            write_atomically(path, lambda f, d=figure: d.savefig(f, format="png", dpi=90))
            plt.close(figure)
            drawn.append(source)
    page = render(table, drawn, [about(name, ds) for name, ds in runs.items()])
    write_text(folder / f"{NAME}.md", page)
    return folder / f"{NAME}.md"


def by_source(table: Iterable[Mapping[str, JSON]]) -> dict[str, list[Mapping[str, JSON]]]:
    """Return the claims of each source, in order."""
    found: dict[str, list[Mapping[str, JSON]]] = {}
    for claim in table:
        found.setdefault(claim["source"], []).append(claim)
    return dict(sorted(found.items()))


def trained(claim: Mapping[str, JSON]) -> bool:
    """Return whether a claim has values over seeds, which a figure can show."""
    return bool(claim["sweeps"]) and any(p["values"] for p in claim["parts"])


def figure_of(claims: Sequence[Mapping[str, JSON]]) -> Figure | None:
    """Return a panel for every claim that took a sweep; None where none did."""
    import matplotlib.pyplot as plt

    from jsuper.plots.claims import drawable, parts

    shown = [c for c in claims if trained(c)]
    if not shown:
        return None
    rows = [shown[i : i + COLUMNS] for i in range(0, len(shown), COLUMNS)]
    heights = [1.1 + 0.42 * max(len(c["parts"]) for c in row) for row in rows]
    figure, axes = plt.subplots(
        len(rows),
        COLUMNS,
        figsize=(6.2 * COLUMNS, sum(heights)),
        height_ratios=heights,
        layout="constrained",
        squeeze=False,
    )
    for ax in axes.ravel()[len(shown) :]:
        ax.set_axis_off()
    for ax, claim in zip(axes.ravel(), shown, strict=False):
        parts(drawable(claim), claim["unit"], title=f"{claim['name']}: {claim['verdict']}", ax=ax)
    return figure


def render(
    table: Sequence[Mapping[str, JSON]], drawn: Sequence[str], sweeps: Sequence[JSON]
) -> str:
    """Return the page's Markdown."""
    environment = jinja2.Environment(
        autoescape=False, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"cell": cell, "number": format_number}
    template = (files("jsuper.claims") / "page.md.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        groups=[
            {
                "source": s,
                "title": heading(s),
                "claims": mine,
                "drawn": s in drawn,
            }
            for s, mine in by_source(table).items()
        ],
        counts={v: sum(c["verdict"] == v for c in table) for v in VERDICTS},
        total=len(table),
        changed=[c for c in table if _changed(c)],
        asked=sum("protocol" in c for c in table),
        sweeps=sweeps,
    )


def heading(source: str) -> str:
    """Return the reference of a source, or its key if it is unknown."""
    text = str(SOURCES.get(source, source))
    return text[0].upper() + text[1:]


def _changed(claim: Mapping[str, JSON]) -> bool:
    """Return whether the other protocol has another verdict."""
    return "protocol" in claim and claim["protocol"]["verdict"] != claim["verdict"]
