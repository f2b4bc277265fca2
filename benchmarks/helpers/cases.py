"""The cases of the throughput benchmark: each way to train, at several numbers of models."""

import functools
import importlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

import numpy as np

from .baselines import GRID_SPARSITIES, Run, Weights, Work, prepare_loop, prepare_plain

WAYS = {
    "torch": "PyTorch eager, einsum over instances",
    "compiled": "PyTorch under torch.compile, einsum",
    "plain": "jit(vmap(train)), one per activation",
    "loop": "Python loop over a jitted step",
    "jsuper": "jsuper",
    "sequential": "jsuper, models one by one",
    "whole": "jsuper, one by one, whole batches",
    "vmapped": "jsuper, step by step",
}
# jsuper's batching in each of its ways.
BATCHINGS = {
    "jsuper": "auto",
    "sequential": "sequential",
    "whole": "reference",
    "vmapped": "vmapped",
}
# They differ in nothing else, so they show the gain from leaving out empty columns.
NARROW_AND_WHOLE = ("jsuper", "sequential", "whole")
TORCH_WAYS = ("torch", "compiled")  # their sizes are numbers of instances
Prepare = Callable[[str, Work], tuple[Run, float]]

# Steps of the smallest case of each way. More models take fewer steps, so that every case lasts
# some seconds on a CPU; the figure reported is per model-step.
STEPS = {
    "torch": 200,
    "compiled": 200,
    "plain": 100,
    "loop": 100,
    "jsuper": 2000,
    "sequential": 1000,
    "whole": 400,
    "vmapped": 2000,
}
FEWEST_STEPS = 10
# An accelerator's step of many models takes a millisecond: fewer steps would time the start and
# the end of a run.
FEWEST_ON_ACCELERATOR = {"jsuper": 2000, "vmapped": 500}
FEWEST_OF_OTHERS = 100
# Largest arrays of a step that exist at once, and the share of the device's memory that they may
# take: JAX and PyTorch do not return memory.
LIVE_ARRAYS = 16
MEMORY_SHARE = 1 / 3


@dataclass(frozen=True)
class Case:
    """One way to train one number of models.

    Attributes
    ----------
    way
        A key of `WAYS`.
    size
        The number of models, in that way's terms.
    activations
        All of them are trained in a run.
    work
        The models of one activation.
    compile_s
        Seconds that compilation took, all activations together.
    run
        Trains everything once and returns the seconds it took, compilation excluded.
    """

    way: str
    size: str
    activations: tuple[str, ...]
    work: Work
    compile_s: float
    run: Callable[[], float]

    @property
    def models(self) -> int:
        """Number of models trained in a run."""
        return len(self.activations) * self.work.models

    @property
    def model_steps(self) -> int:
        """Optimizer steps taken in a run, summed over models."""
        return self.models * self.work.steps


def find_ways(wanted: tuple[str, ...], platform: str) -> tuple[dict[str, Prepare], dict[str, str]]:
    """Find the baselines that can run on this machine.

    Parameters
    ----------
    wanted
        Keys of `WAYS`.
    platform
        cpu, gpu or tpu.

    Returns
    -------
    tuple[dict[str, Prepare], dict[str, str]]
        The `prepare` function of each baseline that can run, and why the others cannot.
    """
    prepares: dict[str, Prepare] = {"plain": prepare_plain, "loop": prepare_loop}
    missing: dict[str, str] = {}
    try:
        torch_ways = importlib.import_module("helpers.baseline_torch")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        missing = dict.fromkeys(TORCH_WAYS, "PyTorch is not installed")
    else:
        device, reason = torch_ways.torch_device(platform)
        if device is None:
            missing = dict.fromkeys(TORCH_WAYS, reason)
        else:
            prepare = {"torch": torch_ways.prepare_torch, "compiled": torch_ways.prepare_compiled}
            prepares |= {w: functools.partial(prepare[w], device=device) for w in TORCH_WAYS}
    prepares = {way: prepares[way] for way in wanted if way in prepares}
    return prepares, {way: reason for way, reason in missing.items() if way in wanted}


def baseline_cases(
    way: str, prepare: Prepare, activations: tuple[str, ...], works: dict[str, Work]
) -> list[Case]:
    """Prepare and warm up the cases of a baseline, one activation after another.

    Parameters
    ----------
    way
        The key of the baseline.
    prepare
        Its `prepare` function.
    activations
        Names.
    works
        Size as text -> the models of one activation.

    Returns
    -------
    list[Case]
        A case for each of `works`.
    """
    cases = []
    for size, work in works.items():
        prepared = [prepare(activation, work) for activation in activations]
        runs = [run for run, _ in prepared]
        timed = functools.partial(_seconds, runs)
        timed()
        cases.append(Case(way, size, activations, work, sum(s for _, s in prepared), timed))
    return cases


def _seconds(runs: list[Run]) -> float:
    """Return the seconds that the runs take, one after another."""
    started = time.perf_counter()
    for run in runs:
        run()
    return time.perf_counter() - started


def jsuper_cases(
    activations: tuple[str, ...], works: dict[str, Work], way: str = "jsuper"
) -> list[Case]:
    """Warm up the cases of jsuper: all activations are one sweep.

    The time is that of `jsuper.run` up to the last step of the last worker, without the evaluation
    of models finished by then, since the other ways evaluate nothing.

    Parameters
    ----------
    activations
        Names.
    works
        Size as text -> the models of one activation.
    way
        A key of `BATCHINGS`.
    """
    cases = []
    for size, work in works.items():

        def timed(work: Work = work) -> float:
            _, timing = train_jsuper(activations, work, BATCHINGS[way])
            return timing["trained_s"]

        _, timing = train_jsuper(activations, work, BATCHINGS[way])
        cases.append(Case(way, size, activations, work, timing["compile_s"], timed))
    return cases


def train_jsuper(
    activations: tuple[str, ...], work: Work, batching: str = "auto"
) -> tuple[dict[str, Weights], dict[str, Any]]:
    """Train a grid with jsuper.

    Parameters
    ----------
    activations
        Names.
    work
        The models of each activation.
    batching
        Of jsuper's plan.

    Returns
    -------
    tuple[dict[str, Weights], dict[str, Any]]
        The weights of each activation, models in the order of `work`, and jsuper's own times.
    """
    # Imported here so that the baselines can be measured without it.
    jsuper = importlib.import_module("jsuper")
    sweep = jsuper.Sweep(
        activation=activations,
        sparsity=work.sparsities,
        seeds=work.seeds,
        steps=work.steps,
        n_features=work.n_features,
        n_hidden=work.n_hidden,
        batch_size=work.batch,
        # The loss curve's default density, also in short runs.
        records=max(1, work.steps // 100),
    )
    plan = importlib.import_module("jsuper.engine.devices").make_plan(batching=batching)
    ds = jsuper.run(sweep, progress=False, plan=plan)
    models = ("activation", "sparsity", "seed")
    W = ds["W"].transpose(*models, "hidden", "feature").to_numpy()
    b = ds["b"].transpose(*models, "feature").to_numpy()
    weights = {
        name: (_stack_models(W[index]), _stack_models(b[index]))
        for index, name in enumerate(activations)
    }
    return weights, json.loads(ds.attrs["timing"])


def _stack_models(values: np.ndarray) -> np.ndarray:
    """Return the (sparsity, seed, ...) array as (models, ...)."""
    return values.reshape(-1, *values.shape[2:])


def works_by_instances(
    way: str, instances: tuple[int, ...], shape: Work, platform: str
) -> dict[str, Work]:
    """Return the work of one activation for numbers of stacked instances (PyTorch's sizes).

    The instances go through the sparsities of the grid in turn.
    """
    return {
        f"{count} instance" + "s" * (count > 1): replace(
            shape,
            sparsities=tuple(islice(cycle(shape.sparsities), count)),
            steps=_steps(way, count * _relative_cost(shape), platform),
        )
        for count in instances
    }


def works_by_seeds(way: str, seeds: tuple[int, ...], shape: Work, platform: str) -> dict[str, Work]:
    """Return the work of one activation for numbers of random seeds (the sizes in JAX)."""
    share = len(shape.sparsities) / len(GRID_SPARSITIES)
    return {
        f"{count} seed" + "s" * (count > 1): replace(
            shape, seeds=count, steps=_steps(way, count * share * _relative_cost(shape), platform)
        )
        for count in seeds
    }


def fitting(works: dict[str, Work], memory: int | None) -> dict[str, Work]:
    """Return the works that fit into a device's memory.

    Parameters
    ----------
    works
        Size as text -> the models of one activation.
    memory
        Bytes that JAX may use; None means no limit.
    """
    if memory is None:
        return works
    largest = MEMORY_SHARE * memory / LIVE_ARRAYS
    return {size: work for size, work in works.items() if work.batch_bytes <= largest}


def _relative_cost(shape: Work) -> float:
    """Return the approximate cost of a model, in models with n = 20, m = 5."""
    return min(max(shape.n_features * shape.n_hidden / 100, 0.02), 10.0)


def _steps(way: str, cost: float, platform: str) -> int:
    """Return the number of steps: fewer for more or larger models, whose step costs `cost`."""
    fewest = FEWEST_STEPS
    if platform != "cpu":
        fewest = FEWEST_ON_ACCELERATOR.get(way, FEWEST_OF_OTHERS)
    return max(fewest, round(STEPS[way] / cost))
