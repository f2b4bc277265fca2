"""Sweeps of MLPs: rules between fields, run folders, other families' words, divergence."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

import jsuper
from jsuper.core.errors import NonFiniteWarning, SpecError
from jsuper.core.family import family_of, sweep_from_dict
from jsuper.engine.devices import make_plan
from jsuper.mlp import Sweep, embedding, forward
from jsuper.models.mlp.targets import ELEMENTWISE
from jsuper.models.toy.activations import elementwise

TINY = {"n_features": 6, "d_embed": 8, "batch_size": 16, "steps": 10, "records": 5, "seeds": 2}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"n_hidden": 0}, "n_hidden=0 is not >= 1"),
        ({"n_hidden": (50, 25), "n_layers": 2}, "n_hidden=25 does not divide into n_layers=2.*26"),
        ({"d_embed": -1}, "d_embed=-1 is not >= 0"),
        ({"activation": "rellu"}, "activation='rellu' is not known.*did you mean 'relu'"),
        ({"activation": "softmax"}, "activation='softmax' is not known"),
        ({"activation": "abs"}, "activation='abs' is not known"),
        ({"activation": "elu(-1)"}, r"activation='elu\(-1\)' is out of range"),
        ({"target": "squared"}, "target='squared' is not known.*did you mean 'square'"),
        ({"target": "elu(x)"}, r"target='elu\(x\)': 'x' is not one number"),
        ({"target": "and_pairs", "n_features": 7}, "needs pairs of features.*n_features=7 is odd"),
        ({"target_noise": -0.1}, "target_noise=-0.1 is not a finite number >= 0"),
        ({"target_noise": 1e-50}, "target_noise=1e-50 is 0 in float32"),
        ({"residual": "yes"}, "residual='yes' is not true or false"),
        ({"sparsity": 1.0}, r"sparsity=1 is not in \[0, 1\)"),
        ({"sparsity": 1 - 1e-9}, "is too close to 1"),
        ({"support": "sets(3, 0.5)", "n_features": 10}, "support=sets.*do not divide into sets"),
        ({"support": "exactly(2)", "sparsity": 0.5}, "the only sparsity is"),
        ({"values": "sined"}, "did you mean 'signed'"),
        ({"schedule": "warmup(1000)"}, "rises for 1000 steps, and steps=1000"),
        ({"importance_decay": 1e10}, "importance of the last feature, decay.99, is infinite"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 is below 0"),
        ({"optimizer": ("adamw", "sgd")}, "have different defaults"),
        ({"init": "torch"}, "init='torch' is not known"),
        ({"dropout": 0.1}, "'dropout' is not a field of the model 'mlp'"),
        ({"batch_size": 2**26}, r"n_features=100 times batch_size=67108864 is 2\^32 or more"),
    ],
)
def test_bad_input_is_refused_by_name_before_anything_is_compiled(fields, words):
    with pytest.raises(SpecError, match=words):
        Sweep(**fields).to_dict()


def test_fields_have_their_published_defaults_and_survive_a_file():
    sweep = Sweep()
    assert sweep.axes == {"n_hidden": (50,), "sparsity": (0.99,)}
    assert sweep.values_of("weight_decay") == (0.01,) and sweep.schedule == "half_cosine"
    assert sweep_from_dict(sweep.to_dict()) == sweep
    assert Sweep(support="exactly(2)").sparsity == (0.98,)
    assert Sweep(optimizer="sgd", n_features=10).values_of("weight_decay") == (0.0,)


def test_elementwise_activations_are_those_of_the_module():
    assert [a for a in ELEMENTWISE if not hasattr(elementwise, a)] == []


def test_notes_say_where_no_unit_has_to_be_shared():
    (note,) = Sweep(n_hidden=(10, 50), n_features=50).notes()
    assert note.startswith("n_hidden=50 is a unit for each of the 50 functions of target=relu")
    assert Sweep(n_hidden=30, target="and_pairs", n_features=50).notes() != []
    assert Sweep().notes() == []


def test_a_field_of_the_family_is_recognised_and_no_jax_is_imported():
    with pytest.raises(SpecError, match="'d_embed' is a field of the model 'mlp'"):
        sweep_from_dict({"model": "toy", "d_embed": 5})
    code = (
        "import sys, jsuper; sweep = jsuper.mlp.Sweep(n_hidden=(5, 10)); "
        "from jsuper.core.grid import expand; expand(sweep); sweep.to_toml(); "
        "assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    sweep = Sweep(n_hidden=4, n_layers=2, sparsity=(0.5, 0.8), learning_rate=0.01, **TINY)
    folder = tmp_path_factory.mktemp("runs") / "mlp"
    return sweep, folder, jsuper.run(sweep, out=folder, progress=False)


def test_a_run_folder_is_loaded_and_resumed(stored):
    sweep, folder, ds = stored
    assert jsuper.load(folder).drop_attrs().identical(ds.drop_attrs())
    again = jsuper.run(sweep, out=folder, progress=False)
    assert json.loads(again.attrs["timing"])["model_steps"] == 0
    chunk = sorted((folder / "chunks").glob("*.npz"))[0]
    chunk.unlink()
    resumed = jsuper.run(sweep, out=folder, progress=False)
    assert resumed.drop_attrs().identical(ds.drop_attrs())


def test_results_are_those_of_the_model_with_the_seeds_embedding(stored):
    _, _, ds = stored
    one = ds.sel(n_hidden=4, sparsity=0.5, seed=1)
    assert one.W_in.dims == ("neuron", "coordinate") and one.step.values.tolist() == [0, 2, 4, 6, 8]
    E = embedding(jsuper.seed_key(1), 6, 8)
    assert one.reads.values == pytest.approx(one.W_in.values @ np.asarray(E).T, abs=1e-6)
    x_hat = forward(one.W_in.values, one.W_out.values, np.eye(6, dtype="f4"), E=E, n_layers=2)
    assert one.response.values == pytest.approx(np.diag(np.asarray(x_hat)), abs=1e-5)
    assert (ds.b.sel(n_hidden=4) == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("unpaired", [False, True])
def test_every_plan_gives_the_same_models(unpaired):
    sweep = Sweep(
        n_hidden=4, sparsity=(0.5, 0.8), target_noise=(0.0, 0.1), unpaired=unpaired, **TINY
    )
    reference = jsuper.run(sweep, progress=False)
    for batching in ("vmapped", "sequential"):
        ds = jsuper.run(sweep, plan=make_plan("cpu", batching=batching), progress=False)
        for name in ("W_in", "loss", "loss_curve", "naive_loss"):
            expected = reference[name].values
            assert ds[name].values == pytest.approx(expected, rel=1e-4, abs=1e-6)
    cell = reference.isel(n_hidden=0, sparsity=0, seed=0)
    same = np.allclose(cell.W_in.isel(target_noise=0), cell.W_in.isel(target_noise=1), atol=0.07)
    assert same != unpaired


@pytest.mark.slow
def test_a_diverged_model_is_frozen_and_spoils_no_other():
    fields = TINY | {"steps": 60, "optimizer": "sgd", "n_hidden": 4, "schedule": "constant"}
    with pytest.warns(NonFiniteWarning, match="2 of 4 models are not finite"):
        ds = jsuper.run(Sweep(learning_rate=(0.01, 1e6), **fields), progress=False)
    bad, fine = ds.sel(learning_rate=1e6), ds.sel(learning_rate=0.01)
    assert (bad.status == 2).all() and (bad.first_bad_step > 0).all()
    assert np.isnan(bad.loss).all() and np.isfinite(bad.W_in).all()
    assert (fine.status == 1).all() and np.isfinite(fine.loss).all()
    analyzed = jsuper.analyze(ds)
    assert np.isnan(analyzed.features_computed.sel(learning_rate=1e6)).all()
    assert (analyzed.main_neuron.sel(learning_rate=1e6) == -1).all()


@pytest.mark.slow
def test_double_precision_trains_the_same_model_more_exactly():
    fields = TINY | {"steps": 50, "sparsity": 0.5, "n_hidden": 4}
    single, double = (
        jsuper.run(Sweep(dtype=dtype, **fields), progress=False) for dtype in ("float32", "float64")
    )
    assert double.W_in.dtype == np.float64
    assert single.W_in.values == pytest.approx(double.W_in.values, abs=1e-4)
    assert single.loss.values == pytest.approx(double.loss.values, rel=1e-3)


@pytest.mark.slow
def test_more_units_than_features_compute_every_function():
    fields = TINY | {"d_embed": 0, "steps": 4000, "batch_size": 64, "n_hidden": 18}
    sweep = Sweep(target="abs", target_residual=False, residual=False, sparsity=0.5, **fields)
    with pytest.warns(UserWarning, match="n_hidden=18 is a unit for each of the 6 functions"):
        ds = jsuper.run(dataclasses.replace(sweep, learning_rate=0.01), progress=False)
    assert float(ds.loss_over_constant.max()) < 0.01


def test_the_family_cannot_be_scrubbed_and_says_why():
    with pytest.raises(SpecError, match="models of the family 'mlp' cannot be scrubbed"):
        _ = family_of("mlp").scrubbing
