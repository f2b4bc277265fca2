"""The study of GELU, gated decoders: whether they carry superposition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.reading import finished_values
from jsuper.analysis.superposition import crosstalk
from jsuper.studies._paired import adjusted, counted, largest, models, row, said
from jsuper.studies.answer import Answer

if TYPE_CHECKING:
    import xarray

# A gated decoder and the same activation without a second matrix.
PAIRS = (
    ("glu", "sigmoid"),
    ("reglu", "relu"),
    ("geglu", "gelu"),
    ("swiglu", "silu"),
    ("bilinear", "identity"),
)
DIMS = ("activation", "sparsity", "n_hidden", "seed")
LEARNED = 0.5  # R² above which a feature is reconstructed
SMALL, LARGE = 5, 11  # hidden units of a gated model, and of an ungated one with as many parameters


def answers(ds: xarray.Dataset) -> list[Answer]:
    """Loss at matched sizes, features reconstructed, and the two paths of a gate."""
    return [loss(ds), learned(ds), paths(ds)]


def parameters(n: int, m: int, gated: bool) -> int:
    """n (m + 1), twice that with a second matrix and bias less the encoder's share: m n + n."""
    return (m * n + n) * (2 if gated else 1)


def _compared(values: xarray.DataArray, log: bool) -> list:
    """Rows of gated models less ungated ones, of the same m and of as many parameters."""
    rows = []
    for sparsity in values["sparsity"].values:
        at = values.sel(sparsity=sparsity)
        for gated, base in PAIRS:
            for m, matched in ((SMALL, "hidden units"), (LARGE, "parameters")):
                ours = at.sel(activation=gated, n_hidden=SMALL)
                other = at.sel(activation=base, n_hidden=m)
                difference = np.log(ours / other) if log else ours - other
                case = f"{gated} against {base}, same {matched}, density {1 - sparsity:.3g}"
                rows.append(row(case, difference))
    return rows


def loss(ds: xarray.Dataset) -> Answer:
    """Return the loss of gated models beside ungated ones."""
    values = finished_values(ds, "loss", *DIMS)
    rows = adjusted(_compared(values, log=True))
    hidden, matched = ([r for r in rows if w in r.case] for w in ("hidden units", "parameters"))
    n = int(ds.sizes["feature"])
    return Answer(
        "Does a gate reconstruct more, at the same size?",
        f"log of the loss, gated with m = {SMALL} less ungated with m = {SMALL} (the same hidden "
        f"units) and with m = {LARGE} (the same {parameters(n, SMALL, True)} parameters; ungated "
        f"with m = {SMALL} has {parameters(n, SMALL, False)}), same seed; below 0 the gate is "
        "better",
        f"With the same hidden units the gated model's loss {_lower(hidden)}; with as many "
        f"parameters it {_lower(matched)}. {largest(rows)} {models((values, ds))}",
        rows,
    )


def _lower(rows: list) -> str:
    return counted(rows, above="is higher", below="is lower")


def learned(ds: xarray.Dataset) -> Answer:
    """Return how many features are reconstructed, beyond the hidden units."""
    scores = finished_values(ds, "r_squared", *DIMS, "feature")
    number = (scores > LEARNED).where(scores.notnull()).sum("feature", min_count=1)
    rows = []
    for sparsity in number["sparsity"].values:
        for name in [a for pair in PAIRS for a in pair]:
            values = number.sel(sparsity=sparsity, activation=name, n_hidden=SMALL)
            rows.append(row(f"{name}, density {1 - sparsity:.3g}", values, null=float(SMALL)))
    rows = adjusted(rows)
    gates = [r for r in rows if r.case.split(",")[0] in dict(PAIRS)]
    most = max(gates, key=lambda r: r.value)
    return Answer(
        "Do gated models keep more features than they have hidden units?",
        f"features with R² > {LEARNED:g} in models with m = {SMALL} hidden units; more than m need "
        "superposition",
        f"Gated: {counted(gates, above='more than m', below='fewer than m')}; most for "
        f"{most.case}, {said(most)}. {models((finished_values(ds, 'loss'), ds))}",
        rows,
    )


def paths(ds: xarray.Dataset) -> Answer:
    """Interference in the gate's path and in the value's."""
    dims = (*DIMS, "hidden", "feature")
    W, V = (finished_values(ds, name, *dims).sel(n_hidden=SMALL) for name in "WV")
    W, V = W.isel(hidden=slice(SMALL)), V.isel(hidden=slice(SMALL))
    rows = []
    for sparsity in W["sparsity"].values:
        for gated, _ in PAIRS:
            where = {"sparsity": sparsity, "activation": gated}
            ours, second = W.sel(where).values, V.sel(where).values
            gate, value = crosstalk(ours), crosstalk(ours, second)
            case = f"{gated}, density {1 - sparsity:.3g}"
            rows.append(row(f"{case}", np.log(value / gate)))
    rows = adjusted(rows)
    return Answer(
        "Which path carries the interference, the gate or the value?",
        "log of the crosstalk of the value's path, Σ_j≠i (V_i·W_j)² / Σ_i (V_i·W_i)² over all i, "
        "less that of the gate's, with W_i for V_i; above 0 the value path mixes features more, "
        "and the gate has to tell them apart",
        f"The value path's crosstalk is {counted(rows, above='higher', below='lower')}. "
        f"{largest(rows)}",
        rows,
    )
