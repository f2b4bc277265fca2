"""Train the toy models of parameter decomposition in PyTorch, for comparison with the presets.

The presets tms_5_2 and tms_40_10 have the configuration of the code that their source names. (With
`_id`, an identity that is not trained changes nothing.) Here it is written with nn.Parameter,
autograd and torch.optim.AdamW, on draws of PyTorch's own. Writes results/decomposition-torch.json:
the final loss of every seed on 2 million samples. Needs torch.

    python benchmarks/decomposition.py
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.decomposition_torch import VERSION, trained
from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, write_json

from jsuper import presets

NAMES = ("tms_5_2", "tms_40_10")


@dataclass(frozen=True)
class Options:
    """Options of the benchmark."""

    names: tuple[str, ...] = NAMES
    """presets"""
    seeds: int = 5
    """models of each"""
    steps: int = 10_000
    """steps, which the presets have too"""
    out: Path = RESULTS
    """folder of the results"""


def main() -> None:
    """Train, print and write."""
    options, report = read_options(Options), {}
    for name in options.names:
        defaults = {"init_bias_scale": 0.0}
        fields: dict[str, Any] = defaults | presets.load(name).sweep | {"steps": options.steps}
        losses = [trained(fields, seed) for seed in range(options.seeds)]
        report[name] = {"loss": sorted(losses)}
        print(name, *(f"{loss:.6f}" for loss in sorted(losses)), flush=True)
    machine = describe_machine("cpu") | {"torch": VERSION}
    write_json(options.out / "decomposition-torch.json", machine | {"models": report})


if __name__ == "__main__":
    main()
