"""What a study finds: questions, the numbers that decide them, and a sentence each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jsuper.core.json_data import JSONObject

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

Runs = Mapping[str, "xarray.Dataset"]
"""Preset -> Dataset of `jsuper.analyze`."""


@dataclass(frozen=True)
class Row:
    """One number of an answer: a line of its table.

    Attributes
    ----------
    case
        What it is a number of, in words.
    value
        The effect, in the unit of the answer's statistic.
    low, high
        Its 95 % interval; NaN where it is exact, or has none.
    null
        The value that would mean nothing; NaN where there is none.
    seeds
        Replicates that the interval comes from; 0 for what is computed, not trained.
    p
        Adjusted by Holm over the answer's rows; NaN where nothing was tested.
    """

    case: str
    value: float
    low: float = math.nan
    high: float = math.nan
    null: float = math.nan
    seeds: int = 0
    p: float = math.nan


@dataclass(frozen=True)
class Answer:
    """A question, how it was decided, and what came out.

    Attributes
    ----------
    question
        A sentence that ends in a question mark.
    statistic
        What the rows' values are, and what the null means.
    finding
        The answer in a sentence or two, made from the rows.
    rows
        The numbers.
    """

    question: str
    statistic: str
    finding: str
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of a study's page, for what is no single number: cells are text.

    Attributes
    ----------
    title
        A sentence without its full stop.
    columns
        Their heads.
    rows
        As many cells each as there are columns.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Drawing:
    """A figure of a study's page.

    Attributes
    ----------
    name
        Of its file, without the study's name and the extension.
    caption
        What it shows, in a sentence.
    figure
        A Matplotlib figure.
    """

    name: str
    caption: str
    figure: Figure = field(repr=False)


def sweeps_of(runs: Runs, presets: Sequence[str]) -> list[xarray.Dataset]:
    """Return a study's sweeps in the order of its presets.

    Raises
    ------
    ValueError
        One is missing.
    """
    lacking = [name for name in presets if name not in runs]
    if lacking:
        raise ValueError(f"runs has no {', '.join(lacking)}; give the sweeps {', '.join(presets)}")
    return [runs[name] for name in presets]


def as_data(answers: list[Answer]) -> list[JSONObject]:
    """Answers as JSON data; NaN becomes None."""
    return [
        {
            "question": a.question,
            "statistic": a.statistic,
            "finding": a.finding,
            "rows": [
                {
                    k: None if isinstance(v, float) and math.isnan(v) else v
                    for k, v in vars(r).items()
                }
                for r in a.rows
            ],
        }
        for a in answers
    ]
