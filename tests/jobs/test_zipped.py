"""Runs of sweeps with groups of fields that vary together, against the runs of their rows."""

import dataclasses
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from running import REPO, chunk_files, data_of, slow, state

import jsuper
from jsuper import Sweep, factorization
from jsuper.cli.folders import swept
from jsuper.cli.main import main
from jsuper.core.errors import RunError, SpecError
from jsuper.core.grid import expand, partition
from jsuper.core.json_data import digest
from jsuper.core.toml import parse_toml
from jsuper.store.comparing import compare
from jsuper.store.manifest import manifest_of, write_manifest
from jsuper.store.merging import merge

TINY = dict(activation=("relu", "gelu"), sparsity=(0.5, 0.9), seeds=2, steps=20, batch_size=32)
TINY |= dict(n_features=6)
SIZES = {"n_hidden": (2, 3, 2), "learning_rate": (1e-3, 5e-4, 1e-2)}
LABELS = [
    "n_hidden=2, learning_rate=0.001",
    "n_hidden=3, learning_rate=0.0005",
    "n_hidden=2, learning_rate=0.01",
]
ZIPPED = Sweep(**TINY, zipped={"size": SIZES})
LOW_RANK = dict(pairs=2, seeds=2, steps=20, size=6)
RATES = {"steps": (10, 20), "init_scale": (0.1, 0.5)}
FACTORS = factorization.Sweep(
    **{k: v for k, v in LOW_RANK.items() if k != "steps"}, zipped={"length": RATES}
)


def row(columns, i):
    return {k: v[i] for k, v in columns.items()}


def assert_same_values(one, other):
    """Bit for bit, without the padding of other models."""
    for name in other.data_vars:
        a, b = one[name], other[name]
        a = a.transpose(*b.dims).isel({d: slice(n) for d, n in b.sizes.items()})
        if "step" in b.dims and "step" in one.coords:
            a = one[name].transpose(*b.dims).sel(step=b.step)
        assert np.array_equal(a.values, b.values, equal_nan=True), name


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run folder of ZIPPED."""
    folder = tmp_path_factory.mktemp("zipped") / "run"
    jsuper.run(ZIPPED, folder, progress=False)
    return folder


@pytest.mark.slow
def test_results_are_those_of_the_plain_sweeps_of_the_rows():
    """Rows differ in a static field, so each has the program of its plain sweep."""
    group = {"n_hidden": (2, 3), "learning_rate": (1e-3, 5e-4)}
    ds = jsuper.run(Sweep(**TINY, zipped={"size": group}), workers=1, progress=False)
    assert ds.loss.dims == ("activation", "sparsity", "size", "seed")
    for i in range(2):
        plain = jsuper.run(Sweep(**TINY, **row(group, i)), workers=1, progress=False)
        assert_same_values(ds.isel(size=i), plain)


@pytest.mark.slow
def test_rows_of_one_program_have_the_results_of_the_plain_sweeps():
    """With one model after another, sums have one order, so that all bits agree."""
    group = {"weight_decay": (0.0, 0.3), "learning_rate": (1e-3, 1e-2)}
    fields = TINY | {"activation": "relu"}
    ds = jsuper.run(Sweep(**fields, zipped={"way": group}), plan="reference", progress=False)
    for i in range(2):
        plain = jsuper.run(Sweep(**fields, **row(group, i)), plan="reference", progress=False)
        assert np.array_equal(ds.isel(way=i).W, plain.W)


@pytest.mark.slow
def test_results_of_the_second_family_are_those_of_the_rows():
    ds = jsuper.run(FACTORS, workers=1, progress=False)
    assert ds.loss.dims == ("rank", "pairs", "length", "seed")
    for i in range(2):
        plain = factorization.Sweep(**LOW_RANK | row(RATES, i))
        assert_same_values(ds.isel(length=i), jsuper.run(plain, workers=1, progress=False))
    measured = jsuper.analyze(ds)
    assert measured.half_time.dims == ("rank", "pairs", "length", "seed", "component")


def test_a_dataset_has_one_dimension_and_plain_coordinates(run):
    ds = jsuper.load(run)
    assert ds["size"].values.tolist() == LABELS and "size" in ds.indexes
    for name, values in SIZES.items():
        assert ds[name].dims == ("size",) and ds[name].values.tolist() == list(values)
        assert name not in ds.indexes
    second = ds.sel(size=LABELS[1])
    assert second.n_hidden.item() == 3
    assert ds.isel(size=ds.n_hidden == 2).sizes["size"] == 2
    by_rate = ds.swap_dims(size="learning_rate").sel(learning_rate=5e-4)
    assert np.array_equal(by_rate.loss, second.loss)
    assert json.loads(ds.attrs["sweep"]) == ZIPPED.to_dict()


def test_a_heatmap_has_a_line_for_every_field_of_a_row(run):
    ds = jsuper.load(run).sel(sparsity=0.9)
    ax = jsuper.plots.heatmap(ds, "loss", dims=("activation", "size"))
    texts = [label.get_text() for label in ax.get_xticklabels()]
    assert texts == [label.replace(", ", "\n") for label in LABELS]
    plt.close(ax.figure)


def test_models_are_those_of_their_row(run):
    ds = jsuper.load(run)
    for label, units in zip(LABELS, SIZES["n_hidden"], strict=True):
        cell = ds.sel(size=label, activation="gelu", sparsity=0.9, seed=1)
        model = jsuper.model(cell)
        assert model.params.W.shape == (units, 6)
        np.testing.assert_array_equal(model.params.W, cell.W.values[:units])


def test_a_lazy_dataset_is_the_same(run, monkeypatch):
    from jsuper.store import dataset

    ds = jsuper.load(run)
    monkeypatch.setattr(dataset, "LAZY_BYTES", 0)
    lazy = jsuper.load(run)
    xr.testing.assert_identical(lazy.sel(size=LABELS[2]).load(), ds.sel(size=LABELS[2]))
    xr.testing.assert_identical(lazy.load(), ds)


@pytest.mark.slow
def test_measures_are_those_of_the_rows(run):
    ds = jsuper.analyze(jsuper.load(run))
    for i in range(3):
        part = ds.isel(size=i)
        units = part.n_hidden.item()
        cell = part.sel(activation="relu", sparsity=0.5, seed=0)
        W = cell.W.values[:units].astype(float)
        assert cell.features_represented == (np.linalg.norm(W, axis=0) > 0.5).sum()
        null = 3 * (units - 1) / (units + 1)
        assert cell.basis_kurtosis_null == pytest.approx(null, rel=0.2)
    frame = jsuper.table(ds)
    assert len(frame) == 24 and {"size", *SIZES} <= set(frame.columns)
    pairs = set(zip(frame["size"], frame.n_hidden, frame.learning_rate, strict=True))
    assert pairs == set(zip(LABELS, *SIZES.values(), strict=True))


@pytest.mark.slow
def test_netcdf_and_csv_keep_the_coordinates(run, tmp_path):
    ds = jsuper.load(run)
    path = jsuper.export(run, "netcdf", force=True)
    with xr.open_dataset(path, engine="h5netcdf") as back:
        xr.testing.assert_equal(back.load(), ds)
        assert set(back.coords) == set(ds.coords)
    ds.to_netcdf(tmp_path / "own.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "own.nc", engine="h5netcdf") as back:
        xr.testing.assert_equal(back.load(), ds)
    lines = jsuper.export(run, "csv", force=True).read_text().splitlines()
    assert len(lines) == 25 and f'"{LABELS[0]}"' in lines[1]


@pytest.mark.slow
def test_the_page_the_tables_and_the_plan_name_the_rows(run, capsys):
    page = jsuper.report.write(run).read_text()
    axes = {a["name"]: a["values"] for a in data_of(page)["axes"]}
    assert list(axes) == ["size", "activation", "sparsity", "seed"] and axes["size"] == LABELS
    assert "2 activations x 2 sparsities x 3 sizes x 2 seeds" in page
    assert f"size: {' | '.join(LABELS)}" in page
    command = ["sweep", "--config", str(run / "sweep.toml"), "--no-report", "--out"]
    capsys.readouterr()
    assert main([*command, str(run.parent / "new"), "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert "2 activations x 2 sparsities x 3 sizes x 2 seeds = 24 models" in plan
    assert "zipped   size: n_hidden, learning_rate" in plan
    assert main([*command, str(run)]) == 0
    tables = capsys.readouterr().out
    for label in LABELS:
        assert f"median over 2 seeds; size {label}" in tables
    assert len(list((run / "figures").iterdir())) == 3
    assert swept(ZIPPED.to_dict()) == "toy: 2 activations x 2 sparsities x 3 sizes x 2 seeds"
    assert main(["status", str(run)]) == 0 and "24 of 24 models" in capsys.readouterr().out
    assert main(["list", str(run.parent)]) == 0 and "3 sizes" in capsys.readouterr().out


# --------------------------------------------------------------------------- resume, extend, merge


def test_half_a_run_is_resumed_and_a_finished_one_is_left_alone(run, tmp_path):
    folder = tmp_path / "run"
    jsuper.run(ZIPPED, folder, progress=False)
    whole = jsuper.load(folder)
    chunk_files(folder)[0].unlink()
    assert (jsuper.load(folder).status == 0).any()
    resumed = jsuper.run(ZIPPED, folder, progress=False)
    for name in whole.data_vars:
        assert np.array_equal(resumed[name], whole[name], equal_nan=True), name
    before = state(folder / "chunks")
    jsuper.run(ZIPPED, folder, progress=False)
    assert state(folder / "chunks") == before


MORE = {"n_hidden": (2, 4, 3, 2), "learning_rate": (1e-3, 1e-3, 5e-4, 1e-2)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        dict(zipped={"size": MORE}),
        dict(zipped={"size": dict(reversed(MORE.items()))}),
        dict(seeds=3),
        dict(sparsity=(0.5, 0.9, 0.7)),
        slow(dict(zipped={"size": MORE, "way": {"dropout": (0, 0.5), "push_step": (0, 1)}})),
    ],
    ids=["rows", "order", "seeds", "axis", "group"],
)
def test_a_run_is_extended_and_keeps_its_models(run, tmp_path, more):
    folder = tmp_path / "run"
    old = jsuper.run(ZIPPED, folder, progress=False)
    kept = state(folder / "chunks")
    new = jsuper.run(dataclasses.replace(ZIPPED, **more), folder, progress=False)
    assert (new.status == 1).all()
    assert {k: v for k, v in state(folder / "chunks").items() if k in kept} == kept
    for i in range(3):
        at = (new.n_hidden == SIZES["n_hidden"][i]) & (
            new.learning_rate == SIZES["learning_rate"][i]
        )
        part = new.isel(size=np.flatnonzero(at)[0]).isel(way=0, missing_dims="ignore")
        cell = part.sel(activation=old.activation, sparsity=old.sparsity, seed=old.seed)
        mine = old.isel(size=i)
        assert np.array_equal(cell.loss.transpose(*mine.loss.dims), mine.loss)


def test_a_plain_run_of_one_row_is_extended_to_a_group(tmp_path):
    plain = Sweep(**TINY, n_hidden=3, learning_rate=5e-4)
    old = jsuper.run(plain, tmp_path / "run", progress=False)
    new = jsuper.run(ZIPPED, tmp_path / "run", progress=False)
    assert np.array_equal(new.sel(size=LABELS[1]).loss, old.loss)


@pytest.mark.parametrize(
    "other",
    [
        dict(zipped={"size": {"n_hidden": (2, 3), "learning_rate": (1e-3, 5e-4)}}),
        dict(zipped={"size": SIZES | {"learning_rate": (1e-3, 5e-4, 1e-4)}}),
        dict(zipped={"size": SIZES | {"dropout": (0, 0, 0.5)}}),
        dict(zipped={"other": SIZES}),
        dict(zipped={}, n_hidden=(2, 3), learning_rate=(1e-3, 5e-4, 1e-2)),
        dict(zipped={}),
    ],
    ids=["fewer", "changed", "field", "renamed", "product", "none"],
)
def test_a_changed_group_is_refused(run, other):
    before = state(run)
    with pytest.raises(SpecError, match=r"another sweep: zipped\.(size|other) is .* there"):
        jsuper.run(dataclasses.replace(ZIPPED, **other), run, progress=False)
    assert state(run) == before


def test_a_product_is_not_extended_to_a_group(tmp_path):
    product = Sweep(**TINY, n_hidden=(2, 3), learning_rate=(1e-3, 1e-2))
    chunks = [c for group in expand(product) for c in partition(product, group, 8, 1)]
    write_manifest(tmp_path / "run", product, chunks, [])
    with pytest.raises(SpecError, match=r"zipped.size is not given there and 'n_hidden=2"):
        jsuper.run(ZIPPED, tmp_path / "run", progress=False)


def test_a_lost_manifest_is_put_together(run, tmp_path):
    folder = tmp_path / "run"
    whole = jsuper.run(ZIPPED, folder, progress=False)
    (folder / "manifest.json").unlink()
    assert np.array_equal(jsuper.load(folder).loss, whole.loss)
    (folder / "sweep.toml").unlink()  # the chunks alone do not say what varies together
    assert jsuper.load(folder).sizes["learning_rate"] == 3
    assert np.array_equal(jsuper.run(ZIPPED, folder, progress=False).loss, whole.loss)
    assert manifest_of(folder).sweep == ZIPPED.to_dict()


RATE = {"rate": {"learning_rate": (1e-3, 1e-2), "dropout": (0.0, 0.5)}}
OTHER = {"rate": {"dropout": (0.5, 0.2), "learning_rate": (1e-2, 1e-2)}}


@pytest.mark.slow
def test_folders_of_other_rows_and_seeds_are_merged(tmp_path):
    one = jsuper.run(Sweep(**TINY, zipped=RATE), tmp_path / "a", progress=False)
    two = jsuper.run(Sweep(**TINY, zipped=OTHER), tmp_path / "b", progress=False)
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    both = jsuper.load(tmp_path / "c")
    assert both.rate.values.tolist() == [
        "learning_rate=0.001, dropout=0.0",
        "learning_rate=0.01, dropout=0.5",
        "learning_rate=0.01, dropout=0.2",
    ]
    assert np.array_equal(both.loss[:, :, :2], one.loss)
    assert np.array_equal(both.loss[:, :, 2], two.loss[:, :, 1])
    seeds = Sweep(**TINY | {"seeds": [5]}, zipped=RATE)
    jsuper.run(seeds, tmp_path / "d", progress=False)
    merge([tmp_path / "c", tmp_path / "d"], tmp_path / "e")
    rest = jsuper.load(tmp_path / "e")
    assert rest.seed.values.tolist() == [0, 1, 5] and (rest.status == 0).sum() == 4
    resumed = Sweep.stored(json.loads(rest.attrs["sweep"]))
    assert (jsuper.run(resumed, tmp_path / "e", progress=False).status == 1).all()


@pytest.mark.slow
def test_groups_with_static_fields_are_merged_if_they_are_the_same(run, tmp_path):
    more = dataclasses.replace(ZIPPED, seeds=[7])
    jsuper.run(more, tmp_path / "seeds", progress=False)
    merge([run, tmp_path / "seeds"], tmp_path / "both")
    assert jsuper.load(tmp_path / "both").seed.values.tolist() == [0, 1, 7]
    rows = dataclasses.replace(ZIPPED, zipped={"size": MORE}, seeds=1)
    jsuper.run(rows, tmp_path / "rows", progress=False)
    with pytest.raises(SpecError, match="zipped is .* in .* and .* in "):
        merge([run, tmp_path / "rows"], tmp_path / "out")


@pytest.mark.slow
def test_runs_are_compared_by_their_rows(run, tmp_path):
    other = dataclasses.replace(ZIPPED, zipped={"size": MORE}, seeds=1)
    jsuper.run(other, tmp_path / "rows", progress=False)
    found = compare(run, tmp_path / "rows", 1e-4)
    assert found.shared == 12 and found.equal
    plain = Sweep(**TINY | {"seeds": 1}, n_hidden=3, learning_rate=5e-4)
    jsuper.run(plain, tmp_path / "plain", progress=False)
    with pytest.raises(SpecError, match="zipped has the groups .*'size': .* and {} in"):
        compare(run, tmp_path / "plain", 1e-4)


# ------------------------------------------------------------------------------- crafted manifests


def changed_table(data):
    data["sweep"]["zipped"]["size"]["learning_rate"] = [1e-3, 1e-2, 5e-4]


def one_row_less(data):
    for column in data["sweep"]["zipped"]["size"].values():
        column.pop()


def other_rows(data):
    data["sweep"]["zipped"]["size"] = {"n_hidden": [2, 3], "learning_rate": [1e-3, 5e-4]}


def no_table(data):
    del data["sweep"]["zipped"]


def unknown_field(data):
    data["sweep"]["zipped"]["size"]["depth"] = [1, 2, 3]


def text(data):
    data["sweep"]["zipped"] = "size"


def other_number(data):
    data["sweep"]["zipped"]["size"]["n_hidden"] = [2.0, 3.0, 2.0]


def ragged(data):
    data["sweep"]["zipped"]["size"]["n_hidden"] = [2, 3]


@pytest.mark.parametrize(
    "change",
    [changed_table, one_row_less, other_rows, no_table, unknown_field, text, other_number, ragged],
)
def test_a_manifest_whose_groups_do_not_fit_its_chunks_is_refused(run, tmp_path, change):
    folder = tmp_path / "run"
    folder.mkdir()
    data = json.loads((run / "manifest.json").read_text())
    change(data)
    data["hash"] = digest(data["sweep"])
    (folder / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(RunError, match="cannot be read"):
        manifest_of(folder)


def test_a_single_model_is_made_of_a_part():
    with pytest.raises(SpecError, match=r"zipped has the groups size, .* sweep.parts\(\)"):
        jsuper.make_train(ZIPPED)


@pytest.mark.slow
def test_the_example_of_the_page_runs():
    page = (REPO / "docs" / "guide" / "sweeps.md").read_text(encoding="utf-8")
    code, toml = (
        re.search(rf"```{kind}\n((?:(?!```).)*zipped.*?)```", page, re.DOTALL)[1]
        for kind in ("python", "toml")
    )
    names: dict = {}
    exec(code.replace("steps=2000", "steps=20"), names)
    assert Sweep.from_dict(parse_toml(toml.replace("2000", "20"))) == names["sweep"]
    assert names["ds"].loss.dims == ("activation", "sparsity", "size", "seed")
