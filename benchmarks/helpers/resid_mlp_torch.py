"""Residual MLPs of the code of Braun et al. (2025) and Bushnaq et al. (2025), in PyTorch alone.

A separate program that does not import jsuper: `resid_mlp.py` runs it with a Python that has
PyTorch. It reads one JSON object with the configuration and writes one with the loss of every seed.

Model, data, loss, optimizer and schedule follow github.com/goodfire-ai/spd,
spd/experiments/resid_mlp: rows of W_E of length 1, W_U = W_E^T, torch.nn.Linear without biases,
independent features on [-1, 1], AdamW, and half a cosine that ends at 0 in the last step.
"""

import json
import math
import sys
import time

import torch
from torch import Tensor, nn

EVALUATION = 8192  # samples at once


class ResidualMLP(nn.Module):
    """n features in a stream of d dimensions, and layers that add to the stream."""

    def __init__(self, n: int, d: int, width: int, layers: int) -> None:
        super().__init__()
        rows = torch.randn(n, d)
        self.register_buffer("W_E", rows / rows.norm(dim=1, keepdim=True))
        self.read = nn.ModuleList(nn.Linear(d, width, bias=False) for _ in range(layers))
        self.write = nn.ModuleList(nn.Linear(width, d, bias=False) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        stream = x @ self.W_E
        for read, write in zip(self.read, self.write, strict=True):
            stream = stream + write(torch.relu(read(stream)))
        return stream @ self.W_E.T


def batch_of(config: dict, samples: int) -> tuple[Tensor, Tensor]:
    """Return samples x, and their labels x + ReLU(x)."""
    values = 2 * torch.rand(samples, config["n_features"]) - 1
    x = values * (torch.rand_like(values) < config["probability"])
    return x, x + torch.relu(x)


def trained(config: dict, seed: int) -> tuple[nn.Module, float]:
    """Return one model, and the seconds of its training."""
    torch.manual_seed(seed)
    width = config["n_hidden"] // config["n_layers"]
    model = ResidualMLP(config["n_features"], config["d_embed"], width, config["n_layers"])
    rate, steps = config["learning_rate"], config["steps"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=config["weight_decay"])
    began = time.perf_counter()
    for step in range(steps):
        factor = 0.5 * (1 + math.cos(math.pi * step / (steps - 1)))
        optimizer.param_groups[0]["lr"] = rate * factor
        x, labels = batch_of(config, config["batch_size"])
        optimizer.zero_grad()
        ((model(x) - labels) ** 2).mean().backward()
        optimizer.step()
    return model, time.perf_counter() - began


@torch.no_grad()
def measured(config: dict, model: nn.Module) -> tuple[float, float]:
    """Return the loss on fresh samples, and the output of a feature alone at 1, its mean."""
    losses = []
    for _ in range(-(-config["samples"] // EVALUATION)):
        x, labels = batch_of(config, EVALUATION)
        losses.append(((model(x) - labels) ** 2).mean().item())
    alone = torch.diagonal(model(torch.eye(config["n_features"]))).mean().item()
    return sum(losses) / len(losses), alone


def main() -> None:
    """Train the seeds one after another."""
    config = json.loads(sys.argv[1])
    torch.set_num_threads(config["threads"])
    found = []
    for seed in range(config["seeds"]):
        model, seconds = trained(config, seed)
        loss, alone = measured(config, model)
        found.append({"loss": loss, "response": alone, "seconds": seconds})
    print(json.dumps({"torch": torch.__version__, "models": found}))


if __name__ == "__main__":
    main()
