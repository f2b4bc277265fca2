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

import torch
from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, write_json

from jsuper import presets

NAMES = ("tms_5_2", "tms_40_10")
SAMPLES, BLOCK = 2**21, 2**14
BETAS, WEIGHT_DECAY = (0.9, 0.999), 0.01


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


def samples(count: int, n: int, density: float, draws: torch.Generator) -> torch.Tensor:
    """Return samples (count, n): uniform on [0, 1] with probability `density`, else 0."""
    active = torch.rand(count, n, generator=draws) < density
    return active * torch.rand(count, n, generator=draws)


def trained(fields: dict[str, Any], seed: int) -> float:
    """Return the final loss of one model."""
    n, m, density = fields["n_features"], fields["n_hidden"], 1 - fields["sparsity"]
    draws = torch.Generator().manual_seed(seed)
    W = torch.nn.Parameter(fields["init_scale"] * torch.randn(m, n, generator=draws))
    b = torch.nn.Parameter(fields["init_bias_scale"] * torch.randn(n, generator=draws))
    optimizer = torch.optim.AdamW([W, b], fields["learning_rate"], BETAS, weight_decay=WEIGHT_DECAY)

    def error(x: torch.Tensor) -> torch.Tensor:
        return ((torch.relu(x @ W.T @ W + b) - x) ** 2).mean()

    for _ in range(fields["steps"]):
        optimizer.zero_grad()
        error(samples(fields["batch_size"], n, density, draws)).backward()
        optimizer.step()
    with torch.no_grad():
        found = [error(samples(BLOCK, n, density, draws)) for _ in range(SAMPLES // BLOCK)]
    return float(torch.stack(found).double().mean())


def main() -> None:
    """Train, print and write."""
    options, report = read_options(Options), {}
    for name in options.names:
        defaults = {"init_bias_scale": 0.0}
        fields: dict[str, Any] = defaults | presets.load(name).sweep | {"steps": options.steps}
        losses = [trained(fields, seed) for seed in range(options.seeds)]
        report[name] = {"loss": sorted(losses)}
        print(name, *(f"{loss:.6f}" for loss in sorted(losses)), flush=True)
    machine = describe_machine("cpu") | {"torch": torch.__version__}
    write_json(options.out / "decomposition-torch.json", machine | {"models": report})


if __name__ == "__main__":
    main()
