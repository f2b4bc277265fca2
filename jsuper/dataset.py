"""From chunks to one labelled `xarray.Dataset`, and to files that other programs read."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper import extras, families, sharing, store
from jsuper.grid import Chunk
from jsuper.spec import SpecError

if TYPE_CHECKING:
    import xarray

STATUS = "0 missing, 1 ok, 2 non-finite, 3 failed"
FORMATS = ("csv", "netcdf", "parquet")


def load(path: str | Path) -> xarray.Dataset:
    """A run folder, finished or not, as an `xarray.Dataset`.

    Dimensions: activation, sparsity, seed and any other axis with several values; hidden, feature,
    step (of curves), snapshot_step. Variables: W, b, loss, loss_stderr, loss_over_constant,
    loss_curve, W_snapshots where asked for, first_bad_step (-1: never) and status (0 missing, 1 ok,
    2 non-finite, 3 failed). What is missing, or lies outside a smaller model's shape, is NaN. What
    `jsuper scrub` has kept beside the chunks is there too, unless there are other chunks by now.

    Raises:
        FileNotFoundError: there is no run folder at `path`.
        RunError: its manifest cannot be read. A chunk that cannot be read counts as missing.
    """
    folder = Path(path)
    manifest = store.manifest_of(folder)
    chunks = store.chunks_in(manifest)
    whole: dict[str, store.Arrays] = {}
    for chunk in chunks:
        with contextlib.suppress(store.RunError):
            arrays = store.read_chunk(folder, chunk)
            if arrays is not None:
                whole[chunk.name] = arrays
    ds = to_dataset(manifest["sweep"], chunks, whole)
    ds.attrs["sessions"] = json.dumps(sharing.sessions_of(folder, manifest))
    return extras.merged(ds, folder, manifest)


def to_dataset(
    sweep: dict[str, Any], chunks: list[Chunk], arrays: dict[str, store.Arrays]
) -> xarray.Dataset:
    """Chunks' arrays over the sweep's dimensions; a chunk without arrays stays missing.

    Args:
        sweep: `BaseSweep.to_dict()`.
        chunks: the whole partition.
        arrays: chunk name -> variable -> array (settings, seeds, ...).
    """
    import xarray as xr

    spec = families.spec_of(sweep["model"])
    axes, single = axes_of(spec.Sweep, sweep)
    seeds = store.seeds_of(sweep["seeds"])
    lead = (*axes, "seed")
    own = _own_coordinates(spec, chunks)
    sizes = _sizes(spec, chunks, own)
    data: dict[str, Any] = {}
    for name, dims in _variables(spec, chunks).items():
        kinds = [a[name].dtype for a in arrays.values() if name in a]
        dtype = np.result_type(*kinds) if kinds else np.float32
        shape = tuple(len(axes[d]) for d in axes) + (len(seeds),) + tuple(sizes[d] for d in dims)
        data[name] = ((*lead, *dims), np.full(shape, np.nan, dtype))
    shape = tuple(len(v) for v in axes.values()) + (len(seeds),)
    data["status"] = (lead, np.zeros(shape, np.int8))
    data["first_bad_step"] = (lead, np.full(shape, -1, np.int32))
    for chunk in chunks:
        if chunk.name in arrays:
            _place(spec, chunk, arrays[chunk.name], data, axes, seeds, own)
    coords = {k: [_label(v) for v in values] for k, values in axes.items()}
    coords |= {"seed": seeds} | {k: v for k, v in own.items() if k in sizes}
    ds = xr.Dataset(data, coords=coords | single, attrs={"sweep": json.dumps(sweep)})
    described = spec.ATTRIBUTES | {"status": STATUS, "first_bad_step": "-1: finite to the end"}
    for name, text in described.items():
        if name in ds:
            ds[name].attrs.update(description=text, units="1")
    return ds


def axes_of(cls: Any, sweep: dict[str, Any]) -> tuple[dict[str, list], dict[str, Any]]:
    """A stored sweep's axes, name -> values, and its single values that could have been axes."""
    sweep = cls.single_defaults() | sweep
    values = {f.name: sweep[f.name] for f in dataclasses.fields(cls) if f.metadata["axis"]}
    axes = {k: v for k, v in values.items() if len(v) > 1 or k in cls.main_axes}
    return axes, {k: _label(v[0]) for k, v in values.items() if k not in axes}


def _label(value: Any) -> Any:
    """A coordinate: a callable's stored name without the digest of its source."""
    return value.split("@")[0] if isinstance(value, str) else value


def _variables(spec: Any, chunks: list[Chunk]) -> dict[str, tuple[str, ...]]:
    layouts = [spec.layout(c.static, c.settings) for c in chunks]
    return {name: dims for layout in layouts for name, (dims, _) in layout.items()}


def _own_coordinates(spec: Any, chunks: list[Chunk]) -> dict[str, np.ndarray]:
    """Coordinates of the results' own dimensions: the union over groups."""
    union: dict[str, set] = {}
    for chunk in chunks:
        for dim, values in spec.coordinates(chunk.static).items():
            union.setdefault(dim, set()).update(values)
    return {dim: np.array(sorted(values)) for dim, values in union.items()}


def _sizes(spec: Any, chunks: list[Chunk], own: dict[str, np.ndarray]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for chunk in chunks:
        for dims, shape in spec.layout(chunk.static, chunk.settings).values():
            for dim, size in zip(dims, shape, strict=True):
                sizes[dim] = len(own[dim]) if dim in own else max(size, sizes.get(dim, 0))
    return sizes


def _place(
    spec: Any,
    chunk: Chunk,
    arrays: store.Arrays,
    data: dict[str, Any],
    axes: dict[str, list],
    seeds: list[int],
    own: dict[str, np.ndarray],
) -> None:
    """Write one chunk's arrays where its settings and seeds belong."""
    where_seeds = [seeds.index(s) for s in chunk.seeds]
    coordinates = spec.coordinates(chunk.static)
    fixed = chunk.to_dict()
    older = spec.Sweep.single_defaults()  # of fields that an older chunk does not have
    default = {k: older[k][0] for k in axes if k in older}
    for row, setting in enumerate(fixed["settings"]):
        point = default | fixed["static"] | setting
        cell = tuple(values.index(point[k]) for k, values in axes.items())
        for name, (dims, target) in data.items():
            if name not in arrays:
                continue
            value = arrays[name][row]
            inner = [
                np.searchsorted(own[d], coordinates[d]) if d in own else np.arange(size)
                for d, size in zip(dims[len(axes) + 1 :], value.shape[1:], strict=True)
            ]
            target[cell][np.ix_(where_seeds, *inner)] = value


def export(run: str | Path, format: str) -> Path:
    """Write a run's Dataset beside its chunks: netcdf has all, csv and parquet a row per model.

    Raises:
        SpecError: the format is not known, or the library that it needs is not installed.
    """
    if format not in FORMATS:
        raise SpecError(f"format={format!r} is not one of {', '.join(FORMATS)}")
    ds = load(run)
    path = Path(run) / f"results.{'nc' if format == 'netcdf' else format}"
    try:
        if format == "netcdf":
            ds.to_netcdf(path, engine="h5netcdf")
            return path
        lead = ds["status"].dims
        table = ds[[k for k, v in ds.data_vars.items() if v.dims == lead]].to_dataframe()
        table = table.reset_index()
        table.to_csv(path, index=False) if format == "csv" else table.to_parquet(path, index=False)
    except (ImportError, ValueError) as error:
        if isinstance(error, ValueError) and "h5netcdf" not in str(error):
            raise
        raise SpecError(f"format={format!r} needs a library: pip install 'jsuper[io]'") from error
    return path
