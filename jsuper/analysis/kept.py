"""The measures of a run folder, kept next to its chunks: RUN/analysis.npz.

The file has a hash of the weights and results that it was computed from, and the version of jsuper.
If either differs, the file is ignored, and replaced once the whole run is analysed.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsuper.core.errors import RunError
from jsuper.core.family import Family
from jsuper.core.json_data import JSONObject
from jsuper.core.version import __version__
from jsuper.store import derived

if TYPE_CHECKING:
    import xarray

NAME = "analysis"


def hash_of(ds: xarray.Dataset, family: Family) -> str:
    """Return a hash of what the measures of a Dataset depend on: results, coordinates, sweep."""
    found = hashlib.blake2b(ds.attrs["sweep"].encode(), digest_size=16)
    results = [*family.spec.ATTRIBUTES, "status"]
    for name in sorted({*map(str, ds.coords), *(k for k in results if k in ds)}):
        values = ds[name].values
        found.update(f"{name} {ds[name].dims} {values.dtype} {values.shape}".encode())
        numbers = values.dtype.kind in "biuf"
        found.update(values.tobytes() if numbers else repr(values.tolist()).encode())
    return found.hexdigest()


def read(ds: xarray.Dataset, family: Family, made_from: str) -> Mapping[str, Any] | None:
    """Return the kept measures of exactly these models; None if there are none."""
    folder = Path(ds.encoding["source"])
    measures = family.measures
    found = derived.read(folder, NAME, made_from, ds, _about(family), measures.COORDINATES)
    if found is None or set(found.data_vars) != set(measures.MEASURES):
        return None
    return {str(k): (v.dims, v.values) for k, v in found.data_vars.items()}


def write(ds: xarray.Dataset, family: Family, made_from: str) -> None:
    """Keep the measures of a whole run; a folder that cannot be written is left as it is."""
    measures = ds[list(family.measures.MEASURES)]
    with contextlib.suppress(OSError, RunError):
        derived.write(Path(ds.encoding["source"]), NAME, measures, made_from, _about(family))


def is_whole(ds: xarray.Dataset) -> bool:
    """Return whether a Dataset has every dimension of the run folder that it was loaded from."""
    sizes = ds.encoding.get("run_sizes")
    return sizes is not None and all(ds.sizes.get(k) == size for k, size in sizes.items())


def _about(family: Family) -> JSONObject:
    return {"jsuper": __version__, "family": family.name}
