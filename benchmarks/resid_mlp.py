"""Compare residual MLPs of jsuper with the same configuration in PyTorch.

Writes results/resid_mlp.json. The configurations are those of the presets `resid_mlp_1` and
`resid_mlp_2`. PyTorch is an independent program, `helpers/resid_mlp_torch.py`, with its own draws,
so that means over seeds are compared: they have to agree within 5 %.

    python benchmarks/resid_mlp.py --torch-python /path/to/python/with/torch
    python benchmarks/resid_mlp.py --torch-python python3 --seeds 2 --steps 200
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, write_json

import jsuper
from jsuper import presets
from jsuper.core.family import sweep_from_dict
from jsuper.mlp import Sweep

NAMES = ("resid_mlp_1", "resid_mlp_2")
TOLERANCE = 0.05
HELPER = Path(__file__).parent / "helpers" / "resid_mlp_torch.py"


@dataclass(frozen=True)
class Options:
    """Options of the benchmark."""

    torch_python: str = sys.executable
    """a Python that has PyTorch"""
    seeds: int = 5
    """models of each configuration"""
    steps: int = 1000
    """optimizer steps; the presets have 1000"""
    samples: int = 500_000
    """on which PyTorch measures the final loss"""
    threads: int = 1
    """of PyTorch"""
    out: Path = RESULTS
    """folder of the results"""


def of_jsuper(sweep: Sweep) -> dict[str, Any]:
    """Return losses, responses and the seconds of the whole sweep, compilation included."""
    began = time.perf_counter()
    ds = jsuper.run(sweep, progress=False, platform="cpu")
    seconds = time.perf_counter() - began
    return {
        "loss": ds["loss"].values.ravel().tolist(),
        "response": ds["response"].mean("feature").values.ravel().tolist(),
        "loss_over_naive": ds["loss_over_naive"].values.ravel().tolist(),
        "seconds": seconds,
    }


def of_torch(sweep: Sweep, options: Options) -> dict[str, Any]:
    """Return the same of PyTorch; seconds are those of the training loops alone."""
    names = ("n_features", "d_embed", "n_hidden", "n_layers", "batch_size", "steps")
    config = {name: sweep.values_of(name)[0] for name in (*names, "learning_rate", "weight_decay")}
    config |= {"probability": 1 - sweep.values_of("sparsity")[0], "seeds": options.seeds}
    config |= {"samples": options.samples, "threads": options.threads}
    command = [options.torch_python, str(HELPER), json.dumps(config)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(told)
    models = found["models"]
    return {
        "torch": found["torch"],
        "loss": [one["loss"] for one in models],
        "response": [one["response"] for one in models],
        "seconds": sum(one["seconds"] for one in models),
    }


def main() -> None:
    """Train both, compare and write."""
    options = read_options(Options)
    cases = {}
    for name in NAMES:
        sweep = cast(Sweep, sweep_from_dict(presets.load(name).sweep))
        sweep = replace(sweep, seeds=options.seeds, steps=options.steps)
        ours, theirs = of_jsuper(sweep), of_torch(sweep, options)
        ratio = float(np.mean(ours["loss"]) / np.mean(theirs["loss"]))
        cases[name] = {"jsuper": ours, "torch": theirs, "loss_ratio": ratio}
        print(f"{name}: loss of jsuper / PyTorch = {ratio:.4f}", flush=True)
    report = describe_machine("cpu") | {"steps": options.steps, "seeds": options.seeds}
    write_json(options.out / "resid_mlp.json", report | {"cases": cases})
    if any(abs(case["loss_ratio"] - 1) > TOLERANCE for case in cases.values()):
        sys.exit(f"the losses differ by more than {TOLERANCE:.0%}")


if __name__ == "__main__":
    main()
