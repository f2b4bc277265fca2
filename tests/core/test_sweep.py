"""Sweeps: axes, TOML in and out, identity, callables."""

import dataclasses
import functools
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import jsuper
from jsuper import Sweep
from jsuper.cli import summary
from jsuper.core.errors import SpecError
from jsuper.core.family import sweep_from_dict
from jsuper.core.json_data import digest, label, plain
from jsuper.core.toml import read_toml
from jsuper.models.toy.activations.names import ACTIVATIONS
from jsuper.models.toy.starts import Start

ONES = (1.0,) * 20


def twice_relu(z):
    """A function of z, for tests."""
    return 2 * z * (z > 0)


def scaled(factor, z):
    """A function with a parameter."""
    return factor * z


def sampler(key, batch):
    """A law of the data, which is not called here."""


# ---------------------------------------------------------------------------------------- axes


def test_a_sweep_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sweep().steps = 5


def test_scalars_become_axes_of_one_value():
    sweep = Sweep(activation="relu", sparsity=0, steps=7.0, optimizer="sgd")
    assert (sweep.activation, sweep.sparsity, sweep.steps) == (("relu",), (0.0,), (7,))
    assert isinstance(sweep.sparsity[0], float) and isinstance(sweep.steps[0], int)
    assert sweep == Sweep(activation=["relu"], sparsity=(0.0,), steps=[7], optimizer=("sgd",))


def test_axes_are_those_with_several_values_and_the_main_ones():
    sweep = Sweep(activation="relu", sparsity=0.5, n_hidden=(5, 2), dropout=(0.0, 0.1))
    assert sweep.axes == {
        "activation": ("relu",),
        "sparsity": (0.5,),
        "dropout": (0.0, 0.1),
        "n_hidden": (5, 2),
    }
    assert list(sweep.axes) == ["activation", "sparsity", "dropout", "n_hidden"]


@pytest.mark.parametrize("seeds, values", [(3, (0, 1, 2)), ([7, 2], (7, 2)), ([5], (5,))])
def test_seeds_are_a_count_or_a_list(seeds, values):
    assert Sweep(seeds=seeds).seed_values == values


def test_the_default_is_the_study():
    sweep = Sweep()
    assert sweep.activation == ACTIVATIONS and len(ACTIVATIONS) == 27
    assert sweep.sparsity == (0.0, 0.7, 0.9, 0.97, 0.99, 0.997, 0.999)
    assert (sweep.n_features, sweep.n_hidden, sweep.seeds) == ((20,), (5,), 3)
    assert (sweep.steps, sweep.batch_size, sweep.optimizer) == ((10_000,), (1024,), ("adamw",))
    assert (sweep.learning_rate, sweep.weight_decay) == ((1e-3,), (0.01,))
    preset = Path(jsuper.__file__).parent / "presets" / "activations.toml"
    assert sweep_from_dict(read_toml(preset)) == sweep


def test_more_hidden_units_than_features_are_allowed_and_noted():
    sweep = Sweep(n_features=(3, 9), n_hidden=(2, 5))
    (note,) = sweep.notes()
    assert "n_hidden=5" in note and "n_features=3" in note
    assert Sweep().notes() == []


def test_changed_fields_are_those_without_an_axis_that_are_not_at_their_default():
    assert Sweep().changed == {}
    assert Sweep(seeds=9, activation="relu", sparsity=(0.1, 0.9), tied=(True, False)).changed == {}
    few = Sweep(support="pairs(1)", tied=False, n_features=4, importance=(1, 1, 1, 0), steps=5)
    assert few.changed["importance"] == (1, 1, 1, 0)
    assert set(few.changed) == {"support", "tied", "n_features", "steps", "importance"}
    text = summary.fields_text(few)
    assert "support=pairs(1)" in text and "tied=false" in text
    assert "importance=4 values" in text
    assert "steps" not in text


# ----------------------------------------------------------------------------- TOML and identity

SWEEPS = {
    "default": Sweep(),
    "one of each": Sweep(activation="elu(0.25)", sparsity=0.5, seeds=1, steps=10),
    "importance list": Sweep(n_features=3, importance=(1.0, 0.1, 1e-7)),
    "importance lists": Sweep(n_features=2, importance={"flat": (1, 1), "steep": (1, 1e-7)}),
    "sparsity list": Sweep(n_features=3, feature_sparsity=(0.1, 0.2, 0.7)),
    "seeds list": Sweep(seeds=[11, 3]),
    "extreme numbers": Sweep(learning_rate=(1e30, 1e-30, 0.1), weight_decay=1e-5),
    "every axis": Sweep(
        dropout=(0, 0.5), n_features=(5, 6), batch_size=(8, 16), dtype=("float32", "float64")
    ),
    "tied and untied": Sweep(tied=(True, False), reduction="sum", shared_mask=True),
    "laws": Sweep(support=("independent", "sets(4, 0.25)"), values=("signed", "uniform(0, 2)")),
    "datasets": Sweep(dataset_size=(3, 100), full_batch=True, normalize=True),
    "power law": Sweep(density_power=(0, 0.5), sparsity=0.9),
    "the rest": Sweep(unpaired=True, snapshots=(0, 5), steps=(5, 9), schedule="cosine", records=3),
}


@pytest.mark.parametrize("sweep", SWEEPS.values(), ids=SWEEPS)
def test_toml_and_json_give_the_same_sweep_back(sweep):
    assert Sweep.from_dict(tomllib.loads(sweep.to_toml())) == sweep
    assert sweep_from_dict(json.loads(json.dumps(sweep.to_dict()))) == sweep


CHANGED = dict(
    seeds=4,
    unpaired=True,
    activation="relu",
    sparsity=0.5,
    dropout=0.1,
    push=0.5,
    push_step=5,
    watch=True,
    learning_rate=1e-2,
    weight_decay=0,
    norm_pull=0.1,
    decay_on="W",
    importance_decay=0.9,
    n_features=21,
    n_hidden=6,
    batch_size=512,
    steps=9_999,
    until="converged(5000)",
    optimizer="adam",
    dtype="float64",
    schedule="linear",
    momentum=0.8,
    init="normal",
    init_scale=2,
    init_instances=11,
    init_bias_scale=1,
    tied=False,
    bias=False,
    start="kgon(4)",
    first_step=5,
    keep_state=True,
    hidden_activation="relu",
    hidden_bias=True,
    hidden_map="orthogonal",
    hidden_noise="normal(0.1)",
    hidden_l1=0.1,
    encoder="fixed",
    normalize_columns=True,
    target="abs",
    loss_function="lp(4)",
    snapshot_parameters=False,
    reduction="sum",
    shared_mask=True,
    support="pairs(0.5)",
    values="signed",
    density_power=0.01,
    inputs=sampler,
    dataset_size=2000,
    full_batch=True,
    normalize=True,
    hidden_vectors=True,
    importance=ONES,
    importances=f"one({', '.join(['1'] * 20)})",
    feature_sparsity=(0.5,) * 20,
    feature_sparsities=f"one({', '.join(['0.5'] * 20)})",
    records=50,
    check_fit=False,
    snapshots=(10,),
    zipped={"size": {"n_hidden": (2, 3), "learning_rate": (1e-3, 1e-2)}},
)


def test_the_mean_number_of_active_features_gives_the_sparsity():
    assert Sweep(activity=(1, 2, 0.6)) == Sweep(sparsity=(0.95, 0.9, 0.97))
    assert Sweep(activity=3, n_features=4, n_hidden=2).sparsity == (0.25,)
    sweep = Sweep(activity=0.02, density_power=0.5)
    assert sweep == Sweep(sparsity=0.999, density_power=0.5) == dataclasses.replace(sweep)
    assert sweep.activity is None and "activity" not in sweep.to_dict()


def test_every_field_is_part_of_the_identity():
    known = {f.name for f in dataclasses.fields(Sweep) if f.metadata["role"] != "alias"}
    assert CHANGED.keys() == known, "add the new field above"
    needed = {"density_power": {"sparsity": 0.9}}  # at sparsity 0 every density is 1
    needed |= {"encoder": {"tied": False}}
    needed["first_step"] = {"start": Start({"W": np.ones((5, 20)), "loss_curve": np.ones(3)})}
    needed |= dict.fromkeys(("full_batch", "hidden_vectors"), {"dataset_size": 3000})
    digests = {
        name: digest(Sweep(**{name: value}, **needed.get(name, {})).to_dict())
        for name, value in CHANGED.items()
    }
    assert len({digest(Sweep().to_dict()), *digests.values()}) == len(CHANGED) + 1, digests


def python(code, *arguments):
    """The output of `code` in a fresh interpreter."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_identity_is_the_same_in_another_process():
    code = (
        "import jsuper; from jsuper.core.json_data import digest; "
        "print(digest(jsuper.Sweep().to_dict()))"
    )
    assert python(code) == digest(Sweep().to_dict())


def test_specs_and_the_command_line_import_no_jax():
    modules = "core.sweep core.grid core.family models.toy.spec models.toy.activations.names "
    modules += "store.chunk_files store.dataset jobs.runner cli.summary cli.main plots"
    code = "import sys, jsuper; jsuper.Sweep(); "
    code += "".join(f"import jsuper.{m}; " for m in modules.split())
    code += "print([m for m in ('jax', 'jaxlib', 'optax', 'flax') if m in sys.modules])"
    assert python(code) == "[]"


# ----------------------------------------------------------------------------------- callables


class Named:
    """A callable without a __name__."""

    def __call__(self, z):
        return z


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (twice_relu, "twice_relu"),
        (functools.partial(scaled, 2), "scaled"),
        (functools.partial(functools.partial(scaled), 2), "scaled"),
        (Named(), "Named"),
    ],
)
def test_a_callable_has_a_name_and_until_it_is_traced_no_digest(function, name):
    sweep = Sweep(activation=function)
    assert label(function) == plain(function) == name
    assert sweep.to_dict()["activation"] == [name]
    assert re.fullmatch(rf"{name}@[0-9a-f]{{12}}", plain(sweep.traced().activation[0]))


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("sgd", "sgd"),
        ("sgd(2)", "sgd(2)"),
        (" sgd ( 2.0 )", "sgd(2)"),
        ("adam(1e-3)", "adam(0.001)"),
    ],
)
def test_an_optimizer_may_have_a_learning_rate_of_its_own(given, canonical):
    assert jsuper.Sweep(optimizer=given).optimizer == (canonical,)


@pytest.mark.parametrize("given", ["sgd(0)", "sgd(-1)", "sgd(fast)", "sgd()", "sgd(nan)", "sgd(1"])
def test_a_bad_learning_rate_of_an_optimizer_is_refused(given):
    with pytest.raises(SpecError, match="write for example sgd"):
        jsuper.Sweep(optimizer=given)
