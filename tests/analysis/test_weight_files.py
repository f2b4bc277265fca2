"""Weights as safetensors: names, shapes, metadata, what is left out, and what is replaced."""

import json
import os
import re
import sys

import numpy as np
import pytest
from one_chunk import CHUNK, SWEEP, arrays_of
from scipy.special import ndtr

import jsuper
from jsuper import SpecError, mlp
from jsuper.analysis import weight_files, weight_names
from jsuper.cli import main
from jsuper.core import files
from jsuper.core.family import FAMILIES
from jsuper.core.grid import Chunk, expand
from jsuper.factorization import Sweep as Factorization
from jsuper.store import chunk_files
from jsuper.store.manifest import write_manifest

pytest.importorskip("safetensors")
safetensors = pytest.importorskip("safetensors.numpy")


def run_of(folder, sweep, **changed):
    """A run folder with random results; `changed` are functions of a chunk's arrays."""
    chunks = [Chunk(sweep.model, g.static, g.settings, g.seeds) for g in expand(sweep)]
    write_manifest(folder, sweep, chunks, [])
    for number, chunk in enumerate(chunks):
        arrays = arrays_of(chunk, number)
        for name, change in changed.items():
            change(arrays[name])
        chunk_files.write_chunk(folder, chunk, arrays)
    return folder


def metadata(path):
    """The metadata of a file, read by the format's definition alone."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return header["__metadata__"]


def toy(**fields):
    values = dict(activation="relu", sparsity=0.5, seeds=2, steps=4, n_features=4, n_hidden=2)
    return jsuper.Sweep(**values | fields)


def one(folder, **options):
    """The tensors of the first file."""
    path = jsuper.export(folder, "safetensors", **options)
    return safetensors.load_file(min(path.iterdir()) if path.is_dir() else path)


@pytest.fixture
def run(tmp_path):
    write_manifest(tmp_path / "run", SWEEP, [CHUNK], [])
    chunk_files.write_chunk(tmp_path / "run", CHUNK, arrays_of(CHUNK))
    return tmp_path / "run"


def test_a_file_for_each_model_as_layers_of_pytorch(run):
    folder, ds = jsuper.export(run, "safetensors"), jsuper.load(run)
    assert folder == run / "safetensors" and len(list(folder.iterdir())) == 6
    for name in ("relu", "gelu"):
        for seed in range(3):
            path = folder / f"activation={name},sparsity=0.5,seed={seed}.safetensors"
            found, cell = safetensors.load_file(path), ds.sel(activation=name, seed=seed).squeeze()
            assert found.keys() == {"encoder.weight", "decoder.weight", "decoder.bias"}
            assert np.array_equal(found["encoder.weight"], cell.W)
            assert np.array_equal(found["decoder.weight"], cell.W.T)
            assert np.array_equal(found["decoder.bias"], cell.b)
            about = metadata(path)
            assert about["jsuper"] == jsuper.__version__ and about["names"] == "torch"
            stated = about["activation"], about["sparsity"], about["seed"], about["n_hidden"]
            assert stated == (name, "0.5", str(seed), "2")
            assert float(about["loss"]) == float(cell.loss)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("activation", ["relu", "geglu"])
def test_the_layers_compute_what_the_model_does(tmp_path, activation, tied):
    run = run_of(tmp_path / "run", toy(activation=activation, tied=tied, dtype="float32"))
    layers = one(run)
    x = np.random.default_rng(0).uniform(size=(5, 4)).astype("f4")
    h = x @ layers["encoder.weight"].T
    z = h @ layers["decoder.weight"].T + layers["decoder.bias"]
    model = jsuper.model(jsuper.load(run).isel(seed=0).squeeze())
    if activation == "relu":
        expected = np.maximum(z, 0)
    else:
        value = h @ layers["value.weight"].T + layers["value.bias"]
        expected = z * ndtr(z) * value
    assert np.asarray(model(x)) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_linear_layer_of_pytorch_takes_them(run):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    layers = load_file(min(jsuper.export(run, "safetensors").iterdir()))
    decoder = torch.nn.Linear(2, 3)
    decoder.load_state_dict({k: layers[f"decoder.{k}"] for k in ("weight", "bias")})
    torch.nn.Linear(3, 2, bias=False).load_state_dict({"weight": layers["encoder.weight"]})


def test_the_notebook_s_names_are_stacked_in_the_sweep_s_order(tmp_path):
    sweep = toy(activation=("relu", "gelu"), sparsity=(0.9, 0.5), seeds=(3, 1))
    run = run_of(tmp_path / "run", sweep)
    path = jsuper.export(run, "safetensors", names="notebook", select={"activation": "relu"})
    assert path == run / "results.safetensors"
    found, ds = safetensors.load_file(path), jsuper.load(run).sel(activation="relu")
    assert {k: v.shape for k, v in found.items()} == {"W": (4, 4, 2), "b_final": (4, 4)}
    W = ds.W.transpose("sparsity", "seed", "feature", "hidden").values
    assert np.array_equal(found["W"], W.reshape(4, 4, 2))
    about = metadata(path)
    assert about["activation"] == "relu" and "sparsity" not in about
    models = json.loads(about["models"])
    assert [(m["sparsity"], m["seed"]) for m in models] == [
        (str(s), str(seed)) for s in (0.9, 0.5) for seed in (3, 1)
    ]
    assert all(float(m["loss"]) for m in models)


def test_the_names_of_parameter_decomposition(run):
    found = one(run, names="spd")
    shapes = {k: v.shape for k, v in found.items()}
    assert shapes == {"linear1.weight": (2, 3), "linear2.weight": (3, 2), "linear2.bias": (3,)}
    assert np.array_equal(found["linear2.weight"], found["linear1.weight"].T)


def test_own_names_leave_out_the_arrays_of_other_models(tmp_path):
    run = run_of(tmp_path / "run", toy(activation=("glu", "relu"), tied=False))
    assert one(run, names="jsuper").keys() == {"W", "b", "W_dec", "V", "c"}
    select = {"activation": "relu"}
    assert one(run, names="jsuper", select=select, force=True).keys() == {"W", "b", "W_dec"}


def test_factorizations_multiply_as_two_layers(tmp_path):
    run = run_of(tmp_path / "run", Factorization(rank=1, pairs=2, size=5, steps=4, seeds=1))
    found, ds = one(run), jsuper.load(run).squeeze()
    assert found["encoder.weight"].shape == (2, 5)
    Z = np.einsum("ki,kj->ij", ds.A, ds.B)
    assert found["decoder.weight"] @ found["encoder.weight"] == pytest.approx(Z, rel=1e-5)
    with pytest.raises(SpecError, match="names='spd' is not known .*'factorization'.*torch, jsup"):
        jsuper.export(run, "safetensors", names="spd", force=True)


@pytest.mark.slow
@pytest.mark.parametrize("unpaired", [False, True])
def test_layers_of_an_mlp_compute_what_the_model_does(tmp_path, unpaired):
    fields = dict(n_features=6, d_embed=9, n_hidden=4, n_layers=2, bias=True, unpaired=unpaired)
    fields |= dict(steps=2, batch_size=8, sparsity=0.5, seeds=[3])
    jsuper.run(mlp.Sweep(**fields), tmp_path / "run", progress=False)
    found, ds = one(tmp_path / "run", names="spd"), jsuper.load(tmp_path / "run").squeeze()
    parts = [f"layers.{i}.mlp_{k}" for i in (0, 1) for k in ("in.weight", "in.bias", "out.weight")]
    assert found.keys() == {"W_E", "W_U", *parts}
    x = np.eye(6, dtype="f4")
    r = x @ found["W_E"]
    for i in (0, 1):
        z = r @ found[f"layers.{i}.mlp_in.weight"].T + found[f"layers.{i}.mlp_in.bias"]
        r = r + np.maximum(z, 0) @ found[f"layers.{i}.mlp_out.weight"].T
    response = np.diag(r @ found["W_U"])
    np.testing.assert_allclose(response, ds.response, rtol=1e-4)


def test_an_mlp_without_an_embedding_is_no_spd_model(tmp_path):
    run = run_of(tmp_path / "run", mlp.Sweep(d_embed=0, n_features=6, n_hidden=4, bias=False))
    assert one(run).keys() == {"layers.0.mlp_in.weight", "layers.0.mlp_out.weight"}
    with pytest.raises(SpecError, match=r"names='spd' has an embedding.*names='torch'"):
        jsuper.export(run, "safetensors", names="spd", force=True)


def test_a_family_without_names_has_its_own(tmp_path):
    import second_family

    jsuper.register_family(second_family.FAMILY)
    try:
        run = run_of(tmp_path / "run", second_family.FAMILY.spec.Sweep(rate=0.1, seeds=2))
        assert {k: v.shape for k, v in one(run, stacked=True).items()} == {"final": (2, 3)}
        assert metadata(run / "results.safetensors")["names"] == "jsuper"
    finally:
        FAMILIES.pop("decay")


def test_sizes_are_those_of_each_model_and_one_size_can_be_stacked(tmp_path):
    run = run_of(tmp_path / "run", toy(n_hidden=(2, 3)))
    path = jsuper.export(run, "safetensors")
    shapes = {safetensors.load_file(p)["encoder.weight"].shape for p in path.iterdir()}
    assert shapes == {(2, 4), (3, 4)}
    with pytest.raises(SpecError, match="tensors of 2 kinds.*--select n_hidden=5"):
        jsuper.export(run, "safetensors", stacked=True)
    assert not (run / "results.safetensors").exists()
    found = one(run, stacked=True, select={"n_hidden": 3})
    assert found["decoder.weight"].shape == (2, 4, 3)


@pytest.mark.filterwarnings("default::jsuper.core.errors.SweepWarning")
def test_models_that_diverged_are_left_out_and_counted(run, capsys):
    arrays = arrays_of(CHUNK)
    arrays["status"][0, 1], arrays["status"][1, :2] = 2, 3
    arrays["W"][0, 1] = np.nan
    chunk_files.write_chunk(run, CHUNK, arrays)
    assert main.main(["export", str(run), "--format", "safetensors"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "warning: 3 of 6 models left out: 1 diverged, 2 failed\n"
    assert (
        printed.out == f"{run / 'safetensors'}\n"
        and len(list((run / "safetensors").iterdir())) == 3
    )
    arrays["status"][:] = 2
    chunk_files.write_chunk(run, CHUNK, arrays)
    with pytest.raises(SpecError, match="no model is left to export: 6 diverged"):
        jsuper.export(run, "safetensors", force=True)
    chunk_files.chunk_path(run, CHUNK.name).unlink()
    with pytest.raises(SpecError, match="6 not trained"):
        jsuper.export(run, "safetensors", stacked=True)
    assert len(list((run / "safetensors").iterdir())) == 3 and not list(run.glob(".*"))


SELECTIONS = [
    ("seed=0 seed=2", ["gelu,0", "gelu,2", "relu,0", "relu,2"]),
    ("activation=relu seed=1", ["relu,1"]),
    ("sparsity=0.5 activation=gelu n-hidden=2 tied=true seed=0", ["gelu,0"]),
]


@pytest.mark.parametrize("words, expected", SELECTIONS)
def test_models_are_selected_by_their_fields(run, words, expected):
    command = ["export", str(run), "--format", "safetensors", "--select", *words.split()]
    assert main.main(command) == 0
    names = sorted(p.name for p in (run / "safetensors").iterdir())
    assert [re.sub(r"activation=(\w+),.*seed=(\d).*", r"\1,\2", n) for n in names] == expected


REFUSED = [
    ("--names torhc", "names='torhc' is not known for models of the family 'toy'; did you mean"),
    ("--names elhage", "did you mean 'notebook'?"),
    ("--select sparsity", "select='sparsity' is not FIELD=VALUE; write for example sparsity=0.9"),
    ("--select density=0.5", "select has 'density', which is not a field of this run; did you"),
    ("--select sparsity=0.6", "select has sparsity=0.6, which no model of this run has; they have"),
    ("--select tied=1", "select has tied=1, which no model"),
    ("--format safetensor", "did you mean 'safetensors'?"),
    ("--format csv --stacked", "names, select and stacked are for format='safetensors'"),
]


@pytest.mark.parametrize("words, message", REFUSED)
def test_bad_options_are_refused(run, capsys, words, message):
    assert main.main(["export", str(run), "--format", "safetensors", *words.split()]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(run.glob("*safetensors*"))


def test_what_a_convention_does_not_have_is_refused(tmp_path):
    run = run_of(tmp_path / "run", toy(activation=("glu", "relu"), tied=(True, False)))
    for names in ("notebook", "spd"):
        with pytest.raises(SpecError, match=f"names='{names}' has no second .* activation=glu"):
            jsuper.export(run, "safetensors", names=names)
    with pytest.raises(SpecError, match="names='notebook' has no decoder .* select tied=true"):
        jsuper.export(run, "safetensors", names="notebook", select={"activation": "relu"})
    with pytest.raises(TypeError, match="select is 'relu', not a dict of fields"):
        jsuper.export(run, "safetensors", select="relu")


def test_fields_that_vary_together_name_files_and_select(tmp_path):
    sweep = jsuper.Sweep(
        activation="relu",
        sparsity=0.5,
        steps=4,
        n_features=4,
        zipped={"size": {"n_hidden": (2, 3), "learning_rate": (0.1, 0.2)}},
    )
    run = run_of(tmp_path / "run", sweep)
    with pytest.raises(SpecError, match="that no model has together"):
        jsuper.export(run, "safetensors", select={"n_hidden": 2, "learning_rate": 0.2})
    names = {p.name for p in jsuper.export(run, "safetensors", select={"seed": 0}).iterdir()}
    start = "activation=relu,sparsity=0.5,n_hidden="
    ends = ("2,learning_rate=0.1", "3,learning_rate=0.2")
    assert names == {f"{start}{end},seed=0.safetensors" for end in ends}


def test_a_folder_is_replaced_as_a_whole_and_with_force_alone(run, monkeypatch):
    jsuper.export(run, "safetensors")
    with pytest.raises(SpecError, match="safetensors exists and is newer .* give --force"):
        jsuper.export(run, "safetensors")
    with monkeypatch.context() as patched:
        patched.setattr(weight_files.Path, "write_bytes", lambda path, content: path.touch())
        with pytest.raises(OSError, match="does not read back"):
            jsuper.export(run, "safetensors", force=True)
    assert len(list((run / "safetensors").iterdir())) == 6
    jsuper.export(run, "safetensors", force=True, select={"seed": 0})
    assert len(list((run / "safetensors").iterdir())) == 2
    (run / "safetensors" / "mine.txt").write_text("mine")
    with pytest.raises(SpecError, match="is not replaced, since it has mine.txt too"):
        jsuper.export(run, "safetensors", force=True)
    assert (run / "safetensors" / "mine.txt").exists() and not list(run.glob(".*"))


def test_a_stacked_file_is_replaced_when_it_is_whole(run, monkeypatch):
    path = jsuper.export(run, "safetensors", stacked=True)
    whole = path.read_bytes()
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: os.ftruncate(descriptor, 9))
    with pytest.raises(OSError, match="does not read back"):
        jsuper.export(run, "safetensors", stacked=True, force=True)
    assert path.read_bytes() == whole and not list(run.glob(".*"))


def test_a_link_is_not_written_through(run, tmp_path):
    (tmp_path / "outside").mkdir()
    (run / "safetensors").symlink_to(tmp_path / "outside")
    with pytest.raises(jsuper.RunError, match="is a link to"):
        jsuper.export(run, "safetensors", force=True)
    assert not list((tmp_path / "outside").iterdir())


def test_too_many_files_are_refused(run, monkeypatch):
    monkeypatch.setattr(weight_files, "MOST_FILES", 5)
    with pytest.raises(SpecError, match="6 files, and 5 are allowed: stack the models"):
        jsuper.export(run, "safetensors")
    assert jsuper.export(run, "safetensors", stacked=True).exists()


def test_without_the_library_an_error_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for stacked in (True, False):
        with pytest.raises(SpecError, match=r"'safetensors' needs a library: .*jsuper\[io\]"):
            jsuper.export(run, "safetensors", stacked=stacked)
    assert not list(run.glob("*safetensors*"))


def test_every_family_s_names_and_parameters_exist():
    assert weight_names.NAMINGS.keys() == weight_names.PARAMETERS.keys() <= FAMILIES.keys()
    assert set(weight_names.STACKED) <= set(weight_names.NAMINGS["toy"])


def test_a_hidden_layer_has_names_of_its_own(tmp_path):
    given = dict(hidden_map="orthogonal", hidden_bias=True, tied=False)
    found = one(run_of(tmp_path / "run", toy(**given)))
    assert found["encoder.bias"].shape == (2,) and found["hidden.weight"].shape == (2, 2)
    with pytest.raises(SpecError, match="has no hidden layer with b_hidden"):
        one(tmp_path / "run", names="spd", force=True)
    mapped = one(run_of(tmp_path / "map", toy(hidden_map="identity")), names="spd")
    assert mapped.keys() > {"linear1.weight"} and mapped["hidden_layers.0.weight"].shape == (2, 2)
