"""A run's results for other programs: RUN/results.csv, .nc, .parquet or .safetensors.

The file is written under a temporary name, read back, and renamed, so it is whole or absent. HDF5
crashes the process when the disk is full while it writes. A netCDF file is therefore put together
in memory, and its bytes are written as those of any other file.
"""

from __future__ import annotations

import csv
import errno
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsuper.analysis import weight_files
from jsuper.analysis.table import table
from jsuper.analysis.weight_names import STACKED, naming_of
from jsuper.core import files
from jsuper.core.errors import RunError, SpecError
from jsuper.core.expecting import expect, expect_folder
from jsuper.core.suggestions import did_you_mean
from jsuper.store import chunk_files
from jsuper.store.dataset import load
from jsuper.store.manifest import Manifest, manifest_of

if TYPE_CHECKING:
    import pandas
    import xarray

SUFFIXES = {"csv": "csv", "netcdf": "nc", "parquet": "parquet", "safetensors": "safetensors"}
LIBRARIES = "format={!r} needs a library: pip install 'jsuper[io]'"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what text begins with that a spreadsheet computes
NETCDF = "h5netcdf"  # the library that writes it


def export(
    run: str | Path,
    format: str = "csv",
    force: bool = False,
    *,
    names: str | None = None,
    select: Mapping[str, Any] | None = None,
    stacked: bool = False,
) -> Path:
    """Write a run's results to RUN/results.csv, .nc, .parquet, or its weights as safetensors.

    csv and parquet are `jsuper.table` of the run, one row per model with every measure; netCDF has
    all variables of `jsuper.load`. safetensors has the weights of every model that has not
    diverged, one file each in RUN/safetensors, or all in RUN/results.safetensors. What is written
    is complete or absent.

    Parameters
    ----------
    run
        The run folder, finished or not.
    format
        Csv, netcdf, parquet or safetensors.
    force
        Replace what exists.
    names
        Of safetensors: torch (encoder.weight, decoder.weight, decoder.bias), notebook (W and
        b_final, stacked), spd (linear1.weight, linear2.weight, linear2.bias) or jsuper (the
        variables of `jsuper.load`); see `jsuper.analysis.weight_names`. By default torch, and
        jsuper for families without it.
    select
        Of safetensors: field -> value or values of the models, {"sparsity": 0.9, "seed": (0, 1)}.
    stacked
        Of safetensors: one file, whose tensors have a leading axis of models, instead of one for
        each model.

    Returns
    -------
    Path
        Path of the file, or of the folder of files.

    Warns
    -----
    SweepWarning
        Models are left out of safetensors: how many diverged, failed or are not trained.

    Raises
    ------
    TypeError
        `run` is not a path.
    FileNotFoundError
        There is no run folder at `run`.
    SpecError
        The format or an option is not known, the file exists and `force` is false, or a library
        that the format needs is not installed.
    RunError
        The manifest cannot be read, or the results do not fit in the free memory.
    OSError
        The file cannot be written; one from before is untouched.
    """
    expect_folder("run", run, "jsuper.export('runs/activations', 'csv')")
    if format not in SUFFIXES:
        hint = did_you_mean(format, SUFFIXES)
        raise SpecError(f"format={format!r} is not one of {', '.join(SUFFIXES)}{hint}")
    example = "jsuper.export(run, 'safetensors', select={'sparsity': 0.9})"
    expect("select", select, (Mapping, type(None)), "a dict of fields", example)
    asked = weight_files.Asked(names, select or {}, stacked or names in STACKED)
    if format == "safetensors":
        return _export_weights(Path(run), asked, force)
    if asked != weight_files.Asked():
        raise SpecError(
            f"names, select and stacked are for format='safetensors', and this is {format!r}; "
            "leave them out"
        )
    folder = Path(run)
    path = folder / f"results.{SUFFIXES[format]}"
    manifest = manifest_of(folder)
    files.check_file(path)
    _check_new(path, folder, manifest, force)
    ds = load(folder)
    try:
        write, check = WRITERS[format](ds)
        files.write_atomically(path, write, check=functools.partial(_verify, check))
    except ImportError as error:
        raise SpecError(LIBRARIES.format(format)) from error
    return path


def _check_new(path: Path, folder: Path, manifest: Manifest, force: bool) -> None:
    """Raise SpecError if a file or folder exists, unless it is to be replaced."""
    if not force and files.kind_of(path):
        raise SpecError(
            f"{path} exists and {_age(path, folder, manifest)}; to replace it, give --force "
            "(force=True in Python)"
        )


def _export_weights(folder: Path, asked: weight_files.Asked, force: bool) -> Path:
    manifest = manifest_of(folder)
    naming_of(manifest.sweep["model"], asked.names)  # or it is refused
    path = folder / ("results.safetensors" if asked.stacked else "safetensors")
    if asked.stacked:
        files.check_file(path)
    else:
        files.check_directory(path, folder)
    _check_new(path, folder, manifest, force)
    if path.is_dir():
        weight_files.check_replaceable(path)
    write = weight_files.write_stacked if asked.stacked else weight_files.write_files
    try:
        write(folder, manifest, asked, path)
    except ImportError as error:
        raise SpecError(LIBRARIES.format("safetensors")) from error
    return path


def _age(path: Path, folder: Path, manifest: Manifest) -> str:
    """Return whether an exported file has the results that the run has now."""
    if not path.exists():
        return "is a link to a file that is missing"
    written = path.lstat().st_mtime
    chunks = [chunk_files.chunk_path(folder, c.name) for c in manifest.chunks]
    times = [p.stat().st_mtime for p in chunks if p.is_file()]
    newer = sum(t > written for t in times)
    if newer:
        return f"is older than {newer} of the run's {len(times)} chunks, whose results it lacks"
    return "is newer than all of the run's chunks"


Write = Callable[[Any], Any]  # of a file that is open for bytes
Check = Callable[[Path], bool]  # whether a file that was written is what it should be


def _verify(check: Check, path: Path) -> None:
    """Raise OSError unless a file that was written can be read, and holds all that it should."""
    try:
        if check(path):
            return
        why = "it lacks some of the results"
    except (OSError, ValueError, LookupError, csv.Error) as error:
        why = str(error)
    raise OSError(errno.EIO, f"the file does not read back as it was written: {why}")


def _netcdf(ds: xarray.Dataset) -> tuple[Write, Check]:
    import h5netcdf  # noqa: F401  # xarray raises a ValueError where it is missing
    import psutil
    import xarray as xr

    free = psutil.virtual_memory().available
    if ds.nbytes > free:
        raise RunError(
            f"a netCDF file of this run needs {ds.nbytes / 1e9:,.1f} GB of memory more, and "
            f"{free / 1e9:,.1f} GB are free; csv and parquet need less"
        )

    def check(path: Path) -> bool:
        with xr.open_dataset(path, engine=NETCDF) as found:
            return found.sizes == ds.sizes and set(found.variables) == set(ds.variables)

    return lambda file: file.write(ds.to_netcdf(engine=NETCDF)), check


def _csv(ds: xarray.Dataset) -> tuple[Write, Check]:
    rows_of_models = _escaped(table(ds))

    def check(path: Path) -> bool:
        with open(path, newline="", encoding="utf-8") as file:
            rows = sum(1 for _ in csv.reader(file))
        with open(path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return rows == 1 + len(rows_of_models) and file.read() == b"\n"

    return lambda file: rows_of_models.to_csv(file, index=False), check


def _escaped(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Return a table with an apostrophe before text that spreadsheets would read as a formula.

    Numbers stay as they are.
    """

    def plain_text(value: Any) -> Any:
        formula = isinstance(value, str) and value.startswith(FORMULA)
        return f"'{value}" if formula else value

    words = frame.select_dtypes(exclude=["number", "bool"]).columns
    return frame.assign(**{str(name): frame[name].map(plain_text) for name in words})


def _parquet(ds: xarray.Dataset) -> tuple[Write, Check]:
    from pyarrow import parquet

    rows_of_models = table(ds)

    def check(path: Path) -> bool:
        footer = parquet.read_metadata(path)
        return footer.num_rows == len(rows_of_models)

    return lambda file: rows_of_models.to_parquet(file, engine="pyarrow", index=False), check


WRITERS = {"csv": _csv, "netcdf": _netcdf, "parquet": _parquet}
