"""Measure the seconds of the local learning coefficients of a thousand models, and their errors.

Writes results/llc.json: wall and CPU seconds of `jsuper.analysis.llc` with its defaults for models
of six features in a plane, one active at a time, and λ̂ of k-gons next to half the number of
directions in which their loss rises. CPU seconds over the number of cores are the wall seconds of a
machine without other work.

    python benchmarks/llc.py
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, seconds_of, write_json

import jsuper
from jsuper import analysis
from jsuper.analysis import theory
from jsuper.engine.devices import cores

FEATURES = 6
RISING = {3: 12, 4: 15, 5: 14, 6: 17}  # directions in which the loss of a k-gon rises


@dataclass(frozen=True)
class Options:
    """Time local learning coefficients."""

    models: int = 1000
    """models, or snapshots: one takes as long as the other"""
    rounds: int = 1
    """rounds, whose median is reported, after one that compiles"""
    out: Path = RESULTS
    """folder of the results"""


def trained(models: int, steps: int) -> Any:
    """Return a sweep with a model for each seed."""
    sweep = jsuper.Sweep(
        activation="relu",
        support="exactly(1)",
        n_features=FEATURES,
        n_hidden=2,
        importance_decay=1.0,
        steps=steps,
        seeds=models,
        check_fit=False,
    )
    return jsuper.run(sweep, progress=False)


def k_gons() -> Any:
    """Return a sweep whose seeds are k-gons; features outside have the bias -1."""
    ds = trained(len(RISING), 1).load()
    for at, k in enumerate(RISING):
        found = theory.kgon(k)
        ds["W"][0, 0, at] = np.pad(found.W, ((0, 0), (0, FEATURES - k)))
        ds["b"][0, 0, at] = np.pad(found.b, (0, FEATURES - k), constant_values=-1)
    return ds


def times(work: Callable[[], object]) -> dict[str, float]:
    """Return wall and CPU seconds of a call."""
    began = time.process_time()
    wall = seconds_of(work)
    return {"wall_s": wall, "cpu_s": time.process_time() - began}


def main() -> None:
    """Measure, print and write."""
    options = read_options(Options)
    ds = trained(options.models, 20)
    rounds = [times(lambda: analysis.llc(ds)) for _ in range(options.rounds + 1)][1:]
    found: dict[str, Any] = describe_machine("cpu")
    found |= {"cores": cores(), "models": options.models}
    found |= {kind: median(r[kind] for r in rounds) for kind in rounds[0]} | {"rounds": rounds}
    measured = analysis.llc(k_gons())
    found["k_gons"] = {
        k: {"half": count / 2, "llc": float(value), "stderr": float(error)}
        for (k, count), value, error in zip(
            RISING.items(),
            measured.llc.values.ravel(),
            measured.llc_stderr.values.ravel(),
            strict=True,
        )
    }
    print(found)
    write_json(options.out / "llc.json", found)


if __name__ == "__main__":
    main()
