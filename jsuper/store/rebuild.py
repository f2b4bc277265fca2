"""A run whose manifest is lost, put together from what its chunk files say of themselves."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from jsuper.core.errors import RunError
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk
from jsuper.core.json_data import JSONObject, same
from jsuper.core.reading import parse_json, read_text
from jsuper.core.toml import LARGEST_TOML, parse_toml
from jsuper.store import chunk_files
from jsuper.store.chunk_files import SCHEMA
from jsuper.store.npz import UNREADABLE, read_arrays
from jsuper.store.validate import check_chunks, tuples

META_BYTES = 2**26  # of the text that says what a chunk holds; 65,536 models have 10 million
NO_SWEEP = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
)  # raised by data that is no sweep


def sweep_and_chunks(folder: Path) -> tuple[JSONObject, list[Chunk]] | None:
    """Return what chunk files alone say of a run whose manifest is lost; None where there are none.

    The sweep is that of sweep.toml where it holds all of them, else the least that does.

    Raises
    ------
    RunError
        The chunks are not of one sweep.
    """
    try:
        paths = sorted((folder / "chunks").glob("*.npz"))
    except OSError:
        return None
    chunks = [chunk for path in paths if (chunk := _stated(path))]
    if not chunks:
        return None
    try:
        stated = parse_toml(read_text(folder / "sweep.toml", LARGEST_TOML))
        sweep = family_of(stated["model"]).spec.Sweep.stored(stated).to_dict()
        check_chunks(sweep, chunks)
    except (OSError, RecursionError, *NO_SWEEP):
        sweep = _least(chunks)
        try:
            check_chunks(sweep, chunks)
        except NO_SWEEP as error:
            raise RunError(f"{folder} has chunks of several sweeps: {error}") from error
    return sweep, chunks


def _stated(path: Path) -> Chunk | None:
    """Return the chunk that a file describes; None if it is damaged or of an unknown family."""
    try:
        meta = parse_json(
            chunk_files.read_meta(read_arrays(path, most={"meta": META_BYTES})["meta"])
        )
        static, settings = tuples(meta["static"]), tuple(meta["settings"])
        chunk = Chunk(meta["model"], static, settings, tuple(meta["seeds"]))
        check_chunks(_least([chunk]), [chunk])
        return chunk if chunk.name == path.stem and same(meta["schema"], SCHEMA) else None
    except UNREADABLE:
        return None


def _least(chunks: list[Chunk]) -> JSONObject:
    """Return the least sweep, as plain data, that holds all points of chunks."""
    cls = family_of(chunks[0].model).spec.Sweep
    axes = {f.name: f.metadata["axis"] for f in dataclasses.fields(cls)}
    found: dict[str, JSONObject] = {}
    for chunk in chunks:
        data = chunk.to_dict()
        for row in (data["static"], *data["settings"]):
            for name, value in row.items():
                found.setdefault(name, {})[json.dumps(value)] = value
    values = {k: list(v.values()) for k, v in found.items()}
    fields = {k: v if axes.get(k) else v[0] for k, v in values.items() if v != [None]}
    return {
        "model": chunks[0].model,
        "seeds": sorted({s for c in chunks for s in c.seeds}),
    } | fields
