"""The weight decay of a sweep that does not state it: the folder's, else the optimizer's."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import jsuper
from jsuper import Sweep, factorization
from jsuper.cli.options import PRESETS, default_folder, parse
from jsuper.core.errors import SpecError
from jsuper.core.family import sweep_from_dict
from jsuper.core.fields import Omitted
from jsuper.core.grid import Chunk, expand, n_models, partition
from jsuper.core.json_data import digest
from jsuper.core.toml import read_toml
from jsuper.findings.sweeps import SWEEPS
from jsuper.jobs.job import existing_job
from jsuper.models.toy.config import Static, make_setting
from jsuper.models.toy.limits import COARSE
from jsuper.store.manifest import write_manifest
from jsuper.training.optimizers import OPTIMIZERS

TINY = dict(activation="relu", sparsity=0.5, seeds=1, steps=3, n_features=3, n_hidden=2)

# ------------------------------------------------------------------------------- the convention


@pytest.mark.parametrize(
    "fields, decay",
    [
        ({}, (0.01,)),
        (dict(optimizer="adamw(0.01)"), (0.01,)),
        (dict(optimizer="adam"), (0.0,)),
        (dict(optimizer="sgd(1)"), (0.0,)),
        (dict(optimizer="sgdw"), (0.0,)),
        (dict(optimizer="rmsprop(0.01)"), (0.0,)),
        (dict(optimizer=("adam", "sgd", "sgdw(2)", "rmsprop")), (0.0,)),
        (dict(optimizer=("adamw", "adamw(0.1)")), (0.01,)),
        (dict(optimizer="adam", weight_decay=0.01), (0.01,)),
        (dict(optimizer=("adam", "adamw"), weight_decay=0.1), (0.1,)),
        (dict(optimizer="adam", weight_decay=None), (0.0,)),
    ],
    ids=str,
)
def test_an_omitted_decay_is_that_of_the_optimizer(fields, decay):
    sweep = Sweep(**TINY | fields)
    assert sweep.weight_decay == sweep.values_of("weight_decay") == decay
    assert sweep.to_dict()["weight_decay"] == list(decay)
    assert {s["weight_decay"] for g in expand(sweep) for s in g.settings} == set(decay)
    assert Sweep.from_dict(json.loads(json.dumps(sweep.to_dict()))) == sweep


def test_a_replaced_optimizer_brings_its_own_decay():
    sweep = Sweep(**TINY)
    assert dataclasses.replace(sweep, optimizer="adam").weight_decay == (0.0,)
    assert dataclasses.replace(sweep, optimizer="adam", weight_decay=0.01).weight_decay == (0.01,)
    stated = dataclasses.replace(sweep, weight_decay=0.01)
    assert stated == sweep and dataclasses.replace(stated, optimizer="adam").weight_decay == (0.01,)


@pytest.mark.parametrize("optimizer, decay", [("adamw", 0.01), ("adam", 0.0), ("sgd(1)", 0.0)])
def test_a_point_without_a_decay_has_that_of_its_program(optimizer, decay):
    assert make_setting(Static(optimizer=optimizer), {}).weight_decay == np.float32(decay)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_factorizations_have_no_decay_by_default(optimizer):
    assert factorization.Sweep(optimizer=optimizer).weight_decay == (0.0,)


MIXED = Sweep(**TINY | dict(optimizer=("adam", "adamw")))


@pytest.mark.parametrize(
    "use",
    [
        lambda folder: MIXED.to_dict(),
        lambda folder: MIXED.axes,
        lambda folder: n_models(MIXED),
        lambda folder: existing_job(MIXED, None),
        lambda folder: existing_job(MIXED, folder / "new"),
        lambda folder: jsuper.run(MIXED, progress=False),
        lambda folder: default_folder(parse(["--optimizer", "adam", "adamw"])[0], "activations"),
    ],
    ids=["to_dict", "axes", "n_models", "memory", "folder", "run", "default folder"],
)
def test_optimizers_of_two_conventions_have_to_state_it(use, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        SpecError,
        match=r"weight_decay is omitted, and optimizer=adam, adamw.*\(0 for adam, 0.01 for adamw\)",
    ):
        use(tmp_path)


# ------------------------------------------------------------------------------------- folders


def folder_of(path, sweep):
    """A run folder of a sweep, without results."""
    chunks = [Chunk(sweep.model, g.static, g.settings, g.seeds) for g in expand(sweep)]
    path.mkdir(parents=True)
    write_manifest(path, sweep, chunks, [])
    return path


@pytest.mark.parametrize(
    "optimizer, stored, notes",
    [
        ("adam", 0.01, ["the folder's value is used, 0.01; a new run would have 0"]),
        ("adam", 0.0, []),
        ("adamw", 0.01, []),
        ("adamw", (0.0, 0.1), ["the folder's value is used, 0, 0.1; a new run would have 0.01"]),
        (("adam", "adamw"), 0.01, ["the folder's value is used, 0.01"]),
    ],
    ids=str,
)
def test_an_omitted_decay_is_that_of_the_folder(tmp_path, optimizer, stored, notes):
    omitted = Sweep(**TINY | dict(optimizer=optimizer))
    was = dataclasses.replace(omitted, weight_decay=stored)
    job = existing_job(omitted, folder_of(tmp_path / "run", was))
    assert job.sweep == was and len(job.todo) == len(job.chunks)
    assert [n.removeprefix("weight_decay is omitted: ") for n in job.notes] == notes
    more = existing_job(dataclasses.replace(omitted, seeds=2), tmp_path / "run")
    assert more.sweep == dataclasses.replace(was, seeds=2)


def test_a_stated_decay_is_not_that_of_the_folder(tmp_path):
    sweep = Sweep(**TINY | dict(optimizer="adam"))
    folder = folder_of(tmp_path / "run", dataclasses.replace(sweep, weight_decay=0.01))
    with pytest.raises(SpecError, match=r"weight_decay is \[0\.01\] there and \[0\.0\] here"):
        existing_job(dataclasses.replace(sweep, weight_decay=0.0), folder)


@pytest.mark.parametrize(
    "line, decay",
    [
        ("", (0.01,)),
        ("--optimizer adam", (0.0,)),
        ("--optimizer adam --weight-decay 0.01", (0.01,)),
        ("--optimizer adam --weight-decay=0.01", (0.01,)),
        ("--preset dropout --optimizer sgd(2)", (0.0,)),
        ("--preset revival --optimizer adamw", (0.0,)),
        ("--model factorization --optimizer adamw", (0.0,)),
    ],
)
def test_the_command_line_tells_given_from_omitted(line, decay):
    assert parse(line.split())[0].weight_decay == decay


def test_a_folder_that_an_older_version_named_goes_on(tmp_path, monkeypatch):
    """It was named by a hash in which every optimizer had a decay of 0.01."""
    monkeypatch.chdir(tmp_path)
    asked, _, name = parse(["--optimizer", "adam"])
    new = Path("runs/activations-9d87c56d")
    assert default_folder(asked, name) == new
    older = Path("runs/activations-594a82de")
    older.mkdir(parents=True)
    assert default_folder(asked, name) == older
    stated, _, name = parse(["--optimizer", "adam", "--weight-decay", "0"])
    assert default_folder(stated, name) == new


# --------------------------------------------------------------------- what must not have changed

ADDED = {"check_fit", "support", "values", "density_power"}
ADDED |= {"dataset_size", "full_batch", "normalize", "hidden_vectors", "inputs"}
ADDED |= {"importances", "feature_sparsities", "bias"}
ADDED |= {"hidden_activation", "hidden_bias", "hidden_map", "hidden_noise", "hidden_l1", "encoder"}
ADDED |= {
    "normalize_columns",
    "target",
    "loss_function",
    "snapshot_parameters",
    "start",
    "first_step",
}
ADDED |= {"keep_state", "first_step"}
ADDED |= {"importances", "feature_sparsities", "bias", "norm_pull", "decay_on", "until"}
HASHES = {  # preset -> hash of the sweep, first chunk of at most 24 models for two workers
    "abs_value": ("f63adee200541687", "5cccb130f1fcf081"),
    "abs_value_small": ("f51e5c7c5b34a607", "4b8c1343b39b6b75"),
    "activations": ("1d35590232fbdfec", "77c06f3db2e4b9c6"),
    "adversarial": ("d7b4b886867b0ab7", "1ad39507fc98e73c"),
    "correlated": ("b30192dcd5f85153", "b03ddcb9cdcf93b8"),
    "development": ("da1dc6ad98f696e7", "67f73a172ccdeff1"),
    "double_descent": ("ff2a2217fb47e754", "29d030c1f543c7ae"),
    "dropout": ("2333cbcf91082744", "786851408855f061"),
    "dropout_basis": ("0653dbfb341666ea", "9286d5ef04c29dbb"),
    "features_2d": ("5af86caad98eb512", "dd4f77e1df24a2f6"),
    "gated": ("238b478acb9fef05", "b7d5b5c424295d93"),
    "geometry": ("862e51095a691a69", "d6d268687d16a285"),
    "incidental": ("264e2eb0caacd06f", "05828231c221f0cd"),
    "norm_pull_scaling": ("ea3f03f9c0fbff46", "df07900a2a2d3a8a"),
    "pentagon": ("10d60503c360a43b", "55ab2086bfdcaab3"),
    "phase_2_1": ("51ec111fb691f6c5", "3aca4a1b975c0f2a"),
    "phase_3_2": ("4dc4f198114e7658", "5a40bf15d8cb7dce"),
    "phase_activations": ("980cc4be2c468432", "074ee1a360fb9ba8"),
    "privileged_basis": ("a1765d4bddc84a82", "ba7570c90215704d"),
    "resid_mlp_1": ("5121e033ece153d3", "97b4d258807dd43d"),
    "resid_mlp_2": ("a23505ccbf6fa88f", "4f4d869c02738470"),
    "revival": ("f326712d8293e0d2", "279164a80e088c33"),
    "scaling": ("cf8e261118bf6321", "21102e915023577c"),
    "scurves": ("a2ec4f216c7f2c77", "3e99161e567e91bc"),
    "scurves_adamw": ("4d795b1d7da1fb70", "98a38ac639a6d859"),
    "scurves_decay": ("95fda26c4d73092a", "e7d2226c19120cc3"),
    "scurves_softmax": ("9752af1bffd3c6bc", "e870f9f966e09880"),
    "scurves_softmax_100": ("379c8c70e32b7ad8", "59a093aeb380f9f2"),
    "scurves_softmax_1000": ("e953eff1e6ec0387", "6117e7e9c76b3d2e"),
    "stochastic": ("2f85396d964e3328", "e723a4011feeed0a"),
    "superposition": ("58455250a4e0d35f", "8f126111c174567e"),
    "tms_40_10": ("a4057f0413781827", "7f7b02515b7f3294"),
    "tms_40_10_id": ("a4057f0413781827", "7f7b02515b7f3294"),
    "tms_5_2": ("68be104482b0cde8", "22cf660e1bd83164"),
    "tms_5_2_id": ("68be104482b0cde8", "22cf660e1bd83164"),
}
FINDINGS = {  # sweep of the findings at ten seeds -> the same
    "activations": ("abbfe5c052c2f940", "77c06f3db2e4b9c6"),
    "converged": ("bbd922a941175c94", "36f0abe889e76f55"),
    "roe": ("152c08d4833f7595", "9a35b774bf514e82"),
    "precision": ("a0acd409bb63d622", "82b56adda4a4c7b4"),
    "general_correlated": ("9319bf0606ee9278", "a784fcc05d3018b6"),
    "general_signed": ("9319bf0606ee9278", "a784fcc05d3018b6"),
    "general_large": ("923fdf3f461f910c", "897d32dd7e244959"),
    "general_untied": ("c914c5d60cbb29ef", "b3b8c911ad0f4eb7"),
    "dropout": ("2333cbcf91082744", "786851408855f061"),
    "dropout_basis": ("39cc25c40545c99f", "1d16017f32df20a2"),
    "revival": ("a70f65ca693a2c53", "3c10af18c1946cff"),
    "stochastic": ("e4538d762d9865e7", "06921c32ffe340da"),
    "scurves": ("b394b259ce377dc6", "3e99161e567e91bc"),
    "scurves_decay": ("1b47ccdde0b466ec", "e7d2226c19120cc3"),
    "scurves_adamw": ("73ea20d903b4eb0f", "98a38ac639a6d859"),
    "scurves_softmax": ("8ac35802d15ec8c2", "c0df1f4b72f462af"),
    "scurves_softmax_100": ("81ea3e79cc2db0b1", "54061c45627fae24"),
    "scurves_softmax_1000": ("c02fe48076e5669b", "706c2b1e6ea8f3d1"),
    "phase_2_1": ("468404bdc48298c2", "4d39af9cefc971e5"),
    "phase_3_2": ("49eb09433756b17b", "edd1ef76267011d7"),
}
STORED = [(sweep_from_dict(read_toml(PRESETS / f"{k}.toml")), *v) for k, v in HASHES.items()]
STORED += [(SWEEPS[k].sweep(10), *v) for k, v in FINDINGS.items()]


@pytest.mark.parametrize("sweep, whole, first", STORED, ids=[*HASHES, *FINDINGS])
def test_presets_and_findings_have_the_names_of_the_folders_that_hold_them(sweep, whole, first):
    """But for the fields that were added since."""

    def without(data):
        return {k: v for k, v in data.items() if sweep.model != "toy" or k not in ADDED}

    assert digest(without(sweep.to_dict())) == whole
    chunk = partition(sweep, expand(sweep)[0], 24, 2)[0]
    settings = tuple(map(without, chunk.settings))
    older = dataclasses.replace(chunk, static=without(chunk.static), settings=settings)
    assert older.name == first
    allowed = ("the target is out of reach", "no superposition is needed", COARSE)
    assert all(any(text in note for text in allowed) for note in sweep.notes())


def test_all_presets_and_findings_are_in_the_table():
    assert HASHES.keys() == {p.stem for p in PRESETS.glob("*.toml")}
    assert FINDINGS.keys() == SWEEPS.keys()


def test_the_default_preset_states_no_decay():
    activations = sweep_from_dict(read_toml(PRESETS / "activations.toml"))
    assert isinstance(activations.weight_decay, Omitted)


# ------------------------------------------------------------------------------ what it is about


@pytest.mark.slow
def test_decay_in_the_gradient_loses_sparse_features():
    sweep = Sweep(
        activation="relu",
        sparsity=0.99,
        importance_decay=1.0,
        n_features=8,
        n_hidden=2,
        batch_size=256,
        steps=4000,
        optimizer=("adam(0.003)", "adamw(0.003)"),
        weight_decay=(0.0, 0.01),
        seeds=2,
    )
    ds = jsuper.analyze(jsuper.run(sweep, progress=False))
    features = ds.features_represented.squeeze().transpose("optimizer", "weight_decay", "seed")
    (plain, coupled), (_, decoupled) = features.values
    assert (plain >= 4).all() and (decoupled >= 4).all() and (coupled == 0).all()
