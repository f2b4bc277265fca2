"""Sweeps of toy models of six features in a plane, one active at a time, that are k-gons."""

from functools import cache

import numpy as np
import xarray as xr

import jsuper
from jsuper.analysis import theory

FEATURES = 6
FIELDS = {
    "activation": "relu",
    "support": "exactly(1)",
    "n_features": FEATURES,
    "n_hidden": 2,
    "importance_decay": 1.0,
    "batch_size": 32,
    "steps": 2,
}


@cache
def _trained(seeds, fields):
    return jsuper.run(jsuper.Sweep(**FIELDS | {"seeds": seeds, **dict(fields)}), progress=False)


def trained(seeds, **fields):
    """A sweep of such models that are hardly trained."""
    return _trained(seeds, tuple(fields.items())).copy(deep=True)


def k_gon(k):
    """W and b of a k-gon; the other features are not embedded, and their biases are -1."""
    W, b = np.zeros((2, FEATURES), np.float32), np.full(FEATURES, -1, np.float32)
    found = theory.kgon(k)
    W[:, :k], b[:k] = found.W, found.b
    return W, b


def k_gons(*sizes):
    """A sweep whose seeds are k-gons."""
    ds = trained(len(sizes))
    W, b = map(np.stack, zip(*map(k_gon, sizes), strict=True))
    return ds.assign(W=(ds.W.dims, W[None, None]), b=(ds.b.dims, b[None, None]))


def with_snapshots(*sizes):
    """A model with snapshots of W and b, which are k-gons."""
    ds = trained(1, snapshots=tuple(range(len(sizes))), steps=len(sizes) + 1)
    W, b = map(np.stack, zip(*map(k_gon, sizes), strict=True))
    dims = (*ds.status.dims, "snapshot_step")
    ds["W_snapshots"] = ((*dims, "hidden", "feature"), W[None, None, None])
    ds["b_snapshots"] = xr.DataArray(b[None, None, None], dims=(*dims, "feature"))
    return ds
