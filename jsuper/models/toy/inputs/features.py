"""The importance and the density of each feature, before its support; imports no jax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jsuper.core.errors import SpecError
from jsuper.models.toy.labelled import given_list

ROUNDING = 1e-9  # of a density that is 1


def importance(decay: float, n_features: int) -> np.ndarray:
    """Return I_i = decay^i, i = 0 ... n_features - 1, in float64."""
    return np.float64(decay) ** np.arange(n_features)


def batch_of(values: Mapping[str, Any]) -> int:
    """Return the number of samples in a step of a model with these static values."""
    return values["dataset_size"] if values.get("full_batch") else values["batch_size"]


def power_law(power: float, n_features: int) -> np.ndarray:
    """Return w_i proportional to (i + 1)^-power with mean 1, (n_features,)."""
    weights = np.arange(1, n_features + 1, dtype=np.float64) ** -power
    return weights / weights.mean()


def densities(values: Mapping[str, Any], sparsity: float) -> np.ndarray:
    """Return the densities of features: p = 1 - S, or p w_i with a power law: () or (n_features,).

    Parameters
    ----------
    values
        Static values: feature_sparsity or feature_sparsities, density_power and n_features.
    sparsity
        S, unless feature_sparsity gives one for each feature.
    """
    listed = given_list(values, "feature_sparsity", "feature_sparsities")
    density = 1 - np.asarray(listed or sparsity, np.float64)
    if power := values.get("density_power", 0.0):
        return density * power_law(power, values["n_features"])
    return density


def check_power_law(power: float, sparsity: float, n_features: int) -> None:
    """Raise SpecError if a density is above 1; the message has the least sparsity."""
    first = power_law(power, n_features)[0]
    if (density := (1 - sparsity) * first) > 1 + ROUNDING:
        raise SpecError(
            f"density_power={power:g} with sparsity={sparsity:g} and n_features={n_features}: the "
            f"density of the first feature is {density:.4g}, above 1; give sparsity in "
            f"[{1 - 1 / first:.6g}, 1), or a smaller power"
        )
