"""Several lists of importance, or of sparsity, as an axis."""

import dataclasses
import json

import numpy as np
import pytest

import jsuper
from jsuper.cli import options
from jsuper.core.grid import Chunk, expand, missing
from jsuper.models.toy.config import make_static
from jsuper.models.toy.labelled import labels_of, lists_of, named, numbers_of

LISTS = {"flat": (1, 1, 1), "steep": (1, 0.5, 0.25)}
PLAIN = jsuper.Sweep(
    activation="relu",
    sparsity=(0.5, 0.9),
    n_features=3,
    n_hidden=2,
    batch_size=64,
    seeds=2,
    steps=50,
    records=4,
)
SEVERAL = dataclasses.replace(PLAIN, importance=LISTS)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("importances") / "run"
    return jsuper.run(SEVERAL, folder, progress=False)


@pytest.mark.parametrize("label", LISTS)
def test_models_are_those_of_a_sweep_with_one_list(found, label):
    one = jsuper.run(dataclasses.replace(PLAIN, importance=LISTS[label]), progress=False)
    part = found.sel(importances=label)
    for name in ("W", "b", "loss", "loss_over_constant"):
        assert np.array_equal(part[name], one[name]), name
    measured, expected = jsuper.analyze(part), jsuper.analyze(one)
    for name in ("importance_rank_correlation", "gain", "feature_error"):
        assert np.allclose(measured[name], expected[name], equal_nan=True), name
    model = jsuper.model(part.isel(seed=0, sparsity=0, activation=0))
    assert model.importance == LISTS[label]


DENSE = {"alike": (0.9, 0.9, 0.9), "first denser": (0.5, 0.9, 0.9)}


def test_several_lists_of_sparsity_are_an_axis_too(tmp_path):
    plain = dataclasses.replace(PLAIN, sparsity=jsuper.Sweep().sparsity)
    several = dataclasses.replace(plain, feature_sparsity=DENSE)
    assert several.sparsity == (0.0,) and several.feature_sparsity is None
    found = jsuper.run(several, tmp_path / "run", progress=False)
    assert found.feature_sparsities.values.tolist() == list(DENSE)
    measured = jsuper.analyze(jsuper.load(tmp_path / "run"))
    for label, listed in DENSE.items():
        sweep = dataclasses.replace(plain, feature_sparsity=listed)
        one, part = jsuper.run(sweep, progress=False), found.sel(feature_sparsities=label)
        for name in ("W", "b", "loss", "loss_over_constant"):
            assert np.array_equal(part[name], one[name]), name
        expected, part = jsuper.analyze(one), measured.sel(feature_sparsities=label)
        for name in ("gain", "r_squared", "interference_by_density"):
            assert np.allclose(part[name], expected[name], equal_nan=True), name


def test_one_program_trains_all_lists(found):
    one = jsuper.run(dataclasses.replace(PLAIN, importance=(3, 2, 1), steps=51), progress=False)
    two = jsuper.run(dataclasses.replace(SEVERAL, steps=52), progress=False)
    compiled = [json.loads(ds.attrs["timing"])["compiles"] for ds in (one, two)]
    assert compiled[0] == compiled[1]


def test_lists_of_one_density_share_batches():
    (group,) = expand(SEVERAL)
    static = make_static(group.static, [group.settings], "rows")
    assert (static.rows, static.slots) == (2, (0, 0))  # densities; a slot for each list


def test_a_list_counts_as_trained_if_a_folder_has_it_among_the_static_values():
    """As in the first folders that had such an axis."""
    (group,) = expand(SEVERAL)
    (setting, *_) = [s for s in group.settings if s["importances"].startswith("steep")]
    rest = {k: v for k, v in setting.items() if k != "importances"}
    static = group.static | {"importances": setting["importances"]}
    done = Chunk("toy", static, (rest,), group.seeds)
    (left,) = missing(SEVERAL, [done])
    assert len(left.settings) == 3 and setting not in left.settings


def test_a_folder_can_be_extended_by_a_list(found, tmp_path):
    folder = tmp_path / "run"
    jsuper.run(SEVERAL, folder, progress=False)
    more = dataclasses.replace(PLAIN, importance=LISTS | {"last": (0, 0, 1)})
    ds = jsuper.run(more, folder, progress=False)
    assert ds.importances.values.tolist() == ["flat", "steep", "last"]
    assert json.loads(ds.attrs["timing"])["models"] == 4
    assert np.array_equal(ds.W.sel(importances=["flat", "steep"]), found.W)
    assert np.array_equal(jsuper.load(folder).W, ds.W)


def test_labels_that_are_numbers_make_a_coordinate_of_numbers():
    sweep = dataclasses.replace(PLAIN, importance={0.1: (1, 1, 0.1), 2: (1, 1, 2)}, steps=5)
    ds = jsuper.run(sweep, progress=False)
    assert ds.importances.dtype == float and ds.importances.values.tolist() == [0.1, 2]
    assert dataclasses.replace(sweep, steps=6).importances == sweep.importances


def test_lists_without_labels_have_their_numbers_as_labels():
    sweep = dataclasses.replace(PLAIN, importance=[(1, 1, 0.1), (1, 1, 2)])
    assert labels_of(sweep.importances) == ["1 1 0.1", "1 1 2"]


@pytest.mark.parametrize("numbers", [(1.0, 0.1 + 0.2, 1e-300), (3.0, 2**60, 0.0)])
def test_text_keeps_every_digit(numbers):
    assert numbers_of(named("a", numbers)) == numbers


def test_a_sweep_without_lists_has_none():
    assert (
        lists_of(jsuper.Sweep().to_dict(), "importances")
        == lists_of({}, "importances")
        == {"none": None}
    )


def test_the_command_line_accepts_lists():
    words = ["--n-features", "2", "--importances", "flat(1, 1)", "0.5(1,0.5)"]
    sweep, _, _ = options.parse(words)
    assert sweep.importances == ("flat(1, 1)", "0.5(1, 0.5)")
