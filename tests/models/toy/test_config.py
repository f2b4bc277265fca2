"""How settings are divided among chunks that one program trains."""

import numpy as np
import pytest

import jsuper
from jsuper.core.grid import expand
from jsuper.engine.blocks import inputs, split
from jsuper.engine.devices import chunks_of, make_plan
from jsuper.models.toy import config, widths

SPARSITIES = (0.0, 0.7, 0.9, 0.97, 0.99, 0.997, 0.999)


def divided(parts, **fields):
    (group,) = expand(jsuper.Sweep(**{"seeds": 1, "activation": ("relu", "gelu")} | fields))
    return group, config.divide(group.static, group.settings, parts, "auto")


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 7])
def test_parts_are_whole_rows_that_take_about_as_long(parts):
    group, found = divided(parts, sparsity=SPARSITIES)
    assert len(found) == parts
    assert sorted(map(repr, sum(found, ()))) == sorted(map(repr, group.settings))
    rows = [{s["sparsity"] for s in part} for part in found]
    assert all(len(part) == 2 * len(row) for part, row in zip(found, rows, strict=True))
    cost = {  # a column has an active feature with probability .46 at .97, .02 at .999
        s: widths.width_of(group.static, {"sparsity": s, "activation": "relu"}) / 1024
        for s in SPARSITIES
    }
    assert cost[0.97] == 0.5 and cost[0.999] == 1 / 32
    taken = [sum(cost[s] for s in row) for row in rows]
    assert max(taken) <= max(1.0, 1.2 * sum(cost.values()) / parts)


@pytest.mark.parametrize(
    "fields",
    [
        {"sparsity": 0.9},  # one row
        {"sparsity": SPARSITIES, "activation": "relu"},  # rows of one model
        {"sparsity": SPARSITIES, "activation": ("relu", "softmax_batch")},  # two programs
    ],
)
def test_settings_without_rows_are_not_divided(fields):
    assert divided(2, **fields)[1] is None


def test_every_worker_gets_as_much_and_all_chunks_share_a_program():
    sweep = jsuper.Sweep(activation=("relu", "gelu"), sparsity=SPARSITIES, seeds=3)
    plan = make_plan("cpu", 2)
    chunks = chunks_of(plan, sweep, expand(sweep))
    assert [(len(c.settings), c.seeds) for c in chunks[:2]] == [(14, (0,)), (14, (1,))]
    assert [c.seeds for c in chunks[2:]] == [(2,), (2,)]
    blocks = split(plan, chunks, chunks)
    assert len({(b.static, b.shape) for b in blocks}) == 1
    for block in blocks:
        settings, _ = inputs(block)
        trained = np.asarray(settings.density) > 0
        assert trained.sum() == block.n_models
        assert trained[: block.n_models].all()  # empty rows come last


def test_models_with_their_own_draws_are_not_divided_by_rows():
    sweep = jsuper.Sweep(activation=("relu", "gelu"), sparsity=(0.0, 0.9), seeds=3, unpaired=True)
    chunks = chunks_of(make_plan("cpu", 2), sweep, expand(sweep))
    assert {len(c.settings) for c in chunks} == {2}
