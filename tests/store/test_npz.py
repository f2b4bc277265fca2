"""Files that somebody else may have made: correct data or a clear error, and no more memory."""

import io
import random
import zipfile

import numpy as np
import pytest
from one_chunk import arrays_of
from running import mutated

from jsuper.core.errors import RunError
from jsuper.core.grid import Chunk, expand
from jsuper.models.toy.spec import Sweep
from jsuper.store import chunk_files
from jsuper.store.npz import UNREADABLE, read_arrays

SWEEP = Sweep(activation="relu", sparsity=0.5, seeds=2, steps=5, n_features=4, n_hidden=2)
CHUNK = Chunk("toy", *(getattr(expand(SWEEP)[0], k) for k in ("static", "settings", "seeds")))


@pytest.fixture
def written(tmp_path):
    chunk_files.write_chunk(tmp_path, CHUNK, arrays_of(CHUNK))
    return chunk_files.chunk_path(tmp_path, CHUNK.name)


def archive(path, members, kind=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_arrays_are_what_was_saved(tmp_path):
    given = {
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.array(3, np.int8),
        "empty": np.zeros((0, 4)),
        "words": np.array("ä{}"),
        "flags": np.array([True, False]),
    }
    np.savez(tmp_path / "a.npz", **given)
    found = read_arrays(tmp_path / "a.npz")
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype and found[name].flags.writeable
    assert list(read_arrays(tmp_path / "a.npz", ("scalar",))) == ["scalar"]


def test_what_takes_more_memory_than_its_size_is_refused(tmp_path):
    bomb = archive(tmp_path / "a", [("a.npy", npy(np.zeros(10**7)))], zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 10**6
    with pytest.raises(UNREADABLE, match="larger than the file"):
        read_arrays(bomb)
    small = archive(tmp_path / "b", [("a.npy", npy(np.arange(3)))], zipfile.ZIP_DEFLATED)
    with pytest.raises(UNREADABLE, match="larger than the file|compressed"):
        read_arrays(small)
    whole = npy(np.zeros(3))
    longer = whole[:128].replace(b"(3,), }" + 11 * b" ", b"(30000000000,), } ")
    assert len(longer) == 128 and b"(30000000000,)" in longer
    for content in (whole[:-8], whole + bytes(8), longer + bytes(24), whole[:90] + bytes(62)):
        with pytest.raises(UNREADABLE, match="header"):
            read_arrays(archive(tmp_path / "c", [("a.npy", content)]))


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UNREADABLE):
        read_arrays(tmp_path / "a.npz")


def test_two_arrays_of_one_name_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = archive(tmp_path / "a", [("a.npy", npy(np.zeros(2))), ("a.npy", npy(np.ones(2)))])
    with pytest.raises(UNREADABLE, match="two arrays of one name"):
        read_arrays(path)


def test_mutated_chunks_are_correct_data_or_a_clear_error(tmp_path, tried, how_often, written):
    """A CRC of 32 bits guards every array: what is read is what was written."""
    count = how_often(2_000, 100_000)
    expected, content = arrays_of(CHUNK), written.read_bytes()
    rng = random.Random(count)
    refused = 0
    for _ in range(count):
        written.write_bytes(mutated(content, rng))
        try:
            found = chunk_files.read_chunk(tmp_path, CHUNK)
        except RunError as error:
            refused += 1
            assert CHUNK.name in str(error)
            continue
        assert found is not None and expected.keys() <= found.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
    assert 0.5 * count < refused < count
    fault = "A damaged chunk file"
    changed = "bits, bytes and pieces changed, cut, put in or moved at random"
    tried(fault, f"{changed}: refused by its name", refused)
    tried(fault, f"{changed}, to no effect: the data that was written", count - refused)
