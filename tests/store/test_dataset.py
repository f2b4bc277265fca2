"""Chunks' arrays at their coordinates: no training, numbers that say where they belong."""

import dataclasses
import itertools
import json
import zlib

import numpy as np
import pytest

import jsuper
from jsuper import RunError, SpecError, Sweep
from jsuper.core.family import family_of
from jsuper.core.grid import expand, partition
from jsuper.store import chunk_files
from jsuper.store.manifest import write_manifest

BASE = dict(
    activation=("relu", "gelu"), sparsity=(0.0, 0.9), seeds=2, steps=6, n_features=3, n_hidden=2
)


def code(point, seed):
    """A number for a model, from its setting, static values and seed."""
    return zlib.crc32(repr((sorted(point.items()), seed)).encode()) % 10_000


def result(chunk, variable, point, seed):
    """What stands for the result `variable` of one model: its code, and its own coordinates."""
    dims, shape = family_of(chunk.model).spec.layout(chunk.static, chunk.settings)[variable]
    own = family_of(chunk.model).coordinates(chunk.static)
    along = [np.array(own.get(d, range(size))) for d, size in zip(dims, shape, strict=True)]
    inner = sum(
        (100.0 ** (len(dims) - 1 - i) * v for i, v in enumerate(np.ix_(*along))), np.zeros(shape)
    )
    return len(variable) + code(point, seed) + inner / 1024


def arrays_of(chunk):
    """A chunk's arrays; its models are non-finite where the code is odd, at that step."""
    points = [(chunk.static | s, seed) for s, seed in chunk.points]
    lead = (len(chunk.settings), len(chunk.seeds))

    def stack(values, dtype):
        values = np.array(values, dtype)
        return values.reshape(lead + values.shape[1:])

    arrays = {
        name: stack([result(chunk, name, *p) for p in points], chunk.static["dtype"])
        for name in family_of(chunk.model).spec.layout(chunk.static, chunk.settings)
    }
    codes = np.array([code(*p) for p in points])
    arrays["status"] = stack(1 + codes % 2, "i1")
    arrays["first_bad_step"] = stack(np.where(codes % 2, codes, -1), "i4")
    return arrays


def write_run(folder, sweep, leave_out=()):
    """A run folder of `sweep` in small chunks, but for those at the places `leave_out`."""
    chunks = [c for g in expand(sweep) for c in partition(sweep, g, 3, 2)]
    write_manifest(folder, sweep, chunks, [{"versions": {"jsuper": "x"}}])
    held = [c for i, c in enumerate(chunks) if i not in leave_out]
    for chunk in held:
        chunk_files.write_chunk(folder, chunk, arrays_of(chunk))
    return chunks, held


SWEEPS = {
    "default dimensions": {},
    "one of each": dict(activation="relu", sparsity=0.5, seeds=1),
    "a list of seeds": dict(seeds=[7, 3, 5]),
    "a further axis": dict(dropout=(0.5, 0.0)),
    "two further axes": dict(learning_rate=(1e-3, 1e-2), optimizer=("sgd", "adam")),
    "two shapes": dict(n_features=(5, 3), n_hidden=(2, 4)),
    "two lengths": dict(steps=(6, 10, 400)),
    "two precisions": dict(dtype=("float32", "float64")),
    "snapshots": dict(snapshots=(0, 5, 2)),
    "importance list": dict(importance=(1.0, 0.5, 0.2)),
    "all at once": dict(
        n_features=(5, 3), dropout=(0.5, 0.0), steps=(6, 10), snapshots=(6, 0), seeds=[4, 1]
    ),
}


@pytest.mark.parametrize("leave_out", [(), (0, 2)], ids=["whole", "with chunks missing"])
@pytest.mark.parametrize("fields", SWEEPS.values(), ids=SWEEPS)
def test_every_number_lands_at_its_coordinates(tmp_path, fields, leave_out):
    sweep = Sweep(**BASE | fields)
    chunks, held = write_run(tmp_path, sweep, leave_out)
    ds = jsuper.load(tmp_path)
    axes = [d for d in ds["status"].dims if d != "seed"]
    found = 0
    for chunk in chunks:
        for setting, seed in chunk.points:
            point = chunk.static | setting
            model = ds.sel({k: point[k] for k in axes} | {"seed": seed})
            if chunk not in held:
                assert model.status == 0 and model.first_bad_step == -1
                assert all(np.isnan(model[k]).all() for k in model if model[k].dtype.kind == "f")
                continue
            found += 1
            bad = code(point, seed) % 2
            assert model.status == 1 + bad
            assert model.first_bad_step == (code(point, seed) if bad else -1)
            layout = family_of("toy").spec.layout(chunk.static, chunk.settings)
            for name, (dims, shape) in layout.items():
                own = family_of("toy").coordinates(chunk.static)
                inner = {d: own.get(d, range(s)) for d, s in zip(dims, shape, strict=True)}
                values = model[name].sel({d: list(v) for d, v in inner.items()})
                expected = result(chunk, name, point, seed).astype(values.dtype)
                np.testing.assert_array_equal(values, expected, err_msg=name)
                outside = np.isnan(model[name]).sum()
                assert outside == model[name].size - expected.size, name
    assert ds.status.size == sum(c.n_models for c in chunks)
    assert (ds.status > 0).sum() == found


@pytest.mark.parametrize(
    "fields, dims",
    [
        ({}, "activation sparsity seed"),
        (dict(activation="relu", sparsity=0.5, seeds=1), "activation sparsity seed"),
        (dict(dropout=(0.5, 0.0)), "activation sparsity dropout seed"),
        (
            dict(steps=(6, 10), learning_rate=(1e-3, 1e-2)),
            "activation sparsity learning_rate steps seed",
        ),
    ],
)
def test_dimensions_and_coordinates(tmp_path, fields, dims):
    sweep = Sweep(**BASE | fields)
    write_run(tmp_path, sweep)
    ds = jsuper.load(tmp_path)
    lead = tuple(dims.split())
    own = {
        "W": ("hidden", "feature"),
        "b": ("feature",),
        "loss": (),
        "loss_stderr": (),
        "loss_over_constant": (),
        "loss_curve": ("step",),
        "improvement": (),
        "improvement_stderr": (),
        "status": (),
        "first_bad_step": (),
    }
    assert {k: v.dims for k, v in ds.items()} == {k: (*lead, *v) for k, v in own.items()}
    for name, values in sweep.axes.items():
        assert tuple(ds[name].values) == values
    assert tuple(ds.seed.values) == sweep.seed_values
    for f in dataclasses.fields(sweep):
        if f.metadata["axis"] and f.name not in sweep.axes:
            (value,) = getattr(sweep, f.name)
            expected = "none" if value == "" else value  # of an axis of lists that is not used
            assert ds[f.name].shape == () and ds[f.name].item() == expected


def test_curves_of_two_lengths_share_the_union_of_their_steps(tmp_path):
    write_run(tmp_path, Sweep(**BASE | dict(steps=(6, 10), records=3)))
    ds = jsuper.load(tmp_path)
    assert list(ds.step.values) == [0, 2, 4, 8]
    assert np.isfinite(ds.loss_curve.sel(steps=6, step=[0, 2, 4])).all()
    assert np.isnan(ds.loss_curve.sel(steps=6, step=8)).all()
    assert np.isfinite(ds.loss_curve.sel(steps=10, step=[0, 4, 8])).all()
    assert np.isnan(ds.loss_curve.sel(steps=10, step=2)).all()


def test_a_smaller_model_is_filled_with_nan(tmp_path):
    write_run(tmp_path, Sweep(**BASE | dict(n_features=(3, 5))))
    ds = jsuper.load(tmp_path)
    assert ds.sizes["feature"] == 5
    assert np.isfinite(ds.W.sel(n_features=5)).all()
    assert np.isfinite(ds.W.sel(n_features=3)[..., :3]).all()
    assert np.isnan(ds.W.sel(n_features=3)[..., 3:]).all()


@pytest.mark.parametrize(
    "dtypes, kept",
    [("float32", "float32"), ("float64", "float64"), (("float32", "float64"), "float64")],
)
def test_precision_is_kept(tmp_path, dtypes, kept):
    write_run(tmp_path, Sweep(**BASE, dtype=dtypes))
    ds = jsuper.load(tmp_path)
    assert {str(ds[k].dtype) for k in ("W", "b", "loss", "loss_curve")} == {kept}


def test_a_function_is_its_name(tmp_path):
    def my_act(z):
        return z

    write_run(tmp_path, Sweep(**BASE | dict(activation=("relu", my_act))).traced())
    assert list(jsuper.load(tmp_path).activation.values) == ["relu", "my_act"]


def test_attributes_say_what_is_what(tmp_path):
    sweep = Sweep(**BASE, snapshots=(2,))
    write_run(tmp_path, sweep)
    ds = jsuper.load(tmp_path)
    assert all(v.attrs["description"] and v.attrs["units"] for v in ds.values())
    assert "0 missing, 1 ok, 2 non-finite, 3 failed" in ds.status.attrs["description"]
    assert Sweep.from_dict(json.loads(ds.attrs["sweep"])) == sweep
    assert json.loads(ds.attrs["sessions"]) == [{"versions": {"jsuper": "x"}}]


def test_a_damaged_chunk_counts_as_missing(tmp_path):
    chunks, _ = write_run(tmp_path, Sweep(**BASE))
    path = chunk_files.chunk_path(tmp_path, chunks[1].name)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.warns(UserWarning, match="1 of . chunks are damaged.*jsuper verify"):
        ds = jsuper.load(tmp_path)
    assert (ds.status == 0).sum() == chunks[1].n_models
    assert path.exists()


def test_a_run_without_any_chunk_loads(tmp_path):
    write_run(tmp_path, Sweep(**BASE), leave_out=range(99))
    ds = jsuper.load(tmp_path)
    assert ds.W.shape == (2, 2, 2, 2, 3)
    assert (ds.status == 0).all() and np.isnan(ds.W).all()


def test_what_is_no_run_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing does not exist"):
        jsuper.load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"no manifest\.json"):
        jsuper.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        jsuper.load(tmp_path)


# --------------------------------------------------------------------------------------- export


@pytest.fixture
def run(tmp_path):
    """A run folder with a further axis and a chunk missing."""
    write_run(tmp_path, Sweep(**BASE, dropout=(0.0, 0.5)), leave_out=[1])
    return tmp_path


def check_table(table, run):
    """A row per model, with its coordinates and everything that is one number per model."""
    ds = jsuper.load(run)
    lead = ds.status.dims
    assert len(table) == ds.status.size
    scalars = {"loss", "loss_stderr", "loss_over_constant", "status", "first_bad_step"}
    scalars |= {"improvement", "improvement_stderr"}
    assert scalars | set(lead) <= set(table.columns)
    indexed = table.set_index(list(lead))
    for place in itertools.product(*(ds[d].values for d in lead)):
        model = ds.sel(dict(zip(lead, place, strict=True)))
        for name in scalars:
            np.testing.assert_allclose(indexed.loc[place, name], model[name], rtol=1e-6)


def test_export_to_csv(run):
    pandas = pytest.importorskip("pandas")
    path = jsuper.export(run, "csv")
    assert path == run / "results.csv"
    check_table(pandas.read_csv(path), run)


def test_export_to_parquet(run):
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    check_table(pandas.read_parquet(jsuper.export(run, "parquet")), run)


def test_export_to_netcdf(run):
    pytest.importorskip("h5netcdf")
    import xarray

    with xarray.open_dataset(jsuper.export(run, "netcdf"), engine="h5netcdf") as ds:
        xarray.testing.assert_identical(ds.load(), jsuper.load(run))


def test_export_to_another_format_is_refused(run):
    before = sorted(run.iterdir())
    with pytest.raises(SpecError, match="format='xls' is not one of csv, netcdf, parquet"):
        jsuper.export(run, "xls")
    assert sorted(run.iterdir()) == before


def test_export_of_what_is_no_run_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no manifest\.json"):
        jsuper.export(tmp_path, "csv")


def test_statuses_have_flags_and_the_former_name_of_variables_works(tmp_path):
    write_run(tmp_path, Sweep(**BASE))
    ds = jsuper.load(tmp_path, variables=["loss"])
    assert ds.status.flag_values.tolist() == [0, 1, 2, 3]
    assert ds.status.flag_meanings == "missing ok non_finite failed"
    with pytest.warns(DeprecationWarning, match="variables="):
        assert set(jsuper.load(tmp_path, only=["loss"])) == set(ds)
