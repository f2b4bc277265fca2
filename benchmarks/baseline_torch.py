"""The notebook's way to train toy models: PyTorch, eager, einsum over stacked instances."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from baselines import LEARNING_RATE, WEIGHT_DECAY, Run, Weights, Work, random_seed
from torch import Tensor

# Every function acts on (batch, instance, feature): the softmax family normalises over features.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "selu": F.selu,
    "celu": F.celu,
    "elu": F.elu,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
    "hardsigmoid": F.hardsigmoid,
    "silu": F.silu,
    "hardswish": F.hardswish,
    "mish": F.mish,
    "softplus": F.softplus,
    "tanh": torch.tanh,
    "hardtanh": F.hardtanh,
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "tanhshrink": F.tanhshrink,
    "softsign": F.softsign,
    "relu6": F.relu6,
    "relu_squared": lambda z: F.relu(z).square(),
    "log_sigmoid": F.logsigmoid,
    "exp": torch.exp,
    "exp_linear": lambda z: z * torch.exp(z),
    "softmax": lambda z: F.softmax(z, dim=-1),
    "softmin": lambda z: F.softmin(z, dim=-1),
    "log_softmax": lambda z: F.log_softmax(z, dim=-1),
    "solu": lambda z: z * F.softmax(z, dim=-1),
}


def torch_device(platform: str) -> tuple[torch.device | None, str]:
    """Returns the torch device for a JAX platform, or None and why there is none."""
    # Plain float32 products on every device, as in the other ways.
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    if platform == "cpu":
        return torch.device("cpu"), ""
    if platform == "gpu" and torch.cuda.is_available():
        return torch.device("cuda"), ""
    return None, f"this PyTorch ({torch.__version__}) has no {platform} device"


def prepare_torch(activation: str, work: Work, device: torch.device) -> tuple[Run, float]:
    """The notebook's way, for one activation.

    Args:
        activation: a key of `ACTIVATIONS`.
        work: the models to train, stacked as instances.
        device: where to train.

    Returns:
        The run, and 0.0: eager code compiles nothing.
    """
    act = ACTIVATIONS[activation]
    n, m = work.n_features, work.n_hidden
    p = torch.as_tensor(work.probabilities, device=device)[:, None]
    importance = torch.as_tensor(work.importance, device=device)
    zero = torch.zeros((), device=device)
    shape = (work.batch, work.models, n)

    def run() -> Weights:
        torch.manual_seed(random_seed(activation))
        W = (work.init_std * torch.randn(work.models, n, m, device=device)).requires_grad_()
        b = torch.zeros(work.models, n, device=device, requires_grad=True)
        optimizer = torch.optim.AdamW([W, b], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        for _ in range(work.steps):
            optimizer.zero_grad(set_to_none=True)
            values = torch.rand(shape, device=device)
            x = torch.where(torch.rand(shape, device=device) <= p, values, zero)
            h = torch.einsum("...if,ifh->...ih", x, W)
            x_hat = act(torch.einsum("...ih,ifh->...if", h, W) + b)
            # The mean over batch and features, then the sum over instances.
            (importance * (x - x_hat) ** 2).mean(dim=(0, 2)).sum().backward()
            optimizer.step()
        # Copying to the host waits for the device.
        return W.detach().cpu().numpy().transpose(0, 2, 1), b.detach().cpu().numpy()

    return run, 0.0
