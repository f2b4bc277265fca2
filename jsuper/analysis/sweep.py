"""`analyze`, `scrub_all` and `best`: measures of every model of a sweep."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis import kept
from jsuper.core.expecting import expect_dataset
from jsuper.core.family import Family, family_of
from jsuper.core.protocols import Described
from jsuper.core.status import OK
from jsuper.core.suggestions import not_one_of

if TYPE_CHECKING:
    import xarray


def analyze(
    source: Any,
    b: Any = None,
    *,
    metrics: str | Collection[str] | None = None,
    features_last: bool | None = None,
) -> xarray.Dataset:
    """Return the measures of every model of a sweep, or of one model's weights.

    Variables per model have the sweep's axes and seed as dimensions, those per feature or per
    hidden unit one more; `ds[name].description` describes each. They are NaN for models that are
    missing or not finite, which `(ds.status != 1).sum()` counts.

    The measures of a run folder are kept in RUN/analysis.npz: a second `analyze(load(folder))`
    reads them if the models, and the version of jsuper, are the same.

    Parameters
    ----------
    source
        The Dataset of `jsuper.run` or `jsuper.load`, or a selection of whole models
        (`ds.sel(activation="relu")`). Or an object of `jsuper.model`. Or the matrix W of one
        model, (n_hidden, n_features), from NumPy, JAX or PyTorch.
    b
        With W, the output bias, (n_features,), which tells the layout of W. No measure needs it.
    metrics
        Names of the measures to compute. None: all.
    features_last
        The layout of W, as in `jsuper.model`.

    Returns
    -------
    xarray.Dataset
        Of a sweep, with the measures added. Of weights, the measures that depend on W alone, over
        feature, hidden and figure.

    Raises
    ------
    TypeError
        `source` is of another type.
    ValueError
        A metric is not known, or depends on a sweep and weights are given. The Dataset does not
        come from a sweep or lacks variables. The layout of W is ambiguous, or W is not finite.

    Warns
    -----
    UserWarning
        W has n_hidden > n_features, so it may be transposed.

    Examples
    --------
    >>> import numpy as np, jsuper
    >>> W = np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])  # an antipodal pair and a lone feature
    >>> found = jsuper.analyze(W, metrics=("dimensionality", "antipodal_pairs"))
    >>> found.dimensionality.values.tolist(), int(found.antipodal_pairs)
    ([0.5, 0.5, 1.0], 1)
    """
    metrics = (metrics,) if isinstance(metrics, str) else metrics
    if not hasattr(source, "data_vars"):
        from jsuper.analysis.weights import analyze_weights

        return analyze_weights(source, b, metrics, features_last)
    if b is not None or features_last is not None:
        raise ValueError("b and features_last cannot be combined with a Dataset; leave them out")
    family = family_of(family_name(source))
    for name in metrics or ():
        if name not in family.measures.MEASURES:
            subject = f"metrics={name!r} is not known"
            raise ValueError(not_one_of(subject, name, family.measures.MEASURES, "it is one of"))
    _check(source, ("status", *family.measures.NEEDS))
    whole = source.assign(_measures(source, family, metrics))
    described = {k: v for k, v in family.measures.MEASURES.items() if k in whole}
    own = {str(d) for name in described for d in whole[name].dims}
    coordinates = {k: v for k, v in family.measures.COORDINATES.items() if k in own}
    return _described(whole, described, coordinates)


def _measures(
    ds: xarray.Dataset, family: Family, metrics: Collection[str] | None
) -> Mapping[str, Any]:
    """Return variable -> (dimensions, values): kept ones of a run folder, or computed."""
    measures = family.measures
    made_from = kept.hash_of(ds, family) if ds.encoding.get("source") else None
    found = kept.read(ds, family, made_from) if made_from else None
    if found is not None:
        return {k: v for k, v in found.items() if metrics is None or k in metrics}
    if metrics is not None:
        some = getattr(measures, "measure_some", None)
        found = some(ds, metrics) if some else measures.measure(ds)
        return {k: v for k, v in found.items() if k in metrics}
    found = measures.measure(ds)
    if made_from and found and kept.is_whole(ds):
        kept.write(
            _described(ds.assign(found), measures.MEASURES, measures.COORDINATES), family, made_from
        )
    return found


def scrub_all(ds: xarray.Dataset, overlap: float = 0.1) -> xarray.Dataset:
    """Return the Dataset with causal scrubbing of every model, by every ready hypothesis.

    The dimension hypothesis holds all, self, antipodal, cluster, subspaces, random and none; of the
    variables `ds[name].description` says what each is. A model that is missing or not finite has
    NaN, as has one whose activation couples the samples of a batch or was a function of your own.

    Parameters
    ----------
    ds
        Of `jsuper.run` or `jsuper.load`, or a selection of it.
    overlap
        Least |cos(W_i, W_j)| that joins two features in a cluster, in (0, 1].

    Raises
    ------
    TypeError
        ds is not a Dataset.
    ValueError
        ds does not come from a sweep, its family cannot be scrubbed, it lacks
        variables, or overlap is out of range.
    """
    expect_dataset(ds, "jsuper.scrub_all(jsuper.load('runs/activations'))")
    family = family_of(family_name(ds)).scrubbing
    _check(ds, ("status", *family_of(family_name(ds)).measures.NEEDS))
    whole = ds.assign(family.measure(ds, overlap=overlap))
    return _described(whole, family.VARIABLES, family.COORDINATES)


def best(ds: xarray.Dataset, by: str = "loss") -> xarray.Dataset:
    """Return the seed with the smallest `by` in every cell, without the dimension seed.

    The coordinate seed says which one it is. Only finished, finite models count; in a cell that
    has none, every variable is NaN and status is that of the first seed.

    Parameters
    ----------
    ds
        Of `jsuper.run`, `jsuper.load` or `jsuper.analyze`, with a dimension seed.
    by
        A variable with one value per model.

    Raises
    ------
    TypeError
        ds is not a Dataset.
    ValueError
        `by` is not such a variable, or ds has no dimension seed.
    """
    expect_dataset(ds, "jsuper.best(jsuper.load('runs/activations'), by='loss')")
    if "seed" not in ds.dims or "status" not in ds:
        raise ValueError("ds has no dimension seed or no status; give the Dataset of run or load")
    if not ds["status"].size:
        raise ValueError(f"ds has no models: its sizes are {dict(ds['status'].sizes)}")
    lead = set(ds["status"].dims)
    usable = [str(k) for k, v in ds.data_vars.items() if set(v.dims) == lead and k != "status"]
    if by not in usable:
        raise ValueError(
            not_one_of(f"by={by!r} is not a variable per model", by, usable, "it is one of")
        )
    ranked = ds[by].where(ds["status"] == OK).fillna(np.inf)
    chosen = ds.isel(seed=ranked.argmin("seed"))
    none = (ranked == np.inf).all("seed")
    fixed = ("status", "first_bad_step")
    masked = {k: v.where(~none) for k, v in chosen.data_vars.items() if k not in fixed}
    return chosen.assign(masked) if bool(none.any()) else chosen


def _check(ds: xarray.Dataset, needed: tuple[str, ...]) -> None:
    lacking = [k for k in needed if k not in ds]
    if lacking:
        raise ValueError(
            f"ds has no variable {', '.join(lacking)}; give all of the Dataset of run or load, "
            "or a selection along its dimensions that keeps the coordinates"
        )


def _described(
    whole: xarray.Dataset, variables: Described, coordinates: Mapping[str, Any]
) -> xarray.Dataset:
    for name, (_, text) in variables.items():
        whole[name].attrs.update(description=text, units="1")
    return whole.assign_coords(coordinates)


def family_name(ds: xarray.Dataset) -> str:
    """Return the family that a Dataset is of."""
    try:
        return json.loads(ds.attrs["sweep"])["model"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "ds has no attrs['sweep'] that says what was trained; give the Dataset of run or load"
        ) from error
