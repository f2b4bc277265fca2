"""Made-up analysed sweeps like those of dropout, in which the rate changes nothing."""

from functools import cache

import numpy as np
import xarray as xr

SEEDS, UNITS, FEATURES = 12, 5, 20
RATES = [0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7]
PLANE = {
    "activation": ["relu"],
    "sparsity": [0.0, 0.7, 0.9, 0.97, 0.99],
    "dropout": RATES,
    "importance_decay": [1.0, 0.9],
    "seed": list(range(SEEDS)),
}
BASIS = {
    "activation": ["relu", "identity"],
    "sparsity": [0.7, 0.9, 0.97],
    "dropout": [0.0, 0.3],
    "optimizer": ["adamw", "sgd(2)"],
    "seed": list(range(SEEDS)),
}


def noise(ds, spread, *inner):
    """Normal numbers over the sweep's axes and others."""
    dims = (*ds["status"].dims, *inner)
    shape = tuple(ds.sizes.get(d, {"hidden": UNITS, "feature": FEATURES}.get(d)) for d in dims)
    return xr.DataArray(spread * np.random.default_rng(len(dims)).normal(size=shape), dims=dims)


def sweep(axes):
    """Every measure is noise, and Gaussian weights."""
    shape = tuple(len(v) for v in axes.values())
    ds = xr.Dataset({"status": (tuple(axes), np.ones(shape, np.int8))}, coords=axes)
    ds = ds.assign_coords(n_hidden=UNITS, n_features=FEATURES)
    ds["failed_fit"] = 0.0 * ds["status"]
    for name in ("basis_kurtosis", "basis_kurtosis_z", "alignment_z"):
        ds[name] = noise(ds, 0.5)
    ds["neuron_kurtosis"] = 5 + noise(ds, 0.01, "hidden")
    ds["b"] = 0 * noise(ds, 1, "feature")
    return with_features(with_weights(ds, noise(ds, 1, "hidden", "feature")), 15)


def both():
    """Both sweeps."""
    return {name: ds.copy(deep=True) for name, ds in _both().items()}


@cache
def _both():
    return {"dropout": sweep(PLANE), "dropout_basis": sweep(BASIS)}


def with_features(ds, number):
    """The sweep with so many long features (and noise), by every measure."""
    place = xr.DataArray(np.arange(FEATURES), dims="feature")
    long = (place < number + noise(ds, 0.5)).transpose(*ds["status"].dims, "feature")
    return ds.assign(
        feature_norm=xr.where(long, 1.0, 0.2),
        r_squared=xr.where(long, 0.9, 0.1),
        dimensionality=xr.where(long, UNITS / long.sum("feature"), 0.1),
    )


def with_weights(ds, W, spread=1e-3):
    """The sweep with weights (hidden, feature), and a little noise."""
    W = W + noise(ds, spread, "hidden", "feature")
    norm = (W**2).sum("hidden") ** 0.5
    return ds.assign(W=W.transpose(*ds["status"].dims, "hidden", "feature"), feature_norm=norm)


def raised(ds, name, slope):
    """The sweep with a variable that grows along the rate."""
    return ds.assign({name: (ds[name] + slope * ds["dropout"]).transpose(*ds[name].dims)})
