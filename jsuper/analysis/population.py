"""The expected loss of a sweep's models on their law of the data, as a function of the weights.

Dropout is off, and random activations are replaced by their mean. Models that one program can
compute are grouped: they share shapes, law and activation, and whether the bias is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from jsuper.analysis.metrics.toy_models import (
    Models,
    check_whole,
    groups,
    read_by,
    registered,
    select_models,
)
from jsuper.analysis.snapshots import has_bias
from jsuper.models.toy.activations.registry import is_gated
from jsuper.models.toy.architecture import Architecture
from jsuper.models.toy.evaluation import Samples, couplings, make_errors, samples_of
from jsuper.models.toy.inputs.law import Inputs, Numbers
from jsuper.models.toy.layout import COLUMNS
from jsuper.models.toy.model import Params

if TYPE_CHECKING:
    import xarray


class Kind(NamedTuple):
    """What models of one program share; hashable."""

    activation: str
    inputs: Inputs
    batch_size: int  # of training, if the activation couples the samples of a batch; else 0
    bias: bool  # whether b and c are trained; otherwise they stay 0
    tied: bool
    net: Architecture

    @property
    def fixed(self) -> tuple[str, ...]:
        """Names of the parameters that are not trained."""
        return self.net.fixed + (() if self.bias else ("b", "c"))


class Trained(NamedTuple):
    """Models of one kind, with a leading axis, or one without it."""

    params: Params
    density: Any  # (M, n)
    importance: Any  # (M, n)


def by_kind(ds: xarray.Dataset) -> Iterator[tuple[np.ndarray, Kind, Trained]]:
    """Yield the finished models of every kind, with their positions among all models.

    Models of a user's functions or sampler are left out: a run folder does not hold these. So are
    models whose columns of W have length 1, which are no free numbers.

    Raises
    ------
    ValueError
        A part of the weights was selected, or status is a mean.
    """
    check_whole(ds)
    biased = has_bias(ds)
    for places, models in groups(ds):
        if models.sampled is not None or models.has_function or models.net.normalize_columns:
            continue
        tied = _tied(models)
        keys = zip(
            models.activation.tolist(),
            models.batch_size.tolist(),
            biased[places].tolist(),
            tied.tolist(),
            strict=True,
        )
        found: dict[Kind, list[int]] = {}
        for row, (activation, size, bias, is_tied) in enumerate(keys):
            if registered(activation):
                m, n = models.W.shape[1:]
                size = size * couplings((activation,), n, models.net, m)[0]
                kind = Kind(activation, models.inputs, size, bias, is_tied, models.net)
                found.setdefault(kind, []).append(row)
        for kind, rows in found.items():
            yield places[rows], kind, _trained(kind, select_models(models, np.array(rows)))


def _tied(models: Models) -> np.ndarray:
    if models.W_dec is None:
        return np.ones(len(models.W), bool)
    return np.asarray(np.isnan(models.W_dec).all(axis=(1, 2)))


def _trained(kind: Kind, models: Models) -> Trained:
    second = (models.V, models.c) if is_gated(kind.activation) else (None, None)
    read = None if kind.tied else read_by(models)
    parts: Any = (models.W, models.b, *second, read, models.b_hidden, models.M)
    params = Params(*parts)
    if not kind.bias:
        zero: Any = np.zeros_like(models.b)
        params = params._replace(b=zero, c=None if params.c is None else zero)
    return Trained(params, models.density, models.importance)


def make_loss(kind: Kind) -> Callable[[Params, Array, Samples], Array]:
    """Return loss(params, importance, samples): the loss of one model on the samples of a round."""

    def loss(params: Params, importance: Array, samples: Samples) -> Array:
        errors = make_errors((kind.activation,), params.W.shape[-1], kind.net)
        return jnp.mean(importance * errors(params, jnp.int32(0), samples))

    return loss


def make_sample(kind: Kind, n_features: int, columns: int = COLUMNS) -> Callable[..., Samples]:
    """Return sample(key, density): stratified samples with an active feature, of one law.

    The zero sample is weighted exactly. Activations that couple the samples of a batch get a whole
    batch of the training's size instead.
    """

    def sample(key: Array, density: Array) -> Samples:
        given = kind.inputs.numbers(None, density.dtype)
        numbers = Numbers(density, given.support, given.values)
        draws = kind.inputs.nonzero_draws(key, n_features, 1 if kind.batch_size else columns)
        whole = None
        if kind.batch_size:
            of_batch = jax.random.fold_in(key, 1)
            whole = kind.inputs.independent_draws(of_batch, n_features, kind.batch_size)
        return samples_of(kind.inputs, (draws, whole), numbers)

    return sample


def free_vector(kind: Kind, params: Params) -> tuple[Array, Callable[[Array], Params]]:
    """Return the trained numbers of one model as a vector, and its inverse."""
    fixed = {name: getattr(params, name) for name in kind.fixed}
    vector, unravel = ravel_pytree(params._replace(**dict.fromkeys(fixed)))
    return vector, lambda w: unravel(w)._replace(**fixed)
