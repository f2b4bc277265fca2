"""Simulate how often the rules of findings err, and how often their intervals cover the truth.

Writes results/statistical_errors.json: for each kind of rule, law and number of seeds the share of
repeats in which a true mean on the margin is taken for larger or for smaller at 2.5 %, and the
coverage of the 95 % interval. (A file of the name statistics.py would hide Python's module from the
other benchmarks.)

    python benchmarks/statistical_errors.py
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, write_json

from jsuper.analysis.statistics.one_sample import CONFIDENCE
from jsuper.findings import Rule, rules

LEVEL = 0.025  # on each side
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


@dataclass(frozen=True)
class Case:
    """A kind of rule on values per seed whose mean is the margin."""

    kind: rules.Kind
    margin: float
    draw: Draw
    bounds: tuple[float, float] | None = None


def coin(p: float) -> Draw:
    """Return draws of 1 with probability p, else 0."""
    return lambda rng, shape: (rng.random(shape) < p).astype(float)


CASES = {
    "mean of normal values": Case("mean", 0.0, lambda rng, n: rng.normal(size=n)),
    "mean of uniform values": Case("mean", 0.5, lambda rng, n: rng.random(n)),
    "mean of exponential values": Case("mean", 1.0, lambda rng, n: rng.exponential(size=n)),
    "mean of counts 0 to 20": Case(
        "mean", 5.0, lambda rng, n: rng.binomial(20, 0.25, n).astype(float), (0, 20)
    ),
    "mean of 0, and 5 in 5 %": Case("mean", 0.25, lambda rng, n: 5 * coin(0.05)(rng, n), (0, 5)),
    "skewed, exponential values": Case("skewed", 1.0, lambda rng, n: rng.exponential(size=n)),
    "skewed, log-normal values": Case(
        "skewed", float(np.exp(0.125)), lambda rng, n: rng.lognormal(0, 0.5, n)
    ),
    "share of 50 %": Case("share", 0.5, coin(0.5)),
    "share of 90 %": Case("share", 0.9, coin(0.9)),
}


@dataclass(frozen=True)
class Options:
    """Simulate the errors of rules."""

    seeds: tuple[int, ...] = (5, 10, 20)
    """numbers of seeds"""
    repeats: int = 10_000
    """repeats of each case"""
    out: Path = RESULTS
    """folder of the results"""


def simulated(case: Case, seeds: int, repeats: int) -> dict[str, Any]:
    """Return the shares of repeats that err, and that cover the mean."""
    rule = Rule(low=case.margin, kind=case.kind, bounds=case.bounds)
    values = case.draw(np.random.default_rng(seeds), (repeats, seeds))
    found = [rules.test(row, rule) for row in values]
    known = [one for one in found if np.isfinite(one.low)]
    covered = [one.low <= case.margin <= one.high for one in known]
    return {
        "larger": float(np.mean([one.p_for <= LEVEL for one in found])),
        "smaller": float(np.mean([one.p_against <= LEVEL for one in found])),
        "coverage": float(np.mean(covered)) if covered else None,
        "without_interval": 1 - len(known) / repeats,
    }


def main() -> None:
    """Simulate all cases, print and write."""
    options = read_options(Options)
    report: dict[str, Any] = {
        "level": LEVEL,
        "confidence": CONFIDENCE,
        "repeats": options.repeats,
    }
    report["cases"] = {}
    for name, case in CASES.items():
        found = {str(n): simulated(case, n, options.repeats) for n in options.seeds}
        report["cases"][name] = found
        for n, one in found.items():
            numbers = "  ".join(f"{k} {v:.4f}" for k, v in one.items() if v is not None)
            print(f"{name:28s} {n:>3s} seeds  {numbers}", flush=True)
    write_json(options.out / "statistical_errors.json", describe_machine("cpu") | report)


if __name__ == "__main__":
    main()
