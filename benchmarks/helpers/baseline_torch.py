"""The notebook's way to train toy models: PyTorch, einsum over stacked instances.

`prepare_torch` is eager, as the notebook is. `prepare_compiled` gives torch.compile the same step
as one function with AdamW written out: on a CPU this was many times faster than a compiled step
that calls `backward()` and `optimizer.step()`, where the graph breaks.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo
import torch._inductor.config
import torch.nn.functional as F
from torch import Tensor

from .baselines import (
    LEARNING_RATE,
    WEIGHT_DECAY,
    NotMeasuredError,
    Run,
    Weights,
    Work,
    random_seed,
)

BETAS, EPSILON = (0.9, 0.999), 1e-8  # PyTorch's defaults
MANY = 10_000
REASON = 160  # characters of a compiler's message that are kept

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
    """Return the torch device for a JAX platform, or None and the reason."""
    # Plain float32 products on every device, as in the other ways.
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if platform == "cpu":
        return torch.device("cpu"), ""
    if platform == "gpu" and torch.cuda.is_available():
        return torch.device("cuda"), ""
    return None, f"this PyTorch ({torch.__version__}) has no {platform} device"


def prepare_torch(activation: str, work: Work, device: torch.device) -> tuple[Run, float]:
    """Prepare eager PyTorch, as in the notebook, for one activation.

    Parameters
    ----------
    activation
        A key of `ACTIVATIONS`.
    work
        The models to train, stacked as instances.
    device
        Where to train.

    Returns
    -------
    tuple[Run, float]
        The run, and 0.0: eager code compiles nothing.
    """
    draw, loss_fn = _draw_and_loss(activation, work, device)

    def run() -> Weights:
        W, b = (part.requires_grad_() for part in _fresh(activation, work, device))
        optimizer = torch.optim.AdamW([W, b], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        for _ in range(work.steps):
            optimizer.zero_grad(set_to_none=True)
            loss_fn(W, b, draw()).backward()
            optimizer.step()
        return _to_host(W, b)

    return run, 0.0


def prepare_compiled(activation: str, work: Work, device: torch.device) -> tuple[Run, float]:
    """Prepare torch.compile: draws, gradient and update are one compiled function.

    Parameters
    ----------
    activation
        A key of `ACTIVATIONS`.
    work
        The models to train, stacked as instances.
    device
        Where to train.

    Returns
    -------
    tuple[Run, float]
        The run, and the seconds of the first step, nearly all of which is compilation.

    Raises
    ------
    NotMeasuredError
        torch.compile does not work on this machine.
    """
    # Every activation and size is a variant of one function; beyond the limit they would fail.
    torch._dynamo.config.cache_size_limit = MANY
    torch._dynamo.config.accumulated_cache_size_limit = MANY
    # On a CPU the generator that Inductor writes itself is several times slower than PyTorch's.
    torch._inductor.config.fallback_random = device.type == "cpu"
    step = torch.compile(_one_step(activation, work, device), dynamic=False, fullgraph=True)

    def train(steps: int) -> Weights:
        W, b = _fresh(activation, work, device)
        zeros = (torch.zeros_like(W), torch.zeros_like(W), torch.zeros_like(b), torch.zeros_like(b))
        state = (W, b, *zeros, torch.ones((), device=device))
        for _ in range(steps):
            state = step(*state)
        return _to_host(state[0], state[1])

    started = time.perf_counter()
    try:
        train(1)
    except Exception as error:  # of many kinds, with the compiler's whole output
        words = " ".join(str(error).split()).split(" Set TORCHDYNAMO_VERBOSE")[0]
        raise NotMeasuredError(f"torch.compile: {words[:REASON]}") from error
    return lambda: train(work.steps), time.perf_counter() - started


def _one_step(activation: str, work: Work, device: torch.device) -> Callable[..., Any]:
    """Return `step(W, b, first and second moments of W and b, t)`, which returns their new values.

    The update is AdamW as in torch.optim; `t` counts the steps from 1.
    """
    draw, loss_fn = _draw_and_loss(activation, work, device)

    def update(param: Tensor, grad: Tensor, mean: Tensor, square: Tensor, t: Tensor) -> Any:
        mean = BETAS[0] * mean + (1 - BETAS[0]) * grad
        square = BETAS[1] * square + (1 - BETAS[1]) * grad * grad
        size = (square / (1 - BETAS[1] ** t)).sqrt() + EPSILON
        param = param * (1 - LEARNING_RATE * WEIGHT_DECAY)
        return param - LEARNING_RATE * mean / (1 - BETAS[0] ** t) / size, mean, square

    def step(
        W: Tensor, b: Tensor, W_1: Tensor, W_2: Tensor, b_1: Tensor, b_2: Tensor, t: Tensor
    ) -> Any:
        W_grad, b_grad = torch.func.grad(loss_fn, argnums=(0, 1))(W, b, draw())
        W, W_1, W_2 = update(W, W_grad, W_1, W_2, t)
        b, b_1, b_2 = update(b, b_grad, b_1, b_2, t)
        return W, b, W_1, W_2, b_1, b_2, t + 1

    return step


def _draw_and_loss(
    activation: str, work: Work, device: torch.device
) -> tuple[Callable[[], Tensor], Callable[[Tensor, Tensor, Tensor], Tensor]]:
    """Return `draw() -> x`, a fresh batch for every instance, and `loss(W, b, x)`."""
    act = ACTIVATIONS[activation]
    p = torch.as_tensor(work.probabilities, device=device)[:, None]
    importance = torch.as_tensor(work.importance, device=device)
    zero = torch.zeros((), device=device)
    shape = (work.batch, work.models, work.n_features)

    def draw() -> Tensor:
        values = torch.rand(shape, device=device)
        return torch.where(torch.rand(shape, device=device) <= p, values, zero)

    def loss_fn(W: Tensor, b: Tensor, x: Tensor) -> Tensor:
        h = torch.einsum("...if,ifh->...ih", x, W)
        x_hat = act(torch.einsum("...ih,ifh->...if", h, W) + b)
        # The mean over batch and features, then the sum over instances.
        return (importance * (x - x_hat) ** 2).mean(dim=(0, 2)).sum()

    return draw, loss_fn


def _fresh(activation: str, work: Work, device: torch.device) -> tuple[Tensor, Tensor]:
    """Seed the generator and return initial W and b."""
    torch.manual_seed(random_seed(activation))
    W = work.init_std * torch.randn(work.models, work.n_features, work.n_hidden, device=device)
    return W, torch.zeros(work.models, work.n_features, device=device)


def _to_host(W: Tensor, b: Tensor) -> Weights:
    """Return the weights as the other ways do; copying them waits for the device."""
    return W.detach().cpu().numpy().transpose(0, 2, 1), b.detach().cpu().numpy()
