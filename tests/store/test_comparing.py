"""Two run folders, model by model: copies of a stored run with changed numbers, statuses, files."""

import shutil

import numpy as np
import pytest
import xarray
from running import DATA, chunk_files, state

from jsuper.core.errors import SpecError
from jsuper.store import chunk_files as store
from jsuper.store.comparing import (
    compare,
    different_functions,
    least_size,
    relative_difference,
)
from jsuper.store.manifest import manifest_of

STORED = DATA / "run-0.1-function"


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(STORED, tmp_path / "copy")


def changed(folder, change):
    """The first chunk of a folder, written again with other arrays."""
    chunk = manifest_of(folder).chunks[0]
    arrays = store.read_chunk(folder, chunk)
    change(arrays)
    store.write_chunk(folder, chunk, arrays)
    return chunk


def test_a_run_equals_its_copy_and_neither_changes(copy):
    before = state(copy)
    found = compare(STORED, copy, 0.0)
    assert found.equal and found.shared == 4 and found.only == (0, 0)
    assert {"W", "b", "loss"} <= found.variables.keys()
    assert all(d.largest == 0 and d.beyond == 0 for d in found.variables.values())
    assert state(copy) == before


def test_the_largest_difference_is_relative_to_the_model_and_named(copy):
    def change(arrays):
        arrays["W"][1, 0] *= 1 + 1e-3

    chunk = changed(copy, change)
    found = compare(STORED, copy, 1e-4)
    assert not found.equal and not found.other_status
    assert found.variables["W"].largest == pytest.approx(1e-3, rel=0.01)
    assert found.variables["W"].beyond == 1 and found.variables["W"].where == (
        f"sparsity {chunk.settings[1]['sparsity']}, seed {chunk.seeds[0]}"
    )
    assert found.variables["loss"].beyond == 0


def test_a_standard_error_is_compared_as_a_share_of_its_estimate(copy):
    def change(arrays):
        arrays["loss_stderr"][0, 0] += 1e-5 * arrays["loss"][0, 0]

    changed(copy, change)
    found = compare(STORED, copy, 1e-4)
    assert found.equal and found.variables["loss_stderr"].largest == pytest.approx(1e-5, rel=0.01)
    assert not compare(STORED, copy, 1e-6).equal


def test_improvement_is_a_share_whatever_its_own_size(copy):
    ds = xarray.Dataset({"status": ("seed", [0, 0]), "improvement": ("seed", [1e-7, 0.5])})
    assert least_size(ds, "improvement").tolist() == [1, 1]
    assert least_size(ds, "improvement_stderr").tolist() == [1, 1]
    assert least_size(ds, "status").tolist() == [0, 0]
    a, b = np.array([1e-7, 0.5]), np.array([2e-7, 0.4])
    assert relative_difference(a, b, 1, 1.0) == pytest.approx([1e-7, 0.1])


def test_a_model_that_diverged_in_one_run_alone_differs(copy):
    def change(arrays):
        arrays["status"][0, 0] = 2
        arrays["loss"][0, 0] = np.nan

    changed(copy, change)
    found = compare(STORED, copy, 0.0)
    assert not found.equal and found.other_status == 1
    assert found.variables["loss"].largest == 0  # the status tells it


def test_models_of_one_run_alone_are_counted(copy):
    chunk_files(copy)[0].unlink()
    found = compare(STORED, copy, 0.0)
    assert found.equal and 0 < found.shared < 4
    assert found.only == (4 - found.shared, 0)
    assert compare(copy, STORED, 0.0).only == (0, 4 - found.shared)


def test_runs_without_a_common_model_are_refused(copy):
    for path in chunk_files(copy):
        path.unlink()
    with pytest.raises(SpecError, match="share no trained model"):
        compare(STORED, copy, 0.0)


def test_functions_of_one_name_are_told_apart():
    one = {"activation": ["relu", "f@0123456789ab"], "seeds": 2}
    assert different_functions(one, one) == []
    other = {"activation": ["f@ba9876543210", "gelu"], "seeds": 2}
    assert different_functions(one, other) == [("activation", "f@0123456789ab", "f@ba9876543210")]


@pytest.mark.parametrize(
    "a, b, expected",
    [
        ([1.0, 0.0], [1.0, 1e-3], 1e-3),  # of the largest number, not of the element
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([0.0, 0.0], [1e-30, 0.0], 1.0),
        ([np.nan, 2.0], [np.nan, 1.0], 0.5),
        ([np.nan, 2.0], [1.0, 2.0], np.inf),
        ([np.inf, 2.0], [np.inf, 2.0], 0.0),
        ([-np.inf, 2.0], [np.inf, 2.0], np.inf),
    ],
)
def test_the_relative_difference_of_a_model(a, b, expected):
    assert relative_difference(np.array([a]), np.array([b]), 1) == pytest.approx(expected)
