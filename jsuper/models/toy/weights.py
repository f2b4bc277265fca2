"""Weights of NumPy, JAX or PyTorch as `Params`; an ambiguous layout is refused."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jsuper.core.expecting import expect_array
from jsuper.models.toy.model import Params

EXAMPLE = "jsuper.model(W, b, activation='relu')"


def as_array(name: str, value: Any) -> Any:
    """Return a JAX or NumPy array of real numbers.

    Parameters
    ----------
    name
        Of the argument, for the message.
    value
        An array of NumPy, JAX or PyTorch, or nested lists of numbers. A tensor of PyTorch is
        detached and copied to the CPU.

    Raises
    ------
    TypeError
        It holds no real numbers.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    expect_array(name, value, EXAMPLE)
    array = value if isinstance(value, jax.Array) else np.asarray(value)
    if jnp.issubdtype(array.dtype, jnp.floating):
        return array
    if not (jnp.issubdtype(array.dtype, jnp.integer) or array.dtype == bool):
        raise TypeError(f"{name} is an array of {array.dtype}, not of real numbers")
    return array.astype(np.float32)


def params_of(
    W: Any, b: Any, V: Any, c: Any, W_dec: Any, features_last: bool | None = None
) -> Params:
    """Return the parameters with every matrix as (n_hidden, n_features).

    Parameters
    ----------
    W, V, W_dec
        Matrices of the shape (n_hidden, n_features) or its transpose. V and W_dec may be None.
    b, c
        Vectors, (n_features,). A missing b is zero; c may be None.
    features_last
        Whether the last axis of every matrix has the features. None: by the shapes.

    Raises
    ------
    TypeError
        An argument is not an array of real numbers.
    ValueError
        The shapes contradict each other, or do not tell which axis has the features.
    """
    given = {"W": W, "b": b, "V": V, "c": c, "W_dec": W_dec}
    arrays = {k: as_array(k, v) for k, v in given.items() if v is not None}
    W = arrays["W"]
    if W.ndim != 2 or 0 in W.shape:
        raise ValueError(f"W has the shape {W.shape}; it must be a matrix of one model")
    n_features = _n_features(W, arrays.get("b"), features_last)
    arrays.setdefault("b", np.zeros(n_features, W.dtype))
    for name in ("b", "c"):
        if name in arrays and arrays[name].shape != (n_features,):
            raise ValueError(
                f"{name} has the shape {arrays[name].shape} and W {W.shape}, "
                f"features_last={features_last}; {name} must be (n_features,) = ({n_features},)"
            )
    n_hidden = W.size // n_features
    for name in ("W", "V", "W_dec"):
        if name in arrays:
            arrays[name] = _oriented(name, arrays[name], (n_hidden, n_features), features_last)
    if n_hidden > n_features:
        warnings.warn(
            f"W has n_hidden={n_hidden} > n_features={n_features}: no features need to share a "
            "dimension. If W is (n_features, n_hidden), give features_last=False",
            stacklevel=3,
        )
    return Params(**arrays)


def _n_features(W: Any, b: Any, features_last: bool | None) -> int:
    """Return which of W's two sizes is the number of features."""
    rows, columns = W.shape
    if features_last is not None:
        return columns if features_last else rows
    if b is not None and b.shape not in ((rows,), (columns,)):
        raise ValueError(
            f"b has the shape {b.shape} and W {W.shape}; b must be (n_features,), which is one of "
            "the sizes of W"
        )
    if rows != columns and b is not None:
        return b.size
    if rows < columns:  # as jsuper stores W, and as superposition has it
        return columns
    raise ValueError(
        f"W has the shape {W.shape}{'' if b is not None else ' and b is not given'}, so it is not "
        "clear which axis has the features; add features_last=True if W is (n_hidden, n_features), "
        "as in jsuper and in the weight of a torch.nn.Linear(n_features, n_hidden), or "
        "features_last=False if it is (n_features, n_hidden)"
    )


def _oriented(name: str, matrix: Any, shape: tuple[int, int], features_last: bool | None) -> Any:
    """Return a matrix as (n_hidden, n_features)."""
    last = matrix.shape == shape if features_last is None else features_last
    expected = shape if last else shape[::-1]
    if matrix.shape != expected:
        raise ValueError(
            f"{name} has the shape {matrix.shape}; with n_hidden={shape[0]}, n_features={shape[1]} "
            f"and features_last={features_last} it must be {expected}"
        )
    return matrix if last else matrix.T
