"""Hypotheses for `scrubbing`: which inputs an output depends on, and through which hidden space.

A hypothesis is a boolean array (..., n_features, n_features): row i marks the inputs j on which
output i depends. The ready ones are read from W, (..., n_hidden, n_features), NumPy or JAX; a model
with a non-finite weight gets that of a model without overlaps.

`subspaces` is the second level: an orthonormal basis of the hidden space, each direction of it
served to one group of features, and for every output the directions that it reads.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jsuper.analysis.arrays import Array, in_range, matmul, namespace, weights, whole_number
from jsuper.analysis.geometry import cosines, geometry
from jsuper.analysis.superposition import REPRESENTED
from jsuper.training.jax_config import shielded

NAMES = ("all", "self", "antipodal", "cluster", "random", "none")
OVERLAP = 0.1  # least |cosine| that joins two features


@shielded()
def ready(
    W: Array, *, overlap: float = OVERLAP, threshold: float = REPRESENTED, seed: int = 0
) -> dict[str, Array]:
    """Return the hypotheses of `NAMES`, each (..., n_features, n_features).

    all: every input; self: input i alone; antipodal, cluster, random_like: as the functions below;
    none: no input, which recovers nothing.

    Parameters
    ----------
    W
        Weights.
    overlap
        Least |cos(W_i, W_j)| that joins two features, in (0, 1].
    threshold
        Features with ‖W_i‖ <= threshold are not represented, and stay alone.
    seed
        Of the random one.
    """
    xp, W = weights(W)
    n = W.shape[-1]
    own = xp.broadcast_to(xp.eye(n, dtype=bool), (*W.shape[:-2], n, n))
    clusters = cluster(W, overlap=overlap, threshold=threshold)
    found = (
        xp.ones_like(own),
        own,
        antipodal(W, overlap=overlap, threshold=threshold),
        clusters,
        random_like(clusters, seed),
        xp.zeros_like(own),
    )
    return dict(zip(NAMES, found, strict=True))


@shielded()
def antipodal(W: Array, *, overlap: float = OVERLAP, threshold: float = REPRESENTED) -> Array:
    """Input i and its most opposed one, argmin_j cos(W_i, W_j), if that is at most -overlap.

    Not symmetric: j may have an input more opposed to it. Args as `ready`.
    """
    xp, W = weights(W)
    _check(overlap)
    n, c = W.shape[-1], cosines(W, threshold)
    partner = xp.arange(n) == c.argmin(axis=-1)[..., None]
    return xp.eye(n, dtype=bool) | partner & (c.min(axis=-1)[..., None] <= -overlap)


@shielded()
def cluster(W: Array, *, overlap: float = OVERLAP, threshold: float = REPRESENTED) -> Array:
    """All features that i is joined to, also over others: i's overlap component.

    Args as `ready`; the components are those of `geometry.geometry`.
    """
    return same_group(groups(W, overlap=overlap, threshold=threshold))


@shielded()
def groups(W: Array, *, overlap: float = OVERLAP, threshold: float = REPRESENTED) -> Array:
    """The overlap component of each feature as its smallest feature: (..., n_features), integers.

    A feature that is not represented is a group of its own. Args as `ready`.
    """
    xp, W = weights(W)
    _check(overlap)
    component = geometry(W, overlap=overlap, threshold=threshold).component
    return xp.where(component < 0, xp.arange(W.shape[-1]), component)


@shielded()
def same_group(group: Array) -> Array:
    """Output i depends on the features of its own group: (..., n_features, n_features).

    Parameters
    ----------
    group
        Labels, (..., n_features).
    """
    xp = namespace(group)
    group = xp.asarray(group)
    return group[..., :, None] == group[..., None, :]


@shielded()
def random_like(hypothesis: Array, seed: int = 0) -> Array:
    """As many inputs of every output as the hypothesis has, at random: its control.

    Input i stays where the hypothesis has it for output i. Models share the draws, and a larger
    hypothesis gets the inputs of a smaller one and more.

    Parameters
    ----------
    hypothesis
        (..., n_features, n_features).
    seed
        Of the draws.
    """
    xp = namespace(hypothesis)
    hypothesis = xp.asarray(hypothesis)
    n = hypothesis.shape[-1]
    own, order = np.eye(n, dtype=bool), _orders(n, whole_number("seed", seed, 0))
    others = hypothesis.sum(axis=-1, keepdims=True) - (hypothesis & own).sum(-1, keepdims=True)
    return xp.where(own, hypothesis, xp.asarray(order) < others)


@functools.cache
def _orders(n: int, seed: int) -> np.ndarray:
    """Return the place of input j in output i's random order, (n, n); its own input comes last."""
    u = np.random.default_rng(seed).random((n, n))
    np.fill_diagonal(u, 2)
    return u.argsort(axis=-1).argsort(axis=-1)


class Subspaces(NamedTuple):
    """An orthonormal basis of the hidden space, and which of its directions each output reads."""

    directions: Array  # (..., n_hidden, n_hidden), a direction a row
    reads: Array  # (..., n_features, n_hidden), booleans


@shielded()
def subspaces(W: Array, group: Array) -> Subspaces:
    """Return the hidden space split into orthogonal subspaces, one per group of features.

    Directions are taken one after another. With R the projector orthogonal to those before, the
    next is the leading eigenvector of R W_g W_gᵀ R for the group g where its eigenvalue is the
    largest: what is left of a single group's columns W_g is longest there. It belongs to g and is
    read by g's outputs alone. Groups whose columns are orthogonal so get exactly their spans; where
    the spans overlap, the longer group has what they share. A direction in which no column lies is
    read by nobody.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    group
        Labels from 0 to n_features - 1, (..., n_features), as of `groups`.

    Raises
    ------
    ValueError
        The labels do not fit W.
    """
    xp, W = weights(W)
    m, n = W.shape[-2:]
    group = xp.asarray(group)
    if group.shape[-1:] != (n,) or not jnp.issubdtype(group.dtype, jnp.integer):
        raise ValueError(
            f"group has shape {group.shape} and dtype {group.dtype} but W has {n} features; "
            "give an integer label per feature, as hypotheses.groups does"
        )
    W = xp.where(xp.isfinite(W), W, 0)
    columns = xp.swapaxes(W, -1, -2)[..., None, :, :]
    member = (group[..., None, :] == xp.arange(n)[:, None]).astype(W.dtype)  # (..., label, feature)
    held = matmul(W[..., None, :, :] * member[..., None, :], columns)
    size = xp.trace(held, axis1=-2, axis2=-1).max(axis=-1)[..., None, None, None]
    nobody = _speck(W.dtype) * xp.where(size == 0, 1, size) * xp.eye(m, dtype=W.dtype)
    held = xp.concatenate([held, nobody.astype(W.dtype)], axis=-3)  # label n
    left = xp.broadcast_to(xp.eye(m, dtype=W.dtype), (*W.shape[:-2], m, m))
    directions, owners = [], []
    for _ in range(m):
        direction, owner = _leading(xp, held, left)
        directions.append(direction)
        owners.append(owner)
        left = left - direction[..., :, None] * direction[..., None, :]
    owner = xp.stack(owners, axis=-1)
    reads = group[..., :, None] == owner[..., None, :]
    return Subspaces(xp.stack(directions, axis=-2), reads)


def _leading(xp, held: Array, left: Array) -> tuple[Array, Array]:
    """Direction (..., m) and label (...,) of the largest eigenvalue of any group within `left`."""
    around = left[..., None, :, :]
    values, vectors = xp.linalg.eigh(matmul(matmul(around, held), around))
    owner = values[..., -1].argmax(axis=-1)
    direction = xp.take_along_axis(vectors[..., -1], owner[..., None, None], axis=-2)[..., 0, :]
    direction = matmul(left, direction[..., None])[..., 0]  # rounding grows along what is taken
    return direction / xp.sqrt((direction**2).sum(axis=-1, keepdims=True)), owner


def _speck(dtype: np.dtype) -> float:
    """Of the largest group: what counts as nothing left, and is read by nobody."""
    return 1e-10 if dtype == np.float64 else 1e-5


def _check(overlap: float) -> None:
    in_range("overlap", overlap, "(0, 1]")
