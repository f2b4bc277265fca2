"""Run folders of one sweep in one: seeds, shares, overlaps, damage, refusals; sources stay."""

import json
import shutil

import numpy as np
import pytest
from running import assert_same_content, chunk_files, state

import jsuper
from jsuper.core.errors import SpecError
from jsuper.core.grid import Chunk
from jsuper.store import chunk_files as store
from jsuper.store.manifest import manifest_of, write_manifest
from jsuper.store.merging import as_sweep, merge
from jsuper.store.status import problems, status_of

SIZE = dict(activation=("relu", "gelu"), sparsity=(0, 0.9), n_features=6, n_hidden=2, steps=30)
SIZE |= dict(batch_size=64)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 4 settings and 4 seeds in 4 chunks."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    jsuper.run(jsuper.Sweep(**SIZE, seeds=4), folder, workers=4, progress=False)
    assert len(chunk_files(folder)) == 4
    return folder


def some(whole, folder, seeds, settings=slice(None)):
    """A finished run of some seeds and settings of the whole, in one chunk."""
    chunks = manifest_of(whole).chunks
    kept = chunks[0].settings[settings]
    chunk = Chunk("toy", chunks[0].static, kept, tuple(seeds))
    columns = [store.read_chunk(whole, c) for s in seeds for c in chunks if s in c.seeds]
    arrays = {k: np.concatenate([c[k] for c in columns], 1)[settings] for k in columns[0]}
    data = manifest_of(whole).sweep | {"seeds": list(seeds)}
    data |= {k: list(dict.fromkeys(s[k] for s in kept)) for k in ("activation", "sparsity")}
    write_manifest(folder, as_sweep(data), [chunk], [{"started": f"of {seeds}"}])
    store.write_chunk(folder, chunk, arrays)
    return folder


def test_seeds_overlaps_and_machines_become_the_whole_run(whole, tmp_path):
    a, b = some(whole, tmp_path / "a", [0, 1]), some(whole, tmp_path / "b", [1, 2, 3])
    before = state(a), state(b)
    merge([a, b], tmp_path / "c")
    assert (state(a), state(b)) == before
    assert_same_content(tmp_path / "c", whole)
    assert list(problems(tmp_path / "c")) == []
    sessions = json.loads(jsuper.load(tmp_path / "c").attrs["sessions"])
    assert [s["started"] for s in sessions] == ["of [0, 1]", "of [1, 2, 3]"]
    ds = jsuper.run(jsuper.Sweep(**SIZE, seeds=4), tmp_path / "c", progress=False)
    assert json.loads(ds.attrs["timing"])["models"] == 0


def test_shares_of_one_run_keep_their_chunks(whole, tmp_path):
    a, b = (shutil.copytree(whole, tmp_path / name) for name in "ab")
    lost = chunk_files(a)[:2], chunk_files(b)[1:3]
    for path in (*lost[0], *lost[1]):
        path.unlink()
    merge([a, b], tmp_path / "c")
    names = [c.name for c in manifest_of(whole).chunks]
    assert sorted(c.name for c in manifest_of(tmp_path / "c").chunks) == sorted(names)
    both = {p.name for p in lost[0]} & {p.name for p in lost[1]}
    assert {p.stem for p in chunk_files(tmp_path / "c")} == set(names) - {n[:-4] for n in both}
    assert status_of(tmp_path / "c").missing == 4
    ds = jsuper.run(jsuper.Sweep(**SIZE, seeds=4), tmp_path / "c", progress=False)
    assert json.loads(ds.attrs["timing"])["models"] == 4
    assert_same_content(tmp_path / "c", whole)


def test_what_no_folder_has_is_missing_and_trained_by_a_resume(whole, tmp_path):
    a = some(whole, tmp_path / "a", [0, 1], slice(0, 2))
    b = some(whole, tmp_path / "b", [2, 3], slice(2, 4))
    merge([a, b], tmp_path / "c")
    found = status_of(tmp_path / "c")
    assert (found.models, found.ok, found.missing) == (16, 8, 8)
    ds = jsuper.load(tmp_path / "c")
    assert np.array_equal((ds.status == 1).sum("sparsity").values, [[2, 2, 0, 0], [0, 0, 2, 2]])


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_results_the_finite_one_is_kept(whole, tmp_path, order):
    a, b = some(whole, tmp_path / "a", [0, 1]), some(whole, tmp_path / "b", [1, 2])
    for folder, place in ((a, (0, 1)), (b, (1, 0))):  # of seed 1, in each another setting
        chunk = manifest_of(folder).chunks[0]
        arrays = store.read_chunk(folder, chunk)
        arrays["status"][place], arrays["loss"][place] = 2, np.nan
        arrays["first_bad_step"][place] = 7
        store.write_chunk(folder, chunk, arrays)
    merge([a, b][::order], tmp_path / "c")
    ds, expected = jsuper.load(tmp_path / "c"), jsuper.load(whole).sel(seed=[0, 1, 2])
    assert (ds.status == 1).all() and (ds.first_bad_step == -1).all()
    assert np.array_equal(ds.W, expected.W) and np.array_equal(ds.loss, expected.loss)


def test_messages_of_failed_models_are_kept_until_a_result_replaces_them(whole, tmp_path):
    a, b = some(whole, tmp_path / "a", [0, 1]), some(whole, tmp_path / "b", [1, 2])
    chunk = manifest_of(a).chunks[0]
    arrays = store.read_chunk(a, chunk)
    arrays["error"] = np.zeros(arrays["status"].shape, "S300")
    for place, message in (((0, 0), b"no memory"), ((0, 1), b"no compiler")):  # seeds 0 and 1
        arrays["status"][place], arrays["loss"][place] = 3, np.nan
        arrays["error"][place] = message
    store.write_chunk(a, chunk, arrays)
    merge([a, b], tmp_path / "c")
    ds = jsuper.load(tmp_path / "c")
    assert json.loads(ds.attrs["errors"]) == {"no memory": 1}
    assert (ds.status == 3).sum() == 1 and (ds.status.sel(seed=[1, 2]) == 1).all()


def test_a_damaged_chunk_counts_as_missing(whole, tmp_path):
    a, b = some(whole, tmp_path / "a", [0, 1]), some(whole, tmp_path / "b", [2, 3])
    chunk_files(b)[0].write_bytes(b"damaged")
    merge([a, b], tmp_path / "c")
    assert status_of(tmp_path / "c").missing == 8 and list(problems(tmp_path / "c")) == []


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"steps": [31]}, r"steps is \[30\] in .*a and \[31\] in .*b"),
        ({"unpaired": True}, r"unpaired is False in .*a and True in"),
        ({"model": "factorization"}, r"model is 'toy' in .*a and 'factorization' in"),
    ],
)
def test_folders_of_another_sweep_are_refused(whole, tmp_path, monkeypatch, changes, said):
    a, b = some(whole, tmp_path / "a", [0, 1]), some(whole, tmp_path / "b", [2, 3])

    def changed(folder):
        found = manifest_of(folder)
        if folder == b:
            object.__setattr__(found, "sweep", found.sweep | changes)
        return found

    monkeypatch.setattr("jsuper.store.merging.manifest_of", changed)
    with pytest.raises(SpecError, match=said):
        merge([a, b], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_folder_in_use_is_refused(whole, tmp_path):
    a, b = some(whole, tmp_path / "a", [0, 1]), some(whole, tmp_path / "b", [2, 3])
    before = state(a)
    with pytest.raises(SpecError, match="out=.*a' exists; give a new folder"):
        merge([a, b], a)
    assert state(a) == before
