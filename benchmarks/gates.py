"""Whether random gates and gated decoders slow the other members of a sweep, and what they take.

    python benchmarks/gates.py        # a few minutes

The 27 activations are trained alone, the gates alone, and all in one sweep, in turn. If nothing
slows anything, the time of the whole is the sum of the parts' times.
"""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path

import tyro
from timing import describe_machine, write_json

import jsuper
from jsuper.models.toy.activations.names import ACTIVATIONS, GATED, STOCHASTIC

RESULTS = Path(__file__).parent / "results"
RANDOM = tuple(f"{a}(0.5)" if a == "relu_stochastic" else a for a in STOCHASTIC)
PARTS = {
    "the 27 activations": ACTIVATIONS,
    "random gates": RANDOM,
    "gated decoders": GATED,
    "all in one sweep": (*ACTIVATIONS, *RANDOM, *GATED),
}


@dataclass(frozen=True)
class Options:
    """Time sweeps with and without gates.

    Attributes
    ----------
    steps
        Of every model.
    seeds
        Of every setting.
    rounds
        Medians are over so many.
    """

    steps: int = 2000
    seeds: int = 4
    rounds: int = 3


def trained(activations: tuple[str, ...], options: Options) -> tuple[float, int]:
    """Seconds of training without evaluation, and model-steps."""
    sweep = jsuper.Sweep(activation=activations, seeds=options.seeds, steps=options.steps)
    timing = json.loads(jsuper.run(sweep, progress=False).attrs["timing"])
    return timing["trained_s"], int(timing["model_steps"])


def main() -> None:
    """Measure, print and write."""
    options = tyro.cli(Options)
    for activations in PARTS.values():  # compiles
        trained(activations, options)
    rounds = [
        {name: trained(a, options) for name, a in PARTS.items()} for _ in range(options.rounds)
    ]
    report = describe_machine("cpu") | {"options": vars(options), "parts": {}}
    for name in PARTS:
        rates = [r[name][1] / r[name][0] for r in rounds]
        report["parts"][name] = {
            "model_steps_per_s": statistics.median(rates),
            "seconds": statistics.median(r[name][0] for r in rounds),
        }
        print(f"{name:20} {statistics.median(rates):10,.0f} model-steps/s")
    *parts, whole = PARTS
    ratios = [r[whole][0] / sum(r[p][0] for p in parts) for r in rounds]
    report["whole_over_sum_of_parts"] = {"median": statistics.median(ratios), "rounds": ratios}
    print(f"time of the whole over that of its parts: {statistics.median(ratios):.2f}")
    path = RESULTS / "gates.json"
    write_json(path, report)
    print(path)


if __name__ == "__main__":
    main()
