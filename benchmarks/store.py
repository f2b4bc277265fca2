"""Memory and time of long sweeps: a million models through the store.

    python benchmarks/store.py                     # a million models, a quarter of an hour or more
    python benchmarks/store.py --models 20000 --chunks 500

A sweep of tiny models with few steps is trained by the command, a tenth of it and all, and the
peak memory of both is compared: it must not grow with the results. Then the command is given once
more, which reads every byte of every chunk and says that all is done, and the run is loaded, whole
and one variable of it. Last, the scan of a folder with many chunks is timed, each of 100 models of
the default size, by rounds.
"""

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import tyro
from timing import describe_machine, write_json

import jsuper
from jsuper.core.family import family_of
from jsuper.core.grid import Chunk, expand
from jsuper.jobs.job import existing_job
from jsuper.store import chunk_files
from jsuper.store.manifest import write_manifest

RESULTS = Path(__file__).parent / "results"
SETTINGS = 10
GRID = "--activation relu gelu --sparsity 0 0.2 0.5 0.7 0.9 --steps 5 --records 5 --n-features 2"
GRID = f"{GRID} --n-hidden 1 --batch-size 64 --platform cpu --no-report".split()
PER_CHUNK = 100
ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure."""

    models: int = 1_000_000
    """models that are trained"""
    chunks: int = 10_000
    """chunks of the folder that is scanned"""


# A process's own peak: that of a child would count the memory of this process when it was forked.
PEAK = """
import re, sys
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
"""
SWEEP = "import sys; from jsuper.cli import main; assert main.sweep(sys.argv[1:]) == 0"


def measured(code: str, *arguments: object) -> dict[str, float]:
    """Seconds and peak memory of a process."""
    began = time.perf_counter()
    command = [sys.executable, "-c", code + PEAK, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_mb": int(done.stderr.split()[-1]) * 1024 / 1e6}


def loaded(run: Path, only: str) -> dict[str, float]:
    """Seconds and peak memory of loading a run in a new process."""
    return measured(f"import jsuper; jsuper.load({str(run)!r}, {only})")


def trained(models: int, place: Path) -> dict[str, Any]:
    """Return a sweep of so many models, trained; asked for again; loaded."""
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
    """Return the scan of a folder with so many chunks, which decides what is done."""
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
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        job = existing_job(sweep, folder)
        assert job.is_complete
        seconds.append(time.perf_counter() - began)
    size = sum(f.stat().st_size for f in (folder / "chunks").iterdir())
    return {
        "chunks": chunks,
        "models": chunks * PER_CHUNK,
        "chunks_mb": size / 1e6,
        "seconds": seconds,
        "median_seconds": median(seconds),
    }


def main(options: Options) -> None:
    """Measure, and write results/store.json."""
    with tempfile.TemporaryDirectory() as place:
        found = {
            "machine": describe_machine("cpu"),
            "tenth": trained(options.models // 10, Path(place)),
            "whole": trained(options.models, Path(place)),
            "scan": scanned(options.chunks, Path(place) / "scan"),
        }
    text = json.dumps(found, indent=1)
    write_json(RESULTS / "store.json", found)
    print(text)


if __name__ == "__main__":
    main(tyro.cli(Options))
