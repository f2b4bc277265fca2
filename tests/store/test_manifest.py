"""Manifests say what chunks belong to, folders extend, and what does not fit is refused."""

import copy
import dataclasses
import json
import os
import random
import resource
import shutil

import numpy as np
import pytest
from one_chunk import CHUNK, SWEEP
from running import mutated, slow

import jsuper
from jsuper import RunError, Sweep
from jsuper.analysis.metrics.toy_fits import failed_fits
from jsuper.cli import main, sweeping
from jsuper.core.errors import SpecError
from jsuper.core.grid import Chunk, expand
from jsuper.core.json_data import digest
from jsuper.store import chunk_files
from jsuper.store.manifest import check_extends, manifest_of, read_manifest, rebuilt, write_manifest
from jsuper.store.status import status_of


@pytest.fixture
def manifest(tmp_path):
    """The manifest of a run of `SWEEP`, as it is read back."""
    write_manifest(tmp_path, SWEEP, [CHUNK], [{"versions": {"jsuper": "x"}}])
    return read_manifest(tmp_path)


def test_a_manifest_gives_sweep_and_chunks_back(tmp_path, manifest):
    assert Sweep.from_dict(manifest.sweep) == SWEEP
    assert manifest.chunks == [CHUNK]
    stored = json.loads((tmp_path / "manifest.json").read_text())
    assert [c.name for c in manifest.chunks] == [c["name"] for c in stored["chunks"]]
    assert manifest.sessions == [{"versions": {"jsuper": "x"}}]
    assert (tmp_path / "sweep.toml").read_text() == SWEEP.to_toml()


def test_a_partition_of_many_chunks_comes_back(tmp_path):
    sweep = Sweep(activation=("relu", "gelu"), sparsity=(0.0, 0.5), n_hidden=(2, 3), seeds=[4, 9])
    chunks = [
        Chunk("toy", g.static, (setting,), (seed,))
        for g in expand(sweep)
        for setting in g.settings
        for seed in g.seeds
    ]
    write_manifest(tmp_path, sweep, chunks, [])
    assert read_manifest(tmp_path).chunks == chunks


def test_no_manifest_is_none(tmp_path):
    assert read_manifest(tmp_path) is None
    assert read_manifest(tmp_path / "missing") is None


@pytest.mark.parametrize(
    "text, said",
    [
        ('{"schema": 3, "sweep": {}}', r"has schema 3; this jsuper reads 1, 2: update jsuper"),
        ("not json", "cannot be read"),
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "cannot be read"),
        ('{"schema": 1}', "cannot be read"),
        ("\xff", "cannot be read"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(tmp_path, tried, text, said):
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=said):
        read_manifest(tmp_path)
    tried(
        "A damaged manifest",
        "of another schema, empty, not JSON, not text, and without its parts: refused, with the "
        "schema where there is one",
    )


# --------------------------------------------------------------------------------------- extend


@pytest.mark.parametrize(
    "more",
    [
        {},
        dict(seeds=4),
        dict(seeds=[2, 0, 1]),
        dict(sparsity=(0.1, 0.5)),
        dict(activation=("gelu", "tanh", "relu")),
        dict(dropout=(0.5, 0.0), learning_rate=(1e-3, 1e-2)),
        dict(n_hidden=(1, 2), steps=(4, 8)),
    ],
    ids=str,
)
def test_a_sweep_that_contains_the_held_one_extends_it(tmp_path, manifest, more):
    check_extends(dataclasses.replace(SWEEP, **more), manifest, tmp_path)


@pytest.mark.parametrize(
    "other, said",
    [
        (dict(seeds=2), "seeds is 3 there and 2 here"),
        (dict(seeds=[0, 1, 3]), r"seeds is 3 there and \[0, 1, 3\] here"),
        (dict(activation="relu"), r"activation is \['relu', 'gelu'\] there and \['relu'\] here"),
        (dict(sparsity=0.9), r"sparsity is \[0\.5\] there and \[0\.9\] here"),
        (dict(sparsity=(0.1, 0.9)), r"sparsity is \[0.5\] there and \[0.1, 0.9\] here"),
        (dict(steps=8), r"steps is \[4\] there and \[8\] here"),
        (dict(n_hidden=3), r"n_hidden is \[2\] there and \[3\] here"),
        (dict(schedule="linear"), "schedule is constant there and linear here"),
        (dict(unpaired=True), "unpaired is False there and True here"),
        (dict(importance=(1, 2, 3)), r"importance is None there and \[1\.0, 2\.0, 3\.0\] here"),
        (dict(snapshots=(0, 2, 4)), r"snapshots is \[0, 4\] there and \[0, 2, 4\] here"),
        (dict(records=3), "records is 100 there and 3 here"),
    ],
    ids=str,
)
def test_any_other_sweep_is_refused_with_the_difference(tmp_path, manifest, other, said):
    with pytest.raises(SpecError, match=said) as caught:
        check_extends(dataclasses.replace(SWEEP, **other), manifest, tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_of_before_a_field_was_added_loads_and_goes_on(tmp_path):
    """Without the fields that came later in its manifest and its chunks; also on a new axis."""
    import jsuper
    from jsuper.core import grid

    sweep = jsuper.Sweep(
        activation="relu", sparsity=(0.5, 0.9), seeds=2, steps=20, n_features=4, n_hidden=2
    )
    expected = jsuper.run(sweep, tmp_path / "run", progress=False)
    now = manifest_of(tmp_path / "run").chunks
    chunks = [
        grid.Chunk("toy", *(_without(d) for d in (c.static, c.settings)), c.seeds) for c in now
    ]
    for old, new in zip(now, chunks, strict=True):
        arrays = chunk_files.read_chunk(tmp_path / "run", old)
        arrays = {k: v for k, v in arrays.items() if not k.startswith("improvement")}
        chunk_files.write_chunk(tmp_path / "old", new, arrays)
    write_manifest(tmp_path / "old", sweep, chunks, [])
    path = tmp_path / "old" / "manifest.json"
    older = json.loads(path.read_text())
    older["sweep"] = _without(older["sweep"])
    older["hash"] = digest(older["sweep"])
    path.write_text(json.dumps(older))
    files = sorted((tmp_path / "old" / "chunks").iterdir())
    assert (jsuper.load(tmp_path / "old").W == expected.W).all()
    again = jsuper.run(sweep, tmp_path / "old", progress=False)
    assert (again.W == expected.W).all()
    assert "improvement" in expected and "improvement" not in again  # what was not measured
    failed = np.logical_or.reduce([reason.values for reason in failed_fits(again).values()])
    assert (failed == (again.loss_over_constant > 1)).all()
    assert sorted((tmp_path / "old" / "chunks").iterdir()) == files  # nothing was trained again
    both = dataclasses.replace(sweep, tied=(True, False))
    more = jsuper.run(both, tmp_path / "old", progress=False)
    assert set(files) < set((tmp_path / "old" / "chunks").iterdir())
    assert (more.W.sel(tied=True) == expected.W).all() and (more.status == 1).all()
    assert more.improvement.sel(tied=True).isnull().all()
    assert more.improvement.sel(tied=False).notnull().all()
    assert more.W_dec.sel(tied=True).isnull().all() and more.W_dec.sel(tied=False).notnull().all()
    assert (jsuper.load(tmp_path / "old").W == more.W).all()


def _without(data):
    if isinstance(data, tuple):
        return tuple(map(_without, data))
    later = ("push", "push_step", "watch", "init_bias_scale", "tied", "reduction", "shared_mask")
    later += ("check_fit", "support", "values", "density_power", "dataset_size", "full_batch")
    later += ("normalize", "hidden_vectors", "inputs")
    return {k: v for k, v in data.items() if k not in later}


# ------------------------------------------------------------------------------------------ trust


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of two chunks."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert sweeping.sweep([*GRID, "--out", str(folder)]) == 0
    return folder


GRID = "--activation relu gelu --sparsity 0 0.9 --seeds 2 --steps 5 --batch-size 16 --n-features 4 "
GRID = f"{GRID}--n-hidden 2 --platform cpu --workers 2 --no-report --no-cache".split()


def chunk(manifest):
    return manifest["chunks"][0]


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda m: chunk(m).update(static=7), "no row 7"),
        (lambda m: chunk(m).update(static=-1), "no row -1"),
        (lambda m: chunk(m).pop("seeds"), "seeds"),
        (lambda m: chunk(m).update(seeds=[0, 0]), "seeds that its sweep has not"),
        (lambda m: chunk(m).update(seeds=[0, 9]), "seeds that its sweep has not"),
        (lambda m: chunk(m).update(seeds=[0.0]), "seeds that its sweep has not"),
        (lambda m: chunk(m).update(settings=[99]), "no row 99"),
        (lambda m: chunk(m).update(settings=3), "not iterable"),
        (lambda m: chunk(m).update(name="../../elsewhere"), "not what its name says"),
        (lambda m: m.update(chunks={"a": 1}), "indices must be"),
        (lambda m: m["chunks"].pop(), "not the 8 models"),
        (lambda m: m.update(statics=[5]), "no attribute 'items'"),
        (lambda m: m["settings"][0].update(sparsity=0.7), "sparsity=0.7, and its sweep has not"),
        (lambda m: m["settings"][0].update(secret=0.7), "secret=0.7, and its sweep has not"),
        (lambda m: m["statics"][0].update(n_features=10**9), "n_features=1000000000, and its"),
        (lambda m: m.update(sweep=[]), "list indices"),
        (lambda m: m.update(sessions=[3]), "sessions"),
        (lambda m: m["sweep"].update(seeds=10**9), "not the 4,000,000,000 models"),
        (lambda m: m["sweep"].update(seeds=10**12), "seeds=1000000000000"),
        (lambda m: m["sweep"].update(records=10**9), "records=1000000000"),
        (lambda m: m["sweep"].update(sparsity=[0.0, 0.0]), "twice"),
        (lambda m: m["sweep"].update(n_features=[4.0]), "n_features=4.0 is not as a sweep has it"),
        (lambda m: m["sweep"].update(sparsity=[0.0, "<b>"]), "is not a number"),
        (lambda m: m["sweep"].update(activation=["relu", "<b>"]), "<b>"),
        (lambda m: m["sweep"].update(activation=["relu", "<b>@0123456789ab"]), "<b>"),
        (lambda m: m["sweep"].update(model=["toy"]), "is not known"),
    ],
)
def test_a_manifest_that_does_not_fit_together_is_refused(tmp_path, tried, whole, change, said):
    """Also where its hash is made to agree."""
    manifest = json.loads((whole / "manifest.json").read_text())
    change(manifest)
    manifest["hash"] = digest(manifest["sweep"])
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"manifest\.json cannot be read: .*; move it away") as found:
        read_manifest(tmp_path)
    assert said in str(found.value)
    tried("A damaged manifest", "its parts changed so that they do not fit together: refused")


def test_a_family_that_is_not_installed_is_named(tmp_path, whole):
    manifest = json.loads((whole / "manifest.json").read_text())
    manifest["sweep"]["model"] = "other"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="family 'other', which is not installed .toy, fact"):
        read_manifest(tmp_path)


def test_a_sweep_with_another_hash_is_refused(tmp_path, whole):
    text = (whole / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text.replace('"momentum": 0.9', '"momentum": 0.8', 1))
    with pytest.raises(RunError, match="does not have its hash"):
        read_manifest(tmp_path)


def test_what_is_no_file_is_not_waited_for(tmp_path, tried, whole):
    run = shutil.copytree(whole, tmp_path / "run")
    path = sorted(run.glob("chunks/*.npz"))[0]
    path.unlink()
    os.mkfifo(path)
    with pytest.warns(UserWarning, match="chunks are damaged: their 4 models count as missing"):
        assert int((jsuper.load(run).status == 1).sum()) == 4
    assert main.main(["verify", str(run)]) == 1
    (run / "manifest.json").unlink()
    os.mkfifo(run / "manifest.json")
    with pytest.raises(RunError, match="is not a file"):
        jsuper.load(run)
    tried("A damaged manifest", "a pipe under its name, and one under a chunk's: not waited for", 2)


@pytest.mark.parametrize(
    "session",
    [
        {k: "<script>alert(1)</script>" for k in ("started", "ended", "plan", "git", "host")},
        {"versions": {"jsuper": "<script>alert(1)</script>"}, "devices": ["<script>alert(1)"]},
        {"versions": 3, "devices": {"a": 1}, "started": [], "plan": None, "git": {}},
    ],
)
def test_what_a_session_says_is_text_on_the_page(tmp_path, whole, session):
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "sessions" / "other.json").write_text(json.dumps(session))
    (run / "sessions" / "deep.json").write_text("[" * 100_000)
    assert main.main(["status", str(run)]) == 0
    assert main.main(["report", str(run)]) == 0
    text = (run / "report.html").read_text()
    assert "<script>alert" not in text
    assert ("&lt;script&gt;alert" in text) == ("<script>" in json.dumps(session))


def test_a_sweep_larger_than_the_memory_is_refused_before_it_is_taken(tmp_path, whole):
    """Its manifest is lost, and sweep.toml says what it likes."""
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "manifest.json").unlink()
    text = (run / "sweep.toml").read_text()
    (run / "sweep.toml").write_text(text.replace("seeds = 2\n", "seeds = 2000000000\n"))
    with pytest.raises(RunError, match=r"needs [\d,]+\.\d GB of memory and"):
        jsuper.load(run)
    assert status_of(run).models == 8_000_000_000
    (run / "sweep.toml").write_text("a = " + "[" * 50_000)
    assert status_of(run).models == 8


def test_one_variable_may_be_named_alone(whole):
    ds = jsuper.load(whole, "loss")
    assert set(ds.data_vars) == {"loss", "status", "first_bad_step"}
    np.testing.assert_array_equal(ds.loss, jsuper.load(whole).loss)
    with pytest.raises(
        SpecError, match="variables='los' is not a variable of this run; did you mean"
    ):
        jsuper.load(whole, ["los"])


def changed(manifest, rng):
    """A manifest with one value changed, and its hash and names made to agree half of the time."""
    manifest = copy.deepcopy(manifest)
    place, path = manifest, []
    while isinstance(place, dict | list) and place and (len(path) < 1 or rng.random() < 0.8):
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        path.append((place, key))
        place = place[key]
    holder, key = path[-1]
    values = (None, True, -1, 0, 1, 3, 2**31, 10**12, 0.5, 1e308, "", "relu", "<script>", "x" * 999)
    values += ([], [0], [[]], {}, {"a": 1}, [place] * 3, place)
    if rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(rng.choice(values))
    if rng.random() < 0.5:
        try:
            manifest["hash"] = digest(manifest["sweep"])
            for entry in manifest["chunks"]:
                rows = tuple(manifest["settings"][i] for i in entry["settings"])
                static = manifest["statics"][entry["static"]]
                entry["name"] = Chunk(manifest["sweep"]["model"], static, rows, entry["seeds"]).name
        except (LookupError, TypeError, ValueError, AttributeError):
            pass
    return manifest


@pytest.mark.parametrize("kind", ["bytes", "values"])
def test_mutated_manifests_are_correct_data_or_a_clear_error(
    tmp_path, tried, how_often, whole, kind
):
    """And take no memory but what the files' size allows."""
    count = how_often(200, 50_000)
    run = shutil.copytree(whole, tmp_path / "run")
    content, expected = (run / "manifest.json").read_bytes(), jsuper.load(whole)
    rng = random.Random(count)
    refused, before = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(count):
        text = mutated(content, rng)
        if kind == "values":
            text = json.dumps(changed(json.loads(content), rng)).encode()
        (run / "manifest.json").write_bytes(text)
        try:
            ds = jsuper.load(run)
        except RunError as error:
            refused += 1
            assert "manifest.json" in str(error)
            continue
        for found in ds.stack(model=ds.status.dims).transpose("model", ...).model.values:
            one = dict(zip(ds.status.dims, found, strict=True))
            if int(ds.status.sel(one)):
                np.testing.assert_array_equal(ds.W.sel(one), expected.W.sel(one))
    assert 0.5 * count < refused < count
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
    how = f"{kind} of it changed at random, hashes made to agree half of the time where they can"
    tried("A damaged manifest", f"{how}: refused", refused)
    tried("A damaged manifest", f"{how}: no data but what was written", count - refused)


# ------------------------------------------------------------------------------------------- lost


def test_a_lost_manifest_is_put_together_from_the_chunks(tmp_path, tried, whole, capsys):
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "manifest.json").unlink()
    files = {p: p.stat().st_mtime_ns for p in run.glob("chunks/*")}
    expected = jsuper.load(whole)
    assert jsuper.load(run).drop_attrs().identical(expected.drop_attrs())
    assert main.main(["status", str(run)]) == 0
    assert "lost     manifest.json" in capsys.readouterr().out
    assert main.main(["verify", str(run)]) == 1
    assert "manifest.json is lost: put together from the chunks" in capsys.readouterr().out
    assert not (run / "manifest.json").exists()
    assert sweeping.sweep([*GRID, "--out", str(run)]) == 0
    said = capsys.readouterr()
    assert "manifest.json is lost: put together from 2 chunks" in said.err
    assert "All 8 models are done" in said.out
    assert files == {p: p.stat().st_mtime_ns for p in run.glob("chunks/*")}
    assert read_manifest(run).sweep == read_manifest(whole).sweep
    assert read_manifest(run).chunks == sorted(read_manifest(whole).chunks, key=lambda c: c.name)
    tried(
        "A manifest that is lost",
        "of a finished run: put together from the chunks to the same content, and written anew by "
        "the sweep's command, which trained nothing",
    )


@pytest.mark.parametrize("toml", [slow(True), False])
def test_a_lost_manifest_of_half_a_run_goes_on(tmp_path, tried, whole, toml):
    """Without sweep.toml the sweep is the least that has the chunks' points."""
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "manifest.json").unlink()
    if not toml:
        (run / "sweep.toml").unlink()
        (run / "sweep.toml").symlink_to(run / "nothing")  # which is no file either
    kept, gone = sorted(run.glob("chunks/*.npz"))
    gone.unlink()
    before = kept.stat().st_mtime_ns
    held = jsuper.load(run)
    assert int((held.status == 1).sum()) == 4 and held.status.size == (8 if toml else 4)
    assert status_of(run).missing == (4 if toml else 0)
    assert sweeping.sweep([*GRID, "--out", str(run)]) == 0
    assert kept.stat().st_mtime_ns == before
    found, expected = jsuper.load(run), jsuper.load(whole)
    assert (found.status == 1).all() and found.status.size == 8
    np.testing.assert_allclose(found.W, expected.W, atol=1e-5)
    tried(
        "A manifest that is lost",
        "of half a run, with and without sweep.toml: the chunks that were there stayed, the others "
        "were trained to the same models",
    )


def test_a_lost_manifest_of_another_sweep_is_refused(tmp_path, tried, whole, capsys):
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "manifest.json").unlink()
    assert sweeping.sweep([*GRID, "--steps", "6", "--out", str(run)]) == 2
    assert "contains another sweep: steps is [5] there and [6] here" in capsys.readouterr().err
    assert not (run / "manifest.json").exists()


def test_what_is_no_chunk_is_left_out_of_a_lost_manifest(tmp_path, whole):
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "manifest.json").unlink()
    one, other = sorted(run.glob("chunks/*.npz"))
    one.rename(one.with_name("0123456789abcdef.npz"))
    (run / "chunks" / "f.npz").write_bytes(other.read_bytes()[:-50])
    assert [c.name for c in rebuilt(run).chunks] == [other.stem]
    other.unlink()
    assert rebuilt(run) is None
    with pytest.raises(FileNotFoundError, match="is not a run folder"):
        manifest_of(run)


def test_chunks_of_two_sweeps_are_not_one(tmp_path, whole):
    run = shutil.copytree(whole, tmp_path / "run")
    for name in ("manifest.json", "sweep.toml"):
        (run / name).unlink()
    (other,) = expand(dataclasses.replace(SWEEP, momentum=0.5))
    one = Chunk("toy", other.static, other.settings, other.seeds)
    lead = (2, 3)
    arrays = {"status": np.ones(lead, np.int8), "first_bad_step": np.full(lead, -1)}
    chunk_files.write_chunk(run, one, arrays)
    with pytest.raises(RunError, match="chunks of several sweeps"):
        rebuilt(run)
