"""The two JAX baselines of the throughput benchmark, and what all its ways share.

`prepare_plain` is what a JAX user writes first: one jitted, vmapped training loop per activation,
with different draws for each model. `prepare_loop` works like the public JAX ports of the toy-model
notebook: a Python loop over a jitted step, with the batch made outside of it.

A way to train is a function `prepare(activation, work) -> (run, compile_s)`: `run()` trains all
models of `work` from fresh weights, waits for the device, and returns W with shape
(models, n_hidden, n_features) and b with shape (models, n_features). Nothing here imports jsuper.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

GRID_SPARSITIES = (0.0, 0.7, 0.9, 0.97, 0.99, 0.997, 0.999)
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01
IMPORTANCE_DECAY = 0.7


class NotMeasuredError(Exception):
    """A way cannot run on this machine; the message is the reason, on one line."""


Weights = tuple[np.ndarray, np.ndarray]
Run = Callable[[], Weights]

# Applied to batches whose last axis is the feature.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "selu": jax.nn.selu,
    "celu": jax.nn.celu,
    "elu": jax.nn.elu,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "sigmoid": jax.nn.sigmoid,
    "hardsigmoid": jax.nn.hard_sigmoid,
    "silu": jax.nn.silu,
    "hardswish": jax.nn.hard_swish,
    "mish": lambda z: z * jnp.tanh(jax.nn.softplus(z)),
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
    "hardtanh": jax.nn.hard_tanh,
    "hardshrink": lambda z: jnp.where(jnp.abs(z) > 0.5, z, 0.0),
    "softshrink": lambda z: jnp.sign(z) * jax.nn.relu(jnp.abs(z) - 0.5),
    "tanhshrink": lambda z: z - jnp.tanh(z),
    "softsign": jax.nn.soft_sign,
    "relu6": jax.nn.relu6,
    "relu_squared": lambda z: jnp.square(jax.nn.relu(z)),
    "log_sigmoid": jax.nn.log_sigmoid,
    "exp": jnp.exp,
    "exp_linear": lambda z: z * jnp.exp(z),
    "softmax": lambda z: jax.nn.softmax(z, axis=-1),
    "softmin": lambda z: jax.nn.softmax(-z, axis=-1),
    "log_softmax": lambda z: jax.nn.log_softmax(z, axis=-1),
    "solu": lambda z: z * jax.nn.softmax(z, axis=-1),
}


@dataclass(frozen=True)
class Work:
    """The models of one activation: one for each sparsity and random seed, in that order.

    Attributes
    ----------
    steps
        Optimizer steps of each model.
    sparsities
        P(feature == 0), each in [0, 1).
    seeds
        Number of models for each sparsity.
    n_features
        n.
    n_hidden
        m.
    batch
        Samples in a step; every model and step draws new ones.
    """

    steps: int
    sparsities: tuple[float, ...] = GRID_SPARSITIES
    seeds: int = 1
    n_features: int = 20
    n_hidden: int = 5
    batch: int = 1024

    @property
    def models(self) -> int:
        """Number of models."""
        return len(self.sparsities) * self.seeds

    @property
    def batch_bytes(self) -> int:
        """Bytes of one step's batches, in float32."""
        return 4 * self.models * self.batch * self.n_features

    @property
    def probabilities(self) -> np.ndarray:
        """P(feature != 0) of each model, shape (models,)."""
        return np.repeat(1.0 - np.array(self.sparsities, np.float32), self.seeds)

    @property
    def importance(self) -> np.ndarray:
        """Weight of each feature in the loss, shape (n_features,)."""
        return (IMPORTANCE_DECAY ** np.arange(self.n_features)).astype(np.float32)

    @property
    def init_std(self) -> float:
        """Standard deviation of the initial weights (Xavier normal)."""
        return (2.0 / (self.n_features + self.n_hidden)) ** 0.5


def random_seed(activation: str) -> int:
    """Return a seed that differs for each activation, so that their draws are independent."""
    return list(ACTIVATIONS).index(activation)


def prepare_plain(activation: str, work: Work) -> tuple[Run, float]:
    """Compile `jit(vmap(train))` for one activation.

    Parameters
    ----------
    activation
        A key of `ACTIVATIONS`.
    work
        The models to train.

    Returns
    -------
    tuple[Run, float]
        The compiled run, and the seconds that compilation took.
    """
    train = jax.vmap(_make_train(ACTIVATIONS[activation], work))
    keys = jax.random.split(jax.random.key(random_seed(activation)), work.models)
    arguments = (keys, jnp.asarray(work.probabilities))

    started = time.perf_counter()
    compiled = jax.jit(train).lower(*arguments).compile()
    compile_s = time.perf_counter() - started

    def run() -> Weights:
        W, b = jax.block_until_ready(compiled(*arguments))
        return np.asarray(W), np.asarray(b)

    return run, compile_s


def _make_train(act: Callable[[Array], Array], work: Work) -> Callable[[Array, Array], Any]:
    """Return `train(key, p) -> (W, b)` of one model."""
    optimizer = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    importance = jnp.asarray(work.importance)
    n, m = work.n_features, work.n_hidden

    def loss_fn(params: tuple[Array, Array], x: Array) -> Array:
        W, b = params
        return jnp.mean(importance * (x - act(x @ W.T @ W + b)) ** 2)

    def train(key: Array, p: Array) -> Any:
        init_key, data_key = jax.random.split(key)
        params = (work.init_std * jax.random.normal(init_key, (m, n)), jnp.zeros(n))

        def step(carry, step_key: Array):
            params, opt_state = carry
            mask_key, value_key = jax.random.split(step_key)
            active = jax.random.bernoulli(mask_key, p, (work.batch, n))
            x = jnp.where(active, jax.random.uniform(value_key, (work.batch, n)), 0.0)
            grads = jax.grad(loss_fn)(params, x)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), None

        step_keys = jax.random.split(data_key, work.steps)
        (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), step_keys)
        return params

    return train


def prepare_loop(activation: str, work: Work) -> tuple[Run, float]:
    """Compile the step of a Python loop over stacked instances, for one activation.

    As in the JAX ports, separate unjitted calls make the batch before each step.

    Parameters
    ----------
    activation
        A key of `ACTIVATIONS`.
    work
        The models to train.

    Returns
    -------
    tuple[Run, float]
        The run, and the seconds that compiling the step took.
    """
    act = ACTIVATIONS[activation]
    optimizer = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    importance, p = jnp.asarray(work.importance), jnp.asarray(work.probabilities)[:, None]
    shape = (work.batch, work.models, work.n_features)

    def loss_fn(params: tuple[Array, Array], x: Array) -> Array:
        W, b = params
        h = jnp.einsum("...if,ifh->...ih", x, W)
        x_hat = act(jnp.einsum("...ih,ifh->...if", h, W) + b)
        return jnp.mean(importance * (x - x_hat) ** 2, axis=(0, 2)).sum()

    def step(params, opt_state, x: Array):
        loss, grads = jax.value_and_grad(loss_fn)(params, x)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    def fresh(key: Array):
        W = work.init_std * jax.random.normal(key, (work.models, work.n_features, work.n_hidden))
        params = (W, jnp.zeros((work.models, work.n_features)))
        return params, optimizer.init(params)

    started = time.perf_counter()
    compiled = jax.jit(step).lower(*fresh(jax.random.key(0)), jnp.zeros(shape)).compile()
    compile_s = time.perf_counter() - started

    def run() -> Weights:
        key, init_key = jax.random.split(jax.random.key(random_seed(activation)))
        params, opt_state = fresh(init_key)
        for _ in range(work.steps):
            key, value_key, mask_key = jax.random.split(key, 3)
            values = jax.random.uniform(value_key, shape)
            x = jnp.where(jax.random.uniform(mask_key, shape) <= p, values, 0.0)
            params, opt_state, _ = compiled(params, opt_state, x)
        W, b = jax.block_until_ready(params)
        return np.asarray(W).transpose(0, 2, 1), np.asarray(b)

    return run, compile_s
