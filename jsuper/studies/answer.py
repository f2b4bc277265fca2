"""What a study finds: questions, the numbers that decide them, and a sentence each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Row:
    """One number of an answer: a line of its table.

    Attributes:
        case: what it is a number of, in words.
        value: the effect, in the unit of the answer's statistic.
        low, high: its 95 % interval; NaN where it is exact, or has none.
        null: the value that would mean nothing; NaN where there is none.
        seeds: replicates that the interval comes from; 0 for what is computed, not trained.
        p: adjusted by Holm over the answer's rows; NaN where nothing was tested.
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

    Attributes:
        question: a sentence that ends in a question mark.
        statistic: what the rows' values are, and what the null means.
        finding: the answer in a sentence or two, made from the rows.
        rows: the numbers.
    """

    question: str
    statistic: str
    finding: str
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of a study's page, for what is no single number: cells are text.

    Attributes:
        title: a sentence without its full stop.
        columns: their heads.
        rows: as many cells each as there are columns.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Drawing:
    """A figure of a study's page.

    Attributes:
        name: of its file, without the study's name and the extension.
        caption: what it shows, in a sentence.
        figure: a Matplotlib figure.
    """

    name: str
    caption: str
    figure: Figure = field(repr=False)


def figure(value: float, digits: int = 3) -> str:
    """A number with so many digits, and all of those of whole thousands: 0.0512, 6,790."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def as_data(answers: list[Answer]) -> list[dict[str, Any]]:
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
