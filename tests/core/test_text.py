import math

import pytest

from jsuper.core.text import format_number


@pytest.mark.parametrize(
    "value, text",
    [(0.0, "0"), (0.05123, "0.0512"), (-2.5, "-2.5"), (12, "12"), (999.4, "999")]
    + [(999.6, "1,000"), (6789.6, "6,790"), (-123_456.0, "-123,456"), (1.234e6, "1.23e6")]
    + [(1.3e-5, "1.3e-5"), (1e-12, "1e-12"), (math.inf, "∞"), (-math.inf, "-∞"), (math.nan, "-")],
)
def test_numbers_have_three_digits_or_all_before_the_point(value, text):
    assert format_number(value) == text


def test_digits_and_the_text_of_nan_can_be_chosen():
    assert format_number(1234.0, digits=2) == format_number(1234.0, digits=4) == "1,234"
    assert format_number(0.05123, digits=2) == "0.051"
    assert format_number(math.nan, missing="none") == "none"
