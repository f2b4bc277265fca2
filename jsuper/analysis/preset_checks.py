"""The numbers that the presets of the findings check against theory or a publication."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.checked import Checked, mean_of, share_of
from jsuper.analysis.curves import half_time
from jsuper.analysis.lowrank import exact
from jsuper.analysis.reading import finished_values
from jsuper.analysis.superposition import features_represented
from jsuper.analysis.sweep import analyze

if TYPE_CHECKING:
    import xarray


def at(ds: xarray.Dataset, **labels: object) -> xarray.Dataset:
    """Return the models at some labels, and at the first value of every other axis but the seed."""
    ds = ds.sel({d: v for d, v in labels.items() if d in ds.dims})
    return ds.isel({d: 0 for d in ds["status"].dims if d != "seed"})


def keep(ds: xarray.Dataset, **values: list) -> xarray.Dataset:
    """Return the models at some values of the axes that the sweep varies."""
    return ds.sel({d: v for d, v in values.items() if d in ds.dims})


def represented(ds: xarray.Dataset) -> np.ndarray:
    """Return the number of features with ‖W_i‖ > 1/2 of every seed of one cell."""
    W = finished_values(ds, "W", "seed", "hidden", "feature").dropna("hidden", how="all")
    return features_represented(W.values)


def without_sparsity(ds: xarray.Dataset) -> list[Checked]:
    """Return how many features ReLU represents at the lowest sparsity."""
    dense = at(ds, activation="relu", sparsity=ds["sparsity"].values.min())
    quantity = f"features represented by relu at sparsity {float(dense['sparsity']):g}"
    expected = f"published: {dense.sizes['hidden']} without sparsity, one per hidden unit"
    return [mean_of(quantity, represented(dense), expected)]


def with_dropout(ds: xarray.Dataset) -> list[Checked]:
    """Return the features represented at the highest dropout less those without, by seed."""
    most, S = float(ds["dropout"].max()), float(ds["sparsity"].max())
    without, dropped = (represented(at(ds, dropout=q, sparsity=S)) for q in (0.0, most))
    quantity = f"features represented at dropout {most:g} less those without, at sparsity {S:g}"
    return [mean_of(quantity, dropped - without, "published: dropout inhibits superposition, < 0")]


def unprivileged(ds: xarray.Dataset) -> list[Checked]:
    """Return the kurtosis across hidden units of models that nothing gives a basis."""
    part = keep(ds, activation=["identity"], optimizer=["sgd(2)"], dropout=[0.0])
    part = part.isel(sparsity=slice(0, 1))
    found = analyze(part, metrics="basis_kurtosis")["basis_kurtosis"]
    m = ds.sizes["hidden"]
    expected = f"theory: 3 (m - 1)/(m + 1) = {3 * (m - 1) / (m + 1):.3g} without a privileged basis"
    return [mean_of("kurtosis across hidden units, sgd(2) without dropout", found, expected)]


def linear(ds: xarray.Dataset) -> list[Checked]:
    """Return how many features a linear model represents."""
    models = at(ds, activation="identity", n_hidden=ds["n_hidden"].values.min())
    m, S = int(models["n_hidden"]), float(models["sparsity"])
    quantity = f"features represented by identity with {m} hidden units at sparsity {S:g}"
    return [mean_of(quantity, represented(models), f"theory: {m}, the most important ones")]


def dead_units(ds: xarray.Dataset) -> list[Checked]:
    """Return the share of ReLU units that recover from the largest push."""
    from jsuper.analysis.reviving import recovery

    one = keep(ds, activation=["relu"], push=[0.0, float(ds["push"].max())])
    fresh = one.isel(push_step=[0], optimizer=[0])
    steps = recovery(fresh).values.ravel()
    steps = steps[~np.isnan(steps)]
    quantity = f"relu units that recover from a bias of {-float(ds['push'].max()):g}"
    return [share_of(quantity, np.isfinite(steps), "theory: 0, since the gradient is 0")]


def noise_of_gates(ds: xarray.Dataset) -> list[Checked]:
    """Return the loss of the random gate over that of its mean, GELU, by seed."""
    S = float(ds["sparsity"].max())
    loss = {
        name: finished_values(at(ds, activation=name, sparsity=S, dropout=0.0), "loss").values
        for name in ("gelu", "gelu_stochastic")
    }
    quantity = f"loss of gelu_stochastic over that of gelu at sparsity {S:g}"
    expected = "published: GELU is the mean of its random gate; 1 if the gate's noise costs nothing"
    return [mean_of(quantity, loss["gelu_stochastic"] / loss["gelu"], expected)]


def half_times(ds: xarray.Dataset) -> list[Checked]:
    """Return the half time of one pair over that of its exact flow, by seed.

    At rank 1 and one pair, for the first optimizer and the first weight decay; the start of the
    flow is that of the record.
    """
    one = at(ds, rank=1, pairs=1)
    if (one["pairs"], one["rank"]) != (1, 1):
        raise ValueError("the check needs rank=1 and pairs=1 among the values of the sweep")
    begin = one.isel(step=0, component=0)
    inside = finished_values(begin, "norm_inside", "seed", "side").sum("side").values
    outside = finished_values(begin, "norm_outside", "seed", "side").mean("side").values
    product = finished_values(begin, "alignment", "seed", "pair").isel(pair=0).values
    decay = float(one["weight_decay"]) if str(one["optimizer"].values).startswith("sgd(") else 0.0
    expected = exact.half_time((inside + 2 * product) / 4, outside, 1.0, decay)
    u = finished_values(one, "alignment", "seed", "component", "pair", "step")[:, 0].sum("pair")
    found = half_time(u.values, one["time"].isel(seed=0).values, 1.0)
    return [
        mean_of("half time of one pair over that of the exact flow", found / expected, "theory: 1")
    ]


def learned(ds: xarray.Dataset) -> list[Checked]:
    """Return how many components are learned under the squared error, at the highest rank."""
    rank = int(ds["rank"].max())
    part = keep(ds, rank=[rank], objective=["squared"])
    found = analyze(part, metrics="learned")["learned"]
    return [mean_of(f"components learned of a target of rank {rank}", found, f"theory: {rank}")]
