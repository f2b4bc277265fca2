"""Of the study of dropout: whether features share fewer dimensions with it, and the exception."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jsuper.analysis.reading import finished_values
from jsuper.studies import _paired
from jsuper.studies._paired import PLANE, adjusted, clear, row, rows_of, said, slopes
from jsuper.studies.answer import Answer, Row

if TYPE_CHECKING:
    import xarray


class Measure(NamedTuple):
    """A measure of superposition."""

    name: str
    words: str
    more: int  # its sign where there is more superposition
    free: bool = False  # whether it stays as it is where all of W becomes shorter


MEASURES = (
    Measure("features_represented", "the number of features represented, |W_i| > 1/2", 1),
    Measure(
        "represented_relative", "the number of features above half of the longest one", 1, True
    ),
    Measure("mean_dimensionality", "the mean dimensionality of represented features", -1, True),
    Measure("mean_interference", "the mean interference of represented features", 1),
    Measure("mean_squared_overlap", "the mean squared cosine of two represented features", 1, True),
    Measure("dimensions_per_feature", "dimensions per feature, m/|W|²", -1),
)


def answers(ds: xarray.Dataset) -> list[Answer]:
    """Return a question per measure, and the exception."""
    return [*(reduction(ds, measure) for measure in MEASURES), exception(ds)]


def reduction(ds: xarray.Dataset, measure: Measure) -> Answer:
    """Return whether dropout lowers superposition by one measure: its slope along the rate."""
    values = finished_values(ds, measure.name, *PLANE)
    rows = adjusted(rows_of(values, slopes))
    less, more = ([r.case for r in rows if clear(r) == s * measure.more] for s in (-1, 1))
    named = f" ({'; '.join(more)})" if 0 < len(more) <= 3 else ""
    return Answer(
        f"Does dropout reduce superposition, by {measure.words}?",
        f"slope of {measure.words} along the rate q, per unit of q, over q from 0 to "
        f"{values['dropout'].values.max():g}; {'below' if measure.more > 0 else 'above'} 0 is less "
        "superposition",
        f"Along dropout superposition by this measure goes down in {len(less)} of {len(rows)} "
        f"cases and up in {len(more)}{named}. {_paired.largest(rows)} "
        f"{_paired.models((values, ds))}",
        rows,
    )


def exception(ds: xarray.Dataset) -> Answer:
    """Return whether dropout raises superposition at decaying importance and dense features."""
    where = {"importance_decay": ds["importance_decay"].min(), "sparsity": ds["sparsity"].min()}
    here = _paired.case(*(float(v) for v in where.values()))
    found: list[Row] = []
    for measure in MEASURES:
        effect = _effect(finished_values(ds, measure.name, *PLANE))
        found.append(row(f"{measure.words}: effect", effect.sel(where)))
        found.append(row(f"{measure.words}: interaction", _interaction(effect)))
    rows = adjusted(found)
    signs, crossed = (
        [clear(r) * m.more for r, m in zip(rows[i::2], MEASURES, strict=True) if m.free]
        for i in (0, 1)
    )
    verdict = "raises superposition" if sum(signs) > 0 else "lowers superposition"
    if sum(signs) == 0:
        verdict = "does not clearly change superposition"
    by_name = {m.name: r for m, r in zip(MEASURES, rows[::2], strict=True)}
    return Answer(
        f"Is {here} an exception, where dropout raises superposition?",
        "effect: the measure with dropout, mean over the rates above 0, less that without; "
        f"interaction: the effect at {here}, less that of the sparser densities, less the same "
        "difference at uniform importance; 0 is no effect, and none that importance and density "
        "have together",
        f"There dropout {verdict} by the {len(signs)} measures that the length of W does not "
        f"change: {signs.count(1)} go towards more and {signs.count(-1)} towards less. Mean "
        f"dimensionality changes by "
        f"{said(by_name['mean_dimensionality'])}, mean interference by "
        f"{said(by_name['mean_interference'])}. The interaction points to more superposition in "
        f"{crossed.count(1)} of the {len(signs)} and to less in {crossed.count(-1)}.",
        rows,
    )


def _effect(values: xarray.DataArray) -> xarray.DataArray:
    """With dropout, mean over rates, less without; per seed."""
    with_dropout = values.sel(dropout=values["dropout"] > 0).mean("dropout")
    return with_dropout - values.sel(dropout=0.0)


def _interaction(effect: xarray.DataArray) -> xarray.DataArray:
    """(decaying - uniform) x (densest - others), per seed."""
    decay, sparsity = effect["importance_decay"], effect["sparsity"]
    others = effect.sel(sparsity=sparsity > sparsity.min()).mean("sparsity")
    contrast = effect.sel(sparsity=sparsity.min()) - others
    return contrast.sel(importance_decay=decay.min()) - contrast.sel(importance_decay=decay.max())
