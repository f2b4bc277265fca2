"""The speed of jsuper on laws of the data, compared with the default law in the same round."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import jsuper
from jsuper.core.grid import n_models

from .timing import in_turns, ratios

SPARSITIES = (0.7, 0.9, 0.97, 0.99, 0.997, 0.999)  # exclusive pairs need 0.5 or more
ALONE = (0.9,)  # the only sparsity of exactly(2) with 20 features


@dataclass(frozen=True)
class Law:
    """A law of the data, on sparsities of which the default law is timed too."""

    fields: dict[str, Any]
    sparsities: tuple[float, ...] = SPARSITIES


LAWS = {
    "independent": Law({}),
    "independent, sparsity 0.9": Law({}, ALONE),
    "pairs(0.5)": Law({"support": "pairs(0.5)"}),
    "pairs(1)": Law({"support": "pairs(1)"}),
    "exclusive(2)": Law({"support": "exclusive(2)"}),
    "hierarchy(2, 0.5)": Law({"support": "hierarchy(2, 0.5)"}),
    "shared": Law({"support": "shared"}),
    "exactly(2)": Law({"support": "exactly(2)"}, ALONE),
    "density_power 0.5": Law({"density_power": 0.5}),
    "signed": Law({"values": "signed"}),
    "binary": Law({"values": "binary"}),
    "normal": Law({"values": "normal"}),
    "half_normal": Law({"values": "half_normal"}),
    "exponential": Law({"values": "exponential"}),
}


def measure_laws(activations: tuple[str, ...], rounds: int, steps: int) -> dict[str, Any]:
    """Train a grid of two seeds on every law in turns.

    Parameters
    ----------
    activations
        Names.
    rounds
        Turns of each law.
    steps
        Steps of a model, where the law has all sparsities; more where it has one.

    Returns
    -------
    dict[str, Any]
        Law -> its model-steps/s by round, and its ratios to the default law's.
    """
    runs: dict[str, Callable[[], float]] = {}
    for name, law in LAWS.items():
        print(f"warming up: {name}", flush=True)
        longer = steps * len(SPARSITIES) // len(law.sparsities)
        runs[name] = _timed(law, activations, longer)
        runs[name]()
    found = in_turns(runs, rounds)
    result = {}
    for name, rates in found.items():
        default = "independent, sparsity 0.9" if LAWS[name].sparsities == ALONE else "independent"
        compared = ratios(rates, found[default])
        result[name] = {"median": median(rates), "model_steps_per_s": rates, "ratio": compared}
    return result


def _timed(law: Law, activations: tuple[str, ...], steps: int) -> Callable[[], float]:
    """Return a function that trains the grid and returns its model-steps/s."""
    sweep = jsuper.Sweep(
        activation=activations,
        sparsity=law.sparsities,
        seeds=2,
        steps=steps,
        records=max(1, steps // 100),  # as by default
        **law.fields,
    )

    def speed() -> float:
        timing = json.loads(jsuper.run(sweep, progress=False).attrs["timing"])
        return n_models(sweep) * steps / timing["trained_s"]

    return speed


def print_laws(laws: dict[str, Any]) -> None:
    """Print the table."""
    print(f"\n{'law':<28}{'model-steps/s':>15}{'of the default law':>22}{'rounds':>14}")
    for name, found in laws.items():
        rounds = found["ratio"]["rounds"]
        spread = f"{min(rounds):.2f}-{max(rounds):.2f}"
        print(f"{name:<28}{found['median']:>15,.0f}{found['ratio']['median']:>22.2f}{spread:>14}")
