"""The page of a study: Markdown, figures, and the numbers as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import jinja2

from jsuper.core.errors import SpecError
from jsuper.core.files import write_atomically, write_text
from jsuper.core.json_data import JSONObject
from jsuper.core.status import OK
from jsuper.core.suggestions import not_one_of
from jsuper.core.text import format_number
from jsuper.studies.answer import Row, as_data

if TYPE_CHECKING:
    import xarray

STUDIES = ("dropout", "gelu", "phases", "scurves")


def study_of(name: str) -> ModuleType:
    """Return the module of a study.

    Raises
    ------
    SpecError
        No study has that name.
    """
    if name not in STUDIES:
        subject = f"study={name!r} is not known"
        raise SpecError(not_one_of(subject, name, STUDIES, "it is one of"))
    return import_module(f"jsuper.studies.{name}")


def write(name: str, runs: Mapping[str, xarray.Dataset], folder: str | Path) -> Path:
    """Write FOLDER/NAME.md, NAME.json and NAME-*.png from the analysed sweeps of a study.

    Parameters
    ----------
    name
        Of the study.
    runs
        Preset -> Dataset of `jsuper.analyze`.
    folder
        Where; made if it is not there.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    SpecError
        The study is not known.
    ValueError
        A sweep, a variable or an axis is missing.
    OSError
        A file cannot be written.
    """
    import matplotlib.pyplot as plt

    study, folder = study_of(name), Path(folder)
    answers, figures = study.answers(runs), study.figures(runs)
    tables = study.tables(runs) if hasattr(study, "tables") else []
    sweeps = [about(preset, runs[preset]) for preset in study.PRESETS]
    page = render(name, study, answers, tables, [(f.name, f.caption) for f in figures], sweeps)
    folder.mkdir(parents=True, exist_ok=True)
    for drawing in figures:
        path = folder / f"{name}-{drawing.name}.png"
        write_atomically(path, lambda f, d=drawing: d.figure.savefig(f, format="png", dpi=110))
        plt.close(drawing.figure)
    data = {"study": name, "sweeps": sweeps, "answers": as_data(answers)}
    data["tables"] = [vars(t) for t in tables]
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(folder / f"{name}.json", text)
    write_text(folder / f"{name}.md", page)
    return folder / f"{name}.md"


def render(name: str, study: Any, answers: list, tables: list, figures: list, sweeps: list) -> str:
    """Return the page's Markdown."""
    environment = jinja2.Environment(
        autoescape=False, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": format_number, "interval": interval, "cell": cell}
    template = (files("jsuper.studies") / "page.md.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        study=name,
        title=study.TITLE,
        text=study.TEXT,
        answers=answers,
        tables=tables,
        figures=figures,
        sweeps=sweeps,
    )


def about(preset: str, ds: xarray.Dataset) -> JSONObject:
    """Return what a sweep's numbers come from: models, seeds, versions, devices."""
    session = json.loads(ds.attrs.get("sessions", "[]") or "[]")
    last = session[-1] if session else {}
    versions = last.get("versions", {})
    return {
        "preset": preset,
        "models": int(ds["status"].size),
        "seeds": int(ds.sizes["seed"]),
        "left_out": int((ds["status"] != OK).sum()),
        "jsuper": versions.get("jsuper", "unknown"),
        "jax": versions.get("jax", "unknown"),
        "devices": ", ".join(sorted(set(map(str, last.get("devices", ["unknown"]))))),
    }


def interval(row: Row) -> str:
    """'0.1 to 0.2'; nothing where there is none."""
    return "" if math.isnan(row.low) else f"{format_number(row.low)} to {format_number(row.high)}"


def cell(text: str) -> str:
    """Text that fits into one cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")
