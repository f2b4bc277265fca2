"""The program of one model."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jsuper.core.status import NON_FINITE, OK
from jsuper.training.loop import Train


class Static(NamedTuple):
    length: int
    steps: int
    dtype: str


class Setting(NamedTuple):
    rate: jax.Array
    scale: jax.Array


def make_static(values, parts, batching):
    return Static(values["length"], values["steps"], values["dtype"])


def make_setting(static, point):
    numbers = point.get("rate", 0.1), point.get("scale", 1.0)
    return Setting(*np.asarray(numbers, static.dtype))


def make_train(static, sequential):
    def init(setting, key):
        return setting.scale * jax.random.normal(key, (static.length,), static.dtype)

    def advance(x, setting, key, start, n):
        def step(i, x):
            return jnp.where(start + i < static.steps, x - setting.rate * x, x)

        return jax.lax.fori_loop(0, n, step, x)

    def finish(x, setting, key):
        status = jnp.where(jnp.isfinite(x).all(), OK, NON_FINITE).astype(jnp.int8)
        size = jnp.linalg.norm(x)
        return {"final": x, "size": size, "status": status, "first_bad_step": jnp.int32(-1)}

    return Train(init, advance, finish, static.steps)
