"""What cannot be drawn or represented is refused in new sweeps, and what is coarse is noted."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sparse_features import features

import jsuper
from jsuper import Sweep, factorization
from jsuper.cli import main, process, sweeping
from jsuper.core.errors import SpecError
from jsuper.core.grid import Chunk, expand
from jsuper.core.json_data import digest
from jsuper.jobs.job import existing_job
from jsuper.models.toy import limits
from jsuper.models.toy.model import dropout_mask
from jsuper.models.toy.widths import narrow_widths
from jsuper.store.manifest import manifest_of, write_manifest
from jsuper.store.status import status_of

GRID = 2.0**-23
HALVES = (0.5,) * 19

# Fields of a toy model -> what its refusal says, and the same sweep as it is allowed.
REFUSED = [
    (dict(sparsity=1 - GRID), r"sparsity=0\.9999998807907104 is too close to 1", 1 - 1.5 * GRID),
    (dict(sparsity=(0.5, 0.99999999)), r"sparsity=0\.99999999 .*less than 1 - 2\^-23 = 0\.9", 0.9),
    (dict(sparsity=0.99999999, dtype="float64"), "draws are multiples of 2", 0.999999),
    (dict(sparsity=0.99999999, shared_mask=True), "no feature would ever be above 0", 0.999999),
    (dict(feature_sparsity=(*HALVES, 1 - GRID / 2)), r"feature_sparsity\[19\]=", (*HALVES, 0.999)),
    (dict(dropout=1 - GRID / 4), "every hidden unit would be dropped", 1 - GRID),
    (dict(dropout=1 - GRID / 4, dtype="float64"), "every hidden unit would be dropped", 1 - GRID),
    (dict(dropout=1e-46), "dropout=1e-46 is 0 in float32", 1e-6),
    (dict(weight_decay=-1), "weight_decay=-1 is below 0: .*without bound; give 0 or more", 0),
    (dict(weight_decay=-1e-5, optimizer="sgd"), "weight_decay=-1e-05 is below 0", 1e-5),
    (dict(weight_decay=1e-50), "weight_decay=1e-50 is 0 in float32", 1e-30),
    (dict(learning_rate=1e-46), "learning_rate=1e-46 is 0 in float32.*use dtype=float64", 1e-5),
    (dict(learning_rate=1e-40), "learning_rate=1e-40 is 0 in float32", 1e-5),
    (dict(learning_rate=1e39), r"learning_rate=1e\+39 is infinite in float32", 1e-5),
    (dict(learning_rate=1e-310, dtype="float64"), "learning_rate=1e-310 is 0 in float64", 1e-46),
    (dict(optimizer="sgd(1e-46)"), r"optimizer='sgd\(1e-46\)': its learning rate=1e-46", "sgd(1)"),
    (dict(momentum=1 - 1e-9), "momentum=0.999999999 is 1 in float32", 0.999),
    (dict(push=1e-46), "push=1e-46 is 0 in float32", 1.0),
    (dict(importance_decay=1e-46), "importance_decay=1e-46 is 0 in float32", 0.5),
    (dict(importance_decay=2, n_features=200), "the last feature, decay.199, is infinite", 1.1),
    (dict(importance=(1e-46,) * 20), r"importance\[0\]=1e-46 is 0 in float32", (0.5,) * 20),
    (dict(importance=(*HALVES, 1e39)), r"importance\[19\]=1e\+39 is infinite", (*HALVES, 0.0)),
    (dict(init_scale=1e-46, init="normal"), "init_scale=1e-46 is 0 in float32.*this range$", 1e-3),
    (dict(init_bias_scale=1e-46, dtype="float64"), "init_bias_scale=1e-46 is 0 in float32", 0),
    (dict(batch_size=2**28), "n_features=20 times batch_size=268435456 is 2.32 or more", 2**10),
    (dict(n_hidden=2**22), "n_hidden=4194304 times batch_size=1024 is 2.32", 2**10),
]  # fmt: skip


@pytest.mark.parametrize("fields, said, allowed", REFUSED, ids=[str(r[0])[1:50] for r in REFUSED])
def test_what_would_train_on_nothing_is_refused_and_can_be_mended(fields, said, allowed):
    with pytest.raises(SpecError, match=said):
        Sweep(**fields)
    name = next(iter(fields))
    Sweep(**fields | {name: allowed})
    stored = Sweep.stored(Sweep().to_dict() | {"n_features": 20} | fields | _lone(fields))
    assert stored.to_dict()[name] == json.loads(json.dumps(stored.to_dict()))[name]


def _lone(fields):
    """Lists of one value per feature take the place of an axis."""
    lists = {"feature_sparsity": "sparsity", "importance": "importance_decay"}
    own = {k: fields[k] for k in lists if k in fields}
    return {lists[k]: sum(v) / len(v) for k, v in own.items()}


LOW_RANK = [
    (dict(init_scale=1e-46), "init_scale=1e-46 is 0 in float32"),
    (dict(learning_rate=1e-46), "learning_rate=1e-46 is 0 in float32"),
    (dict(optimizer="adam(1e-46)"), r"optimizer='adam\(1e-46\)'"),
    (dict(strength=1e-20), "strength=1e-20: its square=1e-40 is 0 in float32"),
    (dict(strength=1e20), r"strength=1e\+20: its square=1e\+40 is infinite in float32"),
    (dict(strength_ratio=1e-5, rank=9), r"strength_ratio\^\(rank - 1\)=1e-40 is 0 in float32"),
    (dict(strength_ratio=1e-200, rank=9, dtype="float64"), "makes the target's last pair 0"),
    (dict(momentum=1 - 1e-9), "momentum=0.999999999 is 1 in float32"),
]


@pytest.mark.parametrize("fields, said", LOW_RANK, ids=[str(f)[1:50] for f, _ in LOW_RANK])
def test_what_a_factorization_cannot_represent_is_refused(fields, said):
    with pytest.raises(SpecError, match=said):
        factorization.Sweep(**fields)
    factorization.Sweep.stored(fields)


NOTED = [
    (Sweep, dict(sparsity=0.999999), "x takes only 9 values, including 0, and a feature is active "
     "with probability 1.073e-06 instead of 1e-06"),
    (Sweep, dict(sparsity=0.999999, dtype="float64"), "x takes only 9 values"),
    (Sweep, dict(sparsity=0.999999, shared_mask=True), "2^-23, so that a feature is active with"),
    (Sweep, dict(feature_sparsity=(*HALVES, 0.9999)), "feature_sparsity[19]=0.9999: draws are"),
    (Sweep, dict(dropout=0.99999), "a hidden unit is kept with probability 1.001e-05, and then m"),
    (Sweep, dict(sparsity=0.999, steps=3, batch_size=16), "48 samples of training, 0.96 features"),
    (Sweep, dict(sparsity=0.999, steps=40, shared_mask=True), "training, 0.8 features are active"),
    (Sweep, dict(feature_sparsity=(0.999,) * 20, steps=1, batch_size=10), "training, 0.2 features"),
    (Sweep, dict(n_features=400), "features 245 to 399 have importance 0 in float32"),
    (Sweep, dict(importance_decay=1e-30), "features 2 to 19 have importance 0"),
    (Sweep, dict(learning_rate=1e-20), "the weights hardly leave their initial"),
    (Sweep, dict(optimizer="sgd(1e-20)"), "the weights hardly leave their initial"),
    (Sweep, dict(sparsity=(0.9, 0.9000000001)), "0.9 and 0.9000000001 are the same in float32"),
    (Sweep, dict(learning_rate=(1e-3, 1e-3 + 1e-12)), "the same models are trained twice"),
    (Sweep, dict(sparsity=np.float32(0.9)), "sparsity=0.8999999761581421 is the float32 number "
     "that prints as 0.9"),
    (factorization.Sweep, dict(learning_rate=1e-20), "the weights hardly leave their initial"),
    (factorization.Sweep, dict(strength=(1.0, 1 + 1e-12)), "are the same in float32"),
]  # fmt: skip


@pytest.mark.parametrize("cls, fields, said", NOTED, ids=[str(n[1])[1:50] for n in NOTED])
def test_what_is_coarse_or_lost_is_noted(cls, fields, said):
    assert any(said in note for note in cls(**fields).notes()), cls(**fields).notes()


QUIET = [
    dict(sparsity=0.9998),
    dict(sparsity=(0.9, 0.9000000001), dtype="float64"),
    dict(sparsity=(0.5, 0.123456789, 2**-20)),
    dict(sparsity=0.9998, shared_mask=True),
    dict(dropout=(0.0, 0.999)),
    dict(n_features=200),
    dict(n_features=400, dtype="float64"),
    dict(learning_rate=(1e-3, np.float64(0.1))),
]


@pytest.mark.parametrize("fields", QUIET, ids=str)
def test_what_is_as_it_says_has_no_note(fields):
    assert Sweep(**fields).notes() == []


# ---------------------------------------------------------------------------------- the numbers


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("below_one", [1.0, 0.7, 1e-3, 1e-6, 1.5 * GRID, GRID, GRID / 2])
def test_the_number_of_values_is_that_of_the_code_that_draws(below_one, dtype):
    """Over the draws around the density: all others are on one side of it."""
    sparsity = 1 - below_one
    count = limits.values_drawn(sparsity)
    first = max(count - 2000, 0)
    near = np.arange(first, min(count + 2000, limits.DRAWS), dtype=np.float64) * GRID
    with jax.enable_x64(dtype == "float64"):
        density = np.asarray(1 - sparsity, dtype)
        x = np.asarray(features(near.astype(np.float32)[None], density, dtype))[0]
    assert (x > 0).sum() == max(count, 1) - max(first, 1)
    assert sparsity < 1 - GRID or not (x > 0).any()


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.99999, 1 - GRID, 1 - GRID / 4])
def test_the_number_of_kept_units_is_that_of_the_mask(rate):
    kept = limits.values_kept(rate)
    last = np.arange(max(limits.DRAWS - kept - 1000, 0), limits.DRAWS) * GRID
    mask = np.asarray(dropout_mask(last.astype(np.float32), jnp.float32(rate)))
    assert (mask > 0).sum() == min(kept, len(last))


@pytest.mark.parametrize("sparsity", [1 - GRID, 0.99999999, -0.1, 1, math.nan, [0.5, 1.0]])
def test_samples_that_cannot_be_drawn_are_refused(sparsity):
    with pytest.raises(SpecError, match=r"sparsity="):
        jsuper.sample(jsuper.seed_key(0), np.asarray(sparsity), 2, 3)


@pytest.mark.parametrize("sparsity", [0.5, np.array([0.2, 0.9]), np.float32(0.5)])
def test_samples_are_as_they_were(sparsity):
    x = jsuper.sample(jsuper.seed_key(7), sparsity, 2, 5)
    traced = jax.jit(lambda s: jsuper.sample(jsuper.seed_key(7), s, 2, 5))(sparsity)
    assert x.shape == (2, 5) and np.allclose(x, traced)


def test_a_batch_that_cannot_be_counted_is_whole():
    values = expand(Sweep(batch_size=2**24 - 1, n_features=1, n_hidden=1))[0].static
    setting = {"activation": "relu", "sparsity": 0.999}
    assert narrow_widths(values, [setting])
    assert not narrow_widths(values | {"batch_size": 2**24}, [setting])


# ---------------------------------------------------------------------------- folders of before


@pytest.fixture
def before(tmp_path):
    """The folder of a sweep that is refused today, without results."""
    sweep = Sweep.stored(
        Sweep(activation="relu", sparsity=0.5, seeds=2, steps=3).to_dict()
        | {"weight_decay": -1e-5, "sparsity": (0.5, 0.99999999)}
    )
    chunks = [Chunk("toy", g.static, g.settings, (s,)) for g in expand(sweep) for s in g.seeds]
    write_manifest(tmp_path, sweep, chunks, [])
    return tmp_path, sweep


def test_a_folder_with_what_is_refused_today_is_read(before):
    folder, sweep = before
    assert manifest_of(folder).sweep == sweep.to_dict()
    assert manifest_of(folder).hash == digest(sweep.to_dict())
    assert status_of(folder)
    assert (jsuper.load(folder).status == 0).all()
    assert main.main(["verify", str(folder)]) == 0
    assert existing_job(sweep, folder).sweep == sweep


def test_what_is_refused_is_refused_before_anything_is_written(tmp_path, capsys):
    out = tmp_path / "run"
    assert sweeping.sweep(["--sparsity", "0.99999999", "--out", str(out)]) == process.BAD_INPUT
    assert "is too close to 1" in capsys.readouterr().err and not out.exists()


def test_notes_are_warnings_in_python_and_lines_on_the_command_line(tmp_path, capsys):
    fields = dict(activation="relu", sparsity=0.999999, n_features=3, n_hidden=2, seeds=1, steps=2)
    with pytest.warns(UserWarning) as caught:
        jsuper.run(Sweep(**fields, batch_size=8), progress=False)
    assert [str(w.message) for w in caught] == Sweep(**fields, batch_size=8).notes()
    assert caught[0].filename == __file__
    flags = "--activation relu --sparsity 0.999999 --dry-run --platform cpu --out"
    assert sweeping.sweep([*flags.split(), str(tmp_path / "run")]) == 0
    assert "note     sparsity=0.999999: draws are" in capsys.readouterr().out
