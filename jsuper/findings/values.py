"""What effects take from an analysed sweep of toy models, and the readings that are common.

A measure is one of the three counts, as X, or a variable. Values are NaN for unfinished models and
for failed fits. A seed that lacks one of several models has NaN.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis import counts
from jsuper.analysis.counts import COUNTS
from jsuper.findings.finding import Data, Effect

if TYPE_CHECKING:
    import xarray

TRAININGS = {"the notebook": "fitted", "Roe": "roe"}
"""Training -> its sweep: of Elhage et al.'s notebook, and of Roe's."""
NOTEBOOK, ROE = TRAININGS
SWEEPS = tuple(TRAININGS.values())
OF_ROE = (0.0, 0.9, 0.99)  # sparsities of that sweep
DENSE, SPARSE = (0.0,), (0.9, 0.97, 0.99, 0.997, 0.999)
SPARSER = (0.7, *SPARSE)
LEAD = ("activation", "sparsity", "seed")
Names = str | Iterable[str]
What = str | Callable[["xarray.Dataset"], "xarray.DataArray"]


def measure(ds: xarray.Dataset, name: What, failed: bool = False) -> xarray.DataArray:
    """Return X by one of `COUNTS`, or a variable: (activation, sparsity, seed, ...).

    Parameters
    ----------
    ds
        Dataset of `jsuper.analyze`.
    name
        A count, a variable, or a function of a Dataset that returns values.
    failed
        Whether failed fits keep their values.

    Raises
    ------
    ValueError
        The variable is missing.
    """
    if callable(name):
        return name(ds).transpose(*LEAD, ...)
    if name in COUNTS:
        return counts.excess(ds, name, failed).transpose(*LEAD, ...)
    if name not in ds:
        raise ValueError(f"ds has no variable {name!r}; give the Dataset of jsuper.analyze")
    known = counts.known(ds, failed).transpose(*LEAD, ...)
    values = ds[name].transpose(*known.dims, ...)
    kept = known.values.reshape(known.shape + (1,) * (values.ndim - known.ndim))
    return values.copy(data=np.where(kept & np.isfinite(values.values), values.values, np.nan))


def selected(
    data: Data, name: What, names: Iterable[str], training: str, sparsity: Iterable[float]
) -> xarray.DataArray:
    """Return a measure of some activations and sparsities: (activation, sparsity, seed, ...)."""
    values = measure(data[TRAININGS[training]], name)
    return values.sel(activation=list(names), sparsity=list(sparsity))


def mean_of(values: xarray.DataArray, names: Names, sparsity: Any) -> np.ndarray:
    """Return the mean over some activations and sparsities: (seeds,).

    Raises
    ------
    ValueError
        An activation or a sparsity is missing.
    """
    names = [names] if isinstance(names, str) else list(names)
    sparsity = [sparsity] if np.isscalar(sparsity) else list(sparsity)
    for axis, wanted in (("activation", names), ("sparsity", sparsity)):
        if lacking := [v for v in wanted if v not in values[axis].values]:
            raise ValueError(f"the sweep has no {axis} {', '.join(map(str, lacking))}")
    chosen = values.sel(activation=names, sparsity=sparsity)
    return chosen.mean(("activation", "sparsity"), skipna=False).values


def together(*effects: Effect) -> Effect:
    """Return the effect with the parts of several."""
    return lambda data, **reading: {k: v for of in effects for k, v in of(data, **reading).items()}


def differences(parts: Mapping[str, tuple[Names, Names]], name: What = "") -> Effect:
    """Return the effect: a measure of some activations less that of others, within each seed.

    Parameters
    ----------
    parts
        Label -> (activations, activations that they are compared with).
    name
        What is measured, see `measure`; by default the count of the reading.
    """

    def effect(
        data: Data, training: str = NOTEBOOK, sparsity: Any = None, count: str = ""
    ) -> dict[str, np.ndarray]:
        values = measure(data[TRAININGS[training]], name or count)
        return {
            label: mean_of(values, more, sparsity) - mean_of(values, less, sparsity)
            for label, (more, less) in parts.items()
        }

    return effect


def levels(parts: Mapping[str, Names], name: What = "") -> Effect:
    """Return the effect: a measure of some activations; label -> activations."""

    def effect(
        data: Data, training: str = NOTEBOOK, sparsity: Any = None, count: str = ""
    ) -> dict[str, np.ndarray]:
        values = measure(data[TRAININGS[training]], name or count)
        return {label: mean_of(values, names, sparsity) for label, names in parts.items()}

    return effect


def asked(
    sparsities: Collection[Any] = SPARSE,
    count: bool = True,
    trainings: Collection[str] = tuple(TRAININGS),
) -> dict[str, dict[str, Any]]:
    """Return readings: every training, every sparsity that it has, and every count.

    A sparsity may be a tuple, over which the effect takes a mean.
    """
    found = {}
    some = list(COUNTS) if count else [""]
    for training, sparsity, label in itertools.product(trainings, sparsities, some):
        of_all = sparsity if isinstance(sparsity, tuple) else (sparsity,)
        there = tuple(s for s in of_all if training == NOTEBOOK or s in OF_ROE)
        if there:
            reading: dict[str, Any] = {"training": training, "sparsity": there}
            reading |= {"count": label} if count else {}
            words = [training, sparsity_text(there), label]
            found[", ".join(filter(None, words))] = reading
    return found


def sparsity_text(sparsity: tuple[float, ...]) -> str:
    """'S .9', or 'mean of S .9 to .999' for several."""
    low, high = (f"{s:g}".replace("0.", ".", 1) for s in (min(sparsity), max(sparsity)))
    return f"S {low}" if len(sparsity) == 1 else f"mean of S {low} to {high}"
