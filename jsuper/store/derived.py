"""Variables computed from a run's chunks and kept next to them: RUN/<name>.npz.

A file says which chunks it was made from, by a hash of their bytes. Once there are more chunks, or
others, it is stale: `read` does not return it, `jsuper.load` leaves it out, and the command that
made it makes it again. Imports no jax.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.core import files
from jsuper.core.family import family_of
from jsuper.core.json_data import JSONObject
from jsuper.core.reading import parse_json, read_text
from jsuper.store import chunk_files, npz
from jsuper.store.manifest import Manifest

if TYPE_CHECKING:
    import xarray

SCHEMA = 1
RECORD = "derived.json"  # figure or page -> the fingerprint that it was made from
META_BYTES = 10**6
TYPES = (np.dtype("float32"), np.dtype("float64"), np.dtype("int32"))
COMMANDS = {"scrubbing": "jsuper scrub"}  # name -> what makes it


def path_of(folder: Path, name: str) -> Path:
    """Where the variables of that name are kept."""
    return folder / f"{name}.npz"


def fingerprint(folder: Path, manifest: Manifest) -> str:
    """Return a hash of a run's sweep and of the bytes of its chunk files."""
    found = hashlib.blake2b(manifest.hash.encode(), digest_size=16)
    for chunk in manifest.chunks:
        with (
            contextlib.suppress(OSError),
            files.opened(chunk_files.chunk_path(folder, chunk.name)) as file,
        ):
            found.update(chunk.name.encode())
            found.update(hashlib.file_digest(file, "blake2b").digest())  # type: ignore[arg-type]
    return found.hexdigest()


def is_current(folder: Path, name: str, made_from: str) -> bool:
    """Return whether a figure or page was made from the chunks in the folder.

    Older folders do not say: there a file that is younger than every chunk counts as current.

    Parameters
    ----------
    folder
        Of the run.
    name
        A file or a folder of files in the run folder.
    made_from
        The `fingerprint` of now.
    """
    place = folder / name
    made = [p for p in (place.glob("*") if place.is_dir() else [place]) if p.is_file()]
    if not made:
        return False
    if name in (known := _made_from(folder)):
        return known[name] == made_from
    chunks = [p.stat().st_mtime for p in (folder / "chunks").glob("*.npz")]
    return min(p.stat().st_mtime for p in made) >= max(chunks, default=0.0)


def record(folder: Path, name: str, made_from: str) -> None:
    """Remember from which chunks a figure or page was made."""
    text = json.dumps(_made_from(folder) | {name: made_from}, indent=1)
    files.write_text(folder / RECORD, text)


def _made_from(folder: Path) -> JSONObject:
    try:
        found = parse_json(read_text(folder / RECORD, META_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(
    folder: Path, name: str, variables: xarray.Dataset, made_from: str, about: JSONObject
) -> None:
    """Write variables to the run folder; the file is complete or absent.

    Parameters
    ----------
    folder
        Of the run.
    name
        One of `COMMANDS`.
    variables
        With the sweep's dimensions first; coordinates of other dimensions are kept too.
    made_from
        The `fingerprint` before the chunks were read.
    about
        What else the variables depend on, for JSON.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    described = {
        str(k): {"dims": list(v.dims), "description": v.attrs.get("description", "")}
        for k, v in variables.data_vars.items()
    }
    own = {d for v in variables.data_vars.values() for d in v.dims} & set(variables.coords)
    meta = {
        "schema": SCHEMA,
        "made_from": made_from,
        "about": about,
        "variables": described,
        "coordinates": {str(d): variables[d].values.tolist() for d in sorted(map(str, own))},
    }
    arrays = {str(k): v.values for k, v in variables.data_vars.items()}
    files.write_atomically(
        path_of(folder, name),
        lambda f: np.savez(f, allow_pickle=False, meta=json.dumps(meta), **arrays),
    )


def read(
    folder: Path,
    name: str,
    made_from: str,
    ds: xarray.Dataset,
    about: JSONObject | None = None,
    coordinates: Mapping[str, Any] | None = None,
) -> xarray.Dataset | None:
    """Return the variables of that name; None where they are missing, damaged or stale.

    Parameters
    ----------
    folder
        Of the run.
    name
        One of `COMMANDS`.
    made_from
        The `fingerprint` that they must have.
    ds
        Of the run; its sizes say how large they are.
    about
        What else they must depend on; None: anything.
    coordinates
        Dimension -> its values, of dimensions that the run does not have. None: those of the
        family.
    """
    import xarray as xr

    path = path_of(folder, name)
    try:
        meta = parse_json(str(npz.read_arrays(path, most={"meta": META_BYTES})["meta"]))
        if meta["schema"] != SCHEMA or meta["made_from"] != made_from:
            return None
        if about is not None and meta["about"] != about:
            return None
        shapes = _shapes(meta, ds, coordinates or _kept_coordinates(name, ds))
        most = {k: 8 * math.prod(shape) for k, shape in shapes.items()}
        arrays = npz.read_arrays(path, most=most)
        for k, shape in shapes.items():
            if arrays[k].shape != shape or arrays[k].dtype not in TYPES:
                raise ValueError(f"{k} is not an array of numbers of shape {shape}")
        data = {
            k: (tuple(v["dims"]), arrays[k], {"description": str(v["description"]), "units": "1"})
            for k, v in meta["variables"].items()
        }
        return xr.Dataset(data, coords=meta["coordinates"])
    except npz.UNREADABLE:
        return None


def _kept_coordinates(name: str, ds: xarray.Dataset) -> Mapping[str, Any]:
    """Return the coordinates that the family of a run states for variables of that name."""
    return family_of(json.loads(ds.attrs["sweep"])["model"]).kept(name)


def _shapes(
    meta: JSONObject, ds: xarray.Dataset, own: Mapping[str, Any]
) -> dict[str, tuple[int, ...]]:
    """Variable -> its shape in a run, according to the description in a file.

    Raises
    ------
    UNREADABLE
        It has dimensions or coordinates that neither the run nor `own` has.
    """
    known = {**own} | {str(d): ds[d].values.tolist() for d in ds.dims if d in ds.coords}
    for dim, values in meta["coordinates"].items():
        if values != list(known[dim]):
            raise ValueError(f"its coordinate {dim} is not that of the run")
    sizes = {str(d): n for d, n in ds.sizes.items()} | {d: len(v) for d, v in own.items()}
    lead = tuple(map(str, ds["status"].dims))
    shapes = {}
    for k, described in meta["variables"].items():
        dims = tuple(described["dims"])
        if dims[: len(lead)] != lead or len(set(dims)) < len(dims) or len(dims) > len(lead) + 2:
            raise ValueError(f"its {k} has dimensions that the run lacks")
        shapes[k] = tuple(sizes[d] for d in dims)
    return shapes


def merged(ds: xarray.Dataset, folder: Path, manifest: Manifest) -> xarray.Dataset:
    """Return a run's Dataset with the kept variables that were made from its current chunks."""
    kept = [name for name in COMMANDS if files.kind_of(path_of(folder, name))]
    if not kept:
        return ds
    made_from = fingerprint(folder, manifest)
    for name in kept:
        found = read(folder, name, made_from, ds)
        if found is not None and found.data_vars.keys() & ds.variables.keys():
            found = None  # it has names of the run's own
        try:
            together = None if found is None else ds.assign(found.data_vars)
        except npz.UNREADABLE:
            together = None
        if together is None:
            warnings.warn(
                f"{path_of(folder, name)} is damaged or was made from other chunks, and is left "
                f"out: make it again with {COMMANDS[name]} {folder}",
                stacklevel=3,
            )
        else:
            ds = together
    return ds
