"""One number, one spelling: -0.0 is 0, arrays without dimensions are numbers, 0 is not false."""

import copy
import dataclasses
import json
import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from one_chunk import CHUNK, SWEEP, arrays_of

import jsuper
from jsuper import Sweep
from jsuper.core.errors import RunError, SpecError
from jsuper.core.grid import Chunk, expand, missing
from jsuper.core.json_data import digest, same
from jsuper.jobs.job import existing_job
from jsuper.store import chunk_files
from jsuper.store.manifest import manifest_of, read_manifest, write_manifest
from jsuper.store.rebuild import sweep_and_chunks
from jsuper.store.validate import check_row, texts_of, values_of


class Tensor:
    """What torch has in a tensor of one number; torch itself is not installed."""

    ndim = 0

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return f"Tensor({self.value})"

    def item(self):
        """The number."""
        return self.value

    def __iter__(self):
        raise TypeError("iteration over a 0-d tensor")


# ----------------------------------------------------------------------------------- new sweeps

SINGLE = float(np.float32(0.9))  # 0.8999999761581421
GIVEN = [  # field, what is given, what the sweep has
    ("sparsity", -0.0, (0.0,)),
    ("sparsity", (-0.0, 0.9), (0.0, 0.9)),
    ("sparsity", 0, (0.0,)),
    ("sparsity", Fraction(1, 2), (0.5,)),
    ("sparsity", np.array(0.9), (0.9,)),
    ("sparsity", np.float64(0.9), (0.9,)),
    ("sparsity", np.float32(0.9), (SINGLE,)),
    ("sparsity", np.array(0.9, "f4"), (SINGLE,)),
    ("sparsity", np.float32(-0.0), (0.0,)),
    ("sparsity", np.array([0.0, 0.9]), (0.0, 0.9)),
    ("sparsity", [np.array(0.0), Tensor(0.9)], (0.0, 0.9)),
    ("sparsity", jnp.array(0.5), (0.5,)),
    ("sparsity", jnp.array([0.0, 0.5]), (0.0, 0.5)),
    ("sparsity", Tensor(0.9), (0.9,)),
    ("push", -0.0, (0.0,)),
    ("weight_decay", -0.0, (0.0,)),
    ("steps", np.array(100), (100,)),
    ("steps", Tensor(100), (100,)),
    ("steps", jnp.array(100.0), (100,)),
    ("steps", np.int64(7), (7,)),
    ("push_step", -0.0, (0,)),
    ("seeds", np.array(4), 4),
    ("seeds", Tensor(4), 4),
    ("seeds", jnp.arange(2), (0, 1)),
    ("seeds", [Tensor(3), -0.0], (3, 0)),
    ("momentum", Tensor(0.5), 0.5),
    ("momentum", -0.0, 0.0),
    ("unpaired", np.bool_(True), True),
    ("unpaired", Tensor(False), False),
    ("tied", np.array([True, False]), (True, False)),
    ("init", np.str_("normal"), "normal"),
    ("feature_sparsity", np.full(20, -0.0), (0.0,) * 20),
    ("importance", [-0.0] * 19 + [Tensor(1.0)], (0.0,) * 19 + (1.0,)),
    ("snapshots", jnp.array([0, 5]), (0, 5)),
    ("activation", "elu(-0.0)", ("elu(0)",)),
]


@pytest.mark.parametrize("name, given, held", GIVEN, ids=[f"{n}={g!r}"[:60] for n, g, _ in GIVEN])
def test_a_number_has_one_spelling(name, given, held):
    sweep = Sweep(**{name: given})
    found = getattr(sweep, name)
    assert repr(found) == repr(held)  # types and signs too
    assert digest(sweep.to_dict()) == digest(Sweep(**{name: held}).to_dict())
    assert values_of(sweep.to_dict())


@pytest.mark.parametrize(
    "name, given, said",
    [
        ("sparsity", (-0.0, 0.0), "sparsity contains 0.0 twice"),
        ("sparsity", (0, np.array(0.0)), "sparsity contains 0.0 twice"),
        ("sparsity", np.array(True), "sparsity=True is not a number"),
        ("sparsity", Tensor(0.5 + 0j), r"sparsity=\(0.5\+0j\) is not a number"),
        ("sparsity", np.array("0.5"), "sparsity='0.5' is not a number"),
        ("sparsity", np.array(math.nan), "sparsity=nan"),
        ("steps", Tensor(2.5), "steps=2.5 is not a whole number"),
        ("steps", np.bool_(True), "steps=True is not a whole number"),
        ("seeds", Tensor(True), "seeds=True is not a whole number"),
        ("seeds", [0, -0.0], "seeds contains 0 twice"),
        ("unpaired", np.array(1), "unpaired=1 is not true or false"),
    ],
    ids=str,
)
def test_what_is_no_number_is_refused_as_what_it_is(name, given, said):
    with pytest.raises(SpecError, match=said):
        Sweep(**{name: given})


@pytest.mark.slow
def test_a_run_of_negative_zero_can_be_read_and_extended(tmp_path):
    tiny = dict(activation="relu", seeds=1, steps=2, n_features=3, n_hidden=2, batch_size=8)
    first = jsuper.run(Sweep(sparsity=(-0.0, 0.5), **tiny), tmp_path, progress=False)
    again = jsuper.run(Sweep(sparsity=(0, 0.5), **tiny), tmp_path, progress=False)
    assert (first.W == again.W).all() and list(again.sparsity.values) == [0.0, 0.5]
    assert len(manifest_of(tmp_path).chunks) == len(list((tmp_path / "chunks").iterdir()))


# ---------------------------------------------------------------------------------- stored ones

PAIRS = [  # a field of a chunk's row, what the sweep has, what the row says, whether it is the same
    ("sparsity", 0.5, 0.5, True),
    ("sparsity", 0.0, -0.0, True),
    ("sparsity", -0.0, 0.0, True),
    ("sparsity", 0.0, 0, False),
    ("sparsity", 0.0, False, False),
    ("n_features", 8, 8.0, False),
    ("n_features", 1, True, False),
    ("n_hidden", 1, 1.0, False),
    ("push_step", 0, False, False),
    ("push_step", 0, -0.0, False),
    ("tied", True, 1, False),
    ("tied", False, 0, False),
    ("unpaired", False, 0, False),
    ("unpaired", False, 0.0, False),
    ("watch", True, 1.0, False),
    ("init_bias_scale", 0.0, False, False),
    ("momentum", 0.0, 0, False),
    ("activation", "relu", "relu", True),
    ("importance", [0.0, 1.0], [-0.0, 1.0], True),
    ("importance", [0.0, 1.0], [False, True], False),
    ("importance", [0.0, 1.0], [0, 1], False),
    ("snapshots", [0, 1], [False, True], False),
]


@pytest.mark.parametrize("name, held, said, equal", PAIRS, ids=[str(p) for p in PAIRS])
def test_a_row_of_a_manifest_is_one_of_its_sweep_as_json_has_it(name, held, said, equal):
    assert same(held, said) == same(said, held) == equal
    allowed = texts_of({name: [held]})
    if equal:
        check_row({name: said}, allowed)
    else:
        with pytest.raises(ValueError, match=f"a chunk of it has {name}="):
            check_row({name: said}, allowed)


@pytest.mark.parametrize(
    "change",
    [
        lambda sweep: sweep.update(n_features=[3.0]),
        lambda sweep: sweep.update(n_hidden=[2.0]),
        lambda sweep: sweep.update(sparsity=[False]),
        lambda sweep: sweep.update(push=[0]),
        lambda sweep: sweep.update(unpaired=0),
        lambda sweep: sweep.update(tied=[1]),
        lambda sweep: sweep.update(seeds=3.0),
        lambda sweep: sweep.update(seeds=True),
        lambda sweep: sweep.update(momentum=True),
        lambda sweep: sweep.update(snapshots=[False, 4]),
        lambda sweep: sweep.update(sparsity=[0.0, -0.0]),
        lambda sweep: sweep.pop("weight_decay"),
        lambda sweep: sweep.pop("activation"),
    ],
)
@pytest.mark.parametrize("rows", ["as they were", "changed too"])
def test_a_manifest_whose_numbers_are_of_another_type_is_refused(tmp_path, change, rows):
    """With a hash, rows and names that agree with the change, too."""
    write_manifest(tmp_path, SWEEP, [CHUNK], [])
    data = json.loads((tmp_path / "manifest.json").read_text())
    change(data["sweep"])
    if rows == "changed too":
        for row in (*data["statics"], *data["settings"]):
            for key in row.keys() & data["sweep"].keys():
                several = isinstance(data["sweep"][key], list) and not isinstance(row[key], list)
                if key != "activation":
                    row[key] = data["sweep"][key][0] if several else data["sweep"][key]
        named = Chunk("toy", _tuples(data["statics"][0]), tuple(data["settings"]), CHUNK.seeds)
        data["chunks"][0]["name"] = named.name
    data["hash"] = digest(data["sweep"])
    (tmp_path / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(RunError, match="cannot be read"):
        read_manifest(tmp_path)


def _tuples(row):
    return {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}


@pytest.mark.parametrize("which", ["settings", "static"])
@pytest.mark.parametrize("key", ["static", "settings"])
def test_true_is_no_number_of_a_row(tmp_path, key, which):
    write_manifest(tmp_path, SWEEP, [CHUNK], [])
    data = json.loads((tmp_path / "manifest.json").read_text())
    entry = data["chunks"][0]
    entry[key] = False if key == "static" else [False, True]
    (tmp_path / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(RunError, match="no row False"):
        read_manifest(tmp_path)


def negative(sweep=SWEEP):
    """A sweep with -0.0, and its chunk, as an older version had made them."""
    older = copy.copy(sweep)
    object.__setattr__(older, "sparsity", (-0.0, 0.5))
    object.__setattr__(older, "push", (-0.0,))
    (group,) = expand(older)
    return older, Chunk("toy", group.static, group.settings, group.seeds)


def test_a_folder_with_negative_zero_of_an_older_version_is_read_and_goes_on(tmp_path):
    older, chunk = negative()
    write_manifest(tmp_path, older, [chunk], [])
    chunk_files.write_chunk(tmp_path, chunk, arrays_of(chunk))
    assert "-0.0" in (tmp_path / "manifest.json").read_text()
    assert (jsuper.load(tmp_path).sel(sparsity=0.0).status == 1).all()
    now = dataclasses.replace(SWEEP, sparsity=(0.0, 0.5))
    job = existing_job(now, tmp_path)
    assert not job.todo and not missing(now, job.chunks) and job.is_complete
    more = dataclasses.replace(now, sparsity=(0.0, 0.5, 0.9))
    rest = missing(more, job.chunks)
    assert [s["sparsity"] for g in rest for s in g.settings] == [0.9, 0.9]
    new = [Chunk("toy", g.static, g.settings, g.seeds) for g in rest]
    write_manifest(tmp_path, more, [*job.chunks, *new], [])
    assert read_manifest(tmp_path).sweep == more.to_dict()
    (tmp_path / "manifest.json").unlink()
    found = sweep_and_chunks(tmp_path)
    assert found is not None and found[1] == [chunk]


def test_a_chunk_file_of_another_type_is_damaged(tmp_path):
    """Its text is compared as JSON has it: Python takes 0 for false."""
    chunk_files.write_chunk(tmp_path, CHUNK, arrays_of(CHUNK))
    assert chunk_files.read_chunk(tmp_path, CHUNK) is not None
    static = CHUNK.static | {"unpaired": 0}
    other = dataclasses.replace(CHUNK, static=static)
    assert other.static == CHUNK.static and other.name != CHUNK.name
    path = chunk_files.chunk_path(tmp_path, CHUNK.name)
    chunk_files.write_chunk(tmp_path, other, arrays_of(other))
    chunk_files.chunk_path(tmp_path, other.name).replace(path)
    with pytest.raises(RunError, match="does not contain what its name states"):
        chunk_files.read_chunk(tmp_path, CHUNK)


@pytest.mark.parametrize(
    "chunks, said",
    [
        ([CHUNK, CHUNK], "its chunks are not the 6 models of its sweep"),
        ([], "its chunks are not the 6 models"),
        ([dataclasses.replace(CHUNK, seeds=(0, 1, 9))], "seeds that its sweep has not"),
        ([dataclasses.replace(CHUNK, static=CHUNK.static | {"n_features": 3.0})], "n_features=3.0"),
    ],
)
def test_no_manifest_is_written_that_could_not_be_read(tmp_path, tried, chunks, said):
    write_manifest(tmp_path, SWEEP, [CHUNK], [])
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(RunError, match="is not written, since it could not be read again") as found:
        write_manifest(tmp_path, SWEEP, chunks, [])
    assert said in str(found.value)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    tried("A damaged manifest", "one that could not be read again: not written, the old one stays")
