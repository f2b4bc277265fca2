"""`jsuper.table`: a row per model, for pandas and other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsuper.analysis.sweep import analyze, family_name
from jsuper.core.expecting import expect_dataset
from jsuper.core.family import family_of

if TYPE_CHECKING:
    import pandas
    import xarray


def table(ds: xarray.Dataset) -> pandas.DataFrame:
    """Return one row per model with its coordinates, status, losses and every measure.

    Columns are the variables that are one number per model. Measures are computed, or read from
    the run folder, if `ds` lacks them; `ds[name].description` of `jsuper.analyze` describes each.
    Models that are missing or not finite have NaN.

    Parameters
    ----------
    ds
        Of `jsuper.run`, `jsuper.load` or `jsuper.analyze`, or a selection of whole models.

    Raises
    ------
    TypeError
        `ds` is not a Dataset.
    ValueError
        It does not come from a sweep, or lacks variables that the measures need.

    Examples
    --------
    >>> jsuper.table(ds).groupby(["activation", "sparsity"]).features_represented.median()
    """
    expect_dataset(ds, "jsuper.table(jsuper.load('runs/activations'))")
    measures = family_of(family_name(ds)).measures.MEASURES
    if any(name not in ds for name in measures):
        ds = analyze(ds)
    lead = ds["status"].dims
    names = [k for k, v in ds.data_vars.items() if v.dims == lead]
    if not lead:  # of a single model
        return ds[names].expand_dims(model=1).to_dataframe().reset_index(drop=True)
    return ds[names].to_dataframe(dim_order=list(lead)).reset_index()
