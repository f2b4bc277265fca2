"""Hypotheses for `scrubbing`: the inputs that an output depends on, and the hidden space it reads.

A hypothesis is a boolean array (..., n_features, n_features): row i marks the inputs j on which
output i depends. The functions here derive hypotheses from W, (..., n_hidden, n_features), NumPy or
JAX. A model with a non-finite weight gets the hypothesis of a model without overlaps.

`subspaces` is the second level: an orthonormal basis of the hidden space, in which each direction
serves one group of features, and for every output the directions that it reads.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jsuper.analysis.arrays import Array, in_range, matmul, namespace, weights, whole_number
from jsuper.analysis.geometry import cosines, geometry
from jsuper.analysis.superposition import REPRESENTED
from jsuper.core.deprecated import renamed
from jsuper.training.jax_config import shielded

NAMES = ("all", "self", "antipodal", "cluster", "random", "none")
OVERLAP = 0.1  # least |cosine| that joins two features

__getattr__ = renamed(__name__, {"ready": "standard_hypotheses"})


@shielded()
def standard_hypotheses(
    W: Array, *, overlap: float = OVERLAP, threshold: float = REPRESENTED, seed: int = 0
) -> dict[str, Array]:
    """Return the hypotheses of `NAMES`, each (..., n_features, n_features).

    "all" has every input, "self" input i alone, and "none" no input. "antipodal", "cluster" and
    "random" are those of `antipodal`, `cluster` and `random_like`.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    overlap
        Least |cos(W_i, W_j)| that joins two features, in (0, 1].
    threshold
        Features with ‖W_i‖ <= threshold are not represented, and stay alone.
    seed
        Seed of the random hypothesis, >= 0.

    Raises
    ------
    ValueError
        `overlap` or `seed` is out of its range.
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
    """Return the hypothesis of input i and its most opposed input: (..., n_features, n_features).

    The second input is argmin_j cos(W_i, W_j), if that cosine is at most -overlap. The relation is
    not symmetric: another input may be more opposed to j.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    overlap
        Least |cos(W_i, W_j)| that joins two features, in (0, 1].
    threshold
        Features with ‖W_i‖ <= threshold are not represented, and stay alone.

    Raises
    ------
    ValueError
        `overlap` is out of its range.
    """
    xp, W = weights(W)
    _check_overlap(overlap)
    n, c = W.shape[-1], cosines(W, threshold)
    partner = xp.arange(n) == c.argmin(axis=-1)[..., None]
    return xp.eye(n, dtype=bool) | partner & (c.min(axis=-1)[..., None] <= -overlap)


@shielded()
def cluster(W: Array, *, overlap: float = OVERLAP, threshold: float = REPRESENTED) -> Array:
    """Return the hypothesis of all inputs in i's overlap component: (..., n_features, n_features).

    The component has the features that i is joined to directly or through others, as in
    `geometry.geometry`.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    overlap
        Least |cos(W_i, W_j)| that joins two features, in (0, 1].
    threshold
        Features with ‖W_i‖ <= threshold are not represented, and stay alone.

    Raises
    ------
    ValueError
        `overlap` is out of its range.
    """
    return same_group(groups(W, overlap=overlap, threshold=threshold))


@shielded()
def groups(W: Array, *, overlap: float = OVERLAP, threshold: float = REPRESENTED) -> Array:
    """Return the overlap component of each feature: (..., n_features), integers.

    A component is named by its smallest feature. A feature that is not represented is a group by
    itself.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    overlap
        Least |cos(W_i, W_j)| that joins two features, in (0, 1].
    threshold
        Features with ‖W_i‖ <= threshold are not represented, and stay alone.

    Raises
    ------
    ValueError
        `overlap` is out of its range.
    """
    xp, W = weights(W)
    _check_overlap(overlap)
    component = geometry(W, overlap=overlap, threshold=threshold).component
    return xp.where(component < 0, xp.arange(W.shape[-1]), component)


@shielded()
def same_group(group: Array) -> Array:
    """Return the hypothesis that output i depends on its group: (..., n_features, n_features).

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
    """Return a random hypothesis with as many inputs per output, as a control: (..., n, n).

    Input i stays if the hypothesis has it for output i. Models share the draws, and a larger
    hypothesis contains the inputs of a smaller one.

    Parameters
    ----------
    hypothesis
        Hypothesis to imitate, (..., n_features, n_features).
    seed
        Seed of the draws, >= 0.

    Raises
    ------
    ValueError
        The seed is negative.
    """
    xp = namespace(hypothesis)
    hypothesis = xp.asarray(hypothesis)
    n = hypothesis.shape[-1]
    own, order = np.eye(n, dtype=bool), _orders(n, whole_number("seed", seed, 0))
    others = hypothesis.sum(axis=-1, keepdims=True) - (hypothesis & own).sum(-1, keepdims=True)
    return xp.where(own, hypothesis, xp.asarray(order) < others)


@functools.cache
def _orders(n: int, seed: int) -> np.ndarray:
    """Return the place of input j in output i's random order, (n, n); input i comes last."""
    u = np.random.default_rng(seed).random((n, n))
    np.fill_diagonal(u, 2)
    return u.argsort(axis=-1).argsort(axis=-1)


class Subspaces(NamedTuple):
    """An orthonormal basis of the hidden space, and the directions that each output reads."""

    directions: Array  # (..., n_hidden, n_hidden), a direction a row
    reads: Array  # (..., n_features, n_hidden), booleans


@shielded()
def subspaces(W: Array, group: Array) -> Subspaces:
    """Return the hidden space split into orthogonal subspaces, one per group of features.

    The directions are found one after another. With R the projector orthogonal to the previous
    ones, the next is the leading eigenvector of R W_g W_gᵀ R for the group g that has the largest
    eigenvalue: the direction in which the most remains of a single group's columns W_g. It is read
    by the outputs of g only. Groups with orthogonal columns therefore get exactly their spans;
    where spans overlap, the longer group gets the shared part. A direction that contains no column
    is read by no output.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features).
    group
        Labels from 0 to n_features - 1, (..., n_features), e.g. of `groups`.

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
    nobody = _negligible(W.dtype) * xp.where(size == 0, 1, size) * xp.eye(m, dtype=W.dtype)
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
    """Return direction (..., m) and label (...,) of any group's largest eigenvalue in `left`."""
    around = left[..., None, :, :]
    values, vectors = xp.linalg.eigh(matmul(matmul(around, held), around))
    owner = values[..., -1].argmax(axis=-1)
    direction = xp.take_along_axis(vectors[..., -1], owner[..., None, None], axis=-2)[..., 0, :]
    direction = matmul(left, direction[..., None])[..., 0]  # rounding grows along what is taken
    return direction / xp.sqrt((direction**2).sum(axis=-1, keepdims=True)), owner


def _negligible(dtype: np.dtype) -> float:
    """Return the share of the largest group that counts as nothing left, read by no output."""
    return 1e-10 if dtype == np.float64 else 1e-5


def _check_overlap(overlap: float) -> None:
    in_range("overlap", overlap, "(0, 1]")
