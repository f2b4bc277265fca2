"""The pages of the findings: an index, a page per source, figures, and findings.json."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import jinja2

from jsuper.analysis.statistics.one_sample import MANY
from jsuper.core.files import write_atomically, write_text
from jsuper.core.json_data import JSONObject
from jsuper.core.text import format_number
from jsuper.findings import catalog, general, results
from jsuper.findings.finding import Verdict
from jsuper.findings.reasons import count_text
from jsuper.findings.sources import OWN, SOURCES, TRAININGS
from jsuper.findings.sweeps import SWEEPS, needed
from jsuper.plots.findings import MOST_ROWS, evidence

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

VERDICTS = get_args(Verdict)
DPI = 100


def write(
    found: Sequence[JSONObject], data: Mapping[str, xarray.Dataset], seeds: int, folder: Path
) -> Path:
    """Write FOLDER/index.md, a page and a picture for each source, and findings.json.

    The pages show the figures of `draw`.

    Parameters
    ----------
    found
        Every finding, from `results.as_data`.
    data
        The sweeps that they needed.
    seeds
        The number that was asked for.
    folder
        Where; made if it is not there.

    Returns
    -------
    Path
        The index.
    """
    found = [f | {"page": f["source"] or OWN, "drawn": is_drawn(f)} for f in found]
    for page in catalog.PAGES:
        mine = [f for f in found if f["page"] == page]
        if mine:
            write_source(page, mine, data, folder)
    write_text(folder / "index.md", index(found, seeds))
    results.write(folder / "findings.json", [_without(f) for f in found], data, seeds)
    return folder / "index.md"


def draw(found: Sequence[JSONObject], folder: Path) -> None:
    """Write FOLDER/figures/NAME.png of every finding with values over seeds."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for finding in filter(is_drawn, found):
        save(evidence(finding), folder / "figures" / f"{finding['name']}.png")


def _without(finding: JSONObject) -> JSONObject:
    return {k: v for k, v in finding.items() if k not in ("page", "drawn")}


def is_drawn(finding: JSONObject) -> bool:
    """Return whether a finding has values over seeds, which a figure can show."""
    return any(len(set(p["values"])) > 1 for r in finding["readings"] for p in r["parts"])


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, and close it."""
    import matplotlib.pyplot as plt

    write_atomically(path, lambda f: figure.savefig(f, format="png", dpi=DPI))
    plt.close(figure)


def write_source(
    page: str, mine: list[JSONObject], data: Mapping[str, xarray.Dataset], folder: Path
) -> None:
    """Write the page of a source, and its main picture."""
    about = catalog.PAGES[page]
    picture = about.picture is not None
    if about.picture is not None:
        save(about.picture(data), folder / f"{page}.png")
    by_name = {f["name"]: f for f in mine}
    names = dict.fromkeys(name for f in mine for name in f["sweeps"])
    used = {name: data[name] for name in names}
    trained = [results.about(name, data[name]) for name in needed(tuple(names))]
    source = SOURCES.get(page)
    text = templates().get_template("source.md.jinja").render(
        title=f"{source.citation}: {source.about}" if source else "Questions of our own",
        reference=str(source) if source else "What follows from the texts, and is asked by none.",
        trainings=TRAININGS if "roe" in names else "",
        known=source.known if source else catalog.OWN_KNOWN,
        top=[by_name[name] for name in about.top if name in by_name],
        picture=picture,
        slug=page,
        own=page == OWN,
        pivot=general.pivot(mine) if page == OWN else None,
        exact=about.exact() if about.exact else [],
        findings=mine,
        rows=MOST_ROWS,
        failed=[(n, cells) for n, ds in used.items() if (cells := results.failed_cells(ds))],
        sweeps=[row | {"described": SWEEPS[row["sweep"]].described} for row in trained],
    )  # fmt: skip
    write_text(folder / f"{page}.md", text)


def index(found: Sequence[JSONObject], seeds: int) -> str:
    """Return the Markdown of the index."""
    by_name = {f["name"]: f for f in found}
    shown = [v for v in VERDICTS if any(f["verdict"] == v for f in found)]
    rows = []
    for page in catalog.PAGES:
        mine = Counter(f["verdict"] for f in found if f["page"] == page)
        source = SOURCES.get(page)
        link = f"[{source.citation if source else 'our own'}]({page}.md)"
        link = str(source).replace(source.citation, link, 1) if source else link
        about = source.about if source else "what no text asks"
        rows.append([link, about, mine.total(), *(mine[v] or "" for v in shown)])
    return templates().get_template("index.md.jinja").render(
        total=len(found),
        trainings=TRAININGS,
        seeds=seeds,
        more=", ".join(f"{seeds * n}" for n in sorted({s.times for s in SWEEPS.values()})[1:]),
        counts=[(v, sum(f["verdict"] == v for f in found)) for v in shown],
        top=[by_name[name] for name in catalog.TOP if name in by_name],
        columns=shown,
        sources=rows,
        many=MANY,
    )  # fmt: skip


@functools.cache
def templates() -> jinja2.Environment:
    """Return the Markdown templates with their filters."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda name: (files("jsuper.findings") / name).read_text(encoding="utf-8")
        ),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cell": cell,
        "interval": interval,
        "effect": effect,
        "in_short": in_short,
        "number": format_number,
        "verdict": lambda verdict: (verdict or "measured").capitalize(),
    }
    return environment


def cell(text: object) -> str:
    """Return text that fits into one cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def interval(part: JSONObject) -> str:
    """Return a part's mean and interval: '0.2 (0.1 to 0.3)'."""
    value, low, high = (part[k] for k in ("value", "low", "high"))
    if value is None:
        return "no value"
    if low is None or low == high:
        return format_number(value)
    return f"{format_number(value)} ({format_number(low)} to {format_number(high)})"


def in_short(finding: JSONObject) -> str:
    """Return the main number in a sentence, and how many readings hold, one by one."""
    if not (first := effect(finding)):
        return finding["why"]
    readings = finding["readings"]
    if len(readings) == 1:
        return f"{first}."
    first = f"{first} ({readings[0]['label']})."
    if finding["verdict"] == finding["mixed"]:
        return f"{first} {finding['why']}"
    return f"{first} {count_text(*results.tally(readings))}"


def effect(finding: JSONObject) -> str:
    """Return the number of a finding's main reading that matters most, with what it is."""
    if not finding["readings"] or not finding["readings"][0]["parts"]:
        return ""
    parts: Any = finding["readings"][0]["parts"]
    part = parts[0]
    if finding["verdict"] == "contradicted":  # the part that does not hold
        part = min(parts, key=lambda p: p["p_against"])
    return f"{part['label']}: {interval(part)}"
