"""Measure the seconds of a sweep of factorizations in jsuper, NumPy and PyTorch, on the same runs.

Writes results/factorization.json.

    python benchmarks/factorization.py           # 400 runs of 5,000 steps, about a minute per round
    python benchmarks/factorization.py --quick   # few seeds, steps and rounds

The other ways start from jsuper's weights and targets and first must reach jsuper's losses, early
and at the end: training draws nothing, so single runs are compared. Then all take turns, and ratios
are taken within a round. jsuper's time is that of the whole `jsuper.run`, which also records curves
and spectra and writes the run folder: with compiled programs (`jsuper`), and in a new process with
an empty cache (`cold`). The others only train, on dense errors C - A Bᵀ, and on some of the runs
and steps, from which their time is scaled: loops over runs (`numpy`, `torch`), and PyTorch with a
few or all seeds at once (`batched`), with one thread or all; the best counts. A loop over runs
uses one core; one process per core would be faster.
"""

import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from helpers.baselines import Work
from helpers.cases import Case
from helpers.options import read_options
from helpers.timing import (
    RESULTS,
    best_ratios,
    describe_machine,
    device_name,
    measure,
    run_python,
    seconds_of,
    write_json,
)
from throughput import BUSY, use_platform

import jsuper
from jsuper.core.grid import expand
from jsuper.engine import programs
from jsuper.factorization import Sweep
from jsuper.models.factorization import train

SHAPE: dict[str, Any] = {"rank": 4, "pairs": 8, "size": 100}
RATES = {"sgd": 0.005, "sgdw": 0.005, "adam": 0.0002, "adamw": 0.0002}
DECAY = 0.1  # without weight decay sgd's final loss would be rounding error
SCALED = "cases with scaled_from below 1 trained this share of the sweep; sweep_s is scaled"
GOALS = {"seconds": 90, "stored_bytes": 50_000_000}  # of 400 runs of 5,000 steps, on two cores
BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam, everywhere
CHECK_SEEDS, TOLERANCE = 3, 1e-3  # seeds whose losses are compared, largest relative difference
# Times the loss of Z = 0: a difference is relative to the loss, or to this where the loss is lower.
# AdamW ends so low that the float32 of 1 - rate * decay shows, by which PyTorch and NumPy multiply:
# it is off by .14 % of rate * decay, and the loss by about twice as much.
FLOOR = 1e-5
FEW_SEEDS = 10  # whose arrays stay in the cache
WARM_UP = 20  # steps

# What a new process runs.
PROGRAM = """
import json, sys, tempfile, time
from pathlib import Path
began = time.perf_counter()
import jsuper
from jsuper.factorization import Sweep
with tempfile.TemporaryDirectory() as folder:
    sweep = Sweep.from_dict(json.loads(sys.argv[1]))
    ds = jsuper.run(sweep, folder, progress=False, platform="cpu")
    seconds = time.perf_counter() - began
    stored = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
timing = json.loads(ds.attrs["timing"])
print(json.dumps({"seconds": seconds, "stored_bytes": stored, "timing": timing}))
"""


@dataclass(frozen=True)
class Options:
    """Time a sweep of factorizations in jsuper, NumPy and PyTorch."""

    quick: bool = False
    """few seeds, steps and rounds"""
    seeds: int = 100
    """of each optimizer"""
    steps: int = 5000
    """of each run"""
    rounds: int = 5
    """turns of each case"""
    seconds: float = 5.0
    """approximate seconds of a scaled case in a round, at most"""
    out: Path = RESULTS
    """folder of the results"""


class Runs(NamedTuple):
    """Runs of one optimizer, over seeds; or one run, without that axis."""

    A: np.ndarray  # (seeds, d, K)
    B: np.ndarray  # (seeds, d, K)
    C: np.ndarray  # (seeds, d, d), the target of A Bᵀ

    def first(self, seeds: int) -> "Runs":
        """Return the runs of the first seeds."""
        return Runs(*(array[:seeds] for array in self))


Pair = tuple[np.ndarray, np.ndarray]
Way = Callable[[Runs, str, int], Pair]  # runs, optimizer, steps -> A and B after the last step


def numpy_run(run: Runs, optimizer: str, steps: int) -> Pair:
    """Train one run, with the gradient and the optimizer written out."""
    A, B, rate = run.A.copy(), run.B.copy(), RATES[optimizer]
    moments = [(np.zeros_like(x), np.zeros_like(x)) for x in (A, B)]
    for step in range(1, steps + 1):
        error = A @ B.T - run.C
        grads = (error @ B, error.T @ A)
        for x, grad, (mean, square) in zip((A, B), grads, moments, strict=True):
            if optimizer.endswith("w"):  # decoupled from the gradient
                x *= 1 - rate * DECAY
            else:
                grad += DECAY * x
            if optimizer.startswith("sgd"):
                x -= rate * grad
                continue
            mean += (1 - BETAS[0]) * (grad - mean)
            square += (1 - BETAS[1]) * (grad * grad - square)
            size = np.sqrt(square / (1 - BETAS[1] ** step)) + EPSILON
            x -= rate / (1 - BETAS[0] ** step) * mean / size
    return A, B


def torch_runs(runs: Runs, optimizer: str, steps: int, torch: Any, threads: int) -> Pair:
    """Train one run, or all at once (@ is then torch.bmm), with PyTorch's optimizers."""
    torch.set_num_threads(threads)
    A, B, C = (torch.tensor(array) for array in runs)
    params = [A.requires_grad_(), B.requires_grad_()]
    maker = {"sgd": "SGD", "sgdw": "SGD", "adam": "Adam", "adamw": "AdamW"}[optimizer]
    decay = 0.0 if optimizer == "sgdw" else DECAY  # PyTorch has no SGD with it decoupled
    descent = getattr(torch.optim, maker)(params, lr=RATES[optimizer], weight_decay=decay)
    for _ in range(steps):
        descent.zero_grad()
        (0.5 * ((C - A @ B.mT) ** 2).sum()).backward()
        if optimizer == "sgdw":
            with torch.no_grad():
                for param in params:
                    param.mul_(1 - RATES[optimizer] * DECAY)
        descent.step()
    return A.detach().numpy(), B.detach().numpy()


def looped(way: Way) -> Way:
    """Return a way that trains several runs one after another."""

    def loop(runs: Runs, optimizer: str, steps: int) -> Pair:
        pairs = [way(Runs(*run), optimizer, steps) for run in zip(*runs, strict=True)]
        return np.stack([A for A, _ in pairs]), np.stack([B for _, B in pairs])

    return loop


def jsuper_starts(sweep: Sweep) -> Runs:
    """Return the start and the target of every seed, as jsuper draws them."""
    group = expand(sweep)[0]
    static = train.make_static(group.static, [])
    with programs.context(static, jax.devices()[0]):
        keys = jax.vmap(jsuper.seed_key)(np.array(group.seeds, np.uint32))
        init = jax.vmap(train.make_init(static), (None, 0))
        state = init(train.make_setting(static, group.settings[0]), keys)
    params, target = jax.tree.map(np.array, (state.params, state.target))
    C = (target.strengths[:, :, None] * target.U).mT @ target.V
    return Runs(params.A.mT.copy(), params.B.mT.copy(), C)


def run_locally(sweep: Sweep) -> Any:
    """Return the Dataset of a run into a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        return jsuper.run(sweep, folder, progress=False, platform="cpu")


def run_cold(sweep: Sweep, reports: list[dict[str, Any]]) -> float:
    """Return the seconds of import and run in a new process with an empty cache.

    The report of the process is appended to `reports`.
    """
    with tempfile.TemporaryDirectory() as cache:
        finished = run_python(PROGRAM, json.dumps(sweep.to_dict()), cache=cache)
    reports.append(json.loads(finished.output) | {"peak_bytes": finished.peak_bytes})
    return reports[-1]["seconds"]


def check_answer(ways: dict[str, Way], starts: Runs, ds: Any) -> dict[str, Any]:
    """Train the first seeds every way; return the largest relative differences by steps."""
    floor = FLOOR * float(ds.zero_loss.mean())
    few, recorded = starts.first(CHECK_SEEDS), ds.step.values
    curves = ds.loss_curve.squeeze(["rank", "pairs"]).transpose("optimizer", "seed", "step").values
    result: dict[str, Any] = {"tolerance": TOLERANCE, "floor": floor, "seeds": len(few.A)}
    result["by_steps"] = {}
    for index in (len(recorded) // 5, -1):
        steps, ours = int(recorded[index]), curves[:, : len(few.A), index]
        row: dict[str, Any] = {"losses_of_jsuper": np.median(ours, 1).tolist()}
        for way, trained in ways.items():
            pairs = [trained(few, optimizer, steps) for optimizer in RATES]
            errors = np.stack([few.C - A.astype(float) @ B.mT for A, B in pairs])
            differences = np.abs(0.5 * (errors**2).sum((-2, -1)) - ours)
            row[way] = float((differences / np.maximum(ours, floor)).max())
            row[f"{way} without the floor"] = float((differences / ours).max())
        result["by_steps"][steps] = row
        print(f"largest relative differences after {steps} steps: {row}", flush=True)
    agree = [row[way] <= TOLERANCE for row in result["by_steps"].values() for way in ways]
    return result | {"ok": all(agree)}


def make_case(way: str, detail: str, steps: int, seeds: int, run: Callable[[], float]) -> Case:
    """Return a case of all optimizers, which take the place of the helper's activations."""
    return Case(way, f"seeds {seeds}{detail}", tuple(RATES), Work(steps, (0.0,), seeds), 0.0, run)


def scaled_case(way: str, detail: str, trained: Way, runs: Runs, options: Options) -> Case:
    """Return a warmed-up case with as many steps as take `options.seconds`, at most all."""

    def run(steps: int) -> float:
        return seconds_of(lambda: [trained(runs, optimizer, steps) for optimizer in RATES])

    run(WARM_UP)
    steps = min(options.steps, max(WARM_UP, int(WARM_UP * options.seconds / run(WARM_UP))))
    return make_case(way, detail, steps, len(runs.A), lambda: run(steps))


def run_benchmark(options: Options) -> dict[str, Any]:
    """Check the answer; if it holds, time everything. Return the content of the JSON."""
    seeds, steps = options.seeds, options.steps
    optimizers = tuple(f"{name}({rate})" for name, rate in RATES.items())
    sweep = Sweep(**SHAPE, optimizer=optimizers, weight_decay=DECAY, seeds=seeds, steps=steps)
    report = {**describe_machine("cpu"), "rounds": options.rounds, "sweep": sweep.to_dict()}
    ways: dict[str, Way] = {"numpy": looped(numpy_run)}
    try:
        torch: Any = importlib.import_module("torch")
        one_thread = partial(torch_runs, torch=torch, threads=1)
        ways |= {"torch": looped(one_thread), "batched": one_thread}
    except ModuleNotFoundError:
        print("not measured: PyTorch, which is not installed")
        torch, report["not_measured"] = None, "PyTorch is not installed"
    starts = jsuper_starts(sweep)
    report["answer_check"] = check_answer(ways, starts, run_locally(sweep))
    if not report["answer_check"]["ok"]:
        return report

    cold: list[dict[str, Any]] = []
    cases = [
        make_case("jsuper", "", steps, seeds, lambda: seconds_of(lambda: run_locally(sweep))),
        make_case("cold", "", steps, seeds, lambda: run_cold(sweep, cold)),
        scaled_case("numpy", "", ways["numpy"], starts.first(1), options),
    ]
    for threads in sorted({1, os.cpu_count() or 1}) if torch else ():
        way, detail = partial(torch_runs, torch=torch, threads=threads), f", threads {threads}"
        cases.append(scaled_case("torch", detail, looped(way), starts.first(1), options))
        for count in sorted({min(FEW_SEEDS, seeds), seeds}):
            cases.append(scaled_case("batched", detail, way, starts.first(count), options))
    rows, total = measure(cases, options.rounds), cases[0].model_steps
    for row in rows:
        row["optimizers"] = row.pop("activations")
        del row["compile_s"]  # the report of a new process has it
        row["scaled_from"] = row["model_steps"] / total
        row["sweep_s"] = total / row["median"]
    del rows[1]["others"]  # they would include the new process
    report |= {"cases": rows, "scaled": SCALED, "goals": GOALS, "new_processes": cold, "ratios": {}}
    for index, name in enumerate(("jsuper", "cold")):
        compared = [rows[index] | {"way": "jsuper"}, *rows[2:]]
        report["ratios"][name] = best_ratios(compared)["ratios"]
    return report


def print_report(report: dict[str, Any]) -> None:
    """Print seconds, ratios, bytes and memory."""
    print(f"\n{device_name(report)}\n{'way':<9}{'at a time':<22}{'sweep, s':>9}{'measured':>10}")
    for row in report["cases"]:
        seconds, share = row["sweep_s"], row["scaled_from"]
        print(f"{row['way']:<9}{row['size']:<22}{seconds:>9.1f}{share:>10.1%}")
    for ours, ratios in report["ratios"].items():
        for name, ratio in ratios.items():
            low, high = min(ratio["rounds"]), max(ratio["rounds"])
            faster = f"{ours} is faster than {name.split('/')[1]} by"
            print(f"{faster} {ratio['median']:.2f} (rounds {low:.2f} to {high:.2f})")
    cold = report["new_processes"][-1]
    peak = (cold["peak_bytes"] or 0) / 2**20
    print(f"run folder {cold['stored_bytes']:,} bytes, peak memory {peak:,.0f} MiB")
    print(f"goals of the whole sweep on two cores: {report['goals']}")
    others = np.mean([row["others"] for row in report["cases"] if "others" in row])
    if others > BUSY:
        print(f"BUSY MACHINE: others took {others:.0%} of it; measure again when it is quiet")


def main() -> int:
    """Run the benchmark; return the exit code, 1 if the ways do not agree."""
    options = read_options(Options)
    if options.quick:
        options = replace(options, seeds=12, steps=1000, rounds=2, seconds=1.0)
    use_platform("cpu")
    report = run_benchmark(options)
    path = options.out / f"factorization{'-quick' * options.quick}.json"
    write_json(path, report)
    if not report["answer_check"]["ok"]:
        print("ANSWER CHECK FAILED: losses differ; nothing was timed", file=sys.stderr)
        return 1
    print_report(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
