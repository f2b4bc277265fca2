"""From chunks to one labelled `xarray.Dataset`."""

from __future__ import annotations

import dataclasses
import json
import math
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.core.expecting import expect, expect_folder
from jsuper.core.family import Family, Spec, family_of
from jsuper.core.files import RunError
from jsuper.core.grid import Chunk, Setting
from jsuper.core.status import Status
from jsuper.core.suggestions import not_one_of
from jsuper.core.sweep import DamagedWarning, SpecError, plain
from jsuper.store import chunk_files, derived, sharing
from jsuper.store.manifest import Manifest, manifest_of, seeds_of
from jsuper.store.validate import number_of_seeds

if TYPE_CHECKING:
    import xarray

MEANINGS = " ".join(s.name.lower() for s in Status)
STATUS = "0 missing, 1 ok, 2 non-finite, 3 failed"
SEED_BYTES = 150  # a number in a list, in a table and in a coordinate


def load(
    path: str | Path,
    variables: Collection[str] | None = None,
    *,
    only: Collection[str] | None = None,
) -> xarray.Dataset:
    """Return a run folder, finished or not, as an `xarray.Dataset`.

    Dimensions: activation, sparsity, seed and any other axis with several values; hidden, feature,
    step (of curves), snapshot_step. Variables: W, b, loss, loss_stderr, loss_over_constant,
    loss_curve, W_snapshots where asked for, first_bad_step (-1: never) and status (0 missing, 1 ok,
    2 non-finite, 3 failed). What is missing, or lies outside a smaller model's shape, is NaN. What
    `jsuper scrub` has kept beside the chunks is there too, unless there are other chunks by now.

    Parameters
    ----------
    path
        The run folder. `jsuper status` says how much memory all of it takes.
    variables
        Names of the variables that are wanted, for runs that are large; status and
        first_bad_step come with them. None: all.
    only
        The former name of `variables`, which works for one more release.

    Raises
    ------
    TypeError
        An argument is of another type; says what is expected.
    FileNotFoundError
        There is no run folder at `path`.
    RunError
        Its manifest cannot be read, or it is larger than the memory that is free. A chunk
        that cannot be read counts as missing.
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
    _check_room(manifest, only, folder)

    damaged: list[Chunk] = []

    def read(chunk: Chunk) -> chunk_files.Arrays | None:
        try:
            return chunk_files.read_chunk(folder, chunk, only)
        except RunError:
            damaged.append(chunk)
            return None

    ds = to_dataset(manifest.sweep, manifest.chunks, read, only)
    if damaged:
        warnings.warn(
            f"{len(damaged)} of {len(manifest.chunks)} chunks are damaged: their "
            f"{sum(c.n_models for c in damaged)} models count as missing; `jsuper verify {folder}` "
            "names them, and the sweep's command trains them again",
            DamagedWarning,
            stacklevel=2,
        )
    ds.attrs["sessions"] = json.dumps(sharing.sessions_of(folder, manifest))
    return ds if only is not None else derived.merged(ds, folder, manifest)


def _check_room(manifest: Manifest, only: Collection[str] | None, folder: Path) -> None:
    """Raise before memory is taken that is not there."""
    import psutil

    needed, free = size_of(manifest, only), psutil.virtual_memory().available
    if needed > free:
        raise RunError(
            f"{folder} takes {needed / 1e9:,.1f} GB of memory and {free / 1e9:,.1f} GB are free; "
            "load some of its variables, as in jsuper.load(run, ['loss'])"
        )


def size_of(manifest: Manifest, only: Collection[str] | None = None) -> int:
    """Bytes of the Dataset of a run, or of some of its variables.

    Raises
    ------
    SpecError
        There is no variable of that name.
    """
    family, chunks = family_of(manifest.sweep["model"]), manifest.chunks
    variables = _variables(family.spec, chunks, only)
    sizes = _sizes(family.spec, chunks, _own_coordinates(family, chunks))
    doubles = any(c.static["dtype"] == "float64" for c in chunks)
    numbers = sum(math.prod(sizes[d] for d in dims) for dims in variables.values())
    each = 5 + (8 if doubles else 4) * numbers
    return manifest.models * each + SEED_BYTES * number_of_seeds(manifest.sweep["seeds"])


def to_dataset(
    sweep: dict[str, Any],
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
        Gives a chunk's variables, arrays (settings, seeds, ...), or None; called once for
        each, so that no more than one chunk is held besides the Dataset.
    only
        Names of the variables that are wanted; None: all.
    """
    import xarray as xr

    family = family_of(sweep["model"])
    spec = family.spec
    axes, single = axes_of(spec.Sweep, sweep)
    seeds = seeds_of(sweep["seeds"])
    lead = (*axes, "seed")
    own = _own_coordinates(family, chunks)
    sizes = {k: len(v) for k, v in axes.items()} | {"seed": len(seeds)} | _sizes(spec, chunks, own)
    data: dict[str, tuple[tuple[str, ...], Any]] = {
        k: ((*lead, *dims), None) for k, dims in _variables(spec, chunks, only).items()
    }
    cube = tuple(sizes[d] for d in lead)
    data["status"] = (lead, np.zeros(cube, np.int8))
    data["first_bad_step"] = (lead, np.full(cube, -1, np.int32))
    place = _Places(family, axes, seeds, own)
    for chunk in chunks:
        arrays = read(chunk)
        if arrays is None:
            continue
        for name in data.keys() & arrays.keys():
            dims, target = data[name]
            target = _roomy(target, tuple(sizes[d] for d in dims), arrays[name].dtype)
            target[place(chunk, dims, arrays[name].shape)] = arrays[name]
            data[name] = dims, target
    for name, (dims, target) in data.items():
        if target is None:
            shape = tuple(sizes[d] for d in dims)
            data[name] = dims, np.broadcast_to(np.float32(np.nan), shape)  # takes no memory
    coords = {k: [_label(v) for v in values] for k, values in axes.items()}
    coords |= {"seed": seeds} | {k: v for k, v in own.items() if k in sizes}
    ds = xr.Dataset(data, coords=coords | single, attrs={"sweep": json.dumps(sweep)})
    described = {**spec.ATTRIBUTES, "status": STATUS, "first_bad_step": "-1: finite to the end"}
    for name, text in described.items():
        if name in ds:
            ds[name].attrs.update(description=text, units="1")
    flags = {"flag_values": np.array(list(Status), np.int8), "flag_meanings": MEANINGS}
    ds["status"].attrs.update(flags)  # as the CF conventions have them
    return ds


def _roomy(target: np.ndarray | None, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array that takes values of that type: NaN where it is new, wider where it has to be."""
    if target is None:
        return np.full(shape, np.nan, dtype)
    return target.astype(np.result_type(target.dtype, dtype), copy=False)


def axes_of(cls: Any, sweep: dict[str, Any]) -> tuple[dict[str, list], dict[str, Any]]:
    """A stored sweep's axes, name -> values, and its single values that could have been axes."""
    sweep = cls.single_defaults() | sweep
    values = {f.name: sweep[f.name] for f in dataclasses.fields(cls) if f.metadata["axis"]}
    axes = {k: v for k, v in values.items() if len(v) > 1 or k in cls.main_axes}
    return axes, {k: _label(v[0]) for k, v in values.items() if k not in axes}


def _label(value: Any) -> Any:
    """Return a coordinate: a callable's stored name without the digest of its source."""
    return value.split("@")[0] if isinstance(value, str) else value


def _variables(
    spec: Spec, chunks: list[Chunk], only: Collection[str] | None
) -> dict[str, tuple[str, ...]]:
    layouts = [spec.layout(c.static, c.settings) for c in chunks]
    found = {name: dims for layout in layouts for name, (dims, _) in layout.items()}
    for name in only or ():
        if name not in found and name not in chunk_files.FOR_ALL:
            subject, names = (
                f"variables={name!r} is not a variable of this run",
                (*found, *chunk_files.FOR_ALL),
            )
            raise SpecError(not_one_of(subject, name, names, "its variables are"))
    return {k: dims for k, dims in found.items() if only is None or k in only}


def _own_coordinates(family: Family, chunks: list[Chunk]) -> dict[str, np.ndarray]:
    """Coordinates of the results' own dimensions: the union over groups."""
    union: dict[str, set] = {}
    for static in {id(c.static): c.static for c in chunks}.values():
        for dim, values in family.coordinates(static).items():
            union.setdefault(dim, set()).update(values)
    return {dim: np.array(sorted(values)) for dim, values in union.items()}


def _sizes(spec: Spec, chunks: list[Chunk], own: dict[str, np.ndarray]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for chunk in chunks:
        for dims, shape in spec.layout(chunk.static, chunk.settings).values():
            for dim, size in zip(dims, shape, strict=True):
                sizes[dim] = len(own[dim]) if dim in own else max(size, sizes.get(dim, 0))
    return sizes


class _Places:
    """Where a chunk's settings, seeds and own coordinates belong in the Dataset's arrays."""

    def __init__(
        self, family: Family, axes: dict[str, list], seeds: list[int], own: dict[str, np.ndarray]
    ) -> None:
        self.family, self.axes, self.own = family, axes, own
        self.column_of = {seed: column for column, seed in enumerate(seeds)}
        older = family.spec.Sweep.single_defaults()  # of fields that an older chunk does not have
        self.default = {k: older[k][0] for k in axes if k in older}

    def __call__(self, chunk: Chunk, dims: tuple[str, ...], shape: tuple[int, ...]) -> tuple:
        """The index of an array (settings, seeds, ...) of a chunk in one of these dimensions."""
        cells = zip(*(self._cell(chunk, row) for row in chunk.settings), strict=True)
        columns = np.array([self.column_of[s] for s in chunk.seeds])
        coordinates = self.family.coordinates(chunk.static)
        inner = [
            np.searchsorted(self.own[d], coordinates[d]) if d in self.own else np.arange(size)
            for d, size in zip(dims[len(self.axes) + 1 :], shape[2:], strict=True)
        ]
        rows, *others = np.ix_(np.arange(shape[0]), columns, *inner)
        return *(np.array(places)[rows] for places in cells), *others

    def _cell(self, chunk: Chunk, setting: Setting) -> tuple[int, ...]:
        point = self.default | chunk.static | setting
        return tuple(values.index(plain(point[k])) for k, values in self.axes.items())
