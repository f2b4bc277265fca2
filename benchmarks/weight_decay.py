"""Count the features that survive weight decay with each optimizer, and in one replication.

Writes results/weight_decay.json, from which the README quotes.

    python benchmarks/weight_decay.py

Features count as represented if |W_i| > 1/2, in ReLU models of 20 features in 5 hidden units:
first at S .99 and equal importance with a decay of 0 and of 0.01, then with the settings of Roe's
notebook in the README and with two of them changed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, write_json

import jsuper

OPTIMIZERS = ("adamw", "sgdw(1)", "adam", "sgd(1)", "rmsprop(0.001)")
REPLICATION: dict[str, Any] = {
    "init": "normal",
    "init_bias_scale": 1.0,
    "reduction": "sum",
    "shared_mask": True,
    "optimizer": "rmsprop(0.01)",
    "sparsity": 0.999,
}


@dataclass(frozen=True)
class Options:
    """Count represented features with and without weight decay."""

    seeds: int = 3
    """seeds of every setting"""
    steps: int = 10_000
    """steps of every model"""
    out: Path = RESULTS
    """folder of the results"""


def represented(options: Options, **fields: Any) -> list[int]:
    """Return the number of represented features of each seed."""
    sweep = jsuper.Sweep(activation="relu", seeds=options.seeds, steps=options.steps, **fields)
    ds = jsuper.analyze(jsuper.run(sweep, progress=False))
    return ds.features_represented.values.astype(int).ravel().tolist()


def main() -> None:
    """Train, print and write."""
    options = read_options(Options)
    sparse: dict[str, Any] = {"sparsity": 0.99, "importance_decay": 1.0}
    optimizers = {
        name: {
            str(decay): represented(options, optimizer=name, weight_decay=decay, **sparse)
            for decay in (0.0, 0.01)
        }
        for name in OPTIMIZERS
    }
    replication = {
        "batch_size 1024, weight_decay 0.01": represented(
            options, weight_decay=0.01, **REPLICATION
        ),
        "batch_size 256, weight_decay 0": represented(
            options, weight_decay=0.0, batch_size=256, **REPLICATION
        ),
    }
    for name, found in (optimizers | {"replication": replication}).items():
        print(f"{name:16s} {found}")
    report = {**describe_machine("cpu"), "steps": options.steps, "seeds": options.seeds}
    report |= {"optimizers": optimizers, "replication": replication}
    write_json(options.out / "weight_decay.json", report)


if __name__ == "__main__":
    main()
