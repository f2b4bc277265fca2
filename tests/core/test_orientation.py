"""Rows and columns of tables, heatmaps and the page."""

import pytest

from jsuper.core.orientation import rows_and_columns

MAIN = ("activation", "sparsity")


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({"activation": "ab", "sparsity": [0, 0.9]}, MAIN),
        ({"activation": "ab", "sparsity": [0, 0.9], "dropout": [0, 0.1]}, MAIN),
        ({"activation": "a", "sparsity": [0]}, MAIN),
        ({"activation": "a", "sparsity": [0.9], "rate": [1, 2]}, ("activation", "rate")),
        ({"activation": "ab", "sparsity": [0.9], "rate": [1, 2]}, ("activation", "rate")),
        ({"activation": "a", "sparsity": [0, 0.9], "rate": [1, 2]}, ("rate", "sparsity")),
        ({"activation": "a", "sparsity": [0], "rate": [1, 2], "law": "xy"}, ("law", "rate")),
        ({"activation": "a", "sparsity": [0], "law": "xy"}, ("activation", "law")),
        ({"activation": "ab", "sparsity": [0], "tied": [True, False]}, ("activation", "tied")),
    ],
)
def test_axes_with_several_values_come_first_and_numbers_are_columns(axes, expected):
    assert rows_and_columns(axes, MAIN) == expected


def test_numbers_of_a_single_varied_axis_are_columns():
    assert rows_and_columns({"size": [1, 2], "sparsity": [0]}, ("size", "sparsity")) == (
        "sparsity",
        "size",
    )
