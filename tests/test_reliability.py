"""The page of what was tried against a run is that of the counts."""

import json

import reliability
from running import REPO


def test_the_page_says_what_the_tests_have_counted():
    words = [("b", 2, "two"), ("a", 1, "one"), ("b", 3, "more"), ("b", 2, "two")]
    lines = [{"fault": fault, "tried": times, "what": what} for fault, times, what in words]
    faults = reliability.summed(lines)
    assert faults == {"a": {"one": 1}, "b": {"two": 4, "more": 3}} and list(faults) == ["a", "b"]
    text = reliability.page({"about": {"JAX": 1}, "tests": 9, "skipped": 2, "faults": faults})
    assert "9 tests, 2 of them skipped, with\nJAX 1" in text
    assert text.endswith(
        "| **a** | **1** | one |\n| **b** | **7** | |\n| | 4 | two |\n| | 3 | more |\n"
    )


def test_the_page_in_the_repository_is_that_of_its_counts():
    docs = REPO / "docs"
    data = json.loads((docs / "reliability.json").read_text())
    assert (docs / "reliability.md").read_text() == reliability.page(data)
