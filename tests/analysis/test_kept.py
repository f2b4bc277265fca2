"""Measures of a run folder are kept in it, and reused for exactly the models of which they are."""

import numpy as np
import pytest
import xarray as xr
from one_chunk import CHUNK, SWEEP, arrays_of

import jsuper
from jsuper.analysis.metrics import toy
from jsuper.store import chunk_files
from jsuper.store.manifest import write_manifest


@pytest.fixture
def run(tmp_path):
    write_manifest(tmp_path, SWEEP, [CHUNK], [])
    chunk_files.write_chunk(tmp_path, CHUNK, arrays_of(CHUNK))
    return tmp_path


@pytest.fixture
def computed(monkeypatch):
    """The names of the measures that were computed, a set for each call."""
    calls, original = [], toy.measure_some

    def recorded(ds, names):
        calls.append(set(names))
        return original(ds, names)

    monkeypatch.setattr(toy, "measure_some", recorded)
    return calls


def test_a_second_analysis_computes_nothing(run, computed):
    first = jsuper.analyze(jsuper.load(run))
    assert len(computed) == 1
    second = jsuper.analyze(jsuper.load(run))
    assert len(computed) == 1
    xr.testing.assert_identical(first, second)
    assert second.component.dtype == np.int32
    some = jsuper.analyze(jsuper.load(run), metrics=("excess",))
    assert len(computed) == 1 and "excess" in some and "gain" not in some
    np.testing.assert_array_equal(some.excess, first.excess)


@pytest.mark.slow
def test_other_models_are_analysed_again(run, computed, monkeypatch):
    jsuper.analyze(jsuper.load(run))
    kept = (run / "analysis.npz").read_bytes()
    ds = jsuper.load(run)
    for other in (ds.sel(activation="relu"), ds.sel(seed=[2, 1])):
        jsuper.analyze(other)
    assert len(computed) == 3 and (run / "analysis.npz").read_bytes() == kept
    changed = ds.assign(W=ds.W * 2)
    np.testing.assert_allclose(
        jsuper.analyze(changed).feature_norm, 2 * jsuper.analyze(ds).feature_norm, rtol=1e-6
    )
    assert len(computed) == 5  # what was changed replaced the file, and was not used for ds
    chunk_files.write_chunk(run, CHUNK, arrays_of(CHUNK, seed=1))
    norms = jsuper.analyze(jsuper.load(run), metrics="feature_norm").feature_norm
    np.testing.assert_allclose(norms, np.linalg.norm(jsuper.load(run).W, axis=-2), rtol=1e-5)
    assert computed[5:] == [{"feature_norm"}]
    jsuper.analyze(jsuper.load(run))
    monkeypatch.setattr("jsuper.analysis.kept.__version__", "9")
    jsuper.analyze(jsuper.load(run))
    assert len(computed) == 8


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", None])
def test_a_damaged_file_is_ignored_and_replaced(run, computed, damage):
    path = run / "analysis.npz"
    first = jsuper.analyze(jsuper.load(run))
    path.write_bytes(path.read_bytes()[:-200] if damage is None else damage)
    xr.testing.assert_identical(jsuper.analyze(jsuper.load(run)), first)
    xr.testing.assert_identical(jsuper.analyze(jsuper.load(run)), first)
    assert len(computed) == 2


def test_a_folder_that_cannot_be_written_is_analysed(run, computed):
    (run / "analysis.npz").mkdir()
    assert "gain" in jsuper.analyze(jsuper.load(run))


@pytest.mark.parametrize(
    "names", [["excess"], ["gain", "r_squared"], ["alignment_z"], ["failed_fit"]]
)
def test_some_measures_are_those_of_all(run, names):
    ds = jsuper.load(run)
    found, whole = jsuper.analyze(ds, metrics=names), jsuper.analyze(ds)
    assert set(found) - set(ds) == set(names)
    for name in names:
        xr.testing.assert_identical(found[name], whole[name].drop_vars("figure", errors="ignore"))
    with pytest.raises(ValueError, match="metrics='gian' is not known; did you mean 'gain'"):
        jsuper.analyze(ds, metrics=["gian"])


def test_steps_compute_the_measures_that_they_name(run):
    ds = jsuper.load(run)
    (_, models), *_ = toy.groups(ds)
    found = {name for step in toy.steps_for(toy.MEASURES) for name in step(models)}
    assert found | {"failed_fit"} == set(toy.MEASURES)
    for names, step in ((toy.OF_LOSSES, toy.of_losses), (toy.OF_ROTATIONS, toy.of_rotations)):
        assert set(names) == set(step(models)) and toy.steps_for(names) == [step]


def test_a_table_has_a_row_per_model_and_every_measure(run):
    ds = jsuper.load(run)
    table = jsuper.table(ds)
    per_model = {name for name, (dims, _) in toy.MEASURES.items() if not dims}
    assert per_model | {"activation", "sparsity", "seed", "status", "loss"} <= set(table.columns)
    assert "W" not in table.columns and len(table) == ds.status.size
    whole = jsuper.analyze(ds)
    for row in table.itertuples():
        model = whole.sel(activation=row.activation, sparsity=row.sparsity, seed=row.seed)
        for name in ("status", "loss", "excess", "gain"):
            np.testing.assert_equal(getattr(row, name), model[name].item())
    assert jsuper.table(whole).equals(table)
    pandas = pytest.importorskip("pandas")
    exported = pandas.read_csv(jsuper.export(run, "csv"))
    pandas.testing.assert_frame_equal(exported, table, check_dtype=False, rtol=1e-6)
    one = jsuper.table(whole.sel(activation="relu", sparsity=0.5, seed=0))
    assert len(one) == 1 and one.loss[0] == table.loss[0]
    with pytest.raises(TypeError, match=r"ds is 'run', not the Dataset"):
        jsuper.table("run")
