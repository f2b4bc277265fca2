"""Runs too large for memory: verified at once, read where a selection reaches."""

import copy
import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import xarray as xr
from one_chunk import arrays_of

import jsuper
from jsuper import RunError, Sweep
from jsuper.core.errors import DamagedWarning
from jsuper.core.grid import expand, partition
from jsuper.store import chunk_files, dataset, lazy, npz
from jsuper.store.manifest import manifest_of, write_manifest

BASE = dict(
    activation=("relu", "gelu"), sparsity=(0.0, 0.9), seeds=2, steps=6, n_features=3, n_hidden=2
)
SWEEPS = {
    "a list of seeds": dict(seeds=[7, 3, 5]),
    "two precisions": dict(dtype=("float32", "float64")),
    "all at once": dict(
        n_features=(5, 3), dropout=(0.5, 0.0), steps=(6, 10), snapshots=(6, 0), seeds=[4, 1]
    ),
}


def write_run(folder, sweep, leave_out=()):
    """Write a run of random numbers in small chunks, except for those at the places `leave_out`."""
    chunks = [c for g in expand(sweep) for c in partition(sweep, g, 3, 2)]
    write_manifest(folder, sweep, chunks, [])
    for i, chunk in enumerate(chunks):
        if i not in leave_out:
            dtype = chunk.static["dtype"]
            arrays = arrays_of(chunk, seed=i)
            arrays = {k: a.astype(dtype) if a.dtype.kind == "f" else a for k, a in arrays.items()}
            chunk_files.write_chunk(folder, chunk, arrays)
    return chunks


@pytest.fixture
def always_lazy(monkeypatch):
    monkeypatch.setattr(dataset, "LAZY_BYTES", 0)


@pytest.fixture
def files_read(monkeypatch):
    """The (file, arrays) that were read from chunks after loading."""
    read, original = [], npz.read_arrays

    def recorded(path, only=None, most=None, expected=None):
        if expected is not None:
            read.append((path.stem, *only))
        return original(path, only, most, expected)

    monkeypatch.setattr(npz, "read_arrays", recorded)
    return read


def is_lazy(variable):
    return not variable.variable._in_memory


@pytest.mark.parametrize("leave_out", [(), (0, 2)], ids=["whole", "with chunks missing"])
@pytest.mark.parametrize("name", ["a list of seeds", "two precisions", "all at once"])
def test_lazy_variables_are_the_eager_ones(tmp_path, monkeypatch, name, leave_out):
    write_run(tmp_path, Sweep(**BASE | SWEEPS[name]), leave_out)
    eager = jsuper.load(tmp_path)
    monkeypatch.setattr(dataset, "LAZY_BYTES", 0)
    found = jsuper.load(tmp_path)
    assert is_lazy(found["W"]) and not is_lazy(found["status"])
    assert {k: v.dtype for k, v in found.items()} == {k: v.dtype for k, v in eager.items()}
    xr.testing.assert_identical(found, eager)
    rng = np.random.default_rng(0)
    for _ in range(5):  # numbers, slices, repeated and unordered positions
        kinds = {d: rng.integers(4) for d in eager.dims}
        index = {
            str(d): (
                int(rng.integers(n)),
                slice(None, None, 2),
                slice(None, None, -1),
                rng.integers(n, size=3),
            )[kinds[d]]
            for d, n in eager.sizes.items()
        }
        xr.testing.assert_identical(found.isel(index), eager.isel(index))
    point = eager["seed"].values[-1]
    xr.testing.assert_identical(found.sel(seed=point).W, eager.sel(seed=point).W)


def test_a_selection_reads_the_chunks_and_arrays_that_it_needs(tmp_path, always_lazy, files_read):
    chunks = write_run(tmp_path, Sweep(**BASE))
    ds = jsuper.load(tmp_path)
    one = ds.sel(activation="gelu", sparsity=0.9, seed=1)
    assert files_read == []  # only the selection is lazy so far
    assert np.isfinite(one.W.values).all()
    (owner,) = [
        c.name
        for c in chunks
        for setting, seed in c.points
        if (setting["activation"], setting["sparsity"], seed) == ("gelu", 0.9, 1)
    ]
    assert files_read == [(owner, "W")]


def test_a_chunk_that_changes_meanwhile_is_an_error(tmp_path, always_lazy):
    chunks = write_run(tmp_path, Sweep(**BASE))
    ds = jsuper.load(tmp_path)
    ds.W.load()
    changed = arrays_of(chunks[0])
    chunk_files.write_chunk(tmp_path, chunks[0], changed)
    assert np.isfinite(ds.b.values).all()  # the same bytes again are no change
    changed["b"] = changed["b"] + 1
    chunk_files.write_chunk(tmp_path, chunks[0], changed)
    with pytest.raises(RunError, match=rf"chunk {chunks[0].name}.npz .* changed after .* again"):
        ds.b.load()
    assert np.isfinite(ds.loss.values).all()  # an array that did not change
    chunk_files.chunk_path(tmp_path, chunks[1].name).unlink()
    with pytest.raises(RunError, match="changed after the run was loaded"):
        ds.loss.load()


def test_a_lazy_dataset_is_copied_and_pickled(tmp_path, always_lazy):
    write_run(tmp_path, Sweep(**BASE))
    ds = jsuper.load(tmp_path)
    for other in (pickle.loads(pickle.dumps(ds)), copy.deepcopy(ds)):
        assert other.W.isel(seed=[1]).equals(ds.W.isel(seed=[1]))
        assert other.identical(ds)


def test_damage_is_found_when_the_run_is_loaded(tmp_path, always_lazy):
    chunks = write_run(tmp_path, Sweep(**BASE))
    path = chunk_files.chunk_path(tmp_path, chunks[0].name)
    content = bytearray(path.read_bytes())
    content[content.index(np.load(path)["W"].tobytes()) + 1] ^= 1
    path.write_bytes(content)
    with pytest.warns(DamagedWarning, match="1 of"):
        ds = jsuper.load(tmp_path)
    lost = (ds.status == 0).sum()
    assert lost == chunks[0].n_models and np.isnan(ds.loss).sum() == lost


def test_what_does_not_fit_in_the_free_memory_is_lazy(tmp_path, monkeypatch):
    write_run(tmp_path, Sweep(**BASE))
    assert not is_lazy(jsuper.load(tmp_path)["W"])
    manifest = manifest_of(tmp_path)
    few = SimpleNamespace(available=dataset.size_of(manifest, ()) - 1)
    for variables in (None, ["loss"]):
        size = dataset.size_of(manifest, variables)
        for free, expected in ((size, False), (size - 1, True)):
            memory = SimpleNamespace(available=free)
            monkeypatch.setattr(psutil, "virtual_memory", lambda memory=memory: memory)
            assert is_lazy(jsuper.load(tmp_path, variables)["loss"]) == expected
    monkeypatch.setattr(psutil, "virtual_memory", lambda: few)
    with pytest.raises(RunError, match="for the status of every model alone"):
        jsuper.load(tmp_path)


def test_matches_are_all_pairs_of_equal_positions():
    rng = np.random.default_rng(0)
    for _ in range(20):
        wanted, own = rng.integers(6, size=4), rng.permutation(6)[:3]
        at, source = lazy._matches(wanted, own)
        np.testing.assert_array_equal(wanted[at], own[source])
        np.testing.assert_array_equal(at, np.flatnonzero(np.isin(wanted, own)))


def test_metrics_of_a_lazy_dataset(tmp_path, always_lazy):
    write_run(tmp_path, Sweep(**BASE))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        best = jsuper.best(jsuper.load(tmp_path))
    assert best["W"].dims == ("activation", "sparsity", "hidden", "feature")
