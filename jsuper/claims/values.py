"""What statistics take from an analysed sweep: arrays over activation, sparsity and seed.

Values of models that are missing or not finite are NaN. Means over sparsities are of the whole
selection: a seed that lacks one of its models has NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.reading import finished_values
from jsuper.claims.claim import Runs

if TYPE_CHECKING:
    import xarray

Where = Callable[[np.ndarray], np.ndarray]


def everywhere(sparsity: np.ndarray) -> np.ndarray:
    """All sparsities."""
    return sparsity >= 0


def dense(sparsity: np.ndarray) -> np.ndarray:
    """Sparsity 0: every feature is always active."""
    return sparsity == 0


def sparse(sparsity: np.ndarray) -> np.ndarray:
    """Sparsity .9 and above, where ReLU superposes."""
    return sparsity >= 0.9


def sparser(sparsity: np.ndarray) -> np.ndarray:
    """Any sparsity but 0."""
    return sparsity > 0


def table(ds: xarray.Dataset, variable: str, *inner: str) -> np.ndarray:
    """Return a variable over (activation, sparsity, seed, *inner); NaN for unfinished models.

    Raises
    ------
    ValueError
        The variable is missing, or the sweep has further axes.
    """
    values = finished_values(ds, variable)
    lead = ("activation", "sparsity", "seed")
    further = [str(d) for d in ds["status"].dims if d not in lead and ds.sizes[d] > 1]
    if further:
        raise ValueError(f"ds has the further axes {', '.join(further)}; select one value of each")
    extra = [d for d in ds["status"].dims if d not in lead]
    return values.isel(dict.fromkeys(extra, 0)).transpose(*lead, *inner).values


def index(ds: xarray.Dataset, names: Iterable[str]) -> list[int]:
    """Positions of activations.

    Raises
    ------
    ValueError
        One was not trained.
    """
    there = ds["activation"].values.tolist()
    lacking = [n for n in names if n not in there]
    if lacking:
        raise ValueError(f"the sweep has no activation {', '.join(lacking)}")
    return [there.index(n) for n in names]


def at(ds: xarray.Dataset, where: Where) -> np.ndarray:
    """Return which sparsities are selected, as booleans.

    Raises
    ------
    ValueError
        None is.
    """
    chosen = where(ds["sparsity"].values)
    if not chosen.any():
        raise ValueError(f"the sweep has no sparsity for {where.__name__}")
    return chosen


def of(
    ds: xarray.Dataset, variable: str, names: str | Iterable[str], where: Where = everywhere
) -> np.ndarray:
    """Return a variable's mean over some activations and sparsities: (seeds,)."""
    names = [names] if isinstance(names, str) else list(names)
    values = table(ds, variable)[index(ds, names)][:, at(ds, where)]
    return values.mean(axis=(0, 1))


def difference(
    ds: xarray.Dataset,
    variable: str,
    more: str | Iterable[str],
    less: str | Iterable[str],
    where: Where = everywhere,
) -> np.ndarray:
    """Return the mean of some activations less that of others, within each seed: (seeds,)."""
    return of(ds, variable, more, where) - of(ds, variable, less, where)


# ---- parts ----


def labelled(pattern: str, names: Iterable[str]) -> dict[str, str]:
    """Activation -> the label of its part: `{}` becomes its name."""
    return {name: pattern.format(name) for name in names}


def means(
    ds: xarray.Dataset, variable: str, names: Iterable[str], where: Where
) -> Iterator[np.ndarray]:
    """Return a variable's mean over some sparsities, of each activation: (seeds,)."""
    return iter(table(ds, variable)[index(ds, names)][:, at(ds, where)].mean(axis=1))


def each(runs: Runs, labels: dict[str, str], variable: str, where: Where) -> dict[str, np.ndarray]:
    """Return a variable of some activations, one part for each."""
    found = means(runs["study"], variable, labels, where)
    return dict(zip(labels.values(), found, strict=True))


def against(
    runs: Runs, labels: dict[str, str], variable: str, other: str, where: Where
) -> dict[str, np.ndarray]:
    """Return a variable of some activations less that of another, one part for each."""
    base, *found = means(runs["study"], variable, (other, *labels), where)
    return {part: one - base for part, one in zip(labels.values(), found, strict=True)}
