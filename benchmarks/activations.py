"""Microseconds of every activation in training: its value and derivative on one whole batch.

    python benchmarks/activations.py                    # all of the default sweep
    python benchmarks/activations.py --activations relu "elu(0.25)" --rounds 20

Writes results/activations.json. What is timed is the loss's gradient with respect to the
pre-activations, which is all that an activation does in a step; the piecewise linear ones show what
reading and writing the batch costs. Pin it to one core (`taskset -c 1`) for steady figures.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import jax
import jax.numpy as jnp
import tyro
from timing import describe_machine, write_json

from jsuper.engine.programs import compile_for
from jsuper.models.toy.activations.names import ACTIVATIONS
from jsuper.models.toy.gradient import error_of

RESULTS = Path(__file__).parent / "results"
REPEATS = 9  # of the last column, as in a batch without its empty columns
TURNS = 300  # in one program, so that the call counts for nothing


@dataclass(frozen=True)
class Options:
    """What to time."""

    activations: tuple[str, ...] = ACTIVATIONS
    """names, with a parameter or without"""
    features: int = 20
    """rows of a batch"""
    batch: int = 1024
    """columns of a batch"""
    rounds: int = 10
    """of which the median counts; the activations take turns in each"""
    out: Path = RESULTS / "activations.json"
    """where the figures go"""


def program(activation: str, features: int, batch: int) -> Callable[[], jax.Array]:
    """TURNS gradients on end, z <- dL/dz, compiled and warmed up."""
    z = jax.random.normal(jax.random.key(0), (features, batch))
    x = jax.random.uniform(jax.random.key(1), (features, batch))
    importance = jnp.ones(features)
    gradient = jax.grad(error_of(activation, repeats=REPEATS))

    def run(z: jax.Array, x: jax.Array, importance: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, TURNS, lambda _, z: gradient(z, x, importance), z)

    compiled = compile_for(jax.devices()[0], jax.jit(run).lower(z, x, importance))
    jax.block_until_ready(compiled(z, x, importance))
    return lambda: compiled(z, x, importance)


def measure(programs: dict[str, Callable[[], jax.Array]], rounds: int) -> dict[str, list[float]]:
    """Microseconds of one gradient, by activation and round."""
    found: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, run in programs.items():
            began = time.perf_counter()
            jax.block_until_ready(run())
            found[name].append((time.perf_counter() - began) / TURNS * 1e6)
    return found


def main() -> None:
    """Time, print and write."""
    options = tyro.cli(Options)
    programs = {a: program(a, options.features, options.batch) for a in options.activations}
    rounds = measure(programs, options.rounds)
    medians = {name: median(values) for name, values in rounds.items()}
    for name, value in sorted(medians.items(), key=lambda pair: pair[1]):
        print(f"{name:20s} {value:8.2f} us")
    print(f"{'mean':20s} {mean(medians.values()):8.2f} us")
    report = {
        "machine": describe_machine(jax.default_backend()),
        "features": options.features,
        "batch": options.batch,
        "mean_us": mean(medians.values()),
        "us": medians,
        "rounds_us": rounds,
    }
    write_json(options.out, report)


if __name__ == "__main__":
    main()
