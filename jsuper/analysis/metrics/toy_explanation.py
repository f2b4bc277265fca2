"""Which hypothesis explains the interference of a cell of a scrubbed sweep of toy models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsuper.core.status import OK

if TYPE_CHECKING:
    import xarray

LEAST = 0.001  # share of the variance: where self leaves less there is no interference to explain
ENOUGH = 0.95  # of what the cluster explains: then it is not needed
MARGIN = 0.05  # by which the cluster must explain more than as many inputs at random
TABLES = ("self", "antipodal", "cluster", "random")
MEANING = {
    "self": "the own input leaves less than 0.1 %: no interference to explain",
    "pairs": "antipodal explains at least 95 % of the interference that cluster explains",
    "cluster": "cluster is needed, and as many inputs at random explain less",
    "number": "as many inputs at random explain as much as cluster",
    "neither": "cluster explains less than 5 % of the interference",
    "": "no model, or an activation that cannot be scrubbed",
}
"""Word of `explanation` -> what it says."""


def explanation(ds: xarray.Dataset) -> xarray.Dataset:
    """Return `word`, one of `MEANING`, for every cell, and `share`, how much it explains.

    Both are computed from medians over seeds and the sweep's other dimensions. `share` is the share
    of the interference.

    Parameters
    ----------
    ds
        Dataset of `jsuper.scrub_all`, or of `jsuper.load` after `jsuper scrub`.
    """
    import xarray as xr

    fine = ds["status"] == OK
    recovered, explained = (
        ds[k].where(fine).median("seed") for k in ("scrub_recovered", "scrub_interference")
    )
    left = 1 - recovered.sel(hypothesis="self", drop=True)
    pairs, cluster, random = (
        explained.sel(hypothesis=k, drop=True) for k in ("antipodal", "cluster", "random")
    )
    word = xr.full_like(left, "", dtype="U8")
    rules = {
        "number": cluster.notnull(),
        "cluster": cluster - random > MARGIN,
        "pairs": pairs >= ENOUGH * cluster,
        "neither": cluster < MARGIN,
        "self": left < LEAST,
    }
    for name, holds in rules.items():  # the last that holds
        word = xr.where(holds, name, word)
    share = xr.where(word == "pairs", pairs, cluster).where(word != "self")
    return xr.Dataset({"word": word, "share": share}).transpose(*left.dims)
