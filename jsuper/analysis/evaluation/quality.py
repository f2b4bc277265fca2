"""How good a loss is: against models without superposition, and whether the fit has failed."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from jsuper.analysis.arrays import (
    Array,
    floating,
    namespace,
    per_feature,
    whole_number,
)
from jsuper.analysis.evaluation.losses import Sampler
from jsuper.analysis.theory import constant_loss, top_features_loss, zero_loss
from jsuper.analysis.theory.checks import check_features
from jsuper.models.toy.ending import IMPROVEMENT, NEGLIGIBLE, STANDARD_ERRORS
from jsuper.models.toy.inputs.names import DEFAULT_VALUES, values_of
from jsuper.models.toy.inputs.sampled import Sampled
from jsuper.models.toy.samplers import traced_sampler
from jsuper.training import keys
from jsuper.training.jax_config import shielded


class RelativeLoss(NamedTuple):
    """A loss over those of three models without superposition; each has the loss's shape."""

    over_constant: Array  # the best constant, b_i = p_i/2
    over_zero: Array  # the prediction 0
    over_top: Array  # the n_hidden features that matter most exactly, the best constant elsewhere
    gain: Array  # 1 - over_top: what superposition gains; at most 1, negative where it loses


@shielded()
def relative_loss(
    loss: Array,
    density: Array | None,
    importance: Array,
    n_hidden: int,
    *,
    values: str = DEFAULT_VALUES,
    inputs: Sampler | None = None,
) -> RelativeLoss:
    """Return a loss over those of the best constant, zero, and the best without superposition.

    A ratio is NaN if the loss it is divided by is 0: if no feature is ever active, or all
    importances are 0.

    Parameters
    ----------
    loss
        Losses, (...,).
    density
        p_i, in [0, 1], a number or (..., n_features); None with `inputs`.
    importance
        I_i >= 0, (..., n_features).
    n_hidden
        m, at least 1. If m >= n_features the best model without superposition has loss 0, so that
        `over_top` and `gain` are NaN.
    values
        Values of active features, as in `jsuper.Sweep`.
    inputs
        A sampler (key, batch) -> samples, instead of densities and values; its `moments` are
        measured.

    Raises
    ------
    ValueError
        A value is out of its range, the shapes do not fit, or the law is given twice or not at all.
    """
    loss = floating(loss)
    xp = namespace(loss)
    _check_one_law(density, values, inputs)

    def over(reference: Array) -> Array:
        reference = xp.asarray(reference, dtype=loss.dtype)
        return loss / xp.where(reference == 0, loss.dtype.type("nan"), reference)

    if inputs is None:
        top = top_features_loss(density, importance, n_hidden, values=values)
        constant = constant_loss(density, importance, values=values)
        zero = zero_loss(density, importance, values=values)
    else:
        _, weights = check_features(0.0, importance)
        mean, variance = moments(inputs, weights.shape[-1])
        each = np.sort(np.asarray(weights) * variance, axis=-1)
        rest = max(each.shape[-1] - whole_number("n_hidden", n_hidden, 1), 0)
        top, constant = each[..., :rest].sum(axis=-1) / each.shape[-1], each.mean(axis=-1)
        zero = (np.asarray(weights) * (variance + mean**2)).mean(axis=-1)
    over_top, over_constant, over_zero = over(top), over(constant), over(zero)
    return RelativeLoss(over_constant, over_zero, over_top, 1 - over_top)


def moments(inputs: Sampler, n_features: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of every feature of a sampler, (n_features,), on 131,072 samples.

    Parameters
    ----------
    inputs
        A sampler (key, batch) -> samples, (batch, n_features), as in `jsuper.Sweep`.
    n_features
        Number of features.
    seed
        Seed of the samples.

    Raises
    ------
    ValueError
        The sampler cannot be used.
    """
    law = Sampled(traced_sampler(inputs, whole_number("n_features", n_features, 1)))
    with shielded():
        mean, variance = law.moments(keys.seed_key(seed))
    return np.asarray(mean), np.asarray(variance)


def _check_one_law(density: Array | None, values: str, inputs: Sampler | None) -> None:
    """Raise ValueError unless a density or a sampler states the law of the data."""
    if inputs is None and density is None:
        raise ValueError("density is missing: give it, or a sampler as inputs")
    if inputs is not None and (density is not None or values != DEFAULT_VALUES):
        raise ValueError(
            "inputs is given with density or values, and is the law of the data alone; leave them "
            "out"
        )


def still_improves(
    loss_over_constant: Array,
    improvement: Array = math.nan,
    improvement_stderr: Array = math.nan,
) -> Array:
    """Return whether a loss was still falling when training ended: bool, of the broadcast shape.

        r > 0.1  and  r > 3 s  and  L / L_constant > 1e-4

    The last condition excludes models that explain all but 0.01 % of the variance, such as those
    with n_hidden >= n_features, whose loss may fall at the same rate down to rounding. A loss that
    rises, as after a late push, does not count. Gradient noise counts if it moves the loss by more
    than 10 %, and so does a schedule that ends with a small learning rate. NaN gives False.

    Parameters
    ----------
    loss_over_constant
        L / L_constant, the final loss over the best constant's, (...,).
    improvement
        r = 1 - L(100 %) / L(90 %), over the last 10 % of the steps, (...,); NaN if it was not
        measured.
    improvement_stderr
        s, the standard error of r, (...,); NaN if it was not measured.
    """
    loss, fall, error = map(floating, (loss_over_constant, improvement, improvement_stderr))
    return (fall > IMPROVEMENT) & (fall > STANDARD_ERRORS * error) & (loss > NEGLIGIBLE)


def failed_fit(
    loss_over_constant: Array,
    improvement: Array = math.nan,
    improvement_stderr: Array = math.nan,
) -> Array:
    """Return whether a fit has failed, so that its weights are not a result: bool.

        L / L_constant > 1  or  `still_improves`

    Without a measured improvement only the first condition counts. NaN, the loss of a diverged
    model, gives False.

    Parameters
    ----------
    loss_over_constant
        L / L_constant, the final loss over the best constant's, (...,).
    improvement
        r = 1 - L(100 %) / L(90 %), over the last 10 % of the steps, (...,); NaN if it was not
        measured.
    improvement_stderr
        s, the standard error of r, (...,); NaN if it was not measured.
    """
    improving = still_improves(loss_over_constant, improvement, improvement_stderr)
    return (floating(loss_over_constant) > 1) | improving


@shielded()
def r_squared(
    errors: Array,
    density: Array | None = None,
    *,
    values: str = DEFAULT_VALUES,
    inputs: Sampler | None = None,
) -> Array:
    """Return R²_i = 1 - E(x_i - x̂_i)² / Var(x_i): (..., n_features), at most 1.

    Var(x_i) = p_i E[v²] - p_i² E[v]² for the values v of active features; p_i/3 - p_i²/4 by
    default.
    It is 1 if feature i is reconstructed exactly, 0 if its mean would do as well, negative if its
    mean would do better, and NaN if p_i = 0.

    Parameters
    ----------
    errors
        E(x_i - x̂_i)², (..., n_features), of an `Evaluation`.
    density
        p_i, in [0, 1], a number or (..., n_features).
    values
        Values of active features, as in `jsuper.Sweep`.
    inputs
        A sampler (key, batch) -> samples, instead of densities and values; its `moments` are
        measured.

    Raises
    ------
    ValueError
        The shapes do not fit, a density is out of range, or the law is given twice or not at all.
    """
    errors = floating(errors)
    if errors.ndim == 0:
        raise ValueError("errors is a single number; it is (..., n_features)")
    xp = namespace(errors)
    _check_one_law(density, values, inputs)
    if inputs is not None:
        variance = xp.asarray(moments(inputs, errors.shape[-1])[1], errors.dtype)
    else:
        variance = values_of(values).variance(per_feature("density", density, errors, "[0, 1]"))
    return 1 - errors / xp.where(variance == 0, errors.dtype.type("nan"), variance)
