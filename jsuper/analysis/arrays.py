"""Check the input of metrics, and choose NumPy or JAX to compute them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jsuper.core.expecting import expect_array

Array = Any  # numpy.ndarray or jax.Array

_RANGES: dict[str, Callable[[Array], Array]] = {
    "[0, 1]": lambda v: (v >= 0) & (v <= 1),
    "(0, 1]": lambda v: (v > 0) & (v <= 1),
    "[0, 1)": lambda v: (v >= 0) & (v < 1),
    "[0, inf)": lambda v: (v >= 0) & (v < float("inf")),
}


def namespace(a: Array) -> ModuleType:
    """Return `jax.numpy` for an array of JAX, traced or not, else `numpy`."""
    return jnp if isinstance(a, jax.Array) else np


def floating(a: Array) -> Array:
    """Return an array in its floating dtype; integers and lists become float64 (JAX: its default).

    Half precision becomes float32, which sums of squares and singular values need.

    Raises
    ------
    ValueError
        The array is masked or does not hold real numbers.
    """
    expect_array("the array", a, "ds.W.values")
    if np.ma.is_masked(a):
        raise ValueError("the array is masked; fill it first, e.g. with a.filled(np.nan)")
    a = a if isinstance(a, jax.Array) else np.asarray(a)
    if jnp.issubdtype(a.dtype, jnp.floating):
        return a if a.dtype.itemsize >= 4 else a.astype(np.float32)
    if not (jnp.issubdtype(a.dtype, jnp.integer) or a.dtype == bool):
        raise ValueError(f"the array has dtype {a.dtype}; it must hold real numbers")
    return a.astype(float)


def in_range(name: str, values: Array, allowed: str) -> Array:
    """Return values as floats, checked against a range; traced values are unknown and pass.

    Raises
    ------
    ValueError
        A value is out of the range.
    """
    expect_array(name, values, f"numbers in {allowed}")
    values = floating(values)
    if not isinstance(values, Tracer):
        known = np.asarray(values)
        wrong = known[~_RANGES[allowed](known)]
        if wrong.size:
            raise ValueError(f"{name} holds {wrong.flat[0]}; give values in {allowed}")
    return values


def whole_number(name: str, value: int, least: int) -> int:
    """Return an integer of at least `least`.

    Raises
    ------
    ValueError
        The value is smaller, or not a whole number.
    """
    try:
        count = operator.index(value)
    except TypeError:
        count = least - 1
    if count < least:
        raise ValueError(f"{name}={value!r}; give a whole number of at least {least}")
    return count


def weights(W: Array) -> tuple[ModuleType, Array]:
    """Return the array module and W, where a model with a non-finite weight is NaN throughout.

    Raises
    ------
    ValueError
        W has fewer than two axes, an empty one, or does not hold real numbers.
    """
    W = floating(W)
    if W.ndim < 2 or 0 in W.shape[-2:]:
        raise ValueError(
            f"W has shape {W.shape}; it is (..., n_hidden, n_features), one column a feature"
        )
    xp = namespace(W)
    fine = xp.isfinite(W).all(axis=(-2, -1), keepdims=True)
    return xp, xp.where(fine, W, W.dtype.type(np.nan))


def scaled(a: Array, axis: int | tuple[int, ...]) -> tuple[Array, Array]:
    """Return a over its largest magnitude along the axes, so that no square overflows.

    Returns
    -------
    tuple
        a / largest, and largest, with axes of length 1. `largest` is 1 if all values are zero; both
        are NaN if one is not finite.
    """
    xp = namespace(a)
    largest = xp.abs(a).max(axis=axis, keepdims=True)
    largest = xp.where(xp.isfinite(largest), largest, a.dtype.type("nan"))
    largest = xp.where(largest == 0, 1, largest)
    return a / largest, largest


def per_feature(name: str, values: Array, like: Array, allowed: str | None = None) -> Array:
    """Return one number, (1,), or one per feature, (..., n_features), in the type of W.

    Raises
    ------
    ValueError
        The last axis is neither 1 nor n_features long, or values are not real or not `allowed`.
    """
    xp = namespace(like)
    values = values if allowed is None else in_range(name, values, allowed)
    values = xp.atleast_1d(xp.asarray(floating(values), dtype=like.dtype))
    if values.shape[-1] not in (1, like.shape[-1]):
        raise ValueError(
            f"{name} has shape {values.shape} but W has {like.shape[-1]} features; "
            f"give one number, or one per feature"
        )
    return values


def matmul(a: Array, b: Array) -> Array:
    """Return a @ b, in full precision on every device."""
    if namespace(a) is np and namespace(b) is np:
        return a @ b
    return jnp.matmul(a, b, precision="highest")
