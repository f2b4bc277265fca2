"""What the models of a seed share: the fixed matrices, and the draws of every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import Array

from jsuper.models.mlp import model
from jsuper.models.mlp.config import Static
from jsuper.models.mlp.model import Fixed
from jsuper.models.toy.batching import one_by_one, seed_by_seed


class Source(NamedTuple):
    """A seed's key, and its matrices, made once for many steps."""

    key: Array
    fixed: Fixed


def source_of(static: Static, key: Array) -> Source:
    """Return the source of a seed."""
    n, d, dtype = static.n_features, static.d_embed, static.dtype
    E = model.embedding(key, n, d, dtype) if d else None
    return Source(key, Fixed(E, model.mixing(key, n, dtype) if static.noisy else None))


def on_draws(
    draw: Callable[[Array, Array], Any], compute: Callable[..., Any], sequential: bool
) -> Callable[..., Any]:
    """Return found(models, source, i) = compute(models, source, draw(source.key, i)).

    Parameters
    ----------
    draw
        (key, i) -> the draws of a step or a round.
    compute
        (models, source, draws) -> the result of one model.
    sequential
        Under vmap over settings and then seeds, one seed after another and one model after another:
        the draws are made once for all models of a seed.
    """

    def of_one(models: Any, source: Source, i: Array) -> Any:
        return compute(models, source, draw(source.key, i))

    def of_block(models: Any, source: Source, i: Array) -> Any:
        each = jax.vmap(one_by_one(compute), (0, None, None))
        return each(models, source, draw(source.key, i))

    return seed_by_seed(of_one, of_block, of_one) if sequential else of_one
