"""What the command line says before a run and shows after it: plan, table, heatmap."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jsuper.core.family import family_of
from jsuper.core.files import shortened, write_atomically
from jsuper.core.grid import Chunk
from jsuper.core.json_data import label
from jsuper.core.orientation import rows_and_columns
from jsuper.core.status import OK
from jsuper.core.sweep import BaseSweep
from jsuper.core.text import counted, format_duration, format_number, format_size, printable
from jsuper.jobs.room import memory_bytes, result_bytes

if TYPE_CHECKING:
    import xarray
    from rich.table import Table

    from jsuper.engine.devices import Plan
    from jsuper.engine.estimates import Estimate
    from jsuper.jobs.job import Job

MOST_WEIGHTS = 10**8  # numbers that are read for the answers
MOST_TABLES = 4
MOST_COLUMNS = 24
MOST_ROWS = 16  # that name failed fits, of a reason


def plan_text(job: Job, plan: Plan, expected: Estimate) -> str:
    """Return the plan: models, shares, devices, chunks, expected memory and time, folder.

    Memory, time and chunks are those of this process's share; the results are those of all.
    """
    sweep, todo = job.sweep, job.pending
    axes = " x ".join(counted(len(v), k.replace("_", " ")) for k, v in sweep.axes.items())
    steps = sorted({c.static["steps"] for c in job.chunks})
    memory = f"about {format_size(memory_bytes(todo, plan))}{plan.memory_of}"
    again = [part for parts in job.retry.values() for part in parts]
    lines = [
        f"model    {sweep.model}: {axes} x {counted(sweep.seed_count, 'seed')} = "
        f"{counted(_models(job.chunks), 'model')}, {' and '.join(f'{s:,}' for s in steps)} steps "
        "each" + _done_text(job, job.chunks, "already"),
        *(f"zipped   {dim}: {', '.join(fields)}" for dim, fields in sweep.zipped.items()),
        *([f"fields   {text}"] if (text := fields_text(job.sweep)) else []),
        *([share_text(job)] if job.shard else []),
        f"device   {plan.describe()}",
        f"chunks   {chunks_text(job)}",
        *([f"retry    failed models of earlier runs: {_models(again):,}"] if again else []),
        f"memory   {memory}, results {size_text(job.chunks)}",
        f"time     {time_text(expected) if todo else 'nothing to train'}",
        f"folder   {printable(job.folder)}",
    ]
    return "\n".join([*(f"note     {n}" for n in (*job.notes, *sweep.all_notes())), *lines])


def fields_text(sweep: BaseSweep) -> str:
    """Return the fields that are not axes and differ from their default: "support=pairs(1)"."""
    texts = {k: label(v) for k, v in sweep.changed.items() if k != "steps"}
    shown = {k: f"{len(v)} values" if isinstance(v, (list, tuple)) else v for k, v in texts.items()}
    return ", ".join(
        f"{k}={str(v).lower() if isinstance(v, bool) else v}" for k, v in shown.items()
    )


def share_text(job: Job) -> str:
    """Return how many models this share and the others have, and how many of them are done."""
    assert job.shard is not None
    mine = {c.name for c in job.share}
    others = [c for c in job.chunks if c.name not in mine]
    number, count = job.shard
    return (
        f"share    {number}/{count}: {counted(_models(job.share), 'model')}"
        f"{_done_text(job, job.share)}; the other shares: {counted(_models(others), 'model')}"
        f"{_done_text(job, others)}"
    )


def chunks_text(job: Job) -> str:
    """Return how many chunks are to do, how large they are, and how many are damaged."""
    todo = job.todo
    if not todo:
        return "none to do"
    damaged = len({c.name for c in job.damaged} & {c.name for c in todo})
    return (
        f"{len(todo)} to do{f' ({damaged} of them damaged)' if damaged else ''}, of up to "
        f"{counted(max(c.n_models for c in todo), 'model')}; a finished one is never run again"
    )


def _models(chunks: list[Chunk]) -> int:
    return sum(c.n_models for c in chunks)


def _done_text(job: Job, chunks: list[Chunk], when: str = "") -> str:
    """', 4 done' for the models of finished chunks; nothing where there are none."""
    done = _models([c for c in chunks if c.name in job.done])
    return f", {done:,} done {when}".rstrip() if done else ""


def size_text(chunks: list[Chunk]) -> str:
    """Return the results' size in words."""
    return format_size(result_bytes(chunks))


def time_text(expected: Estimate) -> str:
    """Return the expected time and its parts; say if no speed is known."""
    if math.isnan(expected.seconds):
        return "not known before the first block has run"
    parts = {
        "compilation": expected.compiling,
        "training": expected.training,
        "evaluation": expected.evaluating,
        "figure and page": expected.results,
    }
    listed = ", ".join(f"{name} {format_duration(s)}" for name, s in parts.items() if s >= 0.5)
    return f"about {format_duration(expected.seconds)}" + (f": {listed}" if listed else "")


def show(job: Job) -> None:
    """Print the summary table, draw the heatmap, and say where everything is."""
    from jsuper.analysis.answering import answers
    from jsuper.store.dataset import load

    assert job.folder is not None
    spec, fits = family_of(job.sweep.model).spec, family_of(job.sweep.model).fits
    layouts = [spec.layout(c.static, c.settings) for c in job.chunks]
    existing = {name for layout in layouts for name in layout}
    ends = getattr(spec, "ENDS", None)
    needed = {ends, *(fits.NEEDS if fits else ())}
    numbers = (
        chunk.n_models * math.prod(layout["W"][1]) if "W" in layout else 0
        for chunk, layout in zip(job.chunks, layouts, strict=True)
    )
    if sum(numbers) < MOST_WEIGHTS:  # the answers then say where superposition starts
        needed.add("W")
    ds = load(job.folder, {spec.SUMMARY, *existing.intersection(needed)})
    reasons = fits.failed_fits(ds) if fits else {}
    if reasons:
        ds["failed_fit"] = sum(reasons.values())
    values = {str(d): ds[d].values.tolist() for d in ds["status"].dims if d != "seed"}
    shown_axes = rows_and_columns(values, job.sweep.main_axes)
    print_tables(ds, spec.SUMMARY, shown_axes)
    if fits:
        print("".join(f"{line}\n" for line in failed_text(reasons, fits.ADVICE, shown_axes)))
    for sentence in answers(ds):
        print(f"answer   {printable(sentence)}")
    if ends in ds:
        print(steps_text(ds[ends], max(job.sweep.values_of("steps"))))
    for path in draw(ds, spec.SUMMARY, shown_axes, job.folder / "figures"):
        print(f"figure   {printable(path)}")
    print(f"results  {printable(job.folder)}")


def steps_text(used: xarray.DataArray, most: int) -> str:
    """Return how many steps the models took, which may end before the last one."""
    known = used.notnull()
    if not known.any():
        return "steps    unknown: no model has a result"
    low, median, high = (f"{float(used.quantile(q)):,.0f}" for q in (0, 0.5, 1))
    return (
        f"steps    {low} to {high}, median {median}; {int((used == most).sum()):,} of "
        f"{counted(int(known.sum()), 'model')} took all of them"
    )


def slices(ds: xarray.Dataset, main_axes: tuple[str, ...]) -> Iterator[tuple[str, xarray.Dataset]]:
    """Yield (title, Dataset) of every combination of the further axes."""
    further = [str(d) for d in ds["status"].dims if d not in (*main_axes, "seed")]
    for values in itertools.product(*(ds[d].values for d in further)):
        point = dict(zip(further, values, strict=True))
        yield ", ".join(f"{k} {v}" for k, v in point.items()), ds.sel(point)


def print_tables(ds: xarray.Dataset, variable: str, main_axes: tuple[str, ...]) -> None:
    """Print the median over seeds of `variable`, first main axis down, second across.

    A star marks a cell with a failed fit, where `ds` has the variable failed_fit.
    """
    from rich.console import Console

    columns = ds.sizes[main_axes[1]]
    if columns > MOST_COLUMNS:
        print(f"\n{variable}: {columns} columns are too many for a table; jsuper.load has all\n")
        return
    tables = list(slices(ds, main_axes))
    seeds = ds.sizes["seed"]
    console = Console(width=max(100, 16 + 9 * ds.sizes[main_axes[1]]), highlight=False)
    for title, part in tables[:MOST_TABLES]:
        over = f"{seeds} seed{'s' * (seeds > 1)}" + (f"; {title}" if title else "")
        print(f"\n{variable}, median over {over}")
        console.print(_table(part, variable, *main_axes))
    if len(tables) > MOST_TABLES:
        print(f"... and {len(tables) - MOST_TABLES} more tables: jsuper.load has all")
    print()


def failed_text(
    reasons: dict[str, xarray.DataArray], advice: Mapping[str, str], main_axes: tuple[str, ...]
) -> Iterator[str]:
    """Return how many fits failed, why, in which cells, and what to do; nothing where none did.

    Parameters
    ----------
    reasons
        Reason -> models, which no two reasons share.
    advice
        Reason -> what to do.
    main_axes
        The cells are named by.
    """
    down, across = main_axes
    total = next(iter(reasons.values())).size
    number_failed = sum(int(models.sum()) for models in reasons.values())
    if number_failed:
        yield (
            f"* {number_failed:,} of {counted(total, 'fit')} failed: do not interpret their "
            "weights; the medians above still count their losses"
        )
    for reason, models in reasons.items():
        if not models.any():
            continue
        yield f"  {int(models.sum()):,} {reason}; {advice[reason]}"
        counts = models.sum([d for d in models.dims if d not in main_axes]).transpose(down, across)
        rows = counts[counts.any(across)]
        for row in rows[:MOST_ROWS]:
            where = " ".join(str(v) for v in row[across].values[row.values > 0])
            value = row[down].item()
            named = value if isinstance(value, str) else f"{down} {value}"
            yield f"    {named}: {int(row.sum())}, {across} {where}"
        if len(rows) > MOST_ROWS:
            yield f"    and {len(rows) - MOST_ROWS} more; the page names all"


def _table(part: xarray.Dataset, variable: str, rows: str, columns: str) -> Table:
    from rich.table import Table

    fine = part["status"] == OK
    median = part[variable].where(fine).median("seed").transpose(rows, columns)
    failed = part.get("failed_fit", part["status"] < 0).any("seed").transpose(rows, columns)
    table = Table(box=None, pad_edge=False)
    table.add_column(rows)
    for i, value in enumerate(part[columns].values):
        table.add_column(f"{columns} {value}" if i == 0 else str(value), justify="right")
    table.add_column("left out", justify="right")
    for name in part[rows].values:
        left_out = int((~fine).sel({rows: name}).sum())
        values, starred = median.sel({rows: name}).values, failed.sel({rows: name}).values
        cells = [format_number(v) + "*" * bool(s) for v, s in zip(values, starred, strict=True)]
        table.add_row(str(name), *cells, str(left_out or "-"))
    return table


def draw(ds: xarray.Dataset, variable: str, main_axes: tuple[str, ...], folder: Path) -> list[Path]:
    """Heatmaps of `variable`, one file for each combination of the further axes.

    A single row of numbers is drawn as a curve.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from jsuper.plots import curve, heatmap

    down, across = main_axes
    is_curve = down == "activation" and ds.sizes[down] == 1 and ds.sizes[across] > 2
    is_curve = is_curve and ds[across].dtype.kind in "iuf"
    paths = []
    for title, part in itertools.islice(slices(ds, main_axes), MOST_TABLES):
        many = part.sizes[across] > MOST_COLUMNS
        size = 2.5 + 0.75 * part.sizes[across], 1.6 + 0.27 * part.sizes[down]
        size = (7.0, 6.0) if many else size
        figure, ax = plt.subplots(figsize=(6, 3.6) if is_curve else size, layout="constrained")
        if is_curve:
            curve(part, variable, across=across, ax=ax)
        else:
            heatmap(part, variable, dims=(down, across), ax=ax)
        if title:
            ax.set_title(f"{ax.get_title()}\n{title}", fontsize=9)
        selected = [d for d in ds["status"].dims if ds.sizes[d] > 1 and not part[d].ndim]
        several = [f"{d} {part[d].values}" for d in selected]
        suffix = "".join(c if c.isalnum() or c in ".-" else "_" for c in ", ".join(several))
        paths.append(folder / shortened(f"{variable}{'-' * bool(suffix)}{suffix}", ".png"))
        write_atomically(
            paths[-1],
            lambda f, d=figure: d.savefig(f, format="png", dpi=150),
            root=folder.parent,
        )
        plt.close(figure)
    return paths
