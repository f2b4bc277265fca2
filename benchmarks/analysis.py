"""Measure the seconds of analysing a sweep: weight-only metrics, `jsuper.analyze` and the page.

Writes results/analysis.json.

    python benchmarks/analysis.py                # metrics of 27 x 10 x 100 random models
    python benchmarks/analysis.py --run RUN      # also `jsuper.analyze` and the page of a run
"""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, seconds_of, write_json

import jsuper
from jsuper import report
from jsuper.analysis.metrics import toy


@dataclass(frozen=True)
class Options:
    """Time the analysis of a sweep."""

    models: int = 27 * 10 * 100
    """models of the weight-only metrics"""
    rounds: int = 5
    """rounds, whose median is reported"""
    run: Path | None = None
    """a finished run folder, to analyse and to write the page of"""
    out: Path = RESULTS
    """folder of the results"""


def random_models(count: int) -> toy.Models:
    """Return models of the default shape; the time does not depend on their weights."""
    rng = np.random.default_rng(0)
    W = rng.normal(0, 0.5, (count, 5, 20)).astype(np.float32)
    ones = np.ones((count, 20), np.float32)
    return toy.Models(
        W=W,
        b=0 * ones,
        V=None,
        c=None,
        loss=ones[:, 0],
        density=0.1 * ones,
        importance=(0.7 ** np.arange(20) * ones).astype(np.float32),
        activation=np.full(count, "relu"),
        batch_size=np.full(count, 1024),
        support=np.full(count, "independent"),
        values=np.full(count, "uniform"),
        normalized=np.full(count, False),
    )


def time_run(run: Path) -> dict[str, float | int]:
    """Return the seconds of `jsuper.analyze`, which compiles the first time, and of the page."""
    ds = jsuper.load(run)
    first = seconds_of(lambda: jsuper.analyze(ds))
    second = seconds_of(lambda: jsuper.analyze(ds))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(run, Path(folder) / "run"))
        page = seconds_of(lambda: report.write(copy))
        size = (copy / "report.html").stat().st_size
    return {
        "models": int(ds.status.size),
        "analyze_s": first,
        "analyze_again_s": second,
        "page_after_that_s": page,
        "page_bytes": size,
    }


def main() -> None:
    """Time, print and write."""
    options = read_options(Options)
    models = random_models(options.models)
    weight_only = toy.in_chunks(toy.of_weights)
    rounds = [seconds_of(lambda: weight_only(models)) for _ in range(options.rounds)]
    found: dict[str, Any] = describe_machine("cpu")
    found["weight_only"] = {"models": options.models, "s": median(rounds), "rounds_s": rounds}
    if options.run is not None:
        found["run"] = time_run(options.run)
    write_json(options.out / "analysis.json", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
