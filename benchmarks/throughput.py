"""Model-steps per second of jsuper and of the usual ways to train toy models, in one run.

    python benchmarks/throughput.py                  # the full grid on the CPU, tens of minutes
    python benchmarks/throughput.py --quick          # a taste, below two minutes
    python benchmarks/throughput.py --platform gpu   # the same on a GPU

Every way trains the same grid: 27 activations at 7 sparsities, n = 20, m = 5, batch 1024, float32.
First each must reach jsuper's loss after the same number of steps; a way that computes something
else has no speed worth reporting. Then the ways take turns, so that a machine that slows down does
so for all, and ratios are taken within a round. Compilation is timed apart. PyTorch's best number
of instances is compared with the best number of seeds of the others, all of which are reported.
"""

import json
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import tyro
from answer_check import compare, loss_over_constant
from baselines import ACTIVATIONS, Weights, Work
from cases import (
    WAYS,
    Prepare,
    baseline_cases,
    find_ways,
    jsuper_cases,
    train_jsuper,
    works_by_instances,
    works_by_seeds,
)
from figure import plot_throughput
from timing import best_ratios, describe_machine, device_name, measure

RESULTS = Path(__file__).parent / "results"
# (n_features, n_hidden) of the other experiments of the paper.
SHAPES = ((2, 1), (5, 2), (100, 20), (200, 20))
# Agreement is better measured with more seeds; jsuper is fast enough to leave it no noise.
REFERENCE_SEEDS_FACTOR = 8
# Share of the processors that other programs may take.
BUSY = 0.05


@dataclass(frozen=True)
class Check:
    """The small grid on which all ways must agree: long enough for the initial weights to fade."""

    steps: int = 1000
    seeds: int = 16
    activations: tuple[str, ...] = ("relu", "gelu", "tanh")
    sparsities: tuple[float, ...] = (0.7, 0.9, 0.99)
    tolerance: float = 0.05


@dataclass(frozen=True)
class Options:
    """Measure model-steps per second of several ways to train toy models of superposition.

    Attributes:
        platform: where JAX and PyTorch run.
        quick: few activations, sizes and steps; a rough check of the answer (15 %).
        shapes: measure other (n, m) too, for ReLU, PyTorch and jsuper only.
        rounds: turns of each case.
        ways: which to measure; the first stands for jsuper in the check where it is left out.
        instances: numbers of stacked PyTorch instances; by default 1 to 64, on a GPU to 1024.
        seeds: numbers of random seeds; by default 1 to 8, on an accelerator to 256.
        activations: names, all by default.
        check: the grid on which the answer is checked.
        out: folder of the results.
    """

    platform: Literal["cpu", "gpu", "tpu"] = "cpu"
    quick: bool = False
    shapes: bool = False
    rounds: int = 5
    ways: tuple[str, ...] = tuple(WAYS)
    instances: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()
    activations: tuple[str, ...] = tuple(ACTIVATIONS)
    check: Check = field(default_factory=Check)
    out: Path = RESULTS


def resolve(options: Options) -> Options:
    """Fills in the sizes that depend on the platform and on `quick`."""
    large = options.platform != "cpu"
    instances = options.instances or ((1, 4, 16, 64, 256, 1024) if large else (1, 4, 16, 64))
    seeds = options.seeds or ((1, 4, 16, 64, 256) if large else (1, 2, 4, 8))
    options = replace(options, instances=instances, seeds=seeds)
    if not options.quick:
        return options
    check = Check(500, 8, ("relu", "tanh"), (0.9, 0.99), tolerance=0.15)
    activations = ("relu", "gelu", "softmax")
    return replace(options, instances=(1, 16), seeds=(1, 4), activations=activations, check=check)


def use_platform(platform: str) -> None:
    """Makes JAX run there, with full float32 products, or ends the program."""
    # Compile times are only comparable where nobody reads programs of an earlier run.
    os.environ["JSUPER_CACHE"] = "off"
    jax.config.update("jax_compilation_cache_dir", None)
    if platform == "cpu":
        jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_default_matmul_precision", "highest")
    if jax.default_backend() != platform:
        sys.exit(f"--platform {platform}: JAX found only {jax.default_backend()!r} here")


def check_answer(prepares: dict[str, Prepare], check: Check, with_jsuper: bool) -> dict[str, Any]:
    """Trains the same grid every way, and compares the losses.

    Args:
        prepares: the baselines.
        check: the grid and the tolerance.
        with_jsuper: whether jsuper is the reference; else the first baseline is.

    Returns:
        The result of `compare`.
    """
    work = Work(check.steps, check.sparsities, check.seeds)

    def losses(work: Work, weights: dict[str, Weights]) -> np.ndarray:
        ratios = [loss_over_constant(name, of_name, work) for name, of_name in weights.items()]
        return np.stack(ratios).reshape(len(weights), len(work.sparsities), work.seeds)

    result = {}
    for way, prepare in prepares.items():
        print(f"checking the answer: {WAYS[way]}", flush=True)
        result[way] = losses(work, {name: prepare(name, work)[0]() for name in check.activations})
    if with_jsuper:
        print("checking the answer: jsuper", flush=True)
        more = replace(work, seeds=REFERENCE_SEEDS_FACTOR * work.seeds)
        result["jsuper"] = losses(more, train_jsuper(check.activations, more)[0])
    reference = "jsuper" if with_jsuper else next(iter(result))
    return {"steps": check.steps, **compare(result, reference, check.tolerance)}


def measure_grid(
    options: Options, prepares: dict[str, Prepare], activations: tuple[str, ...], shape: Work
) -> dict[str, Any]:
    """Warms up all cases of a grid, then times them in turn.

    Args:
        options: sizes, rounds and ways.
        prepares: the baselines to measure.
        activations: names.
        shape: n_features, n_hidden, batch and sparsities.

    Returns:
        For the JSON: a row for each case, and the ratios of the best cases.
    """
    cases = []
    for way, prepare in prepares.items():
        print(f"warming up: {WAYS[way]}, n {shape.n_features}, m {shape.n_hidden}", flush=True)
        works = works_by_seeds(way, (1,) if way == "loop" else options.seeds, shape)
        if way == "torch":
            works = works_by_instances(options.instances, shape)
        cases += baseline_cases(way, prepare, activations, works)
    if "jsuper" in options.ways:
        print(f"warming up: jsuper, n {shape.n_features}, m {shape.n_hidden}", flush=True)
        cases += jsuper_cases(activations, works_by_seeds("jsuper", options.seeds, shape))
    rows = measure(cases, options.rounds)
    return {"cases": rows, **best_ratios(rows)}


def print_table(title: str, result: dict[str, Any]) -> None:
    """Prints the cases of a grid, and the ratios of the best."""
    print(f"\n{title}")
    print(f"{'way':<38}{'models at a time':>17}{'compile s':>11}{'model-steps/s':>15}")
    for row in result["cases"]:
        size, compile_s, median = row["size"], row["compile_s"], row["median"]
        print(f"{WAYS[row['way']]:<38}{size:>17}{compile_s:>11.1f}{median:>15,.0f}")
    for name, ratio in result["ratios"].items():
        low, high = min(ratio["rounds"]), max(ratio["rounds"])
        print(f"{name}, best of each: {ratio['median']:.1f} (rounds {low:.1f} to {high:.1f})")
    others = np.mean([row["others"] for row in result["cases"]])
    if others > BUSY:
        print(f"BUSY MACHINE: others took {others:.0%} of it; measure again when it is quiet")


def run_benchmark(options: Options) -> dict[str, Any]:
    """Checks the answer and, where it holds, times everything; returns the content of the JSON."""
    prepares, missing = find_ways(options.ways, options.platform)
    report = {**describe_machine(options.platform), "options": _plain(options)}
    report["not_measured"] = missing
    report["answer_check"] = check_answer(prepares, options.check, "jsuper" in options.ways)
    if not report["answer_check"]["ok"]:
        return report
    shape = Work(steps=0)
    report["grid"] = measure_grid(options, prepares, options.activations, shape)
    if options.shapes:
        torch_only = {way: prepare for way, prepare in prepares.items() if way == "torch"}
        report["shapes"] = {
            f"n {n}, m {m}": measure_grid(
                options, torch_only, ("relu",), replace(shape, n_features=n, n_hidden=m)
            )
            for n, m in SHAPES
        }
    return report


def _plain(options: Options) -> dict[str, Any]:
    """Returns the options as JSON can hold them, without the folder of this machine."""
    values = {**vars(options), "check": vars(options.check)}
    return {name: value for name, value in values.items() if name != "out"}


def main() -> int:
    """Runs the benchmark; returns the exit code, 1 where the ways do not agree."""
    options = resolve(tyro.cli(Options))
    use_platform(options.platform)
    report = run_benchmark(options)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"throughput-{options.platform}{'-quick' * options.quick}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

    check = report["answer_check"]
    for way, difference in check["relative_difference"].items():
        if way != check["reference"]:
            print(f"loss against {WAYS[check['reference']]}'s, {WAYS[way]}: {difference:+.1%}")
    if not check["ok"]:
        reason = "differ by more than the tolerance" if check["learnt"] else "learnt nothing yet"
        print(f"ANSWER CHECK FAILED: the ways {reason}; nothing was timed", file=sys.stderr)
        return 1

    for way, reason in report["not_measured"].items():
        print(f"not measured: {WAYS[way]} ({reason})")
    count = len(options.activations)
    grid = f"{count} activations x 7 sparsities, n 20, m 5, batch 1024, float32"
    print_table(f"{device_name(report)}: {grid}", report["grid"])
    for name, result in report.get("shapes", {}).items():
        print_table(f"relu, {name}", result)
    rows = report["grid"]["cases"]
    plot_throughput(rows, device_name(report), grid, path.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
