"""What the presets privileged_basis and abs_value check against their publication.

References
----------
Elhage et al. (2022), "Toy Models of Superposition",
<https://transformer-circuits.pub/2022/toy_model/index.html>, "Superposition in a privileged basis"
and "Computation in superposition".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import neuron_features
from jsuper.analysis.checked import Checked, mean_of
from jsuper.analysis.reading import finished_values

if TYPE_CHECKING:
    import xarray

REGIMES = (
    (0.5, 1.0, 5, 0, "all monosemantic"),
    (0.2, 0.5, 3, 3, "three features in two neurons"),
    (0.13, 0.17, 2, 5, "five features in three neurons"),
    (0.11, 0.13, 1, 6, "six features in four neurons"),
    (0.05, 0.08, 0, 8, "eight features in five neurons"),
    (0.0, 0.04, 0, 10, "features are pairs of neurons"),
)
"""Densities from and to, monosemantic neurons, features in polysemantic ones, and the words of the
publication, for 10 features in 5 neurons. It states the densities 0.15 and 0.12 alone."""

DENSE = "published: 1, all neurons are monosemantic"
POLYSEMANTIC = {
    1.0: DENSE,
    0.3: DENSE,
    0.1: "published: a few slightly polysemantic neurons",
    0.03: "published: a small number of highly polysemantic neurons",
    0.01: "published: more of them, beside monosemantic ones",
    0.003: "published: fewer again",
    0.001: "published: 0, all neurons are highly polysemantic",
}
"""Density -> what the publication says of the share of monosemantic neurons."""


def cell(ds: xarray.Dataset, variable: str, **labels: object) -> np.ndarray:
    """Return a variable of all seeds of a cell, (seeds, ...), without its padding of NaN.

    Axes that are not named are taken at their first value.
    """
    ds = ds.sel({d: v for d, v in labels.items() if d in ds.dims})
    ds = ds.isel({d: 0 for d in ds["status"].dims if d != "seed"})
    values = finished_values(ds, variable, "seed")
    if values.ndim == 1:
        return values.values
    sizes = int(ds["n_hidden"]), int(ds["n_features"])
    return values.transpose("seed", "hidden", "feature").values[:, : sizes[0], : sizes[1]]


def density_of(sparsity: float) -> float:
    """Return 1 - sparsity without the error of its last digits."""
    return round(1 - float(sparsity), 6)


def best_seed(ds: xarray.Dataset, **labels: object) -> int | None:
    """Return the position of the seed with the lowest loss in a cell; None if none is finished."""
    loss = cell(ds, "loss", **labels)
    return None if np.isnan(loss).all() else int(np.nanargmin(loss))


def counts(ds: xarray.Dataset, sparsity: float) -> np.ndarray:
    """Return monosemantic neurons and features in polysemantic ones of each seed, (seeds, 2).

    NaN if a model is not finished. For features that are never negative.
    """
    W = cell(ds, "W", sparsity=sparsity)
    carried = neuron_features.carries(W, positive=True)
    alone = (neuron_features.features_per_neuron(carried) == 1).sum(axis=-1)
    found = np.stack([alone, neuron_features.in_polysemantic(carried).sum(axis=-1)], axis=-1)
    finished = np.asarray(np.isfinite(W).all(axis=(1, 2)))
    return np.where(finished[:, None], found, np.nan)


def privileged(ds: xarray.Dataset) -> list[Checked]:
    """Return how the best model of each density stores its features, and how many seeds do so.

    Parameters
    ----------
    ds
        Result of the preset `privileged_basis`.
    """
    found = []
    for S in np.sort(ds["sparsity"].values):
        density, best = density_of(S), best_seed(ds, sparsity=S)
        regime = next((r for r in REGIMES if r[0] <= density <= r[1]), None)
        if best is None or regime is None:
            continue
        _, _, alone, shared, words = regime
        of_all, wanted = counts(ds, S), (alone, shared)
        where = f"at density {density:g}, best of {ds.sizes['seed']:,}"
        names = "monosemantic neurons", "features in polysemantic neurons"
        for name, number, expected in zip(names, of_all[best], wanted, strict=True):
            text = f"published: {expected}, {words}"
            found.append(Checked(f"{name} {where}", float(number), text))
        if tuple(of_all[best]) != wanted:
            found.append(_loss_of(ds, S, (of_all == wanted).all(axis=-1)))
    return found + _pairs(ds)


def _loss_of(ds: xarray.Dataset, sparsity: float, like_published: np.ndarray) -> Checked:
    """Return the lowest loss of the models with the published counts over the lowest of all."""
    loss, error = (cell(ds, name, sparsity=sparsity) for name in ("loss", "loss_stderr"))
    quantity = "lowest loss with the published numbers over the lowest of all, "
    quantity += f"at density {density_of(sparsity):g}"
    expected = "published: 1, the best model has them"
    if not like_published.any():
        return Checked(quantity, float("nan"), expected)
    best, other = (int(np.nanargmin(v)) for v in (loss, np.where(like_published, loss, np.inf)))
    ratio = float(loss[other] / loss[best])
    relative = [error[k] / loss[k] for k in (best, other)]
    half = 1.959964 * ratio * float(np.hypot(*relative))
    return Checked(quantity, ratio, expected, ratio - half, ratio + half)


def _pairs(ds: xarray.Dataset) -> list[Checked]:
    """Return the share of features that exactly two neurons carry, at the lowest density."""
    S = float(ds["sparsity"].max())
    best = best_seed(ds, sparsity=S)
    if best is None:
        return []
    carried = neuron_features.carries(cell(ds, "W", sparsity=S)[best], positive=True)
    quantity = f"share of features in two neurons at density {density_of(S):g}, best seed"
    expected = "published: 1, each feature is a pair of neurons"
    return [Checked(quantity, float((carried.sum(axis=0) == 2).mean()), expected)]


def monosemantic(ds: xarray.Dataset, sparsity: float, threshold: float) -> np.ndarray:
    """Return the share of monosemantic neurons of each seed of a cell, NaN if not finished."""
    W, W_dec = (cell(ds, name, sparsity=sparsity) for name in ("W", "W_dec"))
    carried = neuron_features.carries(W, W_dec, threshold=threshold)
    return neuron_features.monosemantic_share(carried)


def absolute(ds: xarray.Dataset) -> list[Checked]:
    """Return the share of monosemantic neurons at each density, mean over seeds.

    Parameters
    ----------
    ds
        Result of the preset `abs_value`.
    """
    found = []
    for S in np.sort(ds["sparsity"].values):
        density = density_of(S)
        shares = monosemantic(ds, S, neuron_features.THRESHOLD)
        expected = POLYSEMANTIC.get(density, "published: falls with the density")
        found.append(
            mean_of(f"share of monosemantic neurons at density {density:g}", shares, expected)
        )
    return found + [_importance_order(ds)]


def _importance_order(ds: xarray.Dataset) -> Checked:
    """Return the mean place of the largest feature of monosemantic neurons less that of others.

    Of all densities, by model, for models with both kinds of neurons.
    """
    difference = []
    for S in ds["sparsity"].values:
        W, W_dec = (cell(ds, name, sparsity=S) for name in ("W", "W_dec"))
        for one, read in zip(W, W_dec, strict=True):
            count = neuron_features.features_per_neuron(neuron_features.carries(one, read))
            main = np.abs(np.nan_to_num(one)).argmax(axis=-1)
            if (count == 1).any() and (count > 1).any():
                difference.append(main[count == 1].mean() - main[count > 1].mean())
    quantity = "mean index of the main feature, monosemantic less polysemantic neurons"
    expected = "published: below 0, monosemantic neurons have the most important features"
    return mean_of(quantity, difference, expected)
