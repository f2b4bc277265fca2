"""The initial parameters of a named start, or of stored weights. `starts` has their definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.models.toy.config import Setting, Static
from jsuper.models.toy.layout import COLUMNS
from jsuper.models.toy.model import Params
from jsuper.models.toy.results import moments_of
from jsuper.models.toy.starts import RANDOM, kgon_of
from jsuper.training import keys

ROUNDS = 16  # of COLUMNS samples, on which the covariance of `pca` is measured


def started(static: Static, setting: Setting, params: Params, key: Array) -> Params:
    """Return the initial parameters, given random ones.

    Parameters
    ----------
    static, setting
        The model.
    params
        Random initial parameters.
    key
        The key of the seed.
    """
    if static.start == RANDOM:
        return params
    if not isinstance(static.start, str):
        return _stored(setting, params, key)
    m, n = params.W.shape
    b = jnp.zeros_like(params.b)
    if static.start == "pca":
        W, b = _leading(static, setting, key)
    elif kgon := kgon_of(static.start):
        corners, radius, scale = kgon
        W = jnp.asarray(polygon(corners, radius, m, n), params.W.dtype)
        if scale:
            noise = scale * keys.normal(keys.stream(key, keys.START), (m + 1, n))
            W, b = W + noise[:m].astype(W.dtype), b + noise[m].astype(b.dtype) * static.bias
    else:
        W = jnp.eye(m, n, dtype=params.W.dtype) * (static.start == "identity")
    return _completed(params, {"W": W, "b": b})


def polygon(corners: int, radius: float, m: int, n: int) -> np.ndarray:
    """Return W (m, n) with the first columns at the corners of a regular polygon."""
    angles = 2 * np.pi * np.arange(corners) / corners
    W = np.zeros((m, n))
    W[:2, :corners] = radius * np.stack([np.cos(angles), np.sin(angles)])
    return W


def _completed(params: Params, given: Mapping[str, Array]) -> Params:
    """Return parameters with those of a start; others follow from W, or stay as they are."""
    others = {"b": jnp.zeros_like(params.b)}
    if params.W_dec is not None:
        others["W_dec"] = given["W"]
    if params.b_hidden is not None:
        others["b_hidden"] = jnp.zeros_like(params.b_hidden)
    return params._replace(**others | dict(given))


def _leading(static: Static, setting: Setting, key: Array) -> tuple[Array, Array]:
    """Return W and b of the best linear model: the leading directions of √I_i x_i."""
    n, inputs = static.n_features, static.inputs

    def moments(i: Array) -> tuple[Array, Array, Array]:
        draws = inputs.nonzero_draws(keys.stream(key, keys.MOMENTS, i), n, COLUMNS)
        x, chance = inputs.nonzero(draws, setting.law)
        return x.mean(axis=1), jnp.matmul(x, x.T, precision="highest") / COLUMNS, chance

    mean, square, chance = jax.tree.map(
        lambda a: a.mean(axis=0), jax.lax.map(moments, jnp.arange(ROUNDS))
    )
    mean = chance * mean
    scale = jnp.sqrt(setting.importance)
    covariance = scale[:, None] * (chance * square - jnp.outer(mean, mean)) * scale
    _, directions = jnp.linalg.eigh(covariance)
    W = jnp.zeros((static.n_hidden, n), mean.dtype)
    some = min(static.n_hidden, n)
    W = W.at[:some].set(directions[:, ::-1][:, :some].T)
    return W, mean - W.T @ (W @ mean)


def resumed(static: Static, setting: Setting, opt_state: Any, key: Array) -> Any:
    """Return the optimizer's state of a continued run: its moments, and the steps it has taken."""
    if not static.first_step:
        return opt_state
    found = _of_seed(setting, key)
    wanted = [name for name in Params._fields if name in found]
    kept = [found[f"{kind}_{name}"] for kind in moments_of(static.optimizer) for name in wanted]
    leaves, tree = jax.tree.flatten(opt_state)
    floats = iter(kept)
    count = static.first_step
    new = [
        next(floats) if jnp.issubdtype(a.dtype, jnp.inexact) else jnp.full_like(a, count)
        for a in leaves
    ]
    return jax.tree.unflatten(tree, new)


def recorded_before(
    static: Static, setting: Setting, key: Array, name: str, empty: Array, steps: np.ndarray
) -> Array:
    """Return an array with steps in front, in which those before `first_step` are the start's."""
    if not static.first_step:
        return empty
    before = _of_seed(setting, key).get(name)
    if before is None:
        return empty
    count = int((steps < static.first_step).sum())
    return empty.at[:count].set(before[:count])


class Weights(NamedTuple):
    """The traced weights of a start: for each of some seeds, or the same for all."""

    keys: Any  # data of the seeds' keys, (seeds, 2); (0, 2) if one model is the start of all
    arrays: dict[str, Any]  # with a leading axis of seeds, or of length 1


def stored_start(static: Static, point: Mapping[str, Any]) -> Weights:
    """Return the weights that a setting starts from, as NumPy arrays; 0 if the point has none."""
    stored: Any = static.start
    seeds = range(stored.seeds)
    arrays = {k: np.zeros((max(stored.seeds, 1), *shape)) for k, shape in stored.shapes}
    if "start" in point:
        seeds, arrays = point["start"].of_setting(point)
    of_seeds = [np.asarray(jax.random.key_data(keys.seed_key(seed))) for seed in seeds]
    given = {k: a.astype(static.dtype) for k, a in arrays.items()}
    return Weights(np.array(of_seeds, np.uint32).reshape(-1, 2), given)


def _of_seed(setting: Setting, key: Array) -> dict[str, Array]:
    """Return the arrays that a model starts from."""
    found = setting.start
    index = jnp.int32(0)
    if len(found.keys):
        index = jnp.argmax(jnp.all(found.keys == jax.random.key_data(key), axis=-1))
    return {k: a[index] for k, a in found.arrays.items()}


def _stored(setting: Setting, params: Params, key: Array) -> Params:
    found = _of_seed(setting, key)
    return _completed(params, {k: a for k, a in found.items() if k in Params._fields})
