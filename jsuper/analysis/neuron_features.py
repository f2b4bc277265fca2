"""Which features the neurons of a hidden layer with an activation carry: functions of W and W_dec.

W of shape (..., n_hidden, n_features) is what neurons read, h = f(W x), and W_dec of the same shape
what they write; W_dec is W in tied models. Scaling a neuron's row of W by a > 0 and its row of
W_dec by 1/a changes nothing if f is ReLU, so what a neuron carries is judged by its weights over
its largest weight.

References
----------
Elhage et al. (2022), "Toy Models of Superposition",
<https://transformer-circuits.pub/2022/toy_model/index.html>, "Superposition in a privileged basis"
and "Computation in superposition".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

THRESHOLD = 0.2
"""A neuron carries a feature if the weight is above this share of the neuron's largest weight. The
publication judges by eye."""

IDLE = 0.01
"""A neuron carries nothing if its largest weights, of W and W_dec, have a product below this share
of the largest such product of the model."""

ASYMMETRY, CARRIED = 2.0, 0.3
"""A neuron with two features is asymmetric if one input weight is at least `ASYMMETRY` times the
other, and if each feature's input weight times its output weight is at least `CARRIED`, where 1 is
all of one side of |x|."""


def rescaled(W: ArrayLike, W_dec: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return W with the largest |weight| of each neuron at 1, and W_dec scaled to match.

    Rows of zeros stay as they are.

    Parameters
    ----------
    W, W_dec
        Weights, (..., n_hidden, n_features); W_dec is W by default.
    """
    W = np.asarray(W, float)
    W_dec = W if W_dec is None else np.asarray(W_dec, float)
    largest = np.abs(np.nan_to_num(W)).max(axis=-1, keepdims=True, initial=0)
    scale = np.where(largest > 0, largest, 1)
    return W / scale, W_dec * scale


def carries(
    W: ArrayLike,
    W_dec: ArrayLike | None = None,
    *,
    positive: bool = False,
    threshold: float = THRESHOLD,
) -> np.ndarray:
    """Return whether each neuron carries each feature: (..., n_hidden, n_features), bool.

    Parameters
    ----------
    W, W_dec
        Weights, (..., n_hidden, n_features); W_dec is W by default, and matters for idle neurons
        alone.
    positive
        Count positive weights alone: a negative weight of a feature that is never negative switches
        a ReLU neuron off, so the neuron does not carry it.
    threshold
        Share of the neuron's largest weight.

    Raises
    ------
    ValueError
        threshold is not in (0, 1], or the shapes differ.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold!r} is not in (0, 1]; try {THRESHOLD}")
    W = np.nan_to_num(np.asarray(W, float))
    read = W if W_dec is None else np.nan_to_num(np.asarray(W_dec, float))
    if read.shape != W.shape:
        raise ValueError(f"W_dec has shape {read.shape} and W {W.shape}; give both of one model")
    size = np.maximum(W, 0) if positive else np.abs(W)
    largest = size.max(axis=-1, keepdims=True, initial=0)
    strength = largest * np.abs(read).max(axis=-1, keepdims=True, initial=0)
    active = strength > IDLE * strength.max(axis=-2, keepdims=True, initial=0)
    return active & (size >= threshold * largest)


def features_per_neuron(carried: ArrayLike) -> np.ndarray:
    """Return how many features each neuron carries: (..., n_hidden).

    1 is a monosemantic neuron, 2 or more a polysemantic one, and 0 an idle one.

    Parameters
    ----------
    carried
        Result of `carries`, (..., n_hidden, n_features).
    """
    return np.asarray(carried, bool).sum(axis=-1)


def monosemantic_share(carried: ArrayLike) -> np.ndarray:
    """Return the share of monosemantic neurons among those that are not idle: (...,).

    NaN if all are idle.
    """
    count = features_per_neuron(carried)
    busy = (count > 0).sum(axis=-1)
    return np.where(busy > 0, (count == 1).sum(axis=-1) / np.maximum(busy, 1), np.nan)


def in_polysemantic(carried: ArrayLike) -> np.ndarray:
    """Return whether each feature is carried by a polysemantic neuron: (..., n_features), bool."""
    carried = np.asarray(carried, bool)
    polysemantic = features_per_neuron(carried) > 1
    return np.asarray((carried & polysemantic[..., None]).any(axis=-2))


class Motif(NamedTuple):
    """A neuron that carries two features with different weights, and what inhibits the second.

    Attributes
    ----------
    neuron, strong, weak
        The neuron, and the features with the larger and the smaller input weight.
    input_ratio
        |W| of the strong feature over that of the weak one.
    output_ratio
        W_dec of the weak feature over that of the strong one, the reciprocal if asymmetry is exact.
    inhibition
        What the other neurons write to the weak feature's output, negative, over what this one
        writes, when the strong feature is active with the sign that the neuron reads. At 1 they
        cancel.
    inhibition_of_other_sign
        The same for the strong feature with the other sign, over the same write of this neuron.
    """

    neuron: int
    strong: int
    weak: int
    input_ratio: float
    output_ratio: float
    inhibition: float
    inhibition_of_other_sign: float


def asymmetric_motifs(W: ArrayLike, W_dec: ArrayLike) -> list[Motif]:
    """Return every asymmetric superposition of two features in a ReLU neuron of one model.

    With input weights such as (2, -1/2) and output weights (1/2, 2), the first feature writes 4 to
    the output of the second, and the second 1/4 to that of the first. In the published models other
    neurons inhibit the second output when the first feature is active: `Motif.inhibition`.

    Parameters
    ----------
    W, W_dec
        Weights of one model, (n_hidden, n_features).

    Raises
    ------
    ValueError
        The weights are not those of one untied model.
    """
    W, W_dec = np.asarray(W, float), np.asarray(W_dec, float)
    if W.ndim != 2 or W.shape != W_dec.shape:
        raise ValueError(
            f"W has shape {W.shape} and W_dec {W_dec.shape}; give two matrices (n_hidden, "
            "n_features) of one model"
        )
    W, W_dec = rescaled(W, W_dec)
    own = np.abs(W) * W_dec  # what a feature of size 1 writes to its own output
    found = []
    for k, strong in np.argwhere(own >= CARRIED):
        sign = np.sign(W[k, strong])
        for weak in np.flatnonzero(own[k] >= CARRIED):
            ratio = abs(W[k, strong]) / abs(W[k, weak])
            if weak == strong or ratio < ASYMMETRY or W_dec[k, weak] <= W_dec[k, strong]:
                continue
            same, other = (np.maximum(s * W[:, strong], 0) * W_dec[:, weak] for s in (sign, -sign))
            found.append(
                Motif(
                    neuron=int(k),
                    strong=int(strong),
                    weak=int(weak),
                    input_ratio=float(ratio),
                    output_ratio=float(W_dec[k, weak] / W_dec[k, strong]),
                    inhibition=float((same[k] - same.sum()) / same[k]),
                    inhibition_of_other_sign=float(-other.sum() / same[k]),
                )
            )
    return found
