"""The program of the family."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jsuper.training.loop import Train


@dataclass(frozen=True)
class Static:
    length: int
    steps: int
    dtype: str


@struct.dataclass
class Setting:
    rate: jax.Array
    scale: jax.Array


def make_static(values, parts, batching="vmapped"):
    return Static(values["length"], values["steps"], values["dtype"])


def make_setting(static, point):
    return Setting(np.float32(point.get("rate", 0.1)), np.float32(point.get("scale", 1.0)))


def make_train(static, sequential=False):
    def init(setting, key):
        return setting.scale * jax.random.normal(key, (static.length,))

    def advance(x, setting, key, start, n):
        def step(i, x):
            return jnp.where(start + i < static.steps, x - setting.rate * x, x)

        return jax.lax.fori_loop(0, n, step, x)

    def finish(x, setting, key):
        fine = jnp.isfinite(x).all()
        return {
            "final": x,
            "size": jnp.linalg.norm(x),
            "status": jnp.where(fine, 1, 2).astype(jnp.int8),
            "first_bad_step": jnp.int32(-1),
        }

    return Train(init, advance, finish, static.steps)
