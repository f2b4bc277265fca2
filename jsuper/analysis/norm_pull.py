"""The loss against the number of hidden units, in weak and in strong superposition.

A pull of the norms of W's columns to 1 (`norm_pull`) makes models represent all features, and a
weight decay few.

References
----------
Liu et al. (2025), "Superposition Yields Robust Neural Scaling", <https://arxiv.org/abs/2505.10465>.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.checked import Checked, mean_of
from jsuper.analysis.reading import finished_values
from jsuper.analysis.scaling import exponent
from jsuper.analysis.superposition import REPRESENTED
from jsuper.models.toy.inputs.names import values_of

if TYPE_CHECKING:
    import xarray

DIMS = ("density_power", "n_hidden", "seed")


def frequencies(power: float, n_features: int, activity: float = 1.0) -> np.ndarray:
    """Return p_i ~ (i + 1)^-power with the sum `activity`, (n_features,)."""
    weights = np.arange(1, n_features + 1.0) ** -power
    return activity * weights / weights.sum()


def weak_exponent(power: float, n_features: int, sizes: np.ndarray) -> float:
    """Return the exponent a of Σ_{i >= m} p_i ~ m^-a: the loss if m features are represented.

    It is that of the least-squares line over the sizes, and tends to power - 1 for n >> m.
    """
    p = frequencies(power, n_features)
    sums = np.array([p[int(m) :].sum() for m in sizes])
    return -float(np.polyfit(np.log(sizes), np.log(sums), 1)[0])


def strong_exponent(power: float) -> float:
    """Return max(1, 2 (power - 1)), the published exponent if all features are represented.

    Squared overlaps fall as 1/m, and those of the most frequent features faster.
    """
    return max(1.0, 2 * (power - 1))


def kinds_of(ds: xarray.Dataset) -> dict[str, xarray.Dataset]:
    """Return the models without the pull, "weak", and with it, "strong": loss, represented, unseen.

    `represented` is the share of features with |W_i| > 1/2, and `unseen` the loss of a model that
    is right but for the other features, for which it gives 0: Σ p_i E v² / n over these. All have
    the dimensions density_power, n_hidden and seed.

    Parameters
    ----------
    ds
        A sweep with both kinds as rows of a zipped group of weight_decay and norm_pull, and with
        several n_hidden and density_power.

    Raises
    ------
    ValueError
        A kind or a dimension is missing.
    """
    dims = ds["norm_pull"].dims
    pulls = np.atleast_1d(ds["norm_pull"].values)
    if len(dims) != 1 or not ((pulls > 0).any() and (pulls == 0).any()):
        raise ValueError("ds has not both kinds: train a sweep with norm_pull=0 and one above 0")
    found = {}
    for name, rows in (("weak", pulls == 0), ("strong", pulls > 0)):
        part = ds.isel({dims[0]: int(np.flatnonzero(rows)[0])})
        part = part.isel({d: 0 for d in part["status"].dims if d not in DIMS})
        found[name] = _measured(part)
    return found


def _measured(ds: xarray.Dataset) -> xarray.Dataset:
    """Return loss, represented and unseen of one kind."""
    import xarray as xr

    loss = finished_values(ds, "loss", *DIMS)
    W = ds["W"].transpose(*DIMS, "hidden", "feature").values
    n = W.shape[-1]
    is_represented = np.sqrt(np.nansum(W**2, axis=-2)) > REPRESENTED  # a smaller model has NaN rows
    activity = n * (1 - float(ds["sparsity"]))
    powers = [frequencies(float(a), n, activity) for a in ds["density_power"].values]
    p = np.stack(powers)[:, None, None]
    square = values_of(str(ds["values"].item())).square
    unseen = square * np.where(is_represented, 0, p).sum(axis=-1) / n
    is_known = np.isfinite(loss)
    data = {"represented": is_represented.mean(axis=-1), "unseen": unseen}
    return xr.Dataset({"loss": loss} | {k: (DIMS, v) for k, v in data.items()}).where(is_known)


def exponents_of_kinds(ds: xarray.Dataset) -> list[Checked]:
    """Return exponents of the loss, shares of represented features, and the loss of the others.

    For both kinds and every density_power α the exponent a of loss ~ m^-a. Then the share of
    represented features in strong superposition, their number over m in weak superposition, and the
    loss there over that of the features that are not represented, each a mean over all sizes and α.
    """
    kinds = kinds_of(ds)
    n, sizes = ds.sizes["feature"], ds["n_hidden"].values
    checked = []
    for name, part in kinds.items():
        for power in part["density_power"].values:
            found = exponent(part["loss"].sel(density_power=power))
            quantity = f"{name} superposition, alpha {power:g}: a of loss ~ m^-a"
            if name == "strong":
                expected = f"published: near {strong_exponent(power):g}"
            else:
                here = weak_exponent(power, n, sizes)
                limit = f"alpha - 1 = {power - 1:g} for n >> m" if power > 1 else "no power law"
                expected = f"published: {limit}, and {here:.2f} if m of {n} are represented"
            checked.append(mean_of(quantity, found, expected))
    weak, strong = kinds["weak"], kinds["strong"]
    share = strong["represented"].mean(("density_power", "n_hidden"))
    over_m = (weak["represented"] * n / weak["n_hidden"]).mean(("density_power", "n_hidden"))
    ratio = (weak["loss"] / weak["unseen"].where(weak["unseen"] > 0)).mean(
        ("density_power", "n_hidden")
    )
    return [
        *checked,
        mean_of("strong superposition: share of represented features", share, "published: 1"),
        mean_of("weak superposition: represented features over m", over_m, "published: near 1"),
        mean_of(
            "weak superposition: loss over that of features that are not represented",
            ratio,
            "published: near 1",
        ),
    ]
