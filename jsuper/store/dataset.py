"""From chunks to one labelled `xarray.Dataset`."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from jsuper.core.errors import DamagedWarning, RunError
from jsuper.core.expecting import expect, expect_folder
from jsuper.core.grid import Chunk
from jsuper.core.json_data import JSONObject
from jsuper.core.status import Status
from jsuper.core.text import format_size
from jsuper.store import chunk_files, derived, sharing
from jsuper.store.manifest import Manifest, manifest_of
from jsuper.store.shape import Shape, bytes_per_model
from jsuper.store.validate import number_of_seeds

if TYPE_CHECKING:
    import xarray

MEANINGS = " ".join(s.name.lower() for s in Status)
STATUS = "0 missing, 1 ok, 2 non-finite, 3 failed"
FIRST_BAD_STEP = "-1: finite to the end"
SEED_BYTES = 150  # a number in a list, in a table and in a coordinate
LAZY_BYTES = 10**9  # above which arrays are read when they are used


def load(
    path: str | Path,
    variables: Collection[str] | None = None,
    *,
    only: Collection[str] | None = None,
) -> xarray.Dataset:
    """Return a run folder, finished or not, as an `xarray.Dataset`.

    A Dataset of more than 1 GB, or than the free memory, is lazy: all files are verified and status
    and first_bad_step are read at once, the other variables when they are used, and only the
    chunks that a selection needs. Each use reads again; `ds[["loss"]].load()` keeps the values.

    Dimensions: activation, sparsity, seed and any other axis with several values; hidden, feature,
    step (of curves), snapshot_step. Variables: W, b, loss, loss_stderr, loss_over_constant,
    loss_curve, W_snapshots where asked for, first_bad_step (-1: never) and status (0 missing, 1 ok,
    2 non-finite, 3 failed). What is missing, or lies outside a smaller model's shape, is NaN. What
    `jsuper scrub` has kept is included, unless the chunks have changed since.

    Parameters
    ----------
    path
        The run folder. `jsuper status` says how much memory all of it takes.
    variables
        Names of the variables to include; status and first_bad_step are always included. None:
        all.
    only
        The former name of `variables`, which works for one more release.

    Raises
    ------
    TypeError
        An argument is of another type; says what is expected.
    FileNotFoundError
        There is no run folder at `path`.
    RunError
        Its manifest cannot be read, or the statuses alone exceed the free memory. A chunk that
        cannot be read counts as missing. A lazy variable raises it if a chunk has changed since.
    SpecError
        `variables` names a variable that the run does not have.
    """
    expect_folder("path", path, "jsuper.load('runs/activations')")
    if only is not None:
        warnings.warn("load(only=...) is now variables=...", DeprecationWarning, stacklevel=2)
        variables = only
    folder, only = Path(path), [variables] if isinstance(variables, str) else variables
    example = "jsuper.load(run, variables=['loss', 'W'])"
    expect("variables", only, (Collection, type(None)), "names", example)
    manifest = manifest_of(folder)
    damaged: list[Chunk] = []

    def read(chunk: Chunk) -> chunk_files.Arrays | None:
        try:
            return chunk_files.read_chunk(folder, chunk, only)
        except RunError:
            damaged.append(chunk)
            return None

    free = psutil.virtual_memory().available
    if size_of(manifest, only) <= min(LAZY_BYTES, free):
        ds = to_dataset(manifest.sweep, manifest.chunks, read, only)
    else:
        from jsuper.store.lazy import lazy_variables

        _check_room(manifest, free, folder)
        shape = Shape(manifest.sweep, manifest.chunks, only)
        errors: Counter[str] = Counter()
        variables = lazy_variables(
            folder, shape, manifest.chunks, lambda chunk: _counted(read(chunk), errors) or None
        )
        ds = _labelled(shape, variables, manifest.sweep, errors)
    if damaged:
        warnings.warn(
            f"{len(damaged)} of {len(manifest.chunks)} chunks are damaged: their "
            f"{sum(c.n_models for c in damaged)} models count as missing; `jsuper verify {folder}` "
            "names them, and the sweep's command trains them again",
            DamagedWarning,
            stacklevel=2,
        )
    ds.attrs["sessions"] = json.dumps(sharing.sessions_of(folder, manifest))
    if only is not None:
        return ds
    sizes = dict(ds.sizes)
    ds = derived.merged(ds, folder, manifest)
    ds.encoding |= {"source": str(folder.absolute()), "run_sizes": sizes}  # for what is kept of it
    return ds


def _check_room(manifest: Manifest, free: int, folder: Path) -> None:
    """Raise RunError if even a lazy Dataset, statuses and coordinates, exceeds the free memory."""
    needed = size_of(manifest, ())
    if needed > free:
        raise RunError(
            f"{folder} needs {format_size(needed)} of memory and {format_size(free)} are free, "
            "for the status of every model alone: free memory, or split the sweep"
        )


def size_of(manifest: Manifest, only: Collection[str] | None = None) -> int:
    """Bytes of the Dataset of a run, or of some of its variables.

    Raises
    ------
    SpecError
        There is no variable of that name.
    """
    each = bytes_per_model(manifest.sweep["model"], manifest.chunks, only)
    return manifest.models * each + SEED_BYTES * number_of_seeds(manifest.sweep["seeds"])


def to_dataset(
    sweep: JSONObject,
    chunks: list[Chunk],
    read: Callable[[Chunk], chunk_files.Arrays | None],
    only: Collection[str] | None = None,
) -> xarray.Dataset:
    """Chunks' arrays over the sweep's dimensions; a chunk without arrays stays missing.

    Parameters
    ----------
    sweep
        `BaseSweep.to_dict()`.
    chunks
        The whole partition.
    read
        Returns a chunk's variables, arrays (settings, seeds, ...), or None. It is called once for
        each chunk, so that only one is in memory in addition to the Dataset.
    only
        Names of the variables to include; None: all.
    """
    shape = Shape(sweep, chunks, only)
    data: dict[str, np.ndarray] = {
        "status": np.zeros(shape.of("status"), np.int8),
        "first_bad_step": np.full(shape.of("first_bad_step"), -1, np.int32),
    }
    errors: Counter[str] = Counter()
    for chunk in chunks:
        for name, array in _counted(read(chunk), errors).items():
            if name in shape.dims:
                data[name] = _with_room(data.get(name), shape.of(name), array.dtype)
                data[name][shape.places(chunk, name, array.shape)] = array
    missing = np.float32(np.nan)
    variables = {
        name: (dims, data[name] if name in data else np.broadcast_to(missing, shape.of(name)))
        for name, dims in shape.dims.items()
    }
    return _labelled(shape, variables, sweep, errors)


def _counted(arrays: chunk_files.Arrays | None, errors: Counter[str]) -> chunk_files.Arrays:
    """Return a chunk's arrays, {} if it has none, and count the messages of its failed models."""
    errors.update(chunk_files.error_messages(arrays) if arrays else {})
    return arrays or {}


def _with_room(target: np.ndarray | None, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array that can hold values of a type: new and NaN, or wider if necessary."""
    if target is None:
        return np.full(shape, np.nan, dtype)
    return target.astype(np.result_type(target.dtype, dtype), copy=False)


def _labelled(
    shape: Shape, variables: JSONObject, sweep: JSONObject, errors: Counter[str]
) -> xarray.Dataset:
    """Return the Dataset of variables, with coordinates and descriptions."""
    import xarray as xr

    ds = xr.Dataset(variables, shape.coordinates(), attrs={"sweep": json.dumps(sweep)})
    if errors:
        ds.attrs["errors"] = json.dumps(errors)  # why models failed -> how many
    described = {**shape.family.spec.ATTRIBUTES, "status": STATUS, "first_bad_step": FIRST_BAD_STEP}
    for name, text in described.items():
        if name in ds:
            ds[name].attrs.update(description=text, units="1")
    flags = {"flag_values": np.array(list(Status), np.int8), "flag_meanings": MEANINGS}
    ds["status"].attrs.update(flags)  # as the CF conventions have them
    return ds
