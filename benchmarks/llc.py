"""Measure the seconds of the local learning coefficients of a thousand models, and their errors.

Writes results/llc.json: the time of `jsuper.analysis.llc` with its defaults for models of six
features in a plane, one active at a time, first with and then without compilation, and λ̂ of k-gons
next to half the number of directions in which their loss rises.

    python benchmarks/llc.py
"""

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
    rounds: int = 3
    """rounds, whose median is reported"""
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


def main() -> None:
    """Measure, print and write."""
    options = read_options(Options)
    ds = trained(options.models, 500)
    seconds = [seconds_of(lambda: analysis.llc(ds)) for _ in range(options.rounds + 1)]
    found: dict[str, Any] = describe_machine("cpu")
    found |= {"cores": cores(), "models": options.models, "first_s": seconds[0]}
    found |= {"s": median(seconds[1:]), "rounds_s": seconds[1:]}
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
