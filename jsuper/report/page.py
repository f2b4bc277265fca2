"""Render the page: its template with a sweep's data, figures and the script of its family."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np

from jsuper.core.expecting import expect_folder
from jsuper.core.family import family_of
from jsuper.core.files import check_file, write_text
from jsuper.core.json_data import JSONObject
from jsuper.core.status import Status
from jsuper.core.text import counted, printable
from jsuper.core.zipped import labels_of
from jsuper.report.data import page_data
from jsuper.store import derived
from jsuper.store.dataset import load
from jsuper.store.manifest import manifest_of

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

LABELS = {
    Status.OK: "ok",
    Status.NON_FINITE: "diverged",
    Status.FAILED: "could not be trained",
    Status.MISSING: "missing",
}
MAX_CELLS = 200  # listed one by one
# The scripts of the page, and between them that of the family, which draws one model.
BEFORE = ("base", "draw", "plots")
AFTER = ("maps", "curves", "table", "cell", "start")
LACKING = {
    "without_curves": "Learning curves and snapshots are left out",
    "without_pictures": "The pictures of models are left out",
    "without_seeds": "The values of single seeds are left out",
}
PACKAGES = ("jsuper", "jax", "jaxlib", "optax", "flax", "numpy", "python")


def write(run: str | Path) -> Path:
    """Analyse a run folder, finished or not, and write its `report.html`.

    Raises
    ------
    TypeError
        `run` is not a path.
    FileNotFoundError
        There is no run folder at `run`.
    RunError
        The manifest cannot be read, or report.html is not a file.
    OSError
        The page cannot be written.
    """
    from jsuper.analysis import analyze

    expect_folder("run", run, "jsuper.report.write('runs/activations')")
    folder = Path(run)
    path = folder / "report.html"
    check_file(path)  # before any work
    made_from = derived.fingerprint(folder, manifest_of(folder))  # before the chunks are read
    write_text(path, render(analyze(load(folder)), folder.absolute().name, str(folder.absolute())))
    derived.record(folder, path.name, made_from)
    return path


def render(ds: xarray.Dataset, title: str, path: str = "path/of/the/run") -> str:
    """Return the HTML of an analysed Dataset.

    Parameters
    ----------
    ds
        Result of `jsuper.analyze` with all dimensions of the sweep.
    title
        Name of the run; it is escaped.
    path
        Of its folder, in the Python code that the page shows.
    """
    from jsuper.analysis.answering import answers

    sweep = json.loads(ds.attrs["sweep"])
    family = family_of(sweep["model"])
    sources = files("jsuper.report") / "static"

    def read(file: str) -> str:
        return (sources / file).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    status, fits = ds["status"].values, family.fits
    failed = list(fits.failed_fits(ds).items()) if fits else []
    data = page_data(ds, family.measures, family.spec.Sweep.main_axes, fits)
    return environment.from_string(read("page.html")).render(
        title=title,
        counts={label: int((status == k).sum()) for k, label in LABELS.items()},
        labels=list(LABELS.values()),
        total=status.size,
        answers=answers(ds),
        shape=" x ".join(counted(ds.sizes[d], str(d).replace("_", " ")) for d in ds["status"].dims),
        left_out=left_out_cells(ds),
        failed_fits=[(reason, int(models.sum()), fits.ADVICE[reason]) for reason, models in failed],  # type: ignore[union-attr]
        failed_cells=count_by_cell(ds, failed),
        max_cells=MAX_CELLS,
        fields=field_rows(sweep, family.spec.Sweep().to_dict()),
        sessions=[session_summary(s) for s in json.loads(ds.attrs.get("sessions", "[]"))],
        figures=[(caption, encode_png(figure)) for caption, figure in family.figures(ds)],
        data=data | {"path": path},
        notes=[f"{what}: {data[key]}." for key, what in LACKING.items() if key in data],
        style=read("page.css"),
        scripts=[read(f"{name}.js") for name in BEFORE]
        + [family.page_script()]
        + [read(f"{name}.js") for name in AFTER],
    )


def encode_png(figure: Figure) -> str:
    """Return a figure as the rest of its data URL, and close it."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    plt.close(figure)
    return "png;base64," + base64.b64encode(buffer.getvalue()).decode()


def left_out_cells(ds: xarray.Dataset) -> list[tuple[str, str]]:
    """Return the cells with models left out, and how many diverged, failed or are missing."""
    kinds = [(label, ds["status"] == k) for k, label in LABELS.items() if k != Status.OK]
    return count_by_cell(ds, kinds)


def count_by_cell(
    ds: xarray.Dataset, kinds: Sequence[tuple[str, xarray.DataArray]]
) -> list[tuple[str, str]]:
    """Return the cells that contain models of some kinds, and how many of each, as text."""
    if not kinds:
        return []
    dims = [str(d) for d in ds["status"].dims if d != "seed"]
    counts = np.stack([models.sum("seed").transpose(*dims).values for _, models in kinds], axis=-1)
    found = []
    for cell in np.argwhere(counts.any(axis=-1)):
        where = [f"{d} {ds[d].values[i]}" for d, i in zip(dims, cell, strict=True)]
        by_kind = zip(counts[tuple(cell)], (label for label, _ in kinds), strict=True)
        what = ", ".join(f"{count} {label}" for count, label in by_kind if count)
        found.append((", ".join(where), f"{what} of {ds.sizes['seed']}"))
    return found


def field_rows(sweep: JSONObject, defaults: JSONObject) -> list[tuple[str, str, bool]]:
    """Return the sweep's fields, their values, and whether these differ from the defaults."""

    def text(value: Any) -> str:
        if isinstance(value, dict):  # groups of fields that vary together
            return "; ".join(f"{dim}: {' | '.join(labels_of(c))}" for dim, c in value.items())
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    known = {"zipped": None} | defaults
    return [(k, text(v), k in known and v != known[k]) for k, v in sweep.items()]


def session_summary(metadata: JSONObject) -> dict[str, str]:
    """Return the times, devices and versions of a session, for any content of its file."""
    versions, devices = metadata.get("versions"), metadata.get("devices")
    versions = versions if isinstance(versions, dict) else {}
    devices = devices if isinstance(devices, list) else []
    return {
        "started": printable(metadata.get("started", "unknown")),
        "ended": printable(metadata.get("ended", "(interrupted)")),
        "devices": printable(", ".join(sorted(set(map(str, devices))))),
        "plan": printable(metadata.get("plan", "")),
        "versions": printable(", ".join(f"{p} {versions[p]}" for p in PACKAGES if p in versions)),
        "commit": printable(metadata.get("git") or ""),
    }
