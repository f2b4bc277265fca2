"""Chunk files are whole or absent."""

import dataclasses
import json

import numpy as np
import pytest
from one_chunk import ARRAYS, CHUNK

from jsuper import RunError
from jsuper.core.status import ERROR, FAILED, NON_FINITE
from jsuper.store import chunk_files


def same(a, b):
    return a.keys() == b.keys() and all(
        np.array_equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a
    )


@pytest.fixture
def path(tmp_path):
    """The file of a whole chunk."""
    chunk_files.write_chunk(tmp_path, CHUNK, ARRAYS)
    return chunk_files.chunk_path(tmp_path, CHUNK.name)


# --------------------------------------------------------------------------------------- chunks


def test_a_chunk_comes_back_as_it_was(tmp_path, path):
    assert same(chunk_files.read_chunk(tmp_path, CHUNK), ARRAYS)
    assert [p.name for p in path.parent.iterdir()] == [f"{CHUNK.name}.npz"]


def test_a_chunk_that_is_not_there_is_none(tmp_path):
    assert chunk_files.read_chunk(tmp_path, CHUNK) is None


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.9, 0.999])
def test_a_truncated_chunk_is_refused(tmp_path, tried, path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RunError, match=f"{CHUNK.name}.*cannot be read"):
        chunk_files.read_chunk(tmp_path, CHUNK)
    tried("A damaged chunk file", "cut off at five lengths from 0 to 99.9 %: refused by its name")


def test_a_file_that_is_no_archive_is_refused(tmp_path, path):
    with open(path, "wb") as file:
        np.save(file, ARRAYS["W"])
    with pytest.raises(RunError, match=f"{CHUNK.name}.*cannot be read"):
        chunk_files.read_chunk(tmp_path, CHUNK)


def test_a_flipped_bit_anywhere_is_harmless_or_refused(tmp_path, tried, path):
    """Zip files have bytes that nobody reads; any other bit is noticed."""
    content = path.read_bytes()
    refused = harmless = 0
    for place in [*range(0, len(content), 29), *range(len(content) - 800, len(content), 2)]:
        for bit in (0, 7):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                assert same(chunk_files.read_chunk(tmp_path, CHUNK), ARRAYS), place
                harmless += 1
            except RunError:
                refused += 1
    assert refused > 500
    fault = "A damaged chunk file"
    tried(fault, "a flipped bit, spread over the whole file: refused by its name", refused)
    tried(fault, "a flipped bit in bytes that nobody reads: the data that was written", harmless)


@pytest.mark.parametrize(
    "name, array",
    [
        ("W", ARRAYS["W"][:, :, :1]),
        ("W", ARRAYS["W"][:1]),
        ("b", ARRAYS["b"].swapaxes(0, 1)),
        ("loss", ARRAYS["loss"][..., None]),
        ("status", ARRAYS["status"][:, :2]),
    ],
)
def test_an_array_of_another_shape_is_refused(tmp_path, name, array):
    chunk_files.write_chunk(tmp_path, CHUNK, ARRAYS | {name: array})
    with pytest.raises(RunError, match=f"no array {name} of shape"):
        chunk_files.read_chunk(tmp_path, CHUNK)


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_not_there_is_noticed(tmp_path, name):
    chunk_files.write_chunk(tmp_path, CHUNK, {k: v for k, v in ARRAYS.items() if k != name})
    with pytest.raises(RunError, match=f"no array {name} of shape"):
        chunk_files.read_chunk(tmp_path, CHUNK)


@pytest.mark.parametrize(
    "name, array",
    [
        ("W", lambda a: a.astype("U5")),
        ("W", lambda a: a.astype("c16")),
        ("loss", lambda a: a > 0),
        ("loss", lambda a: a.astype("i4").view("V4")),
        ("loss", lambda a: a.astype("M8[s]")),
        ("first_bad_step", lambda a: a.astype("f4")),
        ("status", lambda a: a.astype("f4")),
        ("status", lambda a: a.astype("U5")),
        ("status", lambda a: a + 98),
        ("status", lambda a: 0 * a),
    ],
)
def test_an_array_of_another_type_is_refused(tmp_path, name, array):
    chunk_files.write_chunk(tmp_path, CHUNK, ARRAYS | {name: array(ARRAYS[name])})
    with pytest.raises(RunError, match=rf"chunk {CHUNK.name}\.npz has an? (array|status)"):
        chunk_files.read_chunk(tmp_path, CHUNK)


@pytest.mark.parametrize("name", ["W", "b", "loss", "loss_curve"])
def test_a_model_that_is_said_to_be_finite_is(tmp_path, name):
    array = ARRAYS[name].copy()
    array[1, 2] = np.nan
    chunk_files.write_chunk(tmp_path, CHUNK, ARRAYS | {name: array})
    with pytest.raises(RunError, match=f"a model of status 1 whose {name} is not finite"):
        chunk_files.read_chunk(tmp_path, CHUNK)
    status = ARRAYS["status"].copy()
    status[1, 2] = NON_FINITE
    chunk_files.write_chunk(tmp_path, CHUNK, ARRAYS | {name: array, "status": status})
    assert np.isnan(chunk_files.read_chunk(tmp_path, CHUNK)[name][1, 2]).all()


def test_a_chunk_under_the_name_of_another_is_refused(tmp_path, path):
    other = dataclasses.replace(CHUNK, seeds=(3, 4, 5))  # of the same shape
    path.rename(chunk_files.chunk_path(tmp_path, other.name))
    with pytest.raises(RunError, match="does not contain what its name states"):
        chunk_files.read_chunk(tmp_path, other)


def test_a_chunk_of_another_schema_is_refused(tmp_path, tried, path):
    meta = json.dumps({"schema": chunk_files.SCHEMA + 1} | CHUNK.to_dict())
    np.savez(path, meta=meta, **ARRAYS)
    with pytest.raises(RunError, match=CHUNK.name):
        chunk_files.read_chunk(tmp_path, CHUNK)
    tried("A run folder of a newer schema", "a chunk of the next schema: refused by its name")


class Trap:
    """Sets a flag where somebody unpickles it."""

    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


def test_pickles_are_neither_written_nor_read(tmp_path, path):
    trapped = ARRAYS | {"W": np.array([Trap()], dtype=object)}
    with pytest.raises(ValueError, match="allow_pickle"):
        chunk_files.write_chunk(tmp_path, CHUNK, trapped)
    meta = json.dumps({"schema": chunk_files.SCHEMA} | CHUNK.to_dict())
    np.savez(path, meta=meta, **trapped)
    with pytest.raises(RunError, match="pickled objects"):
        chunk_files.read_chunk(tmp_path, CHUNK)
    assert not Trap.sprung


class FullDiskError(OSError):
    pass


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    def write(file):
        file.write(b"half of it")
        raise FullDiskError

    with pytest.raises(FullDiskError):
        chunk_files.write_atomically(tmp_path / "chunks" / "new.npz", write)
    assert list((tmp_path / "chunks").iterdir()) == []


def test_a_failed_write_leaves_an_older_file_as_it_was(tmp_path, path, monkeypatch):
    content = path.read_bytes()

    def full(*args):
        raise FullDiskError

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FullDiskError):
        chunk_files.write_chunk(tmp_path, CHUNK, {k: v + 1 for k, v in ARRAYS.items()})
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == content


def with_failures(*messages):
    """The arrays, in which as many models of the first row have failed with these messages."""
    arrays = {k: v.copy() for k, v in ARRAYS.items()}
    arrays["status"][0, : len(messages)] = FAILED
    arrays[ERROR] = np.full(arrays["status"].shape, b"", "S300")
    arrays[ERROR][0, : len(messages)] = messages
    return arrays


def test_messages_of_failed_models_are_kept_and_counted(tmp_path):
    chunk_files.write_chunk(tmp_path, CHUNK, with_failures(b"out", b"\x1b[31mred\xff"))
    arrays = chunk_files.read_chunk(tmp_path, CHUNK, only=("loss",))
    found = chunk_files.error_messages(arrays)
    assert found.total() == 2 and found["out"] == 1 and "\x1b" not in "".join(found)
    assert chunk_files.done(tmp_path, [CHUNK])[0] == {CHUNK.name: chunk_files.Lost(0, 2)}
    older = {k: v for k, v in with_failures(b"out").items() if k != ERROR}
    assert chunk_files.error_messages(older) == {"no message was stored": 1}
    assert not chunk_files.error_messages(ARRAYS)


@pytest.mark.parametrize(
    "error",
    [
        np.full(ARRAYS["status"].shape, b"", "S301"),
        np.full(ARRAYS["status"].shape, "", "U3"),
        np.zeros(3, "S300"),
    ],
)
def test_messages_of_another_shape_or_type_are_refused(tmp_path, error):
    chunk_files.write_chunk(tmp_path, CHUNK, with_failures(b"out") | {ERROR: error})
    with pytest.raises(RunError, match="array error"):
        chunk_files.read_chunk(tmp_path, CHUNK)


def test_done_tells_whole_damaged_and_missing_apart(tmp_path, path):
    damaged = dataclasses.replace(CHUNK, seeds=(7,))
    absent = dataclasses.replace(CHUNK, seeds=(8,))
    chunk_files.chunk_path(tmp_path, damaged.name).write_bytes(path.read_bytes()[:-100])
    whole, bad = chunk_files.done(tmp_path, [CHUNK, damaged, absent])
    assert whole == {CHUNK.name: chunk_files.Lost(0, 0)}
    assert bad == [damaged]


def test_set_aside_keeps_the_damaged_file_under_another_name(tmp_path, path):
    path.write_bytes(b"damaged")
    aside = chunk_files.set_aside(tmp_path, CHUNK)
    assert not path.exists()
    assert aside.name == f"{CHUNK.name}.npz.corrupt" and aside.read_bytes() == b"damaged"
