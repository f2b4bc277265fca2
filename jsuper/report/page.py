"""The page: the template filled with a sweep's words, data and the family's own script."""

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

from jsuper.core.errors import RunError
from jsuper.core.expecting import expect_folder
from jsuper.core.family import family_of
from jsuper.core.files import check_file, write_text
from jsuper.core.reading import CLAIMS_JSON, json_limit, parse_json, read_text
from jsuper.core.status import FAILED, NON_FINITE, OK
from jsuper.core.text import printable
from jsuper.report.claims import checked
from jsuper.report.data import embedded
from jsuper.store import derived
from jsuper.store.dataset import load
from jsuper.store.manifest import manifest_of

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

MISSING = 0
WORDS = {OK: "ok", NON_FINITE: "diverged", FAILED: "failed", MISSING: "missing"}
MOST_CELLS = 200  # that the list of what is left out names one by one
# What other data raises.
NOT_CLAIMS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
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
        Its manifest, or its claims.json, cannot be read, or report.html is not a file.
    OSError
        The page cannot be written.
    """
    from jsuper.analysis import analyze

    expect_folder("run", run, "jsuper.report.write('runs/activations')")
    folder = Path(run)
    path = folder / "report.html"
    check_file(path)  # before the work
    made_from = derived.fingerprint(folder, manifest_of(folder))  # before the chunks are read
    title, claims = folder.absolute().name, claims_in(folder)
    ds = analyze(load(folder))
    try:
        text = render(ds, title, claims)
    except (jinja2.TemplateError, *NOT_CLAIMS) as error:
        render(ds, title)  # raises where the claims are not to blame
        raise _bad_claims(folder, error) from error
    write_text(path, text)
    derived.record(folder, path.name, made_from)
    return path


def claims_in(folder: Path) -> list[dict[str, Any]]:
    """Return the claims that a run decides, from its claims.json; none where there is no such file.

    Raises
    ------
    RunError
        The file cannot be read.
    """
    try:
        data = parse_json(read_text(folder / "claims.json", json_limit(CLAIMS_JSON)))
        return checked(data)
    except FileNotFoundError:
        return []
    except (OSError, *NOT_CLAIMS) as error:
        raise _bad_claims(folder, error) from error


def _bad_claims(folder: Path, error: Exception) -> RunError:
    return RunError(
        f"{folder / 'claims.json'} cannot be used: {printable(error, 300)}; remove it, or make it "
        "anew with jsuper claims"
    )


def render(ds: xarray.Dataset, title: str, claims: Sequence[dict[str, Any]] = ()) -> str:
    """Return the HTML of an analysed Dataset.

    Parameters
    ----------
    ds
        Of `jsuper.analyze`, with all of the sweep's dimensions.
    title
        What the page calls the run; any text, escaped.
    claims
        Verdicts of `jsuper.claims.page.decided`.
    """
    sweep = json.loads(ds.attrs["sweep"])
    spec, family = family_of(sweep["model"]).spec, family_of(sweep["model"]).measures
    here = files("jsuper.report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    status, fits = ds["status"].values, family_of(sweep["model"]).fits
    failed = list(fits.failed_fits(ds).items()) if fits else []
    drawn = family_of(sweep["model"]).figures(ds)
    return environment.from_string((here / "page.html").read_text(encoding="utf-8")).render(
        title=title,
        counts={word: int((status == k).sum()) for k, word in WORDS.items()},
        total=status.size,
        shape=" x ".join(f"{ds.sizes[d]} {d}" for d in ds["status"].dims),
        left_out=left_out(ds),
        failed_fits=[(reason, int(models.sum()), fits.ADVICE[reason]) for reason, models in failed],  # type: ignore[union-attr]
        failed_cells=cells_of(ds, failed),
        most_cells=MOST_CELLS,
        fields=fields(sweep, spec.Sweep().to_dict()),
        sessions=[session(s) for s in json.loads(ds.attrs.get("sessions", "[]"))],
        figures=[(caption, png(figure)) for caption, figure in drawn],
        claims=[(claim, png(claim_figure(claim))) for claim in claims],
        data=embedded(ds, family, spec.Sweep.main_axes, fits),
        style=(here / "page.css").read_text(encoding="utf-8"),
        script=(here / "page.js").read_text(encoding="utf-8"),
        family_script=family_of(sweep["model"]).page_script(),
    )


def claim_figure(claim: dict[str, Any]) -> Figure:
    """Return the numbers that a claim rests on."""
    from jsuper.plots.claims import drawable, parts

    figure = parts(drawable(claim), claim["unit"]).figure
    assert figure is not None
    return figure  # type: ignore[return-value]


def png(figure: Figure) -> str:
    """Return a figure as base64 of a PNG; it is closed."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    plt.close(figure)
    return base64.b64encode(buffer.getvalue()).decode()


def left_out(ds: xarray.Dataset) -> list[tuple[str, str]]:
    """Every cell that lacks models, in words, and how many of them diverged, failed or miss."""
    return cells_of(ds, [(word, ds["status"] == k) for k, word in WORDS.items() if k != OK])


def cells_of(
    ds: xarray.Dataset, kinds: Sequence[tuple[str, xarray.DataArray]]
) -> list[tuple[str, str]]:
    """Every cell that has models of some kinds, in words, and how many of each."""
    if not kinds:
        return []
    dims = [str(d) for d in ds["status"].dims if d != "seed"]
    counts = np.stack([models.sum("seed").transpose(*dims).values for _, models in kinds], axis=-1)
    found = []
    for cell in np.argwhere(counts.any(axis=-1)):
        where = [f"{d} {ds[d].values[i]}" for d, i in zip(dims, cell, strict=True)]
        own = zip(counts[tuple(cell)], (word for word, _ in kinds), strict=True)
        what = ", ".join(f"{count} {word}" for count, word in own if count)
        found.append((", ".join(where), f"{what} of {ds.sizes['seed']}"))
    return found


def fields(sweep: dict[str, Any], defaults: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """The sweep's fields, their values in words, and whether they differ from the defaults."""
    return [(k, said(v), k in defaults and v != defaults[k]) for k, v in sweep.items()]


def said(value: Any) -> str:
    """Return a field's value or values."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def session(about: dict[str, Any]) -> dict[str, str]:
    """When a session of work took place, and with what; whatever its file may say."""
    versions, devices = about.get("versions"), about.get("devices")
    versions = versions if isinstance(versions, dict) else {}
    devices = devices if isinstance(devices, list) else []
    return {
        "started": printable(about.get("started", "unknown")),
        "ended": printable(about.get("ended", "stopped before its end")),
        "devices": printable(", ".join(sorted(set(map(str, devices))))),
        "plan": printable(about.get("plan", "")),
        "versions": printable(", ".join(f"{p} {versions[p]}" for p in PACKAGES if p in versions)),
        "commit": printable(about.get("git") or ""),
    }
