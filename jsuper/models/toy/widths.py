"""Widths of narrow batches: which models can leave out columns, how many, and whether it pays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from jsuper.core import grid
from jsuper.models.toy.activations.names import BATCH_COUPLED
from jsuper.models.toy.activations.registry import is_stochastic
from jsuper.models.toy.architecture import IDENTITY, differs_at_zero
from jsuper.models.toy.functions import traced
from jsuper.models.toy.inputs.features import batch_of, densities
from jsuper.models.toy.inputs.law import inputs_of
from jsuper.models.toy.layout import NARROWEST

STANDARD_DEVIATIONS = 2.0  # such that a width fits the active columns of nearly every batch
# In multiply-adds that take as long: ordering the columns of a seed's batch, and gathering one
# number of the widest narrow batch (benchmarks/ordering.py, one core).
ORDERING_COST = 3e5
GATHERING_COST = 80


def density_of(values: grid.Static, setting: grid.Setting) -> float | np.ndarray:
    """Return P(x_i != 0) in float64: a number, or (n_features,) if features may differ."""
    density = densities(values, setting["sparsity"])
    return inputs_of(values).densities(density, values["n_features"])


def width_of(values: grid.Static, setting: grid.Setting) -> int:
    """Return the width, out of 32, 64, 128, ..., that fits the active columns of a batch.

    Of B columns, A ~ Binomial(B, P) have an active feature, with P = 1 - Π S_i for independent
    features. The width is above A's mean plus 2 standard deviations; a batch with more active
    columns uses the next width. It is B itself if that is less, or if the activation or the law of
    the data cannot use a narrow batch.
    """
    n, batch, inputs = values["n_features"], batch_of(values), inputs_of(values)
    if not inputs.narrow or needs_whole_batch(setting["activation"], n):
        return batch
    if not may_be_narrow(values, setting):
        return batch
    some = inputs.some(np.broadcast_to(density_of(values, setting), n))
    mean = batch * some
    need = mean + STANDARD_DEVIATIONS * math.sqrt(mean * (1 - some)) + 1
    return min(batch, NARROWEST * 2 ** max(math.ceil(math.log2(need / NARROWEST)), 0))


def may_be_narrow(values: grid.Static, setting: grid.Setting) -> bool:
    """Return whether samples without an active feature have one loss in a model's hidden layer."""
    if differs_at_zero(values, setting.get("dropout", 0.0)):
        return False
    hidden = values.get("hidden_activation", IDENTITY)
    return not needs_whole_batch(hidden, values["n_hidden"])


def narrow_widths(values: grid.Static, settings: Sequence[grid.Setting]) -> tuple[int, ...]:
    """Return the widths below the batch size that some setting needs, ascending.

    There are none for 2**24 columns or more, which `draws.order` cannot count in float32.
    """
    batch = batch_of(values)
    if batch >= 2**24:
        return ()
    widths = {width_of(values, s) for s in settings}
    return tuple(sorted(w for w in widths if w < batch))


def ordering_pays(values: grid.Static, settings: Sequence[grid.Setting]) -> bool:
    """Return whether narrow batches save more time than ordering a seed's columns costs.

    Both are in multiply-adds. A column that is left out saves 5 n m of them in the products, and
    the time of 10 n in the activation and its derivative. If every model has its own draws
    (`unpaired`), it is enough that a single model saves more than it costs.
    """
    n, m, batch = values["n_features"], values["n_hidden"], batch_of(values)
    widths = np.array([width_of(values, s) for s in settings])
    narrow = widths < batch
    saved = (batch - widths) * n * (5 * m + 10)
    cost = ORDERING_COST + GATHERING_COST * n * widths
    if values["unpaired"] or not narrow.any():
        return bool((narrow & (saved > cost)).any())
    return bool(saved.sum() > cost[narrow].max())


def step_work(
    values: grid.Static, settings: Sequence[grid.Setting], batching: str
) -> tuple[list[float], float]:
    """Return the share of a batch's columns that each setting computes, and the numbers drawn.

    Where columns are put in order, that takes twice as long as the draws, and counts as such.
    """
    batch = batch_of(values)
    narrow = batching in ("sequential", "rows") or (
        batching == "auto" and ordering_pays(values, settings)
    )
    shares = [width_of(values, s) / batch if narrow else 1.0 for s in settings]
    return shares, (3.0 if narrow else 1.0) * values["n_features"] * batch


def needs_whole_batch(activation: str | Callable, n_features: int = 5) -> bool:
    """Return whether columns without an active feature may differ and must be kept."""
    return is_stochastic(activation) or couples_batch(activation, n_features)


def couples_batch(activation: str | Callable, n_features: int = 5) -> bool:
    """Return whether the output for one sample depends on the other samples of its batch.

    A function is tried with batches of several sizes.

    Parameters
    ----------
    activation
        A name, or a function of z (n_features, samples).
    n_features
        Rows of z, for trying a function.

    Raises
    ------
    SpecError
        The function cannot be traced for that many features.
    """
    if isinstance(activation, str):
        return activation in BATCH_COUPLED
    return traced(activation, n_features).coupled
