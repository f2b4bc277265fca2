"""Rows and slots: which models of a block are trained together."""

from jsuper.models.toy.layout import common_slots, fill, rows_of

ACTIVATIONS = ("relu", "gelu", "mish")


def settings(*pairs):
    return [{"activation": a, "sparsity": s} for a, s in pairs]


GRID = settings(*((a, s) for a in ACTIVATIONS for s in (0.9, 0.0)))


def test_a_row_has_one_sparsity():
    assert rows_of(GRID) == [[0, 2, 4], [1, 3, 5]]


def test_a_grid_fills_its_slots():
    assert common_slots([GRID], ACTIVATIONS) == (2, (0, 1, 2))
    assert fill(2, (0, 1, 2), ACTIVATIONS, GRID) == (0, 2, 4, 1, 3, 5)


def test_models_that_differ_in_something_else_have_slots_of_their_own():
    part = settings(("gelu", 0.5), ("relu", 0.5), ("gelu", 0.5))
    assert common_slots([part], ACTIVATIONS) == (1, (0, 1, 1))
    assert fill(1, (0, 1, 1), ACTIVATIONS, part) == (1, 0, 2)


def test_slots_hold_every_part_and_padding_says_what_it_repeats():
    lacking = settings(("gelu", 0.9), ("mish", 0.9), ("relu", 0.0), ("gelu", 0.0), ("mish", 0.0))
    rows, slots = common_slots([GRID, lacking], ACTIVATIONS)
    assert (rows, slots) == (2, (0, 1, 2))
    assert fill(rows, slots, ACTIVATIONS, lacking) == (~0, 0, 1, 2, 3, 4)


def test_rows_that_a_block_lacks_are_empty():
    part = settings(("relu", 0.5), ("gelu", 0.5))
    assert fill(2, (0, 1), ACTIVATIONS, part) == (0, 1, None, None)


def test_models_that_share_nothing_need_no_rows():
    assert common_slots([settings(("relu", 0.0), ("relu", 0.5))], ACTIVATIONS) == (0, ())


def test_too_much_padding_is_refused():
    odd = settings(("relu", 0.0), ("gelu", 0.5), ("mish", 0.9))
    assert common_slots([odd], ACTIVATIONS) == (0, ())
