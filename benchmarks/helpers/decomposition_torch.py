"""A toy model of parameter decomposition in PyTorch: nn.Parameter, autograd, torch.optim.AdamW."""

from typing import Any

import torch

VERSION = torch.__version__
SAMPLES, BLOCK = 2**21, 2**14
BETAS, WEIGHT_DECAY = (0.9, 0.999), 0.01


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
