"""From a sweep to groups, points and chunks: nothing twice, nothing left out."""

import itertools
from collections import Counter

import pytest

from jsuper import Sweep
from jsuper.core.grid import Chunk, expand, missing, n_models, partition
from jsuper.core.json_data import plain

SMALL = dict(activation=("relu", "gelu"), sparsity=(0.0, 0.5), seeds=2, steps=10)


def points(chunks):
    """How often each point is in chunks or groups: static values and setting, with the seed."""
    found = Counter()
    for chunk in chunks:
        for setting, seed in itertools.product(chunk.settings, chunk.seeds):
            values = {k: plain(v) for k, v in (chunk.static | setting).items()}
            found[repr(sorted(values.items())), seed] += 1
    return found


def chunks_of(sweep, max_models=3, workers=2):
    return [c for g in expand(sweep) for c in partition(sweep, g, max_models, workers)]


def test_expand_is_the_product_in_declared_order():
    groups = expand(Sweep(**SMALL, n_hidden=(3, 2), dropout=(0.1, 0.0)))
    assert [g.static["n_hidden"] for g in groups] == [3, 2]
    for group in groups:
        assert group.seeds == (0, 1)
        assert [(s["activation"], s["sparsity"], s["dropout"]) for s in group.settings] == list(
            itertools.product(("relu", "gelu"), (0.0, 0.5), (0.1, 0.0))
        )


def test_expand_splits_fields_by_their_role():
    (group,) = expand(Sweep(**SMALL))
    assert group.static["n_features"] == 20 and group.static["steps"] == 10
    assert group.settings[0]["learning_rate"] == 1e-3
    assert not group.static.keys() & group.settings[0].keys()
    assert "seeds" not in group.static


@pytest.mark.parametrize(
    "fields, number",
    [({}, 27 * 7 * 3), (SMALL, 8), (SMALL | dict(n_hidden=(2, 3), seeds=[9, 4, 1]), 24)],
)
def test_number_of_models(fields, number):
    assert n_models(Sweep(**fields)) == number


@pytest.mark.parametrize("n_settings", [1, 2, 3, 7, 27, 189])
@pytest.mark.parametrize("n_seeds", [1, 2, 3, 5, 16])
def test_partition_covers_every_point_once(n_settings, n_seeds):
    decays = tuple(0.5 + i / 1000 for i in range(n_settings))
    sweep = Sweep(activation="relu", sparsity=0.5, weight_decay=decays, seeds=n_seeds)
    (group,) = expand(sweep)
    every = set(itertools.product(decays, range(n_seeds)))
    for max_models, workers in itertools.product((1, 2, 5, 24, 64, 8192), (1, 2, 3, 8)):
        chunks = partition(sweep, group, max_models, workers)
        found = Counter((s["weight_decay"], seed) for c in chunks for s, seed in c.points)
        assert found.keys() == every and set(found.values()) == {1}, (max_models, workers)
        assert max(c.n_models for c in chunks) <= max_models, (max_models, workers)
        assert len({c.name for c in chunks}) == len(chunks)


@pytest.mark.parametrize(
    "n_seeds, workers, max_models",
    [(3, 2, 24), (3, 2, 64), (1, 2, 64), (1, 8, 64), (3, 4, 24), (5, 2, 64)],
)
def test_the_default_grid_divides_evenly_among_workers(n_seeds, workers, max_models):
    sweep = Sweep(seeds=n_seeds)
    (group,) = expand(sweep)
    chunks = partition(sweep, group, max_models, workers)
    assert len(chunks) % workers == 0
    sizes = [c.n_models for c in chunks]
    assert max(sizes) - min(sizes) <= 7  # the sparsities of one activation


@pytest.mark.parametrize(
    "n_seeds, workers, expected",
    [  # seeds of chunks with all settings, and of chunks with each part of the settings
        (2, 2, ([(0,), (1,)], {})),
        (3, 2, ([(0,), (1,)], {"ab": [(2,)], "c": [(2,)]})),
        (1, 3, ([], {"a": [(0,)], "b": [(0,)], "c": [(0,)]})),
        (6, 4, ([(0,), (1,), (2,), (3,)], {"ab": [(4,), (5,)], "c": [(4,), (5,)]})),
        (5, 1, ([(0, 1, 2), (3, 4)], {})),
    ],
)
def test_seeds_that_are_left_over_are_divided(n_seeds, workers, expected):
    sweep = Sweep(activation="relu", sparsity=(0.0, 0.5, 0.9), seeds=n_seeds)
    (group,) = expand(sweep)
    a, b, c = group.settings
    parts = {2: [(a, b), (c,)], 3: [(a,), (b,), (c,)]}
    chunks = partition(sweep, group, 9, workers, parts.get)
    whole = [chunk.seeds for chunk in chunks if len(chunk.settings) == 3]
    divided = {}
    for chunk in chunks[len(whole) :]:
        name = "".join("abc"[group.settings.index(s)] for s in chunk.settings)
        divided.setdefault(name, []).append(chunk.seeds)
    assert (whole, divided) == expected


def test_seeds_are_sliced_if_their_settings_cannot_be_divided():
    sweep = Sweep(activation="relu", sparsity=(0.0, 0.5, 0.9), seeds=3)
    (group,) = expand(sweep)
    undivided = partition(sweep, group, 9, 2)
    assert partition(sweep, group, 9, 2, lambda parts: None) == undivided
    assert partition(sweep, group, 2, 2, lambda parts: 1 / 0) == partition(sweep, group, 2, 2)


def test_a_chunk_lists_its_points_settings_outermost():
    (chunk,) = chunks_of(Sweep(**SMALL), max_models=100, workers=1)
    order = [(s["activation"], s["sparsity"], seed) for s, seed in chunk.points]
    assert order == list(itertools.product(("relu", "gelu"), (0.0, 0.5), (0, 1)))
    assert chunk.n_models == len(order)


CHUNK = Chunk("toy", {"n_features": 3, "steps": 5}, ({"sparsity": 0.5, "dropout": 0.0},), (0, 1))


def test_a_name_does_not_depend_on_the_order_of_keys():
    turned = Chunk(
        "toy", {"steps": 5, "n_features": 3}, ({"dropout": 0.0, "sparsity": 0.5},), (0, 1)
    )
    assert turned.name == CHUNK.name


@pytest.mark.parametrize(
    "other",
    [
        Chunk("other", CHUNK.static, CHUNK.settings, CHUNK.seeds),
        Chunk("toy", CHUNK.static | {"steps": 6}, CHUNK.settings, CHUNK.seeds),
        Chunk("toy", CHUNK.static, ({"sparsity": 0.5, "dropout": 0.1},), CHUNK.seeds),
        Chunk("toy", CHUNK.static, CHUNK.settings * 2, CHUNK.seeds),
        Chunk("toy", CHUNK.static, CHUNK.settings, (0, 2)),
        Chunk("toy", CHUNK.static, CHUNK.settings, (1, 0)),
    ],
    ids=["model", "static", "setting", "settings", "seeds", "order of the seeds"],
)
def test_a_name_depends_on_the_content(other):
    assert other.name != CHUNK.name


@pytest.mark.parametrize(
    "more",
    [
        dict(seeds=5),
        dict(sparsity=(0.0, 0.25, 0.5)),
        dict(activation=("gelu", "tanh", "relu")),
        dict(n_hidden=(5, 2)),
        dict(seeds=[1, 7, 0], dropout=(0.0, 0.3), sparsity=(0.9, 0.5, 0.0), steps=(20, 10)),
    ],
    ids=lambda more: " ".join(more),
)
def test_missing_after_an_extension_is_exactly_the_new_points(more):
    old, new = Sweep(**SMALL), Sweep(**SMALL | more)
    held = chunks_of(old)
    rest = missing(new, held)
    assert points(rest) == points(expand(new)) - points(held)
    assert points(rest)
    added = [c for g in rest for c in partition(new, g, 3, 2)]
    assert points(held + added) == points(expand(new))
    assert missing(new, held + added) == []


def test_nothing_is_missing_from_a_whole_run_and_all_from_an_empty_one():
    sweep = Sweep(**SMALL)
    assert missing(sweep, chunks_of(sweep)) == []
    assert points(missing(sweep, [])) == points(expand(sweep))
