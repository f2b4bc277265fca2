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


def as_data(answers: list[Answer]) -> list[dict[str, Any]]:
    """Answers as JSON data; NaN becomes None."""
    return [
        {
            "question": a.question,
            "statistic": a.statistic,
            "finding": a.finding,
            "rows": [
                {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in vars(r).items()}
                for r in a.rows
            ],
        }
        for a in answers
    ]
