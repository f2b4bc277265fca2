"""Made-up analysed sweeps of toy models, in which nothing depends on the activation."""

from functools import cache

import numpy as np
import xarray as xr

from jsuper.findings import sweeps
from jsuper.models.toy.fields import SPARSITIES

FEATURES, UNITS, STEPS = 20, 5, 20


def study(seeds=10, seed=0, activations=None, sparsity=SPARSITIES):
    """Like the findings' `activations`: every measure is noise, alike for all activations."""
    names = None if activations is None else tuple(activations)
    return _study(seeds, seed, names, tuple(sparsity)).copy(deep=True)


@cache
def _study(seeds, seed, activations, sparsity):
    rng = np.random.default_rng(seed)
    names = list(activations or sweeps.NAMES)
    coords = {"activation": names, "sparsity": list(sparsity), "seed": list(range(seeds))}
    dims, shape = tuple(coords), tuple(len(v) for v in coords.values())
    ds = xr.Dataset(coords=coords | {"importance_decay": 0.7, "n_features": 20, "n_hidden": 5})

    def noise(mean, spread, *inner):
        return mean + spread * rng.normal(size=shape + inner)

    per_model = {
        "excess": noise(4, 1),
        "mean_interference": noise(0.5, 0.1),
        "mean_dimensionality": noise(0.5, 0.1),
        "importance_rank_correlation": noise(0.3, 0.2).clip(-1, 1),
        "loss_over_constant": np.exp(noise(-2, 0.1)),
        "loss_over_zero": np.exp(noise(-2.2, 0.1)),
    }
    per_model["features_represented"] = per_model["excess"] + UNITS
    per_model["loss"] = per_model["loss_over_constant"] * 1e-3
    for name, values in per_model.items():
        ds[name] = (dims, values)
    ds["W"] = ((*dims, "hidden", "feature"), noise(0, 0.4, UNITS, FEATURES))
    ds["b"] = ((*dims, "feature"), noise(0, 0.1, FEATURES))
    ds["feature_norm"] = ((*dims, "feature"), np.linalg.norm(ds["W"].values, axis=-2))
    ds["interference"] = ((*dims, "feature"), np.abs(noise(0.5, 0.1, FEATURES)))
    ds["r_squared"] = ((*dims, "feature"), noise(0.5, 0.1, FEATURES))
    ds["neuron_monosemanticity"] = ((*dims, "hidden"), noise(0.3, 0.05, UNITS))
    flat = np.broadcast_to(per_model["loss"][..., None], (*shape, STEPS))
    ds["loss_curve"] = ((*dims, "step"), flat * np.exp(noise(0, 0.005, STEPS)))
    ds["status"] = (dims, np.ones(shape, np.int8))
    return ds
