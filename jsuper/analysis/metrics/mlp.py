"""Metrics of every model of a sweep of MLPs, and what its page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.neurons import contributions, main_neuron, participation
from jsuper.core.protocols import Direction
from jsuper.core.status import OK

if TYPE_CHECKING:
    import xarray

HEADLINES = (
    "loss_over_constant",
    "loss_over_naive",
    "features_computed",
    "share_better",
    "mean_neurons_per_feature",
    "mean_features_per_neuron",
)
DIRECTIONS = {
    "loss_over_constant": Direction("lower is better; 1 is the best constant", "lower", 1.0),
    "loss_over_naive": Direction("lower is better; 1 is the naive solution", "lower", 1.0),
    "loss": Direction("lower is better", "lower"),
    "features_computed": Direction(
        "more than hidden units is computation in superposition", mark="n_hidden"
    ),
    "share_better": Direction("higher is better", "higher"),
    "mean_neurons_per_feature": Direction("1: one neuron serves a feature", mark=1.0),
    "mean_features_per_neuron": Direction("1: neurons are monosemantic", mark=1.0),
}
RANK = "loss"
PICTURES = ("reads", "writes", "feature_loss", "residual_loss", "loss_curve")
NEEDS = ("reads", "writes", "feature_loss", "naive_feature_loss", "residual_loss")
COORDINATES: dict[str, list] = {}
COMPUTED = 0.5  # share of the error without hidden units, below which a feature counts as computed
NEURON, FEATURE = ("neuron",), ("feature",)
MEASURES: dict[str, tuple[tuple[str, ...], str]] = {
    "neurons_per_feature": (
        FEATURE,
        "effective number of neurons of a feature, (sum_j |K_ji|)^2 / sum_j K_ji^2 with the "
        "contributions K = reads * writes",
    ),
    "features_per_neuron": (NEURON, "effective number of features of a neuron, the same over i"),
    "mean_neurons_per_feature": ((), "mean over features"),
    "mean_features_per_neuron": ((), "mean over neurons with any contribution"),
    "main_neuron": (FEATURE, "neuron with the largest |K_ji|; -1: none"),
    "features_computed": (
        (),
        "features whose error is below half of that without hidden units, residual_loss",
    ),
    "share_better": (
        (),
        "share of features whose error is below the naive solution's mean error of a feature",
    ),
}
"""Variable -> (its own dimensions, what it is)."""


def measure(ds: xarray.Dataset) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Return every measure of `MEASURES`: variable -> (dimensions, values).

    NaN (main_neuron: -1) for models that are missing or not finite, and for neurons and features
    that a smaller model lacks.
    """
    lead = tuple(str(d) for d in ds["status"].dims)
    flat = {
        name: ds[name].transpose(*lead, ...).values.reshape(ds["status"].size, *sizes)
        for name in NEEDS
        for sizes in [[ds.sizes[d] for d in ds[name].dims if d not in lead]]
    }
    fine = ds["status"].values.ravel() == OK
    found = of_models(flat)
    for name, values in found.items():
        kept = fine.reshape(-1, *[1] * (values.ndim - 1))
        found[name] = np.where(kept, values, -1 if name == "main_neuron" else np.nan)
    sizes = ds["status"].shape
    return {
        k: ((*lead, *MEASURES[k][0]), v.reshape((*sizes, *v.shape[1:]))) for k, v in found.items()
    }


def of_models(models: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the measures of models (M, ...), whose arrays have NaN beyond a model's own sizes."""
    K = contributions(models["reads"], models["writes"])
    feature, neuron = (np.asarray(~np.isnan(K).all(axis=axis)) for axis in (1, 2))
    per_feature = np.where(feature, participation(K, -2), np.nan)
    per_neuron = np.where(neuron, participation(K, -1), np.nan)
    error, alone = models["feature_loss"].astype(float), models["residual_loss"].astype(float)
    naive = models["naive_feature_loss"].astype(float)
    better = error < _mean(naive, feature)[:, None]
    return {
        "neurons_per_feature": per_feature,
        "features_per_neuron": per_neuron,
        "mean_neurons_per_feature": _mean(per_feature, feature),
        "mean_features_per_neuron": _mean(per_neuron, np.asarray(per_neuron > 0)),
        "main_neuron": np.where(feature, main_neuron(K), -1),
        "features_computed": (error < COMPUTED * alone).sum(axis=1).astype(float),
        "share_better": _mean(better.astype(float), feature),
    }


def _mean(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return the mean of the counted values of each model, NaN if there are none."""
    count = counted.sum(axis=1)
    total = np.where(counted, values, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
