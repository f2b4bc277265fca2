"""Fields that vary together: what a group means, and which groups are refused."""

import dataclasses
import itertools
import pickle

import pytest

import jsuper
from jsuper import Sweep, factorization
from jsuper.cli.options import parse
from jsuper.cli.summary import fields_text
from jsuper.core.errors import SpecError
from jsuper.core.fields import Omitted
from jsuper.core.grid import expand, n_models, partition
from jsuper.core.toml import parse_toml

SIZES = {"size": {"n_hidden": (5, 10), "learning_rate": (1e-3, 5e-4)}}
LABELS = ("n_hidden=5, learning_rate=0.001", "n_hidden=10, learning_rate=0.0005")
TINY = dict(activation=("relu", "gelu"), sparsity=(0.5, 0.9), seeds=2)


def points(sweep):
    """Every (field, value) of every model, as text."""
    return sorted(
        repr(sorted({**g.static, **s, "seed": seed}.items()))
        for g in expand(sweep)
        for s in g.settings
        for seed in g.seeds
    )


@pytest.mark.parametrize(
    "zipped, more",
    [
        (SIZES, {}),
        (SIZES, dict(batch_size=(32, 64), dropout=(0, 0.1))),
        ({"rate": {"learning_rate": (1, 2, 3), "dropout": (0, 0, 0.5)}}, {}),
        (SIZES | {"length": {"steps": (10, 20), "batch_size": (64, 32)}}, dict(tied=(True, False))),
        ({"law": {"support": ("pairs(1)", "sets(4, 1)"), "n_features": (6, 8)}}, {}),
    ],
    ids=str,
)
def test_a_sweep_with_groups_is_the_union_of_the_sweeps_of_their_rows(zipped, more):
    sweep = Sweep(zipped=zipped, **TINY, **more)
    rows = [
        [dict(zip(c, v, strict=True)) for v in zip(*c.values(), strict=True)]
        for c in zipped.values()
    ]
    plain = [
        Sweep(**TINY, **more, **{k: v for row in chosen for k, v in row.items()})
        for chosen in itertools.product(*rows)
    ]
    assert points(sweep) == sorted(p for one in plain for p in points(one))
    assert n_models(sweep) == sum(map(n_models, plain))
    assert sweep.parts() == plain
    statics = [repr(g.static) for g in expand(sweep)]
    assert len(set(statics)) == len(statics)  # one program for models of the same static values


def test_a_group_of_settings_has_one_program():
    group = {"rate": {"learning_rate": (1e-3, 1e-2), "dropout": (0.0, 0.5)}}
    (found,) = expand(Sweep(**TINY, zipped=group))
    pairs = {(s["learning_rate"], s["dropout"]) for s in found.settings}
    assert pairs == {(1e-3, 0.0), (1e-2, 0.5)} and len(found.settings) == 8


def test_a_group_is_one_axis_where_its_first_field_was():
    sweep = Sweep(**TINY, zipped=SIZES, dropout=(0, 0.5), batch_size=(8, 16))
    assert list(sweep.axes) == ["activation", "sparsity", "dropout", "size", "batch_size"]
    assert sweep.axes["size"] == LABELS
    assert sweep.values_of("n_hidden") == sweep.n_hidden == (5, 10)
    assert fields_text(Sweep(**TINY, zipped=SIZES)) == ""


def test_notes_are_about_sizes_that_are_trained():
    sweep = Sweep(zipped={"size": {"n_features": (3, 10), "n_hidden": (6, 10)}})
    assert sweep.notes() == ["n_hidden=6 > n_features=3: no superposition is needed"]


def test_a_column_may_repeat_a_value_and_texts_are_as_elsewhere():
    group = {"way": {"tied": (True, False, False), "weight_decay": (0, 0, 0.1)}}
    sweep = Sweep(zipped=group)
    assert sweep.tied == (True, False) and sweep.weight_decay == (0.0, 0.1)
    assert sweep.axes["way"] == (
        "tied=true, weight_decay=0.0",
        "tied=false, weight_decay=0.0",
        "tied=false, weight_decay=0.1",
    )


def test_it_can_be_written_read_hashed_pickled_and_replaced():
    sweep = Sweep(**TINY, zipped=SIZES)
    assert Sweep.from_dict(sweep.to_dict()) == sweep == Sweep.from_dict(parse_toml(sweep.to_toml()))
    assert pickle.loads(pickle.dumps(sweep)) == sweep and hash(sweep) == hash(
        dataclasses.replace(sweep)
    )
    more = {"size": {"n_hidden": (5, 10, 15), "learning_rate": (1e-3, 5e-4, 1e-4)}}
    assert dataclasses.replace(sweep, zipped=more) == Sweep(**TINY, zipped=more)
    assert dataclasses.replace(sweep, zipped={}) == Sweep(**TINY)
    assert dataclasses.replace(sweep, seeds=5) == Sweep(**TINY | {"seeds": 5}, zipped=SIZES)
    assert sweep.folder_hash not in (
        Sweep(**TINY).folder_hash,
        Sweep(**TINY, n_hidden=(5, 10), learning_rate=(1e-3, 5e-4)).folder_hash,
    )


@pytest.mark.parametrize("cls", [Sweep, factorization.Sweep])
def test_a_sweep_without_groups_is_what_it_was(cls):
    sweep = cls()
    assert "zipped" not in sweep.to_dict() and "zipped" not in sweep.to_toml()
    assert sweep.parts() == [sweep] and sweep.parts()[0] is sweep
    assert cls(zipped={}) == cls(zipped=None) == sweep


AXES = dict(learning_rate=(1e-3, 1e-2))


@pytest.mark.parametrize(  # computed before there were groups
    "sweep, folder",
    [
        (Sweep(n_hidden=(2, 3), sparsity=(0.5, 0.9), **AXES), "434dcb3d"),
        (factorization.Sweep(rank=(1, 2), pairs=(2, 3), **AXES), "4fd74afa"),
    ],
)
def test_folders_and_chunks_without_groups_do_not_know_of_them(sweep, folder):
    assert sweep.folder_hash == folder
    chunks = [c for g in expand(sweep) for c in partition(sweep, g, 64, 2)]
    assert "zipped" not in str(sweep.to_dict()) + "".join(chunk.text for chunk in chunks)


def test_folders_of_defaults_have_the_names_they_had():
    assert (Sweep().folder_hash, factorization.Sweep().folder_hash) == ("1d355902", "7f9cb223")


OMITTED = dict(optimizer=("adamw", "adam"), learning_rate=(1e-3, 1e-2))


def test_an_omitted_weight_decay_is_the_whole_sweep_s():
    assert Sweep(zipped=SIZES).weight_decay == Omitted((0.01,))
    mixed = Sweep(zipped={"way": OMITTED})  # a run folder may have a value
    for use in (expand, n_models, lambda sweep: sweep.to_dict(), lambda sweep: sweep.axes):
        with pytest.raises(SpecError, match="weight_decay is omitted, and optimizer=adamw, adam"):
            use(mixed)
    stated = Sweep(zipped={"way": OMITTED | {"weight_decay": (0.01, 0)}})
    assert [p.weight_decay for p in stated.parts()] == [(0.01,), (0.0,)]
    stored = mixed.with_stored(Sweep(weight_decay=0.1).to_dict())
    assert {s["weight_decay"] for g in expand(stored) for s in g.settings} == {0.1}


def test_a_sparsity_that_every_row_needs_is_set_and_several_are_refused():
    same = {"law": {"support": ("exactly(1)", "exactly(2)"), "n_features": (5, 10)}}
    assert Sweep(zipped=same).sparsity == (0.8,)
    other = {"law": {"support": ("exactly(1)", "exactly(2)"), "n_features": (5, 8)}}
    with pytest.raises(SpecError, match=r"sparsity is omitted, and rows of zipped need different"):
        Sweep(zipped=other)


def test_rules_between_fields_are_checked_for_rows_and_not_for_their_product():
    late = dict(push_step=(1000, 10), steps=(2000, 20))
    assert n_models(Sweep(zipped={"length": late}, activation="relu", sparsity=0, seeds=1)) == 2
    with pytest.raises(SpecError, match="push_step=1000 is not below steps=20"):
        Sweep(**late)
    with pytest.raises(SpecError, match="push_step=30 is not below steps=20"):
        Sweep(zipped={"length": late | {"push_step": (1000, 30)}})
    tiny = dict(dtype=("float32", "float64"), learning_rate=(1e-3, 1e-50))
    for cls in (Sweep, factorization.Sweep):
        assert len(cls(zipped={"precision": tiny}).parts()) == 2
        with pytest.raises(SpecError, match="learning_rate=1e-50 is 0 in float32"):
            cls(**tiny)
        with pytest.raises(SpecError, match="learning_rate=1e-50 is 0 in float32"):
            cls(zipped={"precision": tiny | {"learning_rate": (1e-50, 1e-3)}})


def test_notes_are_those_of_the_rows():
    sizes = {"size": {"n_features": (5, 20), "n_hidden": (3, 10)}}
    assert Sweep(zipped=sizes).all_notes() == []
    sizes["size"]["n_hidden"] = (6, 10)
    (note,) = Sweep(zipped=sizes).all_notes()
    assert note.startswith("n_hidden=6 > n_features=5")


BAD = [
    (5, "zipped=5 is not a table of groups; try zipped={'size': {'n_hidden'"),
    ({"size": 5}, "zipped.size=5 is not a table of fields"),
    ({"size": {"n_hidden": (5, 10)}}, "zipped.size has 1 field; give at least two"),
    ({"size": {}}, "zipped.size has 0 fields; give at least two"),
    ({"size": {"n_hidden": 5, "steps": 7}}, "zipped.size.n_hidden=5 is not a list; give one value"),
    ({"law": {"support": "shared", "steps": (5,)}}, "zipped.law.support='shared' is not a list"),
    (
        {"size": {"n_hidden": (5, 10), "steps": (5, 6, 7)}},
        "zipped.size has lists of different lengths: n_hidden has 2, steps has 3",
    ),
    ({"size": {"n_hidden": (5,), "steps": (5,)}}, "zipped.size has fewer than two rows"),
    ({"size": {"n_hidden": (), "steps": ()}}, "zipped.size has fewer than two rows"),
    (
        {"size": {"n_hiden": (5, 10), "steps": (5, 6)}},
        "zipped.size: 'n_hiden' is not a field of the model 'toy'; did you mean 'n_hidden'",
    ),
    ({"size": {5: (5, 10), "steps": (5, 6)}}, "zipped.size: '5' is not a field"),
    (
        {"size": {"records": (5, 10), "steps": (5, 6)}},
        "zipped.size contains records, which has a single value for all models",
    ),
    (
        {"size": {"loss": ("squared", "lp(4)"), "steps": (5, 6)}},
        "zipped.size contains loss, another way to give loss_function; write loss_function",
    ),
    (
        {"size": {"activity": (1, 2), "steps": (5, 6)}},
        "zipped.size contains activity, another way to give sparsity, which cannot be zipped",
    ),
    ({"size": {"seeds": (5, 10), "steps": (5, 6)}}, "zipped.size contains seeds, which has a"),
    ({"size": {"zipped": (5, 10), "steps": (5, 6)}}, "zipped.size contains zipped, which has a"),
    (
        {"size": {"sparsity": (0.5, 0.9), "steps": (5, 6)}},
        "zipped.size contains sparsity, which is always a dimension of the results; give its",
    ),
    ({"a": {"activation": ("relu", "gelu"), "steps": (5, 6)}}, "zipped.a contains activation, "),
    ({"size": {"n_hidden": (5, 0), "steps": (5, 6)}}, "n_hidden=0 is not >= 1"),
    ({"size": {"n_hidden": (5, "x"), "steps": (5, 6)}}, "n_hidden='x' is not a whole number"),
    (
        {"size": {"n_hidden": (5, 5.0), "steps": (7, 7)}},
        "zipped.size contains the row n_hidden=5, steps=7 twice; give each row once",
    ),
    (
        {"a": {"n_hidden": (5, 6), "steps": (5, 6)}, "b": {"n_hidden": (5, 6), "dropout": (0, 0)}},
        "zipped contains n_hidden in two groups; give it in one of them",
    ),
    ({"steps": SIZES["size"]}, "zipped has the dimension 'steps', which is a field"),
    ({"seed": SIZES["size"]}, "zipped has the dimension 'seed', which is in every Dataset"),
    ({"my-size": SIZES["size"]}, "zipped has the dimension 'my-size', which is not a name of"),
    ({"if": SIZES["size"]}, "zipped has the dimension 'if', which is not a name of"),
    ({5: SIZES["size"]}, "zipped has the dimension 5, which is not a name of"),
    (
        {k: {f: range(1, 200) for f in v} for k, v in
         {"a": ("n_hidden", "n_features"), "b": ("steps", "batch_size")}.items()},
        "zipped has 39,601 combinations of rows, and at most 10,000 are allowed",
    ),
]  # fmt: skip


@pytest.mark.parametrize("zipped, said", BAD, ids=[str(z)[:40] for z, _ in BAD])
def test_bad_groups_are_refused_and_named(zipped, said):
    with pytest.raises(SpecError) as error:
        Sweep(zipped=zipped)
    assert said in str(error.value)


def test_a_field_of_a_group_is_not_given_by_itself():
    with pytest.raises(SpecError, match=r"n_hidden is given both in zipped, with \[5, 10\]"):
        Sweep(zipped=SIZES, n_hidden=7)
    assert Sweep(zipped=SIZES, n_hidden=(5, 10)) == Sweep(zipped=SIZES)
    factorizations = {"size": {"steps": (5, 10), "learning_rate": (1e-3, 5e-4)}}
    with pytest.raises(SpecError, match="zipped has the dimension 'size', which is a field"):
        factorization.Sweep(zipped=factorizations)


@pytest.mark.parametrize(
    "name", ["hidden", "feature", "W", "train_loss", "step", "features_represented"]
)
def test_a_dimension_with_the_name_of_a_result_is_refused_before_training(name):
    sweep = Sweep(**TINY, zipped={name: SIZES["size"]})
    said = f"zipped has the dimension '{name}', which is the name of a variable or dimension"
    with pytest.raises(SpecError, match=said):
        jsuper.run(sweep)


TOML = """\
activation = ["relu"]  # [zipped.no] = {}
sparsity = [
    0.5,
]

[zipped.size]  # rows
n_hidden = [5, 10]
learning_rate = [1e-3, 5e-4]
"""


@pytest.mark.parametrize("text", [TOML, TOML.replace("\n", "\r\n"), TOML.replace("[z", "  [z")])
def test_toml_files_have_a_table_for_every_group(text, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode())
    sweep, _, _ = parse(["--config", str(path), "--seeds", "2"])
    assert sweep == Sweep(activation="relu", sparsity=0.5, zipped=SIZES, seeds=2)
    with pytest.raises(SpecError, match="n_hidden is given both in zipped"):
        parse(["--config", str(path), "--n-hidden", "7"])


@pytest.mark.parametrize(
    "text",
    ["[size]\na = 1", "[zipped]\na = 1", "[zipped.a.b]\nc = 1", "[[zipped.a]]\nc = 1",
     "zipped.size = 1", "[zipped.size]\na.b = 1", "[zipped.size]\na = {b = 1}",
     "[zipped.size] [zipped.b]", '[zipped."a"]\nc = 1', "[other.size]\na = 1"],
)  # fmt: skip
def test_other_tables_are_refused(text):
    with pytest.raises(ValueError, match="a table or a dotted key; a sweep has only plain fields"):
        parse_toml(text)


def test_the_command_line_says_where_groups_are_written():
    with pytest.raises(SpecError, match=r"--zipped is not a flag: .* table \[zipped.NAME\]"):
        parse(["--zipped", "n_hidden"])
