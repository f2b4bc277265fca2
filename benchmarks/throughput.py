"""Measure model-steps per second of jsuper and of the usual ways to train toy models.

Writes results/throughput-<platform>.json, and a figure with the same name in docs.

    python benchmarks/throughput.py                  # the full grid on the CPU, tens of minutes
    python benchmarks/throughput.py --quick          # a few cases, below two minutes
    python benchmarks/throughput.py --shapes         # also other shapes, and sparsity .999 alone
    python benchmarks/throughput.py --platform gpu   # the same on a GPU
    python benchmarks/throughput.py --laws           # jsuper alone on laws of the data, minutes

Every way trains the same grid: 27 activations at 7 sparsities, n = 20, m = 5, batch 1024, float32.
First each must reach jsuper's loss after the same number of steps. Then the ways take turns, and
ratios are taken within a round, so that a machine that slows down does not favour one of them.
Compilation is timed separately. All sizes are reported, and the best of each way are compared.

PyTorch is measured eager, and also under torch.compile on a GPU or if `--ways` includes it: it
compiles for seconds per activation and size. Products are always float32, never TF32. On a known
GPU the shares of its peaks are printed (helpers/ceilings.py). Without a GPU, `--platform gpu`
writes nothing.
"""

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from helpers.answer_check import compare, loss_over_constant
from helpers.baselines import ACTIVATIONS, NotMeasuredError, Weights, Work
from helpers.cases import (
    BATCHINGS,
    NARROW_AND_WHOLE,
    TORCH_WAYS,
    WAYS,
    Prepare,
    baseline_cases,
    find_ways,
    fitting,
    jsuper_cases,
    train_jsuper,
    works_by_instances,
    works_by_seeds,
)
from helpers.ceilings import ceilings
from helpers.laws import measure_laws, print_laws
from helpers.options import read_options
from helpers.throughput_figure import plot_throughput
from helpers.timing import (
    RESULTS,
    best_ratios,
    describe_machine,
    device_name,
    figure_path,
    measure,
    write_json,
)

# (n_features, n_hidden) of the other experiments of the paper.
SHAPES = ((2, 1), (5, 2), (100, 20), (200, 20))
# Measured alone too: nearly all columns of a batch are empty there.
SPARSEST = 0.999
# Sizes of PyTorch under torch.compile, the largest of its instances: every activation compiles
# each.
COMPILED_SIZES = 2
# More seeds measure agreement better, and jsuper is fast enough for them.
REFERENCE_SEEDS_FACTOR = 8
# Steps of a model on each law of the data.
LAW_STEPS = 500
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

    Attributes
    ----------
    platform
        Where JAX and PyTorch run.
    quick
        Few activations, sizes and steps; a rough check of the answer (15 %).
    shapes
        Also measure other (n, m), for ReLU, PyTorch and jsuper only; and, on a CPU, sparsity .999
        alone, with jsuper's whole and narrow batches.
    laws
        Measure laws of the data instead, against the default one, with jsuper only; the result is
        laws-<platform>.json.
    rounds
        Turns of each case.
    ways
        Ways to measure; without jsuper, the first is the reference of the check. All by default,
        on a CPU without "compiled".
    instances
        Numbers of stacked PyTorch instances; by default 1 to 64, on a GPU to 1024. "compiled" uses
        the largest two.
    seeds
        Numbers of random seeds; by default 1 to 8, on an accelerator to 256.
    activations
        Names, all by default.
    check
        The grid on which the answer is checked.
    out
        Folder of the results.
    """

    platform: Literal["cpu", "gpu", "tpu"] = "cpu"
    quick: bool = False
    shapes: bool = False
    laws: bool = False
    rounds: int = 5
    ways: tuple[str, ...] = ()
    instances: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()
    activations: tuple[str, ...] = tuple(ACTIVATIONS)
    check: Check = field(default_factory=Check)
    out: Path = RESULTS


def resolve(options: Options) -> Options:
    """Fill in the sizes that depend on the platform and on `quick`."""
    large = options.platform != "cpu"
    ways = options.ways or (*TORCH_WAYS[: 1 + large], "plain", "loop", "jsuper")
    # Fewer sizes on an accelerator, which compiles for each.
    instances = options.instances or ((1, 64, 1024) if large else (1, 4, 16, 64))
    seeds = options.seeds or ((1, 16, 256) if large else (1, 2, 4, 8))
    options = replace(options, ways=ways, instances=instances, seeds=seeds)
    if not options.quick:
        return options
    check = Check(500, 8, ("relu", "tanh"), (0.9, 0.99), tolerance=0.15)
    activations = ("relu", "gelu", "softmax")
    return replace(options, instances=(1, 16), seeds=(1, 4), activations=activations, check=check)


def use_platform(platform: str) -> str:
    """Make JAX run there, with full float32 products; return the platform it runs on, or ""."""
    # Compile times are comparable only without programs of an earlier run.
    os.environ["JSUPER_CACHE"] = "off"
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
    # JAX would allocate most of the memory at its start and leave little to PyTorch.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    jax.config.update("jax_compilation_cache_dir", None)
    if platform == "cpu":
        jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_default_matmul_precision", "highest")
    try:
        return jax.default_backend()
    except (RuntimeError, AssertionError):  # JAX_PLATFORMS names a missing platform
        return ""


def check_answer(
    prepares: dict[str, Prepare], check: Check, with_jsuper: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """Train the same grid every way, and compare the losses.

    Parameters
    ----------
    prepares
        The baselines.
    check
        The grid and the tolerance.
    with_jsuper
        Whether jsuper is the reference; otherwise the first baseline is.

    Returns
    -------
    tuple[dict[str, Any], dict[str, str]]
        The result of `compare`, and the ways that do not work on this machine, with the reason.
    """
    work = Work(check.steps, check.sparsities, check.seeds)

    def losses(work: Work, weights: dict[str, Weights]) -> np.ndarray:
        ratios = [loss_over_constant(name, of_name, work) for name, of_name in weights.items()]
        return np.stack(ratios).reshape(len(weights), len(work.sparsities), work.seeds)

    result, missing = {}, {}
    for way, prepare in prepares.items():
        print(f"checking the answer: {WAYS[way]}", flush=True)
        try:
            weights = {name: prepare(name, work)[0]() for name in check.activations}
        except NotMeasuredError as error:
            missing[way] = str(error)
        else:
            result[way] = losses(work, weights)
    if with_jsuper:
        print("checking the answer: jsuper", flush=True)
        more = replace(work, seeds=REFERENCE_SEEDS_FACTOR * work.seeds)
        result["jsuper"] = losses(more, train_jsuper(check.activations, more)[0])
    if not result:
        sys.exit(f"no way can be measured on this machine: {'; '.join(missing.values())}")
    reference = "jsuper" if with_jsuper else next(iter(result))
    return {"steps": check.steps, **compare(result, reference, check.tolerance)}, missing


def works_of(way: str, options: Options, shape: Work) -> dict[str, Work]:
    """Return the sizes of a way: size as text -> the models of one activation."""
    if way in TORCH_WAYS:
        instances = options.instances[-COMPILED_SIZES if way == "compiled" else 0 :]
        return works_by_instances(way, instances, shape, options.platform)
    return works_by_seeds(way, (1,) if way == "loop" else options.seeds, shape, options.platform)


def measure_grid(
    options: Options,
    prepares: dict[str, Prepare],
    activations: tuple[str, ...],
    shape: Work,
    plans: tuple[str, ...] = ("jsuper",),
) -> dict[str, Any]:
    """Warm up all cases of a grid, then time them in turn.

    Parameters
    ----------
    options
        Sizes, rounds and ways.
    prepares
        The baselines to measure.
    activations
        Names.
    shape
        n_features, n_hidden, batch and sparsities.
    plans
        The ways of jsuper to measure, if `options` includes it.

    Returns
    -------
    dict[str, Any]
        A row for each case, the ratios of the best cases, and the sizes that do not fit into the
        device's memory.
    """
    cases, left_out = [], {}
    memory = (jax.devices()[0].memory_stats() or {}).get("bytes_limit")
    for way in (*prepares, *(plans if "jsuper" in options.ways else ())):
        print(f"warming up: {WAYS[way]}, n {shape.n_features}, m {shape.n_hidden}", flush=True)
        works = works_of(way, options, shape)
        if way in BATCHINGS:  # jsuper fits its blocks to the memory
            cases += jsuper_cases(activations, works, way)
            continue
        small = fitting(works, memory)
        if len(small) < len(works):
            left_out[way] = [size for size in works if size not in small]
        try:
            cases += baseline_cases(way, prepares[way], activations, small)
        except NotMeasuredError as error:
            left_out[way] = [str(error)]
    rows = measure(cases, options.rounds)
    return {"cases": rows, **best_ratios(rows), "left_out": left_out}


def print_table(title: str, result: dict[str, Any]) -> None:
    """Print the cases of a grid, and the ratios of the best."""
    print(f"\n{title}")
    print(f"{'way':<38}{'models at a time':>17}{'compile s':>11}{'model-steps/s':>15}")
    for row in result["cases"]:
        size, compile_s, median = row["size"], row["compile_s"], row["median"]
        print(f"{WAYS[row['way']]:<38}{size:>17}{compile_s:>11.1f}{median:>15,.0f}")
    for name, ratio in result["ratios"].items():
        low, high = min(ratio["rounds"]), max(ratio["rounds"])
        print(f"{name}, best of each: {ratio['median']:.1f} (rounds {low:.1f} to {high:.1f})")
    for way, sizes in result["left_out"].items():
        print(f"left out: {WAYS[way]}, {'; '.join(sizes)}")
    others = np.mean([row["others"] for row in result["cases"]])
    if others > BUSY:
        print(f"BUSY MACHINE: others took {others:.0%} of it; measure again when it is quiet")


def print_ceilings(found: dict[str, Any] | None) -> None:
    """Print the best case of each way as shares of the device's peaks."""
    if found is None:
        print("\nshares of the peaks: unknown for this device")
        return
    peak, flop, moved = found["peak"], found["flop_per_model_step"], found["bytes_per_model_step"]
    work = f"{flop / 1e6:.2f} MFLOP and {moved / 1e6:.2f} MB"
    print(f"\nshares of the peaks, counting {work} per model-step")
    fp32, hbm = peak["flop_per_s"] / 1e12, peak["bytes_per_s"] / 1e12
    print(f"{'way, best case':<38}{f'FP32, {fp32:.1f} TFLOP/s':>22}{f'HBM, {hbm:.2f} TB/s':>20}")
    for way, share in found["shares"].items():
        print(f"{WAYS[way]:<38}{share['fp32']:>22.1%}{share['hbm']:>20.1%}")


def run_benchmark(options: Options) -> dict[str, Any]:
    """Check the answer; if it holds, time everything. Return the content of the JSON."""
    prepares, missing = find_ways(options.ways, options.platform)
    report = {**describe_machine(options.platform), "options": _plain(options)}
    check, failed = check_answer(prepares, options.check, "jsuper" in options.ways)
    report["not_measured"] = missing | failed
    report["answer_check"] = check
    if not check["ok"]:
        return report
    prepares = {way: prepare for way, prepare in prepares.items() if way not in failed}
    shape = Work(steps=0)
    plans = ("jsuper",) if options.platform == "cpu" else ("jsuper", "vmapped")
    report["grid"] = measure_grid(options, prepares, options.activations, shape, plans)
    if options.platform != "cpu":
        best = {way: row["median"] for way, row in report["grid"]["best"].items()}
        report["ceilings"] = ceilings(report["device_kind"], report["devices"], shape, best)
    if options.shapes:
        torch_only = {way: prepares[way] for way in TORCH_WAYS if way in prepares}
        report["shapes"] = {
            f"n {n}, m {m}": measure_grid(
                options, torch_only, ("relu",), replace(shape, n_features=n, n_hidden=m)
            )
            for n, m in SHAPES
        }
        if options.platform == "cpu":  # accelerators train whole batches
            sparse = replace(shape, sparsities=(SPARSEST,))
            found = measure_grid(options, torch_only, options.activations, sparse, NARROW_AND_WHOLE)
            report["sparsest"] = {"sparsity": SPARSEST, **found}
    return report


def _plain(options: Options) -> dict[str, Any]:
    """Return the options as plain values, without the folder of this machine."""
    values = {**vars(options), "check": vars(options.check)}
    return {name: value for name, value in values.items() if name != "out"}


def main() -> int:
    """Run the benchmark; return the exit code, 1 if the ways do not agree."""
    options = resolve(read_options(Options))
    found = use_platform(options.platform)
    if found != options.platform:
        print(f"not measured: JAX finds no {options.platform} here, only {found or 'no device'}")
        return 0
    if options.laws:
        laws = measure_laws(options.activations, options.rounds, LAW_STEPS)
        report = {**describe_machine(options.platform), "laws": laws}
        write_json(options.out / f"laws-{options.platform}.json", report)
        print_laws(laws)
        return 0
    report = run_benchmark(options)
    path = options.out / f"throughput-{options.platform}{'-quick' * options.quick}.json"
    write_json(path, report)

    check = report["answer_check"]
    for way, difference in check["relative_difference"].items():
        if way != check["reference"]:
            print(f"loss against {WAYS[check['reference']]}'s, {WAYS[way]}: {difference:+.1%}")
    if not check["ok"]:
        reason = "differ by more than the tolerance" if check["learnt"] else "learned nothing"
        print(f"ANSWER CHECK FAILED: the ways {reason}; nothing was timed", file=sys.stderr)
        return 1

    for way, reason in report["not_measured"].items():
        print(f"not measured: {WAYS[way]} ({reason})")
    count = len(options.activations)
    grid = f"{count} activations x 7 sparsities, n 20, m 5, batch 1024, float32"
    print_table(f"{device_name(report)}: {grid}", report["grid"])
    if "ceilings" in report:
        print_ceilings(report["ceilings"])
    for name, result in report.get("shapes", {}).items():
        print_table(f"relu, {name}", result)
    if "sparsest" in report:
        print_table(f"{count} activations at sparsity {SPARSEST}, n 20, m 5", report["sparsest"])
    rows = report["grid"]["cases"]
    plot_throughput(rows, device_name(report), grid, figure_path(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
