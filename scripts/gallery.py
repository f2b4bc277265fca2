"""Write docs/gallery.md and its pictures: `python scripts/gallery.py [NAME ...] [--runs FOLDER]`.

Times and checked numbers are those of benchmarks/results/presets.json. The named figures are drawn
from the run folders RUNS/PRESET, which have to be of the models that the file is about; without
names only the page is written.
"""

import datetime
import json
import math
import sys
from itertools import groupby
from pathlib import Path

from jsuper.analysis.checked import Checked
from jsuper.cli.gallery import GalleryOptions
from jsuper.cli.process import reported, start_analysis
from jsuper.cli.values import read
from jsuper.core.errors import SpecError
from jsuper.core.files import write_atomically, write_text
from jsuper.core.grid import n_models
from jsuper.core.json_data import JSONObject
from jsuper.core.text import format_number
from jsuper.presets import gallery
from jsuper.presets.gallery import Entry

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "benchmarks" / "results" / "presets.json"
DOCS = ROOT / "docs"
DPI = 80
HEAD = """# Gallery

Published figures, each drawn again from models that one command trains.

    jsuper gallery pentagon
    jsuper gallery pentagon --reduced

The first command trains what is missing in `runs/gallery`, draws the figure below, and prints its
checked numbers. Figures of one preset share its run. `--reduced` has two seeds and a tenth of the
steps, for a quick look, and its figure says so. `jsuper gallery` lists all names.

A time on two cores is first the expected one, then one that was measured beside other programs on
the same cores. Numbers are next to those of theory or of the publication, and some of them differ;
intervals are of 95 %, unless quartiles are named. `python scripts/gallery.py` writes this page from
`benchmarks/results/presets.json`, whose numbers are measured by `benchmarks/presets.py`.

| figure | time on two cores |
|---|---|
"""


def page(measured: JSONObject) -> str:
    """Return the page as Markdown; `measured` is the content of presets.json."""
    entries = list(gallery.entries().values())
    rows = "".join(f"| [{e.preset.title}](#{e.name}) | {e.preset.duration} |\n" for e in entries)
    sections, first = [], {}
    for source, some in groupby(entries, lambda e: e.preset.source):
        cited = f"{source.author} ({source.year}), [{source.title}]({source.link})"
        sections.append(f"\n## {source.author} ({source.year})\n\nAfter {cited}.\n")
        for entry in some:
            other = first.setdefault(entry.run, entry)
            sections.append(section(entry, measured[entry.run], other))
    return HEAD + rows + "".join(sections)


def section(entry: Entry, measured: JSONObject, first: Entry) -> str:
    """Return the part of one entry; `first` is the first one of the same run."""
    title = entry.preset.title
    if first is entry:
        numbers = table(measured["checked"])
    else:
        link = f"[{first.preset.title}](#{first.name})"
        numbers = f"Its run and its checked numbers are those of {link}.\n"
    return f"""
<a id="{entry.name}"></a>

### {title[0].upper()}{title[1:]}

{entry.seen}

![{title}](gallery/{entry.name}.png)

    jsuper gallery {entry.name}

Time on two cores: about {entry.preset.duration}; {time_text(entry, measured)}.
In the publication: {entry.where}.

{numbers}"""


def time_text(entry: Entry, measured: JSONObject) -> str:
    """Return a measured time, and of what, where and when it was measured."""
    day = datetime.datetime.fromisoformat(measured["date"])
    seconds = measured["seconds"]
    time = f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"
    more = " (more seeds than the command has)" * (measured["models"] > n_models(entry.sweep()))
    return (
        f"measured {time} for {measured['models']:,} models{more} on {day.day} {day:%B %Y}, "
        f"{measured['cpu_model']}"
    )


def table(checked: list[JSONObject]) -> str:
    """Return the checked numbers as a table."""
    rows = ["| checked | found | theory or published |", "|---|---|---|"]
    for one in checked:
        low, high = one["interval"] or (math.nan, math.nan)
        found = str(Checked("", one["found"], "", low, high)).removeprefix(": ").removesuffix("; ")
        cells = (one["quantity"], found, one["expected"])
        rows.append(f"| {' | '.join(text.replace('|', chr(92) + '|') for text in cells)} |")
    return "\n".join(rows) + "\n"


def draw(entry: Entry, runs: Path, measured: JSONObject) -> None:
    """Draw the picture of an entry."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from jsuper.store.dataset import load

    ds = load(runs / entry.run)
    if ds["status"].size != measured["models"]:
        raise SpecError(
            f"{runs / entry.run} has {format_number(ds['status'].size)} models, and "
            f"{MEASURED.name} is about {measured['models']}; measure it with benchmarks/presets.py"
        )
    figure, path = entry.draw(ds), DOCS / "gallery" / f"{entry.name}.png"
    write_atomically(path, lambda f: figure.savefig(f, format="png", dpi=DPI))
    plt.close(figure)
    print(path.relative_to(ROOT), flush=True)


def main() -> int:
    """Draw the named figures and write the page."""
    options = read(GalleryOptions, None, "scripts/gallery.py")
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    chosen = gallery.chosen(options.names)
    if chosen:
        start_analysis()
    for entry in chosen:
        draw(entry, Path(options.runs), measured[entry.run])
    write_text(DOCS / "gallery.md", page(measured))
    return 0


if __name__ == "__main__":
    sys.exit(reported(main))
