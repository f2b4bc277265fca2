"""Made-up analysed sweeps of factorizations, whose models have curves that are given."""

import itertools

import numpy as np
import xarray as xr

from jsuper.analysis.lowrank import exact
from jsuper.analysis.metrics import factorization

SEEDS = 20
TIME = np.linspace(0, 25, 201)
U0 = np.random.default_rng(0).permutation(np.geomspace(1e-3, 1e-2, SEEDS))
RHO0 = 0.5
SGD, ADAM, ADAMW = "sgd(0.005)", "adam(0.0002)", "adamw(0.0002)"


def sweep(axes, curves, time=TIME):
    """A sweep with the axes, whose models have the curves (alignment, outside) of their point."""
    axes = axes | {"seed": list(range(SEEDS))}
    R, K = max(axes["rank"]), max(axes["pairs"])
    dims, shape = tuple(axes), tuple(len(v) for v in axes.values())
    inner = {
        "alignment": ("component", "pair", "step"),
        "loss_curve": ("step",),
        "norm_outside": ("side", "step"),
        "strengths": ("component",),
        "time": ("step",),
        "zero_loss": (),
    }
    sizes = {"component": R, "pair": K, "side": 2, "step": len(time)}
    found = {k: np.full((*shape, *(sizes[d] for d in v)), np.nan) for k, v in inner.items()}
    for place in itertools.product(*(range(n) for n in shape)):
        point = {d: v[i] for (d, v), i in zip(axes.items(), place, strict=True)}
        for name, values in model(*curves(**point), time).items():
            found[name][(*place, *(slice(n) for n in values.shape))] = values
    ds = xr.Dataset(coords=axes)
    ds["status"] = (dims, np.ones(shape, np.int8))
    ds = ds.assign({k: ((*dims, *v), found[k]) for k, v in inner.items()})
    return ds.assign(factorization.measure(ds))


def model(aligned, outside, time):
    """The recorded variables of one model, all strengths 1."""
    learned = aligned.sum(axis=1)
    extra = outside * (2 * learned.sum(axis=0) + outside)
    return {
        "alignment": aligned,
        "loss_curve": (((1 - learned) ** 2).sum(axis=0) + extra) / 2,
        "norm_outside": np.stack([outside, outside]),
        "strengths": np.ones(len(aligned)),
        "time": time,
        "zero_loss": np.float64(len(aligned) / 2),
    }


def flow(rank=1, pairs=1, seed=0, faster=1.0):
    """Every component learned as by one pair, by a pair of its own where there are enough."""
    found = exact.rank_one(TIME * faster, U0[seed], RHO0)
    aligned = np.zeros((rank, pairs, len(TIME)))
    for r in range(rank):
        aligned[r, r % pairs] = found.u
    return aligned, found.rho


def exponential(rank=1, pairs=1, seed=0, **_):
    """The loss is an exponential from the start on."""
    aligned = np.zeros((rank, pairs, len(TIME)))
    aligned[np.arange(rank), np.arange(rank) % pairs] = 1 - np.exp(-TIME * (1 + seed / 100))
    return aligned, np.zeros(len(TIME))


def with_bumps(aligned, number, exchange=True):
    """The first components rise with two pairs, of which one falls back and the other takes over.

    The one that falls back rises in another component; without exchange nobody takes over.
    """
    rank, pairs, _ = aligned.shape
    handed = 1 / (1 + np.exp(12 - TIME))
    for r in range(number):
        first, second = r % pairs, (r + 1) % pairs
        u = aligned[r].sum(axis=0)
        aligned[r] = 0
        aligned[r, first] = 0.5 * u * (1 - handed)
        if exchange:
            aligned[r, second] = 0.5 * u * (1 + handed)
            if rank > 1:
                aligned[(r + 2) % rank, first] += 0.5 * u * handed
    return aligned


def alternating(ds, variable, low, high):
    """The sweep with a variable that is low and high in turn by seed; arrays without seed."""
    even = xr.DataArray(np.arange(ds.sizes["seed"]) % 2 == 0, dims="seed")
    values = xr.where(even, low, high).broadcast_like(ds[variable]).transpose(*ds[variable].dims)
    return ds.assign({variable: values})
