"""Seconds to analyse a sweep: the weight-only metrics of 27,000 models, and the default's page.

    python benchmarks/analysis.py                # metrics of 27 x 10 x 100 random models
    python benchmarks/analysis.py --run RUN      # and `jsuper.analyze` and the page of a run

Writes results/analysis.json. The models have n = 20 and m = 5; time does not depend on weights.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import tyro
from timing import describe_machine, write_json

import jsuper
from jsuper import report
from jsuper.analysis.metrics import toy

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Options:
    """What to time."""

    models: int = 27 * 10 * 100
    """models of the weight-only metrics"""
    rounds: int = 5
    """of which the median counts"""
    run: Path | None = None
    """a finished run folder, to analyse and to write the page of"""
    out: Path = RESULTS / "analysis.json"
    """where the figures go"""


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def random_models(count: int) -> toy.Models:
    """Models of the default shape, with weights of the size that training gives."""
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
    )


def time_run(run: Path) -> dict[str, float | int]:
    """`jsuper.analyze` and the page of a run, programs compiled anew."""
    ds = jsuper.load(run)
    first = seconds(lambda: jsuper.analyze(ds))
    second = seconds(lambda: jsuper.analyze(ds))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(run, Path(folder) / "run"))
        page = seconds(lambda: report.write(copy))
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
    options = tyro.cli(Options)
    models = random_models(options.models)
    weight_only = toy.in_chunks(toy.of_weights)
    rounds = [seconds(lambda: weight_only(models)) for _ in range(options.rounds)]
    found: dict[str, object] = {
        "machine": describe_machine("cpu"),
        "weight_only": {"models": options.models, "s": median(rounds), "rounds_s": rounds},
    }
    if options.run is not None:
        found["run"] = time_run(options.run)
    write_json(options.out, found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
