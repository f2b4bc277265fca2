"""Variables of a run that are read from its chunks when they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from jsuper.core.errors import RunError
from jsuper.core.grid import Chunk
from jsuper.core.json_data import JSONObject
from jsuper.store import chunk_files, npz
from jsuper.store.shape import Shape

Checksums = dict[str, int]


class ChunkArray(BackendArray):
    """One variable of a run, read chunk by chunk where an index reaches.

    Parameters
    ----------
    folder
        Of the run.
    shape
        Of its Dataset.
    name
        Of the variable.
    verified
        Chunk -> the checksums of its arrays, for chunks whose files were complete at loading.
    """

    def __init__(
        self, folder: Path, shape: Shape, name: str, verified: list[tuple[Chunk, Checksums]]
    ) -> None:
        self._folder, self._layout, self._name = folder, shape, name
        self._chunks = [(chunk, sums) for chunk, sums in verified if name in sums]
        self.shape = shape.of(name)
        dtypes = {chunk.static["dtype"] for chunk, _ in self._chunks}
        self.dtype = np.result_type(*dtypes) if dtypes else np.dtype("float32")

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        """Return the values at an outer index: an integer, slice or array for each dimension."""
        wanted = [np.atleast_1d(np.arange(n)[k]) for k, n in zip(key, self.shape, strict=True)]
        values = np.full([len(w) for w in wanted], np.nan, self.dtype)
        for chunk, checksums in self._chunks:
            self._fill(values, wanted, chunk, checksums)
        single = tuple(i for i, k in enumerate(key) if np.ndim(k) == 0 and not isinstance(k, slice))
        return values.squeeze(axis=single)

    def _fill(
        self, values: np.ndarray, wanted: list[np.ndarray], chunk: Chunk, checksums: Checksums
    ) -> None:
        """Write what a chunk has of the wanted positions; its file is read only if it has some."""
        axes, seeds = len(self._layout.axes), self._layout.columns(chunk)
        hits = []
        for row, cell in enumerate(self._layout.cells(chunk)):
            lead = [np.flatnonzero(w == c) for w, c in zip(wanted[:axes], cell, strict=True)]
            if all(places.size for places in lead):
                hits.append((row, lead))
        if not hits or not np.isin(wanted[axes], seeds).any():
            return
        array = self._array(chunk, checksums)
        own = [seeds, *self._layout.inner(chunk, self._name, array.shape[2:])]
        at, source = zip(*map(_matches, wanted[axes:], own), strict=True)
        for row, lead in hits:
            values[np.ix_(*lead, *at)] = array[row][np.ix_(*source)]

    def _array(self, chunk: Chunk, checksums: Checksums) -> np.ndarray:
        """Return a chunk's array, which still has the checksum that it had when it was loaded."""
        path = chunk_files.chunk_path(self._folder, chunk.name)
        try:
            most = chunk_files.most_bytes(chunk)
            return npz.read_arrays(path, (self._name,), most, checksums)[self._name]
        except npz.UNREADABLE as error:
            raise RunError(
                f"chunk {path.name} of {self._folder} changed after the run was loaded ({error}): "
                "call jsuper.load again"
            ) from error


def _matches(wanted: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places in `wanted` whose positions are in `own`, and where in `own` they are."""
    order = np.argsort(own)
    found = np.searchsorted(own, wanted, sorter=order).clip(max=len(own) - 1)
    at = np.flatnonzero(own[order[found]] == wanted)
    return at, order[found][at]


def lazy_variables(
    folder: Path,
    shape: Shape,
    chunks: list[Chunk],
    read: Callable[[Chunk], Mapping[str, np.ndarray] | None],
) -> JSONObject:
    """Verify every chunk, and return the variables: codes in memory, all others lazily.

    Parameters
    ----------
    folder
        Of the run.
    shape
        Of its Dataset.
    chunks
        The whole partition.
    read
        Returns a chunk's arrays, which it has checked, or None.
    """
    codes = {
        "status": np.zeros(shape.of("status"), np.int8),
        "first_bad_step": np.full(shape.of("first_bad_step"), -1, np.int32),
    }
    verified: list[tuple[Chunk, Checksums]] = []
    for chunk in chunks:
        sums = _checksums(chunk_files.chunk_path(folder, chunk.name))
        if sums is None or (arrays := read(chunk)) is None:
            continue
        for name, target in codes.items():
            target[shape.places(chunk, name, arrays[name].shape)] = arrays[name]
        verified.append((chunk, sums))
    variables: JSONObject = {
        name: xr.Variable(
            dims, indexing.LazilyIndexedArray(ChunkArray(folder, shape, name, verified))
        )
        for name, dims in shape.dims.items()
        if name not in codes
    }
    return variables | {k: (shape.dims[k], target) for k, target in codes.items()}


def _checksums(path: Path) -> Checksums | None:
    """Return the checksums of a file's arrays; None where it cannot be read."""
    try:
        return npz.checksums(path)
    except npz.UNREADABLE:
        return None
