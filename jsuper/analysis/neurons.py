"""Which hidden units of an MLP serve which features: pure functions of what they read and write.

reads, W_in E^T, and writes, W_out E^T, are (..., neurons, features), the variables of those names
in the results of the family "mlp".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def contributions(reads: ArrayLike, writes: ArrayLike) -> np.ndarray:
    """Return K_ji = reads_ji writes_ji: how strongly neuron j carries feature i to its own output.

    Parameters
    ----------
    reads, writes
        What neurons read of features and write to outputs, (..., neurons, features).

    Returns
    -------
    np.ndarray
        K, of the same shape.

    References
    ----------
    Braun et al. (2025), "Interpretability in Parameter Space: Minimizing Mechanistic Description
    Length with Attribution-based Parameter Decomposition", <https://arxiv.org/abs/2501.14926>: (W_E
    W_in) ⊙ (W_out W_U).
    """
    return np.asarray(reads, float) * np.asarray(writes, float)


def participation(values: ArrayLike, axis: int) -> np.ndarray:
    """Return (Σ|v|)² / Σ v² along an axis, the effective number of entries; 0 if all are 0.

    It is k for k entries of equal size, and in [1, length] unless all are 0. NaN counts as 0: what
    a smaller model lacks.

    Parameters
    ----------
    values
        Contributions, for example.
    axis
        -2 for the neurons of a feature, -1 for the features of a neuron.
    """
    size = np.abs(np.nan_to_num(np.asarray(values, float)))
    largest = size.max(axis=axis, keepdims=True, initial=0)
    size = size / np.where(largest > 0, largest, 1)  # squares of tiny numbers would be 0
    squares = (size**2).sum(axis=axis)
    return size.sum(axis=axis) ** 2 / np.where(squares > 0, squares, 1)


def main_neuron(values: ArrayLike) -> np.ndarray:
    """Return the neuron with the largest |contribution| to each feature, (..., features); -1: none.

    Parameters
    ----------
    values
        Contributions, (..., neurons, features).
    """
    size = np.abs(np.nan_to_num(np.asarray(values, float)))
    return np.where(size.max(axis=-2) > 0, size.argmax(axis=-2), -1)
