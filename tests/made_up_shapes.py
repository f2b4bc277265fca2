"""Made-up analysed sweeps of single activations: every measure is given, the same in all counts."""

import numpy as np
import xarray as xr

from jsuper.findings import sweeps
from jsuper.models.toy.fields import SPARSITIES

NAMES, SEEDS, FEATURES = list(sweeps.NAMES), 12, 20
SHAPE = (len(NAMES), len(SPARSITIES), SEEDS)
DIMS = ("activation", "sparsity", "seed")
MEASURES = ("importance_rank_correlation", "antipodal_pairs", "loss", "loss_over_constant")
MEASURES += ("improvement_stderr",)


def study(seed=3, x=None, W=None, **given):
    """A sweep with X, and variables, given by activation; what is not is noise.

    W is given by its scale, or whole. Otherwise X and losses differ between activations.
    """
    rng = np.random.default_rng(seed)
    ds = xr.Dataset(coords={"activation": NAMES, "sparsity": list(SPARSITIES)})
    ds = ds.assign_coords(seed=range(SEEDS), n_hidden=5)
    number = _of({name: (5 * i) % 13 for i, name in enumerate(NAMES)} | (x or {}), 0)
    few = np.broadcast_to(np.arange(SEEDS) < 3, SHAPE)
    number += rng.permuted(few, axis=-1) * (number > 0)
    inside = (np.arange(FEATURES) < number[..., None] + 5).astype(float)
    ds["feature_norm"] = ds["r_squared"] = ((*DIMS, "feature"), inside)
    ds["status"] = (DIMS, np.ones(SHAPE, np.int8))
    given["loss"] = {n: 1e-3 * 10 ** (i % 5) for i, n in enumerate(NAMES)} | given.get("loss", {})
    for name in MEASURES:
        spread = 0.02 * (1e-3 if name == "loss" else 1)
        ds[name] = (DIMS, _of(given.get(name, {}), 0.3) + spread * rng.normal(size=SHAPE))
    for name in ("improvement", "failed_fit"):
        ds[name] = (DIMS, _of(given.get(name, {}), 0))
    if W is not None:
        ds["W"] = ((*DIMS, "hidden", "feature"), 0.4 * rng.normal(size=(*SHAPE, 5, FEATURES)))
        for name, value in W.items():
            own = ds["W"][NAMES.index(name)]
            own[:] = value if np.ndim(value) else own * value / 0.4
    return ds


def _of(by_name, level):
    found = np.full(SHAPE, level, float)
    for name, value in by_name.items():
        found[NAMES.index(name)] = value
    return found


def made(other=None, **given):
    """Every sweep alike, but for what is given in `other` of float64."""
    ds, second = study(**given), study(seed=1, **{**given, **(other or {})})
    found = dict.fromkeys(("fitted", "roe", "activations"), ds)
    return found | {"precision": second}
