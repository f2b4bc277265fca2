"""Which two axes of a sweep are the rows and the columns of tables, heatmaps and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any


def rows_and_columns(
    axes: Mapping[str, Sequence[Any]], main_axes: tuple[str, ...]
) -> tuple[str, str]:
    """Return the axes of the rows and of the columns.

    They are the family's two main axes. Where one of these has a single value and another axis has
    several, that one takes its place, columns first: a sweep over learning rates is a row and not a
    table for each of them. Numbers go into the columns.

    Parameters
    ----------
    axes
        Axis -> its values, without the seeds.
    main_axes
        Of the family: rows and columns.
    """
    rows, columns = main_axes
    spare = [k for k, values in axes.items() if len(values) > 1 and k not in main_axes]
    if len(axes[columns]) < 2 and spare:
        numeric = [k for k in spare if _are_numbers(axes[k])]
        columns = (numeric or spare)[-1]
        spare.remove(columns)
    if len(axes[rows]) < 2 and spare:
        rows = spare[-1]
    if len(axes[columns]) < 2 and len(axes[rows]) > 1 and _are_numbers(axes[rows]):
        rows, columns = columns, rows
    return rows, columns


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(v, Real) and not isinstance(v, bool) for v in values)
