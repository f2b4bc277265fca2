"""Of the study of dropout: the loss with it on and off, and the linear model's closed form."""

from __future__ import annotations

import numpy as np
import xarray as xr

from jsuper.analysis import dropout, statistics, theory
from jsuper.analysis.reading import finished_values
from jsuper.studies import _paired
from jsuper.studies._paired import PLANE, adjusted, row, said
from jsuper.studies.answer import Answer

SAMPLES = 8192
MARGIN = 0.01  # of the least loss: what does not matter
LAST = 20  # records of the loss of training batches, of 100


def answers(plane: xr.Dataset, basis: xr.Dataset) -> list[Answer]:
    """Return what dropout costs and gains, and whether training reaches the linear optimum."""
    return [losses(plane), linear(basis)]


def measured(ds: xr.Dataset) -> xr.Dataset:
    """Losses over the best constant's, (importance_decay, sparsity, seed, dropout).

    clean and dropped: of the model trained at the rate, with dropout off and on; without: of the
    model trained without dropout, with dropout on at the rate.
    """
    W, b = (finished_values(ds, name, *PLANE).values.astype(np.float32) for name in ("W", "b"))
    lead, n = W.shape[:-2], W.shape[-1]
    rates = np.broadcast_to(ds["dropout"].values, lead)
    density = 1 - ds["sparsity"].values[:, None, None, None]
    density = np.broadcast_to(density, (*lead, 1)).astype(np.float32)
    importance = ds["importance_decay"].values[:, None] ** np.arange(n)
    importance = np.broadcast_to(importance[:, None, None, None, :], (*lead, n))
    constant = theory.constant_loss(density * np.ones(n), importance)
    at_zero = int(np.flatnonzero(ds["dropout"].values == 0)[0])
    plain = [np.broadcast_to(a[:, :, :, at_zero, None], a.shape) for a in (W, b)]
    activation = str(ds["activation"].values)
    own, other = (
        dropout.dropout_loss(W, b, activation, rates, density, importance, samples=SAMPLES)
        for W, b in ((W, b), plain)
    )
    found = {"clean": own.clean, "dropped": own.dropped, "without": other.dropped}
    return xr.Dataset(
        {name: (PLANE, values / constant) for name, values in found.items()},
        {dim: ds[dim] for dim in PLANE},
    )


def losses(ds: xr.Dataset) -> Answer:
    """Return what training with dropout costs with dropout off, and gains with it on."""
    found = measured(ds)
    rate = float(np.sort(ds["dropout"].values)[ds.sizes["dropout"] // 2])
    here, plain = found.sel(dropout=rate), found.sel(dropout=0.0)
    off, on = here.clean - plain.clean, here.dropped - here.without
    rows = []
    for word, values in (("off", off), ("on", on)):
        for decay in values["importance_decay"].values:
            for sparsity in values["sparsity"].values:
                seeds = values.sel(importance_decay=decay, sparsity=sparsity)
                rows.append(row(f"{word}: {_paired.case(decay, sparsity)}", seeds))
    rows, half = adjusted(rows), len(rows) // 2
    return Answer(
        f"What does training with dropout at q {rate:g} cost when it is off, and gain when on?",
        f"loss over the best constant's, of models trained at q {rate:g} less that of models "
        f"trained without dropout, both with dropout off, or both with it on at q {rate:g}; 0 is "
        "no difference, below 0 the training with dropout is better",
        f"Dropout off, the loss {_paired.counted(rows[:half], 'is higher', 'is lower')}. "
        f"{_paired.largest(rows[:half])} Dropout on, it "
        f"{_paired.counted(rows[half:], 'is higher', 'is lower')}. {_paired.largest(rows[half:])}",
        rows,
    )


def linear(ds: xr.Dataset) -> Answer:
    """Whether the trained identity model meets the closed form of its loss, and its minimum."""
    models = ds.sel(activation="identity")
    dims = ("optimizer", "sparsity", "seed", "dropout")
    W, b, batches = (
        finished_values(models, name, *dims).values for name in ("W", "b", "loss_curve")
    )
    loss = finished_values(models, "loss", *dims)
    rates = np.broadcast_to(models["dropout"].values, W.shape[:-2])
    density = np.broadcast_to(1 - models["sparsity"].values[:, None, None], rates.shape)
    m, n = W.shape[-2:]
    exact = theory.dropout_linear_loss(W, b, rates, density[..., None])
    least = dropout.least_linear_loss(n, m, rates, density)
    ratios = {
        "expected loss over the least possible": exact / least,
        "loss of the last training batches over the expected": batches[..., -LAST:].mean(-1)
        / exact,
        "|W|² over m (1-q)": (W**2).sum(axis=(-2, -1)) / (m * (1 - rates)),
    }
    rows = adjusted(
        row(f"{optimizer}: {name}", values[i].mean(axis=(0, 2)), 1.0)
        for name, values in ratios.items()
        for i, optimizer in enumerate(models["optimizer"].values)
    )
    excess = [r for r in rows if r.case.endswith("least possible")]
    ones = np.ones(models.sizes["seed"])
    met = [
        statistics.equivalent((exact / least)[i].mean(axis=(0, 2)), ones, MARGIN).equivalent
        for i in range(len(excess))
    ]
    listed = ", ".join(f"{said(r, 5)} by {r.case.split(':')[0]}" for r in excess)
    return Answer(
        "Does a trained linear model reach the least expected loss under dropout?",
        "ratios to closed forms, mean over rates and densities: (p/3-p²/4)(n-m(1-q))/n is the "
        "least, at WWᵀ = (1-q) 1; 1 is as the closed form says",
        f"Its expected loss is {listed} of the least possible; within {MARGIN:.0%} for {sum(met)} "
        f"of {len(met)} optimizers. {_paired.models((loss, models))}",
        rows,
    )
