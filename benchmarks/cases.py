"""What the throughput benchmark times: each way to train, at several numbers of models."""

import functools
import importlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

import numpy as np
from baselines import GRID_SPARSITIES, Run, Weights, Work, prepare_loop, prepare_plain

WAYS = {
    "torch": "PyTorch eager, einsum over instances",
    "plain": "jit(vmap(train)), one per activation",
    "loop": "Python loop over a jitted step",
    "jsuper": "jsuper",
}
Prepare = Callable[[str, Work], tuple[Run, float]]

# Steps of the smallest case of each way. More models take fewer steps, so that every case lasts
# some seconds on a CPU; the figure reported is per model-step.
STEPS = {"torch": 200, "plain": 100, "loop": 100, "jsuper": 2000}
FEWEST_STEPS = 10


@dataclass(frozen=True)
class Case:
    """One way to train one number of models.

    Attributes:
        way: a key of `WAYS`.
        size: the number of models, in the words of that way.
        activations: all of them are trained in a run.
        work: the models of one activation.
        compile_s: seconds that compilation took, all activations together.
        run: trains everything once and returns the seconds it took, compilation excluded.
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
    """Finds the baselines that can run here.

    Args:
        wanted: keys of `WAYS`.
        platform: cpu, gpu or tpu.

    Returns:
        The `prepare` function of each baseline that can run, and why the others cannot.
    """
    prepares: dict[str, Prepare] = {"plain": prepare_plain, "loop": prepare_loop}
    missing = {}
    try:
        torch_way = importlib.import_module("baseline_torch")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        missing["torch"] = "PyTorch is not installed"
    else:
        device, reason = torch_way.torch_device(platform)
        if device is None:
            missing["torch"] = reason
        else:
            prepares["torch"] = functools.partial(torch_way.prepare_torch, device=device)
    prepares = {way: prepares[way] for way in wanted if way in prepares}
    return prepares, {way: reason for way, reason in missing.items() if way in wanted}


def baseline_cases(
    way: str, prepare: Prepare, activations: tuple[str, ...], works: dict[str, Work]
) -> list[Case]:
    """Prepares and warms up the cases of a baseline, one activation after another.

    Args:
        way: the key of the baseline.
        prepare: its function.
        activations: names.
        works: size in words -> the models of one activation.

    Returns:
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
    """Returns the seconds that the runs take, one after another."""
    started = time.perf_counter()
    for run in runs:
        run()
    return time.perf_counter() - started


def jsuper_cases(activations: tuple[str, ...], works: dict[str, Work]) -> list[Case]:
    """Warms up the cases of jsuper: all activations are one sweep.

    Its time is that of the whole `jsuper.run`, less the evaluation, which the others do not have.
    """
    cases = []
    for size, work in works.items():

        def timed(work: Work = work) -> float:
            _, timing = train_jsuper(activations, work)
            return timing["wall_s"] - timing["evaluate_s"] / timing["workers"]

        _, timing = train_jsuper(activations, work)
        cases.append(Case("jsuper", size, activations, work, timing["compile_s"], timed))
    return cases


def train_jsuper(
    activations: tuple[str, ...], work: Work
) -> tuple[dict[str, Weights], dict[str, Any]]:
    """Trains a grid with jsuper.

    Args:
        activations: names.
        work: the models of each activation.

    Returns:
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
        # The default density of the loss curve, also where a benchmark's run is short.
        records=max(1, work.steps // 100),
    )
    ds = jsuper.run(sweep, progress=False)
    models = ("activation", "sparsity", "seed")
    W = ds["W"].transpose(*models, "hidden", "feature").to_numpy()
    b = ds["b"].transpose(*models, "feature").to_numpy()
    weights = {
        name: (_stack_models(W[index]), _stack_models(b[index]))
        for index, name in enumerate(activations)
    }
    return weights, json.loads(ds.attrs["timing"])


def _stack_models(values: np.ndarray) -> np.ndarray:
    """Returns the (sparsity, seed, ...) array as (models, ...)."""
    return values.reshape(-1, *values.shape[2:])


def works_by_instances(instances: tuple[int, ...], shape: Work) -> dict[str, Work]:
    """Returns the work of one activation for numbers of stacked instances (PyTorch's sizes).

    The instances go through the sparsities of the grid in turn.
    """
    return {
        f"{count} instance" + "s" * (count > 1): replace(
            shape,
            sparsities=tuple(islice(cycle(GRID_SPARSITIES), count)),
            steps=_steps("torch", count, shape),
        )
        for count in instances
    }


def works_by_seeds(way: str, seeds: tuple[int, ...], shape: Work) -> dict[str, Work]:
    """Returns the work of one activation for numbers of random seeds (the sizes in JAX)."""
    return {
        f"{count} seed" + "s" * (count > 1): replace(
            shape, seeds=count, steps=_steps(way, count, shape)
        )
        for count in seeds
    }


def _steps(way: str, count: int, shape: Work) -> int:
    """Returns fewer steps for more models and for larger ones."""
    relative_cost = shape.n_features * shape.n_hidden / 100
    return max(FEWEST_STEPS, round(STEPS[way] / count / min(max(relative_cost, 0.2), 10.0)))
