"""Measure the memory and time of storing and loading a million models.

Writes results/store.json.

    python benchmarks/store.py                     # a million models, a quarter of an hour or more
    python benchmarks/store.py --models 20000 --chunks 500

The command trains a sweep of tiny models with few steps, and a tenth of it: the peak memory must
not grow with the results. Then the finished command runs again, which reads every byte of every
chunk, and the run is loaded, all of it and one variable. Last, the scan of a folder of many chunks
is timed, each of 100 models of the default size.
"""

import dataclasses
import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, run_python, seconds_of, write_json

import jsuper
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk, expand
from jsuper.jobs.job import existing_job
from jsuper.store import chunk_files
from jsuper.store.manifest import write_manifest

SETTINGS = 10
GRID = "--activation relu gelu --sparsity 0 0.2 0.5 0.7 0.9 --steps 5 --records 5 --n-features 2"
GRID = f"{GRID} --n-hidden 1 --batch-size 64 --platform cpu --no-report".split()
PER_CHUNK = 100
ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class Options:
    """Measure the store."""

    models: int = 1_000_000
    """models to train, a multiple of 100"""
    chunks: int = 10_000
    """chunks of the folder to scan"""
    out: Path = RESULTS
    """folder of the results"""


SWEEP = "import sys; from jsuper.cli import sweeping; assert sweeping.sweep(sys.argv[1:]) == 0"


def measured(code: str, *arguments: object) -> dict[str, float]:
    """Return the seconds and the peak memory of a process."""
    finished = run_python(code, *arguments)
    return {"seconds": finished.seconds, "peak_mb": (finished.peak_bytes or 0) / 1e6}


def loaded(run: Path, only: str) -> dict[str, float]:
    """Return the seconds and the peak memory of loading a run in a new process."""
    return measured(f"import jsuper; jsuper.load({str(run)!r}, {only})")


def trained(models: int, place: Path) -> dict[str, Any]:
    """Measure a sweep that is trained, run again and loaded."""
    run = place / f"run-{models}"
    command = [SWEEP, *GRID, "--seeds", models // SETTINGS, "--out", run]
    first, again = measured(*command), measured(*command)
    files = list(run.glob("chunks/*.npz"))
    return {
        "models": models,
        "chunks": len(files),
        "chunks_mb": sum(f.stat().st_size for f in files) / 1e6,
        "train": first,
        "again": again,
        "load": loaded(run, "None"),
        "load_loss": loaded(run, "['loss']"),
        "dataset_mb": jsuper.load(run).nbytes / 1e6,
    }


def scanned(chunks: int, folder: Path) -> dict[str, Any]:
    """Measure the scan of a folder of chunks, which finds the finished models."""
    sparsity = tuple(float(s) for s in np.linspace(0, 0.9, SETTINGS))
    sweep = jsuper.Sweep(activation="relu", sparsity=sparsity, seeds=chunks * PER_CHUNK // SETTINGS)
    (group,) = expand(sweep)
    each = PER_CHUNK // SETTINGS
    parts = [
        Chunk("toy", group.static, group.settings, group.seeds[i : i + each])
        for i in range(0, len(group.seeds), each)
    ]
    lead = (SETTINGS, each)
    layout = family_of("toy").spec.layout(group.static, group.settings)
    arrays = {k: np.ones(lead + shape, np.float32) for k, (_, shape) in layout.items()}
    arrays |= {"status": np.ones(lead, np.int8), "first_bad_step": np.full(lead, -1, np.int32)}
    for chunk in parts:
        chunk_files.write_chunk(folder, chunk, arrays)
    write_manifest(folder, sweep, parts, [])
    seconds = [seconds_of(lambda: existing_job(sweep, folder).is_complete) for _ in range(ROUNDS)]
    size = sum(f.stat().st_size for f in (folder / "chunks").iterdir())
    return {
        "chunks": chunks,
        "models": chunks * PER_CHUNK,
        "chunks_mb": size / 1e6,
        "seconds": seconds,
        "median_seconds": median(seconds),
    }


def main(options: Options) -> None:
    """Measure, write and print."""
    with tempfile.TemporaryDirectory() as place:
        found = {
            **describe_machine("cpu"),
            "tenth": trained(options.models // 10, Path(place)),
            "whole": trained(options.models, Path(place)),
            "scan": scanned(options.chunks, Path(place) / "scan"),
        }
    write_json(options.out / "store.json", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(read_options(Options))
